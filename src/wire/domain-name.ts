/**
 * Domain names as DNS carries them (RFC 1035, 3.1), one after another: in DHCP option 119 (RFC 3397), DHCPv6 option 24
 * (RFC 3646, 4) and the search list of router advertisements (RFC 8106, 5.2).
 *
 * Who reads them puts them into files of the resolver, so only letters, digits, hyphens and underscores are let through.
 */
import { concatenate } from './bytes.ts';

/** RFC 1035, 2.3.4, in bytes. */
const MAX_LABEL_BYTES = 63;
/** RFC 1035, 2.3.4, in bytes with the lengths of labels and the root. */
const MAX_NAME_BYTES = 255;
/** Pointers followed in one name; each has to lead back, so more are no name of anybody's (RFC 1035, 4.1.4). */
const MAX_POINTERS = 16;
/** Names that are read of one list; resolvers use fewer. */
const MAX_DOMAIN_NAMES = 64;

const POINTER = 0xc0;
const LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/i;

/** Whether it is a domain name that can be written here, such as `lan.example`; a final dot is allowed. */
export function isDomainName(text: string): boolean {
  const labels = labelsOf(text);
  const length = labels.reduce((sum, label) => sum + label.length + 1, 1);
  return length <= MAX_NAME_BYTES && labels.every((label) => label.length <= MAX_LABEL_BYTES && LABEL.test(label));
}

/** Writes names without compression; what is no domain name is left out. */
export function emitDomainNames(names: readonly string[]): Uint8Array {
  return concatenate(...names.filter(isDomainName).map(emitName));
}

/**
 * Reads names, compressed ones too (RFC 3397, 2). A name with other characters is left out, and reading ends at what
 * cannot be followed; zeros between and behind names are padding (RFC 8106, 5.2).
 */
export function parseDomainNames(bytes: Uint8Array): string[] {
  const names: string[] = [];
  let at = 0;
  while (at < bytes.length && names.length < MAX_DOMAIN_NAMES) {
    const found = readName(bytes, at);
    if (found === undefined) break;
    if (found.labels.length > 0 && isDomainName(found.labels.join('.'))) names.push(found.labels.join('.'));
    at = found.end;
  }
  return names;
}

function labelsOf(text: string): string[] {
  return text.replace(/\.$/, '').split('.');
}

function emitName(name: string): Uint8Array {
  const labels = labelsOf(name).map((label) => concatenate(Uint8Array.of(label.length), Buffer.from(label, 'latin1')));
  return concatenate(...labels, Uint8Array.of(0));
}

/** The labels of the name at `start`, and where the next one begins. */
function readName(bytes: Uint8Array, start: number): { labels: string[]; end: number } | undefined {
  const labels: string[] = [];
  let end: number | undefined;
  let length = 0;
  let pointers = 0;
  let at = start;
  for (;;) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    if (byte === 0) return { labels, end: end ?? at + 1 };
    if (byte >= POINTER) {
      const low = bytes[at + 1];
      if (low === undefined || ++pointers > MAX_POINTERS) return undefined;
      end ??= at + 2;
      at = ((byte & ~POINTER) << 8) | low;
      continue;
    }
    length += byte + 1;
    if (byte > MAX_LABEL_BYTES || length >= MAX_NAME_BYTES || at + 1 + byte > bytes.length) return undefined;
    labels.push(Buffer.from(bytes.subarray(at + 1, at + 1 + byte)).toString('latin1'));
    at += 1 + byte;
  }
}
