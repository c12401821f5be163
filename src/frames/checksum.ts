/**
 * The Internet checksum (RFC 1071), word by word: the plain twin of native/io/checksum.c.
 *
 * Sums are folded to 16 bits in network order, and can be continued as long as every part but the last
 * has an even number of bytes. A sum is zero only when every byte was.
 */

/** Continues a folded sum with these bytes; an odd last byte counts as the high half of a word. */
export function sumBytes(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  let sum = initial;
  const end = offset + length;
  for (let at = offset; at < end; at += 2) {
    sum += (bytes[at]! << 8) | (at + 1 < end ? bytes[at + 1]! : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** The checksum as headers carry it: the complement of the sum. Zero over bytes that contain their right checksum. */
export function internetChecksum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  return sumBytes(bytes, offset, length, initial) ^ 0xffff;
}

/**
 * The sum of the pseudo-header that TCP and UDP cover (RFC 9293, 3.1; RFC 8200, 8.1).
 *
 * @param addresses source and destination, 8 or 32 bytes
 * @param length bytes of the transport header and its payload, below 2^32
 */
export function pseudoHeaderSum(addresses: Uint8Array, protocol: number, length: number): number {
  const rest = Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length, 0, protocol);
  return sumBytes(rest, 0, rest.length, sumBytes(addresses, 0, addresses.length));
}
