/**
 * A value as wirefilter(1) writes it: `[LR|RL]N[+V][K|M|G][U|N][[node]]`.
 *
 * ```
 * 100          100
 * 100+10       between 90 and 110, all equally likely
 * 100+10N      around 100, 99.7 % between 90 and 110 (a standard deviation of 10/3)
 * LR2K         2048, from left to right only
 * 5[2]         5 in node 2 of the Markov chain
 * ```
 */
import type { Random } from './random.ts';

/** From left to right is out of the plug that is impaired, into its network; right to left is back. */
export type Direction = 'LR' | 'RL';

export const DIRECTIONS: readonly Direction[] = ['LR', 'RL'];

/** How a value varies. */
export type Distribution = 'uniform' | 'normal';

export interface Value {
  readonly base: number;
  /** The most by which it is less or more. */
  readonly variation: number;
  readonly distribution: Distribution;
}

/** A value, and what it is for. */
export interface PlacedValue {
  readonly value: Value;
  readonly directions: readonly Direction[];
  readonly node: number;
}

export const ZERO: Value = { base: 0, variation: 0, distribution: 'uniform' };

const NUMBER = /0x[\da-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/.source;
const VALUE = new RegExp(`^(LR|RL)?\\s*(${NUMBER})(?:\\+(${NUMBER})?)?\\s*([KMG])?([UN])?\\s*(?:\\[(\\d+)\\])?$`, 'i');
const MULTIPLIERS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Reads a value; `undefined` when it is none. */
export function parseValue(text: string): PlacedValue | undefined {
  const match = VALUE.exec(text.trim());
  if (match === null) return undefined;
  const [, direction, base = '0', variation = '0', multiplier = '', letter = 'U', node = '0'] = match;
  const factor = MULTIPLIERS[multiplier.toUpperCase()] ?? 1;
  const distribution = letter.toUpperCase() === 'N' ? 'normal' : 'uniform';
  const value = { base: Number(base) * factor, variation: Number(variation) * factor, distribution } as const;
  if (!Number.isFinite(value.base) || !Number.isFinite(value.variation)) return undefined;
  return { value, directions: directionsOf(direction), node: Number(node) };
}

function directionsOf(direction: string | undefined): readonly Direction[] {
  if (direction === undefined) return DIRECTIONS;
  return [direction.toUpperCase() === 'LR' ? 'LR' : 'RL'];
}

/** A normally distributed value is not further off than so many variations, or once in 10^9 frames. */
const NORMAL_REACH = 2;

/** One number of those that the value stands for, never below 0. Draws nothing when it does not vary. */
export function sample({ base, variation, distribution }: Value, random: Random): number {
  if (variation === 0) return base;
  const offset = distribution === 'normal' ? random.nextNormal() / 3 : 2 * random.next() - 1;
  return Math.max(0, base + variation * offset);
}

/** None is larger. */
export function largest({ base, variation, distribution }: Value): number {
  return base + variation * (distribution === 'normal' ? NORMAL_REACH : 1);
}

export function isZero({ base, variation }: Value): boolean {
  return base === 0 && variation === 0;
}

export function isSame(a: Value, b: Value): boolean {
  return a.base === b.base && a.variation === b.variation && (a.variation === 0 || a.distribution === b.distribution);
}

/** As `showinfo` has it: `20+5N`. */
export function formatValue({ base, variation, distribution }: Value): string {
  return `${formatNumber(base)}+${formatNumber(variation)}${distribution === 'normal' ? 'N' : 'U'}`;
}

const DIGITS = 6;

/** A number as printf(3) has it with `%g`. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const [digits = '', exponent = '0'] = value.toExponential(DIGITS - 1).split('e');
  const power = Number(exponent);
  if (power >= -4 && power < DIGITS) return trimmed(value.toFixed(Math.max(0, DIGITS - 1 - power)));
  return `${trimmed(digits)}e${power < 0 ? '-' : '+'}${`${Math.abs(power)}`.padStart(2, '0')}`;
}

function trimmed(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}
