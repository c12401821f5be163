/**
 * IPv4 and IPv6 addresses: text to 4 or 16 bytes in network order, and back.
 *
 * Reads the dotted quad and every form of RFC 4291, 2.2 (an IPv4 tail included); writes the one canonical
 * form of RFC 5952. Zone ids (`fe80::1%eth0`) are refused: a zone is not part of an address.
 */
import { VdensError } from '../errors.ts';

export const IPV4_LENGTH = 4;
export const IPV6_LENGTH = 16;
/** The least MTU, in bytes, that IPv6 works with (RFC 8200, section 5); below it the kernel takes the addresses away. */
export const SMALLEST_IPV6_MTU = 1280;

const IPV6_GROUPS = 8;

/**
 * Reads an IPv4 or an IPv6 address; the number of bytes tells which.
 *
 * @throws {VdensError} `ERR_ADDRESS` when the text is neither.
 */
export function parseIp(text: string): Uint8Array {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/**
 * Reads a dotted quad. Leading zeros are refused: some programs read them as octal (RFC 6943, 3.1.1).
 *
 * @throws {VdensError} `ERR_ADDRESS`
 */
export function parseIpv4(text: string): Uint8Array {
  const bytes = dottedQuad(text);
  if (bytes === undefined) throw wrongAddress(text, 'an IP address', '10.0.0.1 or fd00::1');
  return bytes;
}

/**
 * Reads an IPv6 address.
 *
 * @throws {VdensError} `ERR_ADDRESS`
 */
export function parseIpv6(text: string): Uint8Array {
  if (text.includes('%')) {
    throw new VdensError('ERR_ADDRESS', `"${text}" has a zone. Leave it out: ${text.slice(0, text.indexOf('%'))}`, {
      value: text,
    });
  }
  const bytes = colonHex(text);
  if (bytes === undefined) throw wrongAddress(text, 'an IPv6 address', 'fd00::1');
  return bytes;
}

/** Writes 4 bytes as a dotted quad, 16 bytes as RFC 5952 says. */
export function formatIp(bytes: Uint8Array): string {
  return bytes.length === IPV4_LENGTH ? bytes.join('.') : formatIpv6(bytes);
}

/** Whether it is a group address: 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291, 2.7). */
export function isMulticastIp(bytes: Uint8Array): boolean {
  return bytes.length === IPV4_LENGTH ? bytes[0]! >> 4 === 0xe : bytes[0] === 0xff;
}

/** Whether it is 0.0.0.0 or `::`. */
export function isUnspecifiedIp(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Whether it is only meaningful on its own link: 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291, 2.5.6). */
export function isLinkLocalIp(bytes: Uint8Array): boolean {
  return bytes.length === IPV4_LENGTH
    ? bytes[0] === 169 && bytes[1] === 254
    : bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80;
}

/** Whether it is an address of the host itself: 127.0.0.0/8 (RFC 1122, 3.2.1.3) or ::1. */
export function isLoopbackIp(bytes: Uint8Array): boolean {
  return bytes.length === IPV4_LENGTH ? bytes[0] === 127 : formatIp(bytes) === '::1';
}

function formatIpv6(bytes: Uint8Array): string {
  if (isIpv4Mapped(bytes)) return `::ffff:${bytes.subarray(12).join('.')}`;
  const groups = Array.from({ length: IPV6_GROUPS }, (_, i) => (bytes[i * 2]! << 8) | bytes[i * 2 + 1]!);
  const { start, length } = longestZeroRun(groups);
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  // RFC 5952, 4.2.2: a single zero group is written out.
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** ::ffff:0:0/96, the one well-known prefix whose tail people read as IPv4 (RFC 5952, 5). */
function isIpv4Mapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

/** The longest run of zero groups; of equals, the first (RFC 5952, 4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [i, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: i + 1 - length, length };
  }
  return best;
}

function dottedQuad(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== IPV4_LENGTH) return undefined;
  const values = parts.map((part) => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256));
  return values.every((value) => value <= 255) ? Uint8Array.from(values) : undefined;
}

function colonHex(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupBytes(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groupBytes(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = IPV6_LENGTH - head.length - tail.length;
  // '::' stands for at least one group (RFC 4291, 2.2); without it nothing may be missing.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** The bytes of groups between colons; only the very end of an address may be a dotted quad. */
function groupBytes(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const quad = isEnd && i === groups.length - 1 ? dottedQuad(group) : undefined;
    if (quad === undefined) return undefined;
    bytes.push(...quad);
  }
  return bytes;
}

function wrongAddress(text: string, what: string, example: string): VdensError {
  return new VdensError('ERR_ADDRESS', `"${text}" is not ${what}. Write, for example, ${example}`, { value: text });
}
