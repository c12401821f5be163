/** Asking a gateway that runs, over its control socket. */
import { connect } from 'node:net';
import { printable, VdensError } from '../errors.ts';
import { type ControlForward, type ControlRequest, emitRequest, parseAnswer } from './control-message.ts';

/** How long a gateway may take to answer. */
const CONTROL_TIMEOUT_MS = 5000;
/** The longest answer that makes sense. */
const MAX_ANSWER_BYTES = 1_048_576;

/** How to ask. */
export interface ControlGatewayOptions {
  /** How long the gateway may take to answer, in milliseconds. @defaultValue 5000 */
  readonly timeoutMs?: number;
}

/**
 * Adds, lists or removes forwards of a gateway.
 *
 * @param path of its control socket, as in `slirp:///control=PATH`
 * @returns the forward that was added or removed, or all there are
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no gateway, or we may not control it; `ERR_NETWORK_TIMEOUT` when it
 * does not answer; what the gateway says, with its code, when it cannot do that
 */
export async function controlGateway(
  path: string,
  request: ControlRequest,
  { timeoutMs = CONTROL_TIMEOUT_MS }: ControlGatewayOptions = {},
): Promise<readonly ControlForward[]> {
  const line = await exchange(path, emitRequest(request), timeoutMs);
  const forwards = parseAnswer(line);
  if (forwards !== undefined) return forwards;
  throw failed(path, 'who listens there is no gateway', { errno: 'EPROTO' });
}

function exchange(path: string, request: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const parts: Buffer[] = [];
    let length = 0;
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket
        .removeAllListeners()
        .on('error', () => undefined)
        .destroy();
      settle();
    };
    const timer = setTimeout(() => finish(() => reject(notInTime(path, timeoutMs))), timeoutMs);
    socket.on('error', (error: NodeJS.ErrnoException) => finish(() => reject(unreachable(path, error))));
    socket.on('end', () => finish(() => reject(failed(path, 'it ended the connection', { errno: 'EPIPE' }))));
    socket.on('data', (bytes: Buffer) => {
      parts.push(bytes);
      length += bytes.length;
      const isWhole = bytes.includes('\n');
      if (isWhole || length > MAX_ANSWER_BYTES)
        finish(() => resolve(Buffer.concat(parts).toString().split('\n', 1)[0] ?? ''));
    });
    socket.write(request);
  });
}

function unreachable(path: string, cause: NodeJS.ErrnoException): VdensError {
  const { code: errno = 'EIO', syscall = 'connect' } = cause;
  const why = REASONS[errno] ?? `${syscall}: ${errno}`;
  return failed(path, why, { errno, syscall, cause });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket. Is slirp:///control=PATH open?',
  ECONNREFUSED: 'nobody listens there any more. Is slirp:///control=PATH open?',
  ENOTSOCK: 'it is no socket',
  EACCES: 'only the user who runs the gateway controls it',
  EPIPE: 'it ended the connection',
  ECONNRESET: 'it ended the connection',
};

function notInTime(path: string, timeoutMs: number): VdensError {
  const message = `cannot control the gateway at ${printable(path)}: it did not answer within ${timeoutMs / 1000} s. Is it stopped?`;
  return new VdensError('ERR_NETWORK_TIMEOUT', message, { value: path });
}

function failed(path: string, why: string, details: { errno: string; syscall?: string; cause?: unknown }): VdensError {
  const message = `cannot control the gateway at ${printable(path)}: ${why}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, ...details });
}
