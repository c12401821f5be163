/**
 * Addresses of UDP sockets as the kernel has them (ip(7), ipv6(7)), and as people write them.
 *
 *     sockaddr_in   family:16 port:16 address:4 bytes, zeros: 8 bytes
 *     sockaddr_in6  family:16 port:16 flow:32 address:16 bytes, scope:32
 *
 * Family and scope are in the byte order of this machine, port and address in network order.
 */
import { endianness } from 'node:os';
import { formatIp, IPV4_LENGTH, IPV6_LENGTH } from './ip.ts';

/** The kernel's numbers of the families (linux/socket.h). */
export const AF_INET = 2;
export const AF_INET6 = 10;

const IPV4_ADDRESS_BYTES = 16;
/** The size of a `struct sockaddr_in6`, the larger one. */
export const SOCKET_ADDRESS_BYTES = 28;

const littleEndian = endianness() === 'LE';

/** Where a UDP socket is. */
export interface SocketAddress {
  /** 4 or 16 bytes, network order. */
  readonly address: Uint8Array;
  readonly port: number;
  /** Index of the interface whose link a link-local IPv6 address is on. Absent or 0: none. */
  readonly scope?: number;
}

/** The bytes of a `struct sockaddr_in` or `sockaddr_in6`. */
export function emitSocketAddress({ address, port, scope = 0 }: SocketAddress): Uint8Array {
  const isIpv4 = address.length === IPV4_LENGTH;
  const bytes = new Uint8Array(isIpv4 ? IPV4_ADDRESS_BYTES : SOCKET_ADDRESS_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, littleEndian);
  view.setUint16(2, port);
  bytes.set(address, isIpv4 ? 4 : 8);
  if (!isIpv4) view.setUint32(24, scope, littleEndian);
  return bytes;
}

/** The address that the bytes of a `struct sockaddr` say; undefined when it is of another family, or cut. */
export function parseSocketAddress(bytes: Uint8Array): SocketAddress | undefined {
  if (bytes.length < 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(0, littleEndian);
  const port = view.getUint16(2);
  if (family === AF_INET && bytes.length >= IPV4_ADDRESS_BYTES)
    return { address: bytes.slice(4, 4 + IPV4_LENGTH), port };
  if (family !== AF_INET6 || bytes.length < SOCKET_ADDRESS_BYTES) return undefined;
  const scope = view.getUint32(24, littleEndian);
  const address = bytes.slice(8, 8 + IPV6_LENGTH);
  return scope === 0 ? { address, port } : { address, port, scope };
}

/**
 * Writes `10.0.0.1:4789`, `[fd00::1]:4789`, `[fe80::1%2]:4789`.
 *
 * @param zone the name of the interface, in place of its index
 */
export function formatSocketAddress({ address, port, scope = 0 }: SocketAddress, zone: string = String(scope)): string {
  if (address.length === IPV4_LENGTH) return `${formatIp(address)}:${port}`;
  return `[${formatIp(address)}${scope === 0 ? '' : `%${zone}`}]:${port}`;
}

/** Orders by family, address, port and scope: below 0 when `a` comes first, 0 when they are the same. */
export function compareSocketAddresses(a: SocketAddress, b: SocketAddress): number {
  return (
    a.address.length - b.address.length ||
    Buffer.compare(a.address, b.address) ||
    a.port - b.port ||
    (a.scope ?? 0) - (b.scope ?? 0)
  );
}
