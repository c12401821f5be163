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
import type { KernelEnd } from './kernel-end.ts';

const IS_TAP = 1;
const TAKES_SUPER_FRAMES = 2;
const EMPTY_IS_END = 4;

const IS_HELD = 1;
const HAS_REPORTS = 2;

const GONE = 1;
const PENDING = 2;
const RELEASED = 4;

const REPORT_WORDS = 2;
const ENTRY_WORDS = 4;
/** How many ports are told of at a time. */
const REPORTS_AT_ONCE = 64;
/** How often reports are looked at before the event loop has its turn: a loop of cables must not stop it. */
const MOST_ROUNDS = 16;

/** How frames find their way. */
export interface FabricOptions {
  /** How many addresses are remembered, rounded up to a power of two; 0 sends every frame everywhere. */
  readonly tableSize: number;
  /** Changes which addresses share places in the table. @defaultValue 0 */
  readonly hashSeed?: number;
  /** How long an address that is not heard of is remembered, in milliseconds. @defaultValue for ever */
  readonly expireMs?: number;
}

/** What a port tells whoever is behind it. */
export interface FabricPortEvents {
  /** What was attached is gone for good. */
  gone?(): void;
  /** Frames wait to be taken. */
  pending?(): void;
  /** It may send again after {@link FabricPort.send} answered true. */
  released?(): void;
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

/** Ports that exchange frames. */
export class Fabric {
  readonly #id: number;
  readonly #notice: Watch;
  readonly #ports = new Map<number, FabricPort>();
  readonly #reports = new Int32Array(REPORTS_AT_ONCE * REPORT_WORDS);
  readonly #tableSize: number;
  #isServing = false;
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
  addPort(counters: PlugCounters, events: FabricPortEvents): FabricPort {
    const id = check(native.fabricAddPort(this.#id, counters.values), 'add a port');
    const port = new FabricPort(id, this, events, () => this.#ports.delete(id));
    this.#ports.set(id, port);
    return port;
  }

  /** The addresses that are known, in no order (struct forwarding_entry in native/io/forwarding_table.h). */
  entries(): FabricEntry[] {
    const words = new Int32Array(roundUp(this.#tableSize) * ENTRY_WORDS);
    const count = native.fabricTable(this.#id, words);
    return Array.from({ length: count }, (_, index) => {
      const [low, high, port, age] = words.subarray(index * ENTRY_WORDS, (index + 1) * ENTRY_WORDS);
      return {
        address: Uint8Array.of(high! >> 8, high!, low! >> 24, low! >> 16, low! >> 8, low!),
        vlan: (high! >>> 16) & 0xfff,
        port: this.#ports.get(port!)!,
        ageSeconds: age! / 10,
      };
    }).filter(({ port }) => port !== undefined);
  }

  /** Makes the clock by which addresses age go ahead. */
  advanceClock(ms: number): void {
    native.fabricAdvance(this.#id, ms);
  }

  /** Looks at what there is to know of the ports. Returns whether it only moved frames, as a handler does. */
  serveReports(): boolean {
    // Whoever serves already goes on until nothing is left.
    if (this.#isServing || this.#closed) return true;
    this.#isServing = true;
    let onlyFrames = true;
    let rounds = 0;
    while (!this.#closed && rounds++ < MOST_ROUNDS) {
      const count = native.fabricReports(this.#id, this.#reports);
      if (count === 0) break;
      for (let i = 0; i < count; i++)
        onlyFrames = this.#tell(this.#reports[2 * i]!, this.#reports[2 * i + 1]!) && onlyFrames;
    }
    this.#isServing = false;
    if (rounds > MOST_ROUNDS) setImmediate(() => this.serveReports());
    return onlyFrames && rounds <= MOST_ROUNDS;
  }

  /** Closes it and all its ports. What was attached may be closed afterwards. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#notice.end();
    native.fabricClose(this.#id);
    this.#ports.clear();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  #tell(id: number, reports: number): boolean {
    const events = this.#ports.get(id)?.events;
    if ((reports & RELEASED) !== 0) events?.released?.();
    if ((reports & PENDING) !== 0) events?.pending?.();
    if ((reports & GONE) !== 0) events?.gone?.();
    return (reports & GONE) === 0;
  }
}

/** A port of a fabric. */
export class FabricPort {
  readonly events: FabricPortEvents;
  readonly #id: number;
  readonly #fabric: Fabric;
  readonly #forget: () => void;
  #isAttached = false;
  #isRemoved = false;

  /** Made by {@link Fabric.addPort}. */
  constructor(id: number, fabric: Fabric, events: FabricPortEvents, forget: () => void) {
    this.#id = id;
    this.#fabric = fabric;
    this.events = events;
    this.#forget = forget;
  }

  /** Whether a kernel object is behind it. */
  get isAttached(): boolean {
    return this.#isAttached;
  }

  /** Puts a kernel object behind it; it has to stay open until {@link detach}. Returns whether that was possible. */
  attach(end: KernelEnd): boolean {
    if (this.#isOver()) return false;
    const flags =
      (end.kind === 'tap' ? IS_TAP : 0) |
      (end.takesSuperFrames ? TAKES_SUPER_FRAMES : 0) |
      (end.emptyIsEnd === true ? EMPTY_IS_END : 0);
    this.#isAttached = native.fabricAttach(this.#id, end.fd, flags, end.maxFrameBytes, end.counters.values) === 0;
    return this.#isAttached;
  }

  /** Puts JavaScript back behind it. Nothing touches the kernel object afterwards. */
  detach(): void {
    this.#isAttached = false;
    if (!this.#isOver()) native.fabricDetach(this.#id);
  }

  /** Sends frames into the fabric. Returns true when no more should be sent until it says `released`. */
  send(batch: FrameBatch): boolean {
    if (this.#isOver()) return false;
    const answer = native.fabricSend(this.#id, batch.arena, batch.slots, batch.count);
    if ((answer & HAS_REPORTS) !== 0) this.#fabric.serveReports();
    return (answer & IS_HELD) !== 0;
  }

  /** Moves frames that wait into a batch. Returns how many; 0 when none waits. */
  take(batch: FrameBatch): number {
    batch.count = this.#isOver() ? 0 : native.fabricTake(this.#id, batch.arena, batch.slots);
    return batch.count;
  }

  /** Removes it; addresses heard there are forgotten. Idempotent. */
  remove(): void {
    if (!this.#isOver()) native.fabricRemovePort(this.#id);
    this.#isRemoved = true;
    this.#isAttached = false;
    this.#forget();
  }

  #isOver(): boolean {
    return this.#isRemoved || this.#fabric.isClosed;
  }
}

function roundUp(size: number): number {
  return size === 0 ? 0 : 2 ** Math.ceil(Math.log2(size));
}

function check(result: number, what: string): number {
  if (result >= 0) return result;
  const errno = errnoName(result);
  throw new VdensError('ERR_NATIVE', `cannot ${what} (${errno}). Are there too many open files? See: ulimit -n`, {
    errno,
  });
}
