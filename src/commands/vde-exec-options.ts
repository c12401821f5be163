/** The options of `vde exec`, and what a command line of it asks for. */
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

export const VDE_EXEC_TABLE: CommandTable = {
  name: 'vde exec',
  summary: 'Runs a command in a namespace of vdens that is there already',
  synopsis: ['name [command [argument ...]]'],
  options: [{ long: 'help', short: 'h', help: 'print this' }],
  operands: [
    { name: 'name', values: 'running' },
    { name: 'command', values: 'command' },
  ],
  notes: [
    'The name is what vdens --name was given, or the pid of a vdens or of any process in such a namespace.',
    'The command is $SHELL when there is none. vde ls lists what runs.',
  ],
};

/** What a command line of `vde exec` asks for. */
export type ExecAction =
  | { readonly action: 'help'; readonly table: CommandTable }
  /** Without a command it is the user's shell. */
  | { readonly action: 'exec'; readonly name: string; readonly command: readonly string[] | undefined };

/** @throws VdensError `ERR_USAGE` */
export function interpretExec(argv: readonly string[]): ExecAction {
  const { values, operands } = parseOptions(VDE_EXEC_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_EXEC_TABLE };
  const [name = '', ...rest] = operands;
  if (name === '') throw usage(VDE_EXEC_TABLE, 'a name is missing, for example: vde exec web ip address', '');
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  return { action: 'exec', name, command: command.length === 0 ? undefined : command };
}
