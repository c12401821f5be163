/**
 * Turns a batch into ordinary frames: cuts super-frames, completes checksums, copies the rest.
 *
 * This is the plain reference: one step after the other, nothing fast. The way of frames takes
 * native/io/segment.c, which the tests compare with this, byte for byte. Both do what the kernel's
 * software segmentation does (net/ipv4/tcp_offload.c and udp_offload.c of Linux).
 */
import {
  type FrameBatch,
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  OFFLOAD_NEEDS_CHECKSUM,
  type OffloadHeader,
} from './batch.ts';
import { internetChecksum, sumBytes } from './checksum.ts';
import {
  bytesOf,
  ETHERNET_HEADER,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  findNetwork,
  IPV4,
  IPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  read16,
  read32,
  TCP,
  UDP,
  write16,
  write32,
} from './packet.ts';

/** What became of a batch. */
export interface SegmentedFrames {
  /** Ordinary frames, each with bytes of its own. */
  readonly frames: Uint8Array[];
  /** Slots that do not lie in the arena, or whose offload header does not fit the frame. */
  readonly malformed: number;
  /** Frames left out because they are longer than allowed. */
  readonly tooLong: number;
}

/** A super-frame whose headers have been checked: offsets in the frame, and which protocols. */
interface SuperFrame {
  readonly frame: Uint8Array;
  readonly network: number;
  readonly transport: number;
  readonly headers: number;
  readonly segmentSize: number;
  readonly isV6: boolean;
  readonly isTcp: boolean;
}

/**
 * Makes ordinary frames of a batch.
 *
 * @param maxFrameBytes the longest frame the other side takes, from the Ethernet header (with any VLAN
 *   tag) to the end of the payload
 */
export function segmentFrames(batch: FrameBatch, maxFrameBytes: number): SegmentedFrames {
  const frames: Uint8Array[] = [];
  let malformed = 0;
  let tooLong = 0;
  for (let index = 0; index < batch.count; index++) {
    const frame = bytesOf(batch.arena, batch.offset(index), batch.frameLength(index));
    const pieces = frame === undefined ? undefined : segmentFrame(frame, batch.offload(index));
    if (pieces === undefined) {
      malformed++;
      continue;
    }
    for (const piece of pieces) {
      if (piece.length > maxFrameBytes) tooLong++;
      else frames.push(piece);
    }
  }
  return { frames, malformed, tooLong };
}

/** The ordinary frames that one slot stands for; undefined when the offload header does not fit. */
function segmentFrame(frame: Uint8Array, offload: OffloadHeader): Uint8Array[] | undefined {
  const needsChecksum = (offload.flags & OFFLOAD_NEEDS_CHECKSUM) !== 0;
  if (!needsChecksum && offload.gsoType === GSO_NONE) return [frame.slice()];
  if (offload.headerLength > frame.length) return undefined;
  if (offload.gsoType === GSO_NONE) return completeChecksum(frame, offload);
  const superFrame = needsChecksum ? parseSuperFrame(frame, offload) : undefined;
  return superFrame === undefined ? undefined : cut(superFrame);
}

function completeChecksum(frame: Uint8Array, offload: OffloadHeader): Uint8Array[] | undefined {
  const start = offload.checksumStart;
  const field = start + offload.checksumOffset;
  if (start < ETHERNET_HEADER || field + 2 > frame.length) return undefined;
  const copy = frame.slice();
  // 0 and 0xffff both stand for zero, but in UDP 0 says that there is none; Linux does so for every protocol.
  write16(copy, field, internetChecksum(copy, start, copy.length - start) || 0xffff);
  return [copy];
}

