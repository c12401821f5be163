/**
 * The UDP sockets of tunnels, with their groups (native/io/underlay.h).
 *
 * ```
 * unicast    sends everything, receives what is for this host      bound to ANY, or an address, and a port
 * multicast  receives what is for a group                          bound to GROUP and its port, shared with others
 * ```
 */
import { VdensError } from '../errors.ts';
import { formatIp } from '../net/ip.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { errnoName, native } from '../system/native.ts';
import { UdpSocket } from '../system/udp-socket.ts';

/** Asked for where nothing is said; the system grants less (`net.core.rmem_max`). */
const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;

/** How to open the sockets. */
export interface UnderlayOptions {
  readonly label: string;
  /** What the unicast socket is bound to. */
  readonly local: SocketAddress;
  /** What a second socket for a group is bound to. Absent: the unicast socket is the member of groups. */
  readonly group?: SocketAddress;
  readonly unicastTtl?: number;
  readonly multicastTtl?: number;
  /** Whether this host hears what it sends to a group. */
  readonly hasLoop: boolean;
  readonly receiveBufferBytes?: number;
}

/** The sockets. */
export class Underlay {
  readonly id: number;
  readonly #unicast: UdpSocket;
  readonly #multicast: UdpSocket | undefined;
  /** How often each group was joined, by address and interface. */
  readonly #memberships = new Map<string, number>();
  #closed = false;

  /** @throws VdensError `ERR_NETWORK_OPEN` when a port is taken, or an address is not ours */
  constructor(options: UnderlayOptions) {
    const sockets: UdpSocket[] = [];
    try {
      sockets.push(openUnicast(options));
      if (options.group !== undefined) sockets.push(openMulticast(options, options.group));
      const [unicast, multicast] = sockets;
      const segments = process.env['VDENS_OFFLOAD'] === '0' ? 0 : 1;
      if (segments === 1) for (const socket of sockets) socket.enableReceiveOffload();
      for (const socket of sockets) socket.acceptWithoutChecksum();
      const id = native.underlayOpen(unicast!.fd, multicast?.fd ?? -1, segments);
      if (id < 0) throw new VdensError('ERR_NATIVE', `${options.label}: cannot serve its sockets (${errnoName(id)})`);
      this.id = id;
      this.#unicast = unicast!;
      this.#multicast = multicast;
    } catch (error) {
      for (const socket of sockets) socket.close();
      throw error;
    }
  }

  /** Where the unicast socket is bound. */
  get local(): SocketAddress {
    return this.#unicast.localAddress();
  }

  /** Hears a group on an interface, until {@link leave} was called as often. */
  join(group: Uint8Array, interfaceIndex: number): void {
    const key = `${formatIp(group)}%${interfaceIndex}`;
    const count = this.#memberships.get(key) ?? 0;
    this.#receiver.joinGroup(group, interfaceIndex);
    this.#memberships.set(key, count + 1);
  }

  /** Hears it again at an interface that has forgotten it, though the socket has not. */
  rejoin(group: Uint8Array, interfaceIndex: number): void {
    this.#receiver.leaveGroup(group, interfaceIndex);
    this.#receiver.joinGroup(group, interfaceIndex);
  }

  leave(group: Uint8Array, interfaceIndex: number): void {
    const key = `${formatIp(group)}%${interfaceIndex}`;
    const count = this.#memberships.get(key) ?? 0;
    if (count > 1) this.#memberships.set(key, count - 1);
    else if (this.#memberships.delete(key)) this.#receiver.leaveGroup(group, interfaceIndex);
  }

  /**
   * Sends to groups out of this interface.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when the socket is bound on the link of another one
   */
  sendGroupsBy(interfaceIndex: number): void {
    if (!this.#isBoundOnLink(interfaceIndex)) this.#unicast.setMulticastInterface(interfaceIndex);
  }

  /** Looks up routes to hosts as if there were no other interface; throws as {@link sendGroupsBy}. */
  sendBy(interfaceIndex: number): void {
    if (!this.#isBoundOnLink(interfaceIndex)) this.#unicast.setUnicastInterface(interfaceIndex);
  }

  /** Addresses and paths may be others now. */
  refresh(): void {
    if (!this.#closed) native.underlayRefresh(this.id);
  }

  /** All its tunnels have to be closed. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.underlayClose(this.id);
    this.#unicast.close();
    this.#multicast?.close();
  }

  /** With a link-local address a socket is bound to the interface, too, and takes no other one (EINVAL). */
  #isBoundOnLink(interfaceIndex: number): boolean {
    const { scope, address } = this.local;
    if (scope === undefined || scope === interfaceIndex) return scope !== undefined;
    const text = formatIp(address);
    const message = `${this.#unicast.label}: the interface that ${text} was on is gone. Start it again for the new one`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: text, errno: 'ENODEV' });
  }

  get #receiver(): UdpSocket {
    return this.#multicast ?? this.#unicast;
  }
}

function openUnicast({ label, local, ...options }: UnderlayOptions): UdpSocket {
  const socket = UdpSocket.open(label, local.address.length === 4 ? 4 : 6);
  try {
    // Else it would hear the groups of all sockets of this host.
    socket.setMulticastAll(false);
    socket.setMulticastLoop(options.hasLoop);
    if (options.unicastTtl !== undefined) socket.setUnicastTtl(options.unicastTtl);
    if (options.multicastTtl !== undefined) socket.setMulticastTtl(options.multicastTtl);
    setReceiveBuffer(socket, options.receiveBufferBytes);
    socket.bind(local);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

function openMulticast({ label, receiveBufferBytes }: UnderlayOptions, group: SocketAddress): UdpSocket {
  const socket = UdpSocket.open(label, group.address.length === 4 ? 4 : 6);
  try {
    socket.reuseAddress();
    setReceiveBuffer(socket, receiveBufferBytes);
    socket.bind(group);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

function setReceiveBuffer(socket: UdpSocket, bytes: number | undefined): void {
  socket.setReceiveBuffer(bytes ?? RECEIVE_BUFFER_BYTES, bytes !== undefined);
}
