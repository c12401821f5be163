/**
 * Takes blocks out of a capture ring that another process fills.
 *
 * Where frames are few, each is there at once; where they are many, they are gathered for a moment, so that whoever
 * moves them is not held up by waking the reader for each. What waits is handed over in pieces, between which this
 * process has its turn for everything else: signals, times, and who it listens to.
 *
 * Nothing in the ring is believed: whoever has it may write there. The reader knows by itself where it has got to, and
 * looks at each block before it hands it over.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { type CaptureRing, MAX_CAPTURE_INTERFACES } from '../plugs/capture-ring.ts';
import { native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import { BlockChecker, brokenRing } from './block-checker.ts';

/** How long frames are gathered, in milliseconds, unless the ring fills up before. */
const GATHER_MS = 20;
/** Which part of the ring may fill up before the reader is woken. */
const WAKE_PART = 8;
/** What is handed over at a time, in bytes, unless a single block is longer. */
const MAX_PIECE_BYTES = 1_048_576;
/** More frames than any interface gets to; what others share may say anything. */
const IMPLAUSIBLE_FRAMES = 1e15;

/** What became of frames, of all interfaces. */
export interface ReaderCounts {
  /** Were handed over, and more was asked for. */
  readonly recorded: number;
  /** Found no room in the ring. */
  readonly leftOut: number;
  /** Were in the ring, and not handed over. */
  readonly unread: number;
}

export class RingReader {
  readonly #ring: CaptureRing;
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #size: number;
  readonly #ignored = new Uint8Array(8);
  readonly #checker = new BlockChecker();
  #wake: (() => void) | undefined;
  /** Where it has got to. */
  #position: number;
  /** Where nothing more is read. */
  #end: number | undefined;
  #counts: ReaderCounts = { recorded: 0, leftOut: 0, unread: 0 };

  /**
   * @param ring from now on the reader's
   * @throws VdensError `ERR_NATIVE` when there is no memory
   */
  constructor(ring: CaptureRing) {
    const data = ring.map();
    if (data === undefined) {
      ring.close();
      throw new VdensError('ERR_NATIVE', 'cannot map the ring of a capture. Is memory short?');
    }
    this.#ring = ring;
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#size = data.length / 2;
    this.#position = ring.extent.start;
  }

  /** {@link blocks} has what is there at this moment, nothing that is written after it, and ends. */
  end(): void {
    this.#end ??= this.#ring.extent.end;
    this.#wake?.();
  }

  /**
   * Whole blocks as they come, until {@link end}, or until no more are asked for. They are borrowed until then. Once.
   *
   * @throws VdensError `ERR_NATIVE` when there is something in the ring that is no block
   */
  async *blocks(): AsyncGenerator<Uint8Array> {
    const ring = this.#ring;
    const watch = new Watch(ring.notice, READABLE, () => {
      native.readInto(ring.notice, this.#ignored, 0);
      this.#wake?.();
    });
    let isSound = true;
    try {
      for (;;) {
        const waiting = this.#waiting();
        if (waiting > 0) yield* this.#take(waiting);
        else if (this.#end !== undefined) break;
        if (this.#end !== undefined || waiting > MAX_PIECE_BYTES) await turn();
        else await this.#pause(waiting > 0);
      }
    } catch (error) {
      isSound = false;
      throw error;
    } finally {
      this.#count(isSound);
      watch.end();
      ring.close();
    }
  }

  /** When it has ended. */
  get counts(): ReaderCounts {
    return this.#counts;
  }

  #count(isSound: boolean): void {
    const recorded = this.#counts.recorded;
    let [inRing, leftOut] = [0, 0];
    for (let index = 0; isSound && index < MAX_CAPTURE_INTERFACES; index++) {
      const counts = this.#ring.counts(index);
      if (counts.recorded < IMPLAUSIBLE_FRAMES) inRing += counts.recorded;
      if (counts.leftOut < IMPLAUSIBLE_FRAMES) leftOut += counts.leftOut;
    }
    this.#counts = { recorded, leftOut, unread: Math.max(0, inRing - recorded) };
  }

  /** How many bytes wait. */
  #waiting(): number {
    const { start, end, isSound } = this.#ring.extent;
    if (!isSound || start !== this.#position) throw brokenRing();
    return Math.min(end, this.#end ?? end) - start;
  }

  *#take(waiting: number): Generator<Uint8Array> {
    const at = this.#position % this.#size;
    const { length, frames } = this.#checker.check(this.#view, at, waiting, MAX_PIECE_BYTES);
    yield this.#data.subarray(at, at + length);
    this.#counts = { ...this.#counts, recorded: this.#counts.recorded + frames };
    this.#position += length;
    this.#ring.consume(length);
  }

  /** Waits for the first frame, or, while they come, until some have gathered. */
  async #pause(areComing: boolean): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#ring.await(areComing ? Math.ceil(this.#size / WAKE_PART) : 1)) await turn();
    else await (areComing ? Promise.race([ended, sleep(GATHER_MS)]) : ended);
    this.#wake = undefined;
    this.#ring.await(0);
  }
}
