/**
 * A connected Unix socket on which lines come and go, and descriptors with them.
 *
 * Lines have a largest length, and what waits to be sent is the user's to bound. Descriptors arrive with the bytes that they were sent
 * with; they wait in order until a line says how many of them are its own.
 */
import { constants } from 'node:os';
import { AGAIN, native } from '../system/native.ts';
import { FAILED, HUNG_UP, READABLE, Watch, WRITABLE } from '../system/reactor.ts';
import { MAX_LINE_DESCRIPTORS } from './message.ts';

/** receiveDescriptors takes a count, and as many as one message holds (unix(7)). */
const DESCRIPTOR_WORDS = 254;
const READ_BYTES = 65_536;
const NEWLINE = 0x0a;

/** A line that is longer than lines may be; what follows is not looked at. */
export const TOO_LONG: unique symbol = Symbol('a line that is too long');

/** What happens on it. */
export interface MessageStreamEvents {
  /** Lines are there, or the end of what the other end says is: time for {@link MessageStream.next}. */
  readable(): void;
  /** All that was sent has left. */
  drained(): void;
  /** It is closed: because the other end is gone, or by {@link MessageStream.close}. Said once. */
  gone(): void;
}

/** Something that did not leave yet. */
interface Waiting {
  readonly bytes: Uint8Array;
  /** Copies, which are closed when they have left. */
  readonly descriptors: readonly number[];
}

/** What arrived and was not taken. */
class InputBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  /** Before here there is no newline. */
  #searched = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Of the first line, with its end; `undefined` when no line is whole. */
  get lineLength(): number | undefined {
    const found = this.#bytes.subarray(0, this.#end).indexOf(NEWLINE, this.#searched);
    this.#searched = found < 0 ? this.#end : found;
    return found < 0 ? undefined : found + 1 - this.#start;
  }

  /** Room doubles, so that a long line is not copied again with each part of it. */
  add(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * this.length, this.length + bytes.length));
      this.#bytes.copy(grown, 0, this.#start, this.#end);
      this.#searched -= this.#start;
      this.#end -= this.#start;
      this.#start = 0;
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  take(length: number): string {
    const text = this.#bytes.toString('utf8', this.#start, this.#start + length);
    this.#start += length;
    this.#searched = this.#start;
    if (this.length === 0) this.clear();
    return text;
  }

  clear(): void {
    this.#bytes = Buffer.alloc(0);
    this.#start = this.#end = this.#searched = 0;
  }
}

const arrived = new Uint8Array(READ_BYTES);
const arrivedDescriptors = new Int32Array(DESCRIPTOR_WORDS);

export class MessageStream {
  readonly #fd: number;
  readonly #events: MessageStreamEvents;
  readonly #longest: number;
  readonly #watch: Watch;
  readonly #input = new InputBuffer();
  readonly #descriptors: number[] = [];
  #queue: Waiting[] = [];
  #hasEnded = false;
  #isPaused = false;
  #isDeaf = false;
  #isClosed = false;

