/**
 * Networks over UDP and what anybody may throw at them, with real sockets on the loopback interface: nothing that is
 * wrong gets in, all of it is counted by reason, and good frames go on.
 *
 *     good plug ═══ plug under test ═══ UdpHand (packets by hand)
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { batchOf, openPlug } from '../../src/index.ts';
import { TunnelPlug } from '../../src/overlay/tunnel-plug.ts';
import { headerOf } from '../../src/overlay/vxlan.ts';
import { isTestFrame, testFrame } from '../conformance/test-frames.ts';
import { freePort, UdpHand } from '../fixtures/udp-hand.ts';
import { waitFor } from '../interop/harness.ts';

const LIMIT = { timeout: 60_000 };
const VNI = 77;
const header = headerOf(VNI);
const LONGEST_PAYLOAD = 65_507;
/** What a socket's buffer takes at once, where the system gives the usual 208 KiB. */
const CHUNK_BYTES = 60_000;
const CHUNK_PACKETS = 80;
const TABLE = 1024;
const MAX_ENDPOINTS = 4096;

type Scheme = 'vxvde' | 'vxlan';

/** The same numbers in every run (a linear congruential generator). */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }
}

/** One of ours, and what arrived there. */
class Station {
  readonly plug: TunnelPlug;
  readonly frames: Uint8Array[] = [];

  private constructor(plug: TunnelPlug) {
    this.plug = plug;
    plug.start((batch) => {
      for (let i = 0; i < batch.count; i++) {
        if (isTestFrame(batch.frame(i))) this.frames.push(batch.frame(i).slice());
      }
      return true;
    });
  }

  static async open(
    t: TestContext,
    scheme: Scheme,
    port: number,
    peers: readonly number[],
    vni = VNI,
  ): Promise<Station> {
    const list = peers.map((peer) => `/peer=127.0.0.1:${peer}`).join('');
    const plug = await openPlug(`${scheme}:///port=${port}/bind=127.0.0.1/vni=${vni}${list}`);
    assert.ok(plug instanceof TunnelPlug);
    t.after(() => plug.close());
    return new Station(plug);
  }

  /** Packets that came, whatever became of them. */
  get count(): number {
    const { frames, drops } = this.plug.counters.received;
    return Object.values(drops).reduce((sum, dropped) => sum + dropped, frames);
  }

  /** The numbers in the frames. */
  numbers(): number[] {
    return this.frames.map((frame) => new DataView(frame.buffer).getUint32(14));
  }

  send(...frames: readonly Uint8Array[]): void {
    this.plug.send(batchOf(frames));
  }
}

function handTo(t: TestContext, port: number): UdpHand {
  const hand = new UdpHand({ header });
  hand.connect(port);
  t.after(() => hand.close());
  return hand;
}

/** Looks again at once: thousands of packets are waited for. */
async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`no ${what} within 10 s`);
    await turn();
  }
}

/** A frame from one station to another. */
function unicast(to: number, from: number, number: number): Uint8Array {
  const frame = testFrame(number, 60, from);
  frame.set([0x02, 0xfe, 0xd0, 0, 0, to]);
  return frame;
}

type Fate = 'frame' | 'leave' | 'too-short' | 'bad-header' | 'foreign-vni';

/** What is to become of a packet (RFC 7348, section 5; the originals of vxvde:// compare all of the header). */
function fateOf(packet: Uint8Array, isStrict: boolean): Fate {
  if (packet.length < 8) return 'too-short';
  if (packet[0] !== 8) return 'bad-header';
  if (Buffer.compare(packet.subarray(4, 7), header.subarray(4, 7)) !== 0) return 'foreign-vni';
  if (isStrict && Buffer.compare(packet.subarray(0, 8), header) !== 0) return 'bad-header';
  if (isStrict && packet.length === 8) return 'leave';
  return packet.length < 8 + 14 ? 'too-short' : 'frame';
}

/** A packet of so many bytes, with something wrong in its header perhaps. */
function mutant(dice: Dice, length: number): Uint8Array {
  const packet = new Uint8Array(length);
  packet.set(header.subarray(0, length));
  for (let at = 8; at < Math.min(length, 40); at++) packet[at] = dice.below(256);
  // Not what the suite counts as its own, and no group as the sender.
  if (length > 20) packet.set([0x02, dice.below(4)], 14);
  for (let changes = dice.below(3); changes > 0 && length > 0; changes--)
    packet[dice.below(Math.min(length, 8))] = dice.below(2) === 0 ? dice.below(256) : 1 << dice.below(8);
  return packet;
}

function lengthOf(dice: Dice): number {
  const kind = dice.below(10);
  if (kind < 4) return dice.below(40);
  return kind < 9 ? dice.below(1600) : dice.below(9000);
}

