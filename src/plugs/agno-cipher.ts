/**
 * The frames of `agno://`, as the original makes them: AES-128 in CBC mode, with a header that is the initial vector.
 *
 * ```
 *  0  6  destination, in clear
 *  6  6  source, in clear
 * 12  2  EtherType outside
 * 14 16  the header, enciphered by itself (ECB)
 * 30 16n the payload and zeros up to a block, enciphered (CBC, the header is the IV)
 *
 * header:  0 EtherType   2 zeros at the end, 0 to 15   3 zero   4 "agno"   8 Unix time   12 random
 * ```
 *
 * Nothing signs a frame, so one can be altered by who does not know the key; what is altered is not what somebody
 * wants, but neither is it always noticed.
 *
 * Theory of operation: a call of the cipher costs as much as a frame, so there is one for the headers of a batch, one
 * for a batch that is deciphered, and one for each payload that is enciphered. The CBC ciphers are never begun anew:
 * they go on from the last block, *p*, of the frame before. As deciphering yields *D(c) ⊕ p*, the right first block
 * is had by `⊕ p ⊕ IV` behind it, and enciphering, *E(x ⊕ p)*, gets the same before it.
 */
import { type Cipher, createCipheriv, createDecipheriv, type Decipher, randomFillSync } from 'node:crypto';
import { FrameBatch, MAX_FRAME_BYTES, SLOT_WORDS } from '../frames/batch.ts';
import { read16, read32, write16, write32 } from '../frames/packet.ts';
import { ReplayMemory } from './replay-memory.ts';

const BLOCK = 16;
const ADDRESSES = 12;
const ETHERNET_HEADER = 14;
/** Where the payload begins. */
const SEALED_HEADER: number = ETHERNET_HEADER + BLOCK;
const PADDING = 2;
const MARK_AT = 4;
/** "agno". */
const MARK = 0x61676e6f;
const TIME = 8;
const RANDOM = 12;
const RANDOM_BYTES = 4;
/** For the header, and for an EtherType. */
const RANDOM_PER_FRAME: number = 2 * RANDOM_BYTES;

/** How far the time of a frame may be from ours, in seconds, as the original has it. */
export const AGNO_OLDEST_SECONDS = -2;
export const AGNO_NEWEST_SECONDS = 1;

/** The EtherType outside when none is chosen. */
export const AGNO_ETHERTYPE = 0xa6de;
/** Those that are types and not lengths (IEEE 802.3, 3.2.6), without the last. */
export const SMALLEST_ETHERTYPE = 0x600;
export const LARGEST_ETHERTYPE = 0xfffe;

/** The EtherType outside: a number, that of the frame itself, or another one each time. */
export type AgnoEtherType = number | 'copy' | 'random';

/** The most by which a frame grows, in bytes. */
export const AGNO_OVERHEAD_BYTES: number = BLOCK + BLOCK - 1;

/** The longest frame that can be enciphered when the result may have so many bytes. */
export function longestPlainFrame(sealedBytes: number): number {
  return ETHERNET_HEADER + Math.max(0, Math.floor((sealedBytes - SEALED_HEADER) / BLOCK)) * BLOCK;
}

/** Enciphers frames. */
export class AgnoSealer {
  readonly #headerCipher: Cipher;
  readonly #payloadCipher: Cipher;
  readonly #etherType: AgnoEtherType;
  readonly #plain = new Uint8Array(MAX_FRAME_BYTES + BLOCK);
  /** What was enciphered last; at its end is the block from which the cipher goes on. */
  #last: Uint8Array = new Uint8Array(BLOCK);
  #random = new Uint8Array();
  #headers = new Uint8Array();

  constructor(key: Uint8Array, etherType: AgnoEtherType) {
    this.#headerCipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    this.#payloadCipher = createCipheriv('aes-128-cbc', key, this.#last).setAutoPadding(false);
    this.#etherType = etherType;
  }

