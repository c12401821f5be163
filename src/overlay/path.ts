/**
 * The way of packets over the underlay: which interface leads to a group, and how large a packet may be.
 */
import { VdensError } from '../errors.ts';
import { formatIp } from '../net/ip.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { findLink, findRoute } from '../system/route-query.ts';
import { probePath } from '../system/udp-socket.ts';
import { longestFrameBytes } from './tunnel-plug.ts';

/** Bytes that the headers of IP (without options) and UDP take of a packet. */
const IP_AND_UDP_BYTES = { 4: 20 + 8, 6: 40 + 8 } as const;
const ETHERNET_BYTES = 14;
/** The least that every IPv4 host takes (RFC 791, 3.1). */
const SMALLEST_MTU = 68;

/** What there is to reach. */
export interface Destinations {
  readonly group: SocketAddress | undefined;
  readonly peers: readonly SocketAddress[];
  /** The interface that was named, by its index. */
  readonly interfaceIndex: number | undefined;
}

/** The interface of that name. */
export async function indexOf(label: string, interfaceName: string): Promise<number> {
  const link = await findLink(interfaceName);
  if (link !== undefined) return link.index;
  const message = `${label}: there is no interface "${interfaceName}". See: ip link`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: interfaceName, errno: 'ENODEV' });
}

/**
 * The interface that leads to a group.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when none does
 */
export async function interfaceTo(label: string, group: Uint8Array, interfaceIndex?: number): Promise<number> {
  const route = await findRoute(group, interfaceIndex === undefined ? {} : { interfaceIndex });
  // An interface may be named that has no route for groups: of IPv6, only when it is down.
  if (route !== undefined) return interfaceIndex ?? route.interfaceIndex;
  if (interfaceIndex !== undefined && (await findLink(interfaceIndex))?.isUp === true) return interfaceIndex;
  const text = formatIp(group);
  const remedy = `name the interface with if=, or give it one: ip route add ${text} dev eth0`;
  const message = `${label}: no route leads to the group ${text}. If this host is on a network, ${remedy}`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: text, errno: 'ENETUNREACH' });
}

/** The ways to all destinations together. */
export interface Paths {
  /** The largest packet that reaches all of them in one piece, in bytes. */
  readonly mtu: number;
  /** Our addresses that packets are sent from. */
  readonly sources: ReadonlySet<string>;
}

/**
 * Asks the kernel for the ways; destinations that cannot be reached do not count.
 *
 * @returns undefined when none can be reached
 * @throws VdensError `ERR_NETWORK_OPEN` when the kernel cannot be asked (`syscall` is `socket`)
 */
export function findPaths(label: string, { group, peers, interfaceIndex }: Destinations): Paths | undefined {
  let mtu = Number.POSITIVE_INFINITY;
  const sources = new Set<string>();
  for (const destination of group === undefined ? peers : [group, ...peers]) {
    try {
      const path = probePath(label, destination, interfaceIndex);
      mtu = Math.min(mtu, path.mtu);
      sources.add(formatIp(path.source));
    } catch (error) {
      // Without a socket to ask with, nothing is known.
      if (!(error instanceof VdensError) || error.syscall === 'socket') throw error;
    }
  }
  return sources.size === 0 ? undefined : { mtu, sources };
}

/** The largest IP packet that travels whole within a packet of the underlay, behind a header of so many bytes. */
export function innerMtu(pathMtu: number, family: 4 | 6, headerBytes: number): number {
  const inner = pathMtu - IP_AND_UDP_BYTES[family] - headerBytes - ETHERNET_BYTES;
  return Math.max(SMALLEST_MTU, Math.min(longestFrameBytes(headerBytes) - ETHERNET_BYTES, inner));
}

/** The longest frame of such a packet, in bytes. */
export function fittingFrameBytes(pathMtu: number, family: 4 | 6, headerBytes: number): number {
  return pathMtu - IP_AND_UDP_BYTES[family] - headerBytes;
}
