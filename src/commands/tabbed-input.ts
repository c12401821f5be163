/**
 * Keys of a terminal, such that each tabulator comes by itself: node:readline completes for the last character of what is
 * read at once alone, and takes another for text.
 */
import { Readable } from 'node:stream';
import type { ReadStream } from 'node:tty';

const TAB = 0x09;

/** What readline needs of a terminal. Ends with it, and leaves it paused when it is destroyed. */
export class TabbedInput extends Readable {
  readonly #terminal: ReadStream;
  readonly #take = (bytes: Buffer): void => {
    for (const piece of splitAtTabs(bytes)) if (!this.push(piece)) this.#terminal.pause();
  };
  readonly #takeEnd = (): void => void this.push(null);

  constructor(terminal: ReadStream) {
    super({ objectMode: true });
    this.#terminal = terminal;
    terminal.on('data', this.#take).on('end', this.#takeEnd).on('close', this.#takeEnd).on('error', this.#takeEnd);
  }

  get isTTY(): boolean {
    return this.#terminal.isTTY;
  }

  get isRaw(): boolean {
    return this.#terminal.isRaw;
  }

  setRawMode(isRaw: boolean): this {
    this.#terminal.setRawMode(isRaw);
    return this;
  }

  override _read(): void {
    this.#terminal.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#terminal.off('data', this.#take).off('end', this.#takeEnd).off('close', this.#takeEnd);
    this.#terminal.pause();
    done(error);
  }
}

/** In order; nothing is lost. */
export function splitAtTabs(bytes: Buffer): readonly Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (let tab = bytes.indexOf(TAB); tab >= 0; tab = bytes.indexOf(TAB, start)) {
    if (tab > start) pieces.push(bytes.subarray(start, tab));
    pieces.push(bytes.subarray(tab, tab + 1));
    start = tab + 1;
  }
  if (start < bytes.length) pieces.push(bytes.subarray(start));
  return pieces;
}
