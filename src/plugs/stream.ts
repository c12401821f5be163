/**
 * Frames over a byte stream, as vde_plug speaks on its standard input and output: a 16-bit length, big-endian,
 * then the frame.
 */
import { constants } from 'node:os';
import { FrameBatch } from '../frames/batch.ts';
import { AGAIN, errnoName, native } from '../system/native.ts';
import { READABLE, Watch, WRITABLE } from '../system/reactor.ts';
import { batchBytes, PlugCounters } from './counters.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';
import { Sender } from './sender.ts';

/** The longest frame that the original programs take from a stream. */
export const STREAM_FRAME_BYTES = 9234;
/** A longer length than the originals ever write: the stream is out of step. */
const MAX_LENGTH = 9236;
const HEADER_BYTES = 2;
const MIN_FRAME_BYTES = 14;
const ARENA_BYTES = 128 * 1024;
const CAPACITY = 256;

/** What kind of stream it is. */
export interface StreamOptions {
  /**
   * How long a frame may pause between two bytes, in milliseconds; one that pauses for longer is broken off, and what
   * comes then begins with a length. For lines on which bytes can get lost, where nothing else says where frames begin.
   * @defaultValue as long as it likes
   */
  readonly gapMs?: number;
  /** How long it may take nothing before what waits is dropped, in milliseconds. @defaultValue 100 */
  readonly stallMs?: number;
}

/** A plug over two different descriptors, of which it takes possession. */
export class StreamPlug implements Plug {
  readonly label: string;
  readonly maxFrameBytes: number = STREAM_FRAME_BYTES;
  readonly takesSuperFrames: boolean = false;
  readonly counters: PlugCounters;
  readonly #input: number;
  readonly #output: number;
  readonly #sender: Sender;
  readonly #progress = new Int32Array(1);
  readonly #batch = new FrameBatch(new Uint8Array(ARENA_BYTES), CAPACITY);
  /** Bytes at the beginning of the arena that are the first part of a frame. */
  #partial = 0;
  /** Whether those bytes may hold whole frames, because reading was paused while they were delivered. */
  #undelivered = false;
  readonly #gapMs: number | undefined;
  /** Runs while a frame is on its way, or the beginning of the next one is waited for. */
  #gapTimer: NodeJS.Timeout | undefined;
  /** What comes is no frame, until there is a gap. */
  #isOutOfStep = false;
  #started = false;
  #paused = false;
  #inputWatch: Watch | undefined;
  #outputWatch: Watch | undefined;
  #receiver: FrameReceiver = () => undefined;
  #events: PlugEvents = {};
  #gone = false;
  #closed = false;

