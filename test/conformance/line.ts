/** What the conformance suite has in its hands: a plug, and what is at the other end of its line. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Plug } from '../../src/plugs/plug.ts';
import { isTestFrame } from './test-frames.ts';

/** The other end, which is no plug of ours wherever that can be had. */
export interface FarEnd {
  /** The frames that have arrived since the last call, in order. Super-frames that stayed whole are one each. */
  take(): readonly Uint8Array[];
  /** Sends ordinary frames. */
  send(frames: readonly Uint8Array[]): void;
  /** Does not take anything from the line any more, but stays there. */
  stopReading(): void;
  /** Takes again. */
  startReading(): void;
  /** Goes away for good. */
  leave(): void | Promise<void>;
}

/** A line, with the plug not yet started. */
export interface Line {
  readonly plug: Plug;
  readonly far: FarEnd;
}

/** The cases of the suite, by the name that a skip gives. */
export type CaseName =
  | 'send'
  | 'receive'
  | 'borrow'
  | 'close'
  | 'close-in-receiver'
  | 'before-start'
  | 'pause'
  | 'drain'
  | 'stall'
  | 'super-frames'
  | 'no-frames'
  | 'counters'
  | 'down'
  | 'descriptors';

/** A kind of plug. */
export interface PlugKind {
  readonly name: string;
  /** Makes a line; whatever it takes is released with the test. */
  open(t: TestContext): Promise<Line>;
  /** How many frames of 1514 bytes may be on the line at once without a loss. */
  readonly burst: number;
  /** The longest frame that the far end can send. @defaultValue 1514 */
  readonly longestBytes?: number;
  /** Whether hosts on the line send frames of their own, so that only lower bounds of counters can be told. */
  readonly hasOtherTraffic?: boolean;
  /** Whether what left the plug may still be lost on the line. */
  readonly isLossy?: boolean;
  /** Whether somebody between the ends takes some time to move bytes on, so that there is room once more. */
  readonly hasMover?: boolean;
  /** How often the line is opened and closed when descriptors are counted. @defaultValue 20 */
  readonly cycles?: number;
  /** Cases that make no sense for this kind, and why. They are left out, not counted as skipped. */
  readonly skips?: readonly { readonly name: CaseName; readonly reason: string }[];
}

/** Collects what arrives somewhere, in order, frames of the suite only. */
export class Inbox {
  readonly frames: Uint8Array[] = [];

  /** Takes a copy of each. */
  add(frames: Iterable<Uint8Array>): void {
    for (const frame of frames) if (isTestFrame(frame)) this.frames.push(frame.slice());
  }

  /** Waits until there are `count` frames, looking for more with `look`; answers whether there are. */
  async has(count: number, look: () => void = () => undefined, timeoutMs = 10_000): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      look();
      if (this.frames.length >= count) return true;
      if (performance.now() > deadline) return false;
      await sleep(2);
    }
  }
}
