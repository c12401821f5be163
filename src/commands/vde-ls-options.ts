/** The options of `vde ls`, and what a command line of it asks for. */
import { VdensError } from '../errors.ts';
import type { ItemStatus } from '../inventory/status.ts';
import { nearest } from '../locator/nearest.ts';
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

type Kind = ItemStatus['kind'];

/** The words for kinds of things, one and several of them. */
const KINDS: ReadonlyMap<string, Kind> = new Map([
  ['namespace', 'namespace'],
  ['namespaces', 'namespace'],
  ['switch', 'switch'],
  ['switches', 'switch'],
  ['gateway', 'gateway'],
  ['gateways', 'gateway'],
  ['cable', 'cable'],
  ['cables', 'cable'],
  ['filter', 'filter'],
  ['filters', 'filter'],
]);
const PLURALS: readonly string[] = [...KINDS.keys()].filter((_word, index) => index % 2 === 1);

export const VDE_LS_TABLE: CommandTable = {
  name: 'vde ls',
  summary: 'Lists what runs: namespaces, switches, gateways, cables',
  synopsis: ['[--json] [kind ...]'],
  options: [
    { long: 'json', help: 'print all that is known as JSON' },
    { long: 'names', isHidden: true, help: 'print names alone' },
    { long: 'help', short: 'h', help: 'print this' },
  ],
  operands: [{ name: 'kind', values: PLURALS, repeatable: true }],
  isPermuted: true,
  notes: [`A kind is one of: ${PLURALS.join(', ')}. Without one, all are listed.`],
};

/** What a command line of `vde ls` asks for. */
export type ListAction =
  | { readonly action: 'help'; readonly table: CommandTable }
  | {
      readonly action: 'ls';
      readonly format: 'table' | 'json' | 'names';
      /** `undefined`: all. */
      readonly kinds: ReadonlySet<Kind> | undefined;
    };

/** @throws VdensError `ERR_USAGE` */
export function interpretList(argv: readonly string[]): ListAction {
  const { values, operands } = parseOptions(VDE_LS_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_LS_TABLE };
  if (values.has('json') && values.has('names')) {
    throw usage(VDE_LS_TABLE, '--json and --names do not go together. Give one of them', '--names');
  }
  const format = values.has('json') ? 'json' : values.has('names') ? 'names' : 'table';
  return { action: 'ls', format, kinds: operands.length === 0 ? undefined : new Set(operands.map(readKind)) };
}

function readKind(word: string): Kind {
  const kind = KINDS.get(word);
  if (kind !== undefined) return kind;
  const meant = nearest(word, PLURALS);
  const remedy = meant === undefined ? `Known are: ${PLURALS.join(', ')}` : `Did you mean: vde ls ${meant}`;
  throw new VdensError('ERR_USAGE', `"${word}" is no kind of thing that runs. ${remedy}`, { value: word });
}
