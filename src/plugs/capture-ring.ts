/**
 * A capture ring: memory into which whoever moves frames writes blocks of a capture file, and out of which one process
 * takes them (native/io/capture_ring.h). A process that has it can record into it, or read it, or pass it on.
 */
import { native } from '../system/native.ts';

/** What a ring that is full does: leave frames out, or forget its oldest. */
export type CaptureMode = 'stream' | 'recorder';

const RECORDER = 1;

/** How many interfaces a capture can have (native/io/capture_ring.h). */
export const MAX_CAPTURE_INTERFACES = 512;

/** Positions in a ring, in bytes since it was made. */
export interface CaptureExtent {
  /** Of the oldest block. */
  readonly start: number;
  /** Of the next one. */
  readonly end: number;
  /** Whether both can be true. */
  readonly isSound: boolean;
}

export class CaptureRing {
  /** Its number in this process. */
  readonly id: number;
  /** The memory, and the eventfd that wakes the reader: descriptors to pass on. */
  readonly memory: number;
  readonly notice: number;
  readonly #numbers = new Float64Array(3);
  #closed = false;

  private constructor(id: number, memory: number, notice: number) {
    this.id = id;
    this.memory = memory;
    this.notice = notice;
  }

  /**
   * Makes a ring.
   *
   * @param bytes of data, from 256 KiB to 1 GiB
   * @returns a negative errno when the process has too many descriptors, or no memory
   */
  static make(bytes: number, mode: CaptureMode): CaptureRing | number {
    const memory = native.captureMake(bytes, mode === 'recorder' ? RECORDER : 0);
    if (memory < 0) return memory;
    const notice = native.captureNotice();
    const ring = notice < 0 ? notice : CaptureRing.open(memory, notice);
    if (typeof ring !== 'number') return ring;
    native.closeDescriptor(memory);
    if (notice >= 0) native.closeDescriptor(notice);
    return ring;
  }

  /**
   * Takes a ring that somebody passed on.
   *
   * @param memory and `notice`: from now on the ring's; of no ring, they stay the caller's
   * @returns a negative errno when it is none, or there is no memory for it
   */
  static open(memory: number, notice: number): CaptureRing | number {
    const id = native.captureOpen(memory, notice);
    return id < 0 ? id : new CaptureRing(id, memory, notice);
  }

  /** Appends a block that is no frame. Returns whether there was room. */
  write(block: Uint8Array): boolean {
    return !this.#closed && native.captureWrite(this.id, block) === 1;
  }

  /** What became of the frames of one interface. */
  counts(index: number): { readonly recorded: number; readonly leftOut: number } {
    this.#numbers.fill(0);
    if (!this.#closed) native.captureCounts(this.id, index, this.#numbers);
    return { recorded: this.#numbers[0]!, leftOut: this.#numbers[1]! };
  }

  get extent(): CaptureExtent {
    this.#numbers.fill(0);
    if (!this.#closed) native.captureState(this.id, this.#numbers);
    return { start: this.#numbers[0]!, end: this.#numbers[1]!, isSound: this.#numbers[2] === 1 };
  }

  /** The data, twice, one copy behind the other, so that every block is in one piece. For the reader of a stream. */
  map(): Uint8Array | undefined {
    const buffer = this.#closed ? undefined : native.captureMap(this.memory);
    return buffer === undefined ? undefined : new Uint8Array(buffer);
  }

  /** The reader has taken so many bytes. */
  consume(bytes: number): void {
    if (!this.#closed) native.captureConsume(this.id, bytes);
  }

  /** Whether so many bytes wait already; otherwise the notice becomes readable when they do. Zero for never. */
  await(bytes: number): boolean {
    return !this.#closed && native.captureAwait(this.id, bytes) === 1;
  }

  /**
   * Copies blocks of a recorder that goes on recording, from a position on.
   *
   * @returns how many bytes, all of them of whole blocks, and where to go on; that is `end` when it is over
   */
  copy(from: number, end: number, room: Uint8Array): { readonly length: number; readonly next: number } {
    this.#numbers.set([0, end]);
    if (!this.#closed) native.captureCopy(this.id, from, end, room, this.#numbers);
    return { length: this.#numbers[0]!, next: this.#numbers[1]! };
  }

  /** Nothing is recorded there by this process any more. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.captureClose(this.id);
    native.closeDescriptor(this.memory);
    native.closeDescriptor(this.notice);
  }
}
