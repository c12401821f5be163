/**
 * A file that says which process a daemon is, for scripts that end it.
 *
 * It is removed when the process ends, if it is still the one that was written: another process may have taken over
 * the name, and its file is its own.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { VdensError } from '../errors.ts';

const MODE = 0o644;

/** How to write it. */
export interface PidFileOptions {
  /** Whether a file that is there already is an error. Otherwise it is overwritten. @defaultValue false */
  readonly exclusive?: boolean;
  /** What to write, without the newline. @defaultValue our process id */
  readonly text?: string;
}

/** A file that was written; removed by {@link remove}, and at the end of the process. */
export class PidFile {
  /** Absolute: it is found from another directory, too. */
  readonly path: string;
  readonly #content: string;
  readonly #inode: bigint;
  readonly #device: bigint;
  #isRemoved = false;
  readonly #atExit = (): void => this.remove();

  private constructor(path: string, content: string, { ino, dev }: { readonly ino: bigint; readonly dev: bigint }) {
    this.path = path;
    this.#content = content;
    this.#inode = ino;
    this.#device = dev;
    process.once('exit', this.#atExit);
  }

  /**
   * Writes the file.
   *
   * @param path absolute, or relative to the working directory of now
   * @throws VdensError `ERR_COMMAND` when it cannot be written, or is there already and must not be
   */
  static write(path: string, { exclusive = false, text = `${process.pid}` }: PidFileOptions = {}): PidFile {
    const content = `${text}\n`;
    let opened: { readonly fd: number; readonly isNew: boolean } | undefined;
    try {
      opened = open(path, exclusive);
      writeSync(opened.fd, content);
      return new PidFile(realpathSync(path), content, fstatSync(opened.fd, { bigint: true }));
    } catch (cause) {
      // An empty one would keep the next from starting.
      if (opened?.isNew === true) unlinkIfSame(path, fstatSync(opened.fd, { bigint: true }));
      throw failure(path, cause as NodeJS.ErrnoException);
    } finally {
      if (opened !== undefined) closeSync(opened.fd);
    }
  }

  /** Removes the file if it is still ours. Idempotent, and never throws. */
  remove(): void {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    process.off('exit', this.#atExit);
    try {
      if (this.#isOurs()) unlinkSync(this.path);
    } catch {
      // It is gone, or not ours to remove: nobody is left who could do something about it.
    }
  }

  #isOurs(): boolean {
    const status = lstatSync(this.path, { bigint: true });
    const isSame = status.isFile() && status.ino === this.#inode && status.dev === this.#device;
    // Whoever overwrote it has the same inode.
    return isSame && status.size === BigInt(this.#content.length) && readFileSync(this.path, 'utf8') === this.#content;
  }
}

function open(path: string, exclusive: boolean): { readonly fd: number; readonly isNew: boolean } {
  // Without O_NONBLOCK, opening a FIFO would wait for a reader.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    return { fd: openSync(path, flags | constants.O_EXCL, MODE), isNew: true };
  } catch (cause) {
    if (exclusive || (cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
  }
  return { fd: openSync(path, flags | constants.O_TRUNC, MODE), isNew: false };
}

function unlinkIfSame(path: string, { ino, dev }: BigIntStats): void {
  try {
    const found = lstatSync(path, { bigint: true });
    if (found.ino === ino && found.dev === dev) unlinkSync(path);
  } catch {
    // It is gone, or not ours to remove.
  }
}

function failure(path: string, cause: NodeJS.ErrnoException): VdensError {
  const errno = cause.code ?? '';
  const message = `cannot write the pid file ${path} (${errno}). ${remedy(errno)}`;
  return new VdensError('ERR_COMMAND', message, { value: path, errno, cause });
}

function remedy(errno: string): string {
  if (errno === 'EEXIST') return 'Another process may run already; if none does, remove the file';
  if (errno === 'ENOSPC') return 'That file system is full: make room, or name a file in another one';
  if (errno === 'EDQUOT') return 'Your quota there is used up: make room, or name a file in another file system';
  return 'Name a file in a directory where you may write, for example in $XDG_RUNTIME_DIR';
}
