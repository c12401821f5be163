/**
 * `vde://`: a port of a VDE switch, ours or anybody's.
 *
 * Frames are datagrams of a unix socket: as many as wait leave and arrive in one system call. The switch takes
 * ordinary frames, so super-frames are cut at this door.
 *
 * The two data sockets are connected to each other, so the kernel bounds what waits by the sender's buffer
 * (93 frames of 1514 bytes at the default), and reports it writable again when three quarters are free.
 */
import { constants } from 'node:os';
import { basename } from 'node:path';
import { FrameBatch, MAX_FRAME_BYTES, SLOT_WORDS } from '../frames/batch.ts';
import { errnoName, native } from '../system/native.ts';
import { FAILED, HUNG_UP, READABLE, Watch, WRITABLE } from '../system/reactor.ts';
import { batchBytes, type DropReason, PlugCounters } from './counters.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';
import { Sender } from './sender.ts';
import { connectToSwitch, type VdeConnection, type VdeConnectionOptions } from './vde-connection.ts';

const RECEIVE_CAPACITY = 64;
const MIN_FRAME_BYTES = 14;
const PORT_CLOSED = 'the switch closed our port';
/** The original vde_switch cuts what is longer; its data sockets are called `007.12`. */
const VDE_SWITCH_FRAME_BYTES = 1518;
/** The plugs of the original library (`switch://`, `hub://`) take as much as they plan for; theirs are called `fd7`. */
const NETNODE_FRAME_BYTES = 9234;

/** What a switch may say on the control connection, where nothing is ever said, before it is taken for broken. */
const MAX_IGNORED_BYTES = 4096;

const { ECONNREFUSED, ECONNRESET, ENOTCONN, EPIPE, EMSGSIZE, ENOENT } = constants.errno;

export class VdePlug implements Plug, Lender {
  readonly label: string;
  readonly maxFrameBytes: number;
  readonly takesSuperFrames: boolean = false;
  readonly counters: PlugCounters;
  readonly #connection: VdeConnection;
  readonly #sender: Sender;
  readonly #batch = new FrameBatch(new Uint8Array(RECEIVE_CAPACITY * MAX_FRAME_BYTES), RECEIVE_CAPACITY);
  readonly #controlWatch: Watch;
  readonly #ignored = new Uint8Array(256);
  #dataWatch: Watch | undefined;
  #receiver: FrameReceiver = () => undefined;
  #events: PlugEvents = {};
  #interest = READABLE;
  #started = false;
  #takeBack: (() => void) | undefined;
  #ignoredBytes = 0;
  /** Sending showed that the switch closed its data socket, or connected it elsewhere. */
  #isRefused = false;
  #goneReason: string | undefined;
  #closed = false;

