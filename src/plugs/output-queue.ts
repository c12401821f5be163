/**
 * Ordinary frames on their way out of a plug that takes no super-frames.
 *
 * `append` cuts and checksums what it is given, straight into the queue, so that nothing of the borrowed batch
 * is needed afterwards; `flush` hands the frames to the kernel. What the kernel does not take now stays, in
 * order, until the next flush. The queue is bounded; what does not fit is dropped and counted.
 *
 * ```
 * arena  |sent....|frame|frame|frame|........free........|
 *                  ^first            ^count               ^QUEUE_BYTES
 * ```
 */
import { FrameBatch, SLOT_WORDS } from '../frames/batch.ts';
import { AGAIN, native } from '../system/native.ts';
import type { DropReason, PlugCounters } from './counters.ts';

/** Holds what the largest TAP batch becomes when it is cut, and as much again. */
const QUEUE_BYTES = 1024 * 1024;
const QUEUE_FRAMES = 1024;

/**
 * Hands `count` frames from slot `first` on to the kernel: how many it took, or -errno when not even one.
 */
export type Transmit = (batch: FrameBatch, first: number, count: number) => number;

/** What a failed transmission means for the frame at its head. */
export type FailureReason = (errno: number) => DropReason;

export class OutputQueue {
  readonly batch: FrameBatch = new FrameBatch(new Uint8Array(QUEUE_BYTES), QUEUE_FRAMES);
  readonly #counters: PlugCounters;
  readonly #result = new Uint32Array(4);
  #first = 0;
  #used = 0;

  constructor(counters: PlugCounters) {
    this.#counters = counters;
  }

  /** How many frames wait. */
  get waiting(): number {
    return this.batch.count - this.#first;
  }

  /**
   * Queues the batch from slot `first` on, as ordinary frames; drops what is malformed or longer than
   * `maxFrameBytes`.
   *
   * @returns the first slot that did not fit any more; the batch's count when all did
   */
  append(source: FrameBatch, first: number, maxFrameBytes: number): number {
    const { batch } = this;
    if (this.#first === batch.count) this.clear();
    const [arena, slots] =
      batch.count === 0
        ? [batch.arena, batch.slots]
        : [batch.arena.subarray(this.#used), batch.slots.subarray(batch.count * SLOT_WORDS)];
    const result = this.#result;
    native.segmentBatch(source.arena, source.slots, first, source.count - first, arena, slots, maxFrameBytes, result);
    const produced = result[1]!;
    this.#counters.drop('sent', 'malformed', result[2]!);
    this.#counters.drop('sent', 'too-long', result[3]!);
    if (produced > 0) {
      const base = this.#used;
      for (let i = 0; base > 0 && i < produced; i++) slots[i * SLOT_WORDS] = slots[i * SLOT_WORDS]! + base;
      batch.count += produced;
      this.#used = batch.offset(batch.count - 1) + batch.frameLength(batch.count - 1);
    }
    return first + result[0]!;
  }

  /**
   * Hands waiting frames on until none is left or the kernel takes no more for now.
   *
   * @returns whether any left
   */
  flush(transmit: Transmit, failureReason: FailureReason): boolean {
    const { batch } = this;
    const before = this.#first;
    while (this.#first < batch.count) {
      const count = transmit(batch, this.#first, batch.count - this.#first);
      if (count === AGAIN) break;
      if (count > 0) {
        this.#countSent(count);
        this.#first += count;
      } else {
        // This frame can never leave; those behind it perhaps can.
        this.#counters.drop('sent', failureReason(-count), 1);
        this.#first++;
      }
    }
    return this.#first > before;
  }

  /**
   * Drops what waits, counted under `reason`.
   *
   * @param keepHead keeps the first frame, because a part of it has left already
   */
  drop(reason: DropReason, keepHead = false): void {
    const kept = keepHead && this.waiting > 0 ? 1 : 0;
    this.#counters.drop('sent', reason, this.waiting - kept);
    this.batch.count = this.#first + kept;
    if (kept === 0) this.clear();
    else this.#used = this.batch.offset(this.#first) + this.batch.frameLength(this.#first);
  }

  /** Forgets the frames; they were dealt with. */
  clear(): void {
    this.batch.count = 0;
    this.#first = 0;
    this.#used = 0;
  }

  #countSent(count: number): void {
    const { slots } = this.batch;
    let bytes = 0;
    for (let i = this.#first; i < this.#first + count; i++) bytes += slots[i * SLOT_WORDS + 1]!;
    this.#counters.sent.frames += count;
    this.#counters.sent.bytes += bytes;
  }
}
