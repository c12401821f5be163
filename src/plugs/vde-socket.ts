/**
 * The client's data socket of a `vde://` connection: its name, and who may use it.
 *
 * The name is `.PID-N` in the directory of the switch, or, when that cannot be written, `vde.PID-N` in one of the
 * directories where the original clients make theirs. It lives for a moment: until both sockets are connected.
 *
 * bind(2) takes the permissions from those of the unbound socket, less what the umask says, so there is no moment
 * in which the name is open to more users than it shall be.
 *
 * The directory belongs to the owner of the switch, who may put a link in place of the name at any time. So nothing
 * is changed by name: the name is opened once without following links (O_PATH, open(2)), and what is changed is
 * what was found there, if it is a socket of ours.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  constants as fs,
  fstatSync,
  openSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { VdensError } from '../errors.ts';
import { entrustName, reclaimName } from '../system/entrusted-names.ts';
import { errnoName, native } from '../system/native.ts';
import { unixAddress } from '../system/unix-address.ts';

/** Where the socket is bound when the switch's directory is not ours to write, or its path too long. */
const FALLBACK_PREFIXES = ['/var/run/vde', '/var/tmp/vde', '/tmp/vde'];
const DEFAULT_MODE = 0o700;
const OWNER_BITS = 0o700;
const MAX_NAME_TRIES = 10_000;
/** asm-generic/fcntl.h; Node.js has no name for it. */
const O_PATH = 0o10000000;

/** Who may use the socket. */
export interface VdeSocketOptions {
  /** A group, as a number. @defaultValue as the switch's socket needs it */
  readonly group?: number;
  /** Permission bits. @defaultValue 0o700 */
  readonly mode?: number;
}

/**
 * Binds the socket to a name of its own, and lets the switch reach it.
 *
 * @param directory of the switch
 * @param server the path of the switch's control socket, whose owner is the switch
 * @returns the name, which the caller removes
 * @throws VdensError `ERR_NETWORK_OPEN`; no name is left behind
 */
export function bindDataSocket(
  label: string,
  socket: number,
  directory: string,
  server: string,
  options: VdeSocketOptions,
): string {
  const mode = options.mode ?? DEFAULT_MODE;
  // Another group than ours comes before the bits that are for it.
  fchmodSync(socket, options.group === undefined ? mode : mode & OWNER_BITS);
  const name = bindToFreeName(label, socket, directory);
  let pinned = -1;
  try {
    pinned = openSync(name, O_PATH | fs.O_NOFOLLOW);
    const found = fstatSync(pinned);
    if (!found.isSocket() || found.uid !== process.geteuid?.() || found.nlink > 1) throw replaced(label, name);
    // Leads to what was opened, whatever bears the name by now (proc_pid_fd(5)).
    const socketFile = `/proc/self/fd/${pinned}`;
    if (options.group !== undefined) giveToGroup(label, socketFile, options.group);
    const isPrivate = options.group === undefined && (mode & ~OWNER_BITS) === 0;
    chmodSync(socketFile, isPrivate ? mode | bitsForSwitch(socketFile, server) : mode);
    return name;
  } catch (cause) {
    removeDataSocket(name);
    if (cause instanceof VdensError) throw cause;
    const { code: errno = '', syscall = '' } = cause as NodeJS.ErrnoException;
    const message = `${label}: cannot let the switch use the socket ${name} (${syscall}: ${errno}). Did the switch go away just now? Try again`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { errno, syscall, cause });
  } finally {
    if (pinned >= 0) closeSync(pinned);
  }
}

function replaced(label: string, name: string): VdensError {
  const message = `${label}: somebody put another file in place of our socket ${name}. Do not use this switch: its directory is not to be trusted`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: name, errno: 'EEXIST' });
}

/** Removes the name. That somebody else did so already is fine. */
export function removeDataSocket(name: string): void {
  try {
    unlinkSync(name);
  } catch {
    // A switch that ended removed its directory, or the user did.
  }
  reclaimName(name);
}

function bindToFreeName(label: string, socket: number, directory: string): string {
  let failure: VdensError | undefined;
  for (const prefix of [`${directory}/`, ...FALLBACK_PREFIXES]) {
    try {
      return bindBehind(label, socket, prefix);
    } catch (error) {
      // The first failure is the one worth telling: the directory of the switch.
      failure ??= error as VdensError;
    }
  }
  throw failure!;
}

function bindBehind(label: string, socket: number, prefix: string): string {
  let name = '';
  let result = 0;
  for (let counter = 0; counter < MAX_NAME_TRIES; counter++) {
    name = `${prefix}.${pad(process.pid)}-${pad(counter)}`;
    result = native.bindSocket(socket, unixAddress(name));
    if (result === 0) {
      entrustName(name);
      return name;
    }
    if (errnoName(result) !== 'EADDRINUSE') break;
  }
  const errno = errnoName(result);
  const message = `${label}: cannot make a socket ${name} (bind: ${errno}), nor one in /var/run, /var/tmp or /tmp. Check that one of these directories can be written`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: name, errno, syscall: 'bind' });
}

function giveToGroup(label: string, file: string, group: number): void {
  try {
    chownSync(file, -1 >>> 0, group);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? '';
    const message = `${label}: cannot give the socket to group ${group} (chown: ${errno}). Name a group that you are in`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: String(group), errno, syscall: 'chown', cause });
  }
}

/** A switch of another user reaches the socket by the group of its control socket, else as everybody. */
function bitsForSwitch(file: string, server: string): number {
  const { uid, gid } = statSync(server);
  if (uid === 0 || uid === process.geteuid?.()) return 0;
  try {
    chownSync(file, -1 >>> 0, gid);
    return 0o070;
  } catch {
    return 0o077; // not in that group: then there is no other way
  }
}

function pad(number: number): string {
  return String(number).padStart(5, '0');
}
