/**
 * The network that an address with a prefix length is in: its first and last address, and others of its addresses.
 */
import { IPV4_LENGTH } from './ip.ts';
import type { IpPrefix } from './prefix.ts';

/** The address of the network itself: no host has it (RFC 1122, 3.2.1.3; RFC 4291, 2.6.1: the routers' own). */
export function firstAddress(network: IpPrefix): Uint8Array {
  return combine(network, new Uint8Array(network.address.length));
}

/** The last address, which of IPv4 stands for all hosts (RFC 919). */
export function lastAddress(network: IpPrefix): Uint8Array {
  return combine(network, new Uint8Array(network.address.length).fill(0xff));
}

/** The network's address with the host bits of another one. */
export function combine({ address, prefixLength }: IpPrefix, host: Uint8Array): Uint8Array {
  return address.map((byte, i) => {
    const mask = (0xff00 >> Math.min(8, Math.max(0, prefixLength - i * 8))) & 0xff;
    return (byte & mask) | (host[i]! & ~mask);
  });
}

/** Whether it stands for the whole network, not for one host of it. */
export function isWholeNetwork(network: IpPrefix, address: Uint8Array): boolean {
  if (sameBytes(address, firstAddress(network))) return true;
  return address.length === IPV4_LENGTH && sameBytes(address, lastAddress(network));
}

/** Whether two addresses are the same one. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
