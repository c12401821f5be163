/**
 * The packet socket of an interface inside (native/launch/listen.c): IP packets out and in, whatever addresses the
 * interface has. The kernel adds and takes off the Ethernet header.
 */
import { constants, endianness } from 'node:os';
import { MAC_LENGTH } from '../../net/mac.ts';
import { native } from '../../system/native.ts';
import { READABLE, Watch } from '../../system/reactor.ts';
import { checksumOf, concatenate, pseudoHeader, write16 } from '../../wire/bytes.ts';
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from '../../wire/dhcp.ts';
import { DHCPV6_CLIENT_PORT, DHCPV6_SERVER_PORT } from '../../wire/dhcpv6.ts';
import { emitIpv4, IP_PROTOCOL_UDP, parseIpv4 } from '../../wire/ipv4.ts';
import { emitIpv6, parseIpv6 } from '../../wire/ipv6.ts';
import { emitUdp, isUdpIntact, parseUdp } from '../../wire/udp.ts';
import type { Dhcp4Path } from './dhcp4-client.ts';
import {
  ICMPV6,
  NEIGHBOUR_HOP_LIMIT,
  parseRouterAdvertisement,
  type RouterAdvertisement,
} from './router-advertisement.ts';

/** What the socket hears. */
export interface ClientEvents {
  /** A UDP payload for the DHCP client, and the MAC address that it came from. */
  dhcp(payload: Uint8Array, mac: Uint8Array): void;
  /** A UDP payload for the DHCPv6 client. */
  dhcpv6(payload: Uint8Array): void;
  advertisement(advertisement: RouterAdvertisement): void;
}

/** An MTU of the largest interface; what is longer is no message to us. */
const BUFFER_BYTES = 65_536;
/** Packets taken before others have their turn. */
const PACKETS_AT_ONCE = 32;

const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const AF_PACKET = 17;
/** family:16 protocol:16 index:32 hardware type:16 packet type:8 length:8 address:8 bytes (packet(7)). */
const LINK_ADDRESS_BYTES = 20;
const LINK_ADDRESS_LENGTH_AT = 11;
const LINK_ADDRESS_AT = 12;
const littleEndian = endianness() === 'LE';
const NET_DOWN = -constants.errno.ENETDOWN;

const EVERYBODY = Uint8Array.of(255, 255, 255, 255);
const EVERYBODY_MAC = new Uint8Array(MAC_LENGTH).fill(0xff);
/** ff02::1:2 (RFC 8415, 7.1), ff02::2 (RFC 4861, 2.3). */
const ALL_DHCP_SERVERS = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2);
const ALL_ROUTERS = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
const ROUTER_SOLICITATION = 133;
const SOURCE_LINK_ADDRESS = 1;
const TTL = 64;
/** CS6, as for all that keeps a network going (RFC 4594, 3.1). */
const TOS = 0xc0;

export class ClientSocket {
  readonly #fd: number;
  readonly #interfaceIndex: number;
  readonly #events: ClientEvents;
  readonly #watch: Watch;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #sender = new Uint8Array(LINK_ADDRESS_BYTES);
  readonly #words = new Int32Array(2);
  #identification = 0;
  #closed = false;

  /** Takes over the descriptor. */
  constructor(fd: number, interfaceIndex: number, events: ClientEvents) {
    this.#fd = fd;
    this.#interfaceIndex = interfaceIndex;
    this.#events = events;
    this.#watch = new Watch(fd, READABLE, () => this.#read());
  }

  /** Sends a DHCP message; one that cannot leave now is lost, as on any network. */
  sendDhcp(payload: Uint8Array, { source, server }: Dhcp4Path): void {
    const path = { source, destination: server?.address ?? EVERYBODY };
    const ports = { sourcePort: DHCP_CLIENT_PORT, destinationPort: DHCP_SERVER_PORT };
    this.#identification = (this.#identification + 1) & 0xffff;
    const header = {
      ...path,
      tos: TOS,
      identification: this.#identification,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: TTL,
      protocol: IP_PROTOCOL_UDP,
      options: new Uint8Array(),
    };
    this.#send(emitIpv4(header, emitUdp(ports, payload, path)), ETH_P_IP, server?.mac ?? EVERYBODY_MAC);
  }

  /** Sends a DHCPv6 message to all servers of the link, from a link-local address. */
  sendDhcpv6(payload: Uint8Array, source: Uint8Array): void {
    const path = { source, destination: ALL_DHCP_SERVERS };
    const ports = { sourcePort: DHCPV6_CLIENT_PORT, destinationPort: DHCPV6_SERVER_PORT };
    this.#sendIpv6(path, IP_PROTOCOL_UDP, 1, emitUdp(ports, payload, path));
  }

