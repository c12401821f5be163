/** What the tests around real processes rely on: no signal goes to who was not meant. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { killGroup, makeTemporaryDirectory, pidFrom } from '../interop/harness.ts';

test('a pid file that is not there, or not written to its end, names nobody', (t) => {
  const file = join(makeTemporaryDirectory(t), 'pid');
  assert.equal(pidFrom(file), undefined);
  for (const text of ['', '47', '\n', '-4711\n', '4711\n4712\n', 'x\n']) {
    writeFileSync(file, text);
    assert.equal(pidFrom(file), undefined, JSON.stringify(text));
  }
  writeFileSync(file, '4711\n');
  assert.equal(pidFrom(file), 4711);
});

test('neither our own process group nor all processes are signalled', () => {
  for (const pid of [0, 1, -1, Number.NaN]) assert.throws(() => killGroup(pid, 'SIGCONT'), RangeError);
});
