/**
 * Takes blocks out of a capture ring that another process fills.
 *
 * Where frames are few, each is there at once; where they are many, they are gathered for a moment, so that whoever
 * moves them is not held up by waking the reader for each.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { type CaptureRing, MAX_CAPTURE_INTERFACES } from '../plugs/capture-ring.ts';
import { native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';

/** How long frames are gathered, in milliseconds, unless the ring fills up before. */
const GATHER_MS = 20;
/** Which part of the ring may fill up before the reader is woken. */
const WAKE_PART = 8;

/** Does something with whole blocks, which are borrowed until it is done. */
export type BlockHandler = (blocks: Uint8Array) => Promise<void> | void;

export class RingReader {
  readonly #ring: CaptureRing;
  readonly #data: Uint8Array;
  readonly #size: number;
  readonly #watch: Watch;
  readonly #ignored = new Uint8Array(8);
  #wake: (() => void) | undefined;
  #isEnding = false;
  #counts = { recorded: 0, leftOut: 0 };

  /**
   * @param ring from now on the reader's
   * @throws VdensError `ERR_NATIVE` when there is no memory
   */
  constructor(ring: CaptureRing) {
    const data = ring.map();
    if (data === undefined) throw new VdensError('ERR_NATIVE', 'cannot map the ring of a capture. Is memory short?');
    this.#ring = ring;
    this.#data = data;
    this.#size = data.length / 2;
    this.#watch = new Watch(ring.notice, READABLE, () => {
      native.readInto(ring.notice, this.#ignored, 0);
      this.#wake?.();
    });
  }

  /** Nothing more is written: {@link run} takes what is left, and ends. */
  end(): void {
    this.#isEnding = true;
    this.#wake?.();
  }

  /** Hands over blocks as they come, until {@link end}, or until the handler throws, which ends it. */
  async run(handle: BlockHandler): Promise<void> {
    try {
      for (;;) {
        const isLast = this.#isEnding;
        const taken = await this.#take(handle);
        if (isLast && taken === 0) return;
        if (!this.#isEnding) await this.#pause(taken > 0);
      }
    } finally {
      this.#count();
      this.#watch.end();
      this.#ring.close();
    }
  }

  /** Of all interfaces, when it has ended. */
  get counts(): { readonly recorded: number; readonly leftOut: number } {
    return this.#counts;
  }

  #count(): void {
    for (let index = 0; index < MAX_CAPTURE_INTERFACES; index++) {
      const { recorded, leftOut } = this.#ring.counts(index);
      this.#counts = { recorded: this.#counts.recorded + recorded, leftOut: this.#counts.leftOut + leftOut };
    }
  }

  async #take(handle: BlockHandler): Promise<number> {
    const { start, end } = this.#ring.extent;
    const length = end - start;
    if (length === 0) return 0;
    const at = start % this.#size;
    await handle(this.#data.subarray(at, at + length));
    this.#ring.consume(length);
    return length;
  }

  /** Waits for the first frame, or, while they come, until some have gathered. */
  async #pause(areComing: boolean): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (!this.#ring.await(areComing ? Math.ceil(this.#size / WAKE_PART) : 1))
      await (areComing ? Promise.race([ended, sleep(GATHER_MS)]) : ended);
    this.#wake = undefined;
    this.#ring.await(0);
  }
}
