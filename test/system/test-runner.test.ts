/**
 * The test runner itself, on small checkouts made for the purpose: what it counts, what it calls a failure, and that
 * its last line and exit status say so.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CommandResult, checkout, makeTemporaryDirectory, runCommand } from '../interop/harness.ts';

const imports = "import { test, describe } from 'node:test';\nimport { spawn } from 'node:child_process';\n";

test('the runner counts tests without children, and reports what was skipped with its reason', async (t) => {
  const source = `${imports}
    describe('suite', () => { test('one', () => {}); test('two', () => {}); });
    test('parent', async (t) => { await t.test('three', () => {}); });
    test('left out', (t) => t.skip('not installed: nothing'));`;
  const result = await runOn(t, { 'counts.test.js': source });
  if (result === undefined) return;
  assert.match(
    result.stdout,
    /Left out:\n {2}not installed: nothing\n {4}left out {2}\(test\/unit\/counts.test.ts\)\n/,
  );
  assert.equal(lastLine(result), '3 passed, 0 failed, 1 skipped');
  assert.equal(result.status, 0);
});

test('the runner prints a failure whole and exits with 1', async (t) => {
  const source = `${imports}describe('suite', () => test('bad', () => { throw new Error('whole message'); }));`;
  const result = await runOn(t, { 'fails.test.js': source });
  if (result === undefined) return;
  assert.match(
    result.stdout,
    /FAILED {2}suite > bad\n {2}in test\/unit\/fails.test.ts, line \d+\n {2}Error: whole message/,
  );
  assert.equal(lastLine(result), '0 passed, 1 failed, 0 skipped');
  assert.equal(result.status, 1);
});

test('a file that exits with 0 before its tests are over has failed', async (t) => {
  const source = `${imports}test('first', () => {}); test('second', () => process.exit(0));`;
  const result = await runOn(t, { 'exits.test.js': source });
  if (result === undefined) return;
  assert.match(result.stdout, /it ended before its tests did: exit status 0/);
  assert.match(lastLine(result) ?? '', /, 1 failed, 0 skipped$/);
});

test('a process or a file that a test leaves behind is a failure with its name', async (t) => {
  const source = `${imports}import { mkdtempSync } from 'node:fs';\nimport { tmpdir } from 'node:os';
    test('leaks', () => {
      spawn('sleep', ['321'], { detached: true, stdio: 'ignore' }).unref();
      mkdtempSync(tmpdir() + '/vdens-test-');
    });`;
  const result = await runOn(t, { 'leaks.test.js': source });
  if (result === undefined) return;
  assert.match(result.stdout, /it left something behind:\n {2}process \d+: sleep 321\n {2}file \S+\/vdens-test-/);
  assert.match(lastLine(result) ?? '', /, 1 failed, 0 skipped$/);
});

test('a file that hangs is ended, with what it started, and the other files still run', async (t) => {
  const source = `${imports}test('hangs', () => { spawn('sleep', ['322'], { detached: true, stdio: 'inherit' });
      for (;;) { /* Not even a time-out of the test's own could end this. */ } });`;
  const files = { 'a-hangs.test.js': source, 'b-works.test.js': `${imports}test('works', () => {});` };
  const result = await runOn(t, files, '--silence', '8');
  if (result === undefined) return;
  assert.match(result.stdout, /ended by the runner: no test ended within 8 s/);
  assert.match(result.stdout, /it left something behind:\n {2}process \d+: sleep 322/);
  assert.equal(lastLine(result), '1 passed, 2 failed, 0 skipped');
});

test('a run in which no test passed is not a success', async (t) => {
  const result = await runOn(t, { 'skips.test.js': `${imports}test('left out', (t) => t.skip('why'));` });
  if (result === undefined) return;
  assert.equal(lastLine(result), '0 passed, 0 failed, 1 skipped');
  assert.equal(result.status, 1);
});

/** Runs the runner, with these options, on a checkout with these compiled unit tests. Undefined, and the test skipped, for root. */
async function runOn(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  ...options: readonly string[]
): Promise<CommandResult | undefined> {
  if (process.getuid?.() === 0) {
    t.skip('the runner would make a user, and tests run as an ordinary one: npm test');
    return undefined;
  }
  const folder = makeTemporaryDirectory(t);
  cpSync(join(checkout, 'scripts'), join(folder, 'scripts'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  for (const [name, text] of Object.entries(files)) {
    for (const [root, content] of [
      ['dist/test/unit', text],
      ['test/unit', ''],
    ] as const) {
      mkdirSync(join(folder, root), { recursive: true });
      writeFileSync(join(folder, root, root === 'test/unit' ? name.replace(/\.js$/, '.ts') : name), content);
    }
  }
  return await runCommand([process.execPath, join(folder, 'scripts', 'test.mjs'), ...options], { timeoutMs: 90_000 });
}

function lastLine(result: CommandResult): string | undefined {
  return result.stdout.trimEnd().split('\n').at(-1);
}
