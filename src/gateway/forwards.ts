/**
 * Ports of the host that lead to guests: their sockets are opened here, and belong to the datapath from then on.
 */
import { VdensError } from '../errors.ts';
import { formatIp, IPV4_LENGTH, isMulticastIp } from '../net/ip.ts';
import { formatSocketAddress, type SocketAddress } from '../net/socket-address.ts';
import { native } from '../system/native.ts';
import { listenTcp } from '../system/tcp-listener.ts';
import { UdpSocket } from '../system/udp-socket.ts';
import type { PortForward } from './gateway-config.ts';
import { type GuestNetworks, problemOfGuest } from './guest-address.ts';

/** Of one gateway, at a time; the datapath has room for as many. */
export const MAX_PORT_FORWARDS = 1024;
const LARGEST_PORT = 65_535;

/** What the datapath does with the sockets of forwards. */
export interface ForwardDoors {
  /**
   * Takes what arrives at a socket (one of TCP that listens, one of UDP that is bound) to the guest. The descriptor is
   * the datapath's from now on, unless this throws.
   *
   * @returns a number for it
   */
  listen(fd: number, forward: PortForward): number;
  /** Closes the socket; connections that were accepted stay. */
  unlisten(id: number): void;
}

/** A forward that is there. */
export interface ForwardInfo extends PortForward {
  /** By which it is removed: no other forward of this gateway ever gets the same. */
  readonly id: number;
}

/** The forwards of one gateway. */
export class Forwards {
  readonly #label: string;
  readonly #doors: ForwardDoors;
  readonly #networks: GuestNetworks;
  /** By their ids, with the datapath's numbers. */
  readonly #all = new Map<number, { readonly info: ForwardInfo; readonly door: number }>();
  #lastId = 0;
  #closed = false;

  /** @param label what errors begin with: the network that it is */
  constructor(label: string, networks: GuestNetworks, doors: ForwardDoors) {
    this.#label = label;
    this.#networks = networks;
    this.#doors = doors;
  }

  /**
   * Opens a port of the host.
   *
   * @returns what it is, with the port that the kernel chose when it was to
   * @throws VdensError `ERR_NETWORK_OPEN` when the port is taken or for root, the address not this host's, or there are
   * too many; `ERR_ADDRESS` when the guest is none; `ERR_CLOSED` when the gateway is
   */
  add(forward: PortForward): ForwardInfo {
    if (this.#closed) throw new VdensError('ERR_CLOSED', `${this.#label}: the gateway is closed`);
    this.#check(forward);
    const { fd, port } = openSocket(this.#label, forward);
    const info = { ...forward, hostPort: port, id: this.#lastId + 1 };
    let door: number;
    try {
      door = this.#doors.listen(fd, info);
    } catch (error) {
      native.closeDescriptor(fd);
      throw error;
    }
    this.#lastId = info.id;
    this.#all.set(info.id, { info, door });
    return info;
  }

  /** In the order in which they were added. */
  list(): ForwardInfo[] {
    return [...this.#all.values()].map(({ info }) => info);
  }

  /** Closes the port; connections through it stay. Returns whether there was one of that id. */
  remove(id: number): boolean {
    const found = this.#all.get(id);
    if (found === undefined) return false;
    this.#all.delete(id);
    this.#doors.unlisten(found.door);
    return true;
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    for (const id of [...this.#all.keys()]) this.remove(id);
  }

  #check({ hostAddress, hostPort, guestAddress, guestPort }: PortForward): void {
    const problem = problemOfGuest(this.#networks, guestAddress);
    if (problem !== undefined) throw this.#wrong(formatIp(guestAddress), problem);
    if (!isPort(guestPort, 1))
      throw this.#wrong(String(guestPort), `${guestPort} is not a port from 1 to ${LARGEST_PORT}`);
    if (!isPort(hostPort, 0))
      throw this.#wrong(String(hostPort), `${hostPort} is not a port from 0 to ${LARGEST_PORT}`);
    const host = formatIp(hostAddress);
    if (isMulticastIp(hostAddress)) throw this.#wrong(host, `${host} is not the address of one host`);
    if (this.#all.size < MAX_PORT_FORWARDS) return;
    const message = `${this.#label}: there are ${MAX_PORT_FORWARDS} forwards, and no more are possible. Remove some`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { errno: 'ENOSPC' });
  }

  #wrong(value: string, problem: string): VdensError {
    return new VdensError('ERR_ADDRESS', `${this.#label}: cannot forward: ${problem}`, { value });
  }
}

function isPort(port: number, smallest: number): boolean {
  return Number.isInteger(port) && port >= smallest && port <= LARGEST_PORT;
}

function openSocket(label: string, { protocol, hostAddress, hostPort }: PortForward): { fd: number; port: number } {
  const address = { address: hostAddress, port: hostPort };
  return protocol === 'tcp' ? listenTcp(label, address) : bindUdp(label, address);
}

function bindUdp(label: string, address: SocketAddress): { fd: number; port: number } {
  const socket = UdpSocket.open(label, address.address.length === IPV4_LENGTH ? 4 : 6);
  try {
    socket.bind(address);
    return { fd: socket.fd, port: socket.localAddress().port };
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** A forward as people read it: `tcp 0.0.0.0:8080 to 10.0.2.15:80`. */
export function describeForward({ protocol, hostAddress, hostPort, guestAddress, guestPort }: PortForward): string {
  const host = formatSocketAddress({ address: hostAddress, port: hostPort });
  return `${protocol} ${host} to ${formatSocketAddress({ address: guestAddress, port: guestPort })}`;
}
