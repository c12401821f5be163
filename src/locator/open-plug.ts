/**
 * From a network's name to a plug on it.
 */
import { VdensError } from '../errors.ts';
import type { PlugCounters } from '../plugs/counters.ts';
import type { HealingOptions, OpenInner } from '../plugs/healing.ts';
import type { Plug } from '../plugs/plug.ts';
import type { Locator } from './locator.ts';
import type { OpenInside } from './nested.ts';
import { parseNetworkWord } from './network.ts';
import { defaultSwitchDirectories, type ResolvedLocator, resolveLocator } from './resolve.ts';
import type { VdePort } from './vde-options.ts';

/** A command always starts; one that speaks the stream is still there after so long, in milliseconds. */
const COMMAND_SETTLE_MS = 1000;

/** A segment whose server went away is to be served again soon, by one of those left, in milliseconds. */
const TAKEOVER_PAUSE_MS = 400;

/** What a command line says of a port of a switch beside its name. */
export interface SwitchAccess {
  /** 1 to 16777215. */
  readonly port?: number;
  /** By name or by number. */
  readonly group?: string;
  /** Permission bits, 0 to 0o777. */
  readonly mode?: number;
}

/** How to open a network. */
export interface OpenPlugOptions {
  /** Who we are, for the operator of a switch. @defaultValue `vdens` */
  readonly description?: string;
  /** Whether a network that goes away is opened again, with growing pauses. @defaultValue true */
  readonly reconnect?: boolean;
  /** How long a switch may take to answer, in milliseconds. @defaultValue 5000 */
  readonly timeoutMs?: number;
  /** Which port of a switch, and who may use our socket there: for `vde://`, as far as the network's name does not say it. */
  readonly access?: SwitchAccess;
  /** Gives up opening; what was made for it is gone when the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Opens the network that a word names: a locator, a path, an alias file, `=COMMAND`.
 *
 * @throws VdensError `ERR_LOCATOR` when the word is wrong, `ERR_NETWORK_OPEN` or `ERR_NETWORK_TIMEOUT` when the
 * network is not there
 */
export function openPlug(word: string, options: OpenPlugOptions = {}): Promise<Plug> {
  return openAt(word, options, 0);
}

/** @param depth how many networks it is inside of */
async function openAt(word: string, options: OpenPlugOptions, depth: number): Promise<Plug> {
  const network = parseNetworkWord(word);
  if (network.kind === 'stream') return openCommand(word, network.command, options);
  const locator = resolveLocator(word);
  const label = labelOf(word, locator);
  if (isLeftToOriginal(locator.scheme)) return openWithOriginal(label, locator, options);
  switch (locator.scheme) {
    case 'vde':
      return openVde(label, locator, options);
    case 'switch':
    case 'hub':
    case 'multi':
    case 'bonding':
      return openNode(label, locator, options);
    case 'cmd': {
      const { splitCommandLine } = await import('./command-line.ts');
      return openCommand(label, splitCommandLine(locator.address), options);
    }
    case 'tap': {
      const { openHostTap } = await import('../plugs/host-tap.ts');
      return openHostTap(label, locator.address);
    }
    case 'vdesl': {
      const { speedOption } = await import('./serial-locator.ts');
      const { openSerialLine } = await import('../plugs/serial.ts');
      const speed = speedOption(locator);
      return healing(label, options, async (counters) => openSerialLine(label, locator.address, speed, counters));
    }
    case 'seqpacket': {
      const { openGivenSocket } = await import('../plugs/given-socket.ts');
      return openGivenSocket(label, locator.address);
    }
    case 'macvtap': {
      const { openMacvtap } = await import('../plugs/macvtap.ts');
      return openMacvtap(label, locator.address);
    }
    case 'pcap': {
      const { openWire } = await import('../plugs/wire.ts');
      return healing(label, options, async (counters) => openWire(label, locator.address, counters));
    }
    case 'ptp': {
      const { PtpPlug } = await import('../plugs/ptp.ts');
      return PtpPlug.open(label, locator.address, options);
    }
    case 'vxvde': {
      const { vxvdeOptions } = await import('./overlay-locator.ts');
      const { openVxvde } = await import('../overlay/vxlan.ts');
      return openVxvde(label, await vxvdeOptions(locator), options.signal);
    }
    case 'vxlan': {
      const { vxlanOptions } = await import('./overlay-locator.ts');
      const { openVxlan } = await import('../overlay/vxlan.ts');
      return openVxlan(label, await vxlanOptions(locator), options.signal);
    }
    case 'udp': {
      const { udpOptions } = await import('./udp-locator.ts');
      const { openUdpLine } = await import('../overlay/udp-line.ts');
      return openUdpLine(label, udpOptions(locator), options.signal);
    }
    case 'slirp': {
      const { gatewayConfig } = await import('./slirp-locator.ts');
      const { GatewayPlug } = await import('../gateway/gateway-plug.ts');
      return GatewayPlug.open(label, gatewayConfig(locator), { signal: options.signal });
    }
    case 'vlan':
    case 'agno':
    case 'restart':
    case 'wirefilter': {
      const { innerWord, openNested, requireDepth } = await import('./nested.ts');
      requireDepth(label, depth);
      const inner = innerWord(locator);
      const openInside: OpenInside = (inside) => openAt(inner, insideOptions(options, inside), depth + 1);
      return openNested(label, locator, openInside, options.signal);
    }
    case 'null': {
      const { NullPlug } = await import('../plugs/null.ts');
      return new NullPlug(label);
    }
    default:
      return openWithOriginal(label, locator, options);
  }
}

/** What opening says of the innermost network, and what the one around it does. */
function insideOptions(options: OpenPlugOptions, inside: Parameters<OpenInside>[0]): OpenPlugOptions {
  return inside === undefined ? options : { ...options, reconnect: inside.heals, signal: inside.signal };
}

/** Whatever it is, perhaps the originals' library knows it. */
async function openWithOriginal(label: string, locator: Locator, options: OpenPlugOptions): Promise<Plug> {
  const { FOREIGN_PACE, openForeign } = await import('./foreign-locator.ts');
  const { timeoutMs } = options;
  const description = describe(options.description ?? 'vdens');
  const open: OpenInner = (counters, signal) =>
    openForeign(label, locator, { description, timeoutMs, counters, signal });
  return healing(label, options, open, FOREIGN_PACE);
}

/** Whether the environment leaves this scheme of ours to the originals: `VDENS_ORIGINAL=agno,vlan`. */
function isLeftToOriginal(scheme: string): boolean {
  return (process.env['VDENS_ORIGINAL'] ?? '').split(',').includes(scheme);
}

async function openVde(label: string, locator: Locator, options: OpenPlugOptions): Promise<Plug> {
  const { vdeAccessOptions, vdePortOption } = await import('./vde-options.ts');
  const { VdePlug } = await import('../plugs/vde.ts');
  const port = portOf(vdePortOption(locator), options.access?.port);
  const { group, mode } = { ...options.access, ...vdeAccessOptions(locator) };
  const connection = {
    ...(port.kind === 'port' ? { port: port.port } : {}),
    ...(port.kind === 'group' ? { portGroup: port.name } : {}),
    ...(await groupOf(label, group)),
    ...(mode === undefined ? {} : { mode }),
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    description: describe(options.description ?? 'vdens'),
  };
  const directories = locator.address === '' ? defaultSwitchDirectories() : [locator.address];
  return healing(label, options, async (counters, signal) => {
    for (const directory of directories) {
      try {
        return await VdePlug.open(label, { ...connection, directory, signal }, counters);
      } catch (error) {
        const isMissing = error instanceof VdensError && error.errno === 'ENOENT' && connection.portGroup === undefined;
        if (directories.length === 1 || !isMissing) throw error;
      }
    }
    const places = directories.join(' nor ');
    const message = `${label}: no switch runs at the usual places, neither ${places}. Start one with: vde switch ${directories.at(-1)}, or name yours: vde:///run/sw`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { errno: 'ENOENT' });
  });
}

