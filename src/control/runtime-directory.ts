/**
 * Where the control sockets of a user's processes are: a directory of the user alone.
 *
 * `$VDENS_RUNTIME_DIR`, else `vdens` in `$XDG_RUNTIME_DIR`, else `/tmp/vdens-UID`.
 */
import { type Dirent, lstatSync, mkdirSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { VdensError } from '../errors.ts';

const MODE = 0o700;
const OTHERS = 0o077;

type Environment = Readonly<Record<string, string | undefined>>;

/** The path of the directory, whether it is there or not. */
export function runtimeDirectory(env: Environment = process.env): string {
  const { VDENS_RUNTIME_DIR: own = '', XDG_RUNTIME_DIR: session = '' } = env;
  // A relative one means nothing (XDG Base Directory Specification); of another user, as after su, it is not ours.
  if (isAbsolute(own)) return own;
  return isAbsolute(session) && isOurDirectory(session) ? join(session, 'vdens') : `/tmp/vdens-${outerUser()}`;
}

/**
 * Makes the directory unless it is there.
 *
 * @returns its path
 * @throws VdensError `ERR_CONTROL` when it is not there and cannot be made, belongs to another user, or is open to others
 */
export function openRuntimeDirectory(env: Environment = process.env): string {
  const path = runtimeDirectory(env);
  try {
    mkdirSync(path, MODE);
  } catch (cause) {
    const { code: errno = '', syscall = 'mkdir' } = cause as NodeJS.ErrnoException;
    if (errno !== 'EEXIST') {
      const message = `${path}: cannot make the directory for control sockets (${syscall}: ${errno}). Name another one: VDENS_RUNTIME_DIR=DIRECTORY`;
      throw new VdensError('ERR_CONTROL', message, { value: path, errno, syscall, cause });
    }
  }
  checkDirectory(path);
  return path;
}

/**
 * The control sockets that are in the directory: names of files, in their order. None when the directory is not there.
 *
 * @throws VdensError `ERR_CONTROL` when it belongs to another user, or is open to others
 */
export function namesInRuntimeDirectory(env: Environment = process.env): readonly string[] {
  const path = runtimeDirectory(env);
  let entries: readonly Dirent[];
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    checkDirectory(path);
    const { code: errno = '', syscall = 'scandir' } = cause as NodeJS.ErrnoException;
    const message = `${path}: cannot read the directory of control sockets (${syscall}: ${errno})`;
    throw new VdensError('ERR_CONTROL', message, { value: path, errno, syscall, cause });
  }
  checkDirectory(path);
  return entries
    .filter((entry) => entry.isSocket() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

/**
 * Our user as those outside of our user namespace know it (user_namespaces(7)): `vdens --root` shows another number to
 * its command, whose control sockets are the same.
 */
function outerUser(): number {
  const own = process.geteuid?.() ?? 0;
  try {
    for (const line of readFileSync('/proc/self/uid_map', 'latin1').trim().split('\n')) {
      const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
      if (own >= inside && own < inside + count) return own - inside + outside;
    }
  } catch {
    // Without /proc it is the one that we know.
  }
  return own;
}

/** Another user could put his sockets there, or take ours away. */
function checkDirectory(path: string): void {
  const problem = problemOf(path);
  if (problem !== undefined)
    throw new VdensError('ERR_CONTROL', `${path}: ${problem}`, { value: path, errno: 'EPERM' });
}

function problemOf(path: string): string | undefined {
  const another = 'Name another directory for control sockets: VDENS_RUNTIME_DIR=DIRECTORY';
  let stats: Stats | undefined;
  try {
    stats = lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return `it cannot be looked at (lstat: ${(error as NodeJS.ErrnoException).code}). ${another}`;
  }
  if (stats === undefined) return 'the directory of control sockets has just been removed. Try again';
  if (!stats.isDirectory()) return `it is no directory, and control sockets are to be there. ${another}`;
  if (stats.uid !== process.geteuid?.()) return `it belongs to another user, uid ${stats.uid}. ${another}`;
  if ((stats.mode & OTHERS) === 0) return undefined;
  const mode = (stats.mode & 0o7777).toString(8);
  return `it is open to other users (mode ${mode}), and control sockets are there. Close it: chmod 700 ${path}`;
}

function isOurDirectory(path: string): boolean {
  try {
    const stats = lstatSync(path);
    return stats.isDirectory() && stats.uid === process.geteuid?.();
  } catch {
    return false; // Nothing is there, or it is in a directory of another user.
  }
}
