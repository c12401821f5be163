/** The options of `vde tc`, `vde cut` and `vde join`, and what a command line of them asks for. */
import type { CommandTable, OptionSpec } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

const OPTIONS: readonly OptionSpec[] = [
  { long: 'json', help: 'print what is set as JSON' },
  { long: 'help', short: 'h', help: 'print this' },
];

const WHERE = 'NAME is that of vdens --name, a pid, or the directory of a switch; after a colon one interface or port.';

export const VDE_TC_TABLE: CommandTable = {
  name: 'vde tc',
  summary: 'Makes a network worse while it runs: loss, delay, rate; or shows what is set',
  synopsis: ['[--json] NAME[:link] [word ...]'],
  options: OPTIONS,
  operands: [
    { name: 'NAME', values: 'running' },
    {
      name: 'word',
      repeatable: true,
      values: [
        ...['delay=', 'loss=', 'burst=', 'dup=', 'rate=', 'bandwidth=', 'speed=', 'capacity=', 'noise=', 'mtu='],
        ...['nofifo', 'seed=', 'none'],
      ],
    },
  ],
  isPermuted: true,
  notes: [
    WHERE,
    'Words: delay=20+5N (ms), loss=1%, burst=4, dup=1%, rate=10mbit, bandwidth=1M (bytes/s), mtu=1400, noise=5, capacity=64K, nofifo, seed=1; none takes all away.',
    'delay=out:20 is for what leaves there, delay=in:20 for what comes. Words of tc-netem(8) are understood, too: delay 20ms 5ms loss 1%',
  ],
};

export const VDE_CUT_TABLE: CommandTable = {
  name: 'vde cut',
  summary: 'Pulls the cable out of an interface or a port',
  synopsis: ['[--json] NAME[:link]'],
  options: OPTIONS,
  operands: [{ name: 'NAME', values: 'running' }],
  isPermuted: true,
  notes: [WHERE],
};

export const VDE_JOIN_TABLE: CommandTable = {
  name: 'vde join',
  summary: 'Puts the cable back that vde cut has pulled out',
  synopsis: ['[--json] NAME[:link]'],
  options: OPTIONS,
  operands: [{ name: 'NAME', values: 'running' }],
  isPermuted: true,
  notes: [WHERE],
};

/** What a command line of one of them asks for. */
export type ImpairAction =
  | { readonly action: 'help'; readonly table: CommandTable }
  | {
      readonly action: 'impair';
      readonly operation: 'impair' | 'cut' | 'join';
      /** `NAME`, or `NAME:link`. */
      readonly where: string;
      /** What to set; `undefined`: nothing. */
      readonly words: readonly string[] | undefined;
      readonly json: boolean;
    };

/** @throws VdensError `ERR_USAGE` */
export function interpretTc(argv: readonly string[]): ImpairAction {
  const { values, operands } = parseOptions(VDE_TC_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_TC_TABLE };
  const [where, ...words] = operands;
  if (where === undefined) throw usage(VDE_TC_TABLE, 'a name is missing, for example: vde tc web delay=20 loss=1%', '');
  const json = values.has('json');
  return { action: 'impair', operation: 'impair', where, words: words.length === 0 ? undefined : words, json };
}

/** @throws VdensError `ERR_USAGE` */
export function interpretCut(argv: readonly string[], table: CommandTable): ImpairAction {
  const { values, operands } = parseOptions(table, argv);
  if (values.has('help')) return { action: 'help', table };
  const [where, extra] = operands;
  if (where === undefined) throw usage(table, `a name is missing, for example: ${table.name} web`, '');
  if (extra !== undefined) throw usage(table, `"${extra}" is one word too many`, extra);
  const operation = table === VDE_CUT_TABLE ? 'cut' : 'join';
  return { action: 'impair', operation, where, words: undefined, json: values.has('json') };
}
