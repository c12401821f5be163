/** What a command line of `cadrop` asks for. */
import { ALL_CAPABILITIES, CAPABILITY_NAMES, parseCapabilityList } from '../system/capabilities.ts';
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

/** Lists that mean every capability, as no list does. */
const EVERY: readonly string[] = ['', '-', 'all'];

export const CADROP_TABLE: CommandTable = {
  name: 'cadrop',
  summary: 'Runs a command without some capabilities, or without any',
  synopsis: ['[capabilities [command [argument ...]]]'],
  options: [
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  operands: [
    { name: 'capabilities', values: { list: CAPABILITY_NAMES } },
    { name: 'command', values: 'command' },
  ],
  usageStatus: 2,
  notes: [
    'Capabilities are names (net_admin,net_raw) and masks (3000), or "all", or "-", which is the same. Without a command, your shell. More: man cadrop',
  ],
};

/** What a command line of `cadrop` asks for. */
export type CadropAction =
  | { readonly action: 'help' | 'version' }
  | {
      readonly action: 'drop';
      /** A bit for each capability. */
      readonly set: bigint;
      /** Undefined for the user's shell. */
      readonly command: readonly string[] | undefined;
    };

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretCadropArguments(argv: readonly string[]): CadropAction {
  const [list = ''] = argv;
  const set = EVERY.includes(list) ? ALL_CAPABILITIES : parseCapabilityList(list);
  // A mask may have a sign: "-1" is no option.
  if (typeof set !== 'string') return dropping(set, argv);
  const { values, operands } = parseOptions(CADROP_TABLE, argv);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const [first = ''] = operands;
  const read = EVERY.includes(first) ? ALL_CAPABILITIES : parseCapabilityList(first);
  if (typeof read !== 'string') return dropping(read, operands);
  const message = `"${read}" is not the name of a capability, and no mask in hexadecimal. Names are in capabilities(7), in lower case`;
  throw usage(CADROP_TABLE, message, read);
}

function dropping(set: bigint, words: readonly string[]): CadropAction {
  return { action: 'drop', set, command: words.length > 1 ? words.slice(1) : undefined };
}
