/** The pages of docs/ that are about one task each, typed as they stand (test/fixtures/page-session.ts). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { blocksOf } from '../fixtures/page-blocks.ts';
import { commandsOf, similarTo, typePage } from '../fixtures/page-session.ts';
import { checkout } from '../interop/harness.ts';

const PAGES = [
  'docs/lan.md',
  'docs/internet.md',
  'docs/gateway.md',
  'docs/namespaces.md',
  'docs/virtual-machine.md',
  'docs/ci.md',
  'docs/nested.md',
  'docs/running.md',
  'docs/capture.md',
  'docs/impairment.md',
];
const LIMIT = { timeout: 150_000 };

for (const page of PAGES) {
  test(`${page}, from its top to its end`, LIMIT, async (t) => {
    assert.ok(blocksOf(page).some(({ needs }) => needs !== undefined));
    await typePage(t, page);
  });
}

test('docs/ci.md types on the page what it has jobs run', () => {
  const typed = new Set(blocksOf('docs/ci.md').flatMap((block) => commandsOf(block).map(({ command }) => command)));
  const page = readFileSync(join(checkout, 'docs', 'ci.md'), 'utf8');
  const jobs = Array.from(page.matchAll(/^```yaml\n(.*?)^```$/gms), ([, text = '']) => text).join('');
  const commands = Array.from(
    jobs.matchAll(/^\s*(?:- )?(?:run: )?((?:vde|vdens) [^|\n]+?)(?: \||$)/gm),
    ([, text = '']) => text,
  );
  assert.deepEqual(new Set(commands), new Set(['vde doctor', 'vde doctor --print-apparmor', 'vdens --up no npm test']));
  assert.ok(typed.has('vde doctor') && typed.has('vde doctor --print-apparmor'));
});

test('what is typed, and what has to be printed', () => {
  const text = "# in terminal 2\n$ cat <<END\none\nEND\none\n\n$ echo 'a\nb' \\\n  c\n# in terminal 1\n$ true\n";
  assert.deepEqual(commandsOf({ language: 'console', text }), [
    { terminal: 2, command: 'cat <<END\none\nEND', expected: ['one'] },
    { terminal: 2, command: "echo 'a\nb' \\\n  c", expected: [] },
    { terminal: 1, command: 'true', expected: [] },
  ]);
  assert.deepEqual(commandsOf({ language: 'sh', text: '# a word\ntrue\n' }), [
    { terminal: 1, command: 'true', expected: [] },
  ]);
  assert.match(
    '10.0.0.2: 0% of 7, 3.5 ms, 02:00:00:00:00:ab,   x',
    similarTo('10.0.0.2: 0% of 1, 1 ms, 02:00:00:00:00:01, x'),
  );
  assert.match('one\ntwo and three\n', similarTo('two … three'));
  assert.match('user=1001 pid=2 delay=50', similarTo('user=1000 pid=4711 delay=50'));
  assert.doesNotMatch('delay=5', similarTo('delay=50'));
  for (const other of ['10.0.0.3', '100% of 7', 'ten']) {
    assert.doesNotMatch(other, similarTo(other === 'ten' ? '10' : '10.0.0.2: 0% of 7'));
  }
});
