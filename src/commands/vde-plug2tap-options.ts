/** The options of `vde_plug2tap`, and what a command line of it asks for. */
import type { SwitchAccess } from '../locator/open-plug.ts';
import { readAccess, readPidFile } from './cable-options.ts';
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

export const VDE_PLUG2TAP_TABLE: CommandTable = {
  name: 'vde_plug2tap',
  summary: 'Joins a TAP interface and a network by a cable',
  synopsis: ['[options] interface'],
  options: [
    {
      long: 'sock',
      short: 's',
      argument: 'NETWORK',
      values: 'network',
      help: 'the network, or - for a stream [vde://]',
    },
    { long: 'port', short: 'p', argument: 'N', help: 'port of the switch' },
    { long: 'group', short: 'g', argument: 'GROUP', values: 'group', help: 'group of our socket there' },
    { long: 'mode', short: 'm', argument: 'MODE', help: 'permissions of our socket there, in octal [700]' },
    { long: 'daemon', short: 'd', help: 'go into the background once everything is open' },
    { long: 'pidfile', short: 'P', argument: 'FILE', values: 'file', help: 'write the process id to a new FILE' },
    { long: 'no-reconnect', help: 'end when the network ends, instead of waiting for it' },
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  operands: [{ name: 'interface', values: 'interface' }],
  isPermuted: true,
  usageStatus: 255,
  notes: [
    'The interface is made when there is none of that name. Inside vdens any user may do that.',
    'A network is one of vdens: slirp://, switch:///tmp/lan, /run/sw[3], ... More: man vde_plug2tap',
  ],
};

/** What a command line of `vde_plug2tap` asks for. */
export type VdePlug2tapAction =
  | { readonly action: 'help' | 'version' }
  | {
      readonly action: 'join';
      /** The TAP interface. */
      readonly name: string;
      /** The network; `undefined`: the stream on standard input and output. */
      readonly word: string | undefined;
      readonly access: SwitchAccess;
      readonly reconnect: boolean;
      readonly daemon: boolean;
      readonly pidFile: string | undefined;
    };

/**
 * What a command line asks for.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`
 */
export function interpretVdePlug2tapArguments(argv: readonly string[]): VdePlug2tapAction {
  const parsed = parseOptions(VDE_PLUG2TAP_TABLE, argv);
  const { values, operands } = parsed;
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const [name = '', extra] = operands;
  if (name === '') throw usage(VDE_PLUG2TAP_TABLE, 'the name of a TAP interface is missing, for example tap0', '');
  if (extra !== undefined) {
    const message = `"${extra}" is one word too many: one interface is joined. The network comes after --sock`;
    throw usage(VDE_PLUG2TAP_TABLE, message, extra);
  }
  const word = values.get('sock')?.at(-1) ?? '';
  const isStream = word === '-';
  if (isStream && values.has('daemon')) {
    throw usage(VDE_PLUG2TAP_TABLE, '--daemon leaves no standard input for a stream: name a network', '--daemon');
  }
  return {
    action: 'join',
    name,
    word: isStream ? undefined : word,
    access: readAccess(VDE_PLUG2TAP_TABLE, parsed, { port: 'port', group: 'group', mode: 'mode' }),
    reconnect: !isStream && !values.has('no-reconnect'),
    daemon: values.has('daemon'),
    pidFile: readPidFile(VDE_PLUG2TAP_TABLE, parsed),
  };
}
