/**
 * Networks of VXLAN packets (RFC 7348): `vxlan://`, as the Linux kernel's device speaks it, and `vxvde://`, VDE's
 * distributed switch, whose stations are told apart by their ports, so that many fit on one host.
 */
import { VdensError } from '../errors.ts';
import { formatIp, isLoopbackIp, isMulticastIp, parseIp } from '../net/ip.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { familyOfNames, findHost } from './find-host.ts';
import { ANY_ADDRESS, familyOf, literalAddress } from './host.ts';
import { onLink } from './link-scope.ts';
import { OverlayNetwork } from './overlay-network.ts';
import type { VxlanOptions } from './overlay-options.ts';
import { readPeerText } from './peer-file.ts';
import { parsePeerList } from './peer-name.ts';
import { shareUnderlay } from './shared-underlay.ts';
import type { TunnelPlug } from './tunnel-plug.ts';
import { Underlay, type UnderlayOptions } from './underlay.ts';

/** The groups where the originals meet. */
const DEFAULT_GROUPS = { 4: '239.0.0.1', 6: 'ff05:56de::1' } as const;
const FLAG_VNI = 0x08;
/** Of a group's address, in the place of which a number can be put. */
const GROUP_NUMBER_BYTES = 3;

/** What the two kinds have in common, found out. */
interface Plan {
  readonly label: string;
  readonly options: VxlanOptions;
  readonly family: 4 | 6;
  readonly group: SocketAddress | undefined;
  /** At port 0. */
  readonly local: SocketAddress;
}

/**
 * Opens a `vxvde://`.
 *
 * One socket sends everything, from a port of its own, which is what others know us by; with peers and without a group
 * it is the network's port, so that those who have us in their list find us.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when a name is not known, a port taken, or there is no way to the group
 */
export async function openVxvde(label: string, options: VxlanOptions, signal?: AbortSignal): Promise<TunnelPlug> {
  const plan = await makePlan(label, options, signal);
  signal?.throwIfAborted();
  const { group, local } = plan;
  const hasPeers = options.peers.length > 0 || options.peerFile !== undefined;
  const ttl = options.ttl ?? (hasPeers ? undefined : 1);
  const isBound = options.bind !== undefined;
  const underlay = openOrExplain(label, options, () => {
    return new Underlay({
      ...common(plan),
      local: { ...local, port: hasPeers ? options.port : 0 },
      // Of two sockets with one port and no address, either would get what is for the other.
      ...(group === undefined || (hasPeers && !isBound) ? {} : { group }),
      ...(ttl === undefined || plan.family === 6 ? {} : { unicastTtl: Math.max(ttl, 1) }),
      hasLoop: true,
    });
  });
  const tunnel = { header: headerOf(options.vni), isStrict: true };
  return open(plan, underlay, tunnel, () => underlay.close(), signal);
}

/**
 * Opens a `vxlan://`.
 *
 * Everybody listens at one port, which therefore is taken once on a host, unless each has an address (`bind=`). Several
 * networks of one process share its socket.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` as {@link openVxvde}
 */
export async function openVxlan(label: string, options: VxlanOptions, signal?: AbortSignal): Promise<TunnelPlug> {
  const plan = await makePlan(label, options, signal);
  signal?.throwIfAborted();
  const { group, local } = plan;
  const isBound = options.bind !== undefined;
  const request: UnderlayOptions = {
    ...common(plan),
    local: { ...local, port: options.port },
    ...(isBound && group !== undefined ? { group } : {}),
    ...(group === undefined && options.ttl !== undefined ? { unicastTtl: Math.max(options.ttl, 1) } : {}),
    // Those on this host have other addresses.
    hasLoop: isBound,
  };
  const { underlay, release } = openOrExplain(label, options, () => shareUnderlay(request, options.interfaceName));
  const tunnel = { header: headerOf(options.vni), forcedPort: options.port };
  return open(plan, underlay, tunnel, release, signal);
}

function openOrExplain<T>(label: string, { port, bind }: VxlanOptions, openSockets: () => T): T {
  try {
    return openSockets();
  } catch (error) {
    if (!(error instanceof VdensError) || error.errno !== 'EADDRINUSE' || error.syscall !== 'bind') throw error;
    const who = 'by another network of this kind, or by a vxlan device of the kernel (ip -d link show type vxlan)';
    const share = bind === undefined ? ', or give each network of ours an address of its own with bind=' : '';
    const message = `${label}: UDP port ${port} is taken on this host, ${who}. Take another port${share}`;
    const details = { errno: 'EADDRINUSE', syscall: 'bind', value: String(port), cause: error };
    throw new VdensError('ERR_NETWORK_OPEN', message, details);
  }
}

