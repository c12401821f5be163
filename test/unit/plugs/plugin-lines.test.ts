/** What plugins print is passed on in lines, within bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PluginLines } from '../../../src/plugs/plugin-lines.ts';

function open(): { lines: PluginLines; said: string[]; marked: string[]; clock: { now: number } } {
  const [said, marked, clock] = [[] as string[], [] as string[], { now: 0 }];
  const take = (rest: string): void => void marked.push(rest);
  const lines = new PluginLines(
    (line) => void said.push(line),
    { mark: '!', take },
    () => clock.now,
  );
  return { lines, said, marked, clock };
}

test('lines come whole, however they were cut, and the last one without its end', () => {
  const { lines, said, marked } = open();
  for (const piece of ['on', 'e\ntw', 'o\n\n!why\nthr', 'ee']) lines.push(piece);
  lines.end();
  assert.deepEqual(said, ['one', 'two', '', 'three']);
  assert.deepEqual(marked, ['why']);
});

test('of a line that does not end no more is kept than its beginning', () => {
  const { lines, said } = open();
  // Together more than a string can be long.
  const much = 'x'.repeat(2 ** 20);
  for (let i = 0; i < 1024; i++) lines.push(much);
  lines.push('\nnext\n');
  assert.deepEqual(said, ['x'.repeat(512), 'next']);
});

test('lines that come too fast are counted; those that are marked are taken', () => {
  const { lines, said, marked, clock } = open();
  for (let i = 0; i < 100; i++) lines.push(`${i}\n`);
  lines.push('!why\n');
  assert.equal(said.length, 20);
  assert.deepEqual(marked, ['why']);
  clock.now = 1000;
  lines.push('later\n');
  assert.deepEqual(said.slice(20), ['(80 more lines are not shown)', 'later']);
  for (let i = 0; i < 100; i++) lines.push(`${i}\n`);
  lines.end();
  assert.equal(said.at(-1), '(81 more lines are not shown)');
});