  /**
   * Appends to an empty batch, which has room for it.
   *
   * @param source ordinary frames, none shorter than an Ethernet header
   * @param seconds the Unix time
   */
  seal(source: FrameBatch, seconds: number, result: FrameBatch): void {
    const { count } = source;
    const headers = this.#makeHeaders(source, seconds);
    const sealedHeaders = this.#headerCipher.update(headers);
    const out = result.arena;
    let at = 0;
    for (let i = 0; i < count; i++) {
      const offset = source.offset(i);
      for (let byte = 0; byte < ADDRESSES; byte++) out[at + byte] = source.arena[offset + byte]!;
      write16(out, at + ADDRESSES, this.#outerType(headers, i));
      for (let byte = 0; byte < BLOCK; byte++) out[at + ETHERNET_HEADER + byte] = sealedHeaders[BLOCK * i + byte]!;
      const sealed = this.#sealPayload(source, i, headers);
      if (sealed !== undefined) out.set(sealed, at + SEALED_HEADER);
      const length = SEALED_HEADER + (sealed?.length ?? 0);
      result.push(at, length);
      at += length;
    }
  }

  #sealPayload(source: FrameBatch, index: number, headers: Uint8Array): Uint8Array | undefined {
    const start = source.offset(index) + ETHERNET_HEADER;
    const length = source.frameLength(index) - ETHERNET_HEADER;
    if (length === 0) return undefined;
    const padded = length + paddingFor(length);
    const [plain, last] = [this.#plain, this.#last];
    plain.set(source.arena.subarray(start, start + length));
    plain.fill(0, length, padded);
    const lastBlock = last.length - BLOCK;
    for (let i = 0; i < BLOCK; i++) plain[i]! ^= headers[BLOCK * index + i]! ^ last[lastBlock + i]!;
    this.#last = this.#payloadCipher.update(plain.subarray(0, padded));
    return this.#last;
  }

  #makeHeaders(source: FrameBatch, seconds: number): Uint8Array {
    const { arena, count } = source;
    if (this.#headers.length < BLOCK * count) {
      this.#headers = new Uint8Array(BLOCK * source.capacity);
      this.#random = new Uint8Array(RANDOM_PER_FRAME * source.capacity);
    }
    const [headers, random] = [this.#headers, this.#random];
    randomFillSync(random, 0, RANDOM_PER_FRAME * count);
    for (let i = 0; i < count; i++) {
      const header = BLOCK * i;
      write16(headers, header, read16(arena, source.offset(i) + ADDRESSES));
      headers[header + PADDING] = paddingFor(source.frameLength(i) - ETHERNET_HEADER);
      headers[header + PADDING + 1] = 0;
      write32(headers, header + MARK_AT, MARK);
      write32(headers, header + TIME, seconds);
      for (let byte = 0; byte < RANDOM_BYTES; byte++) {
        headers[header + RANDOM + byte] = random[RANDOM_PER_FRAME * i + byte]!;
      }
    }
    return headers.subarray(0, BLOCK * count);
  }

  #outerType(headers: Uint8Array, index: number): number {
    const etherType = this.#etherType;
    if (etherType === 'copy') return read16(headers, BLOCK * index);
    if (etherType !== 'random') return etherType;
    const random = read32(this.#random, RANDOM_PER_FRAME * index + RANDOM_BYTES);
    return SMALLEST_ETHERTYPE + (random % (LARGEST_ETHERTYPE + 1 - SMALLEST_ETHERTYPE));
  }
}

/** What became of enciphered frames; added up over several calls. */
export interface OpenedCounts {
  /** Frames whose length cannot be, or is not what their header says. */
  malformed: number;
  /** Frames that our key does not open. */
  undeciphered: number;
  /** Frames of another time. */
  outOfWindow: number;
  /** Frames that were here before. */
  replayed: number;
  /** Bytes of all these. */
  droppedBytes: number;
  /** Bytes by which the others got shorter. */
  removedBytes: number;
  /** How far the time of the last frame of another time was from ours, in seconds. */
  secondsOff: number;
}

/** Deciphers frames. */
export class AgnoOpener {
  readonly #cipher: Decipher;
  readonly #replays = new ReplayMemory();
  /** The block from which the cipher goes on. */
  readonly #last = new Uint8Array(BLOCK);
  readonly #header = new Uint8Array(BLOCK);
  /** What is enciphered of the frames of a batch, end to end; and the numbers of those frames. */
  #bodies = new Uint8Array();
  #bodyWords = new Uint32Array();
  #frames = new Uint32Array();
  #bodyBytes = 0;

  constructor(key: Uint8Array) {
    this.#cipher = createDecipheriv('aes-128-cbc', key, this.#last).setAutoPadding(false);
  }

