/** The options of `vde`, the command that looks after things, and what a command line of it asks for. */
import { VdensError } from '../errors.ts';
import { nearest } from '../locator/nearest.ts';
import type { CommandTable } from './option-table.ts';
import { type ParsedOptions, parseOptions, usage } from './parse-options.ts';
import { type CaptureAction, interpretCapture, VDE_CAPTURE_TABLE } from './vde-capture-options.ts';
import { type ExecAction, interpretExec, VDE_EXEC_TABLE } from './vde-exec-options.ts';
import { type ExplainAction, interpretExplain, VDE_EXPLAIN_TABLE } from './vde-explain-options.ts';
import { type ForwardAction, interpretForward, VDE_FORWARD_TABLE } from './vde-forward-options.ts';
import { interpretList, type ListAction, VDE_LS_TABLE } from './vde-ls-options.ts';
import {
  type ImpairAction,
  interpretCut,
  interpretTc,
  VDE_CUT_TABLE,
  VDE_JOIN_TABLE,
  VDE_TC_TABLE,
} from './vde-tc-options.ts';
import { interpretTop, type TopAction, VDE_TOP_TABLE } from './vde-top-options.ts';

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

export const VDE_SWITCH_TABLE: CommandTable = {
  name: 'vde switch',
  summary: 'Serves a switch in a directory until it is ended, and shows its ports on a terminal',
  synopsis: ['[options] [path]'],
  options: [
    { long: 'hub', short: 'x', help: 'send every frame to every port' },
    { long: 'mode', short: 'm', argument: 'MODE', help: 'who may join: mode of the sockets, in octal [0600]' },
    { long: 'dirmode', argument: 'MODE', help: 'mode of the directory [02700, or what --mode needs]' },
    { long: 'group', short: 'g', argument: 'GROUP', values: 'group', help: 'group of the sockets and the directory' },
    { long: 'ports', short: 'n', argument: 'N', help: 'most clients at a time [4096]' },
    { long: 'table-size', argument: 'N', help: 'stations that are remembered [256]' },
    { long: 'table-seed', argument: 'N', help: 'changes which stations share a place [0]' },
    { long: 'expire', argument: 'SECONDS', help: 'how long a silent station is remembered [120]' },
    { long: 'quiet', short: 'q', help: 'show nothing, report only problems' },
    { long: 'help', short: 'h', help: 'print this' },
  ],
  operands: [{ name: 'path', values: 'directory' }],
  notes: [
    'The path is a directory that is made, switch://PATH[mode=0660/grp=lab], or hub://PATH. SIGUSR1 prints ports and stations.',
  ],
};

export const VDE_CONSOLE_TABLE: CommandTable = {
  name: 'vde console',
  summary: 'Speaks with the management console of a switch: on a terminal, for a script, or one command',
  synopsis: ['socket [command [argument ...]]'],
  options: [{ long: 'help', short: 'h', help: 'print this' }],
  operands: [{ name: 'socket', values: 'socket' }],
  notes: [
    'The socket is what vde_switch -M, wirefilter -M and others were given. On a terminal, TAB completes commands, ^D ends.',
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
  subcommands: [
    VDE_CAPTURE_TABLE,
    VDE_CONSOLE_TABLE,
    VDE_CUT_TABLE,
    VDE_DOCTOR_TABLE,
    VDE_EXEC_TABLE,
    VDE_EXPLAIN_TABLE,
    VDE_FORWARD_TABLE,
    VDE_JOIN_TABLE,
    VDE_LS_TABLE,
    VDE_SWITCH_TABLE,
    VDE_TC_TABLE,
    VDE_TOP_TABLE,
  ],
};

/** What a command line of `vde` asks for. */
export type VdeAction =
  | { readonly action: 'help'; readonly table: CommandTable }
  | { readonly action: 'version' }
  | CaptureAction
  | ExecAction
  | ExplainAction
  | ForwardAction
  | ImpairAction
  | ListAction
  | TopAction
  | { readonly action: 'doctor'; readonly json: boolean; readonly printAppArmor: boolean }
  | { readonly action: 'console'; readonly socket: string; readonly command: string | undefined }
  /** What it says is for switch-options.ts, which needs more of the library. */
  | { readonly action: 'switch'; readonly options: ParsedOptions };

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
  if (word === 'capture') return interpretCapture(rest);
  if (word === 'console') return interpretConsole(rest);
  if (word === 'doctor') return interpretDoctor(rest);
  if (word === 'exec') return interpretExec(rest);
  if (word === 'explain') return interpretExplain(rest);
  if (word === 'forward') return interpretForward(rest);
  if (word === 'cut') return interpretCut(rest, VDE_CUT_TABLE);
  if (word === 'join') return interpretCut(rest, VDE_JOIN_TABLE);
  if (word === 'tc') return interpretTc(rest);
  if (word === 'ls') return interpretList(rest);
  if (word === 'top') return interpretTop(rest);
  if (word === 'switch') return interpretSwitch(rest);
  throw unknownCommand(word);
}

function interpretSwitch(argv: readonly string[]): VdeAction {
  const options = parseOptions(VDE_SWITCH_TABLE, argv);
  if (options.values.has('help')) return { action: 'help', table: VDE_SWITCH_TABLE };
  return { action: 'switch', options };
}

function interpretConsole(argv: readonly string[]): VdeAction {
  const { values, operands } = parseOptions(VDE_CONSOLE_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_CONSOLE_TABLE };
  const [socket = '', ...words] = operands;
  if (socket === '') throw usage(VDE_CONSOLE_TABLE, 'a socket is missing, for example: vde console /tmp/sw.mgmt', '');
  return { action: 'console', socket, command: words.length === 0 ? undefined : words.join(' ') };
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
