/**
 * What a plug counts, cheaply enough to be always on.
 *
 * The numbers lie in one array, which the thread that moves frames (native/io/datapath.h) counts in too. Its layout is
 * part of that contract: received, then sent; each frames, bytes, fragmented, and the drops in the order of
 * {@link DROP_REASONS}.
 */

import { type FrameBatch, SLOT_WORDS } from '../frames/batch.ts';
import { CapturePoint } from './capture-point.ts';

/** Why a frame was dropped, in the order in which drops are counted. */
export const DROP_REASONS = [
  /** The other side did not take it in the time a plug waits. */
  'peer-slow',
  /** The plug's own queue was full. */
  'queue-full',
  /** Longer than the other side takes. */
  'too-long',
  /** Shorter than an Ethernet header (14 bytes). */
  'too-short',
  /** An offload header that does not fit its frame, or a length that does not fit the stream. */
  'malformed',
  /** Nobody is at the other end. */
  'down',
  /** The kernel refused it. */
  'refused',
  /** It belongs to another VXLAN network. */
  'foreign-vni',
  /** Somebody sent it who is not at the other end of the line. */
  'foreign-sender',
  /** What is before the frame is no header of this network. */
  'bad-header',
  /** It is what we sent ourselves, to a group that we are in. */
  'echo',
  /** It belongs to a VLAN that the port is not in. */
  'foreign-vlan',
  /** The port does not pass it, because it would go round in circles (spanning tree). */
  'blocked',
  /** Our key does not open it (`agno://`). */
  'undeciphered',
  /** It was enciphered at another time than now. */
  'out-of-window',
  /** It was here before. */
  'replayed',
  /** It was to be lost: an impairment that somebody asked for (`vde tc`, `wirefilter`). */
  'impaired',
] as const;

/** Why a frame was dropped. */
export type DropReason = (typeof DROP_REASONS)[number];

const FRAMES = 0;
const BYTES = 1;
const FRAGMENTED = 2;
const DROPS = 3;
const PER_DIRECTION: number = DROPS + DROP_REASONS.length;
/** How many numbers {@link PlugCounters} counts in; the last says who looks at the frames ({@link CapturePoint}). */
export const COUNTER_VALUES: number = 2 * PER_DIRECTION + 1;

/** One direction of a plug. */
export class DirectionCounters {
  readonly #values: Float64Array;
  #followed: Followed | undefined;
  #addedBytes: (() => number) | undefined;

  constructor(values: Float64Array) {
    this.#values = values;
  }

  /** Frames; a super-frame counts as one where it stays whole. */
  get frames(): number {
    return this.#value(FRAMES);
  }

  get bytes(): number {
    return this.#value(BYTES);
  }

  /** Frames among these that did not fit one packet of the underlay, and left in several. */
  get fragmented(): number {
    return this.#value(FRAGMENTED);
  }

