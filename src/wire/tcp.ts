/**
 * TCP headers (RFC 9293, 3.1), options as bytes.
 */
import {
  checksumOf,
  concatenate,
  pseudoHeader,
  read16,
  read32,
  type TransportPath,
  write16,
  write32,
} from './bytes.ts';

/** Bytes of header without options. */
export const TCP_HEADER_LENGTH = 20;
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
/** RFC 3168, 6.1. */
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

const PROTOCOL = 6;
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const SEQUENCE = 4;
const ACKNOWLEDGEMENT = 8;
const DATA_OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
const CHECKSUM = 16;
const URGENT = 18;

/** A TCP header; what can be computed from the payload is left out. */
export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** `TCP_*` bits. */
  readonly flags: number;
  /** As it stands in the header, not scaled. */
  readonly window: number;
  readonly urgent: number;
  /** Up to 40 bytes, a multiple of 4. */
  readonly options: Uint8Array;
}

/** A header that was read, and where what it carries begins. */
export interface ParsedTcp extends TcpHeader {
  readonly checksum: number;
  readonly payloadOffset: number;
}

/** Reads the header at `offset`; undefined when it does not fit the bytes. The checksum is not looked at. */
export function parseTcp(bytes: Uint8Array, offset = 0): ParsedTcp | undefined {
  if (bytes.length < offset + TCP_HEADER_LENGTH) return undefined;
  const headerLength = (bytes[offset + DATA_OFFSET]! >> 4) * 4;
  if (headerLength < TCP_HEADER_LENGTH || bytes.length < offset + headerLength) return undefined;
  return {
    sourcePort: read16(bytes, offset + SOURCE_PORT),
    destinationPort: read16(bytes, offset + DESTINATION_PORT),
    sequence: read32(bytes, offset + SEQUENCE),
    acknowledgement: read32(bytes, offset + ACKNOWLEDGEMENT),
    flags: bytes[offset + FLAGS]!,
    window: read16(bytes, offset + WINDOW),
    checksum: read16(bytes, offset + CHECKSUM),
    urgent: read16(bytes, offset + URGENT),
    options: bytes.slice(offset + TCP_HEADER_LENGTH, offset + headerLength),
    payloadOffset: offset + headerLength,
  };
}

/** Makes a segment: data offset and checksum are computed. */
export function emitTcp(header: TcpHeader, payload: Uint8Array, path: TransportPath): Uint8Array {
  const headerLength = TCP_HEADER_LENGTH + header.options.length;
  const segment = concatenate(new Uint8Array(headerLength), payload);
  write16(segment, SOURCE_PORT, header.sourcePort);
  write16(segment, DESTINATION_PORT, header.destinationPort);
  write32(segment, SEQUENCE, header.sequence);
  write32(segment, ACKNOWLEDGEMENT, header.acknowledgement);
  segment[DATA_OFFSET] = (headerLength / 4) << 4;
  segment[FLAGS] = header.flags;
  write16(segment, WINDOW, header.window);
  write16(segment, URGENT, header.urgent);
  segment.set(header.options, TCP_HEADER_LENGTH);
  write16(segment, CHECKSUM, checksumOf(pseudoHeader(path, PROTOCOL, segment.length), segment));
  return segment;
}

/** Whether the checksum of a whole segment is right. */
export function isTcpIntact(segment: Uint8Array, path: TransportPath): boolean {
  return checksumOf(pseudoHeader(path, PROTOCOL, segment.length), segment) === 0;
}
