/** What of a forwarding table JavaScript gets from C (struct forwarding_entry in native/io/forwarding_table.h). */

/** How many entries a table has that was asked for with this size (forwarding_table_prepare). */
export function tableCapacity(size: number): number {
  return size <= 0 ? 0 : 2 ** Math.ceil(Math.log2(size));
}

/** The MAC address and the VLAN that the two halves of a key say. */
export function parseForwardingKey(low: number, high: number): { readonly mac: Uint8Array; readonly vlan: number } {
  return { mac: Uint8Array.of(high >> 8, high, low >> 24, low >> 16, low >> 8, low), vlan: (high >>> 16) & 0xfff };
}
