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
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { VdensError } from '../errors.ts';
import { errnoName, native } from '../system/native.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_STREAM, unixAddress, unixPath } from '../system/unix-address.ts';
import { emitVdeRequest } from '../wire/vde-request.ts';
import { receiveAnswer } from './vde-answer.ts';
import { bindDataSocket, removeDataSocket, type VdeSocketOptions } from './vde-socket.ts';

/** How long a switch may take to answer, in milliseconds. */
export const ANSWER_TIMEOUT_MS = 5000;
/** How long to wait before knocking again at a switch whose queue of connections is full. */
const KNOCK_AGAIN_MS = 20;

/** Which port of which switch. */
export interface VdeConnectionOptions extends VdeSocketOptions {
  /** The switch's directory. */
  readonly directory: string;
  /** The port's number; any port when neither this nor `portGroup` is given. */
  readonly port?: number;
  /** The name of a port group's socket in the directory. */
  readonly portGroup?: string;
  /** Who we are, for the operator of the switch; at most 127 bytes arrive. */
  readonly description: string;
  /** How long the switch may take to answer. @defaultValue {@link ANSWER_TIMEOUT_MS} */
  readonly timeoutMs?: number;
  /** Gives up at once, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A port of a switch: two descriptors, which belong to the caller. */
export interface VdeConnection {
  readonly control: number;
  readonly data: number;
  /** The switch's directory, without links. */
  readonly directory: string;
  /** The path of the switch's data socket. */
  readonly peer: string;
  /** The same as an address (unix(7)). */
  readonly peerAddress: Uint8Array;
}

/**
 * Gets a port.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no switch or it refuses, `ERR_NETWORK_TIMEOUT` when it does
 * not answer; the signal's reason when it is aborted
 */
export async function connectToSwitch(label: string, options: VdeConnectionOptions): Promise<VdeConnection> {
  const deadline = performance.now() + (options.timeoutMs ?? ANSWER_TIMEOUT_MS);
  const directory = resolveDirectory(label, options.directory);
  const server = join(directory, options.portGroup ?? 'ctl');
  const control = openSocket(label, SOCK_STREAM);
  let data = -1;
  let name: string | undefined;
  try {
    await connectControl(label, control, server, directory, options, deadline);
    data = openSocket(label, SOCK_DGRAM);
    name = bindDataSocket(label, data, directory, server, options);
    const address = await ask(label, control, name, options, deadline);
    const result = native.connectSocket(data, address);
    if (result < 0) {
      const errno = errnoName(result);
      const peer = printable(unixPath(address));
      const message = `${label}: the switch's socket ${peer} is out of reach (connect: ${errno}). Did the switch end just now? Try again`;
      throw new VdensError('ERR_NETWORK_OPEN', message, { value: peer, errno, syscall: 'connect' });
    }
    return { control, data, directory, peer: unixPath(address), peerAddress: address };
  } catch (error) {
    native.closeDescriptor(control);
    if (data >= 0) native.closeDescriptor(data);
    throw error;
  } finally {
    if (name !== undefined) removeDataSocket(name);
  }
}

function resolveDirectory(label: string, directory: string): string {
  try {
    return realpathSync(directory);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? '';
    const what = errno === 'ENOENT' ? 'there is no such switch' : `the switch's directory is out of reach`;
    const message = `${label}: ${what} (${directory}: ${errno}). Start one with: vde switch ${directory}`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: directory, errno, cause });
  }
}

function openSocket(label: string, type: number): number {
  const fd = native.openSocket(AF_UNIX, type, 0);
  if (fd >= 0) return fd;
  const errno = errnoName(fd);
  const message = `${label}: cannot make a socket (socket: ${errno}). Are there too many open files? See: ulimit -n`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { errno, syscall: 'socket' });
}

/** Connects; while the queue of the switch is full it knocks again. */
async function connectControl(
  label: string,
  control: number,
  server: string,
  directory: string,
  { portGroup, signal }: VdeConnectionOptions,
  deadline: number,
): Promise<void> {
  const address = unixAddress(server);
  for (;;) {
    signal?.throwIfAborted();
    const result = native.connectSocket(control, address);
    if (result === 0) return;
    const errno = errnoName(result);
    if (errno !== 'EAGAIN' || performance.now() > deadline) {
      const code = errno === 'EAGAIN' ? 'ERR_NETWORK_TIMEOUT' : 'ERR_NETWORK_OPEN';
      const message = `${label}: ${connectProblem(server, directory, portGroup, errno)}`;
      throw new VdensError(code, message, { value: server, errno, syscall: 'connect' });
    }
    await new Promise((resolve) => setTimeout(resolve, KNOCK_AGAIN_MS));
  }
}

function connectProblem(path: string, directory: string, portGroup: string | undefined, errno: string): string {
  const found = `(connect ${path}: ${errno})`;
  if (errno === 'EACCES') {
    return `you may not use this switch ${found}. Its owner can allow it, to all or a GROUP: vde switch -m 0666, -m 0660 -g GROUP; vde_switch takes the same; switch://PATH[mode=0666]`;
  }
  if (portGroup !== undefined && errno === 'ENOENT') {
    return `the switch has no port group "${portGroup}" ${found}. Leave the brackets out for any port, or give a port number: [3]`;
  }
  if (errno === 'ENOTDIR')
    return `this is not the directory of a switch ${found}. Name the one in which its socket ctl is`;
  if (errno === 'EAGAIN') return `the switch does not take connections ${found}. Is it stopped or overloaded?`;
  return `nobody serves a switch there ${found}. Start one with: vde switch ${directory}`;
}

/** Asks for a port; the answer is the address of the switch's data socket. */
async function ask(
  label: string,
  control: number,
  name: string,
  options: VdeConnectionOptions,
  deadline: number,
): Promise<Uint8Array> {
  const address = unixAddress(name);
  native.send(control, emitVdeRequest({ port: options.port, address, description: options.description }));
  // A switch that has closed the connection already is found out by receiving.
  const answer = await receiveAnswer(control, deadline, options.signal);
  if (answer instanceof Uint8Array) return answer;
  const wanted = options.port === undefined ? 'a port' : `port ${options.port}`;
  if (answer === 'timeout') {
    const seconds = (options.timeoutMs ?? ANSWER_TIMEOUT_MS) / 1000;
    const message = `${label}: the switch did not give us ${wanted} within ${seconds} s. Is it full, stopped, or the port number too high?`;
    throw new VdensError('ERR_NETWORK_TIMEOUT', message, { errno: 'ETIMEDOUT' });
  }
  const message =
    answer === 'closed'
      ? `${label}: the switch refused us ${wanted}: it closed the connection. Is the port taken, not allowed to you, or the switch full?`
      : `${label}: what serves there does not speak as a VDE switch does: its answer is no socket address. Name the directory of a switch`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { errno: answer === 'closed' ? 'ECONNREFUSED' : 'EPROTO' });
}

/** A path that a peer named, without what would move a terminal's cursor. */
function printable(path: string): string {
  return path.replace(/[^\x20-\x7e]/g, '?');
}
