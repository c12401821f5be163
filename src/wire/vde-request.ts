/**
 * The request that a client of a VDE switch sends on the switch's control socket: version 3, and, of old clients,
 * version 1.
 *
 *     version 3: magic:32 3:32 type:32            address:110 bytes  description
 *     version 1: magic:32 type:32  mac:6 bytes    address:110 bytes  description
 *
 * Packed, in host byte order, because it never leaves the machine. The answer is the 110 bytes of the
 * `struct sockaddr_un` of the switch's data socket; there is no error answer, only an end of the connection.
 */

const MAGIC = 0xfeedface;
const VERSION = 3;
/** Low byte of the type: port 0, which stands for "no port number asked for" everywhere else. */
const NEW_PORT_0 = 1;
const NEW_CONTROL = 0;
const TYPE_MASK = 0xff;
const TYPE_PORT_SHIFT = 8;
const ADDRESS_OFFSET = 12;
const DESCRIPTION_OFFSET = 122;
/** In version 1 a MAC address, which nobody uses, stands where the address would begin. */
const V1_ADDRESS_OFFSET = 14;
const ADDRESS_BYTES = 110;
const AF_UNIX = 1;

/** Bytes of a description, at most; it is not terminated. */
export const MAX_DESCRIPTION_BYTES = 127;

/** What a client asks for. */
export interface VdeRequest {
  /** The port's number; `undefined` for any. */
  readonly port: number | undefined;
  /** The `struct sockaddr_un` of the client's data socket, 110 bytes. */
  readonly address: Uint8Array;
  /** Who we are, for the operator of the switch. */
  readonly description: string;
}

/** The bytes of a request, to be sent in one piece. */
export function emitVdeRequest(request: VdeRequest): Uint8Array {
  const description = Buffer.from(request.description).subarray(0, MAX_DESCRIPTION_BYTES);
  const bytes = new Uint8Array(DESCRIPTION_OFFSET + description.length);
  const words = new Uint32Array(bytes.buffer, 0, 3);
  words[0] = MAGIC;
  words[1] = VERSION;
  words[2] = request.port === undefined ? 0 : request.port === 0 ? NEW_PORT_0 : request.port << TYPE_PORT_SHIFT;
  bytes.set(request.address, ADDRESS_OFFSET);
  bytes.set(description, DESCRIPTION_OFFSET);
  return bytes;
}

/** What the bytes of a request say so far. */
export type ParsedVdeRequest =
  | { readonly kind: 'incomplete' }
  /** No request, whatever follows. The reason is a clause. */
  | { readonly kind: 'invalid'; readonly reason: string }
  /** Complete; more bytes may still be a part of the description. */
  | { readonly kind: 'request'; readonly request: VdeRequest };

/** Bytes of the longest request: version 1 with a full description. */
export const MAX_VDE_REQUEST_BYTES: number = V1_ADDRESS_OFFSET + ADDRESS_BYTES + MAX_DESCRIPTION_BYTES;

/**
 * Reads what has arrived of a request; called again with more of it, it says more. Each word is judged as soon as it
 * is there, so nobody waits for the rest of what is no request.
 *
 * The description is whatever lies behind the address. There is no length, so a request without one is complete, and
 * a caller that wants all of a description that comes in pieces asks again a little later.
 */
export function parseVdeRequest(bytes: Uint8Array): ParsedVdeRequest {
  if (bytes.length < 4) return INCOMPLETE;
  if (read32(bytes, 0) !== MAGIC) return invalid('it does not begin as a request does');
  if (bytes.length < 8) return INCOMPLETE;
  const version = read32(bytes, 4);
  // Version 1 has no version: its type, 0 or 1, stands there.
  const isV1 = version === NEW_CONTROL || version === NEW_PORT_0;
  if (!isV1 && version !== VERSION) return invalid(`version ${version} is not known`);
  const typeOffset = isV1 ? 4 : 8;
  const addressOffset = isV1 ? V1_ADDRESS_OFFSET : ADDRESS_OFFSET;
  if (bytes.length < typeOffset + 4) return INCOMPLETE;
  const type = read32(bytes, typeOffset);
  const kind = type & TYPE_MASK;
  if (kind !== NEW_CONTROL && kind !== NEW_PORT_0) return invalid(`type ${kind} is not known`);
  if (bytes.length < addressOffset + 2) return INCOMPLETE;
  // connect(2) with AF_UNSPEC would succeed, and connect to nobody.
  const family = new Uint16Array(copy(bytes, addressOffset, addressOffset + 2).buffer)[0]!;
  if (family !== AF_UNIX) return invalid(`an address of family ${family} is no unix socket`);
  const end = addressOffset + ADDRESS_BYTES;
  if (bytes.length < end) return INCOMPLETE;
  const port = kind === NEW_PORT_0 ? 0 : type >>> TYPE_PORT_SHIFT || undefined;
  const description = printable(bytes.subarray(end, end + MAX_DESCRIPTION_BYTES));
  return { kind: 'request', request: { port, address: copy(bytes, addressOffset, end), description } };
}

const INCOMPLETE: ParsedVdeRequest = { kind: 'incomplete' };

function invalid(reason: string): ParsedVdeRequest {
  return { kind: 'invalid', reason };
}

function read32(bytes: Uint8Array, offset: number): number {
  return new Uint32Array(copy(bytes, offset, offset + 4).buffer)[0]!;
}

/** Bytes of their own, aligned; those of a Buffer are a part of something larger. */
function copy(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return Uint8Array.from(bytes.subarray(from, to));
}

/** Text that can be shown on a terminal: what is not UTF-8, controls, or turns the direction of writing, is a `?`. */
function printable(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true })
    .decode(bytes)
    .replace(/\0+$/, '')
    .replace(/[\p{C}\p{Zl}\p{Zp}\ufffd]/gu, '?');
}
