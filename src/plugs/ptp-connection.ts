/**
 * How two ends of a point-to-point line find each other: the handshakes of both protocols, from the side that comes
 * second.
 *
 * ```
 * seqpacket   connect ──▶        ◀── one byte: 0 you are in, else an errno (106, EISCONN: there are two already)
 * datagram    bind PATH+, connect to PATH; the first end connects back when it has something to send
 * ```
 *
 * The seqpacket protocol is that of the newest originals, the datagram protocol that of the packaged ones.
 */
import { constants } from 'node:os';
import { VdensError } from '../errors.ts';
import { errnoName, native } from '../system/native.ts';
import { HUNG_UP, READABLE, Watch } from '../system/reactor.ts';
import { SOCK_SEQPACKET, unixAddress } from '../system/unix-address.ts';
import { isHandoverWanted, isSameUser } from './handover.ts';
import { answers, lookAt, type NamedSocket, openUnixSocket, receiveAt } from './ptp-names.ts';

/** How long the other end may take to let us in, in milliseconds. */
const ANSWER_TIMEOUT_MS = 2000;
/** How long to wait before knocking again where many do. */
const KNOCK_AGAIN_MS = 20;

/** receiveDescriptors takes a count, and as many as one message holds (unix(7)). */
const DESCRIPTOR_WORDS = 254;

/** The answers of an end that is asked for the line. */
export const ACCEPTED = 0;
export const TAKEN: number = constants.errno.EISCONN;

/** A line: a connected socket, and how it came about. */
export interface PtpLine {
  /** Non-blocking; the owner of the line closes it, after {@link end}. */
  readonly fd: number;
  /** Which of the two accepted the other, where there is such a thing. */
  readonly role: 'accepted' | 'connected';
  /** Who is at the other end: one of us, or an original, by its protocol. */
  readonly peer: 'ours' | 'seqpacket' | 'datagram';
  /** A private connection to the other end, when that is a process of ours of the same user; the owner's, too. */
  readonly channel?: number | undefined;
  /** Whether the other end is still there, where the socket does not tell by itself. */
  isThere(): boolean;
  /** Says farewell, where that is the custom, and removes names. Before the descriptor is closed; idempotent. */
  end(): void;
}

/** What came of knocking at a name. */
export type Knock =
  | { readonly kind: 'line'; readonly fd: number; readonly channel: number | undefined }
  /** The line has two ends already. */
  | { readonly kind: 'taken' }
  /** There is no such name. */
  | { readonly kind: 'nobody' }
  /** Nobody is behind the name (or what bears it is no socket). */
  | { readonly kind: 'stale' }
  /** A socket of another type is there. */
  | { readonly kind: 'other-type' }
  /** Whoever was there left before it answered. */
  | { readonly kind: 'left' };

/** A line over a connected seqpacket socket, which tells of its end by itself. */
export function packetLine(
  fd: number,
  role: PtpLine['role'],
  peer: 'ours' | 'seqpacket',
  channel?: number | undefined,
): PtpLine {
  return { fd, role, peer, channel, isThere: () => true, end: () => undefined };
}

/**
 * Lets in who connected. Another process of ours, of the same user, gets a private connection with the answer.
 *
 * @returns `undefined` when it left
 */
export function letIn(fd: number, peer: 'ours' | 'seqpacket'): PtpLine | undefined {
  const answer = Uint8Array.of(ACCEPTED);
  if (peer !== 'ours' || !isHandoverWanted() || !isSameUser(fd)) {
    return native.send(fd, answer) === 1 ? packetLine(fd, 'accepted', peer) : undefined;
  }
  const ends = new Int32Array(2);
  if (native.openSocketPair(SOCK_SEQPACKET, ends) < 0) return packetLine(fd, 'accepted', peer);
  const sent = native.sendDescriptors(fd, answer, ends.subarray(1));
  native.closeDescriptor(ends[1]!);
  if (sent === 1) return packetLine(fd, 'accepted', peer, ends[0]!);
  native.closeDescriptor(ends[0]!);
  return undefined;
}

/**
 * Asks whoever listens at a name for the line.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when we may not or are refused, `ERR_NETWORK_TIMEOUT` when there is no
 * answer; the signal's reason when it is aborted
 */
export async function knock(label: string, path: string, signal: AbortSignal): Promise<Knock> {
  const deadline = performance.now() + ANSWER_TIMEOUT_MS;
  const fd = openUnixSocket(label, SOCK_SEQPACKET);
  let isKept = false;
  try {
    const failure = await connect(fd, path, deadline, signal);
    if (failure !== undefined) return afterFailure(label, path, failure);
    const { answer, channel } = await receiveAnswer(fd, deadline, signal);
    if (answer === 'closed') return { kind: 'left' };
    if (answer === 'timeout') throw silent(label, path);
    if (answer === TAKEN) return { kind: 'taken' };
    if (answer !== ACCEPTED) throw refused(label, path, answer);
    isKept = true;
    return { kind: 'line', fd, channel: keepPrivate(fd, channel) };
  } finally {
    if (!isKept) native.closeDescriptor(fd);
  }
}

/** The private connection, unless it leads to another user, or is not wanted: then it is closed. */
function keepPrivate(fd: number, channel: number | undefined): number | undefined {
  if (channel === undefined || (isHandoverWanted() && isSameUser(fd))) return channel;
  native.closeDescriptor(channel);
  return undefined;
}

