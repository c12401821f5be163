/**
 * Frames of guests that the services read, and those that they answer with.
 */
import { concatenate, pseudoHeader, read16, type TransportPath } from '../wire/bytes.ts';
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  type EthernetHeader,
  emitEthernet,
  type ParsedEthernet,
} from '../wire/ethernet.ts';
import { emitIpv4, IP_PROTOCOL_UDP, parseIpv4 } from '../wire/ipv4.ts';
import { emitIpv6, parseIpv6 } from '../wire/ipv6.ts';
import { emitNeighbour, IP_PROTOCOL_ICMPV6, NEIGHBOUR_HOP_LIMIT, type NeighbourMessage } from '../wire/neighbour.ts';
import { emitUdp, isUdpIntact, parseUdp } from '../wire/udp.ts';

export const BROADCAST_MAC: Uint8Array = Uint8Array.of(255, 255, 255, 255, 255, 255);

/** Without the checksum that the hardware adds (IEEE 802.3, 3.2.7). */
const SHORTEST_FRAME = 60;
const HOP_LIMIT = 64;
const UDP_CHECKSUM = 6;

/** An IP packet in a frame. */
export interface GuestPacket {
  /** 6 bytes. */
  readonly sourceMac: Uint8Array;
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  /** As many. */
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly hopLimit: number;
  readonly payload: Uint8Array;
}

/** A UDP datagram in a frame. */
export interface GuestDatagram extends Pick<GuestPacket, 'sourceMac' | 'source' | 'destination'> {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** From whom to whom, on both layers. */
export interface FramePath extends TransportPath {
  /** 6 bytes. */
  readonly sourceMac: Uint8Array;
  /** 6 bytes. */
  readonly destinationMac: Uint8Array;
}

/** The IP packet in a frame; undefined when there is none, only a fragment of one, or it has IPv6 extension headers. */
export function parseGuestPacket(frame: Uint8Array, ethernet: ParsedEthernet): GuestPacket | undefined {
  const sourceMac = ethernet.source;
  if (ethernet.etherType === ETHERTYPE_IPV4) {
    const ip = parseIpv4(frame, ethernet.payloadOffset);
    if (ip === undefined || ip.moreFragments || ip.fragmentOffset !== 0) return undefined;
    const payload = frame.subarray(ip.payloadOffset, ip.payloadOffset + ip.payloadLength);
    const { source, destination, protocol, ttl: hopLimit } = ip;
    return { sourceMac, source, destination, protocol, hopLimit, payload };
  }
  if (ethernet.etherType !== ETHERTYPE_IPV6) return undefined;
  const ip = parseIpv6(frame, ethernet.payloadOffset);
  if (ip === undefined) return undefined;
  const payload = frame.subarray(ip.payloadOffset, ip.payloadOffset + ip.payloadLength);
  const { source, destination, nextHeader: protocol, hopLimit } = ip;
  return { sourceMac, source, destination, protocol, hopLimit, payload };
}

/** The datagram in a packet; undefined when there is none, or it was damaged on its way. */
export function parseGuestDatagram(packet: GuestPacket): GuestDatagram | undefined {
  if (packet.protocol !== IP_PROTOCOL_UDP) return undefined;
  const { sourceMac, source, destination } = packet;
  const udp = parseUdp(packet.payload);
  if (udp === undefined) return undefined;
  const end = udp.payloadOffset + udp.payloadLength;
  const datagram = packet.payload.subarray(0, end);
  if (!isUdpIntact(datagram, packet) && !isChecksumLeft(datagram, packet)) return undefined;
  const { sourcePort, destinationPort } = udp;
  const payload = datagram.subarray(udp.payloadOffset);
  return { sourceMac, source, destination, sourcePort, destinationPort, payload };
}

/** A datagram in a frame. */
export function emitDatagram(
  path: FramePath,
  ports: { readonly sourcePort: number; readonly destinationPort: number },
  payload: Uint8Array,
): Uint8Array {
  return emitPacket(path, IP_PROTOCOL_UDP, HOP_LIMIT, emitUdp(ports, payload, path));
}

/** A message of neighbour discovery in a frame. */
export function emitNeighbourFrame(path: FramePath, message: NeighbourMessage): Uint8Array {
  return emitPacket(path, IP_PROTOCOL_ICMPV6, NEIGHBOUR_HOP_LIMIT, emitNeighbour(message, path));
}

/** An ARP packet in a frame. */
export function emitArpFrame(sourceMac: Uint8Array, destinationMac: Uint8Array, packet: Uint8Array): Uint8Array {
  return emitFrame({ source: sourceMac, destination: destinationMac, tags: [], etherType: ETHERTYPE_ARP }, packet);
}

function emitPacket(path: FramePath, protocol: number, hopLimit: number, payload: Uint8Array): Uint8Array {
  const { source, destination } = path;
  const isV4 = source.length === 4;
  const packet = isV4
    ? emitIpv4(
        {
          tos: 0,
          identification: 0,
          dontFragment: true,
          moreFragments: false,
          fragmentOffset: 0,
          ttl: hopLimit,
          protocol,
          source,
          destination,
          options: new Uint8Array(),
        },
        payload,
      )
    : emitIpv6({ trafficClass: 0, flowLabel: 0, nextHeader: protocol, hopLimit, source, destination }, payload);
  const etherType = isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  return emitFrame({ source: path.sourceMac, destination: path.destinationMac, tags: [], etherType }, packet);
}

function emitFrame(header: EthernetHeader, payload: Uint8Array): Uint8Array {
  const frame = emitEthernet(header, payload);
  return concatenate(frame, new Uint8Array(Math.max(0, SHORTEST_FRAME - frame.length)));
}

/**
 * A kernel leaves the checksum to an interface that computes it, and has written the sum of the pseudo-header there. Such
 * a datagram never was on a wire where it could have been damaged.
 */
function isChecksumLeft(datagram: Uint8Array, path: TransportPath): boolean {
  const header = pseudoHeader(path, IP_PROTOCOL_UDP, datagram.length);
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += read16(header, at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return read16(datagram, UDP_CHECKSUM) === sum;
}
