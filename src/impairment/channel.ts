/**
 * One direction of a wire: what becomes of each frame that goes in, and when it comes out.
 *
 * ```
 * mtu ─▶ loss ─▶ dup ─▶ for each copy: capacity ─▶ noise ─▶ speed ─▶ bandwidth ─▶ delay ─▶ waits until its time
 * ```
 *
 * That is the order of wirefilter(1), but for the noise, which it makes at the other end.
 */
import type { FrameBatch } from '../frames/batch.ts';
import { FrameStore } from './frame-store.ts';
import { Random } from './random.ts';
import type { Values } from './settings.ts';
import { isSame, isZero, largest, sample, type Value, ZERO } from './value.ts';

const PERCENT = 100;
const MS_PER_SECOND = 1000;
const NOISE_BITS = 8 * 2 ** 20;
/** As often as one frame may come: with dup=100 it would for ever. */
export const MAX_COPIES = 128;

/** How a frame is measured. */
export interface Measure {
  /** Bytes that each frame has besides, where they are counted. */
  readonly extra: number;
  /** Likewise where it is compared to the MTU. */
  readonly mtuExtra: number;
}

/** What was not let through, in frames; of those that were lost or too long the bytes, too. */
export interface Losses {
  impaired: number;
  tooLong: number;
  queueFull: number;
  malformed: number;
  lostBytes: number;
  /** Frames and bytes that there are more than before, by copying. */
  copies: number;
  copiedBytes: number;
  /** Frames that a super-frame was cut into, less the super-frames. */
  pieces: number;
}

export class Channel {
  store: FrameStore = new FrameStore();
  readonly #measure: Measure;
  #random: Random;
  #frame = 0;
  /** Whether a burst of losses is going on. */
  #isBursting = false;
  /** When the interface, and the bottleneck, are free again. */
  #speedFree = 0;
  #bandwidthFree = 0;
  #values: Values | undefined;
  /** Those that the frames that wait were timed with. */
  #speed: Value = ZERO;
  #bandwidth: Value = ZERO;
  /** The longest delay of those that may wait, in milliseconds. */
  #longestDelay = 0;
  #isFifo = true;
  #now = 0;
  readonly losses: Losses = noLosses();

  /** @param stream which of the independent series of random numbers of the seed */
  constructor(measure: Measure, seed: number, stream: number) {
    this.#measure = measure;
    this.#random = new Random(seed, stream);
  }

  /** Begins anew, with the first frame of another seed. */
  restart(seed: number, stream: number): void {
    this.#random = new Random(seed, stream);
    this.#frame = 0;
    this.#isBursting = false;
  }

  /** When whoever sends may send again: while the interface is busy, it has to wait. */
  get blockedUntil(): number {
    return this.#speedFree;
  }

  /** Bytes that wait, as they are measured. */
  get waitingBytes(): number {
    return this.store.bytes + this.store.count * this.#measure.extra;
  }

  /** Has nobody wait any longer. */
  unblock(now: number): void {
    this.#speedFree = Math.min(this.#speedFree, now);
    this.#bandwidthFree = Math.min(this.#bandwidthFree, now);
    this.store.hurry(now);
  }

  /** Lets go of the memory for frames, when none waits. */
  free(): void {
    if (this.store.count === 0) this.store = new FrameStore();
  }

  /** Forgets the frames that wait, and that anything was busy with them. Returns how many there were. */
  clear(): number {
    this.#speedFree = 0;
    this.#bandwidthFree = 0;
    return this.store.clear();
  }

