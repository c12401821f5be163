/** The options of `vde`, the command that looks after things, and what a command line of it asks for. */
import { VdensError } from '../errors.ts';
import { nearest } from '../locator/nearest.ts';
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

export const VDE_DOCTOR_TABLE: CommandTable = {
  name: 'vde doctor',
  summary: 'Says whether this machine can run vdens, and what to do',
  synopsis: ['[--json]', '--print-apparmor'],
  options: [
    { long: 'json', help: 'print the findings as JSON' },
    { long: 'print-apparmor', help: 'print an AppArmor profile that lets vdens work' },
    { long: 'help', short: 'h', help: 'print this' },
  ],
};

export const VDE_TABLE: CommandTable = {
  name: 'vde',
  summary: 'Looks after virtual networks',
  synopsis: ['command [options]'],
  options: [
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  subcommands: [VDE_DOCTOR_TABLE],
};

/** What a command line of `vde` asks for. */
export type VdeAction =
  | { readonly action: 'help'; readonly table: CommandTable }
  | { readonly action: 'version' }
  | { readonly action: 'doctor'; readonly json: boolean; readonly printAppArmor: boolean };

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretVdeArguments(argv: readonly string[]): VdeAction {
  const { values, operands } = parseOptions(VDE_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_TABLE };
  if (values.has('version')) return { action: 'version' };
  const [word, ...rest] = operands;
  if (word === undefined) throw usage(VDE_TABLE, 'a command is missing, for example: vde doctor', '');
  if (word !== 'doctor') throw unknownCommand(word);
  return interpretDoctor(rest);
}

function interpretDoctor(argv: readonly string[]): VdeAction {
  const { values, operands } = parseOptions(VDE_DOCTOR_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_DOCTOR_TABLE };
  const [extra] = operands;
  if (extra !== undefined)
    throw usage(VDE_DOCTOR_TABLE, `"${extra}" is one word too many: vde doctor takes only options`, extra);
  if (values.has('json') && values.has('print-apparmor')) {
    throw usage(VDE_DOCTOR_TABLE, '--json and --print-apparmor do not go together. Give one of them', '--json');
  }
  return { action: 'doctor', json: values.has('json'), printAppArmor: values.has('print-apparmor') };
}

function unknownCommand(word: string): VdensError {
  const names = (VDE_TABLE.subcommands ?? []).map(({ name }) => name.slice(VDE_TABLE.name.length + 1));
  const meant = nearest(word, names);
  const remedy = meant === undefined ? `Known are: ${names.join(', ')}` : `Did you mean: vde ${meant}`;
  return new VdensError('ERR_USAGE', `vde has no command "${word}". ${remedy}`, { value: word });
}
