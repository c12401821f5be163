/**
 * `seqpacket://N`: a socket that whoever started us opened, one end of a line of which it, or somebody else, has the
 * other. One frame is one packet.
 *
 * The static library of the originals starts `vde_plug seqpacket://N NETWORK` so, to take part in a network.
 */
import { VdensError } from '../errors.ts';
import { parseCNumber } from '../system/c-number.ts';
import { keepDescriptor } from '../system/inheritance.ts';
import { errnoName, native } from '../system/native.ts';
import { SOCK_DGRAM, SOCK_SEQPACKET } from '../system/unix-address.ts';
import { SocketPlug } from './socket-plug.ts';
import { STREAM_FRAME_BYTES } from './stream.ts';

const MAX_DESCRIPTOR = 2 ** 31 - 1;
const EXAMPLE = 'seqpacket://5';

const REASONS = {
  closed: 'who has the other end of the socket closed it',
  left: 'who has the other end of the socket left',
  babbles: 'who has the other end of the socket says too much',
};

/** Those that were given: they are in use, or their numbers are those of something else of ours by now. */
const taken = new Set<number>();

/** One end of such a line. What was given is not given again, so it does not come back. */
export class GivenSocketPlug extends SocketPlug {
  override readonly heals: boolean = false;
}

/**
 * Takes possession of a descriptor.
 *
 * @param address its number: decimal, or as in C (`0x5`)
 * @throws VdensError `ERR_LOCATOR` when that is no number; `ERR_NETWORK_OPEN` when it is no connected socket of packets,
 * or was taken before
 */
export function openGivenSocket(label: string, address: string): GivenSocketPlug {
  const fd = readNumber(label, address);
  if (taken.has(fd)) throw failure(label, fd, 'EBUSY');
  const words = new Int32Array(2);
  const result = native.socketKind(fd, words);
  if (result < 0) throw failure(label, fd, errnoName(result));
  const [type, isConnected] = words;
  if (type !== SOCK_SEQPACKET && type !== SOCK_DGRAM) throw failure(label, fd, 'EPROTOTYPE');
  if (isConnected !== 1) throw failure(label, fd, 'ENOTCONN');
  taken.add(fd);
  keepDescriptor(fd);
  return new GivenSocketPlug(label, {
    data: fd,
    maxFrameBytes: STREAM_FRAME_BYTES,
    emptyIsEnd: type === SOCK_SEQPACKET,
    reasons: REASONS,
  });
}

function readNumber(label: string, address: string): number {
  const number = parseCNumber(address);
  if (number <= MAX_DESCRIPTOR) return number;
  const message = `${label}: "${address}" is not the number of a descriptor. Write, for example, ${EXAMPLE}`;
  throw new VdensError('ERR_LOCATOR', message, { value: address });
}

const PROBLEMS: Readonly<Record<string, string>> = {
  EBUSY: 'was taken already, and can be taken once only. Give us a socketpair(2) for each network',
  EBADF: 'is not open. Whoever starts us has to open it, and leave it open for us (without close-on-exec)',
  ENOTSOCK: 'is no socket. Give us one end of a socketpair(2) of SOCK_SEQPACKET',
  EPROTOTYPE: 'is a stream, in which frames would run together. Give us one end of a socketpair(2) of SOCK_SEQPACKET',
  ENOTCONN: 'is connected to nobody. Give us one end of a socketpair(2)',
};

function failure(label: string, fd: number, errno: string): VdensError {
  const problem = PROBLEMS[errno] ?? 'cannot be used';
  const message = `${label}: descriptor ${fd} ${problem.replace(/(\.|$)/, ` (${errno})$1`)}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: String(fd), errno });
}