function open(
  { label, options, family, group, local }: Plan,
  underlay: Underlay,
  tunnel: { readonly header: Uint8Array; readonly isStrict?: boolean; readonly forcedPort?: number },
  release: () => void,
  signal: AbortSignal | undefined,
): Promise<TunnelPlug> {
  const { peers, peerFile, port, tableSize, expireMs, interfaceName } = options;
  const hasPeers = peers.length > 0 || peerFile !== undefined;
  const own = { ownPort: underlay.local.port, ...(options.bind === undefined ? {} : { ownAddress: local.address }) };
  const list = { label, peers, peerFile, defaultPort: port, family, ...own, startSignal: signal };
  return OverlayNetwork.open(
    {
      label,
      family,
      underlay,
      tunnel: { ...tunnel, tableSize, expireMs },
      group,
      peers: hasPeers ? list : undefined,
      interfaceName,
      release,
    },
    signal,
  );
}

function common({ label, options }: Plan): Pick<UnderlayOptions, 'label' | 'multicastTtl' | 'receiveBufferBytes'> {
  return {
    label,
    multicastTtl: options.ttl ?? 1,
    ...(options.receiveBufferBytes === undefined ? {} : { receiveBufferBytes: options.receiveBufferBytes }),
  };
}

async function makePlan(label: string, options: VxlanOptions, signal: AbortSignal | undefined): Promise<Plan> {
  const hasGroup = options.group !== undefined || (options.peers.length === 0 && options.peerFile === undefined);
  const family = options.family ?? (await guessFamily(options, signal));
  const group = hasGroup ? await groupAddress(label, options, family, signal) : undefined;
  const local = options.bind === undefined ? ANY_ADDRESS[family] : await findHost(label, options.bind, family, signal);
  if (group !== undefined && isLoopbackIp(local)) refuseLoopback(label, options, local);
  const at = (address: Uint8Array, port: number): Promise<SocketAddress> =>
    onLink(label, { address, port }, options.interfaceName);
  return {
    label,
    options,
    family,
    local: await at(local, 0),
    group: group === undefined ? undefined : await at(group, options.port),
  };
}

/** From such an address the kernel sends to groups on the loopback interface only. */
function refuseLoopback(label: string, { bind, interfaceName }: VxlanOptions, local: Uint8Array): void {
  if (interfaceName === 'lo') return;
  const what = `${bind} is an address of this host alone, from which nobody else is reached by multicast`;
  const message = `${label}: ${what}. Bind to the one of an interface, or leave bind= out (see: ip address)`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: formatIp(local) });
}

/** Names say nothing of it until they are looked up: the first that is known decides. */
async function guessFamily(
  { group, bind, peers, peerFile, port }: VxlanOptions,
  signal: AbortSignal | undefined,
): Promise<4 | 6> {
  // When it cannot be read, that is told by who reads it for good.
  const text = peerFile === undefined ? '' : await readPeerText(peerFile).catch(() => '');
  const all = [...peers, ...parsePeerList(text, port).peers];
  const hosts = [group, bind, ...all.map(({ host }) => host)].filter((host) => host !== undefined);
  const literal = hosts.map(literalAddress).find((address) => address !== undefined);
  if (literal !== undefined) return familyOf(literal);
  return (await familyOfNames(hosts, signal)) ?? 4;
}

async function groupAddress(
  label: string,
  options: VxlanOptions,
  family: 4 | 6,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { group: word, groupNumber } = options;
  const address = word === undefined ? parseIp(DEFAULT_GROUPS[family]) : await findHost(label, word, family, signal);
  if (!isMulticastIp(address)) {
    const message = `${label}: ${word} is ${formatIp(address)}, which is not a multicast group. Write, for example, ${DEFAULT_GROUPS[family]}`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: formatIp(address) });
  }
  if (groupNumber === undefined) return address;
  const numbered = Uint8Array.from(address);
  new DataView(numbered.buffer).setUint16(numbered.length - 2, groupNumber & 0xffff);
  numbered[numbered.length - GROUP_NUMBER_BYTES] = groupNumber >> 16;
  return numbered;
}

/** RFC 7348, section 5: flags, 24 bits reserved, the network's identifier, 8 bits reserved. */
export function headerOf(vni: number): Uint8Array {
  return Uint8Array.of(FLAG_VNI, 0, 0, 0, vni >> 16, vni >> 8, vni, 0);
}
