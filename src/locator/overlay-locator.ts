/**
 * What the locators of VXLAN networks say.
 *
 * ```
 * vxvde://                                        everybody on this LAN
 * vxvde://239.1.2.3/port=1234/vni=7               another group of them
 * vxvde:///peer=box.example.org/peer=192.0.2.7    these hosts, where there is no multicast
 * vxlan:///vni=42/if=eth0                         as the kernel's own device speaks it
 * ```
 */
import { quote, VdensError } from '../errors.ts';
import { isMulticastIp, isUnspecifiedIp } from '../net/ip.ts';
import { familyOf, isOfOneLink, literalAddress } from '../overlay/host.ts';
import type { PeerName, VxlanOptions } from '../overlay/overlay-options.ts';
import { LARGEST_PORT, MAX_PEERS, parsePeer } from '../overlay/peer-name.ts';
import { requireGroupId } from './group-id.ts';
import type { Locator } from './locator.ts';
import { EXPIRE_SECONDS, TABLE_SIZES } from './node-options.ts';
import { decimalOption, flagOption, sizeOption, textOption, withoutUndefined } from './option-values.ts';
import { wrongLocator, wrongOption } from './wrong-locator.ts';

/** RFC 7348, section 5; the original of `vxvde://` has its own. */
const VXLAN_PORT = 4789;
const VXVDE_PORT = 14789;
/** Of 24 bits both: the number of a network, and the place for that of a group in an address. */
const LARGEST_VNI = 0xffffff;
const DEFAULT_VNI = 1;
/** Addresses that the originals' table has room for. */
const DEFAULT_TABLE_SIZE = 1024;
/** How long the originals remember them, in seconds. */
const DEFAULT_EXPIRE_SECONDS = 128;
/** More than any kernel gives, in bytes. */
const MAX_RECEIVE_BUFFER_BYTES = 1_073_741_824;
/** The longest name of an interface, in bytes: IFNAMSIZ without the NUL. */
const LONGEST_INTERFACE_NAME = 15;

type Family = 4 | 6;

/** A word of the locator that stands for one of IPv4 and IPv6. */
interface Claim {
  readonly word: string;
  readonly family: Family;
}

/** A host of the locator, and its address when it is one. */
interface Host {
  readonly word: string;
  readonly address: Uint8Array | undefined;
}

/**
 * What a `vxvde://` says.
 *
 * @throws VdensError `ERR_LOCATOR` when a value makes no sense
 */
export async function vxvdeOptions(locator: Locator): Promise<VxlanOptions> {
  const groupNumber = await unixGroup(locator, 'grp');
  const vni = (await unixGroup(locator, 'vni')) ?? groupNumber ?? DEFAULT_VNI;
  return readOptions(locator, VXVDE_PORT, vni, groupNumber);
}

/**
 * What a `vxlan://` says.
 *
 * @throws VdensError `ERR_LOCATOR` when a value makes no sense
 */
export async function vxlanOptions(locator: Locator): Promise<VxlanOptions> {
  const vni = decimalOption(locator, 'vni', { smallest: 0, largest: LARGEST_VNI, example: 42 });
  const groupNumber = await unixGroup(locator, 'grp');
  return readOptions(locator, VXLAN_PORT, vni ?? groupNumber ?? DEFAULT_VNI, groupNumber);
}

function readOptions(locator: Locator, defaultPort: number, vni: number, groupNumber?: number): VxlanOptions {
  const port = decimalOption(locator, 'port', { smallest: 1, largest: LARGEST_PORT, example: defaultPort });
  const group = readGroup(locator);
  const bind = readBind(locator);
  const peers = readPeers(locator, port ?? defaultPort);
  const peerFile = textOption(locator, 'peers', 'lan.txt');
  const interfaceName = readInterfaceName(locator);
  const hosts = [group, bind, ...peers].filter((host) => host !== undefined);
  if (interfaceName === undefined) refuseLinkLocal(locator, hosts);
  const hasGroup = group !== undefined || (peers.length === 0 && peerFile === undefined);
  const isAnywhere = bind?.address !== undefined && isUnspecifiedIp(bind.address);
  const optional = {
    group: group?.word,
    groupNumber: hasGroup ? groupNumber : undefined,
    family: readFamily(locator, hosts),
    ttl: decimalOption(locator, 'ttl', { smallest: 0, largest: 255, example: 8 }),
    receiveBufferBytes: sizeOption(locator, 'rcvbuf', MAX_RECEIVE_BUFFER_BYTES),
    interfaceName,
    bind: isAnywhere ? undefined : bind?.word,
    peerFile,
  };
  return {
    ...withoutUndefined(optional),
    port: port ?? defaultPort,
    vni,
    tableSize: decimalOption(locator, 'hashsize', TABLE_SIZES) ?? DEFAULT_TABLE_SIZE,
    expireMs: (decimalOption(locator, 'expiretime', EXPIRE_SECONDS) ?? DEFAULT_EXPIRE_SECONDS) * 1000,
    peers: peers.map(({ peer }) => peer),
  };
}