/** The errno's name, unless it worked; while the queue at the other end is full, it tries again. */
async function connect(fd: number, path: string, deadline: number, signal: AbortSignal): Promise<string | undefined> {
  const address = unixAddress(path);
  for (;;) {
    signal.throwIfAborted();
    const result = native.connectSocket(fd, address);
    if (result === 0) return undefined;
    const errno = errnoName(result);
    if (errno !== 'EAGAIN' || performance.now() > deadline) return errno;
    await new Promise((resolve) => setTimeout(resolve, KNOCK_AGAIN_MS));
  }
}

function afterFailure(label: string, path: string, errno: string): Knock {
  if (errno === 'ENOENT') return { kind: 'nobody' };
  if (errno === 'ECONNREFUSED') return { kind: 'stale' };
  if (errno === 'EPROTOTYPE') return { kind: 'other-type' };
  if (errno === 'EAGAIN') throw silent(label, path);
  const remedy =
    errno === 'EACCES' || errno === 'EPERM' ? 'It belongs to another user. Name another path' : 'Name another path';
  const message = `${label}: the line is out of reach (connect ${path}: ${errno}). ${remedy}`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno, syscall: 'connect' });
}

/** The byte that lets us in, or not, and what may come with it. */
interface Answer {
  readonly answer: number | 'timeout' | 'closed';
  readonly channel?: number | undefined;
}

async function receiveAnswer(fd: number, deadline: number, signal: AbortSignal): Promise<Answer> {
  let watch: Watch | undefined;
  let timer: NodeJS.Timeout | undefined;
  let give: (outcome: Answer | 'aborted') => void = () => undefined;
  const outcome = new Promise<Answer | 'aborted'>((resolve) => {
    give = resolve;
  });
  const abort = (): void => give('aborted');
  try {
    watch = new Watch(fd, READABLE, (events) => {
      const answer = readAnswer(fd, (events & HUNG_UP) !== 0);
      if (answer === undefined) return;
      watch?.end();
      give(answer);
    });
    timer = setTimeout(() => give({ answer: 'timeout' }), Math.max(0, deadline - performance.now()));
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    const end = await outcome;
    if (end === 'aborted') throw signal.reason;
    return end;
  } finally {
    watch?.end();
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function readAnswer(fd: number, isHungUp: boolean): Answer | undefined {
  const buffer = new Uint8Array(1);
  const descriptors = new Int32Array(DESCRIPTOR_WORDS);
  const length = native.receiveDescriptors(fd, buffer, descriptors);
  if (length < 0 && !isHungUp) return undefined;
  const [count = 0, channel, ...others] = length < 0 ? [] : descriptors;
  for (const other of others.slice(0, Math.max(0, count - 1))) native.closeDescriptor(other);
  if (count > 0 && (length !== 1 || buffer[0] !== ACCEPTED)) native.closeDescriptor(channel!);
  if (length !== 1) return { answer: 'closed' };
  const isOurs = count > 0 && buffer[0] === ACCEPTED;
  if (isOurs) native.setNonBlocking(channel!);
  return { answer: buffer[0]!, channel: isOurs ? channel : undefined };
}

/** What came of joining a packaged original, which waits at a datagram socket. */
export type DatagramJoin =
  | { readonly kind: 'line'; readonly line: PtpLine }
  /** It still holds on to one that is gone; when it sends, it lets go, and turns to us. */
  | { readonly kind: 'tied'; readonly own: NamedSocket }
  | { readonly kind: 'taken' | 'gone' };

/**
 * Joins the packaged original at PATH, as its second end.
 *
 * @param tied what an earlier try was left with
 * @throws VdensError `ERR_NETWORK_OPEN`
 */
export function joinDatagram(label: string, path: string, tied: NamedSocket | undefined): DatagramJoin {
  const own = tied ?? receiveAt(label, `${path}+`);
  if (own === undefined) return { kind: 'taken' };
  const first = lookAt(path);
  const result = native.connectSocket(own.fd, unixAddress(path));
  if (result === 0 && first !== undefined)
    return { kind: 'line', line: datagramLine(label, path, own, first.identity) };
  const errno = result === 0 ? 'ENOENT' : errnoName(result);
  if (errno === 'EPERM') return { kind: 'tied', own };
  own.close();
  if (errno === 'ECONNREFUSED' || errno === 'ENOENT') return { kind: 'gone' };
  const message = `${label}: what serves ${path} is no end of a line (connect: ${errno}). Name another path`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno, syscall: 'connect' });
}

function datagramLine(label: string, path: string, own: NamedSocket, identity: string): PtpLine {
  let isOver = false;
  return {
    fd: own.fd,
    role: 'connected',
    peer: 'datagram',
    // Datagram sockets tell of their end only to who sends; the name tells everybody.
    isThere: () => lookAt(path)?.identity === identity && answers(label, path),
    end: () => {
      if (isOver) return;
      isOver = true;
      // An empty packet makes the original let go of us, so that another can come.
      native.send(own.fd, new Uint8Array(0));
      own.removeName();
    },
  };
}

/** The error of a third one. */
export function taken(label: string, path: string): VdensError {
  const message = `${label}: the line already has two ends (${path}: EISCONN). Use switch:// for more than two, or name another path`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'EISCONN' });
}

function refused(label: string, path: string, answer: number): VdensError {
  const errno = errnoName(-answer);
  const message = `${label}: who is at ${path} refused us (it answered ${errno}). Is it the end of a ptp:// line?`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno });
}

function silent(label: string, path: string): VdensError {
  const seconds = ANSWER_TIMEOUT_MS / 1000;
  const message = `${label}: who is at ${path} did not answer within ${seconds} s. Is that process stopped?`;
  return new VdensError('ERR_NETWORK_TIMEOUT', message, { value: path, errno: 'ETIMEDOUT' });
}
