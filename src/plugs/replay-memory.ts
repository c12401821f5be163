/**
 * Remembers which frames were seen lately, by 64 bits of each.
 *
 * The places of a frame are the {@link WAYS} of one set; a new frame takes that of the one that has been there longest.
 * It is the most recent frames that are known, so many that who replays one has to wait, and then its time is over.
 */

/** Frames that are remembered: those of some seconds, unless it is the traffic of a very fast link. */
export const MAX_REMEMBERED_FRAMES = 262_144;
const WAYS = 4;
const SETS: number = MAX_REMEMBERED_FRAMES / WAYS;
const WORDS_PER_SET: number = 2 * WAYS;

export class ReplayMemory {
  #words: Uint32Array | undefined;

  /** Remembers a frame, by words that no other has. Returns whether it was known already. */
  isKnown(high: number, low: number): boolean {
    this.#words ??= new Uint32Array(2 * MAX_REMEMBERED_FRAMES);
    const words = this.#words;
    const set = ((low >>> 0) % SETS) * WORDS_PER_SET;
    for (let at = set; at < set + WORDS_PER_SET; at += 2) {
      if (words[at] === high >>> 0 && words[at + 1] === low >>> 0) return true;
    }
    words.copyWithin(set + 2, set, set + WORDS_PER_SET - 2);
    words[set] = high;
    words[set + 1] = low;
    return false;
  }
}
