/**
 * Commands in what is read: one in each line, and one in what is left at the end of a read when nothing follows it (the
 * originals take every read for a command, so there are clients that send no newline).
 */

/** The longest command, in bytes without its newline. */
export const MAX_COMMAND_BYTES = 128;
const NEWLINE = 0x0a;

/** A line that was too long to be a command; the rest of it is not kept, nor of a comment, which may have any length. */
export const TOO_LONG: unique symbol = Symbol('a command that is too long');

export class LineBuffer {
  /** What came after the last newline, up to one byte more than a command may have. */
  #rest: Buffer = Buffer.alloc(0);

  /** Whether there is something that no newline has followed yet. */
  get hasRest(): boolean {
    return this.#rest.length > 0;
  }

  /** The lines that are whole now. */
  add(bytes: Uint8Array): readonly (string | typeof TOO_LONG)[] {
    const lines: (string | typeof TOO_LONG)[] = [];
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      this.#keep(bytes.subarray(start, end));
      lines.push(this.takeRest());
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    return lines;
  }

  /** What no newline has followed, as a line of its own. */
  takeRest(): string | typeof TOO_LONG {
    const line = this.#rest;
    this.#rest = Buffer.alloc(0);
    if (line.length > MAX_COMMAND_BYTES && !isComment(line)) return TOO_LONG;
    // As the originals' strings do, it ends at a NUL.
    const end = line.indexOf(0);
    return line.toString('utf8', 0, end < 0 ? undefined : end);
  }

  #keep(bytes: Uint8Array): void {
    const room = MAX_COMMAND_BYTES + 1 - this.#rest.length;
    if (room > 0 && bytes.length > 0) this.#rest = Buffer.concat([this.#rest, bytes.subarray(0, room)]);
  }
}

function isComment(line: Buffer): boolean {
  return line.toString('latin1').trimStart().startsWith('#');
}
