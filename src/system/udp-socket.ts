/**
 * UDP sockets of an underlay: their addresses, groups and options, and what the routing table says of a destination.
 *
 * Packets are not sent or received here: that is for whoever is given the descriptor. What is for IPv4 and what for
 * IPv6 is in ip(7) and ipv6(7); the numbers are those of linux/in.h, linux/in6.h, linux/udp.h and asm-generic/socket.h.
 */
import { endianness } from 'node:os';
import { VdensError } from '../errors.ts';
import { formatIp, IPV4_LENGTH, isMulticastIp } from '../net/ip.ts';
import {
  AF_INET,
  AF_INET6,
  emitSocketAddress,
  formatSocketAddress,
  parseSocketAddress,
  SOCKET_ADDRESS_BYTES,
  type SocketAddress,
} from '../net/socket-address.ts';
import { bindHint } from './bind-hint.ts';
import { errnoName, native } from './native.ts';

const SOCK_DGRAM = 2;

/** Levels of options. */
const SOL_SOCKET = 1;
const IPPROTO_IP = 0;
const IPPROTO_UDP = 17;
const IPPROTO_IPV6 = 41;

const SO_REUSEADDR = 2;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const IPV6_V6ONLY = 26;
const UDP_NO_CHECK6_RX = 102;
const UDP_GRO = 104;

/** An option that each family has under a level and number of its own. */
interface FamilyOption {
  readonly label: string;
  readonly v4: number;
  readonly v6: number;
}

const UNICAST_TTL: FamilyOption = { label: 'time to live', v4: 2, v6: 16 };
const MULTICAST_TTL: FamilyOption = { label: 'time to live for groups', v4: 33, v6: 18 };
const MULTICAST_LOOP: FamilyOption = { label: 'loop of multicast', v4: 34, v6: 19 };
const MULTICAST_ALL: FamilyOption = { label: "groups of others' sockets", v4: 49, v6: 29 };
const MULTICAST_INTERFACE: FamilyOption = { label: 'interface for groups', v4: 32, v6: 17 };
const UNICAST_INTERFACE: FamilyOption = { label: 'outgoing interface', v4: 50, v6: 76 };
const ADD_MEMBERSHIP: FamilyOption = { label: 'group', v4: 35, v6: 20 };
const DROP_MEMBERSHIP: FamilyOption = { label: 'group', v4: 36, v6: 21 };
const MTU: FamilyOption = { label: 'MTU of the path', v4: 14, v6: 24 };

const littleEndian = endianness() === 'LE';

/** One non-blocking UDP socket, closed when a program is executed. Not bound yet. */
export class UdpSocket {
  /** What errors begin with: the network it is for. */
  readonly label: string;
  readonly family: 4 | 6;
  readonly fd: number;
  #closed = false;

  private constructor(label: string, family: 4 | 6, fd: number) {
    this.label = label;
    this.family = family;
    this.fd = fd;
  }

