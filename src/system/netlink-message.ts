/**
 * Netlink messages as bytes: the header, attributes, and the kernel's answers.
 *
 * Pure: nothing here sends or waits. Integers are in the byte order of this machine, and every
 * message and attribute begins at a multiple of four bytes (netlink(7), rtnetlink(7)).
 *
 *     nlmsghdr (16 bytes)                        rtattr (4 bytes)
 *     length:32 type:16 flags:16 seq:32 port:32  length:16 type:16 value...
 *
 * Attributes nest by having attributes as their value.
 */
import { endianness } from 'node:os';

/** Whether integers are little-endian on this machine, as DataView wants to know it. */
export const littleEndian: boolean = endianness() === 'LE';

/** Header flags (netlink(7)). */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
/** In an answer: explaining attributes follow the error (kernel 4.12). */
const NLM_F_ACK_TLVS = 0x200;
/** In an answer: the request is not repeated behind the error (kernel 4.12). */
const NLM_F_CAPPED = 0x100;

/** Message types of netlink itself (netlink(7)). */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** The upper two bits of an attribute's type say "nested" and "big-endian". */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
/** The explaining text of an error (linux/netlink.h, NLMSGERR_ATTR_MSG). */
const ERROR_ATTRIBUTE_TEXT = 1;

/** One netlink message. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** Number of the request; its answers carry the same. */
  readonly sequence: number;
  /** What follows the header: a fixed part that depends on the type, then attributes. */
  readonly payload: Uint8Array;
}

/** One attribute. */
export interface NetlinkAttribute {
  readonly type: number;
  readonly value: Uint8Array;
}

/** What the kernel says about a request: done (`errno` 0) or refused. */
export interface NetlinkVerdict {
  /** Positive number of the error, as in errno(3); 0 is success. */
  readonly errno: number;
  /** The kernel's own sentence, when it has one and the socket asked for it (NETLINK_EXT_ACK). */
  readonly text: string | undefined;
}

/** A message as bytes, ready to send. */
export function emitMessage(message: NetlinkMessage): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + align(message.payload.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HEADER_BYTES + message.payload.length, littleEndian);
  view.setUint16(4, message.type, littleEndian);
  view.setUint16(6, message.flags, littleEndian);
  view.setUint32(8, message.sequence, littleEndian);
  bytes.set(message.payload, HEADER_BYTES);
  return bytes;
}

/**
 * The messages of one datagram, in order.
 *
 * @returns undefined when a length does not fit the datagram (it was cut, or is not netlink).
 */
export function parseMessages(datagram: Uint8Array): NetlinkMessage[] | undefined {
  const view = viewOf(datagram);
  const messages: NetlinkMessage[] = [];
  for (let offset = 0; offset < datagram.length; ) {
    if (datagram.length - offset < HEADER_BYTES) return undefined;
    const length = view.getUint32(offset, littleEndian);
    if (length < HEADER_BYTES || length > datagram.length - offset) return undefined;
    messages.push({
      type: view.getUint16(offset + 4, littleEndian),
      flags: view.getUint16(offset + 6, littleEndian),
      sequence: view.getUint32(offset + 8, littleEndian),
      payload: datagram.subarray(offset + HEADER_BYTES, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/** A fixed part and the attributes that follow it, as the payload of a message. */
export function emitPayload(fixedPart: Uint8Array, attributes: readonly NetlinkAttribute[]): Uint8Array {
  const start = align(fixedPart.length);
  const total = attributes.reduce((sum, { value }) => sum + align(ATTRIBUTE_HEADER_BYTES + value.length), start);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  bytes.set(fixedPart);
  let offset = start;
  for (const { type, value } of attributes) {
    view.setUint16(offset, ATTRIBUTE_HEADER_BYTES + value.length, littleEndian);
    view.setUint16(offset + 2, type, littleEndian);
    bytes.set(value, offset + ATTRIBUTE_HEADER_BYTES);
    offset += align(ATTRIBUTE_HEADER_BYTES + value.length);
  }
  return bytes;
}

/**
 * The attributes of a payload, which begin `offset` bytes into it, by type. Of a repeated one the last counts.
 *
 * @returns undefined when a length does not fit the payload.
 */
export function parseAttributes(payload: Uint8Array, offset: number): Map<number, Uint8Array> | undefined {
  const view = viewOf(payload);
  const attributes = new Map<number, Uint8Array>();
  for (let at = align(offset); at < payload.length; ) {
    if (payload.length - at < ATTRIBUTE_HEADER_BYTES) return undefined;
    const length = view.getUint16(at, littleEndian);
    if (length < ATTRIBUTE_HEADER_BYTES || length > payload.length - at) return undefined;
    const type = view.getUint16(at + 2, littleEndian) & ATTRIBUTE_TYPE_MASK;
    attributes.set(type, payload.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length));
    at += align(length);
  }
  return attributes;
}

/** What an {@link NLMSG_ERROR} or {@link NLMSG_DONE} message says; undefined when it is too short to say anything. */
export function parseVerdict({ type, flags, payload }: NetlinkMessage): NetlinkVerdict | undefined {
  if (payload.length < 4) return type === NLMSG_DONE ? { errno: 0, text: undefined } : undefined;
  const view = viewOf(payload);
  const errno = -view.getInt32(0, littleEndian);
  // `|| 0` because the negative of 0 is -0.
  const verdict: NetlinkVerdict = { errno: errno || 0, text: undefined };
  if ((flags & NLM_F_ACK_TLVS) === 0) return verdict;
  let textOffset = 4;
  if (type === NLMSG_ERROR) {
    // The header of the refused request is repeated, and the rest of it too unless the answer is capped.
    if (payload.length < 4 + HEADER_BYTES) return verdict;
    const requestBytes = (flags & NLM_F_CAPPED) === 0 ? view.getUint32(4, littleEndian) : HEADER_BYTES;
    textOffset += requestBytes;
  }
  const text = parseAttributes(payload, textOffset)?.get(ERROR_ATTRIBUTE_TEXT);
  return text === undefined ? verdict : { ...verdict, text: parseText(text) };
}

/** An attribute that is a 32-bit number. */
export function numberAttribute(type: number, value: number): NetlinkAttribute {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, littleEndian);
  return { type, value: bytes };
}

/** An attribute that is text, ended by a zero byte as the kernel wants it. */
export function textAttribute(type: number, value: string): NetlinkAttribute {
  return { type, value: new TextEncoder().encode(`${value}\0`) };
}

/** The number in an attribute's value of 1 or 4 bytes; undefined when there is none. */
export function parseNumber(value: Uint8Array | undefined): number | undefined {
  if (value?.length === 1) return value[0];
  return value?.length === 4 ? viewOf(value).getUint32(0, littleEndian) : undefined;
}

/** The text in an attribute's value, without its closing zero byte. */
export function parseText(value: Uint8Array): string {
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/** A view of the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function align(length: number): number {
  return (length + 3) & ~3;
}
