/**
 * A locator's text, character by character, with its quoting taken off.
 *
 * Quotes (`'...'`, `"..."`), a backslash and `%HH` make a character stand for itself; only a *bare*
 * character can be a delimiter. Inside quotes nothing is special but the closing quote; an unterminated
 * quote runs to the end; `%` without two hex digits stands for itself. As the delimiters are looked for
 * among these units, a decoded `%2f` never splits anything.
 */
import type { VdensError } from '../errors.ts';
import { wrongLocator } from './wrong-locator.ts';

/** One character of a locator. */
export interface Unit {
  /** The character; meaningless when `byte` is set. */
  readonly char: string;
  /** The byte that `%HH` stands for; several of them may make up one character of UTF-8. */
  readonly byte?: number;
  /** Whether it was written without quoting, so that it may be a delimiter. */
  readonly bare: boolean;
  /** Where it begins in the text, in UTF-16 code units. */
  readonly start: number;
}

/** Takes the quoting off a text. */
export function unitsOf(text: string): Unit[] {
  const units: Unit[] = [];
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== '') {
      if (char === quote) quote = '';
      else units.push({ char, bare: false, start: i });
    } else if (char === '"' || char === "'") {
      quote = char;
    } else if (char === '\\' && i + 1 < text.length) {
      units.push({ char: text[i + 1]!, bare: false, start: i });
      i += 1;
    } else if (char === '%' && /^[0-9a-f]{2}$/i.test(text.slice(i + 1, i + 3))) {
      units.push({ char: '', byte: Number.parseInt(text.slice(i + 1, i + 3), 16), bare: false, start: i });
      i += 2;
    } else {
      units.push({ char, bare: true, start: i });
    }
  }
  return units;
}

/** Whether the unit is this character, as a delimiter. */
export function isBare(unit: Unit | undefined, char: string): boolean {
  return unit?.bare === true && unit.char === char;
}

/** Where the first bare `char` is; -1 when there is none. */
export function indexOfBare(units: readonly Unit[], char: string): number {
  return units.findIndex((unit) => isBare(unit, char));
}

/** Where the last bare `char` is; -1 when there is none. */
export function lastIndexOfBare(units: readonly Unit[], char: string): number {
  return units.findLastIndex((unit) => isBare(unit, char));
}

/** The parts between bare `char`s. */
export function splitAtBare(units: readonly Unit[], char: string): Unit[][] {
  const parts: Unit[][] = [[]];
  for (const unit of units) {
    if (isBare(unit, char)) parts.push([]);
    else parts.at(-1)!.push(unit);
  }
  return parts;
}

/**
 * The characters that the units stand for.
 *
 * @throws {VdensError} `ERR_LOCATOR` when they hold a NUL, or bytes that are not UTF-8: no path or name can be made of those.
 */
export function plainText(units: readonly Unit[], whole: string): string {
  const bytes: Buffer[] = [];
  let text = '';
  for (const unit of units) {
    if (unit.byte !== undefined) {
      bytes.push(Buffer.of(unit.byte));
      continue;
    }
    text += decode(bytes, whole) + unit.char;
    bytes.length = 0;
  }
  text += decode(bytes, whole);
  refuseNul(text, whole);
  return text;
}

/** @throws {VdensError} `ERR_LOCATOR` */
export function refuseNul(text: string, whole: string): void {
  if (text.includes('\0')) throw badCharacter(whole, 'a NUL byte');
}

function decode(bytes: readonly Buffer[], whole: string): string {
  if (bytes.length === 0) return '';
  const all = Buffer.concat(bytes);
  const text = all.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(all)) throw badCharacter(whole, 'a %HH that is not UTF-8');
  return text;
}

function badCharacter(whole: string, what: string): VdensError {
  const message = `${what} cannot be in a network's name. Leave it out, or write é as %c3%a9`;
  return wrongLocator(whole.replaceAll('\0', '%00'), message, whole);
}