  /** Has what waits be no later than it would be if it had come now: it may have been timed when all was slower. */
  follow(values: Values, now: number): void {
    if (this.store.count === 0) this.#longestDelay = 0;
    this.#longestDelay = Math.max(this.#longestDelay, largest(values.delay));
    const { speed, bandwidth } = values;
    if (isSame(speed, this.#speed) && isSame(bandwidth, this.#bandwidth)) return;
    this.#speed = speed;
    this.#bandwidth = bandwidth;
    const bytes = this.waitingBytes;
    this.#speedFree = Math.min(this.#speedFree, now + bytes * msPerByte(speed));
    this.#bandwidthFree = Math.min(this.#bandwidthFree, now + bytes * msPerByte(bandwidth));
    const slower = Math.max(msPerByte(speed), msPerByte(bandwidth));
    this.store.hurry(now + this.#longestDelay, slower, this.#measure.extra);
  }

  /** Takes frames in. What is not let through is added to {@link losses}. */
  take(batch: FrameBatch, maxFrameBytes: number, now: number, values: Values, isFifo: boolean): void {
    this.#values = values;
    this.#isFifo = isFifo;
    this.#now = now;
    this.follow(values, now);
    const cut = this.store.take(batch, maxFrameBytes, this.#each);
    const { losses } = this;
    losses.malformed += cut.malformed;
    losses.tooLong += cut.tooLong;
    losses.queueFull += cut.left;
    losses.pieces += cut.frames + cut.malformed + cut.tooLong + cut.left - batch.count;
    for (let i = batch.count - cut.left; i < batch.count; i++) losses.lostBytes += batch.frameLength(i);
  }

  readonly #each = (length: number): void => {
    const values = this.#values!;
    const { losses } = this;
    this.#random.begin(this.#frame++);
    if (!isZero(values.mtu) && length + this.#measure.mtuExtra > values.mtu.base) {
      losses.tooLong++;
      losses.lostBytes += length;
    } else if (this.#isLost(values)) {
      losses.impaired++;
      losses.lostBytes += length;
    } else {
      this.#copyOften(values, length);
    }
  };

  /** Each by itself, or in bursts: then a chain of two states, in one of which all are lost (Gilbert, 1960). */
  #isLost({ loss, lostburst }: Values): boolean {
    if (isZero(loss)) {
      this.#isBursting = false;
      return false;
    }
    const random = this.#random;
    const share = sample(loss, random) / PERCENT;
    const burst = sample(lostburst, random);
    const chance = random.next();
    if (share >= 1) return true;
    if (burst <= 0) return chance < share;
    const enter = share / (burst * (1 - share));
    this.#isBursting = this.#isBursting ? chance >= 1 / burst : chance < enter;
    return this.#isBursting;
  }

  #copyOften(values: Values, length: number): void {
    const { losses } = this;
    const random = this.#random;
    const again = isZero(values.dup) ? 0 : sample(values.dup, random) / PERCENT;
    let copies = 1;
    while (again > 0 && copies < MAX_COPIES && random.next() < again) copies++;
    const isNoisy = !isZero(values.noise);
    for (let copy = 0; copy < copies; copy++) {
      if (copy > 0) {
        losses.copies++;
        losses.copiedBytes += length;
      }
      if (!this.#pass(values, length, isNoisy, copy === copies - 1)) {
        losses.queueFull++;
        losses.lostBytes += length;
      }
    }
  }

  /** @returns false when there is no room */
  #pass(values: Values, length: number, isNoisy: boolean, isLast: boolean): boolean {
    const random = this.#random;
    const size = length + this.#measure.extra;
    // Drawn whether there is room or not: so what follows does not depend on it.
    const delay = isZero(values.delay) ? 0 : sample(values.delay, random);
    const speed = isZero(values.speed) ? 0 : sample(values.speed, random);
    const bandwidth = isZero(values.bandwidth) ? 0 : sample(values.bandwidth, random);
    const capacity = isZero(values.capacity) ? 0 : sample(values.capacity, random);
    const { store } = this;
    let fits = capacity === 0 || this.waitingBytes + size <= capacity;
    if (fits) {
      const time = this.#timeOf(size, delay, speed, bandwidth);
      // The last one takes the bytes that are there; those before need their own when they are to be changed.
      fits = isNoisy && !isLast ? store.putCopy(time) : store.put(time);
    }
    if (isNoisy) this.#disturb(sample(values.noise, random), length, fits, isLast);
    return fits;
  }

  #timeOf(size: number, delay: number, speed: number, bandwidth: number): number {
    let time = this.#now;
    if (speed > 0) {
      time = Math.max(time, this.#speedFree) + (size * MS_PER_SECOND) / speed;
      this.#speedFree = time;
    }
    if (bandwidth > 0) {
      time = Math.max(time, this.#bandwidthFree) + (size * MS_PER_SECOND) / bandwidth;
      this.#bandwidthFree = time;
    }
    time += delay;
    return this.#isFifo && this.store.count > 0 ? Math.max(time, this.store.lastTime) : time;
  }

  /** Turns over each bit with a probability of `noise` in 2^20 bytes: the gaps between them are geometric. */
  #disturb(noise: number, length: number, isThere: boolean, isLast: boolean): void {
    const chance = Math.min(noise / NOISE_BITS, 1);
    if (chance <= 0) return;
    const place = !isThere ? undefined : isLast ? this.store.offered : this.store.copied;
    const scale = Math.log(1 - chance);
    const bits = 8 * length;
    for (let bit = this.#gap(scale); bit < bits; bit += 1 + this.#gap(scale)) {
      // Drawn whether there was room for it or not: so the next copy does not depend on it.
      if (place !== undefined) place.arena[place.offset + (bit >>> 3)]! ^= 1 << (bit & 7);
    }
  }

  #gap(scale: number): number {
    return Math.floor(Math.log(1 - this.#random.next()) / scale);
  }
}

/** How long a byte takes at a rate, in milliseconds; nothing where there is none. */
function msPerByte(rate: Value): number {
  const bytesPerSecond = rate.base || largest(rate);
  return bytesPerSecond === 0 ? 0 : MS_PER_SECOND / bytesPerSecond;
}

export function noLosses(): Losses {
  return {
    impaired: 0,
    tooLong: 0,
    queueFull: 0,
    malformed: 0,
    lostBytes: 0,
    copies: 0,
    copiedBytes: 0,
    pieces: 0,
  };
}
