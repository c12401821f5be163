/**
 * The suite on ports of switches: with JavaScript at the other end, over a cable between two switches, and with a
 * socket or a TAP interface there, which the thread serves.
 *
 * ```
 * suite ── port ══ switch ══ port ── suite
 * suite ── port ══ switch ══ port ── cable ── port ══ switch ══ port ── suite
 * suite ── port ══ switch ══ port ── cable ── socket, TAP ── suite
 * ```
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { batchOf } from '../../src/frames/batch.ts';
import { segmentFrames } from '../../src/frames/segment.ts';
import { cable, createSwitch, type Plug, type Switch, type SwitchPort } from '../../src/index.ts';
import { SocketEnd } from '../fixtures/socket-end.ts';
import { openTapHost } from '../fixtures/tap-host.ts';
import { original, requireCommands, waitFor } from '../interop/harness.ts';
import { batchWith, noOffload } from '../unit/frames/native-frames.ts';
import type { FarEnd, Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';
import { superFrame, testFrame, testFrames, wrongOffloads } from './test-frames.ts';

/** JavaScript at a port; it leaves by closing the switches, because nobody is told that somebody else's port closed. */
function programAt(port: SwitchPort, switches: readonly Switch[]): FarEnd {
  const arrived: Uint8Array[] = [];
  port.start((batch) => {
    for (let i = 0; i < batch.count; i++) arrived.push(batch.frame(i).slice());
    return true;
  });
  return {
    take: () => arrived.splice(0),
    send: (frames) => port.send(batchOf(frames)),
    stopReading: () => port.pause(),
    startReading: () => port.resume(),
    leave: () => closeAll(switches),
  };
}

/** Closing the plug closes the rest of the line as well. */
function lineOf(t: TestContext, plug: Plug, far: FarEnd, releases: readonly AsyncDisposable[]): Line {
  const close = plug.close.bind(plug);
  plug.close = async () => {
    await close();
    await closeAll(releases);
  };
  t.after(() => plug.close());
  return { plug, far };
}

async function closeAll(things: readonly AsyncDisposable[]): Promise<void> {
  for (const thing of things) await thing[Symbol.asyncDispose]();
}

const waits = { name: 'stall', reason: 'between two ports, a program may take as long as it likes' } as const;
const leavesOffload = { name: 'no-frames', reason: 'a switch leaves offload headers to who reads them' } as const;
const countsThere = { name: 'stall', reason: 'what is not taken is counted where it waits: at the socket' } as const;
const taken = 'the kernel takes a frame at once, or drops it';

const port: PlugKind = {
  name: 'a port of a switch',
  burst: 300,
  skips: [waits, leavesOffload],
  async open(t) {
    const lan = createSwitch();
    const plug = lan.port();
    return lineOf(t, plug, programAt(lan.port(), [lan]), [lan]);
  },
};

const hubPort: PlugKind = {
  name: 'a port of a hub with three',
  burst: 300,
  skips: [waits, leavesOffload, { name: 'drain', reason: 'what is for several ports waits for none of them' }],
  async open(t) {
    const hub = createSwitch({ hub: true });
    const plug = hub.port();
    hub.port().start(() => true);
    return lineOf(t, plug, programAt(hub.port(), [hub]), [hub]);
  },
};

const cabled: PlugKind = {
  name: 'a port, over a cable between two switches',
  burst: 300,
  skips: [waits, leavesOffload],
  async open(t) {
    const lans = [createSwitch({ label: 'one' }), createSwitch({ label: 'two' })] as const;
    const plug = lans[0].port();
    cable(lans[0].port(), lans[1].port());
    return lineOf(t, plug, programAt(lans[1].port(), lans), lans);
  },
};

/** How many frames of 1514 bytes the buffer of a connected socket holds. */
const SOCKET_BURST = 50;

