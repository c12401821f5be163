/** The options of `vde_switch`, and what a command line of it asks for. */
import type { VdensError } from '../errors.ts';
import { formatMac, isMulticastMac, parseConsoleMac } from '../net/mac.ts';
import { tableCapacity } from '../plugs/forwarding-entry.ts';
import { DEFAULT_PORTS, MAX_PORT_NUMBER } from '../switch/managed/port-table.ts';
import { DEFAULT_HASH, MAX_HASH_SIZE } from '../switch/managed/station-table.ts';
import { DEFAULT_PRIORITY, MAX_PRIORITY } from '../switch/spanning-tree/spanning-tree.ts';
import { groupId } from '../system/accounts.ts';
import type { CommandTable } from './option-table.ts';
import { type ParsedOptions, parseOptions, usage } from './parse-options.ts';

/** As the original: the command line was wrong. */
export const STATUS_USAGE = 1;

export const VDE_SWITCH_COMMAND_TABLE: CommandTable = {
  name: 'vde_switch',
  summary: 'Serves a switch with VLANs, a spanning tree and a management console',
  synopsis: ['[options]'],
  isPermuted: true,
  hasSingleDash: true,
  usageStatus: STATUS_USAGE,
  options: [
    {
      long: 'sock',
      aliases: ['vdesock', 'unix'],
      short: 's',
      argument: 'DIR',
      values: 'directory',
      help: 'directory where clients come [/tmp/vde.ctl; of root: /var/run/vde.ctl]',
    },
    { long: 'mode', aliases: ['mod'], short: 'm', argument: 'MODE', help: 'mode of the sockets, in octal [0600]' },
    { long: 'dirmode', argument: 'MODE', help: 'mode of the directory [02700, or what --mode needs]' },
    { long: 'group', short: 'g', argument: 'GROUP', values: 'group', help: 'group of the sockets and the directory' },
    { long: 'numports', short: 'n', argument: 'N', help: 'highest port number [32]' },
    { long: 'hub', short: 'x', help: 'send every frame to every port' },
    { long: 'fstp', short: 'F', help: 'break loops with a fast spanning tree' },
    { long: 'macaddr', argument: 'MAC', help: 'address of the switch [random]' },
    { long: 'priority', argument: 'N', help: 'in the spanning tree: the lowest becomes the root [0x8000]' },
    { long: 'hashsize', argument: 'N', help: 'size of the table of stations, a power of two [128]' },
    {
      long: 'tap',
      short: 't',
      argument: 'NAME',
      values: 'interface',
      repeatable: true,
      help: 'give a port to a TAP interface of this machine',
    },
    { long: 'daemon', short: 'd', help: 'go into the background once all is open' },
    { long: 'pidfile', short: 'p', argument: 'FILE', values: 'file', help: 'write the process id to a new file' },
    { long: 'nostdin', help: 'have no console on standard input' },
    {
      long: 'rcfile',
      short: 'f',
      argument: 'FILE',
      values: 'file',
      help: 'commands to start with [~/.vde2/vde_switch.rc, /etc/vde2/vde_switch.rc]',
    },
    { long: 'mgmt', short: 'M', argument: 'PATH', values: 'socket', help: 'socket of the management console' },
    { long: 'mgmtmode', argument: 'MODE', help: 'mode of that socket, in octal [0600]' },
    { long: 'mgmtgroup', argument: 'GROUP', values: 'group', help: 'group of that socket' },
    { long: 'debugclients', short: 'D', argument: 'N', isHidden: true, help: 'has no effect' },
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'v', help: 'print the version' },
  ],
  notes: [
    'Commands of the console are read from standard input until it ends, which ends the switch; "help" lists them.',
    'Long options may be written with one hyphen, too. More: man vde_switch',
  ],
};

/** Permissions of a socket. */
export interface SocketAccess {
  readonly mode: number;
  /** As a number. */
  readonly group: number | undefined;
}

/** What to serve, where, and for whom. */
export interface VdeSwitchRequest {
  readonly action: 'serve';
  /** The directory. */
  readonly path: string;
  /** Whether the directory is the usual one, in a place where anybody can make it. */
  readonly isUsualPath: boolean;
  /** Of its sockets. */
  readonly mode: number;
  readonly dirmode: number | undefined;
  readonly group: number | undefined;
  readonly numPorts: number;
  readonly hub: boolean;
  readonly spanningTree: boolean;
  readonly mac: string | undefined;
  readonly priority: number;
  readonly hashSize: number;
  /** Names of interfaces. */
  readonly taps: readonly string[];
  readonly isDaemon: boolean;
  readonly pidFile: string | undefined;
  readonly hasConsole: boolean;
  /** Commands to start with; those of the usual files without one. */
  readonly rcFile: string | undefined;
  /** The management socket. */
  readonly management: string | undefined;
  readonly managementAccess: SocketAccess;
}

