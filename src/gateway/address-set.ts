/**
 * Addresses, IPv4 and IPv6, in a set.
 */

/** A text that is the same for the same bytes, for maps. */
export function bytesKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Which addresses are in it. */
export class AddressSet {
  readonly #keys: ReadonlySet<string>;

  constructor(addresses: readonly Uint8Array[]) {
    this.#keys = new Set(addresses.map(bytesKey));
  }

  has(address: Uint8Array): boolean {
    return this.#keys.has(bytesKey(address));
  }
}
