/**
 * Random numbers that can be had again: for each frame of a direction its own short series, made of the seed, the
 * direction and the number of the frame. So what becomes of a frame depends on nothing that timing has a part in, such
 * as how many frames before it found a queue full.
 *
 * The series is xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), whose state
 * comes from splitmix32, as its authors recommend.
 */

const GOLDEN = 0x9e37_79b9;
const TWO_32 = 2 ** 32;
const LOW_BITS = 2 ** 26;
const TWO_53 = 2 ** 53;

/** The largest seed. */
export const MAX_SEED: number = Number.MAX_SAFE_INTEGER;

/** Reads a seed; `undefined` when it is none. */
export function readSeed(text: string): number | undefined {
  const seed = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return seed <= MAX_SEED ? seed : undefined;
}

export class Random {
  readonly #key: number;
  readonly #otherKey: number;
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  /**
   * @param seed from 0 to {@link MAX_SEED}
   * @param stream which of the independent series of that seed
   */
  constructor(seed: number, stream: number) {
    this.#key = mix(mix((seed % TWO_32) | 0) + Math.imul(stream + 1, GOLDEN));
    this.#otherKey = mix(mix(Math.floor(seed / TWO_32)) ^ this.#key);
  }

  /** Begins the series of a frame. */
  begin(frame: number): void {
    const high = mix(Math.floor(frame / TWO_32)) ^ this.#otherKey;
    let state = mix(this.#key + Math.imul(frame | 0, GOLDEN)) ^ high;
    state = (state + GOLDEN) | 0;
    this.#a = mix(state);
    state = (state + GOLDEN) | 0;
    this.#b = mix(state);
    state = (state + GOLDEN) | 0;
    this.#c = mix(state);
    state = (state + GOLDEN) | 0;
    // All four are never zero.
    this.#d = mix(state) | 1;
  }

  /** At least 0 and below 1, with 53 bits. */
  next(): number {
    const high = this.#word() >>> 5;
    return (high * LOW_BITS + (this.#word() >>> 6)) / TWO_53;
  }

  /** Of the normal distribution around 0, with a standard deviation of 1 (Box and Muller, 1958). */
  nextNormal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  #word(): number {
    const b = this.#b;
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    this.#c ^= this.#a;
    this.#d ^= b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= b << 9;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }
}

/** The finalizer of splitmix32. */
function mix(value: number): number {
  let word = value | 0;
  word = Math.imul(word ^ (word >>> 16), 0x21f0_aaad);
  word = Math.imul(word ^ (word >>> 15), 0x735a_2d97);
  return word ^ (word >>> 15);
}
