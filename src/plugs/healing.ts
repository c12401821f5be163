/**
 * A plug that opens its network again when the other end goes away.
 *
 * ```
 *          inner.down               open() fails: wait 0.1, 0.2, 0.4 … 2 s
 *   UP ───────────────▶ DOWN ──▶ trying ──────────────┐
 *    ▲                             ▲──────────────────┘
 *    └──────── open() works ───────┘
 * ```
 *
 * A network that goes away again at once does not shorten the pauses, so nothing spins. Frames sent meanwhile are dropped and counted as `down`.
 */
import type { FrameBatch } from '../frames/batch.ts';
import { PlugCounters } from './counters.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;

/** Opens the network; the plug is to count in these counters. */
export type OpenInner = (counters: PlugCounters) => Promise<Plug>;

export class HealingPlug implements Plug {
  readonly label: string;
  readonly takesSuperFrames: boolean;
  readonly counters: PlugCounters;
  readonly #open: OpenInner;
  #inner: Plug;
  #up = true;
  #receiver: FrameReceiver | undefined;
  #events: PlugEvents = {};
  #paused = false;
  #closed = false;
  #pauseMs = FIRST_PAUSE_MS;
  #upSince = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #trying: Promise<void> | undefined;

  private constructor(label: string, open: OpenInner, inner: Plug, counters: PlugCounters) {
    this.label = label;
    this.#open = open;
    this.#inner = inner;
    this.counters = counters;
    this.takesSuperFrames = inner.takesSuperFrames;
  }

  /** Opens it for the first time; a failure of that is the caller's. */
  static async open(label: string, open: OpenInner): Promise<HealingPlug> {
    const counters = new PlugCounters();
    return new HealingPlug(label, open, await open(counters), counters);
  }

  get maxFrameBytes(): number {
    return this.#inner.maxFrameBytes;
  }

  get busy(): boolean {
    return this.#up && this.#inner.busy;
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    this.#startInner();
  }

  send(batch: FrameBatch): void {
    if (this.#up) this.#inner.send(batch);
    else this.counters.drop('sent', 'down', batch.count);
  }

  pause(): void {
    this.#paused = true;
    this.#inner.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#up) this.#inner.resume();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#trying;
    await this.#inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #startInner(): void {
    this.#inner.start(this.#receiver!, {
      drain: () => this.#events.drain?.(),
      down: (reason) => this.#lose(reason),
    });
    if (this.#paused) this.#inner.pause();
  }

  #lose(reason: string): void {
    if (!this.#up || this.#closed) return;
    this.#up = false;
    if (performance.now() - this.#upSince > LONGEST_PAUSE_MS) this.#pauseMs = FIRST_PAUSE_MS;
    // Whoever waits for room need not wait any longer.
    this.#events.drain?.();
    this.#events.down?.(reason);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#trying = this.#tryAgain().finally(() => {
        this.#trying = undefined;
      });
    }, this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  async #tryAgain(): Promise<void> {
    await this.#inner.close();
    let inner: Plug;
    try {
      inner = await this.#open(this.counters);
    } catch {
      // The loss was told; that it lasts is shown by the missing carrier.
      this.#schedule();
      return;
    }
    this.#inner = inner;
    if (this.#closed) return;
    this.#up = true;
    this.#upSince = performance.now();
    this.#startInner();
    this.#events.up?.();
  }
}
