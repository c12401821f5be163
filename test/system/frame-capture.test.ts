/** Captures of the library: of another process, as frames and as a file. */
import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import {
  connectToProcess,
  type FrameCaptureOptions,
  type PassedFrame,
  startCapture,
  VdensError,
} from '../../src/index.ts';
import { CaptureLan, isOutbound, readCapture } from '../fixtures/capture-lan.ts';
import { useOwnDirectory } from '../fixtures/own-runtime-directory.ts';
import { requireCommands } from '../interop/harness.ts';

/** Two namespaces, of which this process knows. */
async function pair(t: TestContext): Promise<CaptureLan> {
  const lan = new CaptureLan(t, { VDENS_RUNTIME_DIR: useOwnDirectory(t) });
  await lan.join('a', 1);
  await lan.join('b', 2);
  return lan;
}

const capture = async (name: string, options?: FrameCaptureOptions) =>
  startCapture(await connectToProcess(name), options);

const wayOf = ({ link, isOutbound: isOut }: PassedFrame): string => `${link} ${isOut ? 'out' : 'in'}`;

test('frames and files are what passed', async (t) => {
  if (!requireCommands(t, 'tshark', 'ping')) return;
  const lan = await pair(t);
  const [frames, file, ports] = [
    await capture('b', { link: 'vde0', snap: 60 }),
    await capture('b'),
    await capture(lan.path, { switch: lan.path }),
  ];
  assert.deepEqual(
    frames.interfaces.map(({ name }) => name),
    ['vde0'],
  );
  assert.deepEqual(
    ports.interfaces.map(({ name }) => name),
    ['port 1', 'port 2'],
  );
  const saved = pipeline(file.file(), createWriteStream(lan.file()));
  await lan.ping('a', 2, 2);
  for (const each of [frames, file, ports]) each.stop();
  const passed: PassedFrame[] = [];
  for await (const frame of frames.frames('icmp')) passed.push(frame);
  assert.deepEqual(passed.map(wayOf), ['vde0 in', 'vde0 out', 'vde0 in', 'vde0 out']);
  assert.ok(passed.every(({ bytes, length }) => bytes.length === 60 && length === 98));
  assert.ok(passed.every(({ timeNs }) => Math.abs(Date.now() - Number(timeNs / 1_000_000n)) < 60_000));
  await saved;
  const read = await readCapture(lan.file(), 'icmp');
  assert.deepEqual(
    read.map((frame) => isOutbound(frame)),
    [false, true, false, true],
  );
  assert.equal((await readCapture(lan.file())).length, file.counts.recorded);
  const atPorts: string[] = [];
  for await (const frame of ports.frames('icmp[icmptype] = icmp-echo')) atPorts.push(wayOf(frame));
  assert.deepEqual(atPorts, ['port 1 in', 'port 2 out', 'port 1 in', 'port 2 out']);
});

test('to leave the loop ends the capture; so does the end of the process', async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const lan = await pair(t);
  // As many as one process can have at a time, again and again.
  for (let round = 0; round < 10; round++) {
    const left = await capture('b');
    const pinging = lan.ping('a', 2, 1);
    for await (const frame of left.frames()) if (frame.length > 0) break;
    await pinging;
  }
  const third = await lan.join('c', 3);
  const ended = await capture('c');
  third.kill('SIGKILL');
  for await (const _ of ended.frames('less 14')) assert.fail('there is no such frame');
  assert.equal(ended.isStopped, false);
});

test('what cannot be is said', async (t) => {
  if (!requireCommands(t, 'ping')) return;
  await pair(t);
  const isUsage = (error: unknown): boolean => error instanceof VdensError && error.code === 'ERR_USAGE';
  for (const options of [{ link: 'vde7' }, { snap: 1 }, { bufferBytes: 10 }, { switch: '/nowhere', link: 'port 1' }])
    await assert.rejects(capture('b', options), isUsage);
  const wrong = await capture('b');
  assert.throws(() => wrong.frames('foo'), isUsage);
  wrong.stop();
  for await (const _ of wrong.frames('less 14')) assert.fail('there is no such frame');
});