  /**
   * A socket of one family; one of IPv6 leaves IPv4 to others (RFC 3493, 5.3).
   *
   * @throws VdensError `ERR_NETWORK_OPEN`, as all that follows does
   */
  static open(label: string, family: 4 | 6): UdpSocket {
    const fd = native.openSocket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0) {
      const hint = errnoName(fd) === 'EAFNOSUPPORT' ? `. This kernel has no IPv${family}` : '';
      throw failed(label, `cannot make a UDP socket`, 'socket', fd, hint);
    }
    const socket = new UdpSocket(label, family, fd);
    try {
      if (family === 6) socket.#set(IPPROTO_IPV6, IPV6_V6ONLY, word(1), 'restriction to IPv6');
    } catch (error) {
      socket.close();
      throw error;
    }
    return socket;
  }

  /** Several sockets may bind to the same group and port then, and all of them get what arrives for it. */
  reuseAddress(): void {
    this.#set(SOL_SOCKET, SO_REUSEADDR, word(1), 'sharing of the port');
  }

  /** Binds it; port 0 is the kernel's choice, which {@link localAddress} tells. */
  bind(address: SocketAddress): void {
    const result = native.bindSocket(this.fd, emitSocketAddress(address));
    if (result >= 0) return;
    const text = formatSocketAddress(address);
    throw failed(this.label, `cannot bind a UDP socket to ${text}`, 'bind', result, bindHint(result, address), text);
  }

  /** Where it is bound, or sends from once it is connected. */
  localAddress(): SocketAddress {
    const bytes = new Uint8Array(SOCKET_ADDRESS_BYTES);
    const length = native.socketName(this.fd, bytes);
    const address = length < 0 ? undefined : parseSocketAddress(bytes.subarray(0, length));
    if (address === undefined)
      throw failed(this.label, 'cannot tell the address of a UDP socket', 'getsockname', length);
    return address;
  }

  /** Takes packets from this one only, and asks the routing table about it. Nothing is sent. */
  connect(destination: SocketAddress): void {
    const result = native.connectSocket(this.fd, emitSocketAddress(destination));
    if (result >= 0) return;
    const text = formatSocketAddress(destination);
    throw failed(this.label, `there is no way to ${text}`, 'connect', result, routeHint(result, destination), text);
  }

  /**
   * Becomes a member of a group on one interface.
   *
   * A socket may be a member on several interfaces. The membership outlives the interface's addresses and its being
   * down, not the interface: {@link leaveGroup} forgets it then, too.
   *
   * @param interfaceIndex 0: where the routing table leads. Take the index of `findRoute` rather: for IPv6 the kernel
   *   takes 0 for "wherever I am a member", and joins no second interface
   * @returns `already` when it is a member there
   */
  joinGroup(group: Uint8Array, interfaceIndex: number): 'joined' | 'already' {
    const result = this.#trySet(ADD_MEMBERSHIP, membership(group, interfaceIndex));
    if (result >= 0) return 'joined';
    if (errnoName(result) === 'EADDRINUSE') return 'already';
    const text = formatIp(group);
    const hint = joinHint(result, group, interfaceIndex);
    throw failed(this.label, `cannot join the group ${text}`, 'setsockopt', result, hint, text);
  }

  /**
   * Is no member any more.
   *
   * @returns whether it was one
   */
  leaveGroup(group: Uint8Array, interfaceIndex: number): boolean {
    const result = this.#trySet(DROP_MEMBERSHIP, membership(group, interfaceIndex));
    if (result >= 0) return true;
    // Of the interface, or of the membership; that of IPv4 with index 0 and no route is ENODEV.
    const errno = errnoName(result);
    if (errno === 'EADDRNOTAVAIL' || errno === 'ENODEV') return false;
    const text = formatIp(group);
    throw failed(this.label, `cannot leave the group ${text}`, 'setsockopt', result, '', text);
  }

  /** @param ttl 1 to 255; of IPv6 also 0, which stays on this host */
  setUnicastTtl(ttl: number): void {
    this.#setForFamily(UNICAST_TTL, word(ttl), String(ttl));
  }

  /** @param ttl 0 (stays on this host) to 255; 1, the system's default, is this link */
  setMulticastTtl(ttl: number): void {
    this.#setForFamily(MULTICAST_TTL, word(ttl), String(ttl));
  }

  /** Whether members on this host get what this socket sends to a group. At first they do. */
  setMulticastLoop(loop: boolean): void {
    this.#setForFamily(MULTICAST_LOOP, word(loop ? 1 : 0));
  }

  /** Sends to groups out of this interface; 0: the routing table's choice again. */
  setMulticastInterface(interfaceIndex: number): void {
    // struct ip_mreqn: group, local address, index.
    const value = this.family === 4 ? membership(new Uint8Array(IPV4_LENGTH), interfaceIndex) : word(interfaceIndex);
    this.#setForFamily(MULTICAST_INTERFACE, value, String(interfaceIndex));
  }

  /** Looks up routes as if there were no other interface than this; 0: all of them again. */
  setUnicastInterface(interfaceIndex: number): void {
    const value = new Uint8Array(4);
    // In network order, unlike all other indexes (ip(7), IP_UNICAST_IF).
    new DataView(value.buffer).setUint32(0, interfaceIndex);
    this.#setForFamily(UNICAST_INTERFACE, value, String(interfaceIndex));
  }

  /**
   * Whether a socket that is bound to no group gets what arrives for groups that other sockets are members of, as the
   * kernel has it at first.
   *
   * @returns false where it cannot be said: IPv6 before kernel 4.20
   */
  setMulticastAll(all: boolean): boolean {
    const result = this.#trySet(MULTICAST_ALL, word(all ? 1 : 0));
    if (result >= 0) return true;
    if (errnoName(result) === 'ENOPROTOOPT') return false;
    throw this.#optionFailed(MULTICAST_ALL.label, result);
  }

  /**
   * Makes room for packets that arrive: as much as the system lets us (`net.core.rmem_max`) of what is asked for.
   *
   * @param isForced beyond that bound, where we may (CAP_NET_ADMIN)
   * @returns bytes as the kernel counts them, which is twice what was granted
   */
  setReceiveBuffer(bytes: number, isForced: boolean = true): number {
    return this.#setBuffer(bytes, isForced ? SO_RCVBUFFORCE : SO_RCVBUF, SO_RCVBUF);
  }

  /** The same for packets that leave (`net.core.wmem_max`). */
  setSendBuffer(bytes: number, isForced: boolean = true): number {
    return this.#setBuffer(bytes, isForced ? SO_SNDBUFFORCE : SO_SNDBUF, SO_SNDBUF);
  }

  /**
   * Lets the kernel hand over packets of one sender that arrive together as one, with their size in a control message.
   *
   * @returns false where the kernel does not know it: before 5.0
   */
  enableReceiveOffload(): boolean {
    return native.setSocketOption(this.fd, IPPROTO_UDP, UDP_GRO, word(1)) >= 0;
  }

  /** Takes packets over IPv6 that have no UDP checksum, as tunnels may send them (RFC 6935); over IPv4 it always does. */
  acceptWithoutChecksum(): void {
    if (this.family === 6) this.#set(IPPROTO_UDP, UDP_NO_CHECK6_RX, word(1), 'taking of packets without a checksum');
  }

  /** The largest IP packet that goes to where it is connected without being cut, in bytes. */
  pathMtu(): number {
    const value = word(0);
    const result = native.getSocketOption(this.fd, this.#level, this.#number(MTU), value);
    if (result < 0) throw failed(this.label, `cannot tell the ${MTU.label}`, 'getsockopt', result);
    return numberIn(value);
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.closeDescriptor(this.fd);
  }

  get #level(): number {
    return this.family === 4 ? IPPROTO_IP : IPPROTO_IPV6;
  }

  #number(option: FamilyOption): number {
    return this.family === 4 ? option.v4 : option.v6;
  }

  #trySet(option: FamilyOption, value: Uint8Array): number {
    return native.setSocketOption(this.fd, this.#level, this.#number(option), value);
  }

  #setForFamily(option: FamilyOption, value: Uint8Array, text?: string): void {
    const result = this.#trySet(option, value);
    if (result < 0) throw this.#optionFailed(option.label, result, text);
  }

  #set(level: number, name: number, value: Uint8Array, what: string): void {
    const result = native.setSocketOption(this.fd, level, name, value);
    if (result < 0) throw this.#optionFailed(what, result);
  }

  #optionFailed(what: string, result: number, text?: string): VdensError {
    const failure = `cannot set the ${what} of a UDP socket${text === undefined ? '' : ` to ${text}`}`;
    const errno = errnoName(result);
    const hint = errno === 'ENODEV' || errno === 'EADDRNOTAVAIL' ? ': there is no such interface any more' : '';
    return failed(this.label, failure, 'setsockopt', result, hint, text);
  }

  #setBuffer(bytes: number, forced: number, plain: number): number {
    // The kernel doubles it, in an int.
    const value = word(Math.min(bytes, 0x3fffffff));
    if (native.setSocketOption(this.fd, SOL_SOCKET, forced, value) < 0) {
      this.#set(SOL_SOCKET, plain, value, 'buffer');
    }
    native.getSocketOption(this.fd, SOL_SOCKET, plain, value);
    return numberIn(value);
  }
}