  private constructor(label: string, connection: VdeConnection, counters: PlugCounters) {
    this.label = label;
    this.counters = counters;
    this.#connection = connection;
    this.maxFrameBytes = /^\d+\.\d+$/.test(basename(connection.peer)) ? VDE_SWITCH_FRAME_BYTES : NETNODE_FRAME_BYTES;
    this.#sender = new Sender({
      counters,
      transmit: (batch, first, count) => {
        const sent = native.sendBatch(connection.data, batch.arena, batch.slots, first, count);
        if (sent < 0) this.#isRefused ||= meansGone(-sent);
        return sent;
      },
      failureReason,
      wantWritable: (want) => this.#setInterest(WRITABLE, want),
      drained: () => this.#events.drain?.(),
    });
    this.#controlWatch = new Watch(connection.control, READABLE, (events) => this.#readControl(events));
  }

  /**
   * Gets a port of a switch.
   *
   * @param label what people call it
   * @param counters goes on counting there, when this is not the first connection
   * @throws VdensError `ERR_NETWORK_OPEN` or `ERR_NETWORK_TIMEOUT`
   */
  static async open(
    label: string,
    options: VdeConnectionOptions,
    counters: PlugCounters = new PlugCounters(),
  ): Promise<VdePlug> {
    const connection = await connectToSwitch(label, options);
    try {
      return new VdePlug(label, connection, counters);
    } catch (error) {
      native.closeDescriptor(connection.data);
      native.closeDescriptor(connection.control);
      throw error;
    }
  }

  get busy(): boolean {
    return this.#sender.busy;
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    if (this.#closed) return;
    this.#started = true;
    if (this.#goneReason !== undefined) events.down?.(this.#goneReason);
    else this.#watchData();
  }

  send(batch: FrameBatch): void {
    if (this.#closed || this.#goneReason !== undefined) this.counters.drop('sent', 'down', batch.count);
    else {
      this.#sender.send(batch, this.maxFrameBytes);
      if (this.#isRefused) this.#gone(PORT_CLOSED);
    }
  }

  pause(): void {
    this.#setInterest(READABLE, false);
  }

  resume(): void {
    this.#setInterest(READABLE, true);
  }

  get lender(): Lender {
    return this;
  }

  lend(takeBack: () => void): KernelEnd | undefined {
    if (this.#dataWatch === undefined || this.#sender.busy) return undefined;
    this.#takeBack = takeBack;
    this.#unwatchData();
    const { maxFrameBytes, takesSuperFrames, counters } = this;
    return { fd: this.#connection.data, kind: 'datagram', maxFrameBytes, takesSuperFrames, counters };
  }

  restore(isGone: boolean): void {
    this.#takeBack = undefined;
    if (isGone) this.#gone(PORT_CLOSED);
    else if (this.#started && !this.#closed && this.#goneReason === undefined) this.#watchData();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#takeBack?.();
    this.#sender.abandon('down');
    this.#controlWatch.end();
    this.#unwatchData();
    native.closeDescriptor(this.#connection.data);
    native.closeDescriptor(this.#connection.control);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #watchData(): void {
    this.#dataWatch ??= new Watch(this.#connection.data, this.#interest, (ready) => this.#serve(ready));
  }

  #unwatchData(): void {
    this.#dataWatch?.end();
    this.#dataWatch = undefined;
  }

  #setInterest(event: number, want: boolean): void {
    this.#interest = want ? this.#interest | event : this.#interest & ~event;
    if (this.#dataWatch !== undefined) this.#dataWatch.events = this.#interest;
  }

  #serve(ready: number): boolean {
    let onlyFrames = true;
    // A pending error is told, and forgotten, by receiving.
    if ((ready & (READABLE | FAILED)) !== 0) onlyFrames = this.#receive();
    if ((ready & WRITABLE) !== 0) onlyFrames = this.#sender.writable() && onlyFrames;
    // A unix datagram socket says so when its peer closed; the control connection tells the reason.
    if ((ready & HUNG_UP) === 0 && !this.#isRefused) return onlyFrames;
    this.#gone(PORT_CLOSED);
    return false;
  }

  #receive(): boolean {
    const batch = this.#batch;
    const count = native.receiveBatch(this.#connection.data, batch.arena, batch.slots, MAX_FRAME_BYTES);
    if (count < 0) this.#isRefused ||= meansGone(-count);
    if (count <= 0) return true;
    batch.count = count;
    this.#leaveOutBadFrames();
    this.counters.received.count(batch.count, batchBytes(batch));
    return batch.count === 0 || this.#receiver(batch) === true;
  }

  #leaveOutBadFrames(): void {
    const { slots, count } = this.#batch;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const length = slots[i * SLOT_WORDS + 1]!;
      if (length >= MIN_FRAME_BYTES) {
        if (kept < i) slots.copyWithin(kept * SLOT_WORDS, i * SLOT_WORDS, (i + 1) * SLOT_WORDS);
        kept++;
      } else {
        this.counters.drop('received', length < 0 ? 'too-long' : 'too-short', 1);
      }
    }
    this.#batch.count = kept;
  }

  #readControl(events: number): void {
    const length = native.receive(this.#connection.control, this.#ignored);
    if (length > 0) {
      // Nothing is ever said on it; what is said all the same is ignored, but not for ever.
      this.#ignoredBytes += length;
      if (this.#ignoredBytes > MAX_IGNORED_BYTES) this.#gone('the switch sends what no switch sends');
      return;
    }
    if (length === 0 || (events & HUNG_UP) !== 0) {
      const why = length < 0 ? ` (${errnoName(length)})` : '';
      this.#gone(`the switch went away${why}`);
    }
  }

  #gone(reason: string): void {
    if (this.#closed || this.#goneReason !== undefined) return;
    this.#goneReason = reason;
    this.#takeBack?.();
    this.#controlWatch.end();
    this.#unwatchData();
    this.#sender.abandon('down');
    this.#events.down?.(reason);
  }
}

/** Errors of a connected unix socket whose peer was closed, or connected elsewhere. */
function meansGone(errno: number): boolean {
  return errno === ECONNREFUSED || errno === ECONNRESET || errno === ENOTCONN;
}

function failureReason(errno: number): DropReason {
  if (errno === EMSGSIZE) return 'too-long';
  return errno === ECONNREFUSED || errno === ENOTCONN || errno === EPIPE || errno === ENOENT ? 'down' : 'refused';
}
