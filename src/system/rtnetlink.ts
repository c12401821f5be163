/**
 * Interfaces, addresses and routes of a network namespace, through rtnetlink(7).
 *
 * What `ip link`, `ip address` and `ip route` do, as far as this package needs it, so that iproute2 need
 * not be installed. Every change waits for the kernel's acknowledgement; a refusal becomes a
 * {@link VdensError} `ERR_NETLINK` that says what to do about it.
 */
import { constants } from 'node:os';
import { VdensError } from '../errors.ts';
import { formatIp, isMulticastIp, isUnspecifiedIp } from '../net/ip.ts';
import { formatMac } from '../net/mac.ts';
import { formatPrefix, type IpPrefix } from '../net/prefix.ts';
import {
  type AssignedAddress,
  addressFamily,
  emitAddress,
  emitAddressQuery,
  parseAddress,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './address-message.ts';
import { emitForwardingQuery, parseForwarding, RTM_GETNETCONF } from './forwarding-message.ts';
import {
  emitLinkChange,
  emitLinkQuery,
  type Link,
  type LinkChange,
  parseLink,
  RTM_GETLINK,
  RTM_NEWLINK,
} from './link-message.ts';
import {
  emitNeighbourCheck,
  emitNeighbourQuery,
  emitNeighbourUse,
  type Neighbour,
  parseNeighbour,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from './neighbour-message.ts';
import { errnoName, NetlinkConnection, type NetlinkTransport } from './netlink-connection.ts';
import { type NetlinkVerdict, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE } from './netlink-message.ts';
import {
  emitDefaultRoute,
  emitLearntRoute,
  emitRouteQuery,
  type LearntRoute,
  parseRouteDetail,
  type RouteDetail,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
} from './route-message.ts';
import { type ConfiguredLink, hintForAddress, hintForGateway, hintForLinkChange } from './rtnetlink-hint.ts';

/** The interfaces of the network namespace that the transport's socket was opened in. */
export class Rtnetlink {
  readonly #connection: NetlinkConnection;

  constructor(transport: NetlinkTransport) {
    this.#connection = new NetlinkConnection(transport);
  }

  /** All interfaces, `lo` included, in the order of their index. */
  async links(): Promise<Link[]> {
    const { verdict, messages } = await this.#connection.request(RTM_GETLINK, NLM_F_DUMP, emitLinkQuery());
    if (verdict.errno !== 0) throw refused('cannot list the interfaces', '', verdict);
    return messages.map(parseLink).filter((link) => link !== undefined);
  }

  /** @throws VdensError `ERR_NETLINK` when there is no interface of that name */
  async link(name: string): Promise<Link> {
    const links = await this.links();
    const link = links.find((candidate) => candidate.name === name);
    if (link !== undefined) return link;
    const names = links.map((candidate) => candidate.name).join(', ');
    const message = `${name}: there is no such interface; there are ${names}`;
    throw new VdensError('ERR_NETLINK', message, { value: name, errno: 'ENODEV' });
  }

  /** Sets an interface up or down. */
  async setUp(name: string, up: boolean): Promise<void> {
    await this.#changeLink(name, { up }, `cannot set it ${up ? 'up' : 'down'}`);
  }

  /** Gives an interface a MAC address of six bytes. */
  async setMac(name: string, mac: Uint8Array): Promise<void> {
    const text = formatMac(mac);
    await this.#changeLink(name, { mac }, `cannot set the MAC address to ${text}`, text);
  }

  /** Sets the largest IP packet that an interface takes, in bytes. */
  async setMtu(name: string, mtu: number): Promise<void> {
    await this.#changeLink(name, { mtu }, `cannot set the MTU to ${mtu}`, String(mtu));
  }

  /** The addresses of an interface, IPv4 first. */
  async addresses(name: string): Promise<IpPrefix[]> {
    await this.link(name);
    return (await this.configuredLinks()).find(({ link }) => link.name === name)?.addresses.slice() ?? [];
  }

  /** Adds an address to an interface. An IPv6 address is usable at once, without duplicate address detection. */
  async addAddress(name: string, prefix: IpPrefix): Promise<void> {
    const link = await this.link(name);
    const payload = emitAddress(link.index, prefix);
    // Of IPv4 the kernel takes these, and nothing ever answers; of IPv6 it refuses them.
    const isNobodys = isMulticastIp(prefix.address) || isUnspecifiedIp(prefix.address);
    const verdict = isNobodys
      ? { errno: constants.errno.EADDRNOTAVAIL, text: undefined }
      : (await this.#connection.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, payload)).verdict;
    if (verdict.errno === 0) return;
    const text = formatPrefix(prefix);
    const hint = hintForAddress(errnoName(verdict.errno), prefix, link);
    throw refused(`${name}: cannot add the address ${text}`, text, verdict, hint);
  }

  /** Takes an address from an interface; that it has gone already is no error. */
  async removeAddress(name: string, prefix: IpPrefix): Promise<void> {
    const payload = emitAddress((await this.link(name)).index, prefix);
    const { verdict } = await this.#connection.request(RTM_DELADDR, 0, payload);
    if (verdict.errno === 0 || verdict.errno === constants.errno.EADDRNOTAVAIL) return;
    const text = formatPrefix(prefix);
    throw refused(`${name}: cannot remove the address ${text}`, text, verdict);
  }

  /** The addresses of an interface from which packets can be sent now. */
  async usableAddresses(name: string): Promise<IpPrefix[]> {
    const { index } = await this.link(name);
    const own = (await this.#assignedAddresses()).filter(({ interfaceIndex }) => interfaceIndex === index);
    return own.filter(({ isUsable }) => isUsable).map(({ prefix }) => prefix);
  }

  /** Adds a route out of an interface; that it is there already is no error. */
  async addRoute(name: string, route: LearntRoute): Promise<void> {
    const payload = emitLearntRoute(route, (await this.link(name)).index);
    const { verdict } = await this.#connection.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, payload);
    if (verdict.errno === 0 || verdict.errno === constants.errno.EEXIST) return;
    const text = formatPrefix(route.destination);
    throw refused(`${name}: cannot add the route to ${text}`, text, verdict);
  }

  /** Removes such a route; that it has gone already is no error. */
  async removeRoute(name: string, route: LearntRoute): Promise<void> {
    const payload = emitLearntRoute(route, (await this.link(name)).index);
    const { verdict } = await this.#connection.request(RTM_DELROUTE, 0, payload);
    if (verdict.errno === 0 || verdict.errno === constants.errno.ESRCH) return;
    const text = formatPrefix(route.destination);
    throw refused(`${name}: cannot remove the route to ${text}`, text, verdict);
  }

  /**
   * Routes everything of the gateway's family through it.
   *
   * @param interfaceName the interface to go out of; needed for a link-local gateway, which could be on any
   */
  async addDefaultRoute(gateway: Uint8Array, interfaceName?: string): Promise<void> {
    const index = interfaceName === undefined ? undefined : (await this.link(interfaceName)).index;
    const links = await this.configuredLinks();
    const text = formatIp(gateway);
    // As with addresses: a route through oneself is refused for IPv6 and leads nowhere for IPv4.
    const isOwn = links.some(({ addresses }) => addresses.some(({ address }) => formatIp(address) === text));
    const payload = emitDefaultRoute(gateway, index);
    const verdict = isOwn
      ? { errno: constants.errno.EINVAL, text: undefined }
      : (await this.#connection.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, payload)).verdict;
    if (verdict.errno === 0) return;
    const hint = hintForGateway(errnoName(verdict.errno), gateway, links);
    throw refused(`cannot make ${text} the default gateway`, text, verdict, hint);
  }

  /**
   * Where packets to a destination go now.
   *
   * @param interfaceIndex the interface to go out of. Absent: any
   * @returns the kernel's name for it when they go nowhere: `ENETUNREACH` (there is no route), `EHOSTUNREACH`, `EACCES`,
   * `EINVAL` (one that refuses)
   */
  async findRoute(destination: Uint8Array, interfaceIndex?: number): Promise<RouteDetail | string> {
    const payload = emitRouteQuery(destination, interfaceIndex);
    const { verdict, messages } = await this.#connection.request(RTM_GETROUTE, 0, payload);
    if (verdict.errno !== 0) return errnoName(verdict.errno);
    return messages.map(parseRouteDetail).find((route) => route !== undefined) ?? 'ENETUNREACH';
  }

  /** What the kernel knows of the neighbours at all interfaces. */
  async neighbours(): Promise<Neighbour[]> {
    const { verdict, messages } = await this.#connection.request(RTM_GETNEIGH, NLM_F_DUMP, emitNeighbourQuery());
    if (verdict.errno !== 0) throw refused('cannot list the neighbours', '', verdict);
    return messages.map(parseNeighbour).filter((found) => found !== undefined);
  }

  /**
   * Has the kernel ask whether a neighbour is there, by ARP or neighbour discovery. The answer shows in its state.
   *
   * @param known its MAC address, if there is one: it alone is asked then, and holds until it is found to be gone
   */
  async askNeighbour(interfaceIndex: number, address: Uint8Array, known?: Uint8Array): Promise<void> {
    const payload =
      known === undefined
        ? emitNeighbourUse(interfaceIndex, address)
        : emitNeighbourCheck(interfaceIndex, address, known);
    const { verdict } = await this.#connection.request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, payload);
    if (verdict.errno === 0) return;
    const text = formatIp(address);
    throw refused(`cannot have the neighbour ${text} asked for`, text, verdict);
  }

  /** Whether packets of an address's family that come from one interface leave through another; undefined: not known. */
  async isForwarding(address: Uint8Array): Promise<boolean | undefined> {
    const payload = emitForwardingQuery(addressFamily(address));
    const { verdict, messages } = await this.#connection.request(RTM_GETNETCONF, 0, payload);
    if (verdict.errno !== 0) return undefined;
    return messages.map(parseForwarding).find((found) => found !== undefined);
  }

  async #changeLink(name: string, change: LinkChange, failure: string, value: string = name): Promise<void> {
    const { verdict } = await this.#connection.request(RTM_NEWLINK, 0, emitLinkChange(name, change));
    if (verdict.errno === 0) return;
    // When there is no such interface, this says so and names those that exist.
    const link = await this.link(name);
    throw refused(`${name}: ${failure}`, value, verdict, hintForLinkChange(errnoName(verdict.errno), change, link));
  }

  /** All interfaces with their addresses, IPv4 first. */
  async configuredLinks(): Promise<ConfiguredLink[]> {
    const links = await this.links();
    const all = await this.#assignedAddresses();
    return links.map((link) => ({
      link,
      addresses: all
        .filter(({ interfaceIndex }) => interfaceIndex === link.index)
        .map(({ prefix }) => prefix)
        .sort((a, b) => a.address.length - b.address.length),
    }));
  }

  async #assignedAddresses(): Promise<AssignedAddress[]> {
    const { verdict, messages } = await this.#connection.request(RTM_GETADDR, NLM_F_DUMP, emitAddressQuery());
    if (verdict.errno !== 0) throw refused('cannot list the addresses', '', verdict);
    return messages.map(parseAddress).filter((found) => found !== undefined);
  }
}

/** The error for a refused request: what failed, the kernel's name for it, then our hint or else its own text. */
function refused(failure: string, value: string, verdict: NetlinkVerdict, hint?: string): VdensError {
  const errno = errnoName(verdict.errno);
  const advice = hint ?? verdict.text;
  const message = `${failure} (${errno})${advice === undefined ? '' : `: ${advice}`}`;
  return new VdensError('ERR_NETLINK', message, { value, errno });
}
