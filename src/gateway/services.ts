/**
 * What a gateway does for its guests besides their flows: it says where it is, gives out addresses, and serves files to
 * boot from. Frames in, frames out; which of them is for whom is decided here, and everything else in the services.
 */
import { isLinkLocalIp } from '../net/ip.ts';
import { isMulticastMac } from '../net/mac.ts';
import { type IpPrefix, prefixContains } from '../net/prefix.ts';
import { DHCP_SERVER_PORT } from '../wire/dhcp.ts';
import { DHCPV6_SERVER_PORT } from '../wire/dhcpv6.ts';
import { ETHERTYPE_ARP, type ParsedEthernet, parseEthernet } from '../wire/ethernet.ts';
import { IP_PROTOCOL_ICMPV6, NEIGHBOUR_HOP_LIMIT, parseNeighbour } from '../wire/neighbour.ts';
import { TFTP_PORT } from '../wire/tftp.ts';
import { AddressSet, bytesKey } from './address-set.ts';
import { ArpResponder } from './arp-responder.ts';
import { DhcpServer } from './dhcp-server.ts';
import { Dhcpv6Server } from './dhcpv6-server.ts';
import type { GatewayConfig } from './gateway-config.ts';
import { NAME_SERVER_LINK_LOCAL, ROUTER_LINK_LOCAL } from './gateway-ipv6.ts';
import { type GuestPacket, parseGuestDatagram, parseGuestPacket } from './guest-frames.ts';
import { HeardGuests } from './heard-guests.ts';
import { NeighbourResponder } from './neighbour-responder.ts';
import { RouterAdvertiser } from './router-advertiser.ts';
import type { ServiceDoors } from './service-doors.ts';
import { TftpServer } from './tftp-server.ts';

export type { ServiceDoors } from './service-doors.ts';

/** The services of one gateway. */
export class GatewayServices {
  /** The router, the name server, their link-local addresses, and then the addresses of service forwards. */
  readonly ownAddresses: readonly Uint8Array[];
  readonly #own: AddressSet;
  /** Those of them that are the router's. */
  readonly #routers: AddressSet;
  readonly #networks: readonly IpPrefix[];
  readonly #arp: ArpResponder | undefined;
  readonly #dhcp: DhcpServer | undefined;
  readonly #neighbours: NeighbourResponder | undefined;
  readonly #advertiser: RouterAdvertiser | undefined;
  readonly #dhcpv6: Dhcpv6Server | undefined;
  readonly #tftp: TftpServer | undefined;
  #isClosed = false;

  /** @param mac the gateway's: one for all its addresses */
  constructor(config: GatewayConfig, mac: Uint8Array, doors: ServiceDoors) {
    const heard = new HeardGuests(() => doors.now());
    const listening: ServiceDoors = {
      send: (frame) => doors.send(frame),
      learn: (address, guest) => {
        heard.hear(address, guest);
        doors.learn(address, guest);
      },
      now: () => doors.now(),
      log: (line) => doors.log(line),
    };
    const { ipv4, ipv6 } = config;
    this.ownAddresses = ownAddresses(config);
    this.#own = new AddressSet(this.ownAddresses);
    const routers = [ipv4?.router.address, ipv6?.router.address, ipv6 && ROUTER_LINK_LOCAL];
    this.#routers = new AddressSet(routers.filter((address) => address !== undefined));
    this.#networks = [ipv4?.router, ipv6?.router].filter((network) => network !== undefined);
    const isOfLength = (length: number) => this.ownAddresses.filter((address) => address.length === length);
    if (ipv4 !== undefined) {
      const arp = new ArpResponder(ipv4.router, isOfLength(4), mac, listening);
      const resolve = (address: Uint8Array) => arp.resolve(address);
      this.#arp = arp;
      this.#dhcp = new DhcpServer({ config, ipv4, mac, own: this.#own, heard, resolve }, listening);
    }
    if (ipv6 !== undefined) {
      const isRouter = !config.isRestricted;
      const options = { network: ipv6.router, own: isOfLength(16), mac, isRouter };
      this.#neighbours = new NeighbourResponder(options, listening);
      this.#advertiser = new RouterAdvertiser(config, ipv6, mac, listening);
      this.#dhcpv6 = new Dhcpv6Server({ config, ipv6, mac, own: this.#own, heard }, listening);
    }
    if (config.tftpDirectory !== undefined) {
      this.#tftp = new TftpServer(config.tftpDirectory, config.mtu, mac, listening);
    }
  }

