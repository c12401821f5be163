/** The functions of the addon with the shape of the plain reference, so that tests can compare the two. */
import assert from 'node:assert/strict';
import { FrameBatch, MAX_FRAME_BYTES, type OffloadHeader } from '../../../src/frames/batch.ts';
import { type JoinedFrame, joinFrames } from '../../../src/frames/join.ts';
import type { SegmentedFrames } from '../../../src/frames/segment.ts';
import { native } from '../../../src/system/native.ts';

/** What a frame without anything left to do has. */
export const noOffload: OffloadHeader = {
  flags: 0,
  gsoType: 0,
  headerLength: 0,
  gsoSize: 0,
  checksumStart: 0,
  checksumOffset: 0,
};

/** A batch of copies of these frames with these offload headers, at odd and even places. */
export function batchWith(frames: readonly JoinedFrame[]): FrameBatch {
  const arena = new Uint8Array(frames.reduce((sum, { frame }) => sum + frame.length + 1, 0));
  const batch = new FrameBatch(arena, Math.max(1, frames.length));
  let offset = 0;
  for (const { frame, offload } of frames) {
    arena.set(frame, offset);
    batch.push(offset, frame.length);
    batch.setOffload(batch.count - 1, offload);
    offset += frame.length + 1;
  }
  return batch;
}

/** Segments in rounds, with an output that may be too small for all at once. */
export function nativeSegment(
  batch: FrameBatch,
  maxFrameBytes: number,
  arenaBytes = 4_000_000,
  slots = 20_000,
): SegmentedFrames & { rounds: number } {
  const out = new FrameBatch(new Uint8Array(arenaBytes), slots);
  const frames: Uint8Array[] = [];
  let malformed = 0;
  let tooLong = 0;
  let rounds = 0;
  for (let first = 0; first < batch.count; rounds++) {
    const result = new Uint32Array(4);
    const { arena, slots } = batch;
    native.segmentBatch(arena, slots, first, batch.count - first, out.arena, out.slots, maxFrameBytes, result);
    if (result[0] === 0) throw new Error('no progress with an empty output');
    first += result[0]!;
    malformed += result[2]!;
    tooLong += result[3]!;
    for (let index = 0; index < result[1]!; index++) {
      if (out.hasOffload(index)) throw new Error('an output frame with something left to do');
      frames.push(out.frame(index).slice());
    }
  }
  return { frames, malformed, tooLong, rounds };
}

/** Joins, and checks that the input was only read. */
export function nativeJoin(batch: FrameBatch): JoinedFrame[] {
  const before = batch.arena.slice();
  const bytes = Array.from({ length: batch.count }, (_, i) => batch.frameLength(i) >>> 0).reduce((a, b) => a + b, 0);
  const out = new FrameBatch(new Uint8Array(Math.min(bytes, 256 * MAX_FRAME_BYTES)), Math.max(1, batch.count));
  out.count = native.joinBatch(batch.arena, batch.slots, batch.count, out.arena, out.slots);
  if (Buffer.compare(before, batch.arena) !== 0) throw new Error('the input was written to');
  return Array.from({ length: out.count }, (_, index) => ({
    frame: out.frame(index).slice(),
    offload: out.offload(index),
  }));
}

/** Joins with both implementations; throws when they differ. */
export function joinBoth(frames: readonly JoinedFrame[]): JoinedFrame[] {
  const batch = batchWith(frames);
  const expected = joinFrames(batch);
  assert.deepEqual(nativeJoin(batch), expected);
  return expected;
}
