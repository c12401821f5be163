/** `vdesl://` over pseudo-terminals: between two of ours, and by hand where pauses matter. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, symlinkSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchOf, openPlug, type Plug } from '../../src/index.ts';
import { encodeStream, StreamDecoder } from '../conformance/stream-framing.ts';
import { testFrame, testFrames } from '../conformance/test-frames.ts';
import { compilePtyPair, openPtyPair } from '../fixtures/pty-pair.ts';
import {
  makeTemporaryDirectory,
  type Owner,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';

const releases: (() => void | Promise<void>)[] = [];
const file: Owner = { after: (release) => void releases.unshift(release) };
compilePtyPair(file);
after(async () => {
  for (const release of releases) await release();
});

/** More than the 100 ms that a frame may pause. */
const PAUSE_MS = 400;

interface Ear {
  readonly frames: Uint8Array[];
  readonly said: string[];
}

function listen(plug: Plug): Ear {
  const ear: Ear = { frames: [], said: [] };
  plug.start(
    (batch) => {
      for (let i = 0; i < batch.count; i++) ear.frames.push(batch.frame(i).slice());
    },
    {
      down: (reason) => ear.said.push(`down: ${reason}`),
      up: () => ear.said.push('up'),
      trouble: (error) => ear.said.push(`trouble: ${error.message}`),
    },
  );
  return ear;
}

async function open(t: TestContext, word: string): Promise<Plug & Ear> {
  const plug = await openPlug(word);
  t.after(() => plug.close());
  return Object.assign(plug, listen(plug));
}

/** The other end by hand. */
function openDevice(t: TestContext, path: string): number {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  t.after(() => closeSync(fd));
  return fd;
}

test('frames of all lengths go both ways, at the same time', { timeout: 60_000 }, async (t) => {
  const line = await openPtyPair(t);
  const [a, b] = [await open(t, `vdesl://${line.a}[speed=115200]`), await open(t, `vdesl://${line.b}[sp=115200]`)];
  const [there, back] = [testFrames(0, 40, 9000, 1), testFrames(100, 40, 1514, 2)];
  a.send(batchOf(there));
  b.send(batchOf(back));
  await waitFor(() => a.frames.length + b.frames.length === 80, 20_000, 'the frames');
  assert.deepEqual([b.frames, a.frames], [there, back]);
  assert.deepEqual([a.counters.sent.drops, b.counters.received.drops], [{}, {}]);
});

test('the bytes on the line are lengths and frames', { timeout: 60_000 }, async (t) => {
  const line = await openPtyPair(t);
  const plug = await open(t, `vdesl://${line.a}`);
  const fd = openDevice(t, line.b);
  const frames = testFrames(0, 5);
  plug.send(batchOf(frames));
  const decoder = new StreamDecoder();
  const got: Uint8Array[] = [];
  const look = (): boolean => {
    const buffer = new Uint8Array(65_536);
    try {
      got.push(...decoder.decode(buffer.subarray(0, readSync(fd, buffer))));
    } catch {
      // Nothing there at present.
    }
    return got.length >= frames.length;
  };
  await waitFor(look, 5000, 'the frames');
  assert.deepEqual(got, frames);
});

test('a pause within a frame loses that frame only; nonsense is passed over up to a pause', {
  timeout: 60_000,
}, async (t) => {
  const line = await openPtyPair(t);
  const plug = await open(t, `vdesl://${line.a}`);
  const fd = openDevice(t, line.b);
  const [first, broken, third, fourth, fifth] = testFrames(0, 5, 300) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const malformed = (): number => plug.counters.received.drops.malformed ?? 0;
  writeSync(fd, encodeStream([first]));
  writeSync(fd, encodeStream([broken]).subarray(0, 40));
  await waitFor(() => malformed() === 1, 5000, 'the frame to be broken off');
  writeSync(fd, encodeStream([third]));
  await waitFor(() => plug.frames.length === 2, 5000, 'the frame behind the pause');
  // A header whose second byte comes late is no header.
  writeSync(fd, encodeStream([fourth]).subarray(0, 1));
  await waitFor(() => malformed() === 2, 5000, 'the half header');
  // Out of step: whatever comes, until there is a pause.
  writeSync(fd, Buffer.concat([Uint8Array.of(0xff, 0xff, 0, 20), encodeStream([fourth])]));
  await waitFor(() => malformed() === 3, 5000, 'the impossible length');
  await sleep(PAUSE_MS);
  writeSync(fd, encodeStream([fifth]));
  await waitFor(() => plug.frames.length === 3, 5000, 'the frame behind it');
  assert.deepEqual(plug.frames, [first, third, fifth]);
});

