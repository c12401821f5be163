/** Schedules: what is wrong with them is said with its line, and what is due is done, in order. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { VdensError } from '../../../src/errors.ts';
import { RunningSchedule, type Schedule } from '../../../src/impairment/schedule.ts';
import { readConsoleSchedule } from '../../../src/impairment/scheduled-console.ts';
import { Settings } from '../../../src/impairment/settings.ts';
import { makeTemporaryDirectory, waitFor } from '../../interop/harness.ts';

function read(t: TestContext, text: string): Schedule {
  const path = join(makeTemporaryDirectory(t), 'plan');
  writeFileSync(path, text);
  return readConsoleSchedule(path, new Settings());
}

test('times, comments, order, rounds', (t) => {
  const text =
    '# worse\n\n2 loss 5\n500ms delay 20+5N\n  0.5min cut\n1m join\n1h\tclear\n0 fifo 0\n2 loss 6\n2h repeat\n';
  const { steps, periodMs } = read(t, text);
  assert.deepEqual(
    steps.map(({ atMs, command, line }) => [atMs, command, line]),
    [
      [0, 'fifo 0', 8],
      [500, 'delay 20+5N', 4],
      [2000, 'loss 5', 3],
      [2000, 'loss 6', 9],
      [30_000, 'cut', 5],
      [60_000, 'join', 6],
      [3_600_000, 'clear', 7],
    ],
  );
  assert.equal(periodMs, 7_200_000);
});

const wrong: readonly (readonly [string, RegExp])[] = [
  ['0 delay 5\nsoon loss 5\n', /plan, line 2: "soon loss 5" is no time and a command/],
  ['5\n', /line 1: "5" is no time and a command/],
  ['1 foo\n', /line 1: "foo": 1038 Function not implemented/],
  ['\n1 delay x\n', /line 2: "delay x": 1022 Invalid argument/],
  ['1 loss 5[2]\n', /line 1: "loss 5\[2\]": 1022/],
  ['1 logout\n', /line 1: "logout": there is no session/],
  ['0 repeat\n', /line 1: "repeat" comes after 10 ms at the earliest/],
  ['1 repeat\n2 loss 1\n', /line 2: nothing comes after "repeat"/],
  ['9999999s loss 1\n', /line 1: "9999999s" is more than a month/],
];

for (const [text, message] of wrong) {
  test(`${JSON.stringify(text)} is refused`, (t) => {
    assert.throws(
      () => read(t, text),
      (error: unknown) => error instanceof VdensError && error.code === 'ERR_USAGE' && message.test(error.message),
    );
  });
}

test('states that an earlier command makes may be used by a later one', (t) => {
  const { steps } = read(t, '0 markov-numnodes 3\n1 loss 5[2]\n');
  assert.equal(steps.length, 2);
});

test('a file that is not there is named', () => {
  assert.throws(
    () => readConsoleSchedule('/nowhere/plan', new Settings()),
    /\/nowhere\/plan: cannot read the schedule \(ENOENT\)/,
  );
});

test('what is no regular file is not read, nor waited for', (t) => {
  const directory = makeTemporaryDirectory(t);
  const fifo = join(directory, 'fifo');
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
  for (const path of [fifo, '/dev/zero']) {
    assert.throws(
      () => readConsoleSchedule(path, new Settings()),
      /cannot read the schedule \(it is not a regular file\)/,
    );
  }
  assert.throws(() => readConsoleSchedule(directory, new Settings()), /\(it is a directory\)/);
  assert.throws(() => read(t, '#'.repeat(1_048_577)), /\(it is too large for a file of commands\)/);
});

test('steps are done in order, and over again', async (t) => {
  const schedule = read(t, '0 loss 1\n0.03 loss 2\n0.03 loss 3\n0.06 repeat\n');
  const done: string[] = [];
  const startedAt = performance.now();
  const times: number[] = [];
  const running = new RunningSchedule(schedule, ({ command }) => {
    done.push(command);
    times.push(performance.now() - startedAt);
  });
  t.after(() => running.close());
  await waitFor(() => done.length >= 7, 10_000, 'two rounds');
  running.close();
  assert.deepEqual(done.slice(0, 7), ['loss 1', 'loss 2', 'loss 3', 'loss 1', 'loss 2', 'loss 3', 'loss 1']);
  for (const [index, dueAt] of [0, 30, 30, 60, 90, 90, 120].entries()) {
    assert.ok(times[index]! >= dueAt - 1, `step ${index} at ${times[index]} ms, before ${dueAt} ms`);
  }
});
