/**
 * How a client gets a port of a VDE switch: connect to the control socket, bind a data socket, ask, connect the
 * data socket to the one the switch answers with.
 *
 * ```
 * DIR/ctl        stream    client ──request──▶ switch      stays open: its end is the end of the port
 *                          client ◀──address── switch
 * DIR/.PID-N     datagram  client ◀──frames──▶ switch      the name goes as soon as both are connected
 * ```
 */
import { chmodSync, chownSync, realpathSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { VdensError } from '../errors.ts';
import { errnoName, native } from '../system/native.ts';
import { HUNG_UP, READABLE, Watch } from '../system/reactor.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_STREAM, UNIX_ADDRESS_BYTES, unixAddress, unixPath } from '../system/unix-address.ts';
import { emitVdeRequest } from '../wire/vde-request.ts';

/** How long a switch may take to answer, in milliseconds. */
export const ANSWER_TIMEOUT_MS = 5000;
/** Where the data socket is bound when the switch's directory is not ours to write. */
const FALLBACK_PREFIXES = ['/var/run/vde', '/var/tmp/vde', '/tmp/vde'];
const DEFAULT_MODE = 0o700;
const MAX_NAME_TRIES = 10_000;

/** Which port of which switch. */
export interface VdeConnectionOptions {
  /** The switch's directory. */
  readonly directory: string;
  /** The port's number; any port when neither this nor `portGroup` is given. */
  readonly port?: number;
  /** The name of a port group's socket in the directory. */
  readonly portGroup?: string;
  /** The group of the data socket, as a number. @defaultValue as the switch's socket needs it */
  readonly group?: number;
  /** Permission bits of the data socket. @defaultValue 0o700 */
  readonly mode?: number;
  /** Who we are, for the operator of the switch; at most 127 bytes arrive. */
  readonly description: string;
  /** How long the switch may take to answer. @defaultValue {@link ANSWER_TIMEOUT_MS} */
  readonly timeoutMs?: number;
}

/** A port of a switch: two descriptors, which belong to the caller. */
export interface VdeConnection {
  readonly control: number;
  readonly data: number;
  /** The path of the switch's data socket. */
  readonly peer: string;
}

/**
 * Gets a port.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no switch or it refuses, `ERR_NETWORK_TIMEOUT` when it does
 * not answer
 */
export async function connectToSwitch(label: string, options: VdeConnectionOptions): Promise<VdeConnection> {
  const directory = resolveDirectory(label, options.directory);
  const control = connectControl(label, directory, options.portGroup);
  let data = -1;
  let name: string | undefined;
  try {
    data = openSocket(SOCK_DGRAM);
    name = bindData(label, data, directory, options);
    const request = emitVdeRequest({
      port: options.port,
      address: unixAddress(name),
      description: options.description,
    });
    const sent = native.send(control, request);
    if (sent !== request.length) throw problem(label, 'cannot ask the switch for a port', 'send', sent);
    const address = await receiveAnswer(label, control, options);
    const result = native.connectSocket(data, address);
    if (result < 0) throw problem(label, `cannot reach the switch's socket ${unixPath(address)}`, 'connect', result);
    return { control, data, peer: unixPath(address) };
  } catch (error) {
    native.closeDescriptor(control);
    if (data >= 0) native.closeDescriptor(data);
    throw error;
  } finally {
    if (name !== undefined) unlinkSync(name);
  }
}

function resolveDirectory(label: string, directory: string): string {
  try {
    return realpathSync(directory);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? '';
    const what = errno === 'ENOENT' ? 'there is no such switch' : `the switch's directory is out of reach`;
    const message = `${label}: ${what} (${directory}: ${errno}). Start one with: vde_switch -s ${directory}`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: directory, errno, cause });
  }
}

function connectControl(label: string, directory: string, portGroup: string | undefined): number {
  const path = join(directory, portGroup ?? 'ctl');
  const address = unixAddress(path);
  const control = openSocket(SOCK_STREAM);
  const result = native.connectSocket(control, address);
  if (result === 0) return control;
  native.closeDescriptor(control);
  const errno = errnoName(result);
  throw new VdensError('ERR_NETWORK_OPEN', `${label}: ${connectProblem(path, directory, portGroup, errno)}`, {
    value: path,
    errno,
    syscall: 'connect',
  });
}

function connectProblem(path: string, directory: string, portGroup: string | undefined, errno: string): string {
  const found = `(connect ${path}: ${errno})`;
  if (errno === 'EACCES') {
    return `you may not use this switch ${found}. Its owner can allow it: vde_switch -m 0666, or -m 0660 -g GROUP`;
  }
  if (portGroup !== undefined && errno === 'ENOENT') {
    return `the switch has no port group "${portGroup}" ${found}. Leave the brackets out for any port, or give a port number: [3]`;
  }
  if (errno === 'ENOTDIR')
    return `this is not the directory of a switch ${found}. Name the directory given to vde_switch -s`;
  if (errno === 'EAGAIN')
    return `the switch does not take connections at present ${found}. Is it stopped or overloaded?`;
  return `nobody serves a switch there ${found}. Start one with: vde_switch -s ${directory}`;
}

