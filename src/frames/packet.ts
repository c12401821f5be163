/**
 * Where the headers of a frame lie, as far as segmenting and joining look at them; the plain twin of
 * native/io/headers.h. Whole headers as objects are in src/wire.
 *
 * ```
 * | Ethernet | 0-2 VLAN tags | IP header | TCP or UDP header | payload |
 * 0                       network     transport            headers
 * ```
 */

export const ETHERNET_HEADER = 14;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
/** IEEE 802.1Q customer tag and 802.1ad service tag. */
export const ETHERTYPE_CVLAN = 0x8100;
export const ETHERTYPE_SVLAN = 0x88a8;

/** Offsets in an IPv4 header (RFC 791, 3.1). */
export const IPV4: {
  readonly header: 20;
  readonly tos: 1;
  readonly totalLength: 2;
  readonly identification: 4;
  readonly fragment: 6;
  readonly dontFragment: 0x4000;
  readonly ttl: 8;
  readonly protocol: 9;
  readonly checksum: 10;
  readonly addresses: 12;
} = {
  header: 20,
  tos: 1,
  totalLength: 2,
  identification: 4,
  fragment: 6,
  dontFragment: 0x4000,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  addresses: 12,
};

/** Offsets in an IPv6 header (RFC 8200, 3). */
export const IPV6: {
  readonly header: 40;
  readonly payloadLength: 4;
  readonly nextHeader: 6;
  readonly hopLimit: 7;
  readonly addresses: 8;
} = { header: 40, payloadLength: 4, nextHeader: 6, hopLimit: 7, addresses: 8 };

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;

/** Offsets in a TCP header (RFC 9293, 3.1), and its flags. */
export const TCP: {
  readonly header: 20;
  readonly sequence: 4;
  readonly acknowledgement: 8;
  readonly dataOffset: 12;
  readonly flags: 13;
  readonly window: 14;
  readonly checksum: 16;
  readonly urgent: 18;
  readonly fin: 0x01;
  readonly psh: 0x08;
  readonly ack: 0x10;
  readonly cwr: 0x80;
} = {
  header: 20,
  sequence: 4,
  acknowledgement: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgent: 18,
  fin: 0x01,
  psh: 0x08,
  ack: 0x10,
  cwr: 0x80,
};

/** Offsets in a UDP header (RFC 768). */
export const UDP: { readonly header: 8; readonly length: 4; readonly checksum: 6 } = {
  header: 8,
  length: 4,
  checksum: 6,
};

/** The 16-bit number at `at`, network order. */
export function read16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** The unsigned 32-bit number at `at`, network order. */
export function read32(bytes: Uint8Array, at: number): number {
  return read16(bytes, at) * 0x10000 + read16(bytes, at + 2);
}

/** Writes the low 16 bits of `value` at `at`. */
export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Writes `value` modulo 2^32 at `at`. */
export function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, (value >>> 0) >>> 16);
  write16(bytes, at + 2, value >>> 0);
}

/** What a frame carries behind up to two VLAN tags, and where that begins. */
export interface NetworkHeader {
  readonly etherType: number;
  readonly offset: number;
}

/** Finds the network header; undefined when the frame ends before. */
export function findNetwork(frame: Uint8Array): NetworkHeader | undefined {
  let typeAt = 12;
  for (let tags = 0; frame.length >= typeAt + 2; tags++) {
    const etherType = read16(frame, typeAt);
    const isTag = etherType === ETHERTYPE_CVLAN || etherType === ETHERTYPE_SVLAN;
    if (!isTag || tags === 2) return { etherType, offset: typeAt + 2 };
    typeAt += 4;
  }
  return undefined;
}

/** The bytes of a frame of a batch; undefined when the slot does not lie in the arena. */
export function bytesOf(arena: Uint8Array, offset: number, length: number): Uint8Array | undefined {
  const start = offset >>> 0;
  const end = start + (length >>> 0);
  return end > arena.length ? undefined : arena.subarray(start, end);
}
