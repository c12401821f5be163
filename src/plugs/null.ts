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

  constructor(label = 'null://') {
    this.label = label;
  }

  start(): void {}

  send(batch: FrameBatch): void {
    this.counters.sent.frames += batch.count;
    this.counters.sent.bytes += batchBytes(batch);
  }

  pause(): void {}
  resume(): void {}
  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
