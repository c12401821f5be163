/**
 * What two processes of ours say to each other when one hands its TAP interface over: packets of a connected unix
 * socket, in host byte order, because they never leave the machine.
 *
 * ```
 * off len
 *   0   4  magic
 *   4   1  version
 *   5   1  kind
 *   6   2  errno of an answer or a refusal, flags of an offer or a capture
 *   8 110  of an offer: the address of the port's data socket at the other end (all zero where there is one port only)
 *   8   4  of a capture, of its end, and of its refusal: its number on this connection
 *  12   4  of a capture: the number of the interface in it
 *  16   4  how many bytes of a frame are kept at most
 * ```
 *
 * An offer carries two descriptors: the interface, and the memory in which both count. A capture carries those of its
 * ring: the memory, and what wakes the reader.
 */

const MAGIC = 0x50415456; // "VTAP" on a little-endian machine
const VERSION = 2;
const HEADER_BYTES = 8;
const ADDRESS_BYTES = 110;
const TAKES_SUPER_FRAMES = 1;

const OFFER = 1;
const ANSWER = 2;
const TAKE_BACK = 3;
const GIVEN_BACK = 4;
const INVITE = 5;
const CAPTURE = 6;
const END_CAPTURE = 7;
const REFUSE_CAPTURE = 8;

const CAPTURE_BYTES = HEADER_BYTES + 12;
const END_CAPTURE_BYTES = HEADER_BYTES + 4;
const REFUSE_CAPTURE_BYTES = HEADER_BYTES + 4;
const RECEIVED_IS_OUTBOUND = 1;

/** The longest message. */
export const MAX_HANDOVER_BYTES: number = HEADER_BYTES + ADDRESS_BYTES;

/** One packet. */
export type HandoverMessage =
  /** Here is my interface: move its frames in place of those of the port with this address. */
  | { readonly kind: 'offer'; readonly takesSuperFrames: boolean; readonly address: Uint8Array }
  /** It is moved, or why not: an errno. */
  | { readonly kind: 'answer'; readonly errno: number }
  /** The owner takes its interface back. */
  | { readonly kind: 'take-back' }
  /** The interface is let go of: it was taken back, or the borrower ends it. */
  | { readonly kind: 'given-back' }
  /** An offer is welcome from now on; said where it is not always. */
  | { readonly kind: 'invite' }
  /** The frames of the interface, the one that is moved or the next one, are to be recorded. */
  | {
      readonly kind: 'capture';
      readonly number: number;
      readonly index: number;
      readonly snap: number;
      readonly receivedIsOutbound: boolean;
    }
  /** They are not any more. */
  | { readonly kind: 'end-capture'; readonly number: number }
  /** They cannot be, and why: an errno. */
  | { readonly kind: 'refuse-capture'; readonly number: number; readonly errno: number };

/** Of those that have more than a header. */
const LENGTHS: Partial<Record<HandoverMessage['kind'], number>> = {
  offer: MAX_HANDOVER_BYTES,
  capture: CAPTURE_BYTES,
  'end-capture': END_CAPTURE_BYTES,
  'refuse-capture': REFUSE_CAPTURE_BYTES,
};

/** The bytes of a message. */
export function emitHandover(message: HandoverMessage): Uint8Array {
  const bytes = new Uint8Array(LENGTHS[message.kind] ?? HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  bytes[4] = VERSION;
  switch (message.kind) {
    case 'offer':
      bytes[5] = OFFER;
      view.setUint16(6, message.takesSuperFrames ? TAKES_SUPER_FRAMES : 0, true);
      bytes.set(message.address, HEADER_BYTES);
      break;
    case 'answer':
      bytes[5] = ANSWER;
      view.setUint16(6, message.errno, true);
      break;
    case 'take-back':
      bytes[5] = TAKE_BACK;
      break;
    case 'given-back':
      bytes[5] = GIVEN_BACK;
      break;
    case 'invite':
      bytes[5] = INVITE;
      break;
    case 'capture':
      bytes[5] = CAPTURE;
      view.setUint16(6, message.receivedIsOutbound ? RECEIVED_IS_OUTBOUND : 0, true);
      for (const [at, value] of [message.number, message.index, message.snap].entries())
        view.setUint32(HEADER_BYTES + 4 * at, value, true);
      break;
    case 'end-capture':
      bytes[5] = END_CAPTURE;
      view.setUint32(HEADER_BYTES, message.number, true);
      break;
    case 'refuse-capture':
      bytes[5] = REFUSE_CAPTURE;
      view.setUint16(6, message.errno, true);
      view.setUint32(HEADER_BYTES, message.number, true);
      break;
  }
  return bytes;
}

/** The message in these bytes; `undefined` when there is none that this version knows. */
export function parseHandover(bytes: Uint8Array): HandoverMessage | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC || bytes[4] !== VERSION) return undefined;
  const value = view.getUint16(6, true);
  switch (bytes[5]) {
    case OFFER:
      if (bytes.length !== MAX_HANDOVER_BYTES) return undefined;
      return {
        kind: 'offer',
        takesSuperFrames: (value & TAKES_SUPER_FRAMES) !== 0,
        address: bytes.slice(HEADER_BYTES),
      };
    case ANSWER:
      return { kind: 'answer', errno: value };
    case TAKE_BACK:
      return { kind: 'take-back' };
    case GIVEN_BACK:
      return { kind: 'given-back' };
    case INVITE:
      return { kind: 'invite' };
    case CAPTURE:
      if (bytes.length !== CAPTURE_BYTES) return undefined;
      return {
        kind: 'capture',
        number: view.getUint32(HEADER_BYTES, true),
        index: view.getUint32(HEADER_BYTES + 4, true),
        snap: view.getUint32(HEADER_BYTES + 8, true),
        receivedIsOutbound: (value & RECEIVED_IS_OUTBOUND) !== 0,
      };
    case END_CAPTURE:
      if (bytes.length !== END_CAPTURE_BYTES) return undefined;
      return { kind: 'end-capture', number: view.getUint32(HEADER_BYTES, true) };
    case REFUSE_CAPTURE:
      if (bytes.length !== REFUSE_CAPTURE_BYTES) return undefined;
      return { kind: 'refuse-capture', number: view.getUint32(HEADER_BYTES, true), errno: value };
    default:
      return undefined;
  }
}
