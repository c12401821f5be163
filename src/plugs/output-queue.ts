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
/** An Ethernet header; a shorter frame is none. */
const MIN_FRAME_BYTES = 14;

/**
 * Hands `count` frames from slot `first` on to the kernel: how many it took, 0 when only a part of the first, or
 * -errno when nothing at all.
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
   * Queues the batch from slot `first` on, as ordinary frames; drops what is malformed, shorter than an
   * Ethernet header or longer than `maxFrameBytes`.
   *
   * @returns the first slot that did not fit any more; the batch's count when all did
   */
  append(source: FrameBatch, first: number, maxFrameBytes: number): number {
    if (this.#first === this.batch.count) this.clear();
    let next = this.#cut(source, first, source.count, maxFrameBytes);
    if (next < source.count && this.#first > 0) {
      this.#compact();
      next = this.#cut(source, next, source.count, maxFrameBytes);
    }
    return next;
  }

  /** Cuts slots `first` to `end` into the free part of the queue; returns the first that found no room. */
  #cut(source: FrameBatch, first: number, end: number, maxFrameBytes: number): number {
    const { batch } = this;
    const result = this.#result;
    const [arena, slots] =
      batch.count === 0
        ? [batch.arena, batch.slots]
        : [batch.arena.subarray(this.#used), batch.slots.subarray(batch.count * SLOT_WORDS)];
    native.segmentBatch(source.arena, source.slots, first, end - first, arena, slots, maxFrameBytes, result);
    // What would not even fit an empty queue is malformed; here perhaps it is the free part that is too small.
    if (result[2]! > 0 && batch.count > 0) {
      if (end - first > 1) return this.#cutOneByOne(source, first, end, maxFrameBytes);
      if (this.#waitsForRoom(source, first, maxFrameBytes)) return first;
      result.set([1, 0, 1, 0]);
    }
    this.#counters.drop('sent', 'malformed', result[2]!);
    this.#counters.drop('sent', 'too-long', result[3]!);
    this.#keep(slots, result[1]!);
    return first + result[0]!;
  }

  #cutOneByOne(source: FrameBatch, first: number, end: number, maxFrameBytes: number): number {
    for (let slot = first; slot < end; slot++) {
      if (this.#cut(source, slot, slot + 1, maxFrameBytes) === slot) return slot;
    }
    return end;
  }

  /** Whether the frame is well-formed, so that it fits when the queue is empty. */
  #waitsForRoom(source: FrameBatch, slot: number, maxFrameBytes: number): boolean {
    const { batch } = new OutputQueue(this.#counters);
    const result = this.#result;
    native.segmentBatch(source.arena, source.slots, slot, 1, batch.arena, batch.slots, maxFrameBytes, result);
    return result[2] === 0;
  }

  /** Takes the `produced` frames behind those that wait into the queue, without those that are too short. */
  #keep(slots: Int32Array, produced: number): void {
    if (produced === 0) return;
    const base = this.batch.count === 0 ? 0 : this.#used;
    const last = (produced - 1) * SLOT_WORDS;
    this.#used = base + slots[last]! + slots[last + 1]!;
    let kept = 0;
    for (let i = 0; i < produced; i++) {
      const word = i * SLOT_WORDS;
      if (slots[word + 1]! < MIN_FRAME_BYTES) continue;
      if (kept < i) slots.copyWithin(kept * SLOT_WORDS, word, word + SLOT_WORDS);
      if (base > 0) slots[kept * SLOT_WORDS] = slots[kept * SLOT_WORDS]! + base;
      kept++;
    }
    this.batch.count += kept;
    this.#counters.drop('sent', 'too-short', produced - kept);
  }

  /** Moves the frames that wait to the beginning. */
  #compact(): void {
    const { arena, slots, count } = this.batch;
    const start = this.batch.offset(this.#first);
    arena.copyWithin(0, start, this.#used);
    slots.copyWithin(0, this.#first * SLOT_WORDS, count * SLOT_WORDS);
    this.batch.count = this.waiting;
    for (let i = 0; i < this.batch.count; i++) slots[i * SLOT_WORDS] = slots[i * SLOT_WORDS]! - start;
    this.#used -= start;
    this.#first = 0;
  }

  /**
   * Hands waiting frames on until none is left or the kernel takes no more for now.
   *
   * @returns whether anything left
   */
  flush(transmit: Transmit, failureReason: FailureReason): boolean {
    const { batch } = this;
    const before = this.#first;
    while (this.#first < batch.count) {
      const count = transmit(batch, this.#first, batch.count - this.#first);
      if (count === AGAIN) break;
      if (count === 0) return true;
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
    this.#counters.sent.count(count, bytes);
  }
}
