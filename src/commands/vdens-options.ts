/**
 * The options of `vdens`, and what a command line of it asks for.
 *
 * `vdens no true` is to start about as fast as Node does: what reads addresses and names is loaded only
 * when there are some.
 */

import { parseMultiNetworkWord, parseNetworkWord } from '../locator/network.ts';
import { MAX_INTERFACES } from '../system/launch-arguments.ts';
import type { GatewayRequest, InterfaceRequest } from './interface-options.ts';
import type { ResolvConf } from './name-options.ts';
import type { CommandTable } from './option-table.ts';
import { type ParsedOptions, parseOptions, usage } from './parse-options.ts';

export const VDENS_TABLE: CommandTable = {
  name: 'vdens',
  summary: 'Runs a command in a private network, plugged into a virtual Ethernet',
  synopsis: ['[options] [network [command [argument ...]]]', '-m [options] network ... [-- command [argument ...]]'],
  options: [
    { long: 'iface', short: 'i', argument: 'PREFIX', help: 'interface names are PREFIX0, ... [vde]' },
    { long: 'multi', short: 'm', help: 'several networks, one interface each' },
    { long: 'resolvconf', short: 'r', argument: 'FILE', values: 'file', help: 'show FILE as /etc/resolv.conf' },
    { long: 'resolvaddr', short: 'R', argument: 'ADDR[,ADDR...]', help: 'use these name servers' },
    { long: 'hostname', short: 'H', argument: 'NAME', help: 'name of the host' },
    { long: 'name', argument: 'NAME', help: 'what vde exec and others call it' },
    { long: 'sysadm', short: 's', help: 'grant cap_sys_admin too' },
    { long: 'up', help: 'bring lo and every interface up' },
    { long: 'auto', help: 'configure interfaces by DHCP and SLAAC' },
    { long: 'auto-timeout', argument: 'SECONDS', help: 'how long to wait for them [15]' },
    {
      long: 'address',
      argument: '[IFACE=]CIDR[,CIDR...]',
      repeatable: true,
      help: 'addresses; brings it up',
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
  operands: [
    { name: 'network', values: 'network' },
    { name: 'command', values: 'command' },
  ],
  operandsWith: { multi: [{ name: 'network', values: 'network', repeatable: true }] },
  commandAfter: ['--'],
  notes: [
    'A network is a switch (/run/sw, switch:///tmp/lan), slirp://, =COMMAND, or "no".',
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
  /** How long the servers of the networks may take to configure the interfaces, in milliseconds; `undefined`: not asked. */
  readonly autoTimeoutMs: number | undefined;
  /** At most one of each family. */
  readonly gateways: readonly GatewayRequest[];
  /** What /etc/resolv.conf is to be; `undefined` leaves it. */
  readonly resolvConf: ResolvConf | undefined;
  readonly hostname: string | undefined;
  /** By which others find it while it runs. */
  readonly name: string | undefined;
  /** Whether cap_sys_admin is granted. */
  readonly sysAdmin: boolean;
  /** Whether the command is to be uid 0 inside. */
  readonly root: boolean;
  /** Whether a network that fails is opened again. */
  readonly reconnect: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What to do for a command line: run, or only tell something. */
export type VdensAction = VdensRequest | { readonly action: 'help' | 'version' };

/**
 * What a command line asks for, everything checked that can be checked by looking at the text.
 *
 * @param argv - the words after the program's name
 * @returns what to do; rejects for a wrong command line
 * @throws {VdensError} `ERR_USAGE`, `ERR_ADDRESS` or `ERR_COMMAND`
 */
export async function interpretVdensArguments(argv: readonly string[], env: Environment): Promise<VdensAction> {
  const { values, operands } = parseOptions(VDENS_TABLE, argv);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  const { networks, command } = values.has('multi') ? readManyNetworks(operands) : readOneNetwork(operands);
  return {
    action: 'run',
    networks,
    ...(await readInterfaceOptions(values, networks)),
    command: command.length === 0 ? undefined : command,
    up: ['up', 'auto', 'address', 'gateway'].some((option) => values.has(option)),
    autoTimeoutMs: readAuto(values, networks),
    ...(await readNameOptions(values, env)),
    sysAdmin: values.has('sysadm'),
    root: values.has('root'),
    reconnect: !values.has('no-reconnect'),
  };
}

/** The default of `--auto-timeout`, in seconds. */
const AUTO_SECONDS = 15;
const MAX_AUTO_SECONDS = 3600;

/** How long to wait, in milliseconds, for servers that configure the interfaces; undefined when they are not asked. */
function readAuto(values: ParsedOptions['values'], networks: readonly string[]): number | undefined {
  const text = values.get('auto-timeout')?.at(-1);
  if (!values.has('auto')) {
    if (text === undefined) return undefined;
    throw usage(VDENS_TABLE, `--auto-timeout: ${text} is for --auto, which was not given. Write both`, text);
  }
  if (networks.length === 0) {
    const remedy = 'Name a network, for example: vdens --auto vde:///run/sw';
    throw usage(VDENS_TABLE, `--auto: no network was named, so nobody can be asked for addresses. ${remedy}`, '--auto');
  }
  if (text === undefined) return AUTO_SECONDS * 1000;
  if (/^\d{1,4}(\.\d+)?$/.test(text) && Number(text) > 0 && Number(text) <= MAX_AUTO_SECONDS) {
    return Math.ceil(Number(text) * 1000);
  }
  const message = `--auto-timeout: "${text}" is not a number of seconds above 0, up to ${MAX_AUTO_SECONDS}. Write, for example, --auto-timeout ${AUTO_SECONDS}`;
  throw usage(VDENS_TABLE, message, text);
}

/** The options for which the code that reads them is loaded even when there is no network. */
const INTERFACE_OPTIONS = ['iface', 'address', 'gateway', 'mac', 'mtu'];

async function readInterfaceOptions(
  values: ParsedOptions['values'],
  networks: readonly string[],
): Promise<Pick<VdensRequest, 'interfaces' | 'gateways'>> {
  if (networks.length === 0 && !INTERFACE_OPTIONS.some((option) => values.has(option))) {
    return { interfaces: [], gateways: [] };
  }
  const { interfaceNames, readGateways, readInterfaces } = await import('./interface-options.ts');
  const names = interfaceNames(values.get('iface')?.at(-1) ?? 'vde', networks.length);
  const interfaces = readInterfaces(values, names, networks);
  return { interfaces, gateways: readGateways(values, interfaces) };
}

async function readNameOptions(
  values: ParsedOptions['values'],
  env: Environment,
): Promise<Pick<VdensRequest, 'resolvConf' | 'hostname' | 'name'>> {
  const { VDE_RESOLVADDR, VDE_RESOLVCONF } = env;
  const isAsked = ['hostname', 'name', 'resolvaddr', 'resolvconf'].some((option) => values.has(option));
  if (!isAsked && VDE_RESOLVADDR === undefined && VDE_RESOLVCONF === undefined) {
    return { resolvConf: undefined, hostname: undefined, name: undefined };
  }
  const { readHostname, readName, readResolvConf } = await import('./name-options.ts');
  return { resolvConf: readResolvConf(values, env), hostname: readHostname(values), name: readName(values) };
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
  if (networks.length > MAX_INTERFACES) {
    const message = `${networks.length} networks are more than one namespace can have, which is ${MAX_INTERFACES}. Connect some of them by a switch`;
    throw usage(VDENS_TABLE, message, '-m');
  }
  return { networks, command: end === -1 ? [] : operands.slice(end + 1) };
}
