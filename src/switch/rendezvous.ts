/**
 * Claiming a switch directory: who may serve it, when several would.
 *
 * The right to serve is a lock on the directory itself (flock(2)). The kernel takes it back from a process that
 * dies, however it dies, and gives it to one at a time, so of those who start at the same instant exactly one has it.
 * Original switches take no lock; whether one of them serves is seen by whether somebody listens on `ctl`.
 *
 * A directory is only ever made ours when there is nothing in it but the sockets of a switch that is gone. Of one that
 * is our user's, and where the `ctl` of that switch shows what it is for, more may be in it: that is left alone.
 */
import {
  accessSync,
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  constants as fs,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { PRIVATE_SOCKET } from '../plugs/vde.ts';
import { isListenedOn } from '../system/listening-sockets.ts';
import { errnoName, native } from '../system/native.ts';
import { O_PATH, SAME_OWNER } from '../system/socket-permissions.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../system/unix-address.ts';
import { ClaimedDirectory, CONTROL_NAME, isSameFile, isSwitchSocket } from './claimed-directory.ts';

/** What a path may have besides the directory: `/fd12345`, `/001.123`. */
export const LONGEST_NAME_BYTES = 8;
const MAX_PATH_BYTES = 107;
/** Permission bits of the sockets. */
export const DEFAULT_MODE = 0o600;
/** How often the directory may change under us before it is somebody else's problem. */
const MAX_ATTEMPTS = 50;
/** An original switch needs a moment from the name to listening; a younger name than this is looked at again. */
const SETTLE_MS = 100;
const OWNER_BITS = 0o700;
const OWNER_SEARCH = 0o100;

/** Who may join. */
export interface RendezvousOptions {
  /** Permission bits of the sockets; execution is left out. @defaultValue 0o600 */
  readonly mode?: number | undefined;
  /** Permission bits of the directory. @defaultValue set-group-id, and what `mode` needs: 0o2700 */
  readonly dirmode?: number | undefined;
  /** The group of directory and sockets, as a number. */
  readonly group?: number | undefined;
  /** Whether a directory of another user is refused, even one whose switch we could join. @defaultValue false */
  readonly ownOnly?: boolean | undefined;
}

/** What came of it. */
export type Claim =
  /** Nobody else serves there until it is released, or this process ends. */
  | { readonly kind: 'claimed'; readonly directory: ClaimedDirectory; release(): void }
  /** Somebody serves there, or is about to: then there may be nobody to connect to for a moment. */
  | { readonly kind: 'served'; readonly path: string };

/**
 * Makes the directory, or takes over one whose switch is gone.
 *
 * @param label what people call the network
 * @param path of the directory, whose parent must exist
 * @throws VdensError `ERR_NETWORK_OPEN` when the directory is no place for a switch of ours
 */
export async function claimDirectory(label: string, path: string, options: RendezvousOptions = {}): Promise<Claim> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const canonical = canonicalPath(label, path);
    const bytes = Buffer.byteLength(canonical);
    const most = MAX_PATH_BYTES - LONGEST_NAME_BYTES;
    if (bytes > most) {
      const problem = `the directory of a switch may have ${most} bytes in its path, this one has ${bytes}`;
      throw failure(label, canonical, problem, 'Use a shorter one', { errno: 'ENAMETOOLONG' });
    }
    const claim = await new Attempt(label, canonical, options).run();
    if (claim !== undefined) return claim;
  }
  throw failure(label, path, 'the directory is removed as often as it is made', 'Does another program clean up there?');
}

/** The directory mode that the sockets' mode asks for: whoever may read or write gets to them. */
export function directoryModeFor(mode: number): number {
  const passable = ((mode & 0o444) >> 2) | ((mode & 0o222) >> 1);
  return 0o2000 | mode | passable;
}

