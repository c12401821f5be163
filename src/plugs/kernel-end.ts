/**
 * What a plug lends to a line or a switch: the kernel object behind it, so that frames can move without JavaScript
 * (native/io/datapath.h).
 */
import type { PlugCounters } from './counters.ts';

/** A TAP interface, the wire behind an interface, a connected socket with one frame per packet, a tunnel, or a gateway. */
export interface KernelEnd {
  /** Stays open until the loan ends; of a tunnel or a gateway it is the number. */
  readonly fd: number;
  readonly kind: 'tap' | 'wire' | 'socket' | 'tunnel' | 'gateway';
  /** The longest ordinary frame that may leave through it. */
  readonly maxFrameBytes: number;
  readonly takesSuperFrames: boolean;
  /** Whether an empty packet says that the other end is gone. @defaultValue false */
  readonly emptyIsEnd?: boolean;
  readonly counters: PlugCounters;
}

/** A plug that can lend its kernel object. */
export interface Lender {
  /**
   * Lends it: from now on the plug neither reads nor writes, until {@link restore}. `takeBack` is called, once, when
   * the plug needs it earlier (it is closed, its other end is gone); the borrower has let go when that returns.
   *
   * @returns `undefined` when there is nothing to lend at present
   */
  lend(takeBack: () => void): KernelEnd | undefined;
  /**
   * Ends the loan: the plug reads again, unless paused.
   *
   * @param isGone the borrower found that what was lent is of no use any more: the interface was deleted, or the
   * socket at the other end closed
   */
  restore(isGone: boolean): void;
}
