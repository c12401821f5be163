/** The options of `vde_plug`, and what a command line of it asks for. */
import type { CommandTable, OptionSpec } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

export const VDE_PLUG_TABLE: CommandTable = {
  name: 'vde_plug',
  summary: 'Joins two networks by a cable, or a network and a stream',
  synopsis: ['[options] network network', '[options] [network]', '[options] [network] = command [argument ...]'],
  options: [
    { long: 'descr', short: 'D', argument: 'TEXT', help: 'what a switch shows of us [vde_plug]' },
    { long: 'no-reconnect', help: 'end when a network ends, instead of waiting for it' },
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  notes: [
    'With one network or none, the other end is the VDE stream on standard input and output; after "=", a command that speaks it.',
    'A network is one of vdens: slirp://, switch:///tmp/lan, /run/sw[3], tap://NAME, ... More: man vde_plug',
  ],
};

/** What the original has besides: known, so that it is not taken for a slip of the pen. */
const MISSING: readonly OptionSpec[] = [
  { long: 'daemon', short: 'd', help: '' },
  { long: 'pidfile', short: 'p', argument: 'FILE', help: '' },
  { long: 'log', short: 'l', help: '' },
  { long: 'iplog', short: 'L', help: '' },
  { long: 'group', short: 'g', argument: 'GROUP', help: '' },
  { long: 'group2', short: 'G', argument: 'GROUP', help: '' },
  { long: 'mod', short: 'm', argument: 'MODE', help: '' },
  { long: 'mod2', short: 'M', argument: 'MODE', help: '' },
  { long: 'port', argument: 'N', help: '' },
  { long: 'port2', argument: 'N', help: '' },
  { long: 'login-command', short: 'c', argument: 'COMMAND', help: '' },
];
/** What does the same. */
const INSTEAD: Readonly<Record<string, string>> = {
  daemon: 'Let the shell or a service manager keep it in the background: vde_plug ... &',
  pidfile: 'The shell knows the pid as $!',
  port: "Write it into the network: '/run/sw[3]'",
  group: "Write it into the network: '/run/sw[group=staff]'",
  mod: "Write it into the network: '/run/sw[mode=660]'",
};

/** What is at the other end of the cable. */
export type OtherEnd =
  | { readonly kind: 'network'; readonly word: string }
  /** Standard input and output. */
  | { readonly kind: 'stream' }
  | { readonly kind: 'command'; readonly command: readonly string[] };

/** What a command line of `vde_plug` asks for. */
export type VdePlugAction =
  | { readonly action: 'help' | 'version' }
  | {
      readonly action: 'join';
      readonly network: string;
      readonly other: OtherEnd;
      readonly description: string;
      /** Whether a network that goes away is waited for. */
      readonly reconnect: boolean;
    };

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretVdePlugArguments(argv: readonly string[]): VdePlugAction {
  const { values, operands } = parseOptions({ ...VDE_PLUG_TABLE, options: ALL_OPTIONS }, argv);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const missing = MISSING.find(({ long }) => values.has(long));
  if (missing !== undefined) throw notYet(missing);
  const { network, other } = readEnds(operands);
  return {
    action: 'join',
    network,
    other,
    description: values.get('descr')?.at(-1) || 'vde_plug',
    // Who reads the stream has to learn that the network is gone, and can come again.
    reconnect: other.kind === 'network' && !values.has('no-reconnect'),
  };
}

const ALL_OPTIONS: readonly OptionSpec[] = [...VDE_PLUG_TABLE.options, ...MISSING];

/** `[network] [network]` or `[network] = command`; a missing network is the default one. */
function readEnds(operands: readonly string[]): { readonly network: string; readonly other: OtherEnd } {
  const equals = operands.slice(0, 2).indexOf('=');
  if (equals !== -1) {
    const command = operands.slice(equals + 1);
    if (command.length === 0) throw usage(VDE_PLUG_TABLE, 'after "=" a command is missing', '=');
    return { network: operands.slice(0, equals)[0] ?? '', other: { kind: 'command', command } };
  }
  const [network = '', word, extra] = operands;
  if (extra !== undefined) {
    const message = `"${extra}" is one word too many: a cable has two ends. A command comes after a word of its own, =`;
    throw usage(VDE_PLUG_TABLE, message, extra);
  }
  return { network, other: word === undefined ? { kind: 'stream' } : { kind: 'network', word } };
}

function notYet({ long, short }: OptionSpec): Error {
  const name = short === undefined ? `--${long}` : `-${short}`;
  const instead = INSTEAD[long.replace(/2$/, '')];
  const message = `this version of vde_plug does not have the original's ${name} yet${instead === undefined ? '' : `. ${instead}`}`;
  return usage(VDE_PLUG_TABLE, message, name);
}