function canonicalPath(label: string, path: string): string {
  const absolute = absolutePath(label, path);
  try {
    return realpathSync(absolute);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw systemFailure(label, absolute, cause);
  }
  try {
    return join(realpathSync(dirname(absolute)), basename(absolute));
  } catch (cause) {
    throw systemFailure(label, absolute, cause);
  }
}

/** The working directory may have been removed. */
function absolutePath(label: string, path: string): string {
  try {
    return resolve(path);
  } catch (cause) {
    const remedy = 'Name it by its absolute path, or cd to another directory';
    throw failure(label, path, 'the working directory is gone', remedy, { errno: 'ENOENT', cause });
  }
}

/** One try; it starts over when the directory is not the same any more by the time it is locked. */
class Attempt {
  readonly #label: string;
  readonly #path: string;
  readonly #mode: number;
  readonly #dirmode: number;
  readonly #group: number | undefined;
  readonly #ownOnly: boolean;

  constructor(label: string, path: string, { mode = DEFAULT_MODE, dirmode, group, ownOnly }: RendezvousOptions) {
    this.#label = label;
    this.#path = path;
    this.#mode = mode & 0o666;
    this.#dirmode = dirmode ?? directoryModeFor(this.#mode);
    this.#group = group;
    this.#ownOnly = ownOnly ?? false;
  }

