/**
 * IPv6 headers (RFC 8200, 3); extension headers are payload here.
 */
import { concatenate, read16, read32, write16, write32 } from './bytes.ts';

/** Bytes of header. */
export const IPV6_HEADER_LENGTH = 40;

const PAYLOAD_LENGTH = 4;
const NEXT_HEADER = 6;
const HOP_LIMIT = 7;
const SOURCE = 8;
const DESTINATION = 24;

/** An IPv6 header; the payload's length is left out. */
export interface Ipv6Header {
  /** 0 to 255. */
  readonly trafficClass: number;
  /** 20 bits. */
  readonly flowLabel: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  /** 16 bytes. */
  readonly source: Uint8Array;
  /** 16 bytes. */
  readonly destination: Uint8Array;
}

/** A header that was read, and where what it carries lies. */
export interface ParsedIpv6 extends Ipv6Header {
  readonly payloadOffset: number;
  readonly payloadLength: number;
}

/** Reads the header at `offset`; undefined when it does not fit the bytes. */
export function parseIpv6(bytes: Uint8Array, offset = 0): ParsedIpv6 | undefined {
  if (bytes.length < offset + IPV6_HEADER_LENGTH || bytes[offset]! >> 4 !== 6) return undefined;
  const payloadLength = read16(bytes, offset + PAYLOAD_LENGTH);
  if (bytes.length < offset + IPV6_HEADER_LENGTH + payloadLength) return undefined;
  const first = read32(bytes, offset);
  return {
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xfffff,
    nextHeader: bytes[offset + NEXT_HEADER]!,
    hopLimit: bytes[offset + HOP_LIMIT]!,
    source: bytes.slice(offset + SOURCE, offset + DESTINATION),
    destination: bytes.slice(offset + DESTINATION, offset + IPV6_HEADER_LENGTH),
    payloadOffset: offset + IPV6_HEADER_LENGTH,
    payloadLength,
  };
}

/** Makes a packet: the payload's length is computed. */
export function emitIpv6(header: Ipv6Header, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(IPV6_HEADER_LENGTH);
  write32(bytes, 0, 0x60000000 + header.trafficClass * 0x100000 + header.flowLabel);
  write16(bytes, PAYLOAD_LENGTH, payload.length);
  bytes[NEXT_HEADER] = header.nextHeader;
  bytes[HOP_LIMIT] = header.hopLimit;
  bytes.set(header.source, SOURCE);
  bytes.set(header.destination, DESTINATION);
  return concatenate(bytes, payload);
}
