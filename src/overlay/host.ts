/**
 * Hosts as people write them: an address without brackets, or a name for the resolver.
 */
import { networkInterfaces } from 'node:os';
import { quote, VdensError } from '../errors.ts';
import { formatIp, IPV4_LENGTH, IPV6_LENGTH, isLinkLocalIp, isMulticastIp, parseIp } from '../net/ip.ts';
import { parsePrefix } from '../net/prefix.ts';

/** The longest name that the DNS has room for (RFC 1035, section 2.3.4), in characters. */
const LONGEST_NAME = 253;
/** Of subnets in which an address stands for all hosts, in bits. */
const LONGEST_SUBNET_PREFIX = 30;

/**
 * The bytes of an address, 4 or 16, or `undefined` for what is a name.
 *
 * Whatever ends in a number is meant as an IPv4 address: the resolver would take `10.1` for 10.0.0.1.
 *
 * @throws VdensError `ERR_ADDRESS` when the text can be neither
 */
export function literalAddress(host: string): Uint8Array | undefined {
  if (host.includes(':')) return parsePlainIpv6(host);
  const lastLabel = host.slice(host.lastIndexOf('.') + 1);
  if (/^(\d+|0x[\da-f]*)$/i.test(lastLabel)) return parseIp(host);
  if (host.length <= LONGEST_NAME && /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.-]*$/u.test(host)) return undefined;
  const message = `${quote(host)} is neither an address nor the name of a host. Write, for example, 192.0.2.7`;
  throw new VdensError('ERR_ADDRESS', message, { value: host });
}

/** Stands for every address of this host where a socket is bound (INADDR_ANY, IN6ADDR_ANY). */
export const ANY_ADDRESS: Readonly<Record<4 | 6, Uint8Array>> = {
  4: new Uint8Array(IPV4_LENGTH),
  6: new Uint8Array(IPV6_LENGTH),
};

/** Whether an address is one of IPv4 or of IPv6. */
export function familyOf(address: Uint8Array): 4 | 6 {
  return address.length === IPV4_LENGTH ? 4 : 6;
}

/** Whether it is an IPv6 address that each link has: fe80::/10, a group of an interface or of a link (RFC 4291, 2.5.6, 2.7). */
export function isOfOneLink(address: Uint8Array): boolean {
  if (familyOf(address) === 4) return false;
  return isMulticastIp(address) ? [1, 2].includes(address[1]! & 0x0f) : isLinkLocalIp(address);
}

/** The addresses that stand for all hosts of a subnet that we are on, each with its subnet (RFC 919, section 7). */
export function broadcastAddresses(): Map<string, string> {
  const found = new Map<string, string>();
  for (const { family, cidr } of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) {
    if (family !== 'IPv4' || cidr === null) continue;
    const { address, prefixLength } = parsePrefix(cidr);
    // Between two ends of a line there is none (RFC 3021).
    if (prefixLength > LONGEST_SUBNET_PREFIX) continue;
    const number = new DataView(address.buffer, address.byteOffset).getUint32(0);
    const hostBits = 0xffffffff >>> prefixLength;
    found.set(ipv4Text(number | hostBits), `${ipv4Text(number & ~hostBits)}/${prefixLength}`);
  }
  return found;
}

function ipv4Text(number: number): string {
  const bytes = new Uint8Array(IPV4_LENGTH);
  new DataView(bytes.buffer).setUint32(0, number >>> 0);
  return formatIp(bytes);
}

/** No socket for IPv6 of ours carries IPv4. */
function parsePlainIpv6(host: string): Uint8Array {
  const bytes = parseIp(host);
  const [, ipv4] = /^::ffff:([\d.]+)$/.exec(formatIp(bytes)) ?? [];
  if (ipv4 === undefined) return bytes;
  const message = `${quote(host)} is an IPv4 address within an IPv6 one. Write ${ipv4}`;
  throw new VdensError('ERR_ADDRESS', message, { value: host });
}
