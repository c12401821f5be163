/**
 * Some lines at the bottom of a terminal that are written anew in their place.
 *
 * Never waits for the terminal (one that was stopped with ^S would stop us): what it does not take is written later,
 * and what would come between is left out. The cursor stays below the lines and visible, so that nothing has to be put
 * right when we are stopped or killed.
 */
import { closeSync, writeSync } from 'node:fs';
import { openWithoutWaiting } from '../system/open-without-waiting.ts';
import type { TerminalSize } from './switch-report.ts';
import { widthOfLine } from './text-table.ts';

const LINE_START = '\r';
const CLEAR_LINE_END = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 };

export class LiveScreen {
  readonly #fd: number;
  /** Columns of each line that stands there. */
  #lines: readonly number[] = [];
  /** What the terminal has not taken yet. */
  #rest: Uint8Array = new Uint8Array(0);

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** The terminal that standard output is; `undefined` when it is none, or one that only prints. */
  static open(): LiveScreen | undefined {
    if (process.stdout.isTTY !== true || process.env['TERM'] === 'dumb') return undefined;
    const own = openWithoutWaiting(1);
    return own === undefined ? undefined : new LiveScreen(own);
  }

  get size(): TerminalSize {
    const { columns, rows } = process.stdout;
    // Serial lines and some containers say 0.
    return { columns: columns || DEFAULT_SIZE.columns, rows: rows || DEFAULT_SIZE.rows };
  }

  /** Puts these lines in the place of those that stand there; none of them is wider than the terminal. */
  draw(lines: readonly string[]): void {
    const isWritten = this.#write(
      `${this.#toTop()}${lines.map((line) => `${line}${CLEAR_LINE_END}\r\n`).join('')}${CLEAR_BELOW}`,
    );
    if (isWritten) this.#lines = lines.map(widthOfLine);
  }

  /** Takes the lines away: something else is to stand there. */
  erase(): void {
    if (this.#write(`${this.#toTop()}${CLEAR_BELOW}`)) this.#lines = [];
  }

  /** Leaves what stands there: the next lines come below. */
  leave(): void {
    this.#lines = [];
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** To the first of the lines. A terminal that became narrower has broken them into more. */
  #toTop(): string {
    const { columns } = this.size;
    const rows = this.#lines.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return rows === 0 ? LINE_START : `\x1b[${rows}A${LINE_START}`;
  }

  /** Returns whether it has begun to be written; then all of it will be. */
  #write(text: string): boolean {
    if (!this.#flush()) return false;
    this.#rest = Buffer.from(text);
    this.#flush();
    return true;
  }

  /** Returns whether nothing is left. */
  #flush(): boolean {
    try {
      while (this.#rest.length > 0) this.#rest = this.#rest.subarray(writeSync(this.#fd, this.#rest));
    } catch (error) {
      // Of a terminal that is gone, a hangup tells.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#rest = new Uint8Array(0);
    }
    return this.#rest.length === 0;
  }
}
