/**
 * The names of a point-to-point line in the file system: made so that nobody ever finds one that refuses, removed
 * only when nobody is behind them. What is no socket is never touched, and nothing is ever written over.
 *
 * A name appears with somebody listening behind it: the socket is bound to a name of its own in the same directory,
 * listens, and is then linked to the name that others know (link(2) fails where there is one already). A name that
 * nobody answers for is moved into a directory of our own before it is removed, so that what is removed is what was
 * looked at.
 */
import {
  type BigIntStats,
  fchmodSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { VdensError } from '../errors.ts';
import { entrustName, reclaimName } from '../system/entrusted-names.ts';
import { errnoName, native } from '../system/native.ts';
import { setSocketPermissions } from '../system/socket-permissions.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, unixAddress } from '../system/unix-address.ts';

/** As the packaged originals make theirs: for one user. */
const MODE = 0o700;
const OWNER_BITS = 0o700;
/** Connections that may wait to be answered. */
const BACKLOG = 8;
/** Our own names are PATH, a dot, and as many random digits: as long as PATH.vdens, so that one limit holds. */
const SUFFIX_DIGITS = 5;
const SUFFIXES = 16 ** SUFFIX_DIGITS;
/** So many random names that all are taken are no accident. */
const MAX_NAME_TRIES = 100;

/** What kind of socket listens, and for whom. */
export interface ListeningOptions {
  /** @defaultValue `SOCK_SEQPACKET` */
  readonly type?: number;
  /** Permission bits, which hold from the start. @defaultValue 0o700 */
  readonly mode?: number;
  /** The group, as a number. @defaultValue ours */
  readonly group?: number | undefined;
  /** Connections that may wait to be answered; who comes then is told to try again. @defaultValue 8 */
  readonly backlog?: number;
}

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
  readonly identity: string;

  constructor(fd: number, path: string, identity: string) {
    this.fd = fd;
    this.path = path;
    this.identity = identity;
    entrustName(path);
  }

  /** Whether the name still leads here: somebody may have removed it, or put another in its place. */
  get isInPlace(): boolean {
    return lookAt(this.path)?.identity === this.identity;
  }

  /** Removes the name, if it is ours, and leaves the socket open. */
  removeName(): void {
    if (this.isInPlace) attempt(() => unlinkSync(this.path));
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
    // What a link leads to is somebody else's: a link is no socket here.
    stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
  if (stats === undefined) return undefined;
  // A socket is never written to: its time of modification is that of its birth, and a link does not change it.
  return { isSocket: stats.isSocket(), identity: `${stats.dev}:${stats.ino}:${stats.mtimeNs}` };
}

/**
 * A listening socket at a name that nobody has.
 *
 * @param path of the line, beside which the socket is bound first
 * @param name that others know
 * @returns `undefined` when somebody else was faster
 * @throws VdensError `ERR_NETWORK_OPEN` when the directory does not take a socket
 */
export function listenAt(
  label: string,
  path: string,
  name: string,
  { type = SOCK_SEQPACKET, mode = MODE, group, backlog = BACKLOG }: ListeningOptions = {},
): NamedSocket | undefined {
  const fd = openUnixSocket(label, type);
  let own: NamedSocket | undefined;
  try {
    own = bindToFreeName(label, fd, path, mode & OWNER_BITS);
    if (group !== undefined || mode !== (mode & OWNER_BITS)) openToOthers(label, own.path, group, mode);
    check(label, name, 'listen', native.listen(fd, backlog));
    if (give(label, own.path, name)) return new NamedSocket(fd, name, own.identity);
    native.closeDescriptor(fd);
    return undefined;
  } catch (error) {
    native.closeDescriptor(fd);
    throw error;
  } finally {
    own?.removeName();
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
    removeStale(label, path, found.identity);
  }
  const fd = openUnixSocket(label, SOCK_DGRAM);
  try {
    if (bind(label, fd, path)) return new NamedSocket(fd, path, lookAt(path)?.identity ?? '');
    native.closeDescriptor(fd);
    return undefined;
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
 * Removes the name of a socket that nobody answers for. Were it replaced just now, the newcomer gets its name back;
 * or, when that has been taken meanwhile, it finds out that it has none any more.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when it is not ours to remove
 */
export function removeStale(label: string, path: string, identity: string): void {
  if (lookAt(path)?.identity !== identity) return;
  let folder: string | undefined;
  try {
    folder = mkdtempSync(`${path}.`);
    const aside = join(folder, 'socket');
    renameSync(path, aside);
    if (lookAt(aside)?.identity === identity) unlinkSync(aside);
    else putBack(aside, path);
  } catch (cause) {
    const { code: errno = '', syscall = 'rename' } = cause as NodeJS.ErrnoException;
    if (errno === 'ENOENT') return; // Somebody else was faster.
    const message = `${label}: nobody answers at ${path}, and it cannot be removed (${syscall}: ${errno}). Remove it, or name another path`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno, syscall, cause });
  } finally {
    // What could not be put back and is no socket stays there.
    if (folder !== undefined) attempt(() => rmdirSync(folder!));
  }
}

/** Gives back a name that was not meant, unless it has been taken meanwhile. */
function putBack(aside: string, path: string): void {
  const isSocket = lookAt(aside)?.isSocket === true;
  // A directory cannot be linked; to move it back writes over nothing but an empty one.
  const isBack = attempt(() => linkSync(aside, path));
  if (isBack || isSocket) unlinkSync(aside);
  else if (lookAt(path) === undefined) renameSync(aside, path);
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

/** A socket under a name that nobody had, for a moment. */
function bindToFreeName(label: string, fd: number, path: string, mode: number): NamedSocket {
  for (let tries = 0; tries < MAX_NAME_TRIES; tries++) {
    // One that others could guess is no loss: what is there is left alone. To load node:crypto takes longer than all else.
    const name = `${path}.${Math.floor(Math.random() * SUFFIXES)
      .toString(16)
      .padStart(SUFFIX_DIGITS, '0')}`;
    if (bind(label, fd, name, mode, path)) return new NamedSocket(fd, name, lookAt(name)?.identity ?? '');
  }
  throw cannotMake(label, path, 'bind', 'EADDRINUSE');
}

/**
 * Answers false when something bears the name already.
 *
 * @param wanted the name that errors tell
 */
function bind(label: string, fd: number, path: string, mode: number = MODE, wanted: string = path): boolean {
  // bind(2) takes the permissions of the unbound socket, less what the umask says.
  fchmodSync(fd, mode);
  const result = native.bindSocket(fd, unixAddress(path));
  if (result < 0 && errnoName(result) === 'EADDRINUSE') return false;
  check(label, wanted, 'bind', result);
  return true;
}

/** Another group than ours comes before the bits that are for it; they hold whatever the umask says. */
function openToOthers(label: string, path: string, group: number | undefined, mode: number): void {
  try {
    setSocketPermissions(path, { mode, group });
  } catch (cause) {
    const { code: errno = '', syscall = 'chown' } = cause as NodeJS.ErrnoException;
    const message = `${label}: cannot open the socket ${path} to group ${group ?? 'and others'} (${syscall}: ${errno}). Name a group that you are in`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno, syscall, cause });
  }
}

/** Gives a socket the name that others know, too; answers false when something bears it already. */
function give(label: string, own: string, name: string): boolean {
  try {
    linkSync(own, name);
    return true;
  } catch (cause) {
    const { code: errno = '', syscall = 'link' } = cause as NodeJS.ErrnoException;
    if (errno === 'EEXIST') return false;
    throw cannotMake(label, name, syscall, errno, cause);
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

/** Answers whether it worked: a name may be gone already, or be taken. */
function attempt(change: () => void): boolean {
  try {
    change();
    return true;
  } catch {
    return false;
  }
}
