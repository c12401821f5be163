/**
 * The contract of a plug: one end of an Ethernet.
 *
 * A TAP interface, a port of a switch, a byte stream over ssh: each is a plug, and a cable joins two.
 * Frames travel in batches; what is between two plugs never blocks and never throws.
 */
import type { VdensError } from '../errors.ts';
import type { FrameBatch } from '../frames/batch.ts';
import type { PlugCounters } from './counters.ts';
import type { Lender } from './kernel-end.ts';
import type { Line } from './line.ts';

/**
 * Takes the frames that a plug received. The batch is borrowed for the length of the call.
 *
 * Returns true when it only moved them on: then the next frames may come before any promise or timer had its
 * turn. Whoever returns nothing can do as it likes.
 */
export type FrameReceiver = (batch: FrameBatch) => boolean | undefined | void;

/** What happens to a plug outside the way of the frames. */
export interface PlugEvents {
  /** The plug can take frames again after {@link Plug.busy} was true. Returns what a {@link FrameReceiver} does. */
  drain?(): boolean | undefined | void;
  /** The other end is gone; `reason` is one sentence for people. Said once, until {@link PlugEvents.up}. */
  down?(reason: string): void;
  /** The other end is back (only plugs that heal say this). */
  up?(): void;
  /** Why it is not coming back for now, when more is the matter than that nobody is there. Each reason is said once. */
  trouble?(error: VdensError): void;
  /** Its frames may move without JavaScript again, which was not possible since it took back what it lent. */
  lendable?(): void;
}

/** One end of an Ethernet. */
export interface Plug extends AsyncDisposable {
  /** What people call it: the locator, or the interface's name. */
  readonly label: string;
  /** The longest ordinary frame the other end takes, in bytes, Ethernet header and one VLAN tag included. */
  readonly maxFrameBytes: number;
  /** The largest IP packet whose frame gets through whole, in bytes; only of networks where that is not the interface's affair. */
  readonly mtu?: number | undefined;
  /** Whether {@link send} takes super-frames as they are; otherwise the plug segments them itself. */
  readonly takesSuperFrames: boolean;
  /** Present when frames can move in and out of it without JavaScript. */
  readonly lender?: Lender;
  /**
   * Present when it can move the frames of the other end of a cable itself, if that end lends its kernel object: it
   * borrows it until the line is closed. `given` is called, once, when it gave it back on its own account.
   *
   * @returns `undefined` when it cannot at present; nothing has changed then
   */
  adopt?(other: Lender, given: () => void): Line | undefined;
  /** True while this process serves the network, on which others may depend. */
  readonly isServedHere?: boolean;
  /** The plug that this one is around, at present; for those who look. */
  readonly interior?: Plug | undefined;
  /** False while nobody has been at the other end yet (only plugs that wait for somebody to come). */
  readonly hasBeenUp?: boolean;
  /** False when what it is plugged into does not come back once it went away. */
  readonly heals?: boolean;
  /** Whether it comes back by itself after it was `down`, and says so, with nobody opening it again. @defaultValue false */
  readonly comesBack?: boolean;
  /** What there is to know of its other side besides the counters, in lines for people. */
  report?(): readonly string[];
  /** Frames, bytes and drops, both ways. */
  readonly counters: PlugCounters;
  /** True while frames that were given to {@link send} are still waiting to leave. Who can, stops reading then. */
  readonly busy: boolean;

  /**
   * Begins to deliver frames. One receiver per plug; a second call replaces the first.
   * Nothing is read before.
   */
  start(receiver: FrameReceiver, events?: PlugEvents): void;

  /**
   * Sends the frames. Never blocks, never throws. What cannot leave now makes the plug {@link busy};
   * what cannot leave within a bounded time, or does not fit the queue, is dropped and counted by reason.
   */
  send(batch: FrameBatch): void;

  /** Stops reading (frames wait in the kernel). Nests with nothing: one `resume` ends it. */
  pause(): void;
  /** Reads again. */
  resume(): void;

  /** Lets go of it. Idempotent; resolves when the kernel's objects are gone. */
  close(): Promise<void>;
}
