/** `seqpacket://N`: in this process, given to ours and to the originals, and as the originals' static library does it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { batchOf, openPlug } from '../../src/index.ts';
import { native } from '../../src/system/native.ts';
import { SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from '../../src/system/unix-address.ts';
import { testFrame, testFrames } from '../conformance/test-frames.ts';
import { makeTemporaryDirectory, original, ours, requireCommands, waitFor } from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';
import { startStreamClient } from '../interop/stream-client.ts';

/** Numbers that this process took: it takes none twice. */
const used = new Set<number>();

function openPair(t: TestContext, type: number): { given: number; far: number } {
  const ends = new Int32Array(2);
  assert.equal(native.openSocketPair(type, ends), 0);
  const [given = -1, far = -1] = ends;
  t.after(() => void native.closeDescriptor(far));
  if (!used.has(given)) {
    used.add(given);
    return { given, far };
  }
  t.after(() => void native.closeDescriptor(given));
  return openPair(t, type);
}

function take(fd: number): Uint8Array[] {
  const buffer = new Uint8Array(65_600);
  const frames: Uint8Array[] = [];
  for (let length = native.receive(fd, buffer); length > 0; length = native.receive(fd, buffer))
    frames.push(buffer.slice(0, length));
  return frames;
}

interface Program {
  isOver(): boolean;
  errors(): string;
}

/** Starts a program that has the descriptor as its own number 5, and lets go of ours. */
function give(t: TestContext, fd: number, argv: readonly string[]): Program {
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'ignore', fd] });
  native.closeDescriptor(fd);
  let [errors, isOver] = ['', false];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text) => {
      errors += String(text);
    });
  }
  child.on('exit', () => {
    isOver = true;
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await waitFor(() => isOver, 5000, 'its end');
  });
  return { isOver: () => isOver, errors: () => errors };
}

for (const [name, type] of [
  ['seqpacket', SOCK_SEQPACKET],
  ['datagram', SOCK_DGRAM],
] as const) {
  test(`frames go both ways over a pair of ${name} sockets, and its end is said`, async (t) => {
    const { given, far } = openPair(t, type);
    const plug = await openPlug(`seqpacket://${given}`);
    t.after(() => plug.close());
    const said: string[] = [];
    let heard = 0;
    const receive = ({ count }: { readonly count: number }): void => {
      heard += count;
    };
    plug.start(receive, { down: (reason) => said.push(reason) });
    const frames = testFrames(0, 5);
    plug.send(batchOf(frames));
    assert.deepEqual(take(far), frames);
    for (const frame of frames) native.send(far, frame);
    await waitFor(() => heard === 5, 5000, 'the frames');
    assert.equal(plug.heals, false);
    native.closeDescriptor(far);
    // A datagram socket tells of it only to who sends.
    const isSaid = (): boolean => {
      if (type === SOCK_DGRAM) plug.send(batchOf([testFrame(9, 60)]));
      return said.length > 0;
    };
    await waitFor(isSaid, 5000, 'the news');
    assert.deepEqual(said, ['who has the other end of the socket closed it']);
  });
}

test('what is no connected socket of packets is refused in words', async (t) => {
  const { given, far } = openPair(t, SOCK_STREAM);
  await assert.rejects(
    openPlug(`seqpacket://${given}`),
    /is a stream, in which frames would run together \(EPROTOTYPE\)\./,
  );
  native.closeDescriptor(given);
  const pipe = new Int32Array(2);
  native.openPipe(pipe);
  await assert.rejects(openPlug(`seqpacket://${pipe[0]}`), /is no socket \(ENOTSOCK\)\. Give us one end/);
  for (const fd of pipe) native.closeDescriptor(fd);
  const alone = native.openSocket(1, SOCK_DGRAM, 0);
  await assert.rejects(openPlug(`seqpacket://${alone}`), /is connected to nobody \(ENOTCONN\)/);
  native.closeDescriptor(alone);
  await assert.rejects(openPlug('seqpacket://900'), /descriptor 900 is not open \(EBADF\)\. Whoever starts us/);
  for (const word of ['', '-1', 'x', '5x', '99999999999'])
    await assert.rejects(openPlug(`seqpacket://${word}`), /is not the number of a descriptor\. Write/, word);
  assert.ok(far > 0);
});