  constructor(
    label: string,
    input: number,
    output: number,
    counters: PlugCounters = new PlugCounters(),
    options: StreamOptions = {},
  ) {
    this.label = label;
    this.counters = counters;
    this.#input = input;
    this.#output = output;
    this.#gapMs = options.gapMs;
    native.setNonBlocking(input);
    native.setNonBlocking(output);
    this.#sender = new Sender({
      counters,
      transmit: (batch, first, count) =>
        native.writeFramed(output, batch.arena, batch.slots, first, count, this.#progress),
      failureReason: (errno) => (errno === constants.errno.EPIPE ? 'down' : 'refused'),
      isHeadPartial: () => this.#progress[0] !== 0,
      wantWritable: (want) => this.#watchOutput(want),
      drained: () => this.#events.drain?.(),
      stallMs: options.stallMs,
    });
  }

  get busy(): boolean {
    return this.#sender.busy;
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    this.#started = true;
    this.#watchInput();
  }

  send(batch: FrameBatch): void {
    if (this.#closed || this.#gone) this.counters.drop('sent', 'down', batch.count);
    else this.#sender.send(batch, this.maxFrameBytes);
  }

  pause(): void {
    this.#paused = true;
    // Not `events = 0`: the end of a pipe is reported all the same, and would be reported on and on.
    this.#inputWatch?.end();
    this.#inputWatch = undefined;
    // What comes meanwhile is not seen, nor that nothing comes.
    this.#endGap();
  }

  resume(): void {
    this.#paused = false;
    // Not at once: whoever resumes may be in the middle of sending.
    if (this.#undelivered) setImmediate(() => this.#continue());
    else this.#watchInput();
    this.#watchGap();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#sender.abandon('down');
    this.#inputWatch?.end();
    this.#outputWatch?.end();
    this.#endGap();
    native.closeDescriptor(this.#input);
    native.closeDescriptor(this.#output);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #isReading(): boolean {
    return this.#started && !this.#paused && !this.#closed && !this.#gone;
  }

  #watchInput(): void {
    if (this.#isReading && !this.#undelivered)
      this.#inputWatch ??= new Watch(this.#input, READABLE, () => this.#read());
  }

  /** Delivers what was read before the pause, then reads on. */
  #continue(): void {
    if (!this.#isReading || !this.#undelivered) return;
    this.#deliver(this.#partial);
    this.#watchInput();
  }

  #watchOutput(want: boolean): void {
    if (want) {
      this.#outputWatch ??= new Watch(this.#output, WRITABLE, () => this.#sender.writable());
    } else {
      this.#outputWatch?.end();
      this.#outputWatch = undefined;
    }
  }

  #read(): boolean {
    const { arena } = this.#batch;
    return this.#take(native.readInto(this.#input, arena, this.#partial));
  }

  /** Goes on with what reading answered. */
  #take(length: number): boolean {
    if (length === AGAIN) return true;
    if (length <= 0) {
      this.#end(length === 0 ? 'the other side closed the stream' : `the stream broke (read: ${errnoName(length)})`);
      return false;
    }
    const onlyFrames = this.#isOutOfStep || this.#deliver(this.#partial + length);
    this.#watchGap();
    return onlyFrames;
  }

  #watchGap(): void {
    if (this.#gapMs === undefined || !this.#isReading || (this.#partial === 0 && !this.#isOutOfStep)) this.#endGap();
    else if (this.#gapTimer === undefined) this.#gapTimer = setTimeout(() => this.#checkGap(), this.#gapMs);
    else this.#gapTimer.refresh();
  }

  #endGap(): void {
    clearTimeout(this.#gapTimer);
    this.#gapTimer = undefined;
  }

  /** Nothing was read for long: nothing came, or we did not come to it. */
  #checkGap(): void {
    this.#gapTimer = undefined;
    if (!this.#isReading) return;
    const length = native.readInto(this.#input, this.#batch.arena, this.#partial);
    if (length !== AGAIN) {
      this.#take(length);
      return;
    }
    if (this.#partial > 0) this.counters.drop('received', 'malformed', 1);
    this.#partial = 0;
    this.#isOutOfStep = false;
  }

  /**
   * Delivers the whole frames among the first `end` bytes of the arena, and moves the rest to its beginning. A pause
   * in between leaves them there.
   */
  #deliver(end: number): boolean {
    const batch = this.#batch;
    const { arena } = batch;
    let position = 0;
    let onlyFrames = true;
    batch.count = 0;
    this.#undelivered = false;
    while (end - position >= HEADER_BYTES) {
      const length = (arena[position]! << 8) | arena[position + 1]!;
      if (length > MAX_LENGTH) {
        // Out of step: as the originals do, hope for a frame at the beginning of what is read next, or behind a gap.
        this.#isOutOfStep = this.#gapMs !== undefined;
        this.counters.drop('received', 'malformed', 1);
        position = end;
        break;
      }
      const next = position + HEADER_BYTES + length;
      if (next > end) break;
      if (length >= MIN_FRAME_BYTES) batch.push(position + HEADER_BYTES, length);
      else if (length > 0) this.counters.drop('received', 'too-short', 1);
      position = next;
      if (batch.count < batch.capacity) continue;
      onlyFrames = this.#hand() && onlyFrames;
      if (this.#closed) return false;
      if (this.#paused) {
        this.#undelivered = true;
        break;
      }
    }
    onlyFrames = this.#hand() && onlyFrames;
    this.#partial = end - position;
    if (position > 0 && this.#partial > 0) arena.copyWithin(0, position, end);
    return onlyFrames;
  }

  #hand(): boolean {
    const batch = this.#batch;
    if (batch.count === 0) return true;
    this.counters.received.count(batch.count, batchBytes(batch));
    const onlyFrames = this.#receiver(batch) === true;
    batch.count = 0;
    return onlyFrames;
  }

  #end(reason: string): void {
    if (this.#gone || this.#closed) return;
    this.#gone = true;
    this.#endGap();
    this.#inputWatch?.end();
    this.#sender.abandon('down');
    this.#events.down?.(reason);
  }
}
