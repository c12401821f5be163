/** The options of `vde top`, and what a command line of it asks for. */
import type { CommandTable } from './option-table.ts';
import { type ParsedOptions, parseOptions, usage } from './parse-options.ts';

/** What lines can be sorted by: all but names from the largest on. */
export const SORT_KEYS = ['rate', 'in', 'out', 'dropped', 'name'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

const DEFAULT_INTERVAL_S = 1;
const MIN_INTERVAL_S = 0.1;
const MAX_INTERVAL_S = 3600;

export const VDE_TOP_TABLE: CommandTable = {
  name: 'vde top',
  summary: 'Shows what passes at each interface, port and cable, anew each second',
  synopsis: ['[options] [name ...]'],
  options: [
    { long: 'count', short: 'n', argument: 'N', help: 'end after so many tables' },
    { long: 'interval', short: 'i', argument: 'SECONDS', help: `time from table to table [${DEFAULT_INTERVAL_S}]` },
    { long: 'sort', short: 's', argument: 'KEY', values: SORT_KEYS, help: `${SORT_KEYS.join(', ')} [rate]` },
    { long: 'reverse', short: 'r', help: 'the other way round' },
    { long: 'help', short: 'h', help: 'print this' },
  ],
  operands: [{ name: 'name', values: 'running', repeatable: true }],
  isPermuted: true,
  notes: ['On a terminal: s sorts by something else, r the other way round, q ends.'],
};

/** What a command line of `vde top` asks for. */
export type TopAction =
  | { readonly action: 'help'; readonly table: CommandTable }
  | {
      readonly action: 'top';
      /** Names or pids; none: everything that runs. */
      readonly names: readonly string[];
      /** Tables; `undefined`: until it is ended. */
      readonly count: number | undefined;
      readonly intervalMs: number;
      readonly sort: SortKey;
      readonly isReversed: boolean;
    };

/** @throws VdensError `ERR_USAGE` */
export function interpretTop(argv: readonly string[]): TopAction {
  const { values, operands } = parseOptions(VDE_TOP_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_TOP_TABLE };
  return {
    action: 'top',
    names: operands,
    count: readCount(values),
    intervalMs: readInterval(values),
    sort: readSort(values),
    isReversed: values.has('reverse'),
  };
}

function readCount(values: ParsedOptions['values']): number | undefined {
  const text = values.get('count')?.at(-1);
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usage(VDE_TOP_TABLE, `--count: "${text}" is not a number of tables. Write, for example, --count 3`, text);
}

function readInterval(values: ParsedOptions['values']): number {
  const text = values.get('interval')?.at(-1);
  if (text === undefined) return DEFAULT_INTERVAL_S * 1000;
  const seconds = Number(text);
  if (/^\d*\.?\d+$/.test(text) && seconds >= MIN_INTERVAL_S && seconds <= MAX_INTERVAL_S) return seconds * 1000;
  const message = `--interval: "${text}" is not a number of seconds from ${MIN_INTERVAL_S} to ${MAX_INTERVAL_S}. Write, for example, --interval 2`;
  throw usage(VDE_TOP_TABLE, message, text);
}

function readSort(values: ParsedOptions['values']): SortKey {
  const text = values.get('sort')?.at(-1) ?? 'rate';
  const key = SORT_KEYS.find((known) => known === text);
  if (key !== undefined) return key;
  throw usage(VDE_TOP_TABLE, `--sort: "${text}" is nothing to sort by. Known are: ${SORT_KEYS.join(', ')}`, text);
}