/** What a command line of `vde_switch` asks for. */
export type VdeSwitchAction = { readonly action: 'help' | 'version' } | VdeSwitchRequest;

const ROOT_DIRECTORY = '/var/run/vde.ctl';
const USER_DIRECTORY = '/tmp/vde.ctl';
const DEFAULT_MODE = 0o600;
const MAX_MODE = 0o777;
const MAX_DIRECTORY_MODE = 0o7777;
/** What of the directory's mode is left for its sockets. */
const SOCKET_BITS = 0o666;

type Values = ParsedOptions['values'];

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretVdeSwitchArguments(argv: readonly string[]): VdeSwitchAction {
  const { values, operands } = parseOptions(VDE_SWITCH_COMMAND_TABLE, argv);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const [extra] = operands;
  if (extra !== undefined) {
    const message = `"${extra}" is one word too many. The directory is named with: vde_switch -s ${extra}`;
    throw usage(VDE_SWITCH_COMMAND_TABLE, message, extra);
  }
  const dirmode = readOctal(values, 'dirmode', MAX_DIRECTORY_MODE);
  const isDaemon = values.has('daemon');
  const path = readText(values, 'sock');
  return {
    action: 'serve',
    path: path ?? (process.geteuid?.() === 0 ? ROOT_DIRECTORY : USER_DIRECTORY),
    isUsualPath: path === undefined,
    mode: readOctal(values, 'mode', MAX_MODE) ?? (dirmode === undefined ? DEFAULT_MODE : dirmode & SOCKET_BITS),
    dirmode,
    group: readGroup(values, 'group'),
    numPorts: readNumber(values, 'numports', 1, MAX_PORT_NUMBER) ?? DEFAULT_PORTS,
    hub: values.has('hub'),
    spanningTree: values.has('fstp'),
    mac: readMac(values),
    priority: readNumber(values, 'priority', 0, MAX_PRIORITY) ?? DEFAULT_PRIORITY,
    hashSize: tableCapacity(readNumber(values, 'hashsize', 1, MAX_HASH_SIZE) ?? DEFAULT_HASH.size),
    taps: readTaps(values),
    isDaemon,
    pidFile: readText(values, 'pidfile'),
    hasConsole: !isDaemon && !values.has('nostdin'),
    rcFile: readText(values, 'rcfile'),
    management: readText(values, 'mgmt'),
    managementAccess: {
      mode: readOctal(values, 'mgmtmode', MAX_MODE) ?? DEFAULT_MODE,
      group: readGroup(values, 'mgmtgroup'),
    },
  };
}

function readText(values: Values, name: string): string | undefined {
  const text = values.get(name)?.at(-1);
  if (text !== '') return text;
  throw wrongValue(name, text, 'is empty');
}

function readTaps(values: Values): readonly string[] {
  const taps = values.get('tap') ?? [];
  if (taps.includes('')) throw wrongValue('tap', '', 'is no name of an interface');
  return taps;
}

function readOctal(values: Values, name: string, largest: number): number | undefined {
  const text = values.get(name)?.at(-1);
  if (text === undefined) return undefined;
  const value = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if (value <= largest) return value;
  throw wrongValue(name, text, `is not a mode from 0 to ${largest.toString(8)}, in octal`);
}

function readNumber(values: Values, name: string, smallest: number, largest: number): number | undefined {
  const text = values.get(name)?.at(-1);
  if (text === undefined) return undefined;
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (value >= smallest && value <= largest) return value;
  throw wrongValue(name, text, `is not a number from ${smallest} to ${largest}`);
}

/** As the console has it: with colons. */
function readMac(values: Values): string | undefined {
  const text = values.get('macaddr')?.at(-1);
  if (text === undefined) return undefined;
  const mac = parseConsoleMac(text);
  if (mac === undefined || isMulticastMac(mac)) {
    throw wrongValue('macaddr', text, 'is not the Ethernet address of one station, such as 00:ff:01:02:03:04');
  }
  return formatMac(mac);
}

function readGroup(values: Values, name: string): number | undefined {
  const group = values.get(name)?.at(-1);
  if (group === undefined) return undefined;
  const id = groupId(group);
  if (id === undefined) throw wrongValue(name, group, 'is no group. See: getent group');
  return id;
}

function wrongValue(name: string, text: string, problem: string): VdensError {
  return usage(VDE_SWITCH_COMMAND_TABLE, `--${name}: "${text}" ${problem}`, text);
}
