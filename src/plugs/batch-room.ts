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
  /** Somebody reads what is in it. */
  #isInUse = false;

  /**
   * An empty batch, with that much room, or with the most there is; until {@link release}. Who gets the frames may send
   * others before it has read them all: then there is another one.
   */
  prepare(frames: number, bytes: number): FrameBatch {
    const last = this.#isInUse ? undefined : this.#batch;
    const capacity = atLeast(frames, last?.capacity ?? FIRST_FRAMES, MAX_ROOM_FRAMES);
    const size = atLeast(bytes, last?.arena.length ?? FIRST_BYTES, MAX_ROOM_BYTES);
    const fits = last !== undefined && last.capacity === capacity && last.arena.length === size;
    const batch = fits ? last : new FrameBatch(new Uint8Array(size), capacity);
    batch.count = 0;
    if (!this.#isInUse) this.#batch = batch;
    this.#isInUse = true;
    return batch;
  }

  /** Nobody needs the frames any more. */
  release(batch: FrameBatch): void {
    if (batch === this.#batch) this.#isInUse = false;
  }
}

/** Doubles what there is until it is enough, or too much. */
function atLeast(wanted: number, there: number, most: number): number {
  let size = there;
  while (size < wanted && size < most) size *= 2;
  return size;
}