test('a receiver that pauses for long loses nothing', { timeout: 60_000 }, async (t) => {
  const line = await openPtyPair(t);
  const [a, b] = [await open(t, `vdesl://${line.a}`), await open(t, `vdesl://${line.b}`)];
  b.pause();
  const frames = testFrames(0, 10, 1000);
  a.send(batchOf(frames));
  await sleep(PAUSE_MS);
  b.resume();
  await waitFor(() => b.frames.length === 10, 5000, 'the frames');
  assert.deepEqual(b.frames, frames);
});

test('the device is for one, and left as it was found', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'stty')) return;
  const line = await openPtyPair(t);
  const settings = (): string => {
    const { stdout, stderr } = spawnSync('stty', ['-F', line.a, '-a'], { encoding: 'utf8' });
    return stdout + stderr;
  };
  spawnSync('stty', ['-F', line.a, '19200', 'echo', 'icanon', 'crtscts']);
  const before = settings();
  assert.match(before, /speed 19200.* icanon/s);
  // Any speed, also those for which there is no name.
  const plug = await openPlug(`vdesl://${line.a}[speed=123456]`);
  await assert.rejects(openPlug(`vdesl://${line.a}`), /cannot use .* as a line \(flock: EAGAIN\)\. Another program/);
  await plug.close();
  await plug.close();
  assert.equal(settings(), before);
  await (await openPlug(`vdesl://${line.a}`)).close();
});

test('the device is free again however its user ended', { timeout: 60_000 }, async (t) => {
  if (process.geteuid?.() === 0) return t.skip('root may open what is nobody else to');
  const line = await openPtyPair(t);
  const argv = [ours('vdens'), `vdesl://${line.a}`, 'sh', '-c', 'echo ready; sleep 60'];
  const running = await spawnBackground(t, argv);
  await running.waitForOutput(/ready/, 15_000);
  const isTaken = (): Promise<boolean> =>
    openPlug(`vdesl://${line.a}`).then(
      async (plug) => {
        await plug.close();
        return false;
      },
      () => true,
    );
  assert.ok(await isTaken());
  running.kill('SIGKILL');
  await waitFor(async () => !(await isTaken()), 10_000, 'its end');
});

test('who hangs up is said, and the line heals when the device is back', { timeout: 60_000 }, async (t) => {
  const device = join(makeTemporaryDirectory(t), 'tty');
  const first = await openPtyPair(t);
  symlinkSync(first.a, device);
  const plug = await open(t, `vdesl://${device}`);
  await first.hangUp();
  unlinkSync(device);
  await waitFor(() => plug.said.length >= 2, 15_000, `the news: ${plug.said}`);
  assert.equal(plug.said[0], 'down: the line was hung up, or the device is gone');
  assert.match(plug.said[1]!, /^trouble: .*cannot use .* as a line \(open: ENOENT\)\. Is it plugged in\?/);
  plug.send(batchOf([testFrame(1, 60)]));
  assert.equal(plug.counters.sent.drops.down, 1);
  const second = await openPtyPair(t);
  symlinkSync(second.a, device);
  await waitFor(() => plug.said.at(-1) === 'up', 15_000, 'its return');
  const other = await open(t, `vdesl://${second.b}`);
  plug.send(batchOf([testFrame(2, 60)]));
  await waitFor(() => other.frames.length === 1, 5000, 'a frame');
});

test('what is no line is refused in words', async () => {
  await assert.rejects(
    openPlug('vdesl:///dev/null'),
    /cannot use \/dev\/null as a line \(ioctl: ENOTTY\)\. It is no serial device/,
  );
  await assert.rejects(openPlug('vdesl:///dev/no-such'), /\(open: ENOENT\)\. Is it plugged in\?/);
  await assert.rejects(openPlug('vdesl://'), /no device is named\. Write, for example, vdesl:\/\/\/dev\/ttyUSB0/);
  for (const speed of ['fast', '0', '5000000', ''])
    await assert.rejects(
      openPlug(`vdesl:///dev/null[speed=${speed}]`),
      /is not a number from 50 to 4000000.*\[speed=115200\]/,
    );
});

test('two namespaces, one at each end of the cable', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const line = await openPtyPair(t);
  const network = (device: string): string => `vdesl://${device}[speed=1000000]`;
  const peer = [ours('vdens'), '--address', '10.67.0.1/24', network(line.a), 'sh', '-c', 'echo ready; sleep 60'];
  await (await spawnBackground(t, peer)).waitForOutput(/ready/, 15_000);
  const argv = [
    ours('vdens'),
    '--address',
    '10.67.0.2/24',
    network(line.b),
    'ping',
    '-c',
    '3',
    '-s',
    '1400',
    '-W',
    '5',
    '10.67.0.1',
  ];
  const { status, stdout, stderr } = await runCommand(argv);
  assert.equal(status, 0, `${stdout}${stderr}`);
});
