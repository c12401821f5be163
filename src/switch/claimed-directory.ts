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
  chmodSync,
  chownSync,
  closeSync,
  type Dirent,
  fchmodSync,
  constants as fs,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { VdensError } from '../errors.ts';
import { errnoName, native } from '../system/native.ts';
import { unixAddress } from '../system/unix-address.ts';

/** The name of the control socket in the directory. */
export const CONTROL_NAME = 'ctl';
/** asm-generic/fcntl.h; Node.js has no name for it. */
export const O_PATH = 0o10000000;
/** Names that switches and their clients give to sockets. */
const SOCKET_NAMES = /^(ctl|\.vdens|fd\d+|\d{3,}\.\d+|\.\d+-\d+)$/;
const SAME_OWNER: number = -1 >>> 0;
const OWNER_BITS = 0o700;
const SET_GROUP_ID = 0o2000;

/** Who may use what is in the directory. */
export interface SocketPermissions {
  /** Permission bits. */
  readonly mode: number;
  /** A group, as a number. */
  readonly group?: number | undefined;
  /**
   * A user, as a number, whom only root can give it to. When even root may not, as in a user namespace, the socket is as
   * all others of the directory. @defaultValue whoever makes it
   */
  readonly owner?: number | undefined;
}

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
      this.#made.set(name, this.#setPermissions(name, permissions));
      return true;
    } catch (cause) {
      this.#unlink(name);
      if (cause instanceof VdensError) throw cause;
      const { code = '', syscall = '' } = cause as NodeJS.ErrnoException;
      throw this.#failure(path, syscall, code, cause);
    }
  }

  /**
   * Removes a name that {@link bind} made. That somebody else did so already is fine. `ctl` stays when it has to show
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

  #setPermissions(name: string, { mode, group, owner }: SocketPermissions): Stats {
    const pinned = openSync(this.#inside(name), O_PATH | fs.O_NOFOLLOW);
    try {
      const found = fstatSync(pinned);
      if (!found.isSocket() || found.uid !== process.geteuid?.()) throw this.#failure(name, 'bind', 'EEXIST');
      // Leads to what was opened, whatever bears the name by now (proc_pid_fd(5)).
      const file = `/proc/self/fd/${pinned}`;
      if (group !== undefined && group !== found.gid) chownSync(file, SAME_OWNER, group);
      if ((found.mode & 0o7777) !== mode) chmodSync(file, mode);
      const isGiven = owner === undefined || owner === found.uid || isGivenTo(file, owner);
      if (!isGiven) chmodSync(file, this.permissions.mode);
      return found;
    } finally {
      closeSync(pinned);
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

/** Gives a file to a user. Returns whether that was allowed. */
function isGivenTo(file: string, owner: number): boolean {
  try {
    chownSync(file, owner, SAME_OWNER);
    return true;
  } catch {
    return false;
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
