/** A row of the benchmark's table: what is measured, beside what, and what is to be reached. */
import type { Bench } from './harness.ts';

/** Samples of both sides; a side that could not be measured has none. */
export interface Samples {
  readonly ours: readonly number[];
  readonly original: readonly number[];
}

/** What a row is to reach. */
export interface Goal {
  /** How the table says it, such as `ratio ≥ 1.00`. */
  readonly text: string;
  /** Whether these medians reach it; undefined when a number that it takes is missing. */
  isMet(ours: number | undefined, original: number | undefined): boolean | undefined;
}

/** One measurement of ours and of its counterpart. */
export interface Row {
  /** Name for `--only`. */
  readonly name: string;
  /** What is measured, as the table says it. */
  readonly title: string;
  /** Unit of the samples. */
  readonly unit:
    | 'Gbit/s'
    | 'Mbit/s'
    | 'ms'
    | 's'
    | 'MiB'
    | '%'
    | 'µs'
    | 'frames/s'
    | 'packets/s'
    | 'connections/s'
    | 'queries/s';
  readonly goal: Goal;
  /** Commands without which the counterpart cannot run. */
  readonly peers: readonly string[];
  /** Measures both sides, their runs interleaved. */
  measure(bench: Bench): Promise<Samples>;
}

/** The ratio of ours to the original is at least `least`: more is better. */
export function ratioAtLeast(least: number): Goal {
  return {
    text: `ratio ≥ ${least.toFixed(2)}`,
    isMet: (ours, original) => (ours === undefined || !original ? undefined : ours / original >= least),
  };
}

/** The ratio of ours to the original is at most `most`: less is better. */
export function ratioAtMost(most: number): Goal {
  return {
    text: `ratio ≤ ${most.toFixed(2)}`,
    isMet: (ours, original) => (ours === undefined || !original ? undefined : ours / original <= most),
  };
}

/** Ours alone is below `bound`, whatever the original's. */
export function below(bound: number, unit: Row['unit']): Goal {
  return { text: `< ${bound} ${unit}`, isMet: (ours) => (ours === undefined ? undefined : ours < bound) };
}

/** The middle of the samples, or the mean of the middle two; undefined of none. */
export function median(samples: readonly number[]): number | undefined {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted[middle - 1];
  return sorted.length % 2 === 0 && upper !== undefined && lower !== undefined ? (upper + lower) / 2 : upper;
}
