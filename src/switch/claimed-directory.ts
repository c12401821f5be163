/**
 * A switch directory that is ours to serve, as long as its lock is held.
 *
 * What is in it is reached through the directory that was opened, not by its path, so that nothing elsewhere is
 * touched when somebody moves another one in its place.
 *
 * The names are not entrusted to anybody who would remove them after our death (system/entrusted-names.ts): another
 * switch may have taken the directory by then, and the same names would be its own. Whoever claims the directory
 * next removes them.
 */
import {
  closeSync,
  type Dirent,
  fchmodSync,
  fstatSync,
  linkSync,
  lstatSync,
  readdirSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { VdensError } from '../errors.ts';
import { isListenedOn } from '../system/listening-sockets.ts';
import { errnoName, native } from '../system/native.ts';
import { type SocketPermissions, setSocketPermissions } from '../system/socket-permissions.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../system/unix-address.ts';

export type { SocketPermissions };

/** The name of the control socket in the directory. */
export const CONTROL_NAME = 'ctl';
/** Before they have the name that others know, sockets are `.0-0`: no process is 0, so no client has such a name. */
const UNFINISHED_PREFIX = '.0-';
/** Of those, as many as a name of {@link LONGEST_NAME_BYTES} takes: killed switches of others may have left some. */
const MAX_UNFINISHED = 1000;
/** Names that switches and their clients give to sockets. */
const SOCKET_NAMES = /^(ctl|\.vdens|fd\d+|\d{3,}\.\d+|\.\d+-\d+)$/;
const OWNER_BITS = 0o700;
const SET_GROUP_ID = 0o2000;

export class ClaimedDirectory {
  /** Absolute, without links. */
  readonly path: string;
  /** What sockets are made with. */
  readonly permissions: SocketPermissions;
  readonly #label: string;
  readonly #fd: number;
  readonly #stats: Stats;
  /** The sockets that we made in it. */
  readonly #made = new Map<string, Stats>();
  #isReleased = false;

  /** @param fd the locked descriptor of the directory, which belongs to this from now on */
  constructor(label: string, path: string, fd: number, permissions: SocketPermissions) {
    this.path = path;
    this.#label = label;
    this.#fd = fd;
    this.#stats = fstatSync(fd);
    this.permissions = { ...permissions, group: permissions.group ?? reachableGroup(this.#stats) };
  }

  /**
   * Binds a socket to a name in the directory.
   *
   * The permissions are those of the unbound socket, less what the umask says, so there is no moment in which the
   * name is open to more users than it shall be.
   *
   * @returns false when the name is taken
   * @throws VdensError `ERR_NETWORK_OPEN`; no name is left behind then
   */
  bind(socket: number, name: string, permissions: SocketPermissions = this.permissions): boolean {
    const { mode, group } = permissions;
    const path = join(this.path, name);
    // Another group than ours comes before the bits that are for it.
    fchmodSync(socket, group === undefined ? mode : mode & OWNER_BITS);
    const result = native.bindSocket(socket, unixAddress(path));
    if (result < 0 && errnoName(result) === 'EADDRINUSE') return false;
    if (result < 0) throw this.#failure(path, 'bind', errnoName(result));
    try {
      this.#made.set(name, setSocketPermissions(this.#inside(name), permissions, this.permissions.mode));
      return true;
    } catch (cause) {
      this.#unlink(name);
      const { code = '', syscall = '' } = cause as NodeJS.ErrnoException;
      throw this.#failure(path, syscall, code, cause);
    }
  }

  /**
   * Gives a socket that listens a name in the directory. The name appears when somebody listens behind it, and who may
   * use it may do so at once: whoever waits for the name is never refused.
   *
   * @param backlog connections that may wait
   * @returns false when the name is taken
   * @throws VdensError `ERR_NETWORK_OPEN`; no name is left behind then
   */
  listen(socket: number, name: string, backlog: number, permissions: SocketPermissions = this.permissions): boolean {
    const unfinished = this.#bindUnfinished(socket, permissions);
    try {
      const result = native.listen(socket, backlog);
      if (result < 0) throw this.#failure(join(this.path, name), 'listen', errnoName(result));
      return this.#give(unfinished, name);
    } finally {
      this.remove(unfinished);
    }
  }

  /**
   * Removes a name that {@link bind} or {@link listen} made. That somebody else did so already is fine. `ctl` stays when it has to show
   * that this is the directory of a switch, because more is in it: it can be claimed again then.
   */
  remove(name: string): void {
    const isSign = name === CONTROL_NAME && this.#needsSign();
    if (!isSign && this.#isMadeByUs(name)) this.#unlink(name);
    this.#made.delete(name);
  }

  /** Whether the path still leads here, and to the sockets that we made, so that those who come find us. */
  isStillOurs(name: string = CONTROL_NAME): boolean {
    return !this.#isReleased && isSameFile(this.#stats, this.path) && (!this.#made.has(name) || this.#isMadeByUs(name));
  }

  /** Whether the path still leads here, whatever became of the sockets. */
  get isInPlace(): boolean {
    return !this.#isReleased && isSameFile(this.#stats, this.path);
  }

  /** Removes what has a name that was ours. Returns false, and leaves it there, when somebody listens on it. */
  clear(name: string): boolean {
    const found = lstatSync(this.#inside(name), { throwIfNoEntry: false });
    if (found === undefined) return true;
    if (found.isSocket() && (isListenedOn(found) || isAnswering(join(this.path, name)))) return false;
    this.#unlink(name);
    return true;
  }

  /** Removes what we made, and the directory if it is ours and empty, and lets others claim it. Idempotent. */
  release(): void {
    if (this.#isReleased) return;
    for (const name of [...this.#made.keys()]) this.remove(name);
    try {
      if (this.#stats.uid === process.geteuid?.() && isSameFile(this.#stats, this.path)) rmdirSync(this.path);
    } catch {
      // Somebody else has something in it, or the folder above cannot be written.
    }
    this.#isReleased = true;
    closeSync(this.#fd);
  }

  #needsSign(): boolean {
    if (this.#isReleased || this.#stats.uid !== process.geteuid?.() || !isSameFile(this.#stats, this.path))
      return false;
    try {
      return readdirSync(this.#inside('.'), { withFileTypes: true }).some((entry) => !isSwitchSocket(entry));
    } catch {
      return false; // It was closed to us.
    }
  }

  #bindUnfinished(socket: number, permissions: SocketPermissions): string {
    for (let number = 0; number < MAX_UNFINISHED; number++) {
      const name = `${UNFINISHED_PREFIX}${number}`;
      if (this.bind(socket, name, permissions)) return name;
    }
    throw this.#failure(join(this.path, UNFINISHED_PREFIX), 'bind', 'EADDRINUSE');
  }

  /** Gives what we made another name, unless that is taken. */
  #give(own: string, name: string): boolean {
    const made = this.#made.get(own);
    try {
      this.#linkOrRename(own, name);
    } catch (cause) {
      const { code = '', syscall = 'link' } = cause as NodeJS.ErrnoException;
      if (code === 'EEXIST') return false;
      throw this.#failure(join(this.path, name), syscall, code, cause);
    }
    if (made === undefined || !isSameFile(made, this.#inside(name))) {
      throw this.#failure(join(this.path, name), 'link', 'EEXIST');
    }
    this.#made.set(name, made);
    return true;
  }

  #linkOrRename(own: string, name: string): void {
    try {
      linkSync(this.#inside(own), this.#inside(name));
    } catch (cause) {
      const { code = '' } = cause as NodeJS.ErrnoException;
      // A file system may have no links; what is there already must not be written over.
      const isLackOfLinks = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code);
      if (!isLackOfLinks || lstatSync(this.#inside(name), { throwIfNoEntry: false }) !== undefined) throw cause;
      renameSync(this.#inside(own), this.#inside(name));
    }
  }

  #isMadeByUs(name: string): boolean {
    const made = this.#made.get(name);
    return made !== undefined && !this.#isReleased && isSameFile(made, this.#inside(name));
  }

  #unlink(name: string): void {
    try {
      unlinkSync(this.#inside(name));
    } catch {
      // It is gone.
    }
  }

  #inside(name: string): string {
    return `/proc/self/fd/${this.#fd}/${basename(name)}`;
  }

  #failure(path: string, syscall: string, errno: string, cause?: unknown): VdensError {
    const message = `${this.#label}: cannot make the socket ${path} (${syscall}: ${errno}). ${remedyFor(syscall, errno)}`;
    return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno, syscall, cause });
  }
}

function remedyFor(syscall: string, errno: string): string {
  if (syscall === 'chown') return 'Name a group that you are in: grp=GROUP';
  if (errno === 'EACCES' || errno === 'EROFS') return 'Name a directory that you may write';
  if (errno === 'ENOENT') return 'The directory was removed or replaced just now. Try again';
  return 'Is there room left in that file system?';
}

/**
 * In a set-group-id directory of somebody else our sockets would get a group that we may not be in. Clients open theirs
 * to the group of ours, and would be out of reach then. Returns the group to give instead, if any.
 */
function reachableGroup({ mode, gid }: Stats): number | undefined {
  const own = process.getegid?.();
  const isInherited = (mode & SET_GROUP_ID) !== 0 && process.geteuid?.() !== 0;
  return isInherited && gid !== own && process.getgroups?.().includes(gid) !== true ? own : undefined;
}

/** Whether somebody takes connections there; EAGAIN: who has no room for one more. */
function isAnswering(path: string): boolean {
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  if (socket < 0) return false;
  const result = native.connectSocket(socket, unixAddress(path));
  native.closeDescriptor(socket);
  return result >= 0 || errnoName(result) === 'EAGAIN';
}

/** Whether it is one of the sockets that switches and their clients make. */
export function isSwitchSocket(entry: Dirent): boolean {
  return SOCKET_NAMES.test(entry.name) && entry.isSocket();
}

/** Whether the path leads to that very file. */
export function isSameFile(stats: Stats, path: string): boolean {
  try {
    const found = lstatSync(path);
    return found.ino === stats.ino && found.dev === stats.dev;
  } catch {
    return false;
  }
}