  /** The frames in clear; it is the caller's until the next call. */
  open(source: FrameBatch, seconds: number, counts: OpenedCounts): FrameBatch {
    const { arena, slots } = source;
    const count = this.#gather(source, counts);
    const total = this.#bodyBytes;
    const bodies = this.#bodies;
    const output = this.#cipher.update(bodies.subarray(0, total));
    // What slice() takes of a Buffer is no copy, as the receivers of batches expect it to be.
    const plain = new Uint8Array(output.buffer, output.byteOffset, output.length);
    const result = new FrameBatch(plain, Math.max(1, count));
    let before = this.#last;
    let beforeAt = 0;
    for (let i = 0, at = 0; i < count; i++) {
      const word = this.#frames[i]! * SLOT_WORDS;
      const bodyBytes = slots[word + 1]! - ETHERNET_HEADER;
      const header = this.#header;
      for (let byte = 0; byte < BLOCK; byte++) header[byte] = plain[at + byte]! ^ before[beforeAt + byte]!;
      for (let byte = 0; byte < BLOCK && bodyBytes > BLOCK; byte++) {
        plain[at + BLOCK + byte]! ^= bodies[at + byte]! ^ header[byte]!;
      }
      const padding = header[PADDING]! & (BLOCK - 1);
      const reason = this.#reasonAgainst(plain, at, bodyBytes, padding, seconds, counts);
      if (reason === undefined) {
        // The Ethernet header has its place where the header was.
        const start = at + BLOCK - ETHERNET_HEADER;
        for (let byte = 0; byte < ADDRESSES; byte++) plain[start + byte] = arena[slots[word]! + byte]!;
        plain[start + ADDRESSES] = header[0]!;
        plain[start + ADDRESSES + 1] = header[1]!;
        result.push(start, ETHERNET_HEADER + bodyBytes - BLOCK - padding);
        counts.removedBytes += BLOCK + padding;
      } else {
        counts[reason]++;
        counts.droppedBytes += ETHERNET_HEADER + bodyBytes;
      }
      before = bodies;
      at += bodyBytes;
      beforeAt = at - BLOCK;
    }
    if (total > 0) this.#last.set(bodies.subarray(total - BLOCK, total));
    return result;
  }

  /** Lays what is enciphered end to end. Returns of how many frames that is. */
  #gather({ arena, slots, count, capacity }: FrameBatch, counts: OpenedCounts): number {
    if (this.#frames.length < count) this.#frames = new Uint32Array(capacity);
    let gathered = 0;
    let used = 0;
    for (let i = 0; i < count; i++) {
      const word = i * SLOT_WORDS;
      const start = slots[word]! + ETHERNET_HEADER;
      const bytes = slots[word + 1]! - ETHERNET_HEADER;
      if (bytes < BLOCK || bytes % BLOCK !== 0) {
        counts.malformed++;
        counts.droppedBytes += slots[word + 1]!;
        continue;
      }
      if (used + bytes > this.#bodies.length) this.#grow(used + bytes);
      this.#bodies.set(arena.subarray(start, start + bytes), used);
      this.#frames[gathered++] = i;
      used += bytes;
    }
    this.#bodyBytes = used;
    return gathered;
  }

  #grow(bytes: number): void {
    const bodies = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)));
    bodies.set(this.#bodies);
    this.#bodies = bodies;
    this.#bodyWords = new Uint32Array(bodies.buffer);
  }

  #reasonAgainst(
    plain: Uint8Array,
    at: number,
    bodyBytes: number,
    padding: number,
    seconds: number,
    counts: OpenedCounts,
  ): 'malformed' | 'undeciphered' | 'outOfWindow' | 'replayed' | undefined {
    const header = this.#header;
    if (read32(header, MARK_AT) !== MARK) return 'undeciphered';
    const off = read32(header, TIME) - seconds;
    if (off < AGNO_OLDEST_SECONDS || off > AGNO_NEWEST_SECONDS) {
      counts.secondsOff = off;
      return 'outOfWindow';
    }
    if (padding > bodyBytes - BLOCK) return 'malformed';
    // The zeros are not there when the frame was cut, or its end altered.
    for (let i = at + bodyBytes - padding; i < at + bodyBytes; i++) if (plain[i] !== 0) return 'malformed';
    return this.#isReplayed(at, bodyBytes) ? 'replayed' : undefined;
  }

  /** The random part of a header has 32 bits, which frames soon share; the last block depends on all before it. */
  #isReplayed(at: number, bodyBytes: number): boolean {
    const words = this.#bodyWords;
    const [first, last] = [at >> 2, (at + bodyBytes - BLOCK) >> 2];
    const high = words[first]! + Math.imul(words[last]!, 3);
    const low = words[first + 1]! + Math.imul(words[last + 1]!, 3);
    return this.#replays.isKnown(high, low);
  }
}

/** Zeros behind a payload, up to a whole block. */
function paddingFor(length: number): number {
  return -length & (BLOCK - 1);
}
