/**
 * Reads the options of a command line by its table.
 *
 * As getopt_long(3) with POSIXLY_CORRECT: options stop at the first word that is not one, or after `--`;
 * values are attached or follow (`-ieth`, `-i eth`, `--iface=eth`, `--iface eth`); flags may be grouped
 * (`-ms`); long names may be shortened as long as one option alone is meant. A table may say that options
 * stand among the operands too, or that long names have one hyphen.
 */
import { VdensError } from '../errors.ts';
import { type CommandTable, longNames, type OptionSpec } from './option-table.ts';

/** What a command line says. */
export interface ParsedOptions {
  /** Every value of each option that was given, by its long name, in order. A flag has '' once for each mention. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** The words that are not options, without the `--` that may end them. */
  readonly operands: readonly string[];
}

/** An option on the command line. */
interface Mention {
  /** Its name as it was typed, with the hyphens. */
  readonly typed: string;
  readonly option: OptionSpec;
  /** What is attached to it. */
  readonly value: string | undefined;
}

/**
 * Reads a command line.
 *
 * @throws {VdensError} `ERR_USAGE` for an unknown or ambiguous option, a missing value, or one too many.
 */
export function parseOptions(table: CommandTable, argv: readonly string[]): ParsedOptions {
  const values = new Map<string, readonly string[]>();
  const operands: string[] = [];
  let index = 0;
  for (let word = argv[index]; word !== undefined; word = argv[index]) {
    if (word === '--') return { values, operands: [...operands, ...argv.slice(index + 1)] };
    if (!isOption(word)) {
      if (endsOptions(table, word)) return { values, operands: [...operands, ...argv.slice(index)] };
      operands.push(word);
      index += 1;
      continue;
    }
    index += 1;
    for (const mention of readWord(table, word)) {
      const takesNext = mention.option.argument !== undefined && mention.value === undefined;
      note(values, mention.option, givenValue(table, mention, argv[index]));
      index += takesNext ? 1 : 0;
    }
  }
  return { values, operands };
}

/** An error of usage, which says where the options are listed. */
export function usage(table: CommandTable, message: string, value: string): VdensError {
  return new VdensError('ERR_USAGE', `${message}. Options are listed by: ${table.name} --help`, { value });
}

/** A lone hyphen stands for something, standard input for example. */
function isOption(word: string): boolean {
  return word.startsWith('-') && word !== '-';
}

function endsOptions({ isPermuted = false, commandAfter = [] }: CommandTable, operand: string): boolean {
  return !isPermuted || commandAfter.includes(operand);
}

function note(values: Map<string, readonly string[]>, option: OptionSpec, value: string): void {
  const earlier = option.repeatable === true ? (values.get(option.long) ?? []) : [];
  values.set(option.long, [...earlier, value]);
}

/** @param next - the word after the option */
function givenValue(table: CommandTable, { typed, option, value }: Mention, next: string | undefined): string {
  if (option.argument === undefined) {
    if (value === undefined) return '';
    throw usage(table, `${typed} takes no value, but was given "${value}"`, value);
  }
  const found = value ?? next;
  if (found === undefined) throw usage(table, `${typed} needs a value: ${typed} ${option.argument}`, typed);
  return found;
}

function readWord(table: CommandTable, word: string): readonly Mention[] {
  if (word.startsWith('--')) return [readLong(table, word)];
  if (table.hasSingleDash === true && (word.length > 2 || shortOption(table, word, 1) === undefined)) {
    const known = findLong(table, word);
    if (known !== undefined) return [known];
    if (shortOption(table, word, 1) === undefined) throw unknown(table, withoutValue(word));
  }
  return readShorts(table, word);
}

/** Flags in a group, of which the last may be an option with a value. */
function readShorts(table: CommandTable, word: string): readonly Mention[] {
  const mentions: Mention[] = [];
  for (let index = 1; index < word.length; index += 1) {
    const option = shortOption(table, word, index);
    const typed = `-${word.charAt(index)}`;
    if (option === undefined) throw unknown(table, typed);
    if (option.argument !== undefined) {
      return [...mentions, { typed, option, value: word.slice(index + 1) || undefined }];
    }
    mentions.push({ typed, option, value: undefined });
  }
  return mentions;
}

function shortOption({ options }: CommandTable, word: string, index: number): OptionSpec | undefined {
  return options.find(({ short }) => short === word.charAt(index));
}

function readLong(table: CommandTable, word: string): Mention {
  const known = findLong(table, word);
  if (known === undefined) throw unknown(table, withoutValue(word));
  return known;
}

/** The option that is meant: by one of its exact names, or by the beginning of names of this option alone. */
function findLong(table: CommandTable, word: string): Mention | undefined {
  const [, typed = '', name = '', value] = /^(--?([^=]+))(?:=(.*))?$/s.exec(word) ?? [];
  if (name === '') return undefined;
  const exact = table.options.find((option) => longNames(option).includes(name));
  const matches = exact !== undefined ? [exact] : table.options.filter((option) => isShortened(name, option));
  const [option, ...others] = matches;
  if (option === undefined) return undefined;
  if (others.length === 0) return { typed, option, value };
  const names = matches.map(({ long }) => `--${long}`).join(' or ');
  throw usage(table, `${typed} may mean ${names}`, typed);
}

function isShortened(name: string, option: OptionSpec): boolean {
  return longNames(option).some((long) => long.startsWith(name));
}

/** `--name=value` as `--name`. */
function withoutValue(word: string): string {
  return word.replace(/(?<=[^-])=.*/s, '');
}

function unknown(table: CommandTable, typed: string): VdensError {
  return usage(table, `unknown option ${typed}`, typed);
}
