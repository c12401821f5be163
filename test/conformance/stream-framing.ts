/**
 * The stream framing of vde_plug, written once more, plainly: a 16-bit length, big-endian, then the frame.
 * What comes in pieces is put together; nothing is forgiven.
 */

/** The bytes of these frames on a stream. */
export function encodeStream(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(frames.flatMap((frame) => [Buffer.of(frame.length >> 8, frame.length & 0xff), frame]));
}

/** Takes a stream apart. */
export class StreamDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that are whole now. */
  decode(bytes: Uint8Array): Uint8Array[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: Uint8Array[] = [];
    while (this.#rest.length >= 2) {
      const length = this.#rest.readUInt16BE(0);
      if (this.#rest.length < 2 + length) break;
      frames.push(new Uint8Array(this.#rest.subarray(2, 2 + length)));
      this.#rest = this.#rest.subarray(2 + length);
    }
    return frames;
  }
}
