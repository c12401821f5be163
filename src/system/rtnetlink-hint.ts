/**
 * What to do about a change that the kernel refused over rtnetlink.
 *
 * The kernel says little more than EINVAL. What it means depends on what was asked, of which interface:
 * each function here knows one request, and answers with a sentence for people, or with nothing when
 * the name of the error is all there is to say.
 */
import { formatIp, IPV4_LENGTH, isLinkLocalIp, isMulticastIp, isUnspecifiedIp, SMALLEST_IPV6_MTU } from '../net/ip.ts';
import { isMulticastMac, MAC_LENGTH } from '../net/mac.ts';
import { formatPrefix, type IpPrefix, prefixContains } from '../net/prefix.ts';
import type { Link, LinkChange } from './link-message.ts';

/** An interface and its addresses. */
export interface ConfiguredLink {
  readonly link: Link;
  readonly addresses: readonly IpPrefix[];
}

/** About a refused MAC address, MTU or up/down. */
export function hintForLinkChange(errno: string, change: LinkChange, link: Link): string | undefined {
  if (errno === 'EPERM') return 'the socket has no right (CAP_NET_ADMIN) to this network namespace';
  if (change.mtu !== undefined && errno === 'EINVAL') {
    const most = link.maxMtu === 0 ? 'on' : `to ${link.maxMtu}`;
    return `this interface takes an MTU from ${link.minMtu} ${most}`;
  }
  if (change.mac === undefined) return undefined;
  if (change.mac.length !== MAC_LENGTH)
    return `a MAC address has ${MAC_LENGTH} bytes, this one has ${change.mac.length}`;
  if (errno === 'EBUSY') return 'set the interface down first';
  if (errno === 'EOPNOTSUPP' || errno === 'ENOTSUP') return 'this kind of interface has no MAC address to set';
  if (isMulticastMac(change.mac)) {
    return "that is the address of a group. A station's first byte is even, as in 02:00:00:00:00:01";
  }
  return change.mac.every((byte) => byte === 0)
    ? 'zero is no address. Take, for example, 02:00:00:00:00:01'
    : undefined;
}

/** About a refused address. */
export function hintForAddress(errno: string, { address }: IpPrefix, link: Link): string | undefined {
  const isIpv6 = address.length !== IPV4_LENGTH;
  if (errno === 'EEXIST') return 'the interface has this address already';
  if (isMulticastIp(address)) return 'that is the address of a group; an interface needs one of its own';
  if (isUnspecifiedIp(address)) return 'that stands for no address. Give, for example, 10.0.0.1/24 or fd00::1/64';
  if (isIpv6 && link.mtu < SMALLEST_IPV6_MTU) {
    return `IPv6 needs an MTU of at least ${SMALLEST_IPV6_MTU}, and the interface has ${link.mtu}`;
  }
  if (isIpv6 && errno === 'EACCES') return `IPv6 is switched off here (sysctl net.ipv6.conf.${link.name}.disable_ipv6)`;
  if (isIpv6 && ['EOPNOTSUPP', 'ENOTSUP', 'EAFNOSUPPORT'].includes(errno)) return 'this kernel has no IPv6';
  if (isIpv6 && address.every((byte, i) => byte === (i === 15 ? 1 : 0))) return 'that address belongs to lo alone';
  return undefined;
}

/** About a refused default gateway. */
export function hintForGateway(
  errno: string,
  gateway: Uint8Array,
  links: readonly ConfiguredLink[],
): string | undefined {
  const family = gateway.length === IPV4_LENGTH ? 'IPv4' : 'IPv6';
  if (errno === 'EEXIST') return `there is a default gateway for ${family} already`;
  const candidates = links
    .filter(({ link }) => link.name !== 'lo')
    .map(({ link, addresses }) => ({ link, prefixes: addresses.filter((own) => isUsable(own, gateway)) }));
  const prefixes = candidates.flatMap((candidate) => candidate.prefixes);
  const example = prefixes.map(otherAddress).find((address) => address !== undefined);
  const advice = example === undefined ? '' : `. Take, for example, ${example}`;
  const own = prefixes.find(({ address }) => formatIp(address) === formatIp(gateway));
  if (own !== undefined) return `that is the interface's own address, the gateway is another station${advice}`;
  if (isMulticastIp(gateway) || isUnspecifiedIp(gateway)) return `that is not the address of a station${advice}`;
  if (isLinkLocalIp(gateway) && family === 'IPv6') return 'say on which interface this link-local gateway is';
  const holder = candidates.find((candidate) => candidate.prefixes.some((prefix) => prefixContains(prefix, gateway)));
  if (holder?.link.isUp === false) return `${holder.link.name} is down. Set it up first`;
  if (holder !== undefined) return errno === 'EINVAL' ? `that is not the address of a station${advice}` : undefined;
  if (prefixes.length === 0) return `no interface has an ${family} address from whose network it could be reached`;
  return `it is not in the network of any address (${prefixes.map(formatPrefix).join(', ')})${advice}`;
}

/** Of the gateway's family, and not an address that the kernel made up for the link alone. */
function isUsable({ address }: IpPrefix, gateway: Uint8Array): boolean {
  return address.length === gateway.length && (address.length === IPV4_LENGTH || !isLinkLocalIp(address));
}

/** The first station's address in the network that is not the interface's own, as text; undefined when there is none. */
function otherAddress({ address, prefixLength }: IpPrefix): string | undefined {
  const bits = address.length * 8;
  // Of two addresses (RFC 3021, RFC 6164) both are stations'; of one, there is no other.
  if (bits - prefixLength < 1) return undefined;
  const network = address.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, prefixLength - i * 8))));
  const first = bits - prefixLength === 1 ? 0 : 1;
  const candidates = [first, first + 1].map((host) => network.with(network.length - 1, network.at(-1)! | host));
  const other = candidates.find((candidate) => formatIp(candidate) !== formatIp(address));
  return other === undefined ? undefined : formatIp(other);
}
