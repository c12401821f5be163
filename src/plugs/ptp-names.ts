/**
 * The names of a point-to-point line in the file system: made so that nobody ever finds one that refuses, removed
 * only when nobody is behind them.
 *
 * A name appears with somebody listening behind it: the socket is bound to a name of its own in the same directory,
 * listens, and is then linked to the name that others know, or renamed onto one that nobody answers for.
 */
import { type BigIntStats, fchmodSync, linkSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { VdensError } from '../errors.ts';
import { entrustName, reclaimName } from '../system/entrusted-names.ts';
import { errnoName, native } from '../system/native.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, unixAddress } from '../system/unix-address.ts';

/** As the packaged originals make theirs: for one user. */
const MODE = 0o700;
/** Connections that may wait to be answered. */
const BACKLOG = 8;

/** What bears a name. */
export interface Found {
  readonly isSocket: boolean;
  /** Tells a file from one that takes its place, even where numbers of inodes are used again at once. */
  readonly identity: string;
}

/** A socket and its name. */
export class NamedSocket {
  readonly fd: number;
  readonly path: string;
  readonly #identity: string;

  constructor(fd: number, path: string, identity: string) {
    this.fd = fd;
    this.path = path;
    this.#identity = identity;
    entrustName(path);
  }

  /** Whether the name still leads here: somebody may have removed it, or put another in its place. */
  get isInPlace(): boolean {
    return lookAt(this.path)?.identity === this.#identity;
  }

  /** Removes the name, if it is ours, and leaves the socket open. */
  removeName(): void {
    if (this.isInPlace) tryUnlink(this.path);
    reclaimName(this.path);
  }

  /** Removes the name and closes the socket. */
  close(): void {
    this.removeName();
    native.closeDescriptor(this.fd);
  }
}

/** What bears the name now; `undefined` when nothing does, or when it cannot be looked at. */
export function lookAt(path: string): Found | undefined {
  let stats: BigIntStats | undefined;
  try {
    stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
  if (stats === undefined) return undefined;
  // A socket is never written to: its time of modification is that of its birth, and a link does not change it.
  return { isSocket: stats.isSocket(), identity: `${stats.dev}:${stats.ino}:${stats.mtimeNs}` };
}

/**
 * A listening socket at a name.
 *
 * @param stale the identity of what bears the name already, when nobody answers for it: it is replaced
 * @returns `undefined` when somebody else was faster
 * @throws VdensError `ERR_NETWORK_OPEN` when the directory does not take a socket
 */
export function listenAt(label: string, path: string, stale?: string): NamedSocket | undefined {
  const temporary = `${path}.${process.pid}`;
  const fd = openUnixSocket(label, SOCK_SEQPACKET);
  try {
    bind(label, fd, temporary);
    check(label, path, 'listen', native.listen(fd, BACKLOG));
    const { identity } = lookAt(temporary)!;
    if (!give(label, temporary, path, stale)) {
      native.closeDescriptor(fd);
      return undefined;
    }
    return new NamedSocket(fd, path, identity);
  } catch (error) {
    native.closeDescriptor(fd);
    throw error;
  } finally {
    tryUnlink(temporary);
  }
}

/**
 * A datagram socket at a name, which receives from anybody until it is connected.
 *
 * @returns `undefined` when somebody is there already
 * @throws VdensError `ERR_NETWORK_OPEN` when the directory does not take a socket
 */
export function receiveAt(label: string, path: string): NamedSocket | undefined {
  const found = lookAt(path);
  if (found !== undefined) {
    if (!found.isSocket) throw notOurs(label, path);
    if (answers(label, path)) return undefined;
    removeStale(path, found.identity);
  }
  const fd = openUnixSocket(label, SOCK_DGRAM);
  try {
    if (!bind(label, fd, path, true)) {
      native.closeDescriptor(fd);
      return undefined;
    }
    return new NamedSocket(fd, path, lookAt(path)?.identity ?? '');
  } catch (error) {
    native.closeDescriptor(fd);
    throw error;
  }
}

/** Whether a datagram socket is alive there; one that is connected elsewhere says EPERM, which is a sign of life. */
export function answers(label: string, path: string): boolean {
  const fd = openUnixSocket(label, SOCK_DGRAM);
  const result = native.connectSocket(fd, unixAddress(path));
  native.closeDescriptor(fd);
  return result === 0 || !['ECONNREFUSED', 'ENOENT'].includes(errnoName(result));
}

/**
 * Removes a name that nobody answers for. Only what was looked at is removed: were it replaced just now, the newcomer
 * gets its name back.
 */
export function removeStale(path: string, identity: string): void {
  const temporary = `${path}.${process.pid}`;
  try {
    renameSync(path, temporary);
    if (lookAt(temporary)?.identity !== identity) linkSync(temporary, path);
  } catch {
    // Somebody else removed it, or it is not ours to remove: then its name stays as it is.
  }
  tryUnlink(temporary);
}

/** @throws VdensError `ERR_NETWORK_OPEN` when there are too many open files */
export function openUnixSocket(label: string, type: number): number {
  return check(label, '', 'socket', native.openSocket(AF_UNIX, type, 0));
}

/** The error for a name that somebody uses for something else. */
export function notOurs(label: string, path: string): VdensError {
  const message = `${label}: ${path} is there already and no socket, so it is left alone. Name another path`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'ENOTSOCK' });
}

/** Answers false when the name is taken and that was allowed for. */
function bind(label: string, fd: number, path: string, mayBeTaken = false): boolean {
  const address = unixAddress(path);
  // bind(2) takes the permissions of the unbound socket, less what the umask says.
  fchmodSync(fd, MODE);
  let result = native.bindSocket(fd, address);
  if (result < 0 && errnoName(result) === 'EADDRINUSE') {
    if (mayBeTaken) return false;
    // A name with our number in it: from a process that had this number before us and was killed.
    tryUnlink(path);
    result = native.bindSocket(fd, address);
  }
  check(label, path, 'bind', result);
  return true;
}

/** Puts a socket in its place under the name that others know; answers whether it is there. */
function give(label: string, temporary: string, path: string, stale: string | undefined): boolean {
  try {
    if (stale === undefined) linkSync(temporary, path);
    else if (lookAt(path)?.identity === stale) renameSync(temporary, path);
    else return false;
    return true;
  } catch (cause) {
    const { code: errno = '', syscall = 'link' } = cause as NodeJS.ErrnoException;
    if (errno === 'EEXIST') return false;
    throw cannotMake(label, path, syscall, errno, cause);
  }
}

function check(label: string, path: string, syscall: string, result: number): number {
  if (result >= 0) return result;
  throw cannotMake(label, path, syscall, errnoName(result));
}

function cannotMake(label: string, path: string, syscall: string, errno: string, cause?: unknown): VdensError {
  const remedy =
    path === ''
      ? 'Are there too many open files? See: ulimit -n'
      : 'Name a path in a directory that is there and that you can write';
  const message = `${label}: cannot make a socket${path === '' ? '' : ` ${path}`} (${syscall}: ${errno}). ${remedy}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno, syscall, cause });
}

function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is gone already, or was never there.
  }
}
