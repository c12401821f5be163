/**
 * Requests and their answers over one netlink socket, one at a time.
 *
 * The socket was opened inside a network namespace and speaks about that namespace, whoever holds it.
 * How bytes get in and out of it is the transport's affair.
 */
import { getSystemErrorMap } from 'node:util';
import { VdensError } from '../errors.ts';
import {
  emitMessage,
  type NetlinkMessage,
  type NetlinkVerdict,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseMessages,
  parseVerdict,
} from './netlink-message.ts';

/** The way in and out of a netlink socket. */
export interface NetlinkTransport {
  /** Sends one datagram. @throws VdensError `ERR_NETLINK` when the socket refuses it. */
  send(datagram: Uint8Array): void;
  /**
   * The next datagram; the bytes belong to the caller.
   * @throws VdensError `ERR_NETLINK` when none comes within a bounded time.
   */
  receive(): Promise<Uint8Array>;
}

/** The answer to a request. */
export interface NetlinkAnswer {
  readonly verdict: NetlinkVerdict;
  /** The messages before the verdict: the objects asked for. */
  readonly messages: readonly NetlinkMessage[];
}

/** Asks the kernel, and waits for its verdict. Requests that overlap in time take turns. */
export class NetlinkConnection {
  readonly #transport: NetlinkTransport;
  #sequence = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(transport: NetlinkTransport) {
    this.#transport = transport;
  }

  /**
   * Sends a request and collects what comes back until the kernel's verdict. A refusal is a verdict, not an exception.
   *
   * @param flags besides NLM_F_REQUEST, and NLM_F_ACK where that is due
   * @throws VdensError `ERR_NETLINK` when the transport fails or the answer makes no sense
   */
  request(type: number, flags: number, payload: Uint8Array): Promise<NetlinkAnswer> {
    const answer = this.#turn.then(() => this.#exchange(type, flags, payload));
    // A failure is the caller's to see; whoever is next in turn does not care.
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  async #exchange(type: number, flags: number, payload: Uint8Array): Promise<NetlinkAnswer> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const isDump = (flags & NLM_F_DUMP) === NLM_F_DUMP;
    // A dump ends with NLMSG_DONE and needs no acknowledgement besides.
    const allFlags = NLM_F_REQUEST | flags | (isDump ? 0 : NLM_F_ACK);
    this.#transport.send(emitMessage({ type, flags: allFlags, sequence, payload }));
    const messages: NetlinkMessage[] = [];
    for (;;) {
      const received = parseMessages(await this.#transport.receive());
      if (received === undefined) throw nonsense();
      for (const message of received) {
        // Left over from a request whose answer was not waited for.
        if (message.sequence !== sequence) continue;
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
          messages.push(message);
          continue;
        }
        const verdict = parseVerdict(message);
        if (verdict === undefined) throw nonsense();
        return { verdict, messages };
      }
    }
  }
}

/** The name of a positive error number, such as `EINVAL` for 22. */
export function errnoName(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}

function nonsense(): VdensError {
  return new VdensError('ERR_NETLINK', "cannot make sense of the kernel's answer on the rtnetlink socket");
}
