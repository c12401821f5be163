/**
 * ARP for the gateway's own addresses (RFC 826), and never for others: two guests of one network talk to each other
 * directly.
 */
import { formatIp, isMulticastIp } from '../net/ip.ts';
import { formatMac, isMulticastMac } from '../net/mac.ts';
import { type IpPrefix, prefixContains } from '../net/prefix.ts';
import { ARP_REPLY, ARP_REQUEST, type ArpPacket, emitArp, parseArp } from '../wire/arp.ts';
import type { ParsedEthernet } from '../wire/ethernet.ts';
import { AddressSet } from './address-set.ts';
import { BROADCAST_MAC, emitArpFrame } from './guest-frames.ts';
import type { ServiceDoors } from './service-doors.ts';

/** Between two defences of an address that somebody else claims (RFC 5227, 2.4: DEFEND_INTERVAL). */
const DEFEND_INTERVAL_MS = 10_000;
const UNKNOWN_MAC = new Uint8Array(6);

/** Answers, asks, and listens. */
export class ArpResponder {
  readonly #network: IpPrefix;
  readonly #own: AddressSet;
  readonly #mac: Uint8Array;
  readonly #doors: ServiceDoors;
  #defendedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param network the router's address, and the network whose guests are learned
   * @param own addresses that are answered for
   */
  constructor(network: IpPrefix, own: readonly Uint8Array[], mac: Uint8Array, doors: ServiceDoors) {
    this.#network = network;
    this.#own = new AddressSet(own);
    this.#mac = mac;
    this.#doors = doors;
  }

  receive(frame: Uint8Array, ethernet: ParsedEthernet): void {
    const packet = parseArp(frame, ethernet.payloadOffset);
    if (packet === undefined || isMulticastMac(packet.senderMac)) return;
    if (this.#own.has(packet.senderIp)) {
      this.#defend(packet);
      return;
    }
    this.#learn(packet);
    if (packet.operation === ARP_REQUEST && this.#own.has(packet.targetIp)) this.#answer(packet);
  }

  /** Asks everybody who has the address. */
  resolve(address: Uint8Array): void {
    this.#send(BROADCAST_MAC, {
      operation: ARP_REQUEST,
      senderMac: this.#mac,
      senderIp: this.#network.address,
      targetMac: UNKNOWN_MAC,
      targetIp: address,
    });
  }

  #learn(packet: ArpPacket): void {
    const { senderIp, senderMac } = packet;
    // A probe has no sender (RFC 5227, 2.1.1): it says that somebody would like an address, not that it is theirs.
    if (!prefixContains(this.#network, senderIp) || isMulticastIp(senderIp)) return;
    this.#doors.learn(senderIp, senderMac);
  }

  #answer(packet: ArpPacket): void {
    this.#send(packet.senderMac, {
      operation: ARP_REPLY,
      senderMac: this.#mac,
      senderIp: packet.targetIp,
      targetMac: packet.senderMac,
      targetIp: packet.senderIp,
    });
  }

  /** Somebody claims an address of ours: everybody is told whose it is (RFC 5227, 2.4c), and not too often. */
  #defend(packet: ArpPacket): void {
    if (formatMac(packet.senderMac) === formatMac(this.#mac)) return;
    const now = this.#doors.now();
    if (now - this.#defendedAt < DEFEND_INTERVAL_MS) return;
    this.#defendedAt = now;
    this.#doors.log(`${formatMac(packet.senderMac)} claims ${formatIp(packet.senderIp)}, which is the gateway's`);
    this.#send(BROADCAST_MAC, {
      operation: ARP_REQUEST,
      senderMac: this.#mac,
      senderIp: packet.senderIp,
      targetMac: UNKNOWN_MAC,
      targetIp: packet.senderIp,
    });
  }

  #send(destination: Uint8Array, packet: ArpPacket): void {
    this.#doors.send(emitArpFrame(this.#mac, destination, emitArp(packet)));
  }
}
