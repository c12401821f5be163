/**
 * Capture files (draft-ietf-opsawg-pcapng, "PCAP Now Generic"): blocks that C does not write, and all blocks as a reader
 * sees them. Numbers are in the byte order of the machine that writes, which the first block tells; ours all have
 * little-endian ones.
 */

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const VERSION_MAJOR = 1;
const UNKNOWN_SECTION_LENGTH = 0xffff_ffff_ffff_ffffn;
/** LINKTYPE_ETHERNET. */
const ETHERNET = 1;
/** 10 to the minus 9: times are in nanoseconds. */
const NANOSECONDS = 9;

const OPTION_END = 0;
const OPTION_COMMENT = 1;
const SECTION_HARDWARE = 2;
const SECTION_OS = 3;
const SECTION_APPLICATION = 4;
const INTERFACE_NAME = 2;
const INTERFACE_DESCRIPTION_TEXT = 3;
const INTERFACE_RESOLUTION = 9;
const INTERFACE_OS = 12;
const PACKET_FLAGS = 2;
const PACKET_DROPS = 4;
const STATISTICS_START = 2;
const STATISTICS_END = 3;
const STATISTICS_RECEIVED = 4;
const STATISTICS_DROPPED = 5;
const STATISTICS_OS_DROPPED = 7;

const BLOCK_HEADER = 8;
const MIN_BLOCK = 12;
const PACKET_HEADER = 28;
const INTERFACE_HEADER = 16;
const STATISTICS_HEADER = 20;
const OUTBOUND = 2;
const DIRECTION_MASK = 3;
/** What an option can hold; texts are cut to it. */
const MAX_OPTION_BYTES = 4096;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Where frames were captured. */
export interface CapturedInterface {
  readonly name: string;
  readonly description: string;
}

/** What became of the frames of an interface, at the end. */
export interface InterfaceStatistics {
  /** When it began and ended, in nanoseconds since 1970. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** Frames that passed. */
  readonly received: number;
  /** That the interface dropped. */
  readonly dropped: number;
  /** That passed, and are not in the file for want of room. */
  readonly leftOut: number;
  readonly comments: readonly string[];
}

/** The block that a file begins with. */
export function sectionHeader(facts: {
  readonly hardware: string;
  readonly os: string;
  readonly application: string;
}): Uint8Array {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, BYTE_ORDER_MAGIC, true);
  view.setUint16(4, VERSION_MAJOR, true);
  view.setBigUint64(8, UNKNOWN_SECTION_LENGTH, true);
  return block(SECTION_HEADER, body, [
    [SECTION_HARDWARE, text(facts.hardware)],
    [SECTION_OS, text(facts.os)],
    [SECTION_APPLICATION, text(facts.application)],
  ]);
}

/** The block of an interface, which stands before its first frame; the first one has the number 0. */
export function interfaceDescription({ name, description }: CapturedInterface, snap: number, os: string): Uint8Array {
  const body = new Uint8Array(8);
  const view = new DataView(body.buffer);
  view.setUint16(0, ETHERNET, true);
  view.setUint32(4, snap, true);
  return block(INTERFACE_DESCRIPTION, body, [
    [INTERFACE_NAME, text(name)],
    [INTERFACE_DESCRIPTION_TEXT, text(description)],
    [INTERFACE_RESOLUTION, Uint8Array.of(NANOSECONDS)],
    [INTERFACE_OS, text(os)],
  ]);
}

/** The block that says at the end what became of the frames of an interface. */
export function interfaceStatistics(index: number, statistics: InterfaceStatistics): Uint8Array {
  const body = new Uint8Array(12);
  const view = new DataView(body.buffer);
  view.setUint32(0, index, true);
  body.set(time(statistics.endNs), 4);
  return block(INTERFACE_STATISTICS, body, [
    ...statistics.comments.map((comment): Option => [OPTION_COMMENT, text(comment)]),
    [STATISTICS_START, time(statistics.startNs)],
    [STATISTICS_END, time(statistics.endNs)],
    [STATISTICS_RECEIVED, count(statistics.received)],
    [STATISTICS_DROPPED, count(statistics.dropped)],
    [STATISTICS_OS_DROPPED, count(statistics.leftOut)],
  ]);
}

/** A frame that was captured. */
export interface CapturedFrame {
  readonly kind: 'frame';
  /** The number of the interface. */
  readonly index: number;
  /** In nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** What was kept of it. */
  readonly bytes: Uint8Array;
  /** How long it was. */
  readonly length: number;
}

/** One block, as far as a reader of ours looks at it. */
export type CaptureBlock =
  | CapturedFrame
  | { readonly kind: 'interface'; readonly name: string; readonly description: string }
  | { readonly kind: 'statistics'; readonly index: number }
  | { readonly kind: 'other' };

/** What the options of a frame say. */
export interface FrameNotes {
  readonly isOutbound: boolean;
  /** Frames that were left out of the file since the one before it. */
  readonly leftOut: number;
  readonly comments: readonly string[];
}

/**
 * The length of the block that begins at an offset.
 *
 * @returns 0 when the block is not complete, `undefined` when it is none
 */
export function blockLength(view: DataView, offset: number, end: number): number | undefined {
  if (end - offset < MIN_BLOCK) return 0;
  const length = view.getUint32(offset + 4, true);
  if (length < MIN_BLOCK || length % 4 !== 0) return undefined;
  return length > end - offset ? 0 : length;
}

/** What a block at an offset is. */
export function kindOfBlock(view: DataView, offset: number): CaptureBlock['kind'] {
  const type = view.getUint32(offset, true);
  if (type === ENHANCED_PACKET) return 'frame';
  if (type === INTERFACE_DESCRIPTION) return 'interface';
  return type === INTERFACE_STATISTICS ? 'statistics' : 'other';
}

