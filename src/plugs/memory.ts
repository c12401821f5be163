/**
 * A line between two plugs in memory: the double for tests, and the way for a program to take part in a
 * network with frames of its own.
 */
import { type FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { batchBytes, PlugCounters } from './counters.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';

/** One end of a line in memory. Frames arrive at the other end within the call of `send`. */
export class MemoryPlug implements Plug {
  readonly label: string;
  readonly maxFrameBytes: number = MAX_FRAME_BYTES;
  readonly takesSuperFrames: boolean = true;
  readonly counters: PlugCounters = new PlugCounters();
  #peer: MemoryPlug | undefined;
  #receiver: FrameReceiver | undefined;
  #events: PlugEvents = {};
  #paused = false;
  #closed = false;

  private constructor(label: string) {
    this.label = label;
  }

  /** Both ends of a new line. */
  static pair(label = 'memory'): [MemoryPlug, MemoryPlug] {
    const a = new MemoryPlug(`${label}/0`);
    const b = new MemoryPlug(`${label}/1`);
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  get busy(): boolean {
    const peer = this.#peer;
    if (peer === undefined) return false;
    return peer.#paused && !peer.#closed;
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    const peer = this.#peer;
    if (!this.#closed && peer !== undefined && peer.#closed) this.#loseOther();
  }

  send(batch: FrameBatch): void {
    const peer = this.#peer;
    if (this.#closed || peer === undefined || peer.#closed || peer.#receiver === undefined) {
      this.counters.drop('sent', 'down', batch.count);
    } else if (peer.#paused) {
      this.counters.drop('sent', 'queue-full', batch.count);
    } else {
      const bytes = batchBytes(batch);
      this.counters.sent.count(batch.count, bytes);
      peer.counters.received.count(batch.count, bytes);
      peer.#receiver(batch);
    }
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const peer = this.#peer;
    if (peer !== undefined && !peer.#closed) peer.#events.drain?.();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const peer = this.#peer;
    if (peer === undefined || peer.#closed) return;
    // Whoever waits for room need not wait any longer.
    if (this.#paused) peer.#events.drain?.();
    peer.#loseOther();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #loseOther(): void {
    this.#events.down?.('the other end was closed');
  }
}
