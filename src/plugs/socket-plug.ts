/**
 * Frames over a connected unix socket, one per packet: a port of a switch seen from either side, a point-to-point
 * line.
 *
 * As many frames as wait leave and arrive in one system call. Who reads there takes ordinary frames, so
 * super-frames are cut at this door.
 *
 * Two datagram sockets that are connected to each other are bounded by the sender's buffer (93 frames of 1514 bytes
 * at the default), and are reported writable again when three quarters are free.
 */
import { constants } from 'node:os';
import { FrameBatch, MAX_FRAME_BYTES, SLOT_WORDS } from '../frames/batch.ts';
import { errnoName, native } from '../system/native.ts';
import { FAILED, HUNG_UP, READABLE, Watch, WRITABLE } from '../system/reactor.ts';
import { batchBytes, type DropReason, PlugCounters } from './counters.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';
import { Sender } from './sender.ts';

const RECEIVE_CAPACITY = 64;
const MIN_FRAME_BYTES = 14;
/** What may be said on a control connection, where nothing is ever said, before the other end is taken for broken. */
const MAX_IGNORED_BYTES = 4096;

const { ECONNREFUSED, ECONNRESET, ENOTCONN, EPIPE, EMSGSIZE, ENOENT } = constants.errno;

/** What is said when the other end is gone: one clause each. */
export interface GoneReasons {
  /** Its data socket was closed, or connected elsewhere. */
  readonly closed: string;
  /** The control connection ended. */
  readonly left: string;
  /** Too much was said on the control connection. */
  readonly babbles: string;
}

/** The socket, and what is known of the other end. */
export interface SocketPlugOptions {
  /** The connected socket; from now on the plug's. */
  readonly data: number;
  /** A stream whose end is the end of the other side, if there is one; from now on the plug's. */
  readonly control?: number;
  /** The longest frame the other end takes. */
  readonly maxFrameBytes: number;
  /** Whether an empty packet is the end: of a connection, or of a line as old clients announce it. */
  readonly emptyIsEnd?: boolean;
  readonly reasons: GoneReasons;
  /** Goes on counting there. */
  readonly counters?: PlugCounters;
}

/** One end of such a line. */
export class SocketPlug implements Plug, Lender {
  readonly label: string;
  readonly maxFrameBytes: number;
  readonly takesSuperFrames: boolean = false;
  readonly heals?: boolean;
  readonly counters: PlugCounters;
  readonly #data: number;
  readonly #control: number | undefined;
  readonly #emptyIsEnd: boolean;
  readonly #reasons: GoneReasons;
  readonly #sender: Sender;
  /** Made when frames first pass through JavaScript, which on a line they never do. */
  #batch: FrameBatch | undefined;
  readonly #controlWatch: Watch | undefined;
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

  /** @throws VdensError `ERR_NATIVE`, and the descriptors are still the caller's, when they cannot be watched */
  constructor(label: string, options: SocketPlugOptions) {
    const { data, control, counters = new PlugCounters() } = options;
    this.label = label;
    this.counters = counters;
    this.maxFrameBytes = options.maxFrameBytes;
    this.#data = data;
    this.#control = control;
    this.#emptyIsEnd = options.emptyIsEnd ?? false;
    this.#reasons = options.reasons;
    this.#sender = new Sender({
      counters,
      transmit: (batch, first, count) => {
        const sent = native.sendBatch(data, batch.arena, batch.slots, first, count);
        if (sent < 0) this.#isRefused ||= meansGone(-sent);
        return sent;
      },
      failureReason,
      wantWritable: (want) => this.#setInterest(WRITABLE, want),
      drained: () => this.#events.drain?.(),
    });
    if (control !== undefined) this.#controlWatch = new Watch(control, READABLE, (ready) => this.#readControl(ready));
  }

  /** Whether its other end is there, and it was not closed. */
  protected get isUp(): boolean {
    return !this.#closed && this.#goneReason === undefined;
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
      if (this.#isRefused) this.#gone(this.#reasons.closed);
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
    return { fd: this.#data, kind: 'socket', maxFrameBytes, takesSuperFrames, emptyIsEnd: this.#emptyIsEnd, counters };
  }

  restore(isGone: boolean): void {
    this.#takeBack = undefined;
    if (isGone) this.#gone(this.#reasons.closed);
    else if (this.#started && !this.#closed && this.#goneReason === undefined) this.#watchData();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#takeBack?.();
    this.#sender.abandon('down');
    this.#controlWatch?.end();
    this.#unwatchData();
    this.ended();
    native.closeDescriptor(this.#data);
    if (this.#control !== undefined) native.closeDescriptor(this.#control);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Called when it is closed, and when its other end is gone; a kind of plug with more to let go of does so here. */
  protected ended(): void {}

  #watchData(): void {
    this.#dataWatch ??= new Watch(this.#data, this.#interest, (ready) => this.#serve(ready));
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
    const before = this.counters.received.frames;
    // A pending error is told, and forgotten, by receiving.
    if ((ready & (READABLE | FAILED)) !== 0) onlyFrames = this.#receive();
    if ((ready & WRITABLE) !== 0) onlyFrames = this.#sender.writable() && onlyFrames;
    // What the other end sent before it went is still received.
    const isHungUp = (ready & HUNG_UP) !== 0 && this.counters.received.frames === before;
    // A unix datagram socket says so when its peer closed; the control connection tells the reason.
    if (!isHungUp && !this.#isRefused) return onlyFrames;
    this.#gone(this.#reasons.closed);
    return false;
  }

  #receive(): boolean {
    this.#batch ??= new FrameBatch(new Uint8Array(RECEIVE_CAPACITY * MAX_FRAME_BYTES), RECEIVE_CAPACITY);
    const batch = this.#batch;
    const count = native.receiveBatch(this.#data, batch.arena, batch.slots, MAX_FRAME_BYTES);
    if (count < 0) this.#isRefused ||= meansGone(-count);
    if (count <= 0) return true;
    batch.count = count;
    this.#leaveOutBadFrames(batch);
    this.counters.received.count(batch.count, batchBytes(batch));
    return batch.count === 0 || this.#receiver(batch) === true;
  }

  #leaveOutBadFrames(batch: FrameBatch): void {
    const { slots, count } = batch;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const length = slots[i * SLOT_WORDS + 1]!;
      if (length === 0 && this.#emptyIsEnd) this.#isRefused = true;
      else if (length >= MIN_FRAME_BYTES) {
        if (kept < i) slots.copyWithin(kept * SLOT_WORDS, i * SLOT_WORDS, (i + 1) * SLOT_WORDS);
        kept++;
      } else {
        this.counters.drop('received', length < 0 ? 'too-long' : 'too-short', 1);
      }
    }
    batch.count = kept;
  }

  #readControl(events: number): void {
    const length = native.receive(this.#control!, this.#ignored);
    if (length > 0) {
      // Nothing is ever said on it; what is said all the same is ignored, but not for ever.
      this.#ignoredBytes += length;
      if (this.#ignoredBytes > MAX_IGNORED_BYTES) this.#gone(this.#reasons.babbles);
      return;
    }
    if (length === 0 || (events & HUNG_UP) !== 0) {
      const why = length < 0 ? ` (${errnoName(length)})` : '';
      this.#gone(`${this.#reasons.left}${why}`);
    }
  }

  #gone(reason: string): void {
    if (this.#closed || this.#goneReason !== undefined) return;
    this.#goneReason = reason;
    this.#takeBack?.();
    this.#controlWatch?.end();
    this.#unwatchData();
    this.#sender.abandon('down');
    this.ended();
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
