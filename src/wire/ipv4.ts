/**
 * IPv4 headers (RFC 791, 3.1), options as bytes.
 */
import { checksumOf, concatenate, read16, write16 } from './bytes.ts';

/** Bytes of header without options. */
export const IPV4_HEADER_LENGTH = 20;
export const IP_PROTOCOL_ICMP = 1;
export const IP_PROTOCOL_TCP = 6;
export const IP_PROTOCOL_UDP = 17;

const TOS = 1;
const TOTAL_LENGTH = 2;
const IDENTIFICATION = 4;
const FRAGMENT = 6;
const TTL = 8;
const PROTOCOL = 9;
const CHECKSUM = 10;
const SOURCE = 12;
const DESTINATION = 16;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

/** An IPv4 header; what can be computed from the payload is left out. */
export interface Ipv4Header {
  /** DSCP and ECN (RFC 2474, RFC 3168). */
  readonly tos: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  /** 4 bytes. */
  readonly source: Uint8Array;
  /** 4 bytes. */
  readonly destination: Uint8Array;
  /** Up to 40 bytes, a multiple of 4. */
  readonly options: Uint8Array;
}

/** A header that was read, and where what it carries lies. */
export interface ParsedIpv4 extends Ipv4Header {
  readonly payloadOffset: number;
  /** From the header's total length: padding behind it does not count. */
  readonly payloadLength: number;
}

/** Reads the header at `offset`; undefined when it does not fit the bytes or its checksum is wrong. */
export function parseIpv4(bytes: Uint8Array, offset = 0): ParsedIpv4 | undefined {
  if (bytes.length < offset + IPV4_HEADER_LENGTH) return undefined;
  const headerLength = (bytes[offset]! & 15) * 4;
  const totalLength = read16(bytes, offset + TOTAL_LENGTH);
  if (bytes[offset]! >> 4 !== 4 || headerLength < IPV4_HEADER_LENGTH) return undefined;
  if (totalLength < headerLength || bytes.length < offset + totalLength) return undefined;
  if (checksumOf(bytes.subarray(offset, offset + headerLength)) !== 0) return undefined;
  const fragment = read16(bytes, offset + FRAGMENT);
  return {
    tos: bytes[offset + TOS]!,
    identification: read16(bytes, offset + IDENTIFICATION),
    dontFragment: (fragment & DONT_FRAGMENT) !== 0,
    moreFragments: (fragment & MORE_FRAGMENTS) !== 0,
    fragmentOffset: (fragment & 0x1fff) * 8,
    ttl: bytes[offset + TTL]!,
    protocol: bytes[offset + PROTOCOL]!,
    source: bytes.slice(offset + SOURCE, offset + DESTINATION),
    destination: bytes.slice(offset + DESTINATION, offset + IPV4_HEADER_LENGTH),
    options: bytes.slice(offset + IPV4_HEADER_LENGTH, offset + headerLength),
    payloadOffset: offset + headerLength,
    payloadLength: totalLength - headerLength,
  };
}

/** Makes a packet: lengths and the header's checksum are computed. */
export function emitIpv4(header: Ipv4Header, payload: Uint8Array): Uint8Array {
  const headerLength = IPV4_HEADER_LENGTH + header.options.length;
  const bytes = new Uint8Array(headerLength);
  const flags = (header.dontFragment ? DONT_FRAGMENT : 0) | (header.moreFragments ? MORE_FRAGMENTS : 0);
  bytes[0] = 0x40 | (headerLength / 4);
  bytes[TOS] = header.tos;
  write16(bytes, TOTAL_LENGTH, headerLength + payload.length);
  write16(bytes, IDENTIFICATION, header.identification);
  write16(bytes, FRAGMENT, flags | (header.fragmentOffset / 8));
  bytes[TTL] = header.ttl;
  bytes[PROTOCOL] = header.protocol;
  bytes.set(header.source, SOURCE);
  bytes.set(header.destination, DESTINATION);
  bytes.set(header.options, IPV4_HEADER_LENGTH);
  write16(bytes, CHECKSUM, checksumOf(bytes));
  return concatenate(bytes, payload);
}
