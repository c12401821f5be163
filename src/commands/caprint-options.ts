/** The options of `caprint`, and what a command line of it asks for. */
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

export const CAPRINT_TABLE: CommandTable = {
  name: 'caprint',
  summary: 'Prints the ambient capabilities of a process',
  synopsis: ['[options] [pid]'],
  options: [
    { long: 'long', short: 'l', help: 'with the number and the mask of each, and the mask of all' },
    { long: 'compact', short: 'c', help: 'in one line, with commas, as cadrop takes it' },
    { long: 'prompt', short: 'p', help: 'as --compact, with # at the end, for the prompt of a shell' },
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  operands: [{ name: 'pid', values: 'pid' }],
  isPermuted: true,
  usageStatus: 1,
  notes: [
    'Without a pid, those that a command started here has. When there are none, nothing is printed. More: man caprint',
  ],
};

/** What a command line of `caprint` asks for. */
export type CaprintAction =
  | { readonly action: 'help' | 'version' }
  | {
      readonly action: 'print';
      readonly isLong: boolean;
      readonly isCompact: boolean;
      readonly isPrompt: boolean;
      /** Whose capabilities; undefined for our own. */
      readonly pid: number | undefined;
    };

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretCaprintArguments(argv: readonly string[]): CaprintAction {
  const { values, operands } = parseOptions(CAPRINT_TABLE, argv);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const [pid, extra] = operands;
  if (extra !== undefined) throw usage(CAPRINT_TABLE, `"${extra}" is one word too many: one pid`, extra);
  return {
    action: 'print',
    isLong: values.has('long'),
    isCompact: values.has('compact'),
    isPrompt: values.has('prompt'),
    pid: pid === undefined ? undefined : readPid(pid),
  };
}

const LARGEST_LONG = (1n << 63n) - 1n;

/** As the original, atoi(3): what is no number is 0, which is nobody's. */
function readPid(text: string): number {
  const [, sign, digits = '0'] = /^\s*([+-]?)([0-9]+)/.exec(text) ?? [];
  const size = BigInt(digits);
  const value = size > LARGEST_LONG ? LARGEST_LONG : size;
  return Number(BigInt.asIntN(32, sign === '-' ? -value : value));
}
