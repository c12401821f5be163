/**
 * Files below one directory, for strangers to read: whatever a name says, and wherever links lead, nothing outside is
 * opened.
 */
import { closeSync, constants as fs, fstatSync, openSync, readlinkSync, readSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';

/** Longer ones fit no request (RFC 2347). */
const MAX_NAME_BYTES = 500;

/** Why a file is not served. */
export type Refusal = 'not-found' | 'forbidden';

/** An open file. */
export class ServedFile {
  readonly #descriptor: number;
  /** In bytes, when it was opened. */
  readonly size: number;
  #isClosed = false;

  private constructor(descriptor: number, size: number) {
    this.#descriptor = descriptor;
    this.size = size;
  }

  /**
   * Opens a regular file by its name from the directory on; a leading slash means the directory, too. Links are followed
   * as long as they stay below it.
   */
  static open(directory: string, name: string): ServedFile | Refusal {
    if (name === '' || name.includes('\0') || Buffer.byteLength(name) > MAX_NAME_BYTES) return 'not-found';
    if (name.split('/').includes('..')) return 'forbidden';
    try {
      const root = realpathSync(directory);
      const path = realpathSync(join(root, name));
      return isBelow(root, path) ? ServedFile.#openBelow(root, path) : 'forbidden';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === 'EACCES' || code === 'EPERM' || code === 'ELOOP' ? 'forbidden' : 'not-found';
    }
  }

  /**
   * Bytes from an offset on; fewer at the end.
   *
   * @throws Error of the system when the file cannot be read
   */
  read(offset: number, length: number): Uint8Array {
    const buffer = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = readSync(this.#descriptor, buffer, filled, length - filled, offset + filled);
      if (count === 0) break;
      filled += count;
    }
    return buffer.subarray(0, filled);
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#descriptor);
  }

  /**
   * Opens what was found below the root. Should a part of the path have become a link meanwhile, what was opened says
   * where it is.
   *
   * @throws Error of the system
   */
  static #openBelow(root: string, path: string): ServedFile | Refusal {
    // Not to wait for who writes into a pipe.
    const descriptor = openSync(path, fs.O_RDONLY | fs.O_NOFOLLOW | fs.O_NONBLOCK | fs.O_NOCTTY);
    try {
      const found = fstatSync(descriptor);
      const isServed = isBelow(root, readlinkSync(`/proc/self/fd/${descriptor}`)) && found.isFile();
      if (isServed) return new ServedFile(descriptor, found.size);
      closeSync(descriptor);
      return 'forbidden';
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }
}

function isBelow(root: string, path: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep);
}
