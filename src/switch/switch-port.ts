/**
 * A port of a switch of ours, as a plug: what is sent to it goes into the switch, what it delivers left the switch
 * there.
 *
 * A cable to a plug with a kernel object behind it (a TAP, a client's socket) ends here: the switch borrows that
 * object, and frames move between such ports without JavaScript.
 */
import { type FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { announcePlace } from '../plugs/capture-point.ts';
import { PlugCounters } from '../plugs/counters.ts';
import type { Fabric, FabricPort, PortVlans } from '../plugs/fabric.ts';
import type { KernelEnd, Lender } from '../plugs/kernel-end.ts';
import type { Line } from '../plugs/line.ts';
import type { FrameReceiver, Plug, PlugEvents } from '../plugs/plug.ts';

/** What a port needs of its switch. */
export interface SwitchPortOptions {
  readonly number: number;
  readonly label: string;
  readonly fabric: Fabric;
  /** Where frames are on their way to JavaScript; all ports of a switch share it. */
  readonly batch: FrameBatch;
  /** Goes on counting there. */
  readonly counters?: PlugCounters | undefined;
  /** The group that it is in with other ports: they exchange no frames. */
  readonly group?: number | undefined;
  /** Where it is from its first frame on. */
  readonly vlans?: PortVlans | undefined;
  /** Called when the port is closed. */
  readonly closed: () => void;
}

export class SwitchPort implements Plug {
  readonly label: string;
  /** Its number in the switch, from 1 on. */
  readonly number: number;
  readonly maxFrameBytes: number = MAX_FRAME_BYTES;
  readonly takesSuperFrames: boolean = true;
  readonly counters: PlugCounters;
  /** Who is behind it, for people. */
  description = '';
  /** The same for all ports of a switch. */
  readonly fabric: Fabric;
  readonly #batch: FrameBatch;
  readonly #port: FabricPort;
  readonly #wasClosed: () => void;
  #receiver: FrameReceiver | undefined;
  #events: PlugEvents = {};
  #paused = false;
  #busy = false;
  #closed = false;
  #down: string | undefined;
  #adopted: { readonly kind: KernelEnd['kind']; readonly end: (isGone: boolean) => void } | undefined;

  /** Made by {@link Switch.port}. */
  constructor({ number, label, fabric, batch, counters, group, vlans, closed }: SwitchPortOptions) {
    this.counters = counters ?? new PlugCounters();
    this.counters.capture.isNative = true;
    this.number = number;
    this.label = label;
    this.fabric = fabric;
    this.#batch = batch;
    this.#wasClosed = closed;
    const events = {
      pending: () => this.#deliver(),
      released: () => this.#release(),
      gone: () => this.#adopted?.end(true),
    };
    this.#port = fabric.addPort(this.counters, events, { group, vlans });
    announcePlace();
  }

  get busy(): boolean {
    return this.#busy && !this.#isOver();
  }

  /** What is behind it: a kernel object that the switch serves without JavaScript, or JavaScript. */
  get kind(): KernelEnd['kind'] | 'program' {
    return this.#adopted?.kind ?? 'program';
  }

  /** Its port in the fabric. */
  get fabricPort(): FabricPort {
    return this.#port;
  }

  /** Puts it into VLANs; they matter while the switch looks at tags. Before, it is in VLAN 0, without a tag. */
  setVlans(vlans: PortVlans): void {
    if (!this.#isOver()) this.#port.setVlans(vlans);
  }

  /** Sends frames out of this port, past everything that decides where frames go. */
  sendOut(batch: FrameBatch): void {
    if (!this.#isOver()) this.#port.sendOut(batch);
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.#events = events;
    if (this.#closed) return;
    if (this.#down !== undefined) events.down?.(this.#down);
    else this.#port.want();
  }

  send(batch: FrameBatch): void {
    if (this.#isOver()) this.counters.drop('sent', 'down', batch.count);
    else if (this.#port.send(batch)) this.#busy = true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#port.want();
  }

  adopt(other: Lender): Line | undefined {
    if (this.#isOver() || this.#adopted !== undefined) return undefined;
    // What left the switch before is older than what leaves it from now on.
    this.#port.want();
    const borrowed = other.lend(() => this.#adopted?.end(false));
    if (borrowed === undefined) return undefined;
    // From the first frame on, which may move as soon as it is attached.
    const endMirror = this.counters.mirror(borrowed.counters);
    if (!this.#port.attach(borrowed)) {
      endMirror();
      other.restore(false);
      return undefined;
    }
    const end = (isGone: boolean): void => {
      if (this.#adopted?.end !== end) return;
      this.#port.detach();
      this.#adopted = undefined;
      endMirror();
      other.restore(isGone);
    };
    this.#adopted = { kind: borrowed.kind, end };
    this.#release();
    return { close: () => end(false) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#adopted?.end(false);
    this.#port.remove();
    this.#wasClosed();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The switch is gone. */
  lose(reason: string): void {
    if (this.#isOver()) return;
    this.#down = reason;
    this.#adopted?.end(false);
    this.#port.remove();
    this.#release();
    this.#events.down?.(reason);
  }

  #isOver(): boolean {
    return this.#closed || this.#down !== undefined;
  }

  /** Hands over what waits, as much as fits a batch; the fabric says when there is more. */
  #deliver(): boolean {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#paused || this.#isOver() || this.#adopted !== undefined) return true;
    return this.#port.take(this.#batch) === 0 || receiver(this.#batch) === true;
  }

  #release(): boolean {
    if (!this.#busy) return true;
    this.#busy = false;
    return this.#events.drain?.() === true;
  }
}
