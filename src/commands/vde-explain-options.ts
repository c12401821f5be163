/** The options of `vde explain`, and what a command line of it asks for. */
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

export const VDE_EXPLAIN_TABLE: CommandTable = {
  name: 'vde explain',
  summary: 'Says whether a frame gets from one namespace to another, and where it is lost',
  synopsis: ['[--json] [--no-probe] A B'],
  options: [
    { long: 'json', help: 'print what was found as JSON' },
    { long: 'no-probe', help: 'only look, ask no neighbour' },
    { long: 'help', short: 'h', help: 'print this' },
  ],
  operands: [
    { name: 'A', values: 'running' },
    { name: 'B', values: 'running' },
  ],
  isPermuted: true,
  notes: [
    'A is a namespace: a NAME that was given with vdens --name, or the PID of a vdens; where a process has several, NAME:INTERFACE. B is one, too, an IP address, or a MAC address.',
    'The exit status is 0 when it gets there and an answer back, else 1.',
  ],
};

/** What a command line of `vde explain` asks for. */
export type ExplainAction =
  | { readonly action: 'help'; readonly table: CommandTable }
  | {
      readonly action: 'explain';
      readonly a: string;
      readonly b: string;
      readonly json: boolean;
      /** Whether neighbours are asked for. */
      readonly isProbed: boolean;
    };

/** @throws VdensError `ERR_USAGE` */
export function interpretExplain(argv: readonly string[]): ExplainAction {
  const { values, operands } = parseOptions(VDE_EXPLAIN_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_EXPLAIN_TABLE };
  const [a, b, extra] = operands;
  if (a === undefined || b === undefined) {
    const what = a === undefined ? 'two words are missing' : `one word is missing: where from ${a}`;
    throw usage(VDE_EXPLAIN_TABLE, `${what}, for example: vde explain web db, or: vde explain web 10.0.0.2`, '');
  }
  if (extra !== undefined) throw usage(VDE_EXPLAIN_TABLE, `"${extra}" is one word too many: it is from A to B`, extra);
  return { action: 'explain', a, b, json: values.has('json'), isProbed: !values.has('no-probe') };
}