test('a descriptor is taken once, in a network that is opened again, too', async (t) => {
  const { given, far } = openPair(t, SOCK_SEQPACKET);
  const plug = await openPlug(`restart://1{seqpacket://${given}}`);
  t.after(() => plug.close());
  const said: string[] = [];
  plug.start(() => undefined, { trouble: ({ message }) => said.push(message) });
  await assert.rejects(openPlug(`seqpacket://${given}`), /was taken already, and can be taken once only \(EBUSY\)\./);
  native.closeDescriptor(far);
  // Somebody else's by now, perhaps.
  await waitFor(() => said.length > 0, 10_000, 'the refusal');
  assert.match(said[0]!, new RegExp(`^seqpacket://${given}: descriptor ${given} was taken already`));
});

test('a cable has two ends', async (t) => {
  const { given, far } = openPair(t, SOCK_SEQPACKET);
  const program = give(t, given, [ours('vde_plug'), 'seqpacket://5', 'seqpacket://5']);
  await waitFor(() => program.isOver(), 15_000, 'its end');
  assert.match(program.errors(), /descriptor 5 was taken already/);
  assert.ok(far > 0);
});

test('as the static library of the originals starts it: frames reach a switch, and it ends with its caller', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
  const lan = await startSwitch(t);
  const client = await startStreamClient(t, [original('vde_plug')!, lan.path]);
  const { given, far } = openPair(t, SOCK_SEQPACKET);
  const options = ['--descr', 'static', '--port2', '7', '--mod2', '0700'];
  const program = give(t, given, [ours('vde_plug'), ...options, 'seqpacket://5', lan.path]);
  const heard = (): boolean => {
    native.send(far, testFrame(1, 100));
    return client.take().length > 0;
  };
  await waitFor(heard, 10_000, `a frame on the switch: ${program.errors()}`);
  assert.match(await lan.command('port/print 7'), /static user=/);
  await waitFor(
    () => {
      client.send([testFrame(2, 100, 2)]);
      return take(far).length > 0;
    },
    10_000,
    'a frame from it',
  );
  native.closeDescriptor(far);
  await waitFor(() => program.isOver(), 10_000, 'its end');
});

for (const [first, second] of [
  ['ours', 'original'],
  ['original', 'ours'],
] as const) {
  test(`a pair of sockets between ${first} and ${second}`, async (t) => {
    if (!requireCommands(t, 'vde_plug')) return;
    const { given, far } = openPair(t, SOCK_SEQPACKET);
    const program = (kind: string): string => (kind === 'ours' ? ours('vde_plug') : original('vde_plug')!);
    const folder = makeTemporaryDirectory(t);
    const [left, right] = [join(folder, 'left'), join(folder, 'right')];
    give(t, given, [program(first), 'seqpacket://5', `hub://${left}`]);
    const copy = new Int32Array(1);
    copy[0] = far;
    give(t, copy[0], [program(second), 'seqpacket://5', `hub://${right}`]);
    for (const path of [left, right]) await waitFor(() => existsSync(join(path, 'ctl')), 10_000, path);
    const a = await startStreamClient(t, [ours('vde_plug'), left]);
    const b = await startStreamClient(t, [ours('vde_plug'), right]);
    const isThrough = (from: typeof a, to: typeof a) => (): boolean => {
      from.send([testFrame(1, 200)]);
      return to.take().length > 0;
    };
    await waitFor(isThrough(a, b), 10_000, 'a frame to the right');
    await waitFor(isThrough(b, a), 10_000, 'a frame to the left');
  });
}

test('a command in a vdens does not get the socket', async (t) => {
  if (!requireCommands(t, 'ls')) return;
  const { given, far } = openPair(t, SOCK_SEQPACKET);
  const program = give(t, given, [ours('vdens'), 'seqpacket://5', 'sh', '-c', 'ls /proc/self/fd; echo over']);
  await waitFor(() => program.errors().includes('over'), 15_000, `the command: ${program.errors()}`);
  assert.doesNotMatch(program.errors(), /^5$/m);
  assert.ok(far > 0);
});

test('a vdens does not wait for what does not come back', async (t) => {
  const { given, far } = openPair(t, SOCK_SEQPACKET);
  const program = give(t, given, [ours('vdens'), 'seqpacket://5', 'sh', '-c', 'echo ready; sleep 60']);
  await waitFor(() => program.errors().includes('ready'), 15_000, `the command: ${program.errors()}`);
  native.closeDescriptor(far);
  await waitFor(() => /closed it/.test(program.errors()), 10_000, `the news: ${program.errors()}`);
  assert.match(program.errors(), /^vdens: vde0: seqpacket:\/\/5: who .* closed it; it does not come back by itself$/m);
});
