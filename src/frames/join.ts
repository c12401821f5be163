/**
 * Joins consecutive TCP segments of a batch into super-frames, as the kernel's receive offload does
 * (net/ipv4/tcp_offload.c, tcp_gro_receive()).
 *
 * This is the plain reference, one step after the other; the way of frames takes native/io/join.c,
 * which the tests compare with this, byte for byte.
 *
 * Theory of operation: every slot begins a group or is added to one. A flow (addresses and ports) has at
 * most one open group. What comes to a flow and cannot be added closes its group, so that nothing
 * overtakes anything within a flow. What might belong to any flow (fragments, IP options, extension
 * headers, super-frames) closes all of them.
 */
import {
  type FrameBatch,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  OFFLOAD_NEEDS_CHECKSUM,
  type OffloadHeader,
} from './batch.ts';
import { internetChecksum, pseudoHeaderSum, sumBytes } from './checksum.ts';
import {
  bytesOf,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  findNetwork,
  IPV4,
  IPV6,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  read16,
  read32,
  TCP,
  write16,
} from './packet.ts';

/** How many segments one super-frame can be made of. */
export const JOIN_MAX_PIECES = 64;
const MAX_IP_LENGTH = 65_535;

/** A frame as it is to be written: ordinary when its offload header is all zero. */
export interface JoinedFrame {
  readonly frame: Uint8Array;
  readonly offload: OffloadHeader;
}

/** A TCP segment: offsets in the frame. */
interface Segment {
  readonly frame: Uint8Array;
  readonly network: number;
  readonly transport: number;
  readonly headers: number;
  readonly isV6: boolean;
  /** Addresses and ports. */
  readonly flow: string;
  /** Whether it can be part of a group at all: data, no flag but ACK and PSH, right checksums. */
  readonly isJoinable: boolean;
}

interface Group {
  readonly frame: Uint8Array;
  readonly offload: OffloadHeader;
  readonly segments: Segment[];
}

/** Joins what belongs together; slots that do not lie in the arena are left out. */
export function joinFrames(batch: FrameBatch): JoinedFrame[] {
  const groups: Group[] = [];
  const open = new Map<string, Group>();
  for (let index = 0; index < batch.count; index++) {
    const frame = bytesOf(batch.arena, batch.offset(index), batch.frameLength(index));
    if (frame === undefined) continue;
    const offload = batch.offload(index);
    const isOrdinary = offload.flags === 0 && offload.gsoType === GSO_NONE;
    const packet = isOrdinary ? parsePacket(frame) : 'any-flow';
    if (packet === 'other' || packet === 'any-flow') {
      if (packet === 'any-flow') open.clear();
      groups.push({ frame, offload, segments: [] });
      continue;
    }
    const group = open.get(packet.flow);
    open.delete(packet.flow);
    if (group !== undefined && continues(group.segments, packet)) {
      group.segments.push(packet);
      if (canGrow(group.segments)) open.set(packet.flow, group);
      continue;
    }
    const begun = { frame, offload, segments: [packet] };
    groups.push(begun);
    if (packet.isJoinable && canGrow(begun.segments)) open.set(packet.flow, begun);
  }
  return groups.map((group) =>
    group.segments.length > 1 ? merge(group.segments) : { frame: group.frame.slice(), offload: group.offload },
  );
}

/** What a frame is: not TCP, perhaps TCP of a flow one cannot tell, or a TCP segment. */
function parsePacket(frame: Uint8Array): 'other' | 'any-flow' | Segment {
  const found = findNetwork(frame);
  if (found?.etherType === ETHERTYPE_IPV4) return parseIpv4(frame, found.offset);
  if (found?.etherType === ETHERTYPE_IPV6) return parseIpv6(frame, found.offset);
  return 'other';
}

function parseIpv4(frame: Uint8Array, network: number): 'other' | 'any-flow' | Segment {
  if (frame.length < network + IPV4.header) return 'any-flow';
  if (frame[network + IPV4.protocol] !== PROTOCOL_TCP) return 'other';
  const isWhole = (read16(frame, network + IPV4.fragment) & ~IPV4.dontFragment) === 0;
  if (frame[network] !== 0x45 || !isWhole) return 'any-flow';
  return parseSegment(frame, network, IPV4.header, read16(frame, network + IPV4.totalLength), IPV4.addresses);
}

function parseIpv6(frame: Uint8Array, network: number): 'other' | 'any-flow' | Segment {
  if (frame.length < network + IPV6.header) return 'any-flow';
  const nextHeader = frame[network + IPV6.nextHeader];
  if (nextHeader === PROTOCOL_UDP || nextHeader === PROTOCOL_ICMPV6) return 'other';
  if (frame[network]! >> 4 !== 6 || nextHeader !== PROTOCOL_TCP) return 'any-flow';
  const length = IPV6.header + read16(frame, network + IPV6.payloadLength);
  return parseSegment(frame, network, IPV6.header, length, IPV6.addresses);
}

function parseSegment(
  frame: Uint8Array,
  network: number,
  ipHeader: number,
  ipLength: number,
  addresses: number,
): 'any-flow' | Segment {
  if (ipLength > frame.length - network || ipLength < ipHeader + TCP.header) return 'any-flow';
  const transport = network + ipHeader;
  const headers = transport + (frame[transport + TCP.dataOffset]! >> 4) * 4;
  // The ports follow the addresses, because there are no options between them.
  const flow = `${ipHeader} ${frame.subarray(network + addresses, transport + 4).join('.')}`;
  const isV6 = ipHeader === IPV6.header;
  const segment = { frame, network, transport, headers, isV6, flow };
  // A frame padded to the Ethernet minimum stays as it is, as do reserved bits and every other flag.
  const isJoinable =
    headers >= transport + TCP.header &&
    headers < network + ipLength &&
    frame.length === network + ipLength &&
    ipLength <= MAX_IP_LENGTH &&
    (frame[transport + TCP.dataOffset]! & 15) === 0 &&
    (frame[transport + TCP.flags]! & ~TCP.psh) === TCP.ack &&
    checksumsVerify(frame, network, transport, isV6);
  return { ...segment, isJoinable };
}