function* lengths(dice: Dice): Generator<number> {
  for (let length = 0; length < 3000; length++) yield length;
  for (let length = 3000; length < LONGEST_PAYLOAD; length += 101) yield length;
  for (let length = LONGEST_PAYLOAD - 20; length <= LONGEST_PAYLOAD; length++) yield length;
  for (let count = 0; count < 90_000; count++) yield lengthOf(dice);
}

for (const scheme of ['vxvde', 'vxlan'] as const) {
  test(
    `${scheme}://: 100,000 packets that may be wrong are counted by reason, and good frames go on`,
    LIMIT,
    async (t) => {
      const [here, there] = [freePort(), freePort()];
      const tested = await Station.open(t, scheme, here, [there]);
      const good = await Station.open(t, scheme, there, [here]);
      const hand = handTo(t, here);
      const dice = new Dice(1);
      const fates: Record<Fate, number> = { frame: 0, leave: 0, 'too-short': 0, 'bad-header': 0, 'foreign-vni': 0 };
      let [packets, bytes, number] = [0, 0, 0];
      const settle = async (): Promise<void> => {
        const expected = Object.values(fates).reduce((sum, count) => sum + count, 0) - fates.leave;
        await until(() => tested.count >= expected, `${expected} packets, only ${tested.count}`);
        [packets, bytes] = [0, 0];
      };
      for (const length of lengths(dice)) {
        if (packets === CHUNK_PACKETS || bytes + length > CHUNK_BYTES) {
          if (dice.below(10) === 0) {
            good.send(testFrame(number, 1000, 1));
            tested.send(testFrame(number++, 1000, 2));
            fates.frame++;
          }
          await settle();
        }
        const packet = mutant(dice, length);
        assert.ok(hand.sendPacket(packet), `a packet of ${length} bytes`);
        fates[fateOf(packet, scheme === 'vxvde')]++;
        packets++;
        bytes += length;
      }
      await settle();
      const { received } = tested.plug.counters;
      const { frame, leave: _, ...drops } = fates;
      assert.deepEqual({ frames: received.frames, ...received.drops }, { frames: frame, ...drops });
      const all = Array.from({ length: number }, (_, index) => index);
      assert.ok(number > 50);
      await waitFor(() => good.frames.length >= number, 5000, 'the last good frame');
      assert.deepEqual([tested.numbers(), good.numbers()], [all, all]);
      assert.ok(tested.plug.tunnel.stations().length <= TABLE);
    },
  );
}

test('packets that the kernel cuts and joins are judged one by one', LIMIT, async (t) => {
  const here = freePort();
  const tested = await Station.open(t, 'vxvde', here, [freePort()]);
  const hand = handTo(t, here);
  if (!hand.setSegment(100)) return t.skip('this kernel has no UDP_SEGMENT');
  const dice = new Dice(2);
  const expected: Partial<Record<Fate, number>> = {};
  for (let round = 0; round < 2000; round++) {
    const segment = 1 + dice.below(400);
    const count = 1 + dice.below(Math.min(60, Math.floor(CHUNK_BYTES / segment)));
    const parts = Array.from({ length: count }, (_, index) =>
      mutant(dice, index === count - 1 ? 1 + dice.below(segment) : segment),
    );
    hand.setSegment(segment);
    assert.ok(hand.sendPacket(Buffer.concat(parts)));
    for (const part of parts) {
      const fate = fateOf(part, true);
      expected[fate] = (expected[fate] ?? 0) + 1;
    }
    const { leave = 0, ...counted } = expected;
    const sum = Object.values(counted).reduce((total, one) => total + one, 0);
    await until(() => tested.count >= sum, `${sum} packets, ${leave} of them leaving`);
  }
  const { frames, drops } = tested.plug.counters.received;
  const { frame, leave: _, ...wrong } = expected;
  assert.deepEqual({ frames, ...drops }, { frames: frame, ...wrong });
});

test('10,000 forged senders from 5,000 ports: what is known stays bounded, and good frames go on', LIMIT, async (t) => {
  const [here, there] = [freePort(), freePort()];
  const tested = await Station.open(t, 'vxvde', here, [there]);
  const good = await Station.open(t, 'vxvde', there, [here]);
  let number = 0;
  let expected = 0;
  for (let port = 0; port < 5000; port++) {
    const hand = new UdpHand({ header });
    hand.connect(here);
    for (let mac = 0; mac < 2; mac++) {
      const frame = testFrame(0, 60);
      frame.set([0x06, 0, 0, 0, port >> 7, ((port & 127) << 1) | mac], 6);
      hand.send([frame]);
      expected++;
    }
    hand.close();
    if (port % 40 !== 39) continue;
    good.send(unicast(2, 1, number));
    tested.send(unicast(1, 2, number++));
    expected++;
    await until(() => tested.count >= expected, `${expected} packets, only ${tested.count}`);
  }
  await waitFor(() => good.frames.length >= number, 5000, 'the last good frame');
  const all = Array.from({ length: number }, (_, index) => index);
  assert.deepEqual([tested.numbers(), good.numbers()], [all, all]);
  const stations = tested.plug.tunnel.stations();
  assert.ok(stations.length > TABLE / 4 && stations.length <= TABLE, `${stations.length} stations`);
  const endpoints = new Set(stations.map(({ endpoint }) => endpoint.port));
  assert.ok(endpoints.size <= MAX_ENDPOINTS);
});