function portOf(port: VdePort, wanted: number | undefined): VdePort {
  return port.kind === 'any' && wanted !== undefined ? { kind: 'port', port: wanted } : port;
}

async function groupOf(label: string, name: string | undefined): Promise<{ readonly group?: number }> {
  if (name === undefined) return {};
  const { requireGroupId } = await import('./group-id.ts');
  return { group: await requireGroupId(label, name) };
}

/** A segment that we serve, or join when somebody else does. */
async function openNode(label: string, locator: Locator, options: OpenPlugOptions): Promise<Plug> {
  const { defaultNodeDirectory, nodeOptions } = await import('./node-options.ts');
  const { openSwitchNetwork } = await import('../switch/switch-network.ts');
  const { group, mode, dirmode, ...table } = nodeOptions(locator);
  const network = {
    ...(mode === undefined ? {} : { mode }),
    ...(dirmode === undefined ? {} : { dirmode }),
    ...(await groupOf(label, group)),
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    switch: {
      ...table,
      hub: locator.scheme !== 'switch' || table.tableSize === 0,
      takesTurns: locator.scheme === 'bonding',
    },
    areClientsApart: locator.scheme === 'multi' || locator.scheme === 'bonding',
    description: describe(options.description ?? 'vdens'),
  };
  // The usual place is one where anybody can make a directory.
  const ownOnly = locator.address === '';
  const path = ownOnly ? defaultNodeDirectory() : locator.address;
  const open = (counters: PlugCounters, signal: AbortSignal): Promise<Plug> =>
    openSwitchNetwork(label, path, { ...network, ownOnly, counters, signal });
  return healing(label, options, open, { longestPauseMs: TAKEOVER_PAUSE_MS });
}

function openCommand(label: string, command: readonly string[], options: OpenPlugOptions): Promise<Plug> {
  const open = async (counters: PlugCounters): Promise<Plug> => {
    const { CommandPlug } = await import('../plugs/command.ts');
    return CommandPlug.open(label, command, counters);
  };
  return healing(label, options, open, { settleMs: COMMAND_SETTLE_MS });
}

async function healing(
  label: string,
  { reconnect = true, signal }: OpenPlugOptions,
  open: OpenInner,
  pace: Pick<HealingOptions, 'settleMs' | 'longestPauseMs'> = {},
): Promise<Plug> {
  const { HealingPlug } = await import('../plugs/healing.ts');
  if (reconnect) return HealingPlug.open(label, open, { ...pace, signal });
  const { PlugCounters } = await import('../plugs/counters.ts');
  return open(new PlugCounters(), signal ?? new AbortController().signal);
}

/** The longest part of an alias file's line that is shown. */
const SHOWN_CHARACTERS = 80;

/** What people call the network; a file that was taken for an alias is said to be one. */
function labelOf(word: string, { text, aliases }: ResolvedLocator): string {
  if (aliases.length === 0) return word === '' ? text : word;
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return `${word === '' ? aliases[0] : word} (a file whose first line names "${shown}")`;
}

/** As the originals describe themselves, so that operators find what they are used to. */
function describe(who: string): string {
  const ssh = process.env['SSH_CLIENT']?.split(' ')[0];
  return `${who} user=${process.geteuid?.() ?? ''} pid=${process.pid}${ssh === undefined ? '' : ` SSH=${ssh}`}`;
}
