/**
 * What a plug counts, cheaply enough to be always on: plain number fields, read with a snapshot.
 */

import { type FrameBatch, SLOT_WORDS } from '../frames/batch.ts';

/** Why a frame was dropped. */
export type DropReason =
  /** The other side did not take it in the time a plug waits. */
  | 'peer-slow'
  /** The plug's own queue was full. */
  | 'queue-full'
  /** Longer than the other side takes. */
  | 'too-long'
  /** Shorter than an Ethernet header (14 bytes). */
  | 'too-short'
  /** An offload header that does not fit its frame, or a length that does not fit the stream. */
  | 'malformed'
  /** Nobody is at the other end. */
  | 'down'
  /** The kernel refused it. */
  | 'refused';

/** One direction of a plug. */
export interface DirectionCounters {
  /** Frames; a super-frame counts as one where it stays whole. */
  frames: number;
  bytes: number;
  /** Frames dropped, by reason; absent reasons are zero. */
  drops: Partial<Record<DropReason, number>>;
}

/** Both directions, seen from this process: `received` came out of the plug, `sent` went into it. */
export class PlugCounters {
  readonly received: DirectionCounters = { frames: 0, bytes: 0, drops: {} };
  readonly sent: DirectionCounters = { frames: 0, bytes: 0, drops: {} };

  /** Counts `frames` as dropped; a count of zero costs nothing. */
  drop(direction: 'received' | 'sent', reason: DropReason, frames: number): void {
    if (frames === 0) return;
    const drops = this[direction].drops;
    drops[reason] = (drops[reason] ?? 0) + frames;
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

function formatDirection({ frames, bytes }: DirectionCounters): string {
  return `${frames} frames ${bytes} bytes`;
}
