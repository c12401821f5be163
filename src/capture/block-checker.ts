/** Whether what somebody else wrote into a ring is what a capture file may have. */
import { VdensError } from '../errors.ts';
import { blockLength, interfaceOfFrame, isWholeBlock, kindOfBlock } from './pcapng.ts';

/** Blocks that are as they should be. */
export interface CheckedBlocks {
  /** In bytes. */
  readonly length: number;
  /** How many of them are frames. */
  readonly frames: number;
}

/** Looks at blocks in their order. */
export class BlockChecker {
  #interfaces: number;

  /** @param interfaces how many were described before */
  constructor(interfaces = 0) {
    this.#interfaces = interfaces;
  }

  /**
   * Looks at the blocks that begin at an offset.
   *
   * @param waiting how many bytes there are, all of them of whole blocks
   * @param most how many are looked at, or one block when that is longer
   * @throws VdensError `ERR_NATIVE` when one is none, contradicts itself, or is of an interface that was not described
   */
  check(view: DataView, offset: number, waiting: number, most: number): CheckedBlocks {
    const end = offset + waiting;
    let at = offset;
    let frames = 0;
    while (at < end) {
      const length = blockLength(view, at, end) ?? 0;
      if (length === 0 || !isWholeBlock(view, at, length)) throw brokenRing();
      if (at > offset && at + length - offset > most) break;
      const kind = kindOfBlock(view, at);
      if (kind === 'other') throw brokenRing();
      if (kind === 'interface') this.#interfaces++;
      if (kind === 'frame') frames++;
      if (kind !== 'interface' && interfaceOfFrame(view, at) >= this.#interfaces) throw brokenRing();
      at += length;
    }
    return { length: at - offset, frames };
  }
}

/** Somebody wrote into a ring who does not record. */
export function brokenRing(): VdensError {
  return new VdensError(
    'ERR_NATIVE',
    'the ring of the capture holds something that is no block: another process wrote into it. Capture again',
  );
}
