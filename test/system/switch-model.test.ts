/**
 * The switch against a slow and obvious one, over random networks and random frames.
 *
 *     port ── switch ── cable ── hub ── port       each frame sent at a port is sent through a model of the
 *              │                  └──── socket     network, too: what arrives where, and what every port
 *            socket                                counted, has to be the same
 *
 * `VDENS_TEST_SEED` repeats a run, `VDENS_TEST_STEPS` makes it longer or shorter.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrameBatch, OffloadHeader } from '../../src/frames/batch.ts';
import type { JoinedFrame } from '../../src/frames/join.ts';
import { segmentFrames } from '../../src/frames/segment.ts';
import { cable, createSwitch, type Switch, type SwitchPort } from '../../src/index.ts';
import { offloadText, Random, randomFrame } from '../fixtures/random-frames.ts';
import { isFrame, ReferenceSwitch } from '../fixtures/reference-switch.ts';
import { SocketEnd } from '../fixtures/socket-end.ts';
import { batchWith, noOffload } from '../unit/frames/native-frames.ts';

const EXPIRE_SECONDS = 120;
/** So large that no address has to go for another. */
const TABLE_SIZE = 65_536;
const SOCKET_FRAME_BYTES = 1518;
const PLAIN_OFFLOAD = '0 0 0';
const SETTLE_MS = 20_000;

/** A frame as it was delivered: its offload header and its bytes. */
interface Delivered {
  readonly offload: string;
  readonly bytes: Uint8Array;
}

/** A port of the network and of its model. */
interface Place {
  /** What the model calls it. */
  readonly id: number;
  readonly node: Node;
  readonly port: SwitchPort;
  /** What has to arrive there and has not yet. */
  readonly expected: Delivered[];
  /** The socket behind it, when it is one. */
  readonly socket: SocketEnd | undefined;
  /** The other end of the cable that is plugged in there, if one is. */
  cabledTo: Place | undefined;
  /** What its counters have to say: frames that came in, and that left. */
  entered: number;
  left: number;
}

interface Node {
  readonly real: Switch;
  readonly model: ReferenceSwitch;
  readonly places: Place[];
  /** Frames for the bridge itself that it handed over. */
  controlFrames: number;
}

/** VLANs that ports are in: among those that frames have. */
const VLANS = [0, 1, 5, 1029, 4094];
/** Between those by which clocks go ahead. */
const PERSIST_SECONDS = 35;
const FIRST_SHARED_NUMBER = 1000;
const BRIDGES = [1, 0x80, 0xc2, 0, 0, 0];

/** A network and its model. */
class World {
  readonly #random: Random;
  readonly #hasSockets: boolean;
  readonly #nodes: Node[] = [];
  #nextId = 1;
  #mismatch: string | undefined;

  constructor(random: Random, hasSockets: boolean) {
    this.#random = random;
    this.#hasSockets = hasSockets;
    for (let i = random.below(4); i >= 0; i--) this.#addNode();
    for (let i = 2 + random.below(11); i > 0; i--) this.#addEnd();
  }

  /** Sends a batch, or changes something; then compares. Returns how many frames were sent. */
  async step(): Promise<number> {
    const random = this.#random;
    if (random.oneIn(60)) this.#change();
    const ends = this.#ends();
    if (ends.length === 0) return 0;
    const frames = this.#randomFrames();
    const from = random.pick(ends);
    for (const { frame, offload } of frames) this.#expect(from, frame, offload);
    if (from.socket === undefined) from.port.send(batchWith(frames));
    else for (const { frame } of frames) assert.ok(from.socket.send(frame), 'there is room for a frame');
    await this.#settle();
    return frames.length;
  }

  /** Everything the switches know is what the models know. */
  compareTables(): void {
    for (const { real, model, places } of this.#nodes) {
      const known = real.forwardingTable.map(({ mac, vlan, port }) => [`${mac}/${vlan}`, port] as const);
      const numbers = new Map(places.map(({ id, port }) => [id, port.number]));
      const expected = [...model.stations].map(([station, id]) => [station, numbers.get(id)] as const);
      assert.deepEqual(new Map(known), new Map(expected), real.label);
      assert.equal(known.length, model.stations.size);
    }
  }

  async close(): Promise<void> {
    for (const { real, places } of this.#nodes) {
      for (const { socket } of places) await socket?.[Symbol.asyncDispose]();
      await real.close();
    }
  }

