/** Where captures go: a file keeps what it has until there is something to write, and no reader holds up the end. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSink } from '../../../src/commands/capture-sink.ts';
import { VdensError } from '../../../src/errors.ts';
import { makeTemporaryDirectory } from '../../interop/harness.ts';

const { signal } = new AbortController();

test('a file keeps what it has until the capture begins', async (t) => {
  const file = join(makeTemporaryDirectory(t), 'old.pcapng');
  writeFileSync(file, 'of yesterday');
  const unused = await openSink(file, signal);
  unused.close();
  assert.equal(readFileSync(file, 'utf8'), 'of yesterday');
  const used = await openSink(file, signal);
  used.begin?.();
  await used.write([Buffer.from('new')]);
  used.close();
  assert.equal(readFileSync(file, 'utf8'), 'new');
});

test('a new file is there only when the capture has begun', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const file = join(folder, 'new.pcapng');
  (await openSink(file, signal)).close();
  assert.ok(!existsSync(file));
  const sink = await openSink(file, signal);
  sink.begin?.();
  sink.close();
  assert.equal(readFileSync(file, 'utf8'), '');
  symlinkSync('target', join(folder, 'link'));
  const linked = await openSink(join(folder, 'link'), signal);
  linked.begin?.();
  await linked.write(Array.from({ length: 2000 }, (_, index) => Buffer.of(index & 0xff)));
  linked.close();
  assert.equal(readFileSync(join(folder, 'target')).length, 2000);
});

test('what cannot be opened is said in one line', async (t) => {
  const folder = makeTemporaryDirectory(t);
  for (const name of ['a', 'b']) symlinkSync(name === 'a' ? 'b' : 'a', join(folder, name));
  for (const [file, message] of [
    ['', /the name is empty/],
    ['/etc/passwd/x', /no directory|ENOENT/],
    [join(folder, 'a'), /links point at each other/],
    [join(folder, 'x'.repeat(300)), /the name is too long/],
    [join(folder, 'nowhere', 'x'), /open: ENOENT/],
  ] as const) {
    await assert.rejects(openSink(file, signal), (error: unknown) => {
      assert.ok(error instanceof VdensError, file);
      assert.equal(error.code, 'ERR_PATH');
      assert.match(error.message, message);
      return true;
    });
  }
});

test('who reads nothing holds up the end for a moment only', { timeout: 30_000 }, async (t) => {
  const pipe = join(makeTemporaryDirectory(t), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => closeSync(reader));
  const sink = await openSink(pipe, signal);
  t.after(() => sink.close());
  const late = { code: 'ERR_PATH', errno: 'ETIMEDOUT' };
  const first = assert.rejects(async () => sink.write([new Uint8Array(1_048_576)]), late);
  sink.hurry?.();
  await first;
  await assert.rejects(async () => sink.write([new Uint8Array(1)]), late);
});
