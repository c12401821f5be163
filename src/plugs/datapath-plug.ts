/**
 * Something of the datapath (a tunnel, a gateway) as a plug.
 *
 * What frames need is in C, once. A line or a switch borrows it; JavaScript reaches it over a fabric of its own with two
 * ports:
 *
 * ```
 * send, receiver ── port ══ fabric ══ port ── tunnel, gateway
 * ```
 */
import type { VdensError } from '../errors.ts';
import { FrameBatch } from '../frames/batch.ts';
import { PlugCounters } from './counters.ts';
import { Fabric, type FabricPort } from './fabric.ts';
import type { KernelEnd, Lender } from './kernel-end.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';

/** Frames that are taken at a time. */
const CAPACITY = 128;
const ARENA_BYTES = 512 * 1024;
/** How many things that came up are kept until somebody listens. */
const MAX_TROUBLES = 16;

/** What is behind the plug. */
export interface DatapathPlugOptions {
  readonly label: string;
  readonly kind: 'tunnel' | 'gateway';
  /** Its number in the datapath. */
  readonly id: number;
  /** The longest frame that it takes, in bytes. */
  readonly maxFrameBytes: number;
  /** The largest IP packet whose frame gets through whole, in bytes. */
  readonly mtu: number;
  /** Lets go of what is behind it, and of what that needs. Nobody has borrowed it any more. */
  release(): Promise<void>;
}

/** One end of a network that the datapath serves. */
export class DatapathPlug implements Plug, Lender {
  readonly label: string;
  readonly maxFrameBytes: number;
  readonly mtu: number;
  readonly takesSuperFrames: boolean = true;
  /** Those who serve it follow the interfaces and routes of the machine. */
  readonly comesBack: boolean = true;
  readonly counters: PlugCounters = new PlugCounters();
  readonly #kind: DatapathPlugOptions['kind'];
  readonly #id: number;
  readonly #release: () => Promise<void>;
  readonly #fabric: Fabric;
  /** Where JavaScript is, and where the other end is while it is not lent. */
  readonly #near: FabricPort;
  readonly #far: FabricPort;
  #batch: FrameBatch | undefined;
  #receiver: FrameReceiver = () => undefined;
  #events: PlugEvents = {};
  #isStarted = false;
  #isPaused = false;
  #isBusy = false;
  #takeBack: (() => void) | undefined;
  #downReason: string | undefined;
  /** What came up before anybody listened. */
  readonly #troubles: VdensError[] = [];
  #closing: Promise<void> | undefined;

  /** @throws VdensError `ERR_NATIVE` when the process has no descriptors left; what is behind it is still the caller's then */
  constructor(options: DatapathPlugOptions) {
    this.label = options.label;
    this.maxFrameBytes = options.maxFrameBytes;
    this.mtu = options.mtu;
    this.#kind = options.kind;
    this.#id = options.id;
    this.#release = options.release;
    this.#fabric = new Fabric({ tableSize: 0 });
    const nearCounters = new PlugCounters();
    this.counters.followDrops(nearCounters);
    this.counters.capture.isNative = true;
    this.#near = this.#fabric.addPort(nearCounters, {
      pending: () => this.#deliver(),
      released: () => this.#drain(),
    });
    this.#far = this.#fabric.addPort(new PlugCounters(), {});
  }

  get busy(): boolean {
    return this.#isBusy;
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    this.#isStarted = true;
    this.#attach();
    if (this.#downReason !== undefined) events.down?.(this.#downReason);
    for (const error of this.#troubles.splice(0)) events.trouble?.(error);
  }

  send(batch: FrameBatch): void {
    this.#attach();
    if (this.#closing === undefined && this.#far.isAttached) this.#isBusy = this.#near.send(batch);
    else this.counters.drop('sent', 'down', batch.count);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#near.want();
  }

  get lender(): Lender {
    return this;
  }

  lend(takeBack: () => void): KernelEnd | undefined {
    if (!this.#isStarted || this.#closing !== undefined || this.#isBusy) return undefined;
    this.#far.detach();
    this.#takeBack = takeBack;
    return this.#end();
  }

  restore(): void {
    this.#takeBack = undefined;
    this.#attach();
  }

  /** It leads nowhere any more. */
  lose(reason: string): void {
    if (this.#downReason !== undefined) return;
    this.#downReason = reason;
    if (this.#isStarted) this.#events.down?.(reason);
  }

  /** It leads somewhere again. Returns whether that is news. */
  regain(): boolean {
    if (this.#downReason === undefined) return false;
    this.#downReason = undefined;
    if (this.#isStarted) {
      this.#events.up?.();
      this.#attach();
    }
    return true;
  }

  /** Something that people should know. */
  tell(error: VdensError): void {
    if (this.#isStarted) this.#events.trouble?.(error);
    else if (this.#troubles.length < MAX_TROUBLES) this.#troubles.push(error);
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #finish(): Promise<void> {
    this.#takeBack?.();
    this.#fabric.close();
    this.#isBusy = false;
    await this.#release();
  }

  #end(): KernelEnd {
    const { maxFrameBytes, takesSuperFrames, counters } = this;
    return { fd: this.#id, kind: this.#kind, maxFrameBytes, takesSuperFrames, counters };
  }

  #attach(): void {
    if (this.#takeBack === undefined && this.#closing === undefined && !this.#far.isAttached)
      this.#far.attach(this.#end());
  }

  #deliver(): boolean {
    this.#batch ??= new FrameBatch(new Uint8Array(ARENA_BYTES), CAPACITY);
    const batch = this.#batch;
    if (this.#isPaused || this.#near.take(batch) === 0) return true;
    return this.#receiver(batch) === true;
  }

  #drain(): boolean {
    this.#isBusy = false;
    return this.#events.drain?.() === true;
  }
}
