/** Where a capture goes: a file, or a pipe to who reads while it is captured. */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  type Stats,
  statSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { VdensError } from '../errors.ts';
import { Watch } from '../system/reactor.ts';

/** How often a named pipe is looked at until somebody reads it, in milliseconds. */
const READER_PAUSE_MS = 50;
/** How long whoever reads may take for what is written when the capture is to end, in milliseconds. */
const LAST_WRITE_MS = 1000;
/** Pieces that one call writes (writev(2), IOV_MAX). */
const PIECES_AT_A_TIME = 512;
const STANDARD_OUTPUT = 1;

/** Takes bytes, in pieces that are whole blocks together. */
export interface CaptureSink {
  /** What it is called in what people read. */
  readonly name: string;
  /** @throws VdensError of a `write` that failed; with `EPIPE` the reader has gone */
  write(pieces: readonly Uint8Array[]): Promise<void> | void;
  /** There is something to write: what the file had before goes now, and not when nothing can be captured. */
  begin?(): void;
  /** The capture is to end: whoever reads has {@link LAST_WRITE_MS} for each piece from now on. */
  hurry?(): void;
  /** Calls back when nobody reads it any more, where that can be known before something is written. */
  watch?(gone: () => void): void;
  close(): void;
}

/**
 * Opens a file, or standard output for `-`. What a file has stays there until {@link CaptureSink.begin}.
 *
 * @throws VdensError `ERR_PATH` when it is a directory, a socket or a terminal, or cannot be opened
 */
export async function openSink(file: string, signal: AbortSignal): Promise<CaptureSink> {
  if (file === '-') return sinkOf(STANDARD_OUTPUT, 'standard output');
  const stats = lookAt(file);
  if (stats?.isDirectory() === true) throw cannot(file, 'it is a directory', 'EISDIR');
  if (stats?.isSocket() === true) throw cannot(file, 'it is a socket', 'EEXIST');
  if (stats?.isFIFO() === true) return sinkOf(await openPipe(file, signal), file);
  return stats === undefined ? newFile(file) : sinkOf(openFile(file, constants.O_WRONLY), file);
}

/** Standard output, for lines. */
export function standardOutput(): CaptureSink {
  const stats = fstatSync(STANDARD_OUTPUT);
  const name = 'standard output';
  if (stats.isFIFO() || stats.isSocket()) return new PipeSink(STANDARD_OUTPUT, name);
  return new FileSink(STANDARD_OUTPUT, name, false);
}

/** `undefined` when nothing is there. */
function lookAt(file: string): Stats | undefined {
  if (file === '') throw cannot('-w', 'the name is empty', 'ENOENT');
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw notOpened(file, error as NodeJS.ErrnoException);
  }
}

function sinkOf(fd: number, name: string): CaptureSink {
  const stats = fstatSync(fd);
  if (isatty(fd)) {
    if (fd !== STANDARD_OUTPUT) closeSync(fd);
    throw cannot(name, 'a terminal can do nothing with a capture', 'ENOTTY', 'Leave -w out to see lines');
  }
  return stats.isFIFO() || stats.isSocket() ? new PipeSink(fd, name) : new FileSink(fd, name, stats.isFile());
}

function newFile(file: string): CaptureSink {
  const flags = constants.O_WRONLY | constants.O_CREAT;
  try {
    return new FileSink(openSync(file, flags | constants.O_EXCL, 0o600), file, true, true);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw notOpened(file, error as NodeJS.ErrnoException);
    // A link to what is not there yet.
    return sinkOf(openFile(file, flags), file);
  }
}

/** Opened as any other, a terminal would become that of this process. */
function openFile(file: string, flags: number): number {
  try {
    return openSync(file, flags | constants.O_NOCTTY, 0o600);
  } catch (error) {
    throw notOpened(file, error as NodeJS.ErrnoException);
  }
}

/** Waits for who reads it: to open it otherwise would wait for ever. */
async function openPipe(file: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    try {
      return openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw notOpened(file, error as NodeJS.ErrnoException);
      if (signal.aborted) throw cannot(file, 'nobody reads the pipe', 'ENXIO');
    }
    await sleep(READER_PAUSE_MS);
  }
}

/** A file, or a device such as /dev/null. */
class FileSink implements CaptureSink {
  readonly name: string;
  readonly #fd: number;
  readonly #isFile: boolean;
  /** Was not there before, and is not to stay when nothing can be captured. */
  #isUnused: boolean;
  #length = 0;

