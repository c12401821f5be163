/** Where a capture goes: a file, or a pipe to who reads while it is captured. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, type Stats, statSync, writevSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { Watch } from '../system/reactor.ts';

/** How often a named pipe is looked at until somebody reads it, in milliseconds. */
const READER_PAUSE_MS = 50;
const STANDARD_OUTPUT = 1;

/** Takes bytes, in pieces that are whole blocks together. */
export interface CaptureSink {
  /** What it is called in what people read. */
  readonly name: string;
  /** @throws VdensError of a `write` that failed; with `EPIPE` the reader has gone */
  write(pieces: readonly Uint8Array[]): Promise<void> | void;
  /** Calls back when nobody reads it any more, where that can be known before something is written. */
  watch?(gone: () => void): void;
  close(): void;
}

/**
 * Opens a file, which is written over, or standard output for `-`.
 *
 * @throws VdensError `ERR_PATH` when it is a directory, a socket or a terminal, or cannot be opened
 */
export async function openSink(file: string, signal: AbortSignal): Promise<CaptureSink> {
  if (file === '-') return sinkOf(STANDARD_OUTPUT, 'standard output');
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) throw cannot(file, 'it is a directory', 'EISDIR');
  if (stats?.isSocket() === true) throw cannot(file, 'it is a socket', 'EEXIST');
  return sinkOf(stats?.isFIFO() === true ? await openPipe(file, signal) : openFile(file), file);
}

/** Standard output, for lines. */
export function standardOutput(): CaptureSink {
  const stats = fstatSync(STANDARD_OUTPUT);
  const name = 'standard output';
  if (stats.isFIFO() || stats.isSocket()) return new PipeSink(STANDARD_OUTPUT, name);
  return new FileSink(STANDARD_OUTPUT, name, false);
}

function sinkOf(fd: number, name: string): CaptureSink {
  const stats = fstatSync(fd);
  if (isTerminal(stats, fd))
    throw cannot(name, 'a terminal can do nothing with a capture', 'ENOTTY', 'Leave -w out to see lines');
  return stats.isFIFO() || stats.isSocket() ? new PipeSink(fd, name) : new FileSink(fd, name, stats.isFile());
}

function isTerminal(stats: Stats, fd: number): boolean {
  return stats.isCharacterDevice() && fd === STANDARD_OUTPUT && process.stdout.isTTY === true;
}

function openFile(file: string): number {
  try {
    return openSync(file, 'w', 0o600);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw cannot(file, `open: ${code}`, code);
  }
}

/** Waits for who reads it: to open it otherwise would wait for ever. */
async function openPipe(file: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    try {
      return openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code !== 'ENXIO') throw cannot(file, `open: ${code}`, code);
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
  #length = 0;

  constructor(fd: number, name: string, isFile: boolean) {
    this.#fd = fd;
    this.name = name;
    this.#isFile = isFile;
  }

  write(pieces: readonly Uint8Array[]): void {
    let rest = pieces;
    try {
      while (rest.length > 0) rest = without(rest, writevSync(this.#fd, rest));
    } catch (error) {
      // The blocks before are whole, and stay readable.
      if (this.#isFile && this.#fd !== STANDARD_OUTPUT) ftruncateSync(this.#fd, this.#length);
      throw failed(this.name, error as NodeJS.ErrnoException);
    }
    this.#length += pieces.reduce((sum, { length }) => sum + length, 0);
  }

  close(): void {
    if (this.#fd !== STANDARD_OUTPUT) closeSync(this.#fd);
  }
}

/** Whoever reads may be slow, or go away. */
class PipeSink implements CaptureSink {
  readonly name: string;
  readonly #socket: Socket;
  readonly #fd: number;
  #watch: Watch | undefined;
  #error: NodeJS.ErrnoException | undefined;

  constructor(fd: number, name: string) {
    this.name = name;
    this.#fd = fd;
    this.#socket = new Socket({ fd, readable: false, writable: true });
    this.#socket.on('error', (error) => {
      this.#error = error;
    });
  }

  write(pieces: readonly Uint8Array[]): Promise<void> {
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
};

function failed(name: string, cause: NodeJS.ErrnoException): VdensError {
  const { code = '' } = cause;
  const message = `${name}: cannot write the capture: ${REASONS[code] ?? `write: ${code}`}`;
  return new VdensError('ERR_PATH', message, { value: name, errno: code, syscall: 'write', cause });
}

function cannot(file: string, problem: string, errno: string, remedy = 'Name another file'): VdensError {
  const message = `${file}: cannot write a capture there: ${problem}. ${remedy}`;
  return new VdensError('ERR_PATH', message, { value: file, errno });
}
