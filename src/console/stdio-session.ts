/**
 * The console on standard input and output.
 *
 * The prompt goes to standard input, as the originals have it: a person sees it on the terminal, and a program that
 * reads standard output from a pipe sees answers alone. Nobody who leaves the output unread holds up what is managed.
 */
import { closeSync, fstatSync, type Stats, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { AGAIN, native } from '../system/native.ts';
import { openWithoutWaiting } from '../system/open-without-waiting.ts';
import { Watch, WRITABLE } from '../system/reactor.ts';
import { type ConsoleService, Session } from './session.ts';

/** What may wait for a reader of standard output, in bytes; what happens after that is not told. */
const MAX_OUTPUT_BYTES = 1_048_576;

/** What a pipe takes for certain, when it takes anything (PIPE_BUF, pipe(7)). */
const PIPE_PIECE_BYTES = 4096;
/**
 * The same of a terminal, with an end of line becoming two characters: pseudo-terminals make room in steps of 256
 * characters, and others say that they take more while fewer than 256 wait (n_tty).
 */
const TERMINAL_PIECE_BYTES = 128;

/** What a session on standard input ends with. */
export interface StdioSessionEvents {
  /** Standard input is over. */
  ended(): void;
}

export class StdioSession {
  readonly #session: Session;
  readonly #output: Outlet;
  readonly #prompts: Outlet | undefined;
  readonly #events: StdioSessionEvents;
  readonly #take = (bytes: Buffer): void => {
    this.#session.take(bytes);
    if (this.#session.isBehind) process.stdin.pause();
  };
  readonly #takeEnd = (): void => this.#session.takeEnd();

  /** Reads commands from now on. */
  constructor(service: ConsoleService, events: StdioSessionEvents) {
    this.#events = events;
    this.#output = new Outlet(1, () => this.#goOn());
    // Written to, the reading end of a FIFO would give us our own prompt as a command.
    this.#prompts = isatty(0) || fstatSync(0).isSocket() ? new Outlet(0, () => undefined) : undefined;
    this.#session = new Session(service, {
      write: (text) => this.#output.write(text),
      // Where nobody reads them, as at a socket that is only written to, no more are kept.
      prompt: (text) => {
        if (this.#prompts?.isBehind === false) this.#prompts.write(text);
      },
      isReady: () => !this.#output.isBehind,
      end: (why) => {
        if (why === 'input') this.#events.ended();
      },
      canLogOut: false,
    });
    // 'close' alone comes when a terminal was hung up.
    process.stdin.on('data', this.#take).on('end', this.#takeEnd).on('close', this.#takeEnd).on('error', this.#takeEnd);
  }

  /** Whether it wants to be told of anything whose path begins with the prefix. */
  wants(prefix: string): boolean {
    return this.#session.wants(prefix);
  }

  /** Tells that something happened, if it was asked for. */
  tell(path: string, text: string): void {
    if (this.#output.pending < MAX_OUTPUT_BYTES) this.#session.tell(path, text);
  }

  /** Reads and writes no more. Idempotent. */
  close(): void {
    process.stdin.off('data', this.#take).off('end', this.#takeEnd).off('close', this.#takeEnd);
    process.stdin.pause();
    this.#session.close();
    this.#output.close();
    this.#prompts?.close();
  }

  #goOn(): void {
    this.#session.goOn();
    if (!this.#session.isBehind) process.stdin.resume();
  }
}

/** Writes to a descriptor without waiting for its reader. */
class Outlet {
  readonly #fd: number;
  readonly #isOwn: boolean;
  readonly #isSocket: boolean;
  /** So many bytes are written at a time, when it says that it takes some: else a write waits for the reader. */
  readonly #pieceBytes: number | undefined;
  readonly #drained: () => void;
  #queue: Buffer[] = [];
  /** In bytes. */
  #pending = 0;
  #watch: Watch | undefined;
  #isClosed = false;

  constructor(fd: number, drained: () => void) {
    const stats = fstatSync(fd);
    this.#isSocket = stats.isSocket();
    const own = openWithoutWaiting(fd);
    this.#fd = own ?? fd;
    this.#pieceBytes = own === undefined ? pieceBytes(stats) : undefined;
    this.#isOwn = own !== undefined;
    this.#drained = drained;
  }

  get isBehind(): boolean {
    return this.#queue.length > 0;
  }

  /** In bytes. */
  get pending(): number {
    return this.#pending;
  }

  write(text: string): void {
    if (this.#isClosed) return;
    const bytes = Buffer.from(text);
    this.#queue.push(bytes);
    this.#pending += bytes.length;
    if (this.#watch === undefined) this.#flush();
  }

  /** What waits is lost. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#flush();
    this.#watch?.end();
    this.#queue = [];
    if (this.#isOwn) closeSync(this.#fd);
  }

  #flush(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const written = this.#writeSome(first);
      if (written === AGAIN) {
        this.#wait();
        return;
      }
      // Nobody will ever read what cannot be written.
      const gone = written < 0 ? first.length : written;
      this.#pending -= gone;
      if (gone < first.length) this.#queue[0] = first.subarray(gone);
      else this.#queue.shift();
    }
    this.#watch?.end();
    this.#watch = undefined;
  }

  #wait(): void {
    if (this.#isClosed) return;
    this.#watch ??= new Watch(this.#fd, WRITABLE, () => {
      this.#flush();
      if (!this.isBehind) this.#drained();
    });
  }

  #writeSome(bytes: Buffer): number {
    if (this.#isSocket) return native.send(this.#fd, bytes);
    if (this.#pieceBytes !== undefined && native.isWritable(this.#fd) === 0) return AGAIN;
    try {
      return writeSync(this.#fd, bytes.subarray(0, this.#pieceBytes));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? AGAIN : -1;
    }
  }
}

/** Files never wait. */
function pieceBytes(stats: Stats): number | undefined {
  if (stats.isFIFO()) return PIPE_PIECE_BYTES;
  return stats.isCharacterDevice() ? TERMINAL_PIECE_BYTES : undefined;
}