  #ends(): Place[] {
    return this.#nodes.flatMap(({ places }) => places).filter(({ cabledTo }) => cabledTo === undefined);
  }

  #randomFrames(): JoinedFrame[] {
    const random = this.#random;
    const most = random.oneIn(12) ? (this.#hasSockets ? 40 : 200) : 4;
    const kinds = this.#hasSockets
      ? { longest: 1600, hasAnyOffload: false }
      : { longest: random.oneIn(30) ? 65_601 : 3000, hasAnyOffload: true };
    const frames = Array.from({ length: 1 + random.below(most) }, () => randomFrame(random, kinds));
    // A socket carries plain frames only, and an empty packet may be an end.
    // What comes behind the first of these at a port may or may not pass: that depends on when it is looked at.
    const last = frames.at(-1)?.frame;
    if (last !== undefined && last.length >= 14 && random.oneIn(10)) last.set(BRIDGES);
    return this.#hasSockets ? frames.filter(({ frame }) => frame.length > 0) : frames;
  }

  #addNode(): void {
    const isHub = this.#random.oneIn(4);
    const label = `${isHub ? 'hub' : 'switch'} ${this.#nodes.length}`;
    const real = createSwitch({ label, hub: isHub, tableSize: TABLE_SIZE, expireSeconds: EXPIRE_SECONDS });
    const node: Node = { real, model: new ReferenceSwitch(isHub, EXPIRE_SECONDS), places: [], controlFrames: 0 };
    this.#nodes.push(node);
    if (this.#random.oneIn(2)) this.#makeBridge(node);
    if (this.#nodes.length > 1) this.#cable(this.#random.pick(this.#nodes.slice(0, -1)), node);
  }

  /** More than a plain switch, or another one than before. */
  #makeBridge(node: Node): void {
    const random = this.#random;
    const bridge = {
      tagging: !random.oneIn(3),
      persistSeconds: random.oneIn(2) ? PERSIST_SECONDS : 0,
      control: random.oneIn(2),
    };
    node.model.bridge = bridge;
    const control = bridge.control ? () => void node.controlFrames++ : null;
    node.real.configure({ ...bridge, control });
  }

  #setVlans(place: Place): void {
    const random = this.#random;
    const some = (chances: number): number[] => VLANS.filter(() => random.oneIn(chances));
    const vlans = { untagged: random.oneIn(8) ? undefined : random.pick(VLANS), tagged: some(2), closed: some(8) };
    place.port.setVlans(vlans);
    place.node.model.vlans.set(place.id, vlans);
  }

  #cable(one: Node, other: Node): void {
    const [a, b] = [this.#addPlace(one), this.#addPlace(other)];
    a.cabledTo = b;
    b.cabledTo = a;
    cable(a.port, b.port);
  }

  #addEnd(): void {
    const random = this.#random;
    const node = random.pick(this.#nodes);
    if (!this.#hasSockets || random.oneIn(3)) {
      const place = this.#addPlace(node);
      place.port.start((batch) => this.#arrived(place, batch));
      return;
    }
    const place = this.#addPlace(node, new SocketEnd(random.pick(['datagram', 'seqpacket']), SOCKET_FRAME_BYTES));
    cable(place.socket!.plug, place.port);
    assert.equal(place.port.kind, 'socket');
  }

  #addPlace(node: Node, socket?: SocketEnd): Place {
    const isShared = this.#random.oneIn(5);
    const number = FIRST_SHARED_NUMBER + this.#random.below(2);
    const port = isShared ? node.real.port({ number, shares: true }) : node.real.port();
    const id = this.#nextId++;
    const place: Place = { id, node, port, expected: [], socket, cabledTo: undefined, entered: 0, left: 0 };
    node.model.ports.add(id);
    if (isShared) node.model.groups.set(id, number);
    node.places.push(place);
    if (this.#random.oneIn(2)) this.#setVlans(place);
    return place;
  }

  #removePlace(place: Place): void {
    place.node.model.remove(place.id);
    place.node.places.splice(place.node.places.indexOf(place), 1);
    void place.port.close();
    void place.socket?.[Symbol.asyncDispose]();
  }

  /** Time passes, or somebody comes, leaves, or cuts a cable and lays another. */
  #change(): void {
    const random = this.#random;
    const ends = this.#ends();
    const cabled = this.#nodes.flatMap(({ places }) => places).filter(({ cabledTo }) => cabledTo !== undefined);
    const what = random.below(7);
    if (what === 4) this.#makeBridge(random.pick(this.#nodes));
    else if (what === 5) this.#setVlans(random.pick(this.#nodes.flatMap(({ places }) => places)));
    else if (what === 6) this.#forget(random.pick(this.#nodes.flatMap(({ places }) => places)));
    else if (what === 0) this.#advanceClocks(10 * (1 + random.below(8)));
    else if (what === 1 && ends.length > 2) this.#removePlace(random.pick(ends));
    else if (what === 2 && ends.length < 12) this.#addEnd();
    else if (what === 3 && cabled.length > 0) {
      const one = random.pick(cabled);
      const other = one.cabledTo!;
      this.#removePlace(one);
      this.#removePlace(other);
      this.#cable(one.node, other.node);
    }
  }

  #forget({ id, node, port }: Place): void {
    const vlan = this.#random.pick(VLANS);
    node.real.forget(port, vlan);
    node.model.forget(id, vlan);
  }

  #advanceClocks(seconds: number): void {
    for (const { real, model } of this.#nodes) {
      real.advanceClock(seconds);
      model.advanceClock(seconds);
    }
  }

  /** Sends a frame through the model, from a place inwards. */
  #expect(from: Place, frame: Uint8Array, offload: JoinedFrame['offload']): void {
    // What is behind a socket has no offload headers.
    const header = from.socket === undefined ? offload : noOffload;
    if (isFrame(frame)) from.entered++;
    for (const leaving of from.node.model.forward(from.id, frame)) {
      const place = from.node.places.find(({ id }) => id === leaving.port)!;
      const by = leaving.frame.length - frame.length;
      this.#expectAt(place, { frame: leaving.frame, offload: shifted(header, by) });
    }
  }

  #expectAt(place: Place, made: JoinedFrame): void {
    const batch = batchWith([made]);
    if (place.socket === undefined) {
      place.left++;
      if (place.cabledTo !== undefined) this.#expect(place.cabledTo, made.frame, made.offload);
      else place.expected.push({ offload: offloadText(batch.slots, 0), bytes: made.frame });
      return;
    }
    const { frames } = segmentFrames(batch, SOCKET_FRAME_BYTES);
    place.left += frames.length;
    for (const bytes of frames) place.expected.push({ offload: PLAIN_OFFLOAD, bytes });
  }

  #arrived(place: Place, batch: FrameBatch): boolean {
    for (let i = 0; i < batch.count; i++) {
      this.#compare(place, { offload: offloadText(batch.slots, i), bytes: batch.frame(i) });
    }
    return true;
  }

  #compare(place: Place, delivered: Delivered): void {
    const expected = place.expected.shift();
    if (expected !== undefined && isSame(expected, delivered)) return;
    const text = (one: Delivered | undefined): string =>
      one === undefined
        ? 'nothing'
        : `[${one.offload}] ${Buffer.from(one.bytes.subarray(0, 20)).toString('hex')} (${one.bytes.length})`;
    this.#mismatch ??= `at port ${place.port.number} of ${place.node.real.label} came ${text(delivered)} instead of ${text(expected)}`;
  }

  /** Waits until all that has to arrive has arrived, and all counters say so. */
  async #settle(): Promise<void> {
    const places = this.#nodes.flatMap((node) => node.places);
    const deadline = performance.now() + SETTLE_MS;
    for (;;) {
      for (const place of places) this.#readSocket(place);
      assert.equal(this.#mismatch, undefined);
      const missing = places.find((place) => !isSettled(place));
      const wanting = this.#nodes.find(({ model, controlFrames }) => controlFrames !== model.controlFrames);
      if (missing === undefined && wanting === undefined) return;
      if (performance.now() > deadline) {
        assert.fail(
          missing !== undefined ? describe(missing) : `${wanting?.real.label}: frames for the bridge are missing`,
        );
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  #readSocket(place: Place): void {
    for (let bytes = place.socket?.next(); bytes !== undefined; bytes = place.socket?.next())
      this.#compare(place, { offload: PLAIN_OFFLOAD, bytes });
  }
}

/** The header of a frame that became longer or shorter before what it speaks of. */
function shifted(offload: OffloadHeader, by: number): OffloadHeader {
  const { flags, gsoType, headerLength, checksumStart } = offload;
  return {
    ...offload,
    checksumStart: (flags & 1) === 0 ? checksumStart : (checksumStart + by) & 0xffff,
    headerLength: gsoType === 0 || headerLength === 0 ? headerLength : (headerLength + by) & 0xffff,
  };
}

function isSame(a: Delivered, b: Delivered): boolean {
  return a.offload === b.offload && Buffer.compare(a.bytes, b.bytes) === 0;
}

function isSettled({ expected, port, entered, left }: Place): boolean {
  const { sent, received } = port.counters;
  return expected.length === 0 && sent.frames === entered && received.frames === left;
}

function describe({ node, port, expected, entered, left }: Place): string {
  const { sent, received } = port.counters;
  return `port ${port.number} of ${node.real.label}: ${expected.length} frames have not arrived; ${sent.frames} came in there instead of ${entered}, ${received.frames} left instead of ${left}`;
}

const ways = [
  { name: 'through JavaScript', hasSockets: false, steps: 20_000 },
  { name: 'through the thread, between sockets and JavaScript', hasSockets: true, steps: 8_000 },
];
const STEPS_OF_A_NETWORK = 400;

for (const { name, hasSockets, steps } of ways) {
  test(`switches do what slow and obvious ones do, ${name}`, { timeout: 120_000 }, async (t) => {
    const seed = Number(process.env['VDENS_TEST_SEED'] ?? Date.now() % 2 ** 32);
    const wanted = Number(process.env['VDENS_TEST_STEPS'] ?? steps);
    const random = new Random(seed);
    let frames = 0;
    for (let done = 0; done < wanted; done += STEPS_OF_A_NETWORK) {
      const world = new World(random, hasSockets);
      try {
        for (let step = 0; step < Math.min(STEPS_OF_A_NETWORK, wanted - done); step++) frames += await world.step();
        world.compareTables();
      } catch (error) {
        throw new Error(`after ${done} steps of VDENS_TEST_SEED=${seed}: ${(error as Error).message}`, {
          cause: error,
        });
      } finally {
        await world.close();
      }
    }
    t.diagnostic(`${wanted} steps, ${frames} frames`);
    assert.ok(frames >= wanted / 2, 'enough was compared');
  });
}
