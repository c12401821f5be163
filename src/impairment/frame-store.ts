/**
 * Frames that wait for their time.
 *
 * A batch is copied as a whole, cut into ordinary frames on the way; then each frame is put in with the time at which it
 * may leave, or is not. Nothing is allocated for a frame.
 *
 * ```
 * chunk    | frame | frame | frame |..free..|   bytes; used again when all its frames have left
 * ring     t0 ≤ t1 ≤ t2 ≤ …                     when, and where in which chunk: most frames
 * heap     those that may leave before others that came earlier
 * ```
 */
import { FrameBatch, SLOT_WORDS } from '../frames/batch.ts';
import { native } from '../system/native.ts';

/** As large as two of the largest batches of a TAP when they are cut. */
const CHUNK_BYTES = 2 * 1024 * 1024;
/** Room that a batch may need. */
const MIN_FREE_BYTES = 1024 * 1024;
/** Frames of a batch that are cut at a time. */
const CUT_FRAMES = 1024;
/** As many frames leave at a time. */
const BATCH_FRAMES = 128;
/** As many bytes may wait in one direction, with the gaps that frames leave. */
export const MAX_WAITING_BYTES: number = 128 * 1024 * 1024;
const MAX_CHUNKS: number = MAX_WAITING_BYTES / CHUNK_BYTES;
/** As many frames may wait in one direction. */
export const MAX_WAITING_FRAMES = 262_144;
/** Chunks without frames that are kept for later. */
const SPARE_CHUNKS = 2;
const FIRST_CAPACITY = 1024;

/** Bytes of frames. */
interface Chunk {
  readonly batch: FrameBatch;
  used: number;
  /** Frames in it that wait. */
  frames: number;
}

/** What became of a batch that was cut. */
export interface Cut {
  /** Ordinary frames that there are now, of which each can be put in. */
  readonly frames: number;
  readonly malformed: number;
  readonly tooLong: number;
  /** Frames of the batch, at its end, that there was no room for. */
  readonly left: number;
}

/** Frames in order of time; places are by number. */
class Places {
  times: Float64Array = new Float64Array(FIRST_CAPACITY);
  orders: Float64Array = new Float64Array(FIRST_CAPACITY);
  offsets: Int32Array = new Int32Array(FIRST_CAPACITY);
  lengths: Int32Array = new Int32Array(FIRST_CAPACITY);
  chunks: (Chunk | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);

  get capacity(): number {
    return this.times.length;
  }

  copy(from: number, to: number): void {
    this.times[to] = this.times[from]!;
    this.orders[to] = this.orders[from]!;
    this.offsets[to] = this.offsets[from]!;
    this.lengths[to] = this.lengths[from]!;
    this.chunks[to] = this.chunks[from];
  }

  /** Twice as many; the `count` from `first` on, around the end, come to the beginning. */
  grow(first: number, count: number): void {
    const old = { ...this };
    const { capacity } = this;
    this.times = new Float64Array(2 * capacity);
    this.orders = new Float64Array(2 * capacity);
    this.offsets = new Int32Array(2 * capacity);
    this.lengths = new Int32Array(2 * capacity);
    this.chunks = new Array(2 * capacity).fill(undefined);
    for (let i = 0; i < count; i++) {
      const from = (first + i) & (capacity - 1);
      this.times[i] = old.times[from]!;
      this.orders[i] = old.orders[from]!;
      this.offsets[i] = old.offsets[from]!;
      this.lengths[i] = old.lengths[from]!;
      this.chunks[i] = old.chunks[from];
    }
  }
}

export class FrameStore {
  readonly #ring = new Places();
  #first = 0;
  #ringCount = 0;
  #lastTime = 0;
  readonly #heap = new Places();
  #heapCount = 0;
  #order = 0;
  #bytes = 0;
  #chunk: Chunk | undefined;
  readonly #spare: Chunk[] = [];
  #chunks = 0;
  readonly #slots = new Int32Array(CUT_FRAMES * SLOT_WORDS);
  readonly #result = new Uint32Array(4);

  /** How many frames wait. */
  get count(): number {
    return this.#ringCount + this.#heapCount;
  }

  /** Bytes of frames that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the next frame may leave; infinity when none waits. */
  get nextTime(): number {
    const ring = this.#ringCount === 0 ? Number.POSITIVE_INFINITY : this.#ring.times[this.#first]!;
    const heap = this.#heapCount === 0 ? Number.POSITIVE_INFINITY : this.#heap.times[0]!;
    return Math.min(ring, heap);
  }

  /** The latest time at which a frame that waits may leave. */
  get lastTime(): number {
    return this.#lastTime;
  }

