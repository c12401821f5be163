/**
 * What travels between plugs: a batch of Ethernet frames, super-frames among them.
 *
 * ```
 * arena   ....[frame 0 ......]..[frame 1 ............................]......[frame 2]...
 *              ^offset,length    ^offset,length                             ^
 * slots   | offset | length | offload header (10 bytes) | pad |  x capacity
 * ```
 *
 * A *super-frame* is a TCP or UDP packet of up to 64 KiB that still has to be cut into frames of the
 * link's MTU and checksummed; its offload header (the virtio-net header of the Linux TAP device) says
 * how. An ordinary frame has an all-zero header. The layout of `slots` is shared with native/io/slot.h.
 *
 * A batch handed to a receiver is borrowed: it is the sender's again when the call returns.
 */

/** 32-bit words per slot. */
export const SLOT_WORDS = 5;

/** `flags` bit: the checksum at `checksumStart + checksumOffset` is still to be completed. */
export const OFFLOAD_NEEDS_CHECKSUM = 1;
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_UDP = 3;
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5;
/** Bit in the GSO type: the first segment carries CWR. */
export const GSO_ECN = 0x80;

/** The virtio-net header of a frame, as plain values (for tests, tracing and the reference code). */
export interface OffloadHeader {
  readonly flags: number;
  readonly gsoType: number;
  readonly headerLength: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

/** The largest thing one slot can hold: a 64 KiB IP packet, Ethernet header, two VLAN tags, rounded up. */
export const MAX_FRAME_BYTES = 65_600;

/** A batch of frames: an arena of bytes and where in it each frame lies. */
export class FrameBatch {
  /** The bytes; frames may lie anywhere in it, in any order. */
  readonly arena: Uint8Array;
  /** The slots, {@link SLOT_WORDS} words each. */
  readonly slots: Int32Array;
  /** How many slots there are. */
  readonly capacity: number;
  /** How many slots are in use. */
  count = 0;

  constructor(arena: Uint8Array, capacity: number) {
    this.arena = arena;
    this.capacity = capacity;
    this.slots = new Int32Array(capacity * SLOT_WORDS);
  }

  /** Where frame `index` begins in the arena. */
  offset(index: number): number {
    return this.slots[index * SLOT_WORDS]!;
  }

  /** How many bytes frame `index` has. */
  frameLength(index: number): number {
    return this.slots[index * SLOT_WORDS + 1]!;
  }

  /** Whether frame `index` has anything left to do (a checksum or segmentation). */
  hasOffload(index: number): boolean {
    return (this.slots[index * SLOT_WORDS + 2]! & 0xffff) !== 0;
  }

  /** A view of frame `index`; allocates, so not for the way of every frame. */
  frame(index: number): Uint8Array {
    const start = this.offset(index);
    return this.arena.subarray(start, start + this.frameLength(index));
  }

  /** Appends an ordinary frame that already lies in the arena. The caller has checked `count < capacity`. */
  push(offset: number, length: number): void {
    const word = this.count * SLOT_WORDS;
    this.slots[word] = offset;
    this.slots[word + 1] = length;
    this.slots[word + 2] = 0;
    this.slots[word + 3] = 0;
    this.slots[word + 4] = 0;
    this.count++;
  }

  /** The offload header of frame `index`. */
  offload(index: number): OffloadHeader {
    const word = index * SLOT_WORDS + 2;
    const first = this.slots[word]!;
    const second = this.slots[word + 1]!;
    const third = this.slots[word + 2]!;
    return {
      flags: first & 0xff,
      gsoType: (first >>> 8) & 0xff,
      headerLength: first >>> 16,
      gsoSize: second & 0xffff,
      checksumStart: second >>> 16,
      checksumOffset: third & 0xffff,
    };
  }

  /** Sets the offload header of frame `index`. */
  setOffload(index: number, header: OffloadHeader): void {
    const word = index * SLOT_WORDS + 2;
    this.slots[word] = header.flags | (header.gsoType << 8) | (header.headerLength << 16);
    this.slots[word + 1] = header.gsoSize | (header.checksumStart << 16);
    this.slots[word + 2] = header.checksumOffset;
  }
}

/** A batch made of copies of these ordinary frames, laid end to end. */
export function batchOf(frames: readonly Uint8Array[]): FrameBatch {
  const arena = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0));
  const batch = new FrameBatch(arena, frames.length);
  let offset = 0;
  for (const frame of frames) {
    arena.set(frame, offset);
    batch.push(offset, frame.length);
    offset += frame.length;
  }
  return batch;
}
