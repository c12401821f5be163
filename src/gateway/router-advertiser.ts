/**
 * Router advertisements (RFC 4861, 6.2; RFC 8106): to who asks, and to everybody from time to time.
 */

import { isUnspecifiedIp } from '../net/ip.ts';
import { isMulticastMac } from '../net/mac.ts';
import { firstAddress } from '../net/subnet.ts';
import { groupMac, type RouterAdvertisement, type RouterSolicitation } from '../wire/neighbour.ts';
import type { GatewayConfig, GatewayIpv6 } from './gateway-config.ts';
import { ALL_NODES, ROUTER_LINK_LOCAL, searchList } from './gateway-ipv6.ts';
import { emitNeighbourFrame, type GuestPacket } from './guest-frames.ts';
import type { ServiceDoors } from './service-doors.ts';

/** For how long we are a default router after each advertisement, in seconds; so long are resolvers good, too. */
const ROUTER_LIFETIME = 1800;
/** Of addresses, in seconds. */
const VALID_LIFETIME = 86_400;
const PREFERRED_LIFETIME = 14_400;
const HOP_LIMIT = 64;
/** Unsolicited ones come after a time between these two, by chance, so that routers do not fall into step. */
const MIN_INTERVAL_MS = 200_000;
const MAX_INTERVAL_MS = 600_000;
/** The first ones come faster (RFC 4861, 6.2.4). */
const INITIAL_INTERVAL_MS = 16_000;
const INITIAL_ADVERTISEMENTS = 3;

/** Tells guests of the router, its prefix, and resolvers. */
export class RouterAdvertiser {
  readonly #message: RouterAdvertisement;
  readonly #mac: Uint8Array;
  readonly #doors: ServiceDoors;
  #advertised = 0;
  #nextAt = 0;

  constructor(config: GatewayConfig, ipv6: GatewayIpv6, mac: Uint8Array, doors: ServiceDoors) {
    this.#message = describe(config, ipv6, mac);
    this.#mac = mac;
    this.#doors = doors;
    this.#nextAt = doors.now();
  }

  /** Somebody asks. */
  solicited(packet: GuestPacket, message: RouterSolicitation): void {
    const isUnspecified = isUnspecifiedIp(packet.source);
    // RFC 4861, 6.1.1.
    if (isUnspecified && message.sourceMac !== undefined) return;
    const mac = message.sourceMac ?? packet.sourceMac;
    if (isUnspecified || isMulticastMac(mac)) this.#advertise(ALL_NODES, groupMac(ALL_NODES), this.#message);
    else this.#advertise(packet.source, mac, this.#message);
  }

  /** Sends an unsolicited one when it is time. */
  tick(): void {
    const now = this.#doors.now();
    if (now < this.#nextAt) return;
    this.#advertised++;
    const interval = MIN_INTERVAL_MS + Math.random() * (MAX_INTERVAL_MS - MIN_INTERVAL_MS);
    this.#nextAt = now + (this.#advertised < INITIAL_ADVERTISEMENTS ? INITIAL_INTERVAL_MS : interval);
    this.#advertise(ALL_NODES, groupMac(ALL_NODES), this.#message);
  }

  /** Tells everybody that there is no router any more (RFC 4861, 6.2.5). */
  close(): void {
    if (this.#advertised > 0) this.#advertise(ALL_NODES, groupMac(ALL_NODES), { ...this.#message, lifetime: 0 });
  }

  #advertise(destination: Uint8Array, destinationMac: Uint8Array, message: RouterAdvertisement): void {
    const path = { source: ROUTER_LINK_LOCAL, destination, sourceMac: this.#mac, destinationMac };
    this.#doors.send(emitNeighbourFrame(path, message));
  }
}

function describe(config: GatewayConfig, ipv6: GatewayIpv6, mac: Uint8Array): RouterAdvertisement {
  const { isRestricted, mtu } = config;
  const names = searchList(config);
  const lifetime = isRestricted ? 0 : ROUTER_LIFETIME;
  return {
    kind: 'router-advertisement',
    hopLimit: HOP_LIMIT,
    isManaged: false,
    hasOtherConfiguration: true,
    lifetime,
    reachableTime: 0,
    retransmissionTime: 0,
    sourceMac: mac,
    mtu,
    prefixes: [
      {
        prefix: firstAddress(ipv6.router),
        prefixLength: ipv6.router.prefixLength,
        isOnLink: true,
        isAutonomous: true,
        validLifetime: VALID_LIFETIME,
        preferredLifetime: PREFERRED_LIFETIME,
      },
    ],
    nameServers: isRestricted ? [] : [{ lifetime, addresses: [ipv6.nameServer] }],
    searchDomains: names.length === 0 ? [] : [{ lifetime: ROUTER_LIFETIME, names }],
  };
}
