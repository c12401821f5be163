/**
 * UDP headers (RFC 768).
 */
import { checksumOf, concatenate, pseudoHeader, read16, type TransportPath, write16 } from './bytes.ts';

/** Bytes of header. */
export const UDP_HEADER_LENGTH = 8;

const PROTOCOL = 17;
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const LENGTH = 4;
const CHECKSUM = 6;

/** A UDP header; what can be computed from the payload is left out. */
export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** A header that was read, and where what it carries lies. */
export interface ParsedUdp extends UdpHeader {
  /** As it was: 0 says that there is none. */
  readonly checksum: number;
  readonly payloadOffset: number;
  readonly payloadLength: number;
}

/** Reads the header at `offset`; undefined when it does not fit the bytes. The checksum is not looked at. */
export function parseUdp(bytes: Uint8Array, offset = 0): ParsedUdp | undefined {
  if (bytes.length < offset + UDP_HEADER_LENGTH) return undefined;
  const length = read16(bytes, offset + LENGTH);
  if (length < UDP_HEADER_LENGTH || bytes.length < offset + length) return undefined;
  return {
    sourcePort: read16(bytes, offset + SOURCE_PORT),
    destinationPort: read16(bytes, offset + DESTINATION_PORT),
    checksum: read16(bytes, offset + CHECKSUM),
    payloadOffset: offset + UDP_HEADER_LENGTH,
    payloadLength: length - UDP_HEADER_LENGTH,
  };
}

/** Makes a datagram: length and checksum are computed. */
export function emitUdp(header: UdpHeader, payload: Uint8Array, path: TransportPath): Uint8Array {
  const datagram = concatenate(new Uint8Array(UDP_HEADER_LENGTH), payload);
  write16(datagram, SOURCE_PORT, header.sourcePort);
  write16(datagram, DESTINATION_PORT, header.destinationPort);
  write16(datagram, LENGTH, datagram.length);
  // A sum of zero is sent as all ones, because zero says that there is none (RFC 768).
  write16(datagram, CHECKSUM, checksumOf(pseudoHeader(path, PROTOCOL, datagram.length), datagram) || 0xffff);
  return datagram;
}

/** Whether the checksum of a whole datagram is right; one without a checksum is (over IPv6 it is not, RFC 8200, 8.1). */
export function isUdpIntact(datagram: Uint8Array, path: TransportPath): boolean {
  if (read16(datagram, CHECKSUM) === 0) return path.source.length === 4;
  return checksumOf(pseudoHeader(path, PROTOCOL, datagram.length), datagram) === 0;
}