  /** Frames dropped, by reason; absent reasons are zero. */
  get drops(): Partial<Record<DropReason, number>> {
    const entries = DROP_REASONS.map((reason, index) => [reason, this.#value(DROPS + index)] as const);
    return Object.fromEntries(entries.filter(([, frames]) => frames > 0));
  }

  /** Frames dropped for one reason. */
  dropped(reason: DropReason): number {
    return this.#value(DROPS + DROP_REASONS.indexOf(reason));
  }

  /** Frames dropped for any reason. */
  get droppedFrames(): number {
    let frames = 0;
    for (let index = DROPS; index < PER_DIRECTION; index++) frames += this.#value(index);
    return frames;
  }

  /** Leaves out of the bytes, whenever they are looked at, those that whom we {@link follow} counts beside ours. */
  leaveOut(addedBytes: () => number): void {
    this.#addedBytes = addedBytes;
  }

  /** Counts frames that passed. */
  count(frames: number, bytes: number): void {
    this.#values[FRAMES]! += frames;
    this.#values[BYTES]! += bytes;
  }

  /** Counts frames that were dropped. */
  drop(reason: DropReason, frames: number): void {
    if (frames > 0) this.#values[DROPS + DROP_REASONS.indexOf(reason)]! += frames;
  }

  /**
   * Counts what another counts as well, from now on: somebody else moves our frames.
   *
   * @param drops whether what is dropped there counts here, too
   * @returns ends it; what was counted stays
   */
  follow(other: DirectionCounters, drops: boolean): () => void {
    return this.#follow(other, 0, drops ? PER_DIRECTION : DROPS);
  }

  /** Counts what another drops, from now on: somebody else judges our frames before we do. */
  followDrops(other: DirectionCounters): void {
    this.#follow(other, DROPS, PER_DIRECTION);
  }

  #follow(other: DirectionCounters, first: number, end: number): () => void {
    const followed: Followed = { other, first, base: [] };
    for (let index = first; index < end; index++) followed.base.push(other.#value(index));
    this.#followed = followed;
    return () => {
      if (this.#followed !== followed) return;
      this.#followed = undefined;
      for (const [at, before] of followed.base.entries())
        this.#values[first + at]! += other.#value(first + at) - before;
    };
  }

  #value(index: number): number {
    const value = this.#ownAndFollowed(index);
    return index === BYTES && this.#addedBytes !== undefined
      ? Math.max(0, Math.round(value - this.#addedBytes()))
      : value;
  }

  #ownAndFollowed(index: number): number {
    const own = this.#values[index]!;
    const followed = this.#followed;
    const before = followed?.base[index - followed.first];
    return before === undefined ? own : own + followed!.other.#value(index) - before;
  }
}

/** Whose numbers count here as well, and what they were when that began. */
interface Followed {
  readonly other: DirectionCounters;
  /** The first of the numbers that count. */
  readonly first: number;
  readonly base: number[];
}

/** Both directions, seen from this process: `received` came out of the plug, `sent` went into it. */
export class PlugCounters {
  /** All numbers, for those who count without JavaScript. */
  readonly values: Float64Array;
  readonly received: DirectionCounters;
  readonly sent: DirectionCounters;
  /** Where the frames that are counted can be looked at. */
  readonly capture: CapturePoint;

  /** @param values where to count, of {@link COUNTER_VALUES}; shared with another process, perhaps */
  constructor(values: Float64Array = new Float64Array(COUNTER_VALUES)) {
    this.values = values;
    this.received = new DirectionCounters(values.subarray(0, PER_DIRECTION));
    this.sent = new DirectionCounters(values.subarray(PER_DIRECTION, 2 * PER_DIRECTION));
    this.capture = new CapturePoint(values);
  }

  /** Counts `frames` as dropped; a count of zero costs nothing. */
  drop(direction: 'received' | 'sent', reason: DropReason, frames: number): void {
    this[direction].drop(reason, frames);
  }

  /** Counts, from now on, what is counted in our place. Returns what ends it. */
  follow(other: PlugCounters): () => void {
    const ends = [
      this.received.follow(other.received, true),
      this.sent.follow(other.sent, true),
      this.capture.follow(other.capture, false),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  /** Counts, from now on, what another counts whose frames are not ours, but as many. */
  followNumbers(other: PlugCounters): void {
    this.received.follow(other.received, true);
    this.sent.follow(other.sent, true);
  }

  /** Counts, from now on, what is dropped before us on the way. */
  followDrops(other: PlugCounters): void {
    this.received.followDrops(other.received);
    this.sent.followDrops(other.sent);
  }

  /** Counts, from now on, what passes the other end of our line: what came in there has left here. Returns what ends it. */
  mirror(other: PlugCounters): () => void {
    const ends = [
      this.received.follow(other.sent, false),
      this.sent.follow(other.received, false),
      this.capture.follow(other.capture, true),
    ];
    return () => {
      for (const end of ends) end();
    };
  }
}

/** How many bytes the frames of a batch have together. */
export function batchBytes(batch: FrameBatch): number {
  const { slots, count } = batch;
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += slots[i * SLOT_WORDS + 1]!;
  return bytes;
}

/** One line for people: `in 12 frames 1.1 kB, out 9 frames 800 B, dropped out: peer-slow 3`. */
export function formatCounters(counters: PlugCounters): string {
  const { received, sent } = counters;
  const parts = [`in ${formatDirection(received)}`, `out ${formatDirection(sent)}`];
  for (const [name, direction] of [
    ['in', received],
    ['out', sent],
  ] as const) {
    const drops = Object.entries(direction.drops).map(([reason, frames]) => `${reason} ${frames}`);
    if (drops.length > 0) parts.push(`dropped ${name}: ${drops.join(' ')}`);
  }
  return parts.join(', ');
}

function formatDirection({ frames, bytes, fragmented }: DirectionCounters): string {
  return `${frames} frames ${bytes} bytes${fragmented === 0 ? '' : ` (${fragmented} of them in fragments)`}`;
}
