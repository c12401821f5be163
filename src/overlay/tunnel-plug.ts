/**
 * A tunnel as a plug (native/io/tunnel.h).
 *
 * What frames need is in C, once. A line or a switch borrows the tunnel; JavaScript reaches it over a fabric of its own
 * with two ports:
 *
 * ```
 * send, receiver ── port ══ fabric ══ port ── tunnel
 * ```
 */
import type { VdensError } from '../errors.ts';
import { FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { formatMac } from '../net/mac.ts';
import { formatSocketAddress } from '../net/socket-address.ts';
import { PlugCounters } from '../plugs/counters.ts';
import { Fabric, type FabricPort } from '../plugs/fabric.ts';
import type { KernelEnd, Lender } from '../plugs/kernel-end.ts';
import type { FrameReceiver, Plug, PlugEvents } from '../plugs/plug.ts';
import type { Station, Tunnel } from './tunnel.ts';

/** Frames that are taken at a time. */
const CAPACITY = 128;
const ARENA_BYTES = 512 * 1024;
/** How many stations are named in a report, those heard last. */
const REPORTED_STATIONS = 16;
/** How many things that came up are kept until somebody listens. */
const MAX_TROUBLES = 16;

/** The tunnel, and what is known of its way. */
export interface TunnelPlugOptions {
  readonly label: string;
  readonly tunnel: Tunnel;
  /** The longest frame that it takes, in bytes. */
  readonly maxFrameBytes: number;
  /** The largest IP packet whose frame gets through whole, in bytes. */
  readonly mtu: number;
  /** Lets go of the tunnel, and of what it needs. */
  release(): Promise<void>;
}

/** One end of a network over UDP. */
export class TunnelPlug implements Plug, Lender {
  readonly label: string;
  readonly maxFrameBytes: number;
  readonly mtu: number;
  readonly takesSuperFrames: boolean = true;
  readonly counters: PlugCounters = new PlugCounters();
  readonly tunnel: Tunnel;
  readonly #release: () => Promise<void>;
  readonly #fabric: Fabric;
  /** Where JavaScript is, and where the tunnel is while it is not lent. */
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

  /** @throws VdensError `ERR_NATIVE` when the process has no descriptors left; the tunnel is still the caller's then */
  constructor(options: TunnelPlugOptions) {
    this.label = options.label;
    this.maxFrameBytes = options.maxFrameBytes;
    this.mtu = options.mtu;
    this.tunnel = options.tunnel;
    this.#release = options.release;
    this.#fabric = new Fabric({ tableSize: 0 });
    const nearCounters = new PlugCounters();
    this.counters.followDrops(nearCounters);
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

  /** The underlay leads nowhere any more. */
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

  /** The stations that are known on the other side, in no order. */
  stations(): Station[] {
    return this.tunnel.stations();
  }

  report(): readonly string[] {
    const stations = this.stations();
    const lines = stations
      .toSorted((a, b) => a.ageSeconds - b.ageSeconds)
      .slice(0, REPORTED_STATIONS)
      .map(({ mac, vlan, endpoint, ageSeconds }) => {
        const name = `${formatMac(mac)}${vlan === 0 ? '' : ` (VLAN ${vlan})`}`;
        return `${name} at ${formatSocketAddress(endpoint)}, heard ${Math.round(ageSeconds)} s ago`;
      });
    const more = stations.length - lines.length;
    return more > 0 ? [...lines, `and ${more} more stations`] : lines;
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
    this.tunnel.close();
    await this.#release();
  }

  #end(): KernelEnd {
    const { maxFrameBytes, takesSuperFrames, counters } = this;
    return { fd: this.tunnel.id, kind: 'tunnel', maxFrameBytes, takesSuperFrames, counters };
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

/** What one packet has room for: 65,535 bytes less the headers of IPv4 and UDP. */
export const MAX_PACKET_PAYLOAD_BYTES = 65_507;

/** The longest frame behind a header of so many bytes. */
export function longestFrameBytes(headerBytes: number): number {
  return Math.min(MAX_FRAME_BYTES, MAX_PACKET_PAYLOAD_BYTES - headerBytes);
}
