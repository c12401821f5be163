/**
 * The request that a client of a VDE switch sends on the switch's control socket, version 3.
 *
 * Packed, in host byte order, because it never leaves the machine. The answer is the 110 bytes of the
 * `struct sockaddr_un` of the switch's data socket; there is no error answer, only an end of the connection.
 */

const MAGIC = 0xfeedface;
const VERSION = 3;
/** Low byte of the type: port 0, which stands for "no port number asked for" everywhere else. */
const NEW_PORT_0 = 1;
const TYPE_PORT_SHIFT = 8;
const ADDRESS_OFFSET = 12;
const DESCRIPTION_OFFSET = 122;

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