  /** A frame that is not part of a flow. Whatever is in it, nothing is thrown. */
  receive(frame: Uint8Array): void {
    const ethernet = parseEthernet(frame);
    // Ours is the network without tags.
    if (this.#isClosed || ethernet === undefined || ethernet.tags.length > 0 || isMulticastMac(ethernet.source)) return;
    if (ethernet.etherType === ETHERTYPE_ARP) this.#arp?.receive(frame, ethernet);
    else this.#receivePacket(frame, ethernet);
  }

  /** Asks whose MAC address that is; the answer comes by `learn`. */
  resolve(address: Uint8Array): void {
    if (this.#isClosed) return;
    if (address.length === 4) this.#arp?.resolve(address);
    else this.#neighbours?.resolve(address);
  }

  /** To be called about once a second. */
  tick(): void {
    if (this.#isClosed) return;
    this.#advertiser?.tick();
    this.#tftp?.tick();
  }

  /** Takes leave of the guests; frames can still be sent when it is called. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#advertiser?.close();
    this.#tftp?.close();
  }

  #receivePacket(frame: Uint8Array, ethernet: ParsedEthernet): void {
    const packet = parseGuestPacket(frame, ethernet);
    if (packet?.protocol === IP_PROTOCOL_ICMPV6) this.#receiveNeighbour(packet);
    else if (packet !== undefined) this.#receiveDatagram(packet);
  }

  #receiveDatagram(packet: GuestPacket): void {
    const datagram = parseGuestDatagram(packet);
    // Nobody else has our addresses.
    if (datagram === undefined || this.#own.has(datagram.source)) return;
    const { source, destination, destinationPort } = datagram;
    const isV4 = source.length === 4;
    // Who asks for an address has none yet.
    if (isV4 && destinationPort === DHCP_SERVER_PORT) this.#dhcp?.receive(datagram);
    else if (!this.#isGuest(source)) return;
    else if (!isV4 && destinationPort === DHCPV6_SERVER_PORT) this.#dhcpv6?.receive(datagram);
    else if (destinationPort === TFTP_PORT && this.#routers.has(destination)) this.#tftp?.receive(datagram);
  }

  #isGuest(address: Uint8Array): boolean {
    if (address.length === 16 && isLinkLocalIp(address)) return true;
    return this.#networks.some((network) => prefixContains(network, address));
  }

  #receiveNeighbour(packet: GuestPacket): void {
    // It comes from this link, and from nowhere else (RFC 4861, 3.1).
    if (packet.hopLimit !== NEIGHBOUR_HOP_LIMIT || packet.source.length !== 16) return;
    const message = parseNeighbour(packet.payload, packet);
    switch (message?.kind) {
      case 'neighbour-solicitation':
        this.#neighbours?.solicited(packet, message);
        break;
      case 'neighbour-advertisement':
        this.#neighbours?.advertised(packet, message);
        break;
      case 'router-solicitation':
        if (message.sourceMac !== undefined) this.#neighbours?.learn(packet.source, message.sourceMac);
        this.#advertiser?.solicited(packet, message);
        break;
      default:
        break;
    }
  }
}

function ownAddresses({ ipv4, ipv6, serviceForwards }: GatewayConfig): Uint8Array[] {
  const all = [
    ...(ipv4 === undefined ? [] : [ipv4.router.address, ipv4.nameServer]),
    ...(ipv6 === undefined ? [] : [ipv6.router.address, ipv6.nameServer, ROUTER_LINK_LOCAL, NAME_SERVER_LINK_LOCAL]),
    ...(ipv4 === undefined ? [] : serviceForwards.map(({ address }) => address)),
  ];
  return Array.from(new Map(all.map((address) => [bytesKey(address), address])).values());
}