function withSocket(protocol: 'datagram' | 'seqpacket'): PlugKind {
  return {
    name: `a port, with a ${protocol} socket at another`,
    burst: SOCKET_BURST,
    skips: [countsThere, leavesOffload],
    async open(t) {
      const lan = createSwitch();
      const plug = lan.port();
      const end = new SocketEnd(protocol, 1518);
      lan.attach(end.plug);
      assert.equal(lan.ports[1]!.kind, 'socket');
      let isReading = true;
      const far = {
        take: () => (isReading ? end.take() : []),
        send: (frames: readonly Uint8Array[]) => {
          for (const frame of frames) end.send(frame);
        },
        stopReading: () => {
          isReading = false;
        },
        startReading: () => {
          isReading = true;
        },
        leave: () => lan.close(),
      };
      return lineOf(t, plug, far, [end, lan]);
    },
  };
}

const withTap: PlugKind = {
  name: 'a port, with a TAP interface at another',
  burst: 50,
  hasOtherTraffic: true,
  cycles: 8,
  skips: [{ name: 'drain', reason: taken }, { name: 'stall', reason: taken }, leavesOffload],
  async open(t) {
    const lan = createSwitch();
    const plug = lan.port();
    const host = await openTapHost();
    lan.attach(host.plug);
    assert.equal(lan.ports[1]!.kind, 'tap');
    const far = { ...host.far, leave: () => lan.close() };
    return lineOf(t, plug, far, [{ [Symbol.asyncDispose]: () => host.close() }, lan]);
  },
};

for (const kind of [port, hubPort, cabled, withSocket('datagram'), withSocket('seqpacket')]) describePlug(kind);
describePlug(withTap, original('ip') === undefined && 'not installed: ip');

test('a port drops and counts what has not the length of a frame, and hands over the rest with its offload headers', async () => {
  await using lan = createSwitch();
  const [from, to] = [lan.port(), lan.port()];
  const arrived: string[] = [];
  to.start((batch) => {
    for (let i = 0; i < batch.count; i++) arrived.push(`${batch.frameLength(i)} ${batch.offload(i).gsoSize}`);
    return true;
  });
  const plain = (length: number): Uint8Array => new Uint8Array(length).fill(0xff);
  const frames = [0, 13, 14, 65_600, 65_601].map((length) => ({ frame: plain(length), offload: noOffload }));
  from.send(batchWith([...frames, { frame: plain(60), offload: { ...noOffload, gsoType: 77, gsoSize: 9 } }]));
  assert.deepEqual(arrived, ['14 0', '65600 0', '60 9']);
  assert.deepEqual(from.counters.sent.drops, { 'too-short': 2, 'too-long': 1 });
  assert.equal(from.counters.sent.frames, 3);
  assert.equal(to.counters.received.frames, 3);
});

test('a super-frame that is wrong is counted at the interface, which goes on to take whole ones', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  await using lan = createSwitch();
  const from = lan.port();
  const host = await openTapHost();
  t.after(() => host.close());
  lan.attach(host.plug);
  const wrong = wrongOffloads
    .map((offload) => batchWith([{ frame: testFrame(8, 600), offload }]))
    .filter((batch) => segmentFrames(batch, 1518).malformed > 0);
  for (const batch of wrong) from.send(batch);
  const { drops } = host.plug.counters.sent;
  assert.ok((drops.malformed ?? 0) > 0 && drops.refused === undefined, JSON.stringify(drops));
  const made = superFrame(true, false, 8000, 1400);
  from.send(batchWith([made]));
  const lengths: number[] = [];
  const arrived = (): boolean => {
    lengths.push(...host.far.take().map(({ length }) => length));
    return lengths.includes(made.frame.length);
  };
  await waitFor(arrived, 3000, 'the super-frame').catch(() => assert.fail(`frames of ${lengths} bytes`));
});

test('who sends to a paused port alone waits for it; a third port ends that', { timeout: 10_000 }, async () => {
  await using lan = createSwitch();
  const [from, to] = [lan.port(), lan.port()];
  let drains = 0;
  from.start(() => true, { drain: () => void drains++ });
  to.start(() => true);
  to.pause();
  for (let sent = 0; !from.busy; sent += 20) from.send(batchOf(testFrames(sent, 20)));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual([from.busy, drains], [true, 0]);
  const third = lan.port();
  third.start(() => true);
  await waitFor(() => !from.busy && drains > 0, 5000, 'room');
  assert.equal(drains, 1);
  from.send(batchOf([testFrame(9999, 60)]));
  assert.equal(third.counters.received.frames, 1);
});