  constructor(fd: number, name: string, isFile: boolean, isNew = false) {
    this.#fd = fd;
    this.name = name;
    this.#isFile = isFile && fd !== STANDARD_OUTPUT;
    this.#isUnused = isNew && this.#isFile;
  }

  begin(): void {
    this.#isUnused = false;
    if (this.#isFile) ftruncateSync(this.#fd, 0);
  }

  write(pieces: readonly Uint8Array[]): void {
    let rest = pieces;
    try {
      while (rest.length > 0) rest = without(rest, writevSync(this.#fd, rest.slice(0, PIECES_AT_A_TIME)));
    } catch (error) {
      // The blocks before are whole, and stay readable.
      if (this.#isFile) ftruncateSync(this.#fd, this.#length);
      throw failed(this.name, error as NodeJS.ErrnoException);
    }
    this.#length += pieces.reduce((sum, { length }) => sum + length, 0);
  }

  close(): void {
    if (this.#fd !== STANDARD_OUTPUT) closeSync(this.#fd);
    if (!this.#isUnused) return;
    try {
      unlinkSync(this.name);
    } catch {
      // Somebody else was faster.
    }
  }
}

/** Whoever reads may be slow, or go away. */
class PipeSink implements CaptureSink {
  readonly name: string;
  readonly #socket: Socket;
  readonly #fd: number;
  #watch: Watch | undefined;
  #error: NodeJS.ErrnoException | undefined;
  #isLast = false;
  /** Begins to limit the time of the write that waits. */
  #limit: (() => void) | undefined;

  constructor(fd: number, name: string) {
    this.name = name;
    this.#fd = fd;
    this.#socket = new Socket({ fd, readable: false, writable: true });
    this.#socket.on('error', (error) => {
      this.#error = error;
    });
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      this.#limit = () => {
        timer ??= setTimeout(() => {
          this.#error ??= Object.assign(new Error('nothing was taken'), { code: 'ETIMEDOUT' });
          reject(failed(this.name, this.#error));
        }, LAST_WRITE_MS);
      };
    });
    if (this.#isLast) this.#limit?.();
    try {
      await Promise.race([this.#write(pieces), late]);
    } finally {
      clearTimeout(timer);
      this.#limit = undefined;
    }
  }

  hurry(): void {
    this.#isLast = true;
    this.#limit?.();
  }

  #write(pieces: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(failed(this.name, this.#error));
      const last = pieces.length - 1;
      if (last < 0) return resolve();
      // What is borrowed has left when the last piece has.
      this.#socket.cork();
      for (const [index, piece] of pieces.entries()) {
        this.#socket.write(piece, (error) => {
          if (error) reject(failed(this.name, error as NodeJS.ErrnoException));
          else if (index === last) resolve();
        });
      }
      this.#socket.uncork();
    });
  }

  /** The kernel tells of the end of the reader without being asked for anything (poll(2), POLLERR). */
  watch(gone: () => void): void {
    this.#watch ??= new Watch(this.#fd, 0, () => {
      this.#watch?.end();
      gone();
    });
  }

  close(): void {
    this.#watch?.end();
    this.#socket.destroy();
  }
}

function without(pieces: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let rest = written;
  const left: Uint8Array[] = [];
  for (const piece of pieces) {
    const gone = Math.min(rest, piece.length);
    rest -= gone;
    if (gone < piece.length) left.push(piece.subarray(gone));
  }
  return left;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'your quota of the disk is used up',
  EFBIG: 'the file may not become longer',
  EPIPE: 'nobody reads it any more',
  ETIMEDOUT: 'whoever reads it takes nothing any more',
};

function failed(name: string, cause: NodeJS.ErrnoException): VdensError {
  const { code = '' } = cause;
  const message = `${name}: cannot write the capture: ${REASONS[code] ?? `write: ${code}`}`;
  return new VdensError('ERR_PATH', message, { value: name, errno: code, syscall: 'write', cause });
}

const OPEN_REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied (EACCES)',
  ENOTDIR: 'what stands before a / is no directory (ENOTDIR)',
  ELOOP: 'links point at each other (ELOOP)',
  ENAMETOOLONG: 'the name is too long (ENAMETOOLONG)',
};

function notOpened(file: string, { code = '' }: NodeJS.ErrnoException): VdensError {
  return cannot(file, OPEN_REASONS[code] ?? `open: ${code}`, code);
}

function cannot(file: string, problem: string, errno: string, remedy = 'Name another file'): VdensError {
  const message = `${file}: cannot write a capture there: ${problem}. ${remedy}`;
  return new VdensError('ERR_PATH', message, { value: file, errno });
}
