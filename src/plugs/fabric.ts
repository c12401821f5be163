/**
 * A fabric: ports, and frames that move between them without JavaScript where that is possible (native/io/fabric.c).
 * A switch is one, and so is the line between the two ends of a cable.
 *
 * Behind a port is a kernel object that a plug lends, or JavaScript: then frames are sent and taken in batches.
 */
import { VdensError } from '../errors.ts';
import type { FrameBatch } from '../frames/batch.ts';
import { errnoName, native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import type { PlugCounters } from './counters.ts';
import { parseForwardingKey, tableCapacity } from './forwarding-entry.ts';
import type { KernelEnd } from './kernel-end.ts';

const IS_TAP = 1;
const TAKES_SUPER_FRAMES = 2;
const EMPTY_IS_END = 4;
const AWAITS_OTHER = 8;
const IS_TUNNEL = 16;
const IS_GATEWAY = 32;
const IS_WIRE = 64;

const IS_HELD = 1;
const HAS_REPORTS = 2;

const GONE = 1;
const PENDING = 2;
const RELEASED = 4;

const REPORT_WORDS = 2;
const ENTRY_WORDS = 4;
const HAS_TAGS = 1;
const HAS_CONTROL = 2;
const TAKES_TURNS = 4;
/** Leaves the table as it is. */
const SAME_SIZE = -1;
/** Words of a frame for the bridge, and bytes that are kept of it (CONTROL_BYTES in native/io/bridge.h). */
const CONTROL_WORDS = 2;
const CONTROL_BYTES = 124;
/** How many of these are taken at a time. */
const CONTROL_AT_ONCE = 16;
const EVERYWHERE = -1;
/** A bit for each VLAN (IEEE 802.1Q has 12 bits for it). */
const VLAN_SET_BYTES = 4096 / 8;
const NO_VLANS: Uint8Array = new Uint8Array();
const NO_VLAN = -1;
const NO_GROUP = -1;

/** How many ports are told of at a time. */
const REPORTS_AT_ONCE = 64;
/** How long frames are moved before the event loop has its turn, in milliseconds: a loop of cables must not stop it. */
const MOST_MS = 5;
/** How often reports are looked at all the same: what is soon done is done at once, even after a pause of the machine. */
const FEWEST_ROUNDS = 8;

/** How frames find their way. */
export interface FabricOptions {
  /** How many addresses are remembered, rounded up to a power of two; 0 sends every frame everywhere. */
  readonly tableSize: number;
  /** Changes which addresses share places in the table. @defaultValue 0 */
  readonly hashSeed?: number;
  /** How long an address that is not heard of is remembered, in milliseconds. @defaultValue for ever */
  readonly expireMs?: number;
}

/** How a fabric behaves that is more than a plain switch. */
export interface BridgeOptions {
  /** As in {@link FabricOptions}; another size than before forgets everything. */
  readonly tableSize: number;
  readonly expireMs: number;
  /** How long an address stays where it was heard last although it is heard elsewhere, in milliseconds. */
  readonly persistMs: number;
  /** Whether tags say which VLAN a frame belongs to; otherwise they are left alone. */
  readonly hasTags: boolean;
  /** Whether each of the ports in a group in its turn gets a frame that comes from outside the group. @defaultValue false */
  readonly takesTurns?: boolean;
  /** Gets frames to the bridges' own address, which are not forwarded then (IEEE 802.1D, 7.12.3). */
  readonly control?: ((port: FabricPort, frame: Uint8Array) => void) | undefined;
}

/** Which VLANs a port is in (IEEE 802.1Q, 8.8.10 "The VLAN member set"). */
export interface PortVlans {
  /** That of frames without a tag; `undefined` for none. */
  readonly untagged: number | undefined;
  /** Those whose frames have a tag here. */
  readonly tagged: Iterable<number>;
  /** Those whose frames may not pass at present, so that they do not go round in circles. */
  readonly closed: Iterable<number>;
}

/** Where ports are that nobody put anywhere else. */
const VLAN_0: PortVlans = { untagged: 0, tagged: [], closed: [] };

/** Where a port of a bridge is, from its first frame on. */
export interface FabricPlace {
  /**
   * A number of 2^31: ports that have the same are endpoints of one port of a switch. They do not exchange frames, and
   * each gets what is for one of them.
   */
  readonly group?: number | undefined;
  /** @defaultValue VLAN 0, without a tag */
  readonly vlans?: PortVlans | undefined;
}

/** What a port tells whoever is behind it; never while another port of this process does. */
export interface FabricPortEvents {
  /** What was attached is gone for good. */
  gone?(): void;
  /** Frames wait: they are to be taken once. Returns what a {@link FrameReceiver} does. */
  pending?(): boolean;
  /** It may send again after {@link FabricPort.send} answered true. Returns what a {@link FrameReceiver} does. */
  released?(): boolean;
}

/** Where an address was heard. */
export interface FabricEntry {
  /** The MAC address. */
  readonly address: Uint8Array;
  readonly vlan: number;
  readonly port: FabricPort;
  /** Since it was heard of last, in seconds. */
  readonly ageSeconds: number;
}

/** Fabrics that have something to tell. Whoever serves goes on until none is left, so that nothing is told within. */
const waiting = new Set<Fabric>();
let isServing = false;
let isScheduled = false;

/** Serves what waits, for a bounded time. Returns whether it only moved frames. */
function serveWaiting(): boolean {
  if (isServing) return true;
  isServing = true;
  let onlyFrames = true;
  let rounds = 0;
  try {
    const end = performance.now() + MOST_MS;
    for (const fabric of waiting) {
      const result = fabric.tell();
      onlyFrames &&= result.onlyFrames;
      // At the end again, behind those that have waited.
      waiting.delete(fabric);
      if (result.hasMore) waiting.add(fabric);
      if (++rounds >= FEWEST_ROUNDS && performance.now() > end) break;
    }
  } finally {
    isServing = false;
    if (waiting.size > 0 || !onlyFrames) giveTurn();
  }
  return onlyFrames && waiting.size === 0;
}

/** Lets the event loop have its turn, and then goes on. */
function giveTurn(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(() => {
    isScheduled = false;
    serveWaiting();
  });
}

/**
 * For a process that serves others and has no frames of its own: lets them go on before frames are moved, so that more
 * of them move at a time. To be called before the first fabric or line is made.
 */
export function letOthersFirst(): void {
  native.datapathLetOthersFirst();
}

/** Ports that exchange frames. */
export class Fabric {
  readonly #id: number;
  readonly #notice: Watch;
  readonly #ports = new Map<number, FabricPort>();
  readonly #wanted = new Set<FabricPort>();
  readonly #reports = new Int32Array(REPORTS_AT_ONCE * REPORT_WORDS);
  /** How many of them there are, and the first that was not yet told. */
  #count = 0;
  #next = 0;
  #tableSize: number;
  #control: BridgeOptions['control'];
  #controlRoom = { words: new Int32Array(), bytes: new Uint8Array() };
  #closed = false;

  /** @throws VdensError `ERR_NATIVE` when the process has too many descriptors, or no memory */
  constructor({ tableSize, hashSeed = 0, expireMs = 2 ** 31 - 1 }: FabricOptions) {
    this.#tableSize = tableSize;
    this.#id = check(native.fabricOpen(tableSize, hashSeed, expireMs), 'make a switch');
    this.#notice = new Watch(native.fabricNotice(this.#id), READABLE, () => this.serveReports());
  }

  /**
   * Adds a port with JavaScript behind it.
   *
   * @param counters of the plug that JavaScript has in its hands: what it sends goes into the fabric
   */
  addPort(counters: PlugCounters, events: FabricPortEvents, place: FabricPlace = {}): FabricPort {
    const { group = NO_GROUP, vlans } = place;
    const sets = vlanArguments(vlans ?? VLAN_0);
    const id = check(native.fabricAddPort(this.#id, counters.values, group, ...sets), 'add a port');
    const port: FabricPort = new FabricPort(id, this, events, (isOver) => {
      this.#unreport(id, isOver ? GONE | PENDING | RELEASED : GONE);
      if (!isOver) return;
      this.#ports.delete(id);
      this.#wanted.delete(port);
    });
    this.#ports.set(id, port);
    return port;
  }

  /**
   * Makes it behave otherwise from now on.
   *
   * @throws VdensError `ERR_NATIVE` when there is no memory; nothing has changed then
   */
  configure({ tableSize, expireMs, persistMs, hasTags, takesTurns = false, control }: BridgeOptions): void {
    if (this.#closed) return;
    const size = tableSize === this.#tableSize ? SAME_SIZE : tableSize;
    const flags = (hasTags ? HAS_TAGS : 0) | (takesTurns ? TAKES_TURNS : 0) | (control === undefined ? 0 : HAS_CONTROL);
    check(native.fabricConfigure(this.#id, size, expireMs, persistMs, flags), 'change the switch');
    this.#tableSize = tableSize;
    this.#control = control;
    if (control === undefined || this.#controlRoom.words.length > 0) return;
    this.#controlRoom = {
      words: new Int32Array(CONTROL_AT_ONCE * CONTROL_WORDS),
      bytes: new Uint8Array(CONTROL_AT_ONCE * CONTROL_BYTES),
    };
  }

  /** Forgets the addresses heard at a port, or at all, in a VLAN, or in all. */
  forget(port?: FabricPort, vlan?: number): void {
    if (!this.#closed) native.fabricForget(this.#id, port?.id ?? EVERYWHERE, vlan ?? EVERYWHERE);
  }

  /** The addresses that are known, in no order (struct forwarding_entry in native/io/forwarding_table.h). */
  entries(): FabricEntry[] {
    const words = new Int32Array(tableCapacity(this.#tableSize) * ENTRY_WORDS);
    const count = native.fabricTable(this.#id, words);
    return Array.from({ length: count }, (_, index) => {
      const [low, high, port, age] = words.subarray(index * ENTRY_WORDS, (index + 1) * ENTRY_WORDS);
      const { mac: address, vlan } = parseForwardingKey(low!, high!);
      return {
        address,
        vlan,
        port: this.#ports.get(port!)!,
        ageSeconds: age! / 10,
      };
    }).filter(({ port }) => port !== undefined);
  }

  /** How many addresses are known. */
  countEntries(): number {
    return native.fabricCount(this.#id);
  }

  /** Makes the clock by which addresses age go ahead. */
  advanceClock(ms: number): void {
    native.fabricAdvance(this.#id, Math.min(ms, 2 ** 31 - 1));
  }

  /** Looks at what there is to know of the ports. Returns whether it only moved frames, as a handler does. */
  serveReports(): boolean {
    waiting.add(this);
    return serveWaiting();
  }

  /** Tells that frames wait at the port, or may do. */
  want(port: FabricPort): void {
    this.#wanted.add(port);
    this.serveReports();
  }

  /** Tells ports what they are to know, some at a time. */
  tell(): { readonly hasMore: boolean; readonly onlyFrames: boolean } {
    let onlyFrames = true;
    // Those that want again meanwhile have their turn after the others.
    for (const port of this.#wanted.size > 0 ? [...this.#wanted] : []) {
      this.#wanted.delete(port);
      onlyFrames = port.events.pending?.() !== false && onlyFrames;
    }
    if (this.#closed) return { hasMore: false, onlyFrames };
    if (this.#next === this.#count) {
      this.#next = 0;
      this.#count = 0;
      this.#count = native.fabricReports(this.#id, this.#reports);
    }
    const hasMore = (this.#control !== undefined && this.#serveControl()) || this.#count > 0;
    while (this.#next < this.#count && !this.#closed) {
      const at = REPORT_WORDS * this.#next++;
      onlyFrames = this.#tellPort(this.#reports[at]!, this.#reports[at + 1]!) && onlyFrames;
    }
    return { hasMore: (hasMore || this.#wanted.size > 0) && !this.#closed, onlyFrames };
  }

  /** Closes it and all its ports. What was attached may be closed afterwards. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#notice.end();
    native.fabricClose(this.#id);
    this.#ports.clear();
    this.#wanted.clear();
    waiting.delete(this);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Hands over the frames for the bridge. To find none left opens the ports where one was heard first. Returns whether
   * there may be more.
   */
  #serveControl(): boolean {
    const { words, bytes } = this.#controlRoom;
    for (let rounds = 0; rounds < FEWEST_ROUNDS; rounds++) {
      const count = this.#closed ? 0 : native.fabricControl(this.#id, words, bytes);
      if (count === 0) return false;
      for (let i = 0; i < count; i++) {
        const [id, length] = words.subarray(i * CONTROL_WORDS);
        const port = this.#ports.get(id!);
        const start = i * CONTROL_BYTES;
        if (port !== undefined) this.#control?.(port, bytes.slice(start, start + length!));
      }
    }
    return true;
  }

  #tellPort(id: number, reports: number): boolean {
    const port = this.#ports.get(id);
    let onlyFrames = true;
    if ((reports & RELEASED) !== 0) onlyFrames = port?.release() !== false && onlyFrames;
    if ((reports & PENDING) !== 0) onlyFrames = port?.events.pending?.() !== false && onlyFrames;
    if ((reports & GONE) !== 0) port?.events.gone?.();
    return onlyFrames && (reports & GONE) === 0;
  }

  /** What was not yet told is not about who has the port's number, or is behind the port, from now on. */
  #unreport(id: number, reports: number): void {
    for (let i = this.#next; i < this.#count; i++) {
      if (this.#reports[REPORT_WORDS * i] === id) this.#reports[REPORT_WORDS * i + 1]! &= ~reports;
    }
  }
}

/** A port of a fabric. */
export class FabricPort {
  readonly events: FabricPortEvents;
  /** Its number among all ports of the process. */
  readonly id: number;
  readonly #fabric: Fabric;
  readonly #forget: (isOver: boolean) => void;
  #isAttached = false;
  #isHeld = false;
  #isRemoved = false;

  /** Made by {@link Fabric.addPort}. */
  constructor(id: number, fabric: Fabric, events: FabricPortEvents, forget: (isOver: boolean) => void) {
    this.id = id;
    this.#fabric = fabric;
    this.events = events;
    this.#forget = forget;
  }

  /** Whether a kernel object is behind it. */
  get isAttached(): boolean {
    return this.#isAttached;
  }

  /**
   * Puts a kernel object behind it; it has to stay open until {@link detach}. Returns whether that was possible.
   *
   * @param awaitsOther of two ports: whether it is read only when there is such an object behind the other one, too
   */
  attach(end: KernelEnd, awaitsOther = false): boolean {
    if (this.#isOver()) return false;
    const flags =
      (end.kind === 'tap' ? IS_TAP : 0) |
      (end.kind === 'tunnel' ? IS_TUNNEL : 0) |
      (end.kind === 'gateway' ? IS_GATEWAY : 0) |
      (end.kind === 'wire' ? IS_WIRE : 0) |
      (end.takesSuperFrames ? TAKES_SUPER_FRAMES : 0) |
      (end.emptyIsEnd === true ? EMPTY_IS_END : 0) |
      (awaitsOther ? AWAITS_OTHER : 0);
    this.#isAttached = native.fabricAttach(this.id, end.fd, flags, end.maxFrameBytes, end.counters.values) === 0;
    // Who was held has nothing to wait for: nobody asks it to send any more.
    if (this.#isAttached) this.#isHeld = false;
    return this.#isAttached;
  }

  /** Puts JavaScript back behind it. Nothing touches the kernel object afterwards. */
  detach(): void {
    this.#isAttached = false;
    if (this.#isOver()) return;
    native.fabricDetach(this.id);
    this.#forget(false);
  }

  /** Sends frames into the fabric. Returns true when no more should be sent until it says `released`. */
  send(batch: FrameBatch): boolean {
    if (this.#isOver()) return false;
    const answer = native.fabricSend(this.id, batch.arena, batch.slots, batch.count);
    // Noted before others have their turn: they may be the ones for whom it waits.
    if ((answer & IS_HELD) !== 0) this.#isHeld = true;
    // Also when the event loop had to have its turn before all was told: what is sent now comes behind that.
    if ((answer & HAS_REPORTS) !== 0 || waiting.size > 0) this.#fabric.serveReports();
    return this.#isHeld;
  }

  /** Sends frames out of this port, past everything that decides where frames go. */
  sendOut(batch: FrameBatch): void {
    if (!this.#isOver()) native.fabricSendOut(this.id, batch.arena, batch.slots, batch.count);
  }

  /** Puts it into VLANs. Before, it is in VLAN 0, without a tag. */
  setVlans(vlans: PortVlans): void {
    if (!this.#isOver()) check(native.fabricSetVlans(this.id, ...vlanArguments(vlans)), 'put a port into VLANs');
  }

  /** It may send again. Called by its fabric. */
  release(): boolean {
    this.#isHeld = false;
    return this.events.released?.() !== false;
  }

  /** Asks to be told of frames that wait, also of those that it was told of and did not take. */
  want(): void {
    if (!this.#isOver()) this.#fabric.want(this);
  }

  /** Moves frames that wait into a batch; when that is not all, more are told of. Returns how many; 0 when none waits. */
  take(batch: FrameBatch): number {
    batch.count = this.#isOver() ? 0 : native.fabricTake(this.id, batch.arena, batch.slots);
    return batch.count;
  }

  /** Removes it; addresses heard there are forgotten. Idempotent. */
  remove(): void {
    if (!this.#isOver()) native.fabricRemovePort(this.id);
    this.#isRemoved = true;
    this.#isAttached = false;
    this.#isHeld = false;
    this.#forget(true);
  }

  #isOver(): boolean {
    return this.#isRemoved || this.#fabric.isClosed;
  }
}

/** How C takes them. */
function vlanArguments({ untagged, tagged, closed }: PortVlans): [number, Uint8Array, Uint8Array] {
  return [untagged ?? NO_VLAN, vlanSet(tagged), vlanSet(closed)];
}

function vlanSet(vlans: Iterable<number>): Uint8Array {
  let bits = NO_VLANS;
  for (const vlan of vlans) {
    if (bits === NO_VLANS) bits = new Uint8Array(VLAN_SET_BYTES);
    bits[vlan >> 3]! |= 1 << (vlan & 7);
  }
  return bits;
}

function check(result: number, what: string): number {
  if (result >= 0) return result;
  const errno = errnoName(result);
  throw new VdensError('ERR_NATIVE', `cannot ${what} (${errno}). Are there too many open files? See: ulimit -n`, {
    errno,
  });
}
