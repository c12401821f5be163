/**
 * How fast numbers grow, found out when somebody looks: nothing runs meanwhile.
 */
import type { DirectionCounters, PlugCounters } from '../plugs/counters.ts';

/** Looks that are nearer to each other say nothing about a rate; they are told the one before. In milliseconds. */
const SHORTEST_MS = 200;
/** What was so long ago says nothing about now, in milliseconds: then the rate is that since the start. */
const LONGEST_MS = 60_000;

/** Frames and bytes per second of one direction. */
export interface Rate {
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
}

interface Numbers {
  readonly frames: number;
  readonly bytes: number;
}

/** The rates of counters that are looked at now and then. */
export class RateMeter {
  readonly #now: () => number;
  readonly #start: number;
  /** For each direction of each counters that was looked at. */
  readonly #samples = new WeakMap<DirectionCounters, { numbers: Numbers; at: number; rate: Rate }>();

  /** @param now the time in milliseconds; what is looked at began about when the meter was made */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#start = now();
  }

  /** The rates since the look before, when that was a moment ago; otherwise since the start. */
  look({ received, sent }: PlugCounters): { readonly received: Rate; readonly sent: Rate } {
    return { received: this.#look(received), sent: this.#look(sent) };
  }

  #look(counters: DirectionCounters): Rate {
    const { frames, bytes } = counters;
    const at = this.#now();
    const before = this.#samples.get(counters);
    const age = before === undefined ? Number.POSITIVE_INFINITY : at - before.at;
    if (before !== undefined && age < SHORTEST_MS) return before.rate;
    const isFresh = before !== undefined && age <= LONGEST_MS;
    const from = isFresh ? before.numbers : { frames: 0, bytes: 0 };
    const seconds = (isFresh ? age : Math.max(SHORTEST_MS, at - this.#start)) / 1000;
    const rate = {
      // Counters begin anew with somebody else at the port.
      framesPerSecond: Math.max(0, frames - from.frames) / seconds,
      bytesPerSecond: Math.max(0, bytes - from.bytes) / seconds,
    };
    this.#samples.set(counters, { numbers: { frames, bytes }, at, rate });
    return rate;
  }
}
