/**
 * Ports of the host that lead to guests: their sockets are opened here, and belong to the datapath from then on.
 */
import { quote, VdensError } from '../errors.ts';
import { formatIp, IPV4_LENGTH, IPV6_LENGTH, isMulticastIp, parseIp } from '../net/ip.ts';
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

/** A forward that is wanted; its addresses are text, or bytes. */
export interface ForwardRequest {
  readonly protocol: 'tcp' | 'udp';
  /** An address of the host. @defaultValue every one of the guest's family */
  readonly hostAddress?: string | Uint8Array;
  /** 0 for one that the kernel chooses. */
  readonly hostPort: number;
  readonly guestAddress: string | Uint8Array;
  readonly guestPort: number;
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
   * too many; `ERR_ADDRESS` when the guest is none, or something is no address or port; `ERR_USAGE` when the protocol
   * is neither TCP nor UDP; `ERR_CLOSED` when the gateway is
   */
  add(request: ForwardRequest): ForwardInfo {
    if (this.#closed) throw new VdensError('ERR_CLOSED', `${this.#label}: the gateway is closed`);
    const forward = this.#read(request);
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

  /** Callers may be JavaScript, which says anything. */
  #read(request: ForwardRequest): PortForward {
    const { protocol, hostAddress, hostPort, guestAddress, guestPort } = request ?? {};
    if (protocol !== 'tcp' && protocol !== 'udp') {
      const message = `${this.#label}: cannot forward: the protocol is 'tcp' or 'udp', not ${shown(protocol)}`;
      throw new VdensError('ERR_USAGE', message, { value: shown(protocol) });
    }
    const guest = this.#addressOf('guestAddress', guestAddress);
    const any = new Uint8Array(guest.length);
    return {
      protocol,
      hostAddress: hostAddress === undefined ? any : this.#addressOf('hostAddress', hostAddress),
      hostPort,
      guestAddress: guest,
      guestPort,
    };
  }

  #addressOf(name: string, value: unknown): Uint8Array {
    if (value instanceof Uint8Array && (value.length === IPV4_LENGTH || value.length === IPV6_LENGTH)) {
      return Uint8Array.from(value);
    }
    const address = typeof value === 'string' ? tryIp(value) : undefined;
    if (address !== undefined) return address;
    throw this.#wrong(shown(value), `${name} is an IP address, as text or as 4 or 16 bytes, not ${shown(value)}`);
  }

  #check({ hostAddress, hostPort, guestAddress, guestPort }: PortForward): void {
    const problem = problemOfGuest(this.#networks, guestAddress);
    if (problem !== undefined) throw this.#wrong(formatIp(guestAddress), problem);
    if (!isPort(guestPort, 1))
      throw this.#wrong(shown(guestPort), `${shown(guestPort)} is not a port from 1 to ${LARGEST_PORT}`);
    if (!isPort(hostPort, 0))
      throw this.#wrong(shown(hostPort), `${shown(hostPort)} is not a port from 0 to ${LARGEST_PORT}`);
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

function tryIp(text: string): Uint8Array | undefined {
  try {
    return parseIp(text);
  } catch {
    return undefined;
  }
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return quote(value);
  return value === null ? 'null' : typeof value;
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