/** The number of a Unix group, which is in the place of the number of a network; an empty value is one's own group. */
async function unixGroup(locator: Locator, key: 'grp' | 'vni'): Promise<number | undefined> {
  const text = locator.options.get(key);
  if (text === undefined) return undefined;
  const isNumber = /^[\d+-]/.test(text);
  const number =
    text === '' ? (process.getegid?.() ?? 0) : isNumber ? numberOf(text) : await requireGroupId(locator.text, text);
  if (number <= LARGEST_VNI) return number;
  const what =
    text === '' ? `your group is ${number}, which` : `${key} "${text}"${isNumber ? '' : ` is ${number}, which`}`;
  throw wrongOption(locator, text, `${what} is not a number from 0 to ${LARGEST_VNI}`, `${key}=1000`);
}

function numberOf(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
}

function readGroup(locator: Locator): Host | undefined {
  const word = locator.address;
  if (word === '') return undefined;
  const [, ipv6, host = ipv6, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(word) ?? [];
  if (port !== undefined) {
    const message = `the port is an option. Write ${locator.scheme}://${host}/port=${port}`;
    throw wrongLocator(locator.text, message, word);
  }
  const example = `Write, for example, ${locator.scheme}://239.0.0.1`;
  const address = addressOf(locator, word, `is not a multicast group. ${example}`);
  if (address === undefined || isMulticastIp(address)) return { word, address };
  const peer = `${locator.scheme}:///peer=${word} where there is no multicast`;
  throw wrongLocator(locator.text, `${quote(word)} is not a multicast group. ${example}, or ${peer}`, word);
}

function readBind(locator: Locator): Host | undefined {
  const word = textOption(locator, 'bind', '192.0.2.1');
  if (word === undefined) return undefined;
  const problem = 'is not an address of this host. Write, for example, /bind=192.0.2.1';
  const address = addressOf(locator, word, problem);
  if (address !== undefined && !isMulticastIp(address)) return { word, address };
  throw wrongLocator(locator.text, `${quote(word)} ${problem}`, word);
}

function readPeers(locator: Locator, port: number): (Host & { readonly peer: PeerName })[] {
  const words = locator.repeated.get('peer') ?? [];
  if (words.length > MAX_PEERS) {
    const message = `${words.length} peers are more than ${MAX_PEERS}. Name fewer`;
    throw wrongLocator(locator.text, message, String(words.length));
  }
  return words.map((word) => {
    const peer = readPeer(locator, word, port);
    return { word, peer, address: literalAddress(peer.host) };
  });
}

function readPeer(locator: Locator, word: string, port: number): PeerName {
  if (word === '') throw wrongOption(locator, word, 'the option "peer" needs a value', 'peer=192.0.2.7');
  if (word.includes(',')) {
    const message = `"peer" names one. Write /${word
      .split(',')
      .map((one) => `peer=${one.trim()}`)
      .join('/')}`;
    throw wrongLocator(locator.text, message, word);
  }
  refuseZone(locator, word);
  try {
    return parsePeer(word, port);
  } catch (error) {
    if (error instanceof VdensError) throw wrongLocator(locator.text, error.message, word);
    throw error;
  }
}

function readInterfaceName(locator: Locator): string | undefined {
  const name = textOption(locator, 'if', 'eth0');
  if (name === undefined || (/^[^\s/:]+$/.test(name) && Buffer.byteLength(name) <= LONGEST_INTERFACE_NAME)) return name;
  throw wrongOption(locator, name, `${quote(name)} cannot be the name of an interface`, 'if=eth0');
}

/** IPv4 or IPv6, when the locator says which. */
function readFamily(locator: Locator, hosts: readonly Host[]): Family | undefined {
  const flags = ([4, 6] as const).filter((family) => flagOption(locator, `v${family}`));
  const claims: Claim[] = hosts.flatMap(({ word, address }) =>
    address === undefined ? [] : [{ word, family: familyOf(address) }],
  );
  // Both flags together allow both; alone they mean IPv6, as with the originals.
  if (flags.length === 1) claims.unshift({ word: `v${flags[0]}`, family: flags[0]! });
  const [first] = claims;
  if (first === undefined) return flags.length === 2 && hosts.length === 0 ? 6 : undefined;
  const other = claims.find(({ family }) => family !== first.family);
  if (other === undefined) return first.family;
  const message = `${quote(first.word)} is IPv${first.family}, ${quote(other.word)} is IPv${other.family}, and a network is either. Leave one of them out`;
  throw wrongLocator(locator.text, message, other.word);
}

/** The address that a word is, or `undefined` for a name. */
function addressOf(locator: Locator, word: string, problem: string): Uint8Array | undefined {
  refuseZone(locator, word);
  try {
    return literalAddress(word);
  } catch (error) {
    if (error instanceof VdensError) throw wrongLocator(locator.text, `${quote(word)} ${problem}`, word);
    throw error;
  }
}

function refuseZone(locator: Locator, word: string): void {
  const [, address, zone] = /^\[?([\da-f:.]*:[\da-f:.]*)%([^\]]+)/i.exec(word) ?? [];
  if (address === undefined) return;
  throw wrongOption(locator, word, `the zone of ${address} is an option, for all addresses`, `if=${zone}`);
}

/** An address that every link has says nothing without the link. */
function refuseLinkLocal(locator: Locator, hosts: readonly Host[]): void {
  const host = hosts.find(({ address }) => address !== undefined && isOfOneLink(address));
  if (host === undefined) return;
  throw wrongOption(locator, host.word, `${quote(host.word)} is on every link. Say on which`, 'if=eth0');
}
