/**
 * A plug around a plug: what the networks inside networks (`vlan://`, `agno://`) and an impaired one have in common.
 *
 * ```
 * send ─────▶ wrap ─────▶ inner.send
 * receiver ◀─ unwrap ◀─── inner's receiver
 * ```
 *
 * A kind of wrapper says what becomes of a batch each way; that its network goes away, comes back, is full or is in
 * trouble is passed on as it is. Healing happens inside: the innermost network is opened again.
 *
 * What the inner network counts counts here as well, drops among it. A wrapper corrects that by what it adds and takes
 * away, so that frames and bytes are those on its own side.
 */
import type { VdensError } from '../errors.ts';
import type { FrameBatch } from '../frames/batch.ts';
import { type DirectionCounters, type DropReason, PlugCounters } from './counters.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';

/** The MTU of an Ethernet (IEEE 802.3, 3.2.7): interfaces have it without being told. */
export const USUAL_MTU = 1500;

/**
 * How many bytes more than a wrapper's own the inner plug counts as sent. What it drops, now or later, it does not count,
 * and which frames those were is not known: they are taken for such as the others, or, when they are dropped at once, for
 * such as those that were just handed on.
 */
class AddedBytes {
  readonly #inner: DirectionCounters;
  #bytes = 0;
  /** Those that were handed on, and not dropped. */
  #frames = 0;
  #dropped: number;

  constructor(inner: DirectionCounters) {
    this.#inner = inner;
    this.#dropped = inner.droppedFrames;
  }

  get bytes(): number {
    this.#takeBack(this.#newDrops());
    return this.#bytes;
  }

  /** Counts them before they are handed on: somebody may look meanwhile, or send more. */
  add(frames: number, bytes: number, handOn: () => void): void {
    this.#takeBack(this.#newDrops());
    this.#frames += frames;
    this.#bytes += bytes;
    handOn();
    const dropped = Math.min(this.#newDrops(), frames);
    if (dropped === 0) return;
    this.#frames -= dropped;
    this.#bytes -= (bytes * dropped) / frames;
  }

  #takeBack(frames: number): void {
    const dropped = Math.min(frames, this.#frames);
    if (dropped === 0) return;
    this.#bytes -= (this.#bytes * dropped) / this.#frames;
    this.#frames -= dropped;
  }

  #newDrops(): number {
    const dropped = this.#inner.droppedFrames;
    const count = dropped - this.#dropped;
    this.#dropped = dropped;
    return count;
  }
}

/** A plug whose frames go through another one. */
export abstract class WrapperPlug implements Plug {
  readonly label: string;
  readonly counters: PlugCounters;
  protected readonly inner: Plug;
  #added: AddedBytes | undefined;
  #receiver: FrameReceiver = () => undefined;
  #events: PlugEvents = {};

  /**
   * @param inner from now on the wrapper's: closed with it, and started by nobody else
   * @param counters the inner one's where a wrapper changes nothing. @defaultValue some that follow the inner one's
   */
  protected constructor(label: string, inner: Plug, counters?: PlugCounters) {
    this.label = label;
    this.inner = inner;
    this.counters = counters ?? new PlugCounters();
    if (counters === undefined) this.counters.followNumbers(inner.counters);
  }

  /** Hands on to the inner plug what becomes of these frames. */
  protected abstract wrap(batch: FrameBatch): void;

  /** Delivers what becomes of these frames of the inner plug. Returns what a {@link FrameReceiver} does. */
  protected abstract unwrap(batch: FrameBatch): boolean;

  get interior(): Plug {
    return this.inner;
  }

  /** The network that is inside of all others. */
  get innermost(): Plug {
    return this.inner instanceof WrapperPlug ? this.inner.innermost : this.inner;
  }

  get maxFrameBytes(): number {
    return this.inner.maxFrameBytes;
  }

  get mtu(): number | undefined {
    return this.inner.mtu;
  }

  get takesSuperFrames(): boolean {
    return this.inner.takesSuperFrames;
  }

  get isServedHere(): boolean {
    return this.inner.isServedHere === true;
  }

  get heals(): boolean {
    return this.inner.heals !== false;
  }

  get comesBack(): boolean {
    return this.inner.comesBack === true;
  }

  get hasBeenUp(): boolean {
    return this.inner.hasBeenUp !== false;
  }

  get busy(): boolean {
    return this.inner.busy;
  }

  report(): readonly string[] {
    return this.inner.report?.() ?? [];
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    this.inner.start((batch) => this.unwrap(batch), this.innerEvents());
  }

  send(batch: FrameBatch): void {
    this.wrap(batch);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whom the wrapper tells; those of the last {@link start}. */
  protected get events(): PlugEvents {
    return this.#events;
  }

  /** What the inner plug tells; a kind of wrapper that has something to do then overrides some of it. */
  protected innerEvents(): Required<Pick<PlugEvents, 'drain' | 'down' | 'up' | 'trouble'>> {
    return {
      drain: () => this.#events.drain?.() === true,
      down: (reason) => this.#events.down?.(reason),
      up: () => this.#events.up?.(),
      trouble: (error) => this.tell(error),
    };
  }

  /** Hands frames to whoever receives. Returns what a {@link FrameReceiver} does. */
  protected deliver(batch: FrameBatch): boolean {
    return batch.count === 0 || this.#receiver(batch) === true;
  }

  /** Sends the inner plug frames that have so many bytes more than they had on our side. */
  protected sendGrown(batch: FrameBatch, addedBytes: number): void {
    if (batch.count === 0) return;
    if (this.#added === undefined) {
      const added = new AddedBytes(this.inner.counters.sent);
      this.counters.sent.leaveOut(() => added.bytes);
      this.#added = added;
    }
    this.#added.add(batch.count, addedBytes, () => this.inner.send(batch));
  }

  /** Something that people should know. */
  protected tell(error: VdensError): void {
    this.#events.trouble?.(error);
  }

  /** Counts frames that came out of the inner plug, and are delivered to nobody. */
  protected dropReceived(reason: DropReason, frames: number, bytes: number): void {
    this.counters.received.count(-frames, -bytes);
    this.counters.drop('received', reason, frames);
  }
}