/** Checks a super-frame's headers against its offload header. */
function parseSuperFrame(frame: Uint8Array, offload: OffloadHeader): SuperFrame | undefined {
  const kind = offload.gsoType & ~GSO_ECN;
  const isTcp = kind === GSO_TCPV4 || kind === GSO_TCPV6;
  if (offload.gsoSize === 0 || (!isTcp && offload.gsoType !== GSO_UDP_L4)) return undefined;
  const found = findNetwork(frame);
  if (found === undefined) return undefined;
  const isV6 = found.etherType === ETHERTYPE_IPV6;
  if (!isV6 && found.etherType !== ETHERTYPE_IPV4) return undefined;
  if (isTcp && isV6 !== (kind === GSO_TCPV6)) return undefined;
  const network = found.offset;
  const transport = offload.checksumStart;
  const protocol = isTcp ? PROTOCOL_TCP : PROTOCOL_UDP;
  const ipFits = isV6 ? fitsIpv6(frame, network, transport, protocol) : fitsIpv4(frame, network, transport, protocol);
  if (!ipFits || transport + (isTcp ? TCP.header : UDP.header) > frame.length) return undefined;
  if (offload.checksumOffset !== (isTcp ? TCP.checksum : UDP.checksum)) return undefined;
  if (!isTcp && read16(frame, transport + UDP.length) !== frame.length - transport) return undefined;
  const transportHeader = isTcp ? (frame[transport + TCP.dataOffset]! >> 4) * 4 : UDP.header;
  if (isTcp && transportHeader < TCP.header) return undefined;
  const headers = transport + transportHeader;
  if (headers > frame.length) return undefined;
  return { frame, network, transport, headers, segmentSize: offload.gsoSize, isV6, isTcp };
}

function fitsIpv4(frame: Uint8Array, network: number, transport: number, protocol: number): boolean {
  if (frame.length < network + IPV4.header) return false;
  const headerLength = (frame[network]! & 15) * 4;
  return (
    frame[network]! >> 4 === 4 &&
    headerLength >= IPV4.header &&
    transport === network + headerLength &&
    frame[network + IPV4.protocol] === protocol &&
    (read16(frame, network + IPV4.fragment) & 0x3fff) === 0 &&
    read16(frame, network + IPV4.totalLength) === frame.length - network
  );
}

/** Extension headers may lie between the IPv6 header and the transport: their chain is the sender's business. */
function fitsIpv6(frame: Uint8Array, network: number, transport: number, protocol: number): boolean {
  if (frame.length < network + IPV6.header) return false;
  return (
    frame[network]! >> 4 === 6 &&
    transport >= network + IPV6.header &&
    (transport > network + IPV6.header || frame[network + IPV6.nextHeader] === protocol) &&
    IPV6.header + read16(frame, network + IPV6.payloadLength) === frame.length - network
  );
}

function cut(superFrame: SuperFrame): Uint8Array[] {
  const { frame, headers, segmentSize } = superFrame;
  const payload = frame.length - headers;
  const segments = Math.max(1, Math.ceil(payload / segmentSize));
  return Array.from({ length: segments }, (_, index) => {
    const from = headers + index * segmentSize;
    const segment = new Uint8Array([...frame.subarray(0, headers), ...frame.subarray(from, from + segmentSize)]);
    patchNetwork(superFrame, segment, index);
    patchTransport(superFrame, segment, index, index === segments - 1);
    return segment;
  });
}

function patchNetwork({ network, transport, isV6 }: SuperFrame, segment: Uint8Array, index: number): void {
  if (isV6) {
    write16(segment, network + IPV6.payloadLength, segment.length - network - IPV6.header);
    return;
  }
  write16(segment, network + IPV4.totalLength, segment.length - network);
  write16(segment, network + IPV4.identification, read16(segment, network + IPV4.identification) + index);
  write16(segment, network + IPV4.checksum, 0);
  write16(segment, network + IPV4.checksum, internetChecksum(segment, network, transport - network));
}

/**
 * The checksum field holds the sum of the pseudo-header for the whole length; only the length in it is
 * replaced, so that addresses in IPv6 routing headers need not be looked for.
 */
function patchTransport(superFrame: SuperFrame, segment: Uint8Array, index: number, isLast: boolean): void {
  const { frame, transport, segmentSize, isTcp } = superFrame;
  const length = segment.length - transport;
  const field = transport + (isTcp ? TCP.checksum : UDP.checksum);
  if (isTcp) {
    write32(segment, transport + TCP.sequence, read32(frame, transport + TCP.sequence) + index * segmentSize);
    if (index > 0) segment[transport + TCP.flags]! &= ~TCP.cwr;
    if (!isLast) segment[transport + TCP.flags]! &= ~(TCP.fin | TCP.psh);
  } else {
    write16(segment, transport + UDP.length, length);
  }
  const lengths = new Uint8Array(8);
  write32(lengths, 0, length);
  write32(lengths, 4, ~(frame.length - transport));
  const checksum = internetChecksum(segment, transport, length, sumBytes(lengths, 0, 8));
  // Zero would say that there is none (RFC 768).
  write16(segment, field, checksum === 0 && !isTcp ? 0xffff : checksum);
}
