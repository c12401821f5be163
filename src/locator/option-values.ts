/** Values of options: numbers within their bounds, and others that make sense. */
import { parseCNumber } from '../system/c-number.ts';
import type { Locator } from './locator.ts';
import { wrongOption } from './wrong-locator.ts';

/** The numbers that an option takes. */
export interface NumberRange {
  readonly smallest: number;
  readonly largest: number;
  /** One that makes sense, for people. @defaultValue 256 */
  readonly example?: number;
}

/**
 * A decimal number, or `undefined` when the option is not there.
 *
 * @throws VdensError `ERR_LOCATOR` when the value is not a number in the range
 */
export function decimalOption(locator: Locator, key: string, range: NumberRange): number | undefined {
  const text = locator.options.get(key);
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.smallest && value <= range.largest) return value;
  const what = `is not a number from ${range.smallest} to ${range.largest}`;
  throw wrongOption(locator, text, `${key} "${text}" ${what}`, `${key}=${range.example ?? 256}`);
}

/**
 * A number in octal, or `undefined` when the option is not there.
 *
 * @throws VdensError `ERR_LOCATOR` when the value is not a number up to the largest
 */
export function octalOption(locator: Locator, key: string, largest: number, example: string): number | undefined {
  const text = locator.options.get(key);
  if (text === undefined) return undefined;
  const value = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if (value <= largest) return value;
  const problem = `the ${key} "${text}" is not one from 0 to ${largest.toString(8)}, in octal`;
  throw wrongOption(locator, text, problem, `${key}=${example}`);
}

/** What the letters after a size stand for; several multiply. */
const MULTIPLIERS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/**
 * A number of bytes as in C (`4096`, `0x1000`, `010000`), which letters multiply (`4M`, `4kk`), or `undefined` when the
 * option is not there.
 *
 * @throws VdensError `ERR_LOCATOR` when the value is not a size from 1 to the largest
 */
export function sizeOption(locator: Locator, key: string, largest: number): number | undefined {
  const text = locator.options.get(key);
  if (text === undefined) return undefined;
  const [, digits = '', letters = ''] = /^(.*?)([kmgt]*)$/i.exec(text) ?? [];
  const base = parseCNumber(digits);
  const value = [...letters.toLowerCase()].reduce((size, letter) => size * (MULTIPLIERS[letter] ?? 1), base);
  if (value >= 1 && value <= largest) return value;
  throw wrongOption(locator, text, `${key} "${text}" is not a size from 1 byte to ${largest}`, `${key}=4M`);
}

/**
 * A value that may be anything but empty, or `undefined` when the option is not there.
 *
 * @throws VdensError `ERR_LOCATOR` when it is empty
 */
export function textOption(locator: Locator, key: string, example: string): string | undefined {
  const text = locator.options.get(key);
  if (text === '') throw wrongOption(locator, '', `the option "${key}" needs a value`, `${key}=${example}`);
  return text;
}

/**
 * Whether an option that takes no value is there.
 *
 * @throws VdensError `ERR_LOCATOR` when it has one; `1` passes
 */
export function flagOption(locator: Locator, key: string): boolean {
  const value = locator.options.get(key);
  if (value === undefined || value === '' || value === '1') return value !== undefined;
  throw wrongOption(locator, value, `"${key}" takes no value`, key);
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** What was said of several options, without those that were not. */
export function withoutUndefined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
