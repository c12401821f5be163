/**
 * Which network a locator means, so that two of them can be compared: `switch:///tmp/lan` and `vde:///tmp/lan` are the
 * same, `vxvde://` and `vxvde:///vni=2` are not.
 */
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator } from '../../locator/locator.ts';
import { isNested, nestedLocators } from '../../locator/nested.ts';
import { defaultNodeDirectory } from '../../locator/node-options.ts';
import { defaultSwitchDirectories } from '../../locator/resolve.ts';
import { MemoryPlug } from '../../plugs/memory.ts';
import type { Plug } from '../../plugs/plug.ts';
import { openServices } from '../../switch/open-services.ts';
import type { SwitchPort } from '../../switch/switch-port.ts';
import { layersOf } from '../peers.ts';
import type { NetworkFacts, NetworkKind } from './facts.ts';

/** Around a network, but frames are the same inside. */
const TRANSPARENT: ReadonlySet<string> = new Set(['restart', 'wirefilter']);
/** What a label has behind the name of an alias file. */
const ALIAS_MARK = ' (a file whose first line names ';

/**
 * The network behind a label, as the process sees it that opened it: paths are its own.
 *
 * @param label of the plug: the word that its user wrote
 * @param own what tells it from all others when it leads to nobody else
 * @param end what is plugged in, where it is known: what a program made has any label
 */
export async function identifyNetwork(label: string, own: string, end?: Plug): Promise<NetworkFacts> {
  const inner = end === undefined ? undefined : [...layersOf(end)].at(-1);
  if (inner !== undefined && inner.label === label && !label.includes('://')) {
    if ('fabric' in inner) return segmentOf(inner as SwitchPort);
    if (inner instanceof MemoryPlug)
      return { label, kind: 'other', identity: `other ${own}`, layers: [], place: label };
  }
  try {
    return await identify(label, wordOf(label), own);
  } catch {
    // Opened it was; that it cannot be read now (the alias file is gone) leaves its name to compare.
    const identity = label.includes('://') ? label : `other ${own}`;
    return { label, kind: 'other', identity, layers: [], place: label };
  }
}

const segmentNumbers = new WeakMap<object, number>();
let segmentCount = 0;

/** The switch of this process that a port belongs to: where it is served, or which one of them. */
function segmentOf(port: SwitchPort): NetworkFacts {
  const { label, fabric } = port;
  for (const { segment, path } of openServices) {
    if (!segment.ports.includes(port)) continue;
    return { label, kind: 'switch', identity: `switch ${path}`, layers: [], place: path };
  }
  const number = segmentNumbers.get(fabric) ?? ++segmentCount;
  segmentNumbers.set(fabric, number);
  const place = `a switch of process ${process.pid}`;
  return { label, kind: 'other', identity: `${place}, number ${number}`, layers: [], place };
}

function wordOf(label: string): string {
  const mark = label.indexOf(ALIAS_MARK);
  return mark === -1 ? label : label.slice(0, mark);
}

async function identify(label: string, word: string, own: string): Promise<NetworkFacts> {
  const locators = nestedLocators(word);
  const innermost = locators.at(-1);
  const layers = locators
    .filter(({ scheme }) => isNested(scheme) && !TRANSPARENT.has(scheme))
    .map(({ text }) => text.slice(0, text.indexOf('{') === -1 ? undefined : text.indexOf('{')));
  const common = { label, layers };
  if (innermost === undefined || isNested(innermost.scheme)) {
    return { ...common, kind: 'stream', identity: `stream ${own}`, place: label };
  }
  const { kind, place, isOwn = false } = await placeOf(innermost);
  return { ...common, kind, place, identity: isOwn ? `${kind} ${own}` : `${kind} ${place}` };
}

interface Place {
  readonly kind: NetworkKind;
  readonly place: string;
  /** Whether nobody else can be in it. */
  readonly isOwn?: boolean;
}

async function placeOf(locator: Locator): Promise<Place> {
  const { scheme, address, text } = locator;
  switch (scheme) {
    case 'vde':
      return { kind: 'switch', place: realPath(address === '' ? defaultSwitch() : address) };
    case 'switch':
    case 'hub':
    case 'multi':
    case 'bonding':
      return { kind: 'switch', place: realPath(address === '' ? defaultNodeDirectory() : address) };
    case 'vxvde':
    case 'vxlan':
      return { kind: 'overlay', place: await overlayPlace(locator) };
    case 'udp':
      return { kind: 'overlay', place: await udpPlace(locator) };
    case 'ptp':
      return { kind: 'line', place: realPath(address) };
    case 'tap':
    case 'macvtap':
    case 'pcap':
      return { kind: 'interface', place: `${scheme}://${address}` };
    case 'slirp':
      return { kind: 'gateway', place: text, isOwn: true };
    case 'cmd':
      return { kind: 'stream', place: text, isOwn: true };
    case 'null':
      return { kind: 'nothing', place: text, isOwn: true };
    default:
      return { kind: 'other', place: text };
  }
}

/** What its members have in common, in words. */
async function overlayPlace(locator: Locator): Promise<string> {
  const { vxlanOptions, vxvdeOptions } = await import('../../locator/overlay-locator.ts');
  const options = locator.scheme === 'vxvde' ? await vxvdeOptions(locator) : await vxlanOptions(locator);
  const { group, groupNumber, port, vni, family, peers, peerFile } = options;
  const hasGroup = group !== undefined || (peers.length === 0 && peerFile === undefined);
  const where = hasGroup ? `the ${group === undefined ? 'usual group' : `group ${group}`}` : 'among its peers';
  const number = groupNumber === undefined ? '' : ` number ${groupNumber}`;
  return `${locator.scheme}, ${where}${number}${family === 6 ? ' of IPv6' : ''}, port ${port}, VNI ${vni}`;
}

/** Its two ends, in an order that is the same from both. */
async function udpPlace(locator: Locator): Promise<string> {
  const { udpOptions } = await import('../../locator/udp-locator.ts');
  const { source, destination } = udpOptions(locator);
  return `between port ${[source.service, destination.service].sort().join(' and port ')}`;
}

function defaultSwitch(): string {
  const directories = defaultSwitchDirectories();
  return directories.find((directory) => existsSync(join(directory, 'ctl'))) ?? directories[0] ?? '';
}

/** Without links, as far as it is there. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