/** The way of packets to a destination, as the routing table has it now. */
export interface PacketPath {
  /** The largest IP packet that gets there without being cut, in bytes. */
  readonly mtu: number;
  /** Our address that they are sent from. */
  readonly source: Uint8Array;
}

/**
 * Asks the kernel, with a socket that is connected for that, about the way to a destination, a host or a group.
 *
 * @param interfaceIndex the interface to go out of. Absent: the routing table's choice
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no way
 */
export function probePath(label: string, destination: SocketAddress, interfaceIndex: number = 0): PacketPath {
  const { address } = destination;
  const socket = UdpSocket.open(label, address.length === IPV4_LENGTH ? 4 : 6);
  try {
    if (interfaceIndex !== 0) {
      if (isMulticastIp(address)) socket.setMulticastInterface(interfaceIndex);
      else socket.setUnicastInterface(interfaceIndex);
    }
    // To port 0 nothing is connected; a link-local address needs a scope, others ignore it.
    socket.connect({ address, port: destination.port || 1, scope: destination.scope || interfaceIndex });
    return { mtu: socket.pathMtu(), source: socket.localAddress().address };
  } finally {
    socket.close();
  }
}

/** struct ip_mreqn (group, local address, index) or struct ipv6_mreq (group, index). */
function membership(group: Uint8Array, interfaceIndex: number): Uint8Array {
  const bytes = new Uint8Array(group.length === IPV4_LENGTH ? 12 : 20);
  bytes.set(group);
  new DataView(bytes.buffer).setUint32(bytes.length - 4, interfaceIndex, littleEndian);
  return bytes;
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, littleEndian);
  return bytes;
}

function numberIn(bytes: Uint8Array): number {
  return new DataView(bytes.buffer).getInt32(0, littleEndian);
}

function routeHint(result: number, { address }: SocketAddress): string {
  const errno = errnoName(result);
  // Only these fail so: fe80::/10, and groups such as ff02::1.
  if (errno === 'EINVAL') return ': a link-local address needs its interface';
  if (errno !== 'ENETUNREACH' && errno !== 'EHOSTUNREACH') return '';
  return `: no route leads there. See: ip route get ${formatIp(address)}`;
}

function joinHint(result: number, group: Uint8Array, interfaceIndex: number): string {
  switch (errnoName(result)) {
    case 'ENODEV':
      return interfaceIndex === 0
        ? `: no route leads to it. Name the interface (if=eth0), or add a route: ip route add ${formatIp(group)} dev eth0`
        : ': there is no such interface any more';
    case 'EINVAL':
      return isMulticastIp(group) ? '' : ': that is no address of a group';
    case 'ENOBUFS':
      return ': too many groups for one socket. Root allows more: sysctl net.ipv4.igmp_max_memberships';
    default:
      return '';
  }
}

function failed(
  label: string,
  failure: string,
  syscall: string,
  result: number,
  hint = '',
  value?: string,
): VdensError {
  const errno = errnoName(result);
  const message = `${label}: ${failure} (${errno})${hint}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { errno, syscall, ...(value === undefined ? {} : { value }) });
}
