/**
 * Questions about this process's own network namespace: its interfaces, and where packets to a destination go.
 *
 * A group is looked up like any other destination. Without an interface, IPv4 takes the longest match, which for most
 * hosts is the default route. IPv6 does not get that far: every interface that is up has a route `ff00::/8` in the
 * table `local`, which is asked first, and of these the oldest is taken. An interface that was down for a while is the
 * last again. Joining a group with index 0, and sending to it, go the same way (tried on Linux 6.18).
 */
import { VdensError } from '../errors.ts';
import { formatIp } from '../net/ip.ts';
import type { Link } from './link-message.ts';
import { native } from './native.ts';
import { errnoName, NetlinkConnection, type NetlinkTransport } from './netlink-connection.ts';
import { openNetlinkSocket } from './netlink-socket.ts';
import { descriptorTransport } from './netlink-transport.ts';
import { emitRouteQuery, parseRoute, type Route, RTM_GETROUTE } from './route-message.ts';
import { Rtnetlink } from './rtnetlink.ts';

export type { Link } from './link-message.ts';
export type { Route } from './route-message.ts';

/** There is no way: no route, one that refuses, no such interface, one that is down or has no such protocol. */
const NO_WAY: ReadonlySet<string> = new Set([
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EACCES',
  'EINVAL',
  'ENODEV',
  'ENETDOWN',
  'EOPNOTSUPP',
]);

/**
 * Where the routing table leads now.
 *
 * @param destination 4 or 16 bytes; a host's or a group's address
 * @returns undefined when it leads nowhere
 * @throws VdensError `ERR_NETLINK` when the kernel cannot be asked
 */
export async function findRoute(
  destination: Uint8Array,
  options: { readonly interfaceIndex?: number } = {},
): Promise<Route | undefined> {
  return await withNetlink(async (transport) => {
    const payload = emitRouteQuery(destination, options.interfaceIndex);
    const { verdict, messages } = await new NetlinkConnection(transport).request(RTM_GETROUTE, 0, payload);
    if (verdict.errno === 0) return messages.map(parseRoute).find((route) => route !== undefined);
    const errno = errnoName(verdict.errno);
    if (NO_WAY.has(errno)) return undefined;
    const text = formatIp(destination);
    throw new VdensError('ERR_NETLINK', `cannot look up the route to ${text} (${errno})`, { value: text, errno });
  });
}

/**
 * An interface of this network namespace, with its MTU and whether it is up, by name or by index.
 *
 * @returns undefined when there is none
 * @throws VdensError `ERR_NETLINK` when the kernel cannot be asked
 */
export async function findLink(nameOrIndex: string | number): Promise<Link | undefined> {
  const links = await withNetlink((transport) => new Rtnetlink(transport).links());
  return links.find(({ name, index }) => name === nameOrIndex || index === nameOrIndex);
}

async function withNetlink<T>(ask: (transport: NetlinkTransport) => Promise<T>): Promise<T> {
  const fd = openNetlinkSocket();
  try {
    return await ask(descriptorTransport(fd));
  } finally {
    native.closeDescriptor(fd);
  }
}