function checksumsVerify(frame: Uint8Array, network: number, transport: number, isV6: boolean): boolean {
  if (!isV6 && internetChecksum(frame, network, IPV4.header) !== 0) return false;
  const length = frame.length - transport;
  return internetChecksum(frame, transport, length, pseudoHeader(frame, network, isV6, length)) === 0;
}

function pseudoHeader(frame: Uint8Array, network: number, isV6: boolean, tcpLength: number): number {
  const addresses = isV6
    ? frame.subarray(network + IPV6.addresses, network + IPV6.header)
    : frame.subarray(network + IPV4.addresses, network + IPV4.header);
  return pseudoHeaderSum(addresses, PROTOCOL_TCP, tcpLength);
}

function payloadLength(segment: Segment): number {
  return segment.frame.length - segment.headers;
}

function totalPayload(segments: readonly Segment[]): number {
  return segments.reduce((total, segment) => total + payloadLength(segment), 0);
}

/** A shorter segment, a PSH and the 64th end a group. */
function canGrow(segments: readonly Segment[]): boolean {
  const last = segments.at(-1)!;
  const hasPush = (last.frame[last.transport + TCP.flags]! & TCP.psh) !== 0;
  return !hasPush && segments.length < JOIN_MAX_PIECES && payloadLength(last) === payloadLength(segments[0]!);
}

function continues(segments: readonly Segment[], segment: Segment): boolean {
  const first = segments[0]!;
  const total = totalPayload(segments);
  const sequence = (read32(first.frame, first.transport + TCP.sequence) + total) % 2 ** 32;
  return (
    segment.isJoinable &&
    first.network === segment.network &&
    first.headers === segment.headers &&
    payloadLength(segment) <= payloadLength(first) &&
    segment.headers - segment.network + total + payloadLength(segment) <= MAX_IP_LENGTH &&
    read32(segment.frame, segment.transport + TCP.sequence) === sequence &&
    // Ethernet addresses, tags and EtherType.
    hasSameBytes(first, segment, 0, segment.network) &&
    hasSameBytes(first, segment, segment.transport + TCP.acknowledgement, segment.transport + TCP.dataOffset) &&
    hasSameBytes(first, segment, segment.transport + TCP.window, segment.transport + TCP.checksum) &&
    // The urgent pointer and the options.
    hasSameBytes(first, segment, segment.transport + TCP.urgent, segment.headers) &&
    (segment.isV6 ? continuesIpv6(first, segment) : continuesIpv4(first, segment, segments.length))
  );
}

/** With Don't Fragment the identification has no meaning (RFC 6864, 4.1); otherwise it has to count on. */
function continuesIpv4(first: Segment, segment: Segment, pieces: number): boolean {
  const { frame, network } = segment;
  const identification = (read16(first.frame, network + IPV4.identification) + pieces) & 0xffff;
  return (
    hasSameBytes(first, segment, network + IPV4.tos, network + IPV4.totalLength) &&
    hasSameBytes(first, segment, network + IPV4.ttl, network + IPV4.protocol) &&
    hasSameBytes(first, segment, network + IPV4.fragment, network + IPV4.ttl) &&
    ((read16(frame, network + IPV4.fragment) & IPV4.dontFragment) !== 0 ||
      read16(frame, network + IPV4.identification) === identification)
  );
}

/** The same traffic class, flow label and hop limit. */
function continuesIpv6(first: Segment, segment: Segment): boolean {
  const { network } = segment;
  return (
    hasSameBytes(first, segment, network, network + IPV6.payloadLength) &&
    hasSameBytes(first, segment, network + IPV6.hopLimit, network + IPV6.addresses)
  );
}

function hasSameBytes(one: Segment, other: Segment, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (one.frame[at] !== other.frame[at]) return false;
  return true;
}

/** The super-frame of several segments: the first one's headers, patched, and everybody's payload. */
function merge(segments: readonly Segment[]): JoinedFrame {
  const first = segments[0]!;
  const last = segments.at(-1)!;
  const { network, transport, headers, isV6 } = first;
  const frame = new Uint8Array(headers + totalPayload(segments));
  frame.set(first.frame.subarray(0, headers));
  let at = headers;
  for (const segment of segments) {
    frame.set(segment.frame.subarray(headers), at);
    at += payloadLength(segment);
  }
  const tcpLength = frame.length - transport;
  frame[transport + TCP.flags]! |= last.frame[transport + TCP.flags]! & TCP.psh;
  // The sum of the pseudo-header, not complemented: what a checksum left to do begins with.
  write16(frame, transport + TCP.checksum, pseudoHeader(frame, network, isV6, tcpLength));
  if (isV6) {
    write16(frame, network + IPV6.payloadLength, tcpLength);
  } else {
    write16(frame, network + IPV4.totalLength, frame.length - network);
    write16(frame, network + IPV4.checksum, 0);
    write16(frame, network + IPV4.checksum, sumBytes(frame, network, IPV4.header) ^ 0xffff);
  }
  const offload = {
    flags: OFFLOAD_NEEDS_CHECKSUM,
    gsoType: isV6 ? GSO_TCPV6 : GSO_TCPV4,
    headerLength: headers,
    gsoSize: payloadLength(first),
    checksumStart: transport,
    checksumOffset: TCP.checksum,
  };
  return { frame, offload };
}
