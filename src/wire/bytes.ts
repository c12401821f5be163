/**
 * Numbers in network byte order, and the Internet checksum (RFC 1071), for the emitters and parsers here.
 */

/** The 16-bit number at `at`. */
export function read16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** The unsigned 32-bit number at `at`. */
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

/** One array of several. */
export function concatenate(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The checksum over parts that follow each other; all but the last have an even length. */
export function checksumOf(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += (part[at]! << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum ^ 0xffff;
}

/** The addresses and the protocol of the packet that carries a TCP or UDP header. */
export interface TransportPath {
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  /** As many as the source. */
  readonly destination: Uint8Array;
}

/** The pseudo-header that TCP and UDP checksums cover (RFC 9293, 3.1; RFC 8200, 8.1). */
export function pseudoHeader(path: TransportPath, protocol: number, length: number): Uint8Array {
  const rest = new Uint8Array(8);
  write32(rest, 0, length);
  rest[7] = protocol;
  return concatenate(path.source, path.destination, rest);
}
