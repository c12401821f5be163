/** A gateway's services with a guest's hand on the wire: frames in, frames out, and a clock that stands still. */
import assert from 'node:assert/strict';
import type { GatewayConfig } from '../../../src/gateway/gateway-config.ts';
import {
  BROADCAST_MAC,
  emitArpFrame,
  emitDatagram,
  emitNeighbourFrame,
  type GuestDatagram,
  type GuestPacket,
  parseGuestDatagram,
  parseGuestPacket,
} from '../../../src/gateway/guest-frames.ts';
import { GatewayServices } from '../../../src/gateway/services.ts';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { formatMac, parseMac } from '../../../src/net/mac.ts';
import { parsePrefix } from '../../../src/net/prefix.ts';
import { type ArpPacket, emitArp, parseArp } from '../../../src/wire/arp.ts';
import { BOOT_REQUEST, DHCP_OPTION, type DhcpMessage, emitDhcp, parseDhcp } from '../../../src/wire/dhcp.ts';
import { parseEthernet } from '../../../src/wire/ethernet.ts';
import { groupMac, type NeighbourMessage, parseNeighbour } from '../../../src/wire/neighbour.ts';

export const GATEWAY_MAC: Uint8Array = parseMac('52:55:0a:00:02:02');
export const ROUTER: Uint8Array = parseIp('10.0.2.2');
export const ROUTER6: Uint8Array = parseIp('fd00::2');
export const UNSPECIFIED: Uint8Array = new Uint8Array(4);

/** What a gateway is by default. */
export const PLAIN_CONFIG: GatewayConfig = {
  ipv4: { router: parsePrefix('10.0.2.2/24'), nameServer: parseIp('10.0.2.3'), firstLease: parseIp('10.0.2.15') },
  ipv6: { router: parsePrefix('fd00::2/64'), nameServer: parseIp('fd00::3') },
  isRestricted: false,
  hostName: 'slirp',
  searchDomains: [],
  mtu: 1500,
  isHostLoopbackDisabled: false,
  portForwards: [],
  serviceForwards: [],
  isVerbose: false,
};

/** A DHCP message that came, and how. */
export interface HeardDhcp extends DhcpMessage {
  readonly to: string;
  readonly toMac: string;
  readonly from: string;
}

/** The services, and what they did. */
export class Bench {
  readonly services: GatewayServices;
  readonly sent: Uint8Array[] = [];
  readonly learned: Map<string, string> = new Map();
  readonly lines: string[] = [];
  now: number = 1_000_000;

  /** @param isWhole the configuration is all there is to it; otherwise, what is different from the plain one */
  constructor(config: Partial<GatewayConfig> = {}, isWhole = false) {
    const all = isWhole ? (config as GatewayConfig) : { ...PLAIN_CONFIG, ...config };
    this.services = new GatewayServices(all, GATEWAY_MAC, {
      send: (frame) => this.sent.push(frame),
      learn: (address, mac) => this.learned.set(formatIp(address), formatMac(mac)),
      now: () => this.now,
      log: (line) => this.lines.push(line),
    });
  }

  /** The frames that answer one. */
  exchange(frame: Uint8Array): Uint8Array[] {
    this.sent.length = 0;
    this.services.receive(frame);
    return this.sent.splice(0);
  }

  /** What is sent while something is done. */
  during(action: () => void): Uint8Array[] {
    this.sent.length = 0;
    action();
    return this.sent.splice(0);
  }

  arp(packet: ArpPacket): ArpPacket[] {
    return this.exchange(emitArpFrame(packet.senderMac, BROADCAST_MAC, emitArp(packet))).flatMap((frame) => {
      const read = arpOf(frame);
      return read === undefined ? [] : [read];
    });
  }

  /** Says something by DHCP; what is answered. */
  dhcp(message: DhcpMessage, source: Uint8Array = message.clientAddress): HeardDhcp | undefined {
    const destination = parseIp('255.255.255.255');
    const sourceMac = message.hardwareAddress.slice(0, 6);
    const path = { source, destination, sourceMac, destinationMac: BROADCAST_MAC };
    const ports = { sourcePort: 68, destinationPort: 67 };
    const answers = this.exchange(emitDatagram(path, ports, emitDhcp(message))).flatMap((frame) => {
      const heard = datagramOf(frame);
      if (heard === undefined) return [];
      assert.deepEqual([heard.sourcePort, heard.destinationPort], [67, 68]);
      const read = parseDhcp(heard.payload);
      assert.ok(read);
      const toMac = formatMac(parseEthernet(frame)!.destination);
      return [{ ...read, to: formatIp(heard.destination), toMac, from: formatIp(heard.source) }];
    });
    assert.ok(answers.length <= 1);
    return answers[0];
  }

  /** Says something by neighbour discovery; what is answered, and to whom. */
  neighbour(
    source: Uint8Array,
    destination: Uint8Array,
    mac: Uint8Array,
    message: NeighbourMessage,
  ): { message: NeighbourMessage; packet: GuestPacket; toMac: string }[] {
    const path = { source, destination, sourceMac: mac, destinationMac: groupMac(destination) };
    return this.exchange(emitNeighbourFrame(path, message)).map(neighbourOf);
  }
}

export function arpOf(frame: Uint8Array): ArpPacket | undefined {
  const ethernet = parseEthernet(frame);
  return ethernet?.etherType === 0x0806 ? parseArp(frame, ethernet.payloadOffset) : undefined;
}

export function datagramOf(frame: Uint8Array): GuestDatagram | undefined {
  const ethernet = parseEthernet(frame);
  const packet = ethernet && parseGuestPacket(frame, ethernet);
  return packet && parseGuestDatagram(packet);
}

export function neighbourOf(frame: Uint8Array): { message: NeighbourMessage; packet: GuestPacket; toMac: string } {
  const ethernet = parseEthernet(frame);
  const packet = ethernet && parseGuestPacket(frame, ethernet);
  assert.ok(packet && packet.protocol === 58 && packet.hopLimit === 255);
  const message = parseNeighbour(packet.payload, packet);
  assert.ok(message);
  return { message, packet, toMac: formatMac(ethernet.destination) };
}

/** A message of a DHCP client without address. */
export function dhcpRequest(
  mac: Uint8Array,
  type: number | undefined,
  options: readonly (readonly [number, Uint8Array])[] = [],
): DhcpMessage {
  return {
    operation: BOOT_REQUEST,
    hardwareType: 1,
    hardwareAddress: mac,
    hops: 0,
    transaction: 0xcafe0001,
    seconds: 0,
    isBroadcast: false,
    clientAddress: UNSPECIFIED,
    yourAddress: UNSPECIFIED,
    serverAddress: UNSPECIFIED,
    relayAddress: UNSPECIFIED,
    serverName: '',
    file: '',
    options: new Map([
      ...(type === undefined ? [] : [[DHCP_OPTION.messageType, Uint8Array.of(type)] as const]),
      ...options,
    ]),
  };
}

/** The MAC address of the nth guest. */
export function guestMac(n: number): Uint8Array {
  return Uint8Array.of(2, 0, 0, 0, n >> 8, n & 255);
}