  /**
   * Copies a batch, and calls once for each ordinary frame that it stands for: who is called may put it in with
   * {@link put}, more than once.
   *
   * @returns what could not be copied
   */
  take(source: FrameBatch, maxFrameBytes: number, each: (length: number) => void): Cut {
    let first = 0;
    let frames = 0;
    let malformed = 0;
    let tooLong = 0;
    while (first < source.count) {
      const chunk = this.#roomyChunk();
      if (chunk === undefined) return { frames, malformed, tooLong, left: source.count - first };
      const result = this.#result;
      const base = chunk.used;
      const room = chunk.batch.arena.subarray(base);
      const left = source.count - first;
      native.segmentBatch(source.arena, source.slots, first, left, room, this.#slots, maxFrameBytes, result);
      const [consumed = 0, produced = 0, bad = 0, long = 0] = result;
      malformed += bad;
      tooLong += long;
      this.#offer(chunk, base, produced, each);
      frames += produced;
      if (consumed === 0) return { frames, malformed: malformed + left, tooLong, left: 0 };
      first += consumed;
    }
    return { frames, malformed, tooLong, left: 0 };
  }

  /** The frame that is being offered, for who would change its bytes. */
  get offered(): { readonly arena: Uint8Array; readonly offset: number; readonly length: number } {
    return { arena: this.#offeredChunk!.batch.arena, offset: this.#offeredOffset, length: this.#offeredLength };
  }

  #offeredChunk: Chunk | undefined;
  #offeredOffset = 0;
  #offeredLength = 0;

  #offer(chunk: Chunk, base: number, produced: number, each: (length: number) => void): void {
    const slots = this.#slots;
    if (produced === 0) return;
    const last = (produced - 1) * SLOT_WORDS;
    chunk.used = base + slots[last]! + slots[last + 1]!;
    this.#offeredChunk = chunk;
    // As long as they are offered, the chunk is not used for others.
    chunk.frames++;
    for (let i = 0; i < produced; i++) {
      this.#offeredOffset = base + slots[i * SLOT_WORDS]!;
      this.#offeredLength = slots[i * SLOT_WORDS + 1]!;
      each(this.#offeredLength);
    }
    this.#offeredChunk = undefined;
    this.#leaveChunk(chunk);
  }

  /**
   * Has the frame that is being offered leave at a time.
   *
   * @returns false when too many wait
   */
  put(time: number): boolean {
    return this.#putAt(time, this.#offeredChunk!, this.#offeredOffset);
  }

  /** Likewise, with a copy of its bytes that is its own: where they are is {@link copied}. */
  putCopy(time: number): boolean {
    const length = this.#offeredLength;
    const from = this.#offeredChunk!;
    let chunk: Chunk | undefined = from;
    if (chunk.used + length > CHUNK_BYTES) chunk = this.#newChunk();
    if (chunk === undefined) return false;
    const offset = chunk.used;
    chunk.batch.arena.set(from.batch.arena.subarray(this.#offeredOffset, this.#offeredOffset + length), offset);
    chunk.used += length;
    this.copied = { arena: chunk.batch.arena, offset, length };
    return this.#putAt(time, chunk, offset);
  }

  /** What {@link putCopy} copied last. */
  copied: FrameStore['offered'] | undefined;

  #putAt(time: number, chunk: Chunk, offset: number): boolean {
    if (this.count >= MAX_WAITING_FRAMES) return false;
    if (this.count === 0 || time >= this.#lastTime) this.#append(time, chunk, offset);
    else this.#insert(time, chunk, offset);
    this.#order++;
    chunk.frames++;
    this.#bytes += this.#offeredLength;
    return true;
  }

  /**
   * Hands over frames whose time has come, in batches, as long as they are taken.
   *
   * @param deliver returns whether it would take more
   */
  release(now: number, deliver: (batch: FrameBatch) => boolean): void {
    for (let wantsMore = true; wantsMore && this.nextTime <= now; ) {
      const chunk = this.#nextChunk();
      const { batch } = chunk;
      batch.count = 0;
      while (batch.count < BATCH_FRAMES && this.nextTime <= now && this.#nextChunk() === chunk) this.#pop(batch);
      const { count } = batch;
      wantsMore = deliver(batch);
      chunk.frames -= count - 1;
      this.#leaveChunk(chunk);
    }
  }

  /**
   * Has no frame leave later than at a moment.
   *
   * @param msPerByte by how much later than that for each byte of the frames before it
   * @param extra bytes that a frame counts more than it has
   */
  hurry(from: number, msPerByte = 0, extra = 0): void {
    const { times, lengths } = this.#ring;
    const mask = this.#ring.capacity - 1;
    let at = from;
    for (let i = 0; i < this.#ringCount; i++) {
      const place = (this.#first + i) & mask;
      at += (lengths[place]! + extra) * msPerByte;
      times[place] = Math.min(times[place]!, at);
    }
    // All by the same, so that it stays a heap.
    const end = from + (this.#bytes + this.count * extra) * msPerByte;
    this.#heap.times.subarray(0, this.#heapCount).forEach((time, index, all) => {
      all[index] = Math.min(time, end);
    });
    this.#lastTime = Math.min(this.#lastTime, Math.max(at, end));
  }

  /** Forgets all frames. Returns how many there were. */
  clear(): number {
    const { count } = this;
    for (; this.#ringCount > 0; this.#ringCount--) {
      this.#drop(this.#ring, (this.#first + this.#ringCount - 1) & (this.#ring.capacity - 1));
    }
    for (; this.#heapCount > 0; this.#heapCount--) this.#drop(this.#heap, this.#heapCount - 1);
    this.#bytes = 0;
    return count;
  }

  #drop(places: Places, place: number): void {
    const chunk = places.chunks[place];
    places.chunks[place] = undefined;
    if (chunk !== undefined) this.#leaveChunk(chunk);
  }

  #append(time: number, chunk: Chunk, offset: number): void {
    if (this.#ringCount === this.#ring.capacity) {
      this.#ring.grow(this.#first, this.#ringCount);
      this.#first = 0;
    }
    const place = (this.#first + this.#ringCount) & (this.#ring.capacity - 1);
    this.#write(this.#ring, place, time, chunk, offset);
    this.#ringCount++;
    this.#lastTime = time;
  }

  #insert(time: number, chunk: Chunk, offset: number): void {
    if (this.#heapCount === this.#heap.capacity) this.#heap.grow(0, this.#heapCount);
    const heap = this.#heap;
    let place = this.#heapCount++;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (heap.times[parent]! <= time) break;
      heap.copy(parent, place);
      place = parent;
    }
    this.#write(heap, place, time, chunk, offset);
  }

  #write(places: Places, place: number, time: number, chunk: Chunk, offset: number): void {
    places.times[place] = time;
    places.orders[place] = this.#order;
    places.offsets[place] = offset;
    places.lengths[place] = this.#offeredLength;
    places.chunks[place] = chunk;
  }

  /** Whether the next frame is that of the heap. */
  get #isHeapNext(): boolean {
    if (this.#heapCount === 0 || this.#ringCount === 0) return this.#ringCount === 0;
    const heap = this.#heap.times[0]!;
    const ring = this.#ring.times[this.#first]!;
    return heap < ring || (heap === ring && this.#heap.orders[0]! < this.#ring.orders[this.#first]!);
  }

  #nextChunk(): Chunk {
    return this.#isHeapNext ? this.#heap.chunks[0]! : this.#ring.chunks[this.#first]!;
  }

  #pop(batch: FrameBatch): void {
    const isHeap = this.#isHeapNext;
    const places = isHeap ? this.#heap : this.#ring;
    const place = isHeap ? 0 : this.#first;
    const length = places.lengths[place]!;
    batch.push(places.offsets[place]!, length);
    this.#bytes -= length;
    places.chunks[place] = undefined;
    if (isHeap) this.#popHeap();
    else {
      this.#first = (this.#first + 1) & (places.capacity - 1);
      this.#ringCount--;
    }
  }

  #popHeap(): void {
    const heap = this.#heap;
    const last = --this.#heapCount;
    if (last === 0) return;
    const time = heap.times[last]!;
    const order = heap.orders[last]!;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= last) break;
      if (child + 1 < last && isBefore(heap, child + 1, child)) child++;
      if (heap.times[child]! > time || (heap.times[child] === time && heap.orders[child]! > order)) break;
      heap.copy(child, place);
      place = child;
    }
    heap.copy(last, place);
    heap.chunks[last] = undefined;
  }

  #roomyChunk(): Chunk | undefined {
    const chunk = this.#chunk;
    if (chunk !== undefined && CHUNK_BYTES - chunk.used >= MIN_FREE_BYTES) return chunk;
    return this.#newChunk();
  }

  #newChunk(): Chunk | undefined {
    const before = this.#chunk;
    if (this.#spare.length === 0 && this.#chunks === MAX_CHUNKS) return undefined;
    const batch = (): FrameBatch => new FrameBatch(new Uint8Array(CHUNK_BYTES), BATCH_FRAMES);
    const spare = this.#spare.pop();
    if (spare === undefined) this.#chunks++;
    this.#chunk = spare ?? { batch: batch(), used: 0, frames: 0 };
    if (before !== undefined && before.frames === 0) this.#reclaim(before);
    return this.#chunk;
  }

  /** One of its frames has left. */
  #leaveChunk(chunk: Chunk): void {
    if (--chunk.frames > 0) return;
    if (chunk === this.#chunk) chunk.used = 0;
    else this.#reclaim(chunk);
  }

  #reclaim(chunk: Chunk): void {
    chunk.used = 0;
    if (this.#spare.length < SPARE_CHUNKS) this.#spare.push(chunk);
    else this.#chunks--;
  }
}

function isBefore({ times, orders }: Places, a: number, b: number): boolean {
  return times[a]! < times[b]! || (times[a] === times[b] && orders[a]! < orders[b]!);
}
