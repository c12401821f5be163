/** Room for the frames that a wrapper makes of a batch. It grows with what is asked for, and is used again. */
import { FrameBatch } from '../frames/batch.ts';

const FIRST_BYTES = 128 * 1024;
const FIRST_FRAMES = 128;
/** Of a batch that needs more, the frames go on in several. */
const MAX_ROOM_BYTES = 8 * 1024 * 1024;
const MAX_ROOM_FRAMES = 4096;

/** A batch to be filled. */
export class BatchRoom {
  #batch: FrameBatch | undefined;

  /** An empty batch, with that much room, or with the most there is. */
  prepare(frames: number, bytes: number): FrameBatch {
    const last = this.#batch;
    const capacity = atLeast(frames, last?.capacity ?? FIRST_FRAMES, MAX_ROOM_FRAMES);
    const size = atLeast(bytes, last?.arena.length ?? FIRST_BYTES, MAX_ROOM_BYTES);
    const fits = last !== undefined && last.capacity === capacity && last.arena.length === size;
    const batch = fits ? last : new FrameBatch(new Uint8Array(size), capacity);
    batch.count = 0;
    this.#batch = batch;
    return batch;
  }
}

/** Doubles what there is until it is enough, or too much. */
function atLeast(wanted: number, there: number, most: number): number {
  let size = there;
  while (size < wanted && size < most) size *= 2;
  return size;
}
