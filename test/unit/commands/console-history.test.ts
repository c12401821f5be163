/** The lines that were typed at consoles before. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConsoleHistory, MAX_HISTORY_LINES } from '../../../src/commands/console-history.ts';
import { makeTemporaryDirectory } from '../../interop/harness.ts';

test('a history is kept for the user alone, bounded, without repetitions', (t) => {
  const home = makeTemporaryDirectory(t);
  const file = join(home, 'state', 'vdens', 'console-history');
  const env = { XDG_STATE_HOME: join(home, 'state') };
  const first = new ConsoleHistory(env);
  for (const line of ['showinfo', 'showinfo', 'help']) first.add(line);
  assert.equal(readFileSync(file, 'utf8'), 'showinfo\nhelp\n');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(join(home, 'state', 'vdens')).mode & 0o777, 0o700);
  chmodSync(file, 0o644);
  const second = new ConsoleHistory(env);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(second.newestFirst, ['help', 'showinfo']);
  for (let index = 0; index < 3 * MAX_HISTORY_LINES; index += 1) second.add(`port/create ${index}`);
  assert.equal(second.newestFirst.length, MAX_HISTORY_LINES);
  assert.equal(second.newestFirst[0], `port/create ${3 * MAX_HISTORY_LINES - 1}`);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  assert.ok(lines.length <= 2 * MAX_HISTORY_LINES, `${lines.length} lines`);
  assert.deepEqual(new ConsoleHistory(env).newestFirst, second.newestFirst);
});

test('whoever shortens the file keeps the lines of others', (t) => {
  const home = makeTemporaryDirectory(t);
  const env = { XDG_STATE_HOME: home };
  const [first, second] = [new ConsoleHistory(env), new ConsoleHistory(env)];
  for (let index = 0; index < 2 * MAX_HISTORY_LINES; index += 1) first.add(`port/create ${index}`);
  second.add('of the other');
  first.add('which shortens it');
  const { newestFirst } = new ConsoleHistory(env);
  assert.equal(newestFirst.length, MAX_HISTORY_LINES);
  assert.deepEqual(newestFirst.slice(0, 2), ['which shortens it', 'of the other']);
});

test('where it cannot be kept, there is one of the session', (t) => {
  const home = makeTemporaryDirectory(t);
  writeFileSync(join(home, 'file'), '');
  for (const state of [join(home, 'file'), '/proc']) {
    const history = new ConsoleHistory({ XDG_STATE_HOME: state });
    history.add('help');
    assert.deepEqual(history.newestFirst, ['help']);
  }
  mkdirSync(join(home, 'vdens', 'console-history'), { recursive: true });
  const history = new ConsoleHistory({ XDG_STATE_HOME: home });
  history.add('help');
  assert.deepEqual(history.newestFirst, ['help']);
});

test('a relative path in the variable counts for nothing', (t) => {
  const home = makeTemporaryDirectory(t);
  new ConsoleHistory({ XDG_STATE_HOME: 'state', HOME: home }).add('help');
  assert.ok(existsSync(join(home, '.local', 'state', 'vdens', 'console-history')));
});
