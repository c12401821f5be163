/** The options of `vdens`, and what a command line of it asks for. */

import { parseMultiNetworkWord, parseNetworkWord } from '../locator/network.ts';
import {
  type GatewayRequest,
  type InterfaceRequest,
  interfaceNames,
  readGateways,
  readInterfaces,
} from './interface-options.ts';
import { type ResolvConf, readHostname, readResolvConf } from './name-options.ts';
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

export const VDENS_TABLE: CommandTable = {
  name: 'vdens',
  summary: 'Runs a command in a private network, plugged into a virtual Ethernet',
  synopsis: ['[options] [network [command [argument ...]]]', '-m [options] network ... [-- command [argument ...]]'],
  options: [
    { long: 'iface', short: 'i', argument: 'PREFIX', help: 'interface names are PREFIX0, ... [vde]' },
    { long: 'multi', short: 'm', help: 'several networks, one interface each' },
    { long: 'resolvconf', short: 'r', argument: 'FILE', help: 'show FILE as /etc/resolv.conf' },
    { long: 'resolvaddr', short: 'R', argument: 'ADDR[,ADDR...]', help: 'use these name servers' },
    { long: 'hostname', short: 'H', argument: 'NAME', help: 'name of the host' },
    { long: 'sysadm', short: 's', help: 'grant cap_sys_admin too' },
    { long: 'up', help: 'bring lo and every interface up' },
    {
      long: 'address',
      argument: '[IFACE=]CIDR[,CIDR...]',
      repeatable: true,
      help: 'addresses of an interface; brings it up',
    },
    { long: 'gateway', argument: 'ADDR', repeatable: true, help: 'default route' },
    { long: 'mac', argument: '[IFACE=]MAC', repeatable: true, help: 'Ethernet address' },
    { long: 'mtu', argument: '[IFACE=]N', repeatable: true, help: 'MTU' },
    { long: 'root', help: 'be uid 0 inside' },
    { long: 'no-reconnect', help: 'do not come back to a network that fails' },
    { long: 'clone', short: 'c', help: 'accepted, changes nothing' },
    { long: 'unshare', short: 'u', help: 'accepted, changes nothing' },
    { long: 'help', short: 'h', help: 'print this' },
    { long: 'version', short: 'V', help: 'print the version' },
  ],
  notes: [
    'A network is a switch (vde:///run/sw, /run/sw[3], vde://), tap://NAME, cmd://COMMAND, =COMMAND, null://, or "no".',
    'The command is $SHELL when there is none. More: man vdens',
  ],
};

/** Everything that a command line of `vdens` asks for. */
export interface VdensRequest {
  readonly action: 'run';
  /** One word for each interface, in order; none for `no` and its like. */
  readonly networks: readonly string[];
  /** One for each network, in the same order. */
  readonly interfaces: readonly InterfaceRequest[];
  /** The command and its arguments; `undefined` means the user's shell. */
  readonly command: readonly string[] | undefined;
  /** Whether lo and the interfaces are to be brought up. */
  readonly up: boolean;
  /** At most one of each family. */
  readonly gateways: readonly GatewayRequest[];
  /** What /etc/resolv.conf is to be; `undefined` leaves it. */
  readonly resolvConf: ResolvConf | undefined;
  readonly hostname: string | undefined;
  /** Whether cap_sys_admin is granted. */
  readonly sysAdmin: boolean;
  /** Whether the command is to be uid 0 inside. */
  readonly root: boolean;
  /** Whether a network that fails is opened again. */
  readonly reconnect: boolean;
}

/** What to do for a command line: run, or only tell something. */
export type VdensAction = VdensRequest | { readonly action: 'help' | 'version' };

/**
 * What a command line asks for, everything checked that can be checked by looking at the text.
 *
 * @param argv - the words after the program's name
 * @throws {VdensError} `ERR_USAGE`, `ERR_ADDRESS` or `ERR_COMMAND`
 */
export function interpretVdensArguments(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): VdensAction {
  const { values, operands } = parseOptions(VDENS_TABLE, argv);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const { networks, command } = values.has('multi') ? readManyNetworks(operands) : readOneNetwork(operands);
  const names = interfaceNames(values.get('iface')?.[0] ?? 'vde', networks.length);
  const interfaces = readInterfaces(values, names, networks);
  const gateways = readGateways(values, interfaces);
  return {
    action: 'run',
    networks,
    interfaces,
    command: command.length === 0 ? undefined : command,
    up: ['up', 'address', 'gateway'].some((option) => values.has(option)),
    gateways,
    resolvConf: readResolvConf(values, env),
    hostname: readHostname(values),
    sysAdmin: values.has('sysadm'),
    root: values.has('root'),
    reconnect: !values.has('no-reconnect'),
  };
}

interface Operands {
  readonly networks: readonly string[];
  readonly command: readonly string[];
}

/** `[network [command]]`; the original would run a program called `--`, so one between the two is free to be skipped. */
function readOneNetwork(operands: readonly string[]): Operands {
  const [network = '', ...rest] = operands;
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  return { networks: parseNetworkWord(network).kind === 'none' ? [] : [network], command };
}

/** `network ... [-- command]`. */
function readManyNetworks(operands: readonly string[]): Operands {
  const end = operands.indexOf('--');
  const networks = end === -1 ? operands : operands.slice(0, end);
  if (networks.length === 0) {
    throw usage(VDENS_TABLE, '-m needs at least one network, for example: vdens -m vde:///run/sw null://', '-m');
  }
  for (const word of networks) {
    if (word.startsWith('-') && word !== '-') {
      const message = `"${word}" stands among the networks. Options go before the first network, a command after --`;
      throw usage(VDENS_TABLE, message, word);
    }
    parseMultiNetworkWord(word);
  }
  return { networks, command: end === -1 ? [] : operands.slice(end + 1) };
}
