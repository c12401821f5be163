/**
 * Neighbour discovery for the gateway's own IPv6 addresses (RFC 4861, 7), and never for others.
 */

import { formatIp, isLinkLocalIp, isMulticastIp, isUnspecifiedIp } from '../net/ip.ts';
import { formatMac, isMulticastMac } from '../net/mac.ts';
import { type IpPrefix, prefixContains } from '../net/prefix.ts';
import { sameBytes } from '../net/subnet.ts';
import {
  groupMac,
  type NeighbourAdvertisement,
  type NeighbourSolicitation,
  solicitedNodeGroup,
} from '../wire/neighbour.ts';
import { AddressSet } from './address-set.ts';
import { ALL_NODES, ROUTER_LINK_LOCAL } from './gateway-ipv6.ts';
import { emitNeighbourFrame, type GuestPacket } from './guest-frames.ts';
import type { ServiceDoors } from './service-doors.ts';

/** Between two defences of an address that somebody else claims. */
const DEFEND_INTERVAL_MS = 10_000;

/** What it is to be. */
export interface NeighbourOptions {
  /** Whose guests are learned. */
  readonly network: IpPrefix;
  /** Addresses that are answered for. */
  readonly own: readonly Uint8Array[];
  readonly mac: Uint8Array;
  /** Whether the gateway is a way out. */
  readonly isRouter: boolean;
}

/** Answers, asks, and listens. */
export class NeighbourResponder {
  readonly #options: NeighbourOptions;
  readonly #own: AddressSet;
  readonly #doors: ServiceDoors;
  #defendedAt = Number.NEGATIVE_INFINITY;

  constructor(options: NeighbourOptions, doors: ServiceDoors) {
    this.#options = options;
    this.#own = new AddressSet(options.own);
    this.#doors = doors;
  }

  /** Somebody asks for an address. */
  solicited(packet: GuestPacket, message: NeighbourSolicitation): void {
    const { target, sourceMac } = message;
    if (isMulticastIp(target) || isMulticastMac(packet.sourceMac)) return;
    const isProbe = isUnspecifiedIp(packet.source);
    // RFC 4861, 7.1.1: who has no address yet asks the group, and does not say where it is.
    if (isProbe && (sourceMac !== undefined || !sameBytes(packet.destination, solicitedNodeGroup(target)))) return;
    const mac = sourceMac ?? packet.sourceMac;
    if (!isProbe) this.learn(packet.source, mac);
    if (!this.#own.has(target)) return;
    if (isProbe) this.#advertise(target, ALL_NODES, groupMac(ALL_NODES), false);
    else this.#advertise(target, packet.source, mac, true);
  }

  /** Somebody says that it has an address. */
  advertised(packet: GuestPacket, message: NeighbourAdvertisement): void {
    const { target, isSolicited, targetMac = packet.sourceMac } = message;
    // RFC 4861, 7.1.2.
    if (isMulticastIp(target) || (isSolicited && isMulticastIp(packet.destination))) return;
    if (this.#own.has(target)) this.#defend(target, targetMac);
    else this.learn(target, targetMac);
  }

  /** Notes where a guest is. */
  learn(address: Uint8Array, mac: Uint8Array): void {
    const isGuest = isLinkLocalIp(address) || prefixContains(this.#options.network, address);
    if (!isGuest || this.#own.has(address) || isMulticastMac(mac)) return;
    this.#doors.learn(address, mac);
  }

  /** Asks who has the address. */
  resolve(address: Uint8Array): void {
    const { mac } = this.#options;
    const group = solicitedNodeGroup(address);
    const path = { source: ROUTER_LINK_LOCAL, destination: group, sourceMac: mac, destinationMac: groupMac(group) };
    const message = { kind: 'neighbour-solicitation', target: address, sourceMac: mac } as const;
    this.#doors.send(emitNeighbourFrame(path, message));
  }

  #defend(target: Uint8Array, claimant: Uint8Array): void {
    if (sameBytes(claimant, this.#options.mac)) return;
    const now = this.#doors.now();
    if (now - this.#defendedAt < DEFEND_INTERVAL_MS) return;
    this.#defendedAt = now;
    this.#doors.log(`${formatMac(claimant)} claims ${formatIp(target)}, which is the gateway's`);
    this.#advertise(target, ALL_NODES, groupMac(ALL_NODES), false);
  }

  #advertise(target: Uint8Array, destination: Uint8Array, destinationMac: Uint8Array, isSolicited: boolean): void {
    const { mac, isRouter } = this.#options;
    const path = { source: target, destination, sourceMac: mac, destinationMac };
    const message: NeighbourAdvertisement = {
      kind: 'neighbour-advertisement',
      isRouter,
      isSolicited,
      isOverride: true,
      target,
      targetMac: mac,
    };
    this.#doors.send(emitNeighbourFrame(path, message));
  }
}
