/**
 * Ethernet (MAC) addresses: text to six bytes and back.
 *
 * Read: `02:00:00:00:00:01`, `02-00-00-00-00-01` and `0200.0000.0001`. Written: colons, lower case.
 */
import { VdensError } from '../errors.ts';

/** Bytes in an Ethernet address. */
export const MAC_LENGTH = 6;

/** How many hex digits stand between two separators, by separator (IEEE 802 style, and that of switch consoles). */
const DIGITS_PER_GROUP: ReadonlyMap<string, number> = new Map([
  [':', 2],
  ['-', 2],
  ['.', 4],
]);

/**
 * Reads an Ethernet address.
 *
 * @throws {VdensError} `ERR_ADDRESS` when the text is not one.
 */
export function parseMac(text: string): Uint8Array {
  const separator = ['-', '.'].find((candidate) => text.includes(candidate)) ?? ':';
  const digits = DIGITS_PER_GROUP.get(separator) ?? 0;
  const groups = text.split(separator);
  const wellFormed = groups.length * digits === MAC_LENGTH * 2 && groups.every((group) => group.length === digits);
  const hex = groups.join('');
  if (!wellFormed || !/^[0-9a-f]+$/i.test(hex)) {
    throw new VdensError(
      'ERR_ADDRESS',
      `"${text}" is not a MAC address. Write six bytes in hex, for example 02:00:00:00:00:01`,
      {
        value: text,
      },
    );
  }
  const bytes = new Uint8Array(MAC_LENGTH);
  for (let i = 0; i < MAC_LENGTH; i++) bytes[i] = Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16);
  return bytes;
}

/** One or two digits for each byte. */
const CONSOLE_MAC = /^[0-9a-f]{1,2}(?:([:.])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}$/i;

/** Reads an Ethernet address as `vde_switch` has it: `0:ff:1:2:3:4`, `00.ff.01.02.03.04`. Other text is `undefined`. */
export function parseConsoleMac(text: string): Uint8Array | undefined {
  if (!CONSOLE_MAC.test(text)) return undefined;
  return Uint8Array.from(text.split(/[:.]/), (byte) => Number.parseInt(byte, 16));
}

/** Writes an Ethernet address: `02:00:00:00:00:01`. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Whether it names a group of stations: the lowest bit of the first byte (IEEE 802-2014, 8.2.2). Broadcast is one. */
export function isMulticastMac(bytes: Uint8Array): boolean {
  return (bytes[0]! & 1) === 1;
}

/** A random address for one station that no manufacturer gave out: locally administered, unicast. */
export function randomMac(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(MAC_LENGTH));
  bytes[0] = (bytes[0]! & 0xfe) | 0x02;
  return bytes;
}
