/**
 * Whether a DNS resolver answers: a query of our own, for the name servers of the root, which every resolver knows
 * (RFC 9609). Whatever it answers shows that it is there.
 */
import { randomInt } from 'node:crypto';
import { IPV4_LENGTH } from '../net/ip.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { AGAIN, native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import { UdpSocket } from '../system/udp-socket.ts';

/** How long an answer may take. */
const PROBE_MS = 1000;
/** When the query is sent once more, because packets are lost. */
const PROBE_AGAIN_MS = 400;
/** So long another answer is not taken: the resolver that is preferred may be further away. */
const HEAD_START_MS = 300;
/** Packets that are looked at for each query; who sends more is no resolver. */
const MAX_PROBE_PACKETS = 16;
/** The header of DNS (RFC 1035, section 4.1.1), in bytes. */
const HEADER_BYTES = 12;
/** The first byte of the flags: a response; recursion is desired. */
const RESPONSE = 0x80;
const RECURSION_DESIRED = 1;
const TYPE_NS = 2;
const CLASS_IN = 1;

/** Asks one resolver. Resolves to whether it answered, in time and before the signal; never rejects. */
export type ResolverProbe = (resolver: SocketAddress, signal: AbortSignal) => Promise<boolean>;

/** {@link ResolverProbe} over UDP. */
export const probeResolver: ResolverProbe = async (resolver, signal) => {
  let socket: UdpSocket | undefined;
  try {
    socket = UdpSocket.open('DNS', resolver.address.length === IPV4_LENGTH ? 4 : 6);
    socket.connect(resolver);
    return await exchange(socket.fd, signal);
  } catch {
    // No way there, no descriptors: it does not answer.
    return false;
  } finally {
    socket?.close();
  }
};

/** The place of the one that answers; `undefined` when none does. Others than the preferred one have to wait for it. */
export async function firstToAnswer(
  all: readonly SocketAddress[],
  preferred: number,
  probe: ResolverProbe,
  signal: AbortSignal,
): Promise<number | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const found = await new Promise<number | undefined>((resolve) => {
    let waiting = all.length;
    let isLate = false;
    let other: number | undefined;
    const decide = (): void => {
      if (waiting === 0 || (isLate && other !== undefined)) resolve(other);
    };
    const beLate = (): void => {
      isLate = true;
      decide();
    };
    const note = (index: number, isAnswered: boolean): void => {
      waiting--;
      if (isAnswered) other ??= index;
      if (index === preferred) {
        isLate = true;
        if (isAnswered) resolve(index);
      }
      decide();
    };
    timer = setTimeout(beLate, HEAD_START_MS);
    for (const [index, resolver] of all.entries()) {
      void probe(resolver, signal).then((isAnswered) => note(index, isAnswered));
    }
  });
  clearTimeout(timer);
  return found;
}

function exchange(fd: number, signal: AbortSignal): Promise<boolean> {
  const query = emitQuery(randomInt(0x1_0000));
  return new Promise((resolve) => {
    let packets = 0;
    const finish = (isAnswered: boolean): void => {
      watch.end();
      clearTimeout(again);
      clearTimeout(end);
      signal.removeEventListener('abort', abort);
      resolve(isAnswered);
    };
    const abort = (): void => finish(false);
    const ask = (): void => void (native.send(fd, query) < 0 && finish(false));
    const take = (): void => {
      const answer = new Uint8Array(HEADER_BYTES);
      const length = native.receive(fd, answer);
      if (length === AGAIN) return;
      const isAnswer = length >= HEADER_BYTES && isAnswerTo(query, answer);
      // An error is what the kernel was told, such as ECONNREFUSED.
      if (length < 0 || isAnswer || ++packets >= MAX_PROBE_PACKETS) finish(isAnswer);
    };
    const watch = new Watch(fd, READABLE, take);
    const again = setTimeout(ask, PROBE_AGAIN_MS);
    const end = setTimeout(finish, PROBE_MS, false);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    else ask();
  });
}

/** `. IN NS?` */
function emitQuery(id: number): Uint8Array {
  const header = [id >> 8, id & 0xff, RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  return Uint8Array.of(...header, 0, 0, TYPE_NS, 0, CLASS_IN);
}

function isAnswerTo(query: Uint8Array, [first, second, flags = 0]: Uint8Array): boolean {
  return first === query[0] && second === query[1] && (flags & RESPONSE) !== 0;
}
