/** Who may use a socket, which its file in a directory says. */
import { chmodSync, chownSync, closeSync, constants as fs, fstatSync, openSync, type Stats } from 'node:fs';

/** asm-generic/fcntl.h; Node.js has no name for it. */
export const O_PATH = 0o10000000;
/** For chown(2): the owner, or the group, that it has. */
export const SAME_OWNER: number = -1 >>> 0;

/** Who may use what is in a directory. */
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

/**
 * Gives a socket that we have just made its permissions, whatever the umask said. Nothing else is touched, should
 * somebody have put something in its place.
 *
 * @param path of the socket
 * @param modeIfKept permission bits when the owner may not be given. @defaultValue the same
 * @returns what the file was before
 * @throws NodeJS.ErrnoException from `open`, `chown` or `chmod`; `EEXIST` from `bind` when no socket of ours is there
 */
export function setSocketPermissions(
  path: string,
  { mode, group, owner }: SocketPermissions,
  modeIfKept: number = mode,
): Stats {
  const pinned = openSync(path, O_PATH | fs.O_NOFOLLOW);
  try {
    const found = fstatSync(pinned);
    if (!found.isSocket() || found.uid !== process.geteuid?.()) throw notOurs(path);
    // Leads to what was opened, whatever bears the name by now (proc_pid_fd(5)).
    const file = `/proc/self/fd/${pinned}`;
    // Another group than ours comes before the bits that are for it.
    if (group !== undefined && group !== found.gid) chownSync(file, SAME_OWNER, group);
    if ((found.mode & 0o7777) !== mode) chmodSync(file, mode);
    const isGiven = owner === undefined || owner === found.uid || isGivenTo(file, owner);
    if (!isGiven) chmodSync(file, modeIfKept);
    return found;
  } finally {
    closeSync(pinned);
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

function notOurs(path: string): NodeJS.ErrnoException {
  const error = new Error(`expected a socket of ours at ${path}, found something else`);
  return Object.assign(error, { code: 'EEXIST', syscall: 'bind', path });
}
