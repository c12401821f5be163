/**
 * The sending half of a plug whose kernel object can be full: push back before dropping.
 *
 * While frames wait the plug is *busy* and its other side stops reading. When the kernel takes nothing at all
 * for {@link STALL_MS}, what waits is dropped and counted as `peer-slow`, and the other side reads on: a
 * peer that never reads costs a pause, not a hang.
 */
import type { FrameBatch } from '../frames/batch.ts';
import type { DropReason, PlugCounters } from './counters.ts';
import { type FailureReason, OutputQueue, type Transmit } from './output-queue.ts';

/** How long a peer may take nothing before what waits for it is dropped, in milliseconds. */
export const STALL_MS = 100;

/** What a {@link Sender} needs of its plug. */
export interface SenderOptions {
  readonly counters: PlugCounters;
  readonly transmit: Transmit;
  readonly failureReason: FailureReason;
  /** Whether a part of the frame at the head has left already, as can happen on a stream. */
  readonly isHeadPartial?: () => boolean;
  /** Called with true when the plug wants to know that it can write again, with false when not any more. */
  readonly wantWritable: (want: boolean) => void;
  /** Of a line that is slow by itself. @defaultValue {@link STALL_MS} */
  readonly stallMs?: number | undefined;
  /** Called when nothing waits any more after frames had to. */
  readonly drained: () => boolean | undefined | void;
}

export class Sender {
  readonly #options: SenderOptions;
  #madeQueue: OutputQueue | undefined;
  #busy = false;
  #progress = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#busy;
  }

  get #stallMs(): number {
    return this.#options.stallMs ?? STALL_MS;
  }

  /** Made with the first frame: a plug whose frames move without JavaScript needs none. */
  get #queue(): OutputQueue {
    this.#madeQueue ??= new OutputQueue(this.#options.counters);
    return this.#madeQueue;
  }

  /** Sends or queues the frames; see {@link Plug.send}. */
  send(batch: FrameBatch, maxFrameBytes: number): void {
    let first = 0;
    do {
      first = this.#queue.append(batch, first, maxFrameBytes);
      if (!this.#busy) this.#flush();
    } while (first < batch.count && this.#queue.waiting === 0);
    this.#options.counters.drop('sent', 'queue-full', batch.count - first);
    if (this.#queue.waiting > 0 && !this.#busy) this.#becomeBusy();
  }

  /** To be called when the kernel can take frames again. Returns what a {@link FrameReceiver} does. */
  writable(): boolean {
    this.#flush();
    if (this.#queue.waiting > 0) return true;
    if (this.#busy) return this.#becomeIdle();
    this.#options.wantWritable(false);
    return true;
  }

  /** Drops what waits; the peer is gone. */
  abandon(reason: DropReason): void {
    this.#madeQueue?.drop(reason);
    if (this.#busy) this.#becomeIdle();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #flush(): void {
    if (this.#queue.flush(this.#options.transmit, this.#options.failureReason)) this.#progress = true;
  }

  #becomeBusy(): void {
    this.#busy = true;
    this.#options.wantWritable(true);
    // The timer outlives many short pauses: setting one each time would cost more than it is worth.
    // One that runs already may be about to end, so its end is not ours.
    this.#progress = this.#timer !== undefined;
    this.#timer ??= setTimeout(() => this.#checkProgress(), this.#stallMs);
  }

  #becomeIdle(): boolean {
    this.#busy = false;
    // A frame that has left in part stays, and is to be finished even when nothing follows.
    this.#options.wantWritable(this.#queue.waiting > 0);
    return this.#options.drained() === true;
  }

  #checkProgress(): void {
    this.#timer = undefined;
    if (!this.#busy) return;
    if (!this.#progress) {
      this.#queue.drop('peer-slow', this.#options.isHeadPartial?.());
      this.#becomeIdle();
      return;
    }
    this.#progress = false;
    this.#timer = setTimeout(() => this.#checkProgress(), this.#stallMs);
  }
}
