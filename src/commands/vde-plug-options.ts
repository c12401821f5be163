/** The options of `vde_plug`, and what a command line of it asks for. */
import type { SwitchAccess } from '../locator/open-plug.ts';
import { type AccessNames, readAccess, readPidFile } from './cable-options.ts';
import type { CommandTable } from './option-table.ts';
import { type ParsedOptions, parseOptions, usage } from './parse-options.ts';

export const VDE_PLUG_TABLE: CommandTable = {
  name: 'vde_plug',
  summary: 'Joins two networks by a cable, or a network and a stream',
  synopsis: ['[options] network network', '[options] [network]', '[options] [network] = command [argument ...]'],
  options: [
    { long: 'daemon', short: 'd', help: 'go into the background once everything is open' },
    { long: 'pidfile', short: 'p', argument: 'FILE', values: 'file', help: 'write the process id to FILE' },
    { long: 'log', short: 'l', help: "tell the system's log of the beginning and the end" },
    { long: 'iplog', short: 'L', help: 'and of every IP address that comes from the stream' },
    { long: 'descr', short: 'D', argument: 'TEXT', help: 'what a switch shows of us [vdeplug:]' },
    { long: 'port', argument: 'N', help: 'port of the (first) switch' },
    { long: 'group', short: 'g', argument: 'GROUP', values: 'group', help: 'group of our socket there' },
    { long: 'mod', short: 'm', argument: 'MODE', help: 'permissions of our socket there, in octal [700]' },
    { long: 'port2', argument: 'N', help: 'the same, of the second switch' },
    { long: 'group2', short: 'G', argument: 'GROUP', values: 'group', help: 'the same, of the second switch' },
    { long: 'mod2', short: 'M', argument: 'MODE', help: 'the same, of the second switch' },
    { long: 'no-reconnect', help: 'end when a network ends, instead of waiting for it' },
    {
      long: 'login-command',
      short: 'c',
      argument: 'COMMAND',
      values: ['vde_plug'],
      help: 'as a login shell: the only COMMAND that runs is vde_plug',
    },
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  operands: [
    { name: 'network', values: 'network' },
    { name: 'network', values: 'network' },
  ],
  commandAfter: ['='],
  isPermuted: true,
  usageStatus: 255,
  notes: [
    'With one network or none, the other end is the VDE stream on standard input and output; after "=", a command that speaks it.',
    'A network is one of vdens: slirp://, switch:///tmp/lan, /run/sw[3], tap://NAME, ... More: man vde_plug',
  ],
};

const FIRST: AccessNames = { port: 'port', group: 'group', mode: 'mod' };
const SECOND: AccessNames = { port: 'port2', group: 'group2', mode: 'mod2' };

/** The one command of the login shell. */
const LOGIN_COMMAND = 'vde_plug';

/** A network, and what the options say of it. */
export interface CableEnd {
  readonly word: string;
  readonly access: SwitchAccess;
}

/** What is at the other end of the cable. */
export type OtherEnd =
  | ({ readonly kind: 'network' } & CableEnd)
  /** Standard input and output. */
  | { readonly kind: 'stream' }
  | { readonly kind: 'command'; readonly command: readonly string[] };

/** A cable that is asked for. */
export interface JoinRequest {
  readonly action: 'join';
  readonly first: CableEnd;
  readonly other: OtherEnd;
  readonly description: string;
  /** Whether a network that goes away is waited for. */
  readonly reconnect: boolean;
  readonly daemon: boolean;
  readonly pidFile: string | undefined;
  /** What the system's log is told; `login`: addresses too, if the user's groups want it. */
  readonly log: 'nothing' | 'sessions' | 'addresses' | 'login';
}

/** What a command line of `vde_plug` asks for. */
export type VdePlugAction =
  | { readonly action: 'help' | 'version' }
  /** As a login shell, it was to run something else. */
  | { readonly action: 'refuse-login' }
  | JoinRequest;

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretVdePlugArguments(argv: readonly string[]): VdePlugAction {
  const parsed = parseOptions(VDE_PLUG_TABLE, argv);
  const { values } = parsed;
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  if ((values.get('login-command')?.at(-1) ?? LOGIN_COMMAND) !== LOGIN_COMMAND) return { action: 'refuse-login' };
  const { word, other } = readEnds(parsed);
  if (values.has('daemon') && other.kind === 'stream') {
    const message = '--daemon leaves no standard input for a stream: name a second network, or a command after =';
    throw usage(VDE_PLUG_TABLE, message, '--daemon');
  }
  return {
    action: 'join',
    first: { word, access: readAccess(VDE_PLUG_TABLE, parsed, FIRST) },
    other,
    description: values.get('descr')?.at(-1) || 'vdeplug:',
    // Who reads the stream has to learn that the network is gone, and can come again.
    reconnect: other.kind === 'network' && !values.has('no-reconnect'),
    daemon: values.has('daemon'),
    pidFile: readPidFile(VDE_PLUG_TABLE, parsed),
    log: readLog(parsed),
  };
}

function readLog({ values }: ParsedOptions): JoinRequest['log'] {
  if (values.has('iplog')) return 'addresses';
  if (values.has('login-command')) return 'login';
  return values.has('log') ? 'sessions' : 'nothing';
}

/** `[network] [network]` or `[network] = command`; a missing network is the default one. */
function readEnds(parsed: ParsedOptions): { readonly word: string; readonly other: OtherEnd } {
  const { operands } = parsed;
  const equals = operands.slice(0, 2).indexOf('=');
  if (equals !== -1) {
    const command = operands.slice(equals + 1);
    if (command.length === 0) throw usage(VDE_PLUG_TABLE, 'after "=" a command is missing', '=');
    requireNoSecond(parsed);
    return { word: operands.slice(0, equals)[0] ?? '', other: { kind: 'command', command } };
  }
  const [word = '', second, extra] = operands;
  if (extra !== undefined) {
    const message = `"${extra}" is one word too many: a cable has two ends. A command comes after a word of its own, =`;
    throw usage(VDE_PLUG_TABLE, message, extra);
  }
  if (second === undefined) {
    requireNoSecond(parsed);
    return { word, other: { kind: 'stream' } };
  }
  return { word, other: { kind: 'network', word: second, access: readAccess(VDE_PLUG_TABLE, parsed, SECOND) } };
}

function requireNoSecond({ values }: ParsedOptions): void {
  const name = Object.values(SECOND).find((long) => values.has(long));
  if (name === undefined) return;
  throw usage(VDE_PLUG_TABLE, `--${name} is for the second network, and there is only one`, `--${name}`);
}