  async run(): Promise<Claim | undefined> {
    const isNew = this.#make();
    const fd = this.#open();
    if (fd === 'gone') return undefined;
    if (fd === 'unreadable') return await this.#joinOnly();
    let isKept = false;
    try {
      if (this.#ownOnly && fstatSync(fd).uid !== process.geteuid?.()) throw this.#notOurs();
      const locked = native.lockDescriptor(fd);
      if (locked < 0 && errnoName(locked) === 'EAGAIN') return this.#served();
      if (locked < 0)
        throw this.#refuse(`cannot lock it (flock: ${errnoName(locked)})`, 'Name a directory on a local disk');
      const stats = fstatSync(fd);
      if (!isSameFile(stats, this.#path)) return undefined;
      if (await this.#isServedByOthers()) return this.#served();
      const names = this.#staleSockets(fd, stats);
      this.#takePossession(fd, stats);
      this.#removeStale(fd, names);
      const permissions = { mode: this.#mode, group: this.#group };
      const directory = new ClaimedDirectory(this.#label, this.#path, fd, permissions);
      isKept = true;
      return { kind: 'claimed', directory, release: () => directory.release() };
    } catch (error) {
      // The lock is ours, so nobody else has begun to serve there.
      if (isNew) removeEmpty(this.#path);
      throw error;
    } finally {
      if (!isKept) closeSync(fd);
    }
  }

  /** Returns whether it was not there before. */
  #make(): boolean {
    try {
      mkdirSync(this.#path, OWNER_BITS);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw systemFailure(this.#label, this.#path, cause);
    }
    restoreOwnerBits(this.#path);
    return true;
  }

  #open(): number | 'gone' | 'unreadable' {
    try {
      return openSync(this.#path, fs.O_RDONLY | fs.O_DIRECTORY | fs.O_NOFOLLOW);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'ENOENT') return 'gone';
      if (code === 'EACCES') return 'unreadable';
      if (code === 'ENOTDIR' || code === 'ELOOP') {
        throw this.#refuse('that is no directory', 'Name one that does not exist yet: it is made', {
          errno: 'ENOTDIR',
          cause,
        });
      }
      throw systemFailure(this.#label, this.#path, cause);
    }
  }

  #served(): Claim {
    return { kind: 'served', path: this.#path };
  }

  /** A directory that we may not list can still be one whose switch we may use. */
  async #joinOnly(): Promise<Claim | undefined> {
    const stats = this.#lookAt(this.#path);
    if (stats === undefined) return undefined;
    const isOurs = stats.uid === process.geteuid?.();
    if (isOurs && (stats.mode & OWNER_SEARCH) === 0) return this.#closedToUs(stats);
    if (!isOurs && this.#ownOnly) throw this.#notOurs();
    if (await this.#isServedByOthers()) return this.#served();
    if (isOurs) return this.#closedToUs(stats);
    throw this.#belongsToOther('EACCES');
  }

  /** Ours, and not to be listed: another process is just making it ({@link restoreOwnerBits}), or it stays so. */
  async #closedToUs(stats: Stats): Promise<undefined> {
    if (Date.now() - stats.ctimeMs > SETTLE_MS) {
      const problem = `it is yours, and its mode ${(stats.mode & 0o7777).toString(8)} keeps you out (EACCES)`;
      throw this.#refuse(problem, `Let yourself in: chmod u+rwx ${this.#path}`, { errno: 'EACCES' });
    }
    await sleep(SETTLE_MS);
  }

  /** Whether somebody listens on `ctl`; one that is just being set up is waited for. */
  async #isServedByOthers(): Promise<boolean> {
    const path = join(this.#path, CONTROL_NAME);
    let stats = this.#lookAt(path);
    if (stats === undefined) return false;
    if (!stats.isSocket()) throw this.#holdsOther(CONTROL_NAME);
    if (this.#isAnswering(path, stats)) return true;
    if (Date.now() - stats.ctimeMs > SETTLE_MS) return false;
    await sleep(SETTLE_MS);
    stats = this.#lookAt(path);
    return stats !== undefined && this.#isAnswering(path, stats);
  }

  #lookAt(path: string): Stats | undefined {
    try {
      return lstatSync(path);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      throw code === 'EACCES' ? this.#belongsToOther('EACCES') : systemFailure(this.#label, path, cause);
    }
  }

  /** Asks the kernel first: some servers do not bear being connected to for nothing. */
  #isAnswering(path: string, stats: Stats): boolean {
    if (isListenedOn(stats)) return true;
    const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
    if (socket < 0) {
      const problem = `cannot make a socket (socket: ${errnoName(socket)})`;
      throw this.#refuse(problem, 'Are there too many open files? See: ulimit -n', { errno: errnoName(socket) });
    }
    const result = native.connectSocket(socket, unixAddress(path));
    native.closeDescriptor(socket);
    const errno = result < 0 ? errnoName(result) : undefined;
    // EAGAIN: somebody is there, whose queue of connections is full.
    if (errno === undefined || errno === 'EAGAIN') return true;
    if (errno === 'ECONNREFUSED' || errno === 'ENOENT') return false;
    const problem = `you may not use the switch there (connect ${path}: ${errno})`;
    const remedy =
      'Its owner can allow it, to all or a GROUP: [mode=0666], [mode=0660/grp=GROUP]; if it is gone, remove the directory';
    throw this.#refuse(problem, remedy, { errno, syscall: 'connect' });
  }

  /**
   * The names in the directory of sockets that a switch leaves behind. Nothing else may be there, unless the directory
   * is our user's, and has the `ctl` of a switch that is gone.
   */
  #staleSockets(fd: number, { uid }: Stats): string[] {
    const entries = readdirSync(`/proc/self/fd/${fd}`, { withFileTypes: true });
    const sockets = entries.filter(isSwitchSocket).map(({ name }) => name);
    const other = entries.find((entry) => !isSwitchSocket(entry));
    const isSwitchDirectory = uid === process.geteuid?.() && sockets.includes(CONTROL_NAME);
    if (other !== undefined && !isSwitchDirectory) throw this.#holdsOther(other.name);
    return sockets;
  }

  /** Gives it the permissions, when it is ours; one of somebody else we must at least be able to use. */
  #takePossession(fd: number, stats: Stats): void {
    if (stats.uid === process.geteuid?.()) {
      try {
        if (this.#group !== undefined && this.#group !== stats.gid) fchownSync(fd, SAME_OWNER, this.#group);
        fchmodSync(fd, this.#dirmode);
      } catch (cause) {
        const { code = '', syscall = '' } = cause as NodeJS.ErrnoException;
        const remedy = syscall === 'fchown' ? 'Name a group that you are in: grp=GROUP' : 'Name another directory';
        throw this.#refuse(`cannot set its permissions (${syscall}: ${code})`, remedy, { errno: code, syscall, cause });
      }
      return;
    }
    try {
      accessSync(`/proc/self/fd/${fd}`, fs.W_OK | fs.X_OK);
    } catch {
      throw this.#belongsToOther('EACCES');
    }
  }

  #removeStale(fd: number, names: readonly string[]): void {
    for (const name of names) {
      try {
        unlinkSync(`/proc/self/fd/${fd}/${name}`);
      } catch (cause) {
        const { code = '' } = cause as NodeJS.ErrnoException;
        // Other names are not in the way: there are enough.
        if (code === 'ENOENT' || (name !== CONTROL_NAME && name !== PRIVATE_SOCKET)) continue;
        const problem = `cannot remove ${name}, which a switch left behind (unlink: ${code})`;
        throw this.#refuse(problem, 'Have its owner remove it', { errno: code, syscall: 'unlink', cause });
      }
    }
  }

  #holdsOther(name: string): VdensError {
    const problem = `it holds something else than a switch (${JSON.stringify(name)})`;
    return this.#refuse(problem, 'Name a directory that does not exist yet: it is made', { errno: 'ENOTEMPTY' });
  }

  #belongsToOther(errno: string): VdensError {
    const problem = 'it belongs to somebody else, no switch is there that you may use, and you may not make one there';
    return this.#refuse(problem, 'Name a directory of your own, which need not exist yet', { errno });
  }

  #notOurs(): VdensError {
    return this.#refuse('it belongs to another user', 'Name the directory, if that is meant: switch:///tmp/lan', {
      errno: 'EPERM',
    });
  }

