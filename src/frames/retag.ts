/**
 * Gives frames of a batch other VLAN tags (IEEE 802.1Q, 9.3): adds one, takes it away, changes its VLAN.
 *
 * ```
 * | destination | source | tag: type, control | type | payload |
 * 0             6        12    12    14         16     18
 * ```
 *
 * Super-frames stay whole: what their offload header says of places in the frame is moved along. The priority and the
 * drop eligible indicator of a tag stay when its VLAN changes.
 */
import { type FrameBatch, MAX_FRAME_BYTES, OFFLOAD_NEEDS_CHECKSUM, SLOT_WORDS } from './batch.ts';
import { ETHERNET_HEADER, ETHERTYPE_CVLAN, ETHERTYPE_SVLAN, read16, write16 } from './packet.ts';

const TYPE = 12;
const TAG_BYTES = 4;
const VLAN_MASK = 0xfff;
/** The index of frames without a tag, and the rules that are no VLAN; see {@link retagBatch}. */
const NO_TAG = 4096;
const PLAIN = 4096;

/** What was done besides; added up over several calls. */
export interface RetagCounts {
  /** Frames left out: their VLAN does not pass. */
  foreign: number;
  /** Shorter than an Ethernet header. */
  tooShort: number;
  /** Longer than any frame. */
  tooLong: number;
  /** They do not lie in the arena, or end within their tag, or have an offload header that is impossible. */
  malformed: number;
  /** Bytes of all these. */
  droppedBytes: number;
  /** Bytes of the tags that were added, without those of the tags that were taken away. */
  addedBytes: number;
}

/** How tags change. */
export interface RetagRules {
  /** The EtherType of the tags that are meant. */
  readonly etherType: number;
  /**
   * What becomes of frames of VLAN 0 to 4095, and (4096) of those without such a tag: the VLAN they have then, 4096 for
   * no tag, 4097 when they do not pass.
   */
  readonly table: Uint16Array;
}

/**
 * Appends to the result what becomes of the frames from slot `first` on.
 *
 * @returns the first slot for which there was no room any more; the batch's count when all are done
 */
export function retagBatch(
  source: FrameBatch,
  first: number,
  { etherType, table }: RetagRules,
  result: FrameBatch,
  counts: RetagCounts,
): number {
  const { arena, slots } = source;
  const out = result.arena;
  let used = endOf(result);
  for (let index = first; index < source.count; index++) {
    const word = index * SLOT_WORDS;
    const offset = slots[word]! >>> 0;
    const length = slots[word + 1]! >>> 0;
    const reason = reasonAgainst(arena, offset, length, etherType);
    const isTagged = reason === undefined && isTag(arena, offset + TYPE, etherType);
    const control = isTagged ? read16(arena, offset + TYPE + 2) : 0;
    const rule = table[isTagged ? control & VLAN_MASK : NO_TAG]!;
    if (reason !== undefined || rule > PLAIN) {
      counts[reason ?? 'foreign']++;
      counts.droppedBytes += length;
      continue;
    }
    const hasTag = rule < PLAIN;
    const payload = TYPE + (isTagged ? TAG_BYTES : 0);
    const body = TYPE + (hasTag ? TAG_BYTES : 0);
    const newLength = length + body - payload;
    if (result.count === result.capacity || used + newLength > out.length) return index;
    const slot = result.count * SLOT_WORDS;
    if (!shiftOffload(slots, word, body - payload, result.slots, slot)) {
      counts.malformed++;
      counts.droppedBytes += length;
      continue;
    }
    copyAddresses(arena, offset, out, used);
    if (hasTag) {
      write16(out, used + TYPE, etherType);
      write16(out, used + TYPE + 2, (control & ~VLAN_MASK) | rule);
    }
    out.set(arena.subarray(offset + payload, offset + length), used + body);
    result.slots[slot] = used;
    result.slots[slot + 1] = newLength;
    result.count++;
    used += newLength;
    counts.addedBytes += body - payload;
  }
  return source.count;
}

/** What makes it no frame, if anything does. */
function reasonAgainst(
  arena: Uint8Array,
  offset: number,
  length: number,
  etherType: number,
): 'tooShort' | 'tooLong' | 'malformed' | undefined {
  if (length < ETHERNET_HEADER) return 'tooShort';
  if (length > MAX_FRAME_BYTES) return 'tooLong';
  if (offset + length > arena.length) return 'malformed';
  return length < ETHERNET_HEADER + TAG_BYTES && isTag(arena, offset + TYPE, etherType) ? 'malformed' : undefined;
}

/** Whether a super-frame among these has two tags already: with a third one it is not cut any more. */
export function hasDeepSuperFrame({ arena, slots, count }: FrameBatch): boolean {
  for (let word = 0; word < count * SLOT_WORDS; word += SLOT_WORDS) {
    if ((slots[word + 2]! & 0xff00) === 0) continue;
    const type = slots[word]! + TYPE;
    if (isAnyTag(arena, type) && isAnyTag(arena, type + TAG_BYTES)) return true;
  }
  return false;
}

function endOf({ count, slots }: FrameBatch): number {
  if (count === 0) return 0;
  const word = (count - 1) * SLOT_WORDS;
  return slots[word]! + slots[word + 1]!;
}

function isTag(arena: Uint8Array, at: number, etherType: number): boolean {
  return arena[at] === etherType >> 8 && arena[at + 1] === (etherType & 0xff);
}

function isAnyTag(arena: Uint8Array, at: number): boolean {
  return isTag(arena, at, ETHERTYPE_CVLAN) || isTag(arena, at, ETHERTYPE_SVLAN);
}

function copyAddresses(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number): void {
  for (let i = 0; i < TYPE; i++) to[toAt + i] = from[fromAt + i]!;
}

/** Writes the offload header for a frame whose network header has moved. Returns whether there can be one. */
function shiftOffload(from: Int32Array, word: number, by: number, to: Int32Array, slot: number): boolean {
  const [kind, sizes] = [from[word + 2]!, from[word + 3]!];
  to[slot + 4] = from[word + 4]!;
  if ((kind & 0xffff) === 0) {
    to[slot + 2] = kind;
    to[slot + 3] = sizes;
    return true;
  }
  const headerLength = kind >>> 16;
  const checksumStart = sizes >>> 16;
  const movedHeader = (kind & 0xff00) !== 0 && headerLength !== 0 ? headerLength + by : headerLength;
  const movedStart = (kind & OFFLOAD_NEEDS_CHECKSUM) !== 0 ? checksumStart + by : checksumStart;
  if (movedHeader < 0 || movedHeader > 0xffff || movedStart < 0 || movedStart > 0xffff) return false;
  to[slot + 2] = (kind & 0xffff) | (movedHeader << 16);
  to[slot + 3] = (sizes & 0xffff) | (movedStart << 16);
  return true;
}