function openSocket(type: number): number {
  const fd = native.openSocket(AF_UNIX, type, 0);
  if (fd < 0) throw problem('unix socket', 'cannot make a socket', 'socket', fd);
  return fd;
}

/** Binds the data socket to a name of its own and gives that the right owner and mode; returns the name. */
function bindData(label: string, data: number, directory: string, options: VdeConnectionOptions): string {
  const prefixes = [`${directory}/`, ...FALLBACK_PREFIXES];
  let failure: VdensError | undefined;
  for (const prefix of prefixes) {
    for (let counter = 0; counter < MAX_NAME_TRIES; counter++) {
      const name = `${prefix}.${pad(process.pid)}-${pad(counter)}`;
      const result = bindPrivately(data, name, options.mode ?? DEFAULT_MODE);
      if (result === 0) {
        shareWithSwitch(label, name, directory, options);
        return name;
      }
      if (errnoName(result) === 'EADDRINUSE') continue;
      // The first failure is the one worth telling: the directory of the switch.
      failure ??= problem(label, `cannot make a socket ${name}`, 'bind', result);
      break;
    }
  }
  throw failure ?? problem(label, 'no free name for a socket', 'bind', 0);
}

/** bind(2) makes the name with the mode that the umask leaves, so there is no moment in which it is open to all. */
function bindPrivately(data: number, name: string, mode: number): number {
  const umask = process.umask(~mode & 0o777);
  try {
    return native.bindSocket(data, unixAddress(name));
  } finally {
    process.umask(umask);
  }
}

/**
 * Lets the switch reach the socket when it belongs to another user: by the group given; else by the group of its
 * control socket; else everybody's.
 */
function shareWithSwitch(label: string, name: string, directory: string, options: VdeConnectionOptions): void {
  const mode = options.mode ?? DEFAULT_MODE;
  if (options.group !== undefined) {
    try {
      chownSync(name, -1 >>> 0, options.group);
      chmodSync(name, mode);
    } catch (cause) {
      const errno = (cause as NodeJS.ErrnoException).code ?? '';
      unlinkSync(name);
      const message = `${label}: cannot give the socket to group ${options.group} (chown: ${errno}). Name a group that you are in`;
      throw new VdensError('ERR_NETWORK_OPEN', message, { value: String(options.group), errno, cause });
    }
    return;
  }
  if ((mode & 0o077) !== 0) return;
  const server = statSync(join(directory, options.portGroup ?? 'ctl'));
  if (server.uid === 0 || server.uid === process.geteuid?.()) return;
  try {
    chownSync(name, -1 >>> 0, server.gid);
    chmodSync(name, mode | 0o070);
  } catch {
    chmodSync(name, mode | 0o077); // not in that group: then there is no other way
  }
}

/** The address of the switch's data socket. */
function receiveAnswer(label: string, control: number, options: VdeConnectionOptions): Promise<Uint8Array> {
  const timeoutMs = options.timeoutMs ?? ANSWER_TIMEOUT_MS;
  const wanted = options.port === undefined ? 'a port' : `port ${options.port}`;
  const answer = new Uint8Array(UNIX_ADDRESS_BYTES);
  return new Promise((resolve, reject) => {
    let received = 0;
    const finish = (error?: VdensError): void => {
      clearTimeout(timer);
      watch.end();
      if (error === undefined) resolve(answer);
      else reject(error);
    };
    const timer = setTimeout(() => {
      const message = `${label}: the switch did not give us ${wanted} within ${timeoutMs / 1000} s. Is it full, stopped, or the port number too high?`;
      finish(new VdensError('ERR_NETWORK_TIMEOUT', message, { errno: 'ETIMEDOUT' }));
    }, timeoutMs);
    const watch = new Watch(control, READABLE, (events) => {
      const length = native.receive(control, answer.subarray(received));
      if (length > 0) received += length;
      if (received === UNIX_ADDRESS_BYTES) finish();
      else if (length === 0 || (length < 0 && (events & HUNG_UP) !== 0)) {
        const message = `${label}: the switch refused us ${wanted}: it closed the connection. Is the port taken, not allowed to you, or the switch full?`;
        finish(new VdensError('ERR_NETWORK_OPEN', message, { errno: 'ECONNREFUSED' }));
      }
    });
  });
}

function problem(label: string, what: string, syscall: string, result: number): VdensError {
  const errno = result < 0 ? errnoName(result) : 'short write';
  const hint = errno === 'EACCES' ? '. Check the permissions of the directory' : '';
  return new VdensError('ERR_NETWORK_OPEN', `${label}: ${what} (${syscall}: ${errno})${hint}`, { errno, syscall });
}

function pad(number: number): string {
  return String(number).padStart(5, '0');
}