  #refuse(problem: string, remedy: string, details: FailureDetails = {}): VdensError {
    return failure(this.#label, this.#path, problem, remedy, details);
  }
}

/**
 * The umask may have taken permissions from a directory that we have just made, which we need for it. It is changed as
 * what was opened: somebody who may write above it could have put a link in its place.
 */
function restoreOwnerBits(path: string): void {
  try {
    const fd = openSync(path, O_PATH | fs.O_DIRECTORY | fs.O_NOFOLLOW);
    try {
      const { uid, mode } = fstatSync(fd);
      const isOurs = uid === process.geteuid?.();
      if (isOurs && (mode & OWNER_BITS) !== OWNER_BITS) chmodSync(`/proc/self/fd/${fd}`, OWNER_BITS);
    } finally {
      closeSync(fd);
    }
  } catch {
    // Opening it tells why, to people.
  }
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Somebody put something into it, or removed it.
  }
}

interface FailureDetails {
  readonly errno?: string;
  readonly syscall?: string;
  readonly cause?: unknown;
}

function failure(
  label: string,
  path: string,
  problem: string,
  remedy: string,
  details: FailureDetails = {},
): VdensError {
  const message = `${label}: cannot serve a switch in ${path}: ${problem}. ${remedy}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, ...details });
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'The folder above it must exist: make that first',
  ENOTDIR: 'Name a directory that does not exist yet: it is made',
  EACCES: 'Name a place where you may make a directory, such as /tmp/lan',
  EROFS: 'Name a place that can be written, such as /tmp/lan',
  ENOSPC: 'That file system is full',
  EMFILE: 'There are too many open files. See: ulimit -n',
  ENFILE: 'There are too many open files on this machine. End what you do not need',
};

function systemFailure(label: string, path: string, cause: unknown): VdensError {
  const { code = '', syscall = '' } = cause as NodeJS.ErrnoException;
  const remedy = REMEDIES[code] ?? 'Name another directory';
  return failure(label, path, `${syscall}: ${code}`, remedy, { errno: code, syscall, cause });
}
