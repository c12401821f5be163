/**
 * ICMP echo for IPv4 (RFC 792, page 14): what ping sends and gets.
 */
import { checksumOf, concatenate, read16, write16 } from './bytes.ts';

export const ICMP_ECHO_REPLY = 0;
export const ICMP_ECHO_REQUEST = 8;
/** Bytes of header before the data. */
export const ICMP_ECHO_HEADER_LENGTH = 8;

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const IDENTIFIER = 4;
const SEQUENCE = 6;

/** An echo request or reply. */
export interface IcmpEcho {
  /** {@link ICMP_ECHO_REQUEST} or {@link ICMP_ECHO_REPLY}. */
  readonly type: number;
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** Reads an ICMP message of `length` bytes; undefined when it is no echo, too short, or its checksum is wrong. */
export function parseIcmpEcho(bytes: Uint8Array, offset: number, length: number): IcmpEcho | undefined {
  if (length < ICMP_ECHO_HEADER_LENGTH || bytes.length < offset + length) return undefined;
  const message = bytes.subarray(offset, offset + length);
  const type = message[TYPE]!;
  if ((type !== ICMP_ECHO_REQUEST && type !== ICMP_ECHO_REPLY) || message[CODE] !== 0) return undefined;
  if (checksumOf(message) !== 0) return undefined;
  return {
    type,
    identifier: read16(message, IDENTIFIER),
    sequence: read16(message, SEQUENCE),
    data: message.slice(ICMP_ECHO_HEADER_LENGTH),
  };
}

/** Makes a message. */
export function emitIcmpEcho(echo: IcmpEcho): Uint8Array {
  const message = concatenate(new Uint8Array(ICMP_ECHO_HEADER_LENGTH), echo.data);
  message[TYPE] = echo.type;
  write16(message, IDENTIFIER, echo.identifier);
  write16(message, SEQUENCE, echo.sequence);
  write16(message, CHECKSUM, checksumOf(message));
  return message;
}