/** Says who is known to be where, by the last byte of the address. */
function known({ plug }: Station): Record<number, number> {
  return Object.fromEntries(plug.tunnel.stations().map(({ mac, endpoint }) => [mac[5]!, endpoint.port]));
}

test(
  'a station that moves is followed at once, ages, and is forgotten when its host leaves, not when others do',
  LIMIT,
  async (t) => {
    const here = freePort();
    const [one, other, stranger] = [handTo(t, here), handTo(t, here), handTo(t, here)];
    const tested = await Station.open(t, 'vxvde', here, [one.port, other.port]);
    const heard = async (hand: UdpHand, mac: number): Promise<void> => {
      const before = tested.frames.length;
      hand.send([testFrame(before, 60, mac)]);
      await until(() => tested.frames.length > before, 'frame');
    };
    await heard(one, 5);
    await heard(other, 6);
    assert.deepEqual(known(tested), { 5: one.port, 6: other.port });
    await heard(other, 5);
    tested.send(unicast(5, 9, 1));
    await waitFor(() => other.takePackets().length === 1, 3000, 'the packet at the new place');
    assert.deepEqual([known(tested), one.takePackets().length], [{ 5: other.port, 6: other.port }, 0]);

    await heard(one, 5);
    for (let i = 0; i < 100; i++) stranger.sendPacket(header);
    await heard(one, 7);
    assert.deepEqual(known(tested), { 5: one.port, 6: other.port, 7: one.port });
    other.sendPacket(header);
    await heard(one, 7);
    assert.deepEqual(known(tested), { 5: one.port, 7: one.port });

    tested.plug.tunnel.advanceClock(127_000);
    assert.equal(Object.keys(known(tested)).length, 2);
    await heard(one, 7);
    tested.plug.tunnel.advanceClock(2000);
    assert.deepEqual(known(tested), { 7: one.port });
  },
);

test('what is for all goes once to each peer, in order, and what came from one peer to none', LIMIT, async (t) => {
  const here = freePort();
  const hands = [handTo(t, here), handTo(t, here), handTo(t, here)];
  const tested = await Station.open(
    t,
    'vxvde',
    here,
    hands.map(({ port }) => port),
  );
  const frames = Array.from({ length: 40 }, (_, index) => testFrame(index, 60 + ((index * 331) % 1400)));
  tested.send(...frames);
  for (const hand of hands) {
    const arrived: Uint8Array[] = [];
    await waitFor(() => arrived.push(...hand.take()) >= frames.length, 3000, 'all frames');
    assert.deepEqual(arrived, frames);
  }
  assert.equal(tested.plug.counters.sent.frames, frames.length, 'each counts once');
  hands[0]!.send([testFrame(50, 60, 7)]);
  await until(() => tested.frames.length === 1, 'frame');
  tested.send(testFrame(51, 60, 8));
  for (const hand of hands) {
    await waitFor(() => hand.take().length === 1, 3000, 'the frame after it, and no other');
  }
});

test('50 networks share a port; some are closed while frames come', LIMIT, async (t) => {
  const [here, there] = [freePort(), freePort()];
  const vnis = Array.from({ length: 50 }, (_, index) => index + 1);
  const near = await Promise.all(vnis.map((vni) => Station.open(t, 'vxlan', here, [there], vni)));
  const far = await Promise.all(vnis.map((vni) => Station.open(t, 'vxlan', there, [here], vni)));
  await assert.rejects(Station.open(t, 'vxlan', here, [there], 7), { code: 'ERR_NETWORK_OPEN' });
  const rounds = 40;
  const isOpen = (index: number, round: number): boolean => index % 3 !== 0 || round <= index % 20;
  let sent = 0;
  for (let round = 0; round < rounds; round++) {
    for (const [index, station] of near.entries()) {
      if (isOpen(index, round)) sent++;
      else await station.plug.close();
      if (isOpen(index, round)) station.send(testFrame(1000 * (index + 1) + round, 200));
    }
    const arrived = (): number => far.reduce((sum, { frames }) => sum + frames.length, 0);
    await until(() => arrived() >= sent, `${sent} frames, only ${arrived()}`);
  }
  for (const [index, station] of far.entries()) {
    const numbers = Array.from({ length: rounds }, (_, round) => round).filter((round) => isOpen(index, round));
    assert.deepEqual(
      station.numbers(),
      numbers.map((round) => 1000 * (index + 1) + round),
    );
    // The others are counted where they are not wanted.
    assert.deepEqual(Object.keys(station.plug.counters.received.drops), []);
  }
});