  /**
   * @param fd of a connected, non-blocking stream socket; from now on the stream's
   * @param longest line, in bytes, with its end
   * @throws VdensError `ERR_NATIVE`, and the descriptor is still the caller's
   */
  constructor(fd: number, longest: number, events: MessageStreamEvents) {
    this.#fd = fd;
    this.#longest = longest;
    this.#events = events;
    this.#watch = new Watch(fd, READABLE, (ready) => this.#serve(ready));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether something that was sent has not left yet. */
  get isBehind(): boolean {
    return this.#queue.length > 0;
  }

  /** Whether the other end has said all, and all was taken. */
  get isAtEnd(): boolean {
    return this.#hasEnded && this.#input.length === 0;
  }

  /** The next line, without its end; also what is left at the end. `undefined` when there is none yet. */
  next(): string | typeof TOO_LONG | undefined {
    const { length: waiting, lineLength } = this.#input;
    const length = lineLength ?? (this.#hasEnded ? waiting : 0);
    if (Math.max(length, lineLength === undefined ? waiting : 0) > this.#longest) {
      this.#input.clear();
      return TOO_LONG;
    }
    if (length === 0) return undefined;
    return this.#input.take(length).replace(/\r?\n$/, '');
  }

  /** The oldest descriptors that arrived, which are the caller's then. `undefined` when there are not so many. */
  take(count: number): readonly number[] | undefined {
    return this.#descriptors.length < count ? undefined : this.#descriptors.splice(0, count);
  }

  /**
   * Sends a line, at once or when the other end takes it.
   *
   * @param descriptors stay the caller's
   */
  send(line: string, descriptors: readonly number[] = []): void {
    if (this.#isClosed) return;
    const bytes = Buffer.from(line);
    const left = this.isBehind ? 0 : this.#transmit(bytes, descriptors);
    if (left === bytes.length) return;
    if (left < 0) {
      this.close();
      return;
    }
    const copies = left > 0 ? [] : descriptors.map((fd) => native.duplicateDescriptor(fd));
    this.#queue.push({ bytes: bytes.subarray(left), descriptors: copies });
    // A line without what belongs to it would be misunderstood.
    if (copies.some((fd) => fd < 0)) this.close();
    else this.#listen();
  }

  /** Looks at once for what has come already: who has just connected may have said something by then. */
  look(): void {
    if (!this.#isClosed) this.#read();
  }

  /** Reads no more for now; that the other end is gone is still noticed. */
  pause(): void {
    this.#isPaused = true;
    this.#listen();
  }

  resume(): void {
    this.#isPaused = false;
    this.#listen();
  }

  /** Says that nothing more is sent; what still comes is thrown away. Closed with something unread, it would look like a failure. */
  end(): void {
    this.#isDeaf = true;
    this.#input.clear();
    this.#closeDescriptors(this.#descriptors.splice(0));
    if (this.#isClosed) return;
    if (!this.isBehind) native.shutdownWriting(this.#fd);
    this.resume();
    if (this.#hasEnded && !this.isBehind) this.close();
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.end();
    native.closeDescriptor(this.#fd);
    this.#input.clear();
    this.#closeDescriptors(this.#descriptors.splice(0));
    for (const { descriptors } of this.#queue.splice(0)) this.#closeDescriptors(descriptors);
    this.#events.gone();
  }

  #listen(): void {
    if (this.#isClosed) return;
    const reading = this.#isPaused || this.#hasEnded ? 0 : READABLE;
    this.#watch.events = reading | (this.isBehind ? WRITABLE : 0);
  }

  #serve(ready: number): void {
    if ((ready & WRITABLE) !== 0) this.#flush();
    if (this.#isClosed) return;
    const isOver = (ready & (HUNG_UP | FAILED)) !== 0;
    if ((this.#watch.events & READABLE) === 0) {
      // Nobody is there who could read an answer.
      if (isOver) this.close();
      return;
    }
    if ((ready & READABLE) !== 0 || isOver) this.#read();
  }

  #read(): void {
    const length = native.receiveDescriptors(this.#fd, arrived, arrivedDescriptors);
    this.#descriptors.push(...arrivedDescriptors.subarray(1, 1 + arrivedDescriptors[0]!));
    if (length === AGAIN || length === -constants.errno.EINTR) return;
    if (length < 0 || this.#descriptors.length > MAX_LINE_DESCRIPTORS) {
      this.close();
      return;
    }
    if (length === 0) this.#hasEnded = true;
    if (this.#isDeaf) {
      this.#closeDescriptors(this.#descriptors.splice(0));
      if (this.#hasEnded) this.close();
      return;
    }
    this.#input.add(arrived.subarray(0, length));
    this.#listen();
    this.#events.readable();
  }

  #flush(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const left = this.#transmit(first.bytes, first.descriptors);
      if (left < 0) {
        this.close();
        return;
      }
      if (left === 0) break;
      this.#closeDescriptors(first.descriptors);
      if (left === first.bytes.length) this.#queue.shift();
      else this.#queue[0] = { bytes: first.bytes.subarray(left), descriptors: [] };
    }
    if (this.isBehind) return;
    this.#listen();
    if (!this.#isDeaf) this.#events.drained();
    else this.end();
  }

  /** How many bytes left; less than 0 when the other end is gone. Descriptors leave with the first. */
  #transmit(bytes: Uint8Array, descriptors: readonly number[]): number {
    const result =
      descriptors.length === 0
        ? native.send(this.#fd, bytes)
        : native.sendDescriptors(this.#fd, bytes, Int32Array.from(descriptors));
    return result === AGAIN || result === -constants.errno.EINTR ? 0 : result;
  }

  #closeDescriptors(descriptors: readonly number[]): void {
    for (const fd of descriptors) if (fd >= 0) native.closeDescriptor(fd);
  }
}
