/**
 * Reads the options of a command line by its table.
 *
 * As getopt_long(3) with POSIXLY_CORRECT: options stop at the first word that is not one, or after `--`;
 * values are attached or follow (`-ieth`, `-i eth`, `--iface=eth`, `--iface eth`); flags may be grouped
 * (`-ms`); long names may be shortened as long as one option alone is meant.
 *
 * `parseArgs` does not stop at operands and knows no shortened names, but its tokens show where both are:
 * a first pass writes names out in full and finds the cut, the second reads what is before it.
 */
import { parseArgs } from 'node:util';
import { VdensError } from '../errors.ts';
import type { CommandTable, OptionSpec } from './option-table.ts';

/** What a command line says. */
export interface ParsedOptions {
  /** Every value of each option that was given, by its long name, in order. A flag has '' once for each mention. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** The words after the options, and after the `--` that may end them. */
  readonly operands: readonly string[];
}

type Token = NonNullable<ReturnType<typeof tokensOf>>[number];
type OptionToken = Extract<Token, { kind: 'option' }>;

/**
 * Reads a command line.
 *
 * @throws {VdensError} `ERR_USAGE` for an unknown or ambiguous option, a missing value, or one too many.
 */
export function parseOptions(table: CommandTable, argv: readonly string[]): ParsedOptions {
  const { options, operands } = cut(table, argv);
  const values = new Map<string, string[]>();
  for (const token of tokensOf(table, options)) {
    if (token.kind !== 'option') continue;
    const option = knownOption(token, table);
    if (option.argument === undefined && token.value !== undefined) {
      throw usage(table, `${token.rawName} takes no value, but was given "${token.value}"`, token.value);
    }
    if (option.argument !== undefined && token.value === undefined) {
      throw usage(table, `${token.rawName} needs a value: ${token.rawName} ${option.argument}`, token.rawName);
    }
    const earlier = option.repeatable === true ? (values.get(option.long) ?? []) : [];
    values.set(option.long, [...earlier, token.value ?? '']);
  }
  return { values, operands };
}

/** An error of usage, which says where the options are listed. */
export function usage(table: CommandTable, message: string, value: string): VdensError {
  return new VdensError('ERR_USAGE', `${message}. Options are listed by: ${table.name} --help`, { value });
}

/** Where the options end, with their long names written out. */
function cut(table: CommandTable, argv: readonly string[]): { options: string[]; operands: string[] } {
  const args = [...argv];
  for (;;) {
    const tokens = tokensOf(table, args);
    const end = tokens.findIndex((token) => token.kind !== 'option');
    const shortened = tokens.slice(0, end === -1 ? undefined : end).find((token) => isShortened(token, table));
    if (shortened === undefined) {
      const stop = tokens[end];
      const index = stop?.index ?? args.length;
      return {
        options: args.slice(0, index),
        operands: args.slice(stop?.kind === 'option-terminator' ? index + 1 : index),
      };
    }
    // Only now is it known whether the word after it is its value, so everything is looked at again.
    const full = knownOption(shortened as OptionToken, table).long;
    args[shortened.index] = args[shortened.index]!.replace(/^--[^=]*/, `--${full}`);
  }
}

function isShortened(token: Token, table: CommandTable): boolean {
  return (
    token.kind === 'option' && token.rawName.startsWith('--') && !table.options.some(({ long }) => long === token.name)
  );
}

function tokensOf(table: CommandTable, args: readonly string[]) {
  const options = Object.fromEntries(
    table.options.map(({ long, short, argument }) => [
      long,
      {
        type: argument === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  return parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

/** The option that is meant: by its exact name, or by the beginning of exactly one long name. */
function knownOption(token: OptionToken, table: CommandTable): OptionSpec {
  const isLong = token.rawName.startsWith('--');
  const exact = table.options.find(({ long, short }) => (isLong ? `--${long}` : `-${short}`) === token.rawName);
  if (exact !== undefined) return exact;
  const typed = isLong ? token.rawName.slice(2) : '';
  const matches = typed === '' ? [] : table.options.filter(({ long }) => long.startsWith(typed));
  if (matches.length === 1) return matches[0]!;
  if (matches.length > 1) {
    const names = matches.map(({ long }) => `--${long}`).join(' or ');
    throw usage(table, `${token.rawName} may mean ${names}`, token.rawName);
  }
  throw usage(table, `unknown option ${token.rawName}`, token.rawName);
}
