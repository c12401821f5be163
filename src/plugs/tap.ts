/**
 * A TAP interface as a plug: what the namespace sends comes out of it, what is sent to it arrives there.
 *
 * With offload the kernel hands over TCP and UDP in super-frames of up to 64 KiB at an MTU of 1500, and takes
 * them back; which kinds it knows is found out when the plug is made. Frames that come from a plug without
 * super-frames are joined again where they belong together, so that the namespace sees few large packets.
 */

import { constants } from 'node:os';
import { FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { errnoName, native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import { batchBytes, type DropReason, PlugCounters } from './counters.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';
import { OutputQueue } from './output-queue.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';

/** Bits of TUNSETOFFLOAD (linux/if_tun.h). */
const CHECKSUM = 0x01;
const TSO = 0x02 | 0x04;
const USO = 0x20 | 0x40;
/** Checksums and TCP. */
export const FULL_OFFLOAD: number = CHECKSUM | TSO;
/** What to ask for, best first: USO is known since Linux 6.2. */
const OFFLOADS = [CHECKSUM | TSO | USO, CHECKSUM | TSO, CHECKSUM] as const;

/** Seven super-frames, or a hundred frames of 1514 bytes, stay in the second-level cache. */
const ARENA_BYTES = 512 * 1024;
const CAPACITY = 128;

const { EINVAL, EIO, ENETDOWN, ENXIO, EMSGSIZE, EAGAIN, ENOBUFS } = constants.errno;

/** Where the outcome of a write stands in the results of tapWriteBatch. */
const REFUSED = 0;
const ERRNO = 1;
const SUPER_REFUSED = 2;
const TOO_SHORT = 3;
const LOST_BYTES = 4;
const TOO_LONG = 5;
const RESULTS = 6;

/** How to make a TAP plug. */
export interface TapPlugOptions {
  /**
   * Whether to use checksum and segmentation offload where the kernel has it.
   * @defaultValue true, unless the environment has `VDENS_OFFLOAD=0`
   */
  readonly offload?: boolean;
  /** Goes on counting there. */
  readonly counters?: PlugCounters;
}

/** A TAP interface, by its descriptor. */
export class TapPlug implements Plug, Lender {
  readonly label: string;
  readonly maxFrameBytes: number = MAX_FRAME_BYTES;
  readonly counters: PlugCounters;
  readonly busy: boolean = false;
  /** An interface that was deleted does not come back. */
  readonly heals: boolean = false;
  /** The TUNSETOFFLOAD bits in force; 0 when the kernel gives and takes ordinary frames only. */
  readonly offload: number;
  readonly #fd: number;
  /** Made when frames first pass through JavaScript. */
  #batch: FrameBatch | undefined;
  readonly #results = new Int32Array(RESULTS);
  #takesSuperFrames: boolean;
  #watch: Watch | undefined;
  #segments: OutputQueue | undefined;
  #paused = false;
  #takeBack: (() => void) | undefined;
  #receiver: FrameReceiver = () => undefined;
  #events: PlugEvents = {};
  /** The interface was deleted. */
  #gone = false;
  #closed = false;

  /** Takes over a descriptor of /dev/net/tun that is attached to interface `name` with a virtio-net header. */
  constructor(fd: number, name: string, options: TapPlugOptions = {}) {
    this.#fd = fd;
    this.label = name;
    this.counters = options.counters ?? new PlugCounters();
    const wanted = options.offload ?? process.env['VDENS_OFFLOAD'] !== '0';
    this.offload = this.enableOffload(fd, wanted);
    this.#takesSuperFrames = (this.offload & TSO) !== 0;
  }

  get takesSuperFrames(): boolean {
    return this.#takesSuperFrames;
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    if (this.#takeBack === undefined) this.#watchFrames();
  }

  send(batch: FrameBatch): void {
    if (this.#closed || this.#gone) {
      this.counters.drop('sent', 'down', batch.count);
      return;
    }
    if (this.#takesSuperFrames) this.#write(batch);
    else this.#writeSegmented(batch);
  }

  pause(): void {
    this.#paused = true;
    this.#updateWatch();
  }

  resume(): void {
    this.#paused = false;
    this.#updateWatch();
  }

  get lender(): Lender {
    return this;
  }

  lend(takeBack: () => void): KernelEnd | undefined {
    if (this.#watch === undefined) return undefined;
    this.#takeBack = takeBack;
    // Even a watch for nothing would be looked at for every frame.
    this.#watch.end();
    this.#watch = undefined;
    const { maxFrameBytes, takesSuperFrames, counters } = this;
    return { fd: this.#fd, kind: this.kind, maxFrameBytes, takesSuperFrames, counters };
  }

  restore(isGone: boolean): void {
    this.#takeBack = undefined;
    if (isGone) this.#end(this.goneReason);
    else this.#watchFrames();
  }

  /** Whether the interface has its carrier (`ip link` shows NO-CARRIER without). */
  setCarrier(on: boolean): void {
    if (!this.#closed) native.tapSetCarrier(this.#fd, on ? 1 : 0);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#takeBack?.();
    this.#watch?.end();
    this.#watch = undefined;
    native.closeDescriptor(this.#fd);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What a line or a switch is told that it is. */
  protected get kind(): 'tap' | 'wire' {
    return 'tap';
  }

  /** Why it is gone, when the kernel says no more than that it is: one clause. */
  protected get goneReason(): string {
    return 'it was deleted';
  }

  /** Asks for as much offload as the kernel has. Returns what it gave. */
  protected enableOffload(fd: number, wanted: boolean): number {
    const found = wanted ? OFFLOADS.find((flags) => native.tapSetOffload(fd, flags) === 0) : undefined;
    // A persistent interface remembers what its last owner asked for.
    if (found === undefined) native.tapSetOffload(fd, 0);
    return found ?? 0;
  }

  /** Reads what waits: how many frames, or -errno. */
  protected readBatch(fd: number, batch: FrameBatch): number {
    return native.tapReadBatch(fd, batch.arena, batch.slots, MAX_FRAME_BYTES);
  }

  #watchFrames(): void {
    if (!this.#closed && !this.#gone) this.#watch ??= new Watch(this.#fd, 0, () => this.#read());
    this.#updateWatch();
  }

  /** Without READABLE only the end of the interface is reported. */
  #updateWatch(): void {
    if (this.#watch !== undefined) this.#watch.events = this.#paused ? 0 : READABLE;
  }

  #read(): boolean {
    this.#batch ??= new FrameBatch(new Uint8Array(ARENA_BYTES), CAPACITY);
    const batch = this.#batch;
    const count = this.readBatch(this.#fd, batch);
    if (count > 0) {
      batch.count = count;
      this.counters.received.count(count, batchBytes(batch));
      return this.#receiver(batch) === true;
    }
    if (count < 0) {
      const errno = errnoName(count);
      this.#end(errno === 'EBADFD' || errno === 'ENETDOWN' ? this.goneReason : `read: ${errno}`);
      return false;
    }
    return true;
  }

  #end(reason: string): void {
    if (this.#gone || this.#closed) return;
    this.#gone = true;
    this.#takeBack?.();
    this.#watch?.end();
    this.#watch = undefined;
    this.#events.down?.(`the interface is gone (${reason})`);
  }

  #write(batch: FrameBatch): void {
    const results = this.#results;
    const join = this.#takesSuperFrames ? 1 : 0;
    native.tapWriteBatch(this.#fd, batch.arena, batch.slots, batch.count, join, results);
    const lost = results[REFUSED]! + results[TOO_SHORT]! + results[TOO_LONG]!;
    this.counters.sent.count(batch.count - lost, batchBytes(batch) - results[LOST_BYTES]!);
    if (lost > 0) this.#explainLoss(batch);
  }

  #explainLoss(batch: FrameBatch): void {
    const results = this.#results;
    const errno = results[ERRNO];
    this.counters.drop('sent', 'too-short', results[TOO_SHORT]!);
    this.counters.drop('sent', 'too-long', results[TOO_LONG]!);
    const refused = results[REFUSED]!;
    const malformed = errno === EINVAL ? Math.min(refused, countMalformed(batch)) : 0;
    this.counters.drop('sent', 'malformed', malformed);
    this.counters.drop('sent', reasonOf(errno), refused - malformed);
    // Some kernels refuse correct super-frames: from now on they get ordinary ones.
    if (results[SUPER_REFUSED]! > malformed) this.#takesSuperFrames = false;
  }

  #writeSegmented(batch: FrameBatch): void {
    this.#segments ??= new OutputQueue(this.counters);
    let first = 0;
    while (first < batch.count) {
      first = this.#segments.append(batch, first, MAX_FRAME_BYTES);
      this.#write(this.#segments.batch);
      this.#segments.clear();
    }
  }
}

/** How many frames have an offload header that does not fit them. */
function countMalformed(batch: FrameBatch): number {
  const scratch = new PlugCounters();
  const queue = new OutputQueue(scratch);
  for (let first = 0; first < batch.count; queue.clear()) first = queue.append(batch, first, MAX_FRAME_BYTES);
  return scratch.sent.drops.malformed ?? 0;
}

/** What the kernel means by refusing a frame; the later ones are those of a packet socket. */
function reasonOf(errno: number | undefined): DropReason {
  if (errno === EIO || errno === ENETDOWN || errno === ENXIO) return 'down';
  if (errno === EMSGSIZE) return 'too-long';
  return errno === EAGAIN || errno === ENOBUFS ? 'queue-full' : 'refused';
}
