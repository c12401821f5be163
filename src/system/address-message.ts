/**
 * An address of an interface in rtnetlink messages (rtnetlink(7), RTM_NEWADDR; constants of linux/if_addr.h).
 *
 *     ifaddrmsg: family:8 prefixlen:8 flags:8 scope:8 index:32, then IFA_* attributes
 */
import { IPV4_LENGTH, IPV6_LENGTH } from '../net/ip.ts';
import type { IpPrefix } from '../net/prefix.ts';
import { emitPayload, littleEndian, type NetlinkMessage, parseAttributes, viewOf } from './netlink-message.ts';

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;

const AF_INET = 2;
const AF_INET6 = 10;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_F_NODAD = 0x02;
/** Not usable: others are still asked whether they have it, or one said so (RFC 4862, 5.4). */
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
const RT_SCOPE_HOST = 254;
const ADDRESS_BYTES = 8;

/** Bytes of an address by the kernel's number of its family (linux/socket.h). */
const addressLengths = new Map([
  [AF_INET, IPV4_LENGTH],
  [AF_INET6, IPV6_LENGTH],
]);

/** The kernel's number for the family of an IP address of 4 or 16 bytes. */
export function addressFamily(address: Uint8Array): number {
  return address.length === IPV4_LENGTH ? AF_INET : AF_INET6;
}

/** The payload that asks for all addresses of all interfaces. */
export function emitAddressQuery(): Uint8Array {
  return new Uint8Array(ADDRESS_BYTES);
}

/**
 * The payload that describes an address of the interface with that index.
 *
 * An IPv4 address gets no broadcast address, as with `ip address add`. An IPv6 address is usable at once:
 * duplicate address detection (RFC 4862, 5.4) would hold it back for a second or more.
 */
export function emitAddress(interfaceIndex: number, { address, prefixLength }: IpPrefix): Uint8Array {
  const isIpv4 = address.length === IPV4_LENGTH;
  const fixed = new Uint8Array(ADDRESS_BYTES);
  fixed[0] = addressFamily(address);
  fixed[1] = prefixLength;
  fixed[2] = isIpv4 ? 0 : IFA_F_NODAD;
  // The kernel works the scope out by itself for IPv6 only.
  fixed[3] = isIpv4 && address[0] === 127 ? RT_SCOPE_HOST : 0;
  viewOf(fixed).setUint32(4, interfaceIndex, littleEndian);
  return emitPayload(fixed, [
    { type: IFA_LOCAL, value: address },
    { type: IFA_ADDRESS, value: address },
  ]);
}

/** An address, and the index of the interface that has it. */
export interface AssignedAddress {
  readonly interfaceIndex: number;
  readonly prefix: IpPrefix;
  /** Whether packets can be sent from it: of IPv6, nobody else is known or asked to have it. */
  readonly isUsable: boolean;
}

/** The address that a message describes; undefined when it describes none. */
export function parseAddress({ type, payload }: NetlinkMessage): AssignedAddress | undefined {
  if (type !== RTM_NEWADDR || payload.length < ADDRESS_BYTES) return undefined;
  const attributes = parseAttributes(payload, ADDRESS_BYTES);
  // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where there is one, is ours.
  const address = attributes?.get(IFA_LOCAL) ?? attributes?.get(IFA_ADDRESS);
  if (address === undefined || address.length !== addressLengths.get(payload[0]!)) return undefined;
  return {
    interfaceIndex: viewOf(payload).getUint32(4, littleEndian),
    prefix: { address: address.slice(), prefixLength: payload[1]! },
    isUsable: (payload[2]! & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) === 0,
  };
}