  /** Asks the routers of the link to advertise themselves (RFC 4861, 4.1), from a link-local address. */
  solicitRouters(source: Uint8Array, mac: Uint8Array): void {
    const path = { source, destination: ALL_ROUTERS };
    const message = concatenate(Uint8Array.of(ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0, SOURCE_LINK_ADDRESS, 1), mac);
    write16(message, 2, checksumOf(pseudoHeader(path, ICMPV6, message.length), message));
    this.#sendIpv6(path, ICMPV6, NEIGHBOUR_HOP_LIMIT, message);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.end();
    native.closeDescriptor(this.#fd);
  }

  #sendIpv6(
    path: { readonly source: Uint8Array; readonly destination: Uint8Array },
    nextHeader: number,
    hopLimit: number,
    payload: Uint8Array,
  ): void {
    const packet = emitIpv6({ ...path, trafficClass: TOS, flowLabel: 0, nextHeader, hopLimit }, payload);
    // RFC 2464, 7: 33:33 and the end of the group's address.
    this.#send(packet, ETH_P_IPV6, Uint8Array.of(0x33, 0x33, ...path.destination.subarray(12)));
  }

  #send(packet: Uint8Array, protocol: number, mac: Uint8Array): void {
    if (this.#closed) return;
    const address = new Uint8Array(LINK_ADDRESS_BYTES);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, littleEndian);
    view.setUint16(2, protocol);
    view.setInt32(4, this.#interfaceIndex, littleEndian);
    address[LINK_ADDRESS_LENGTH_AT] = MAC_LENGTH;
    address.set(mac, LINK_ADDRESS_AT);
    // What is told first is that the interface was down a while ago, as when the socket was made.
    if (native.sendTo(this.#fd, packet, address) === NET_DOWN) native.sendTo(this.#fd, packet, address);
  }

  #read(): void {
    for (let i = 0; i < PACKETS_AT_ONCE && !this.#closed; i++) {
      const length = native.receivePacket(this.#fd, this.#buffer, this.#sender, this.#words);
      // An error besides EAGAIN (the interface is down) is told once, and says nothing about what comes later.
      if (length < 0) return;
      const packet = this.#buffer.subarray(0, Math.min(length, BUFFER_BYTES));
      const mac = this.#sender.slice(LINK_ADDRESS_AT, LINK_ADDRESS_AT + MAC_LENGTH);
      this.#take(packet, mac, this.#words[1] === 1);
    }
  }

  /** @param isSumRight the checksum is known to be right, or not finished yet, as from a sender with offload */
  #take(packet: Uint8Array, mac: Uint8Array, isSumRight: boolean): void {
    if (packet[0]! >> 4 === 4) this.#takeIpv4(packet, mac, isSumRight);
    else this.#takeIpv6(packet, isSumRight);
  }

  #takeIpv4(packet: Uint8Array, mac: Uint8Array, isSumRight: boolean): void {
    const header = parseIpv4(packet);
    if (header === undefined || header.moreFragments) return;
    const datagram = packet.subarray(header.payloadOffset, header.payloadOffset + header.payloadLength);
    const payload = payloadOf(datagram, header, isSumRight, DHCP_CLIENT_PORT);
    if (payload !== undefined) this.#events.dhcp(payload, mac);
  }

  #takeIpv6(packet: Uint8Array, isSumRight: boolean): void {
    const header = parseIpv6(packet);
    if (header === undefined) return;
    const content = packet.slice(header.payloadOffset, header.payloadOffset + header.payloadLength);
    if (header.nextHeader === ICMPV6) {
      const isRight = isSumRight || checksumOf(pseudoHeader(header, ICMPV6, content.length), content) === 0;
      const found = parseRouterAdvertisement(content, header.source);
      if (isRight && header.hopLimit === NEIGHBOUR_HOP_LIMIT && found !== undefined) this.#events.advertisement(found);
      return;
    }
    const payload = payloadOf(content, header, isSumRight, DHCPV6_CLIENT_PORT);
    if (payload !== undefined) this.#events.dhcpv6(payload);
  }
}

/** What an intact datagram to that port carries, as bytes of its own. */
function payloadOf(
  datagram: Uint8Array,
  path: { readonly source: Uint8Array; readonly destination: Uint8Array },
  isSumRight: boolean,
  port: number,
): Uint8Array | undefined {
  const udp = parseUdp(datagram);
  if (udp === undefined || udp.destinationPort !== port) return undefined;
  const whole = datagram.subarray(0, udp.payloadOffset + udp.payloadLength);
  if (!isSumRight && !isUdpIntact(whole, path)) return undefined;
  return whole.slice(udp.payloadOffset);
}
