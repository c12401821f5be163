/** `null://`: takes everything, delivers nothing. */
import { type FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { batchBytes, PlugCounters } from './counters.ts';
import type { Plug } from './plug.ts';

export class NullPlug implements Plug {
  readonly label: string;
  readonly maxFrameBytes: number = MAX_FRAME_BYTES;
  readonly takesSuperFrames: boolean = true;
  readonly counters: PlugCounters = new PlugCounters();
  readonly busy: boolean = false;
  #closed = false;

  constructor(label = 'null://') {
    this.label = label;
  }

  start(): void {}

  send(batch: FrameBatch): void {
    if (this.#closed) {
      this.counters.drop('sent', 'down', batch.count);
      return;
    }
    this.counters.sent.count(batch.count, batchBytes(batch));
  }

  pause(): void {}
  resume(): void {}

  async close(): Promise<void> {
    this.#closed = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