/** Whether a block of `length` bytes has both its lengths, and room for what it says it has. */
export function isWholeBlock(view: DataView, offset: number, length: number): boolean {
  if (view.getUint32(offset + length - 4, true) !== length) return false;
  const kind = kindOfBlock(view, offset);
  if (kind === 'interface') return length >= INTERFACE_HEADER + 4;
  if (kind === 'statistics') return length >= STATISTICS_HEADER + 4;
  if (kind !== 'frame') return true;
  return length >= PACKET_HEADER + 4 && view.getUint32(offset + 20, true) <= length - PACKET_HEADER - 4;
}

/** Whether the block at an offset is a frame: the one thing that is to be known of most of them. */
export function isFrameBlock(view: DataView, offset: number): boolean {
  return view.getUint32(offset, true) === ENHANCED_PACKET;
}

/** The number of the interface of a frame, or of statistics. */
export function interfaceOfFrame(view: DataView, offset: number): number {
  return view.getUint32(offset + BLOCK_HEADER, true);
}

/** When the frame at an offset passed, in nanoseconds since 1970. */
export function timeOfFrame(view: DataView, offset: number): bigint {
  return (BigInt(view.getUint32(offset + 12, true)) << 32n) | BigInt(view.getUint32(offset + 16, true));
}

/** Reads a complete block of `length` bytes; its bytes are borrowed. `undefined` when it contradicts itself. */
export function parseBlock(view: DataView, offset: number, length: number): CaptureBlock | undefined {
  const type = view.getUint32(offset, true);
  if (type === ENHANCED_PACKET) return parseFrame(view, offset, length);
  if (type === INTERFACE_DESCRIPTION) return parseInterface(view, offset, length);
  if (type === INTERFACE_STATISTICS && length >= MIN_BLOCK + 12)
    return { kind: 'statistics', index: view.getUint32(offset + BLOCK_HEADER, true) };
  return { kind: 'other' };
}

/** What the options of the frame at an offset say. */
export function frameNotes(view: DataView, offset: number, length: number): FrameNotes {
  const kept = view.getUint32(offset + 20, true);
  const notes = { isOutbound: false, leftOut: 0, comments: [] as string[] };
  for (const [code, at, bytes] of optionsIn(view, offset + PACKET_HEADER + padded(kept), offset + length - 4)) {
    if (code === PACKET_FLAGS && bytes === 4) {
      notes.isOutbound = (view.getUint32(at, true) & DIRECTION_MASK) === OUTBOUND;
    } else if (code === PACKET_DROPS && bytes === 8) {
      notes.leftOut = Number(view.getBigUint64(at, true));
    } else if (code === OPTION_COMMENT) {
      notes.comments.push(readText(view, at, bytes));
    }
  }
  return notes;
}

function parseFrame(view: DataView, offset: number, length: number): CapturedFrame | undefined {
  if (length < PACKET_HEADER + 4) return undefined;
  const kept = view.getUint32(offset + 20, true);
  if (kept > length - PACKET_HEADER - 4) return undefined;
  return {
    kind: 'frame',
    index: interfaceOfFrame(view, offset),
    timeNs: timeOfFrame(view, offset),
    bytes: new Uint8Array(view.buffer, view.byteOffset + offset + PACKET_HEADER, kept),
    length: view.getUint32(offset + 24, true),
  };
}

function parseInterface(view: DataView, offset: number, length: number): CaptureBlock {
  const found = { kind: 'interface' as const, name: '', description: '' };
  for (const [code, at, bytes] of optionsIn(view, offset + INTERFACE_HEADER, offset + length - 4)) {
    if (code === INTERFACE_NAME) found.name = readText(view, at, bytes);
    if (code === INTERFACE_DESCRIPTION_TEXT) found.description = readText(view, at, bytes);
  }
  return found;
}

/** Code, offset of the value, and its length. */
function* optionsIn(view: DataView, start: number, end: number): Generator<readonly [number, number, number]> {
  for (let at = start; at >= 0 && at + 4 <= end; ) {
    const code = view.getUint16(at, true);
    const bytes = view.getUint16(at + 2, true);
    if (code === OPTION_END || at + 4 + bytes > end) return;
    yield [code, at + 4, bytes];
    at += 4 + padded(bytes);
  }
}

function readText(view: DataView, at: number, bytes: number): string {
  // What is shared memory to others must not change while it is decoded.
  return decoder.decode(new Uint8Array(view.buffer, view.byteOffset + at, bytes).slice());
}

type Option = readonly [code: number, value: Uint8Array];

function block(type: number, body: Uint8Array, options: readonly Option[]): Uint8Array {
  const parts = options.filter(([, value]) => value.length > 0);
  const optionBytes = parts.reduce((sum, [, value]) => sum + 4 + padded(value.length), 0) + 4;
  const length = MIN_BLOCK + body.length + optionBytes;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  bytes.set(body, BLOCK_HEADER);
  let at = BLOCK_HEADER + body.length;
  for (const [code, value] of parts) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(length - 4, length, true);
  return bytes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

function text(value: string): Uint8Array {
  const room = new Uint8Array(MAX_OPTION_BYTES);
  return room.subarray(0, encoder.encodeInto(value, room).written);
}

/** High half first, each in the order of the file. */
function time(ns: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Number(ns >> 32n), true);
  view.setUint32(4, Number(ns & 0xffffffffn), true);
  return bytes;
}

function count(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Math.max(0, Math.trunc(value))), true);
  return bytes;
}
