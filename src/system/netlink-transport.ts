/**
 * Netlink datagrams through a descriptor that somebody else opened.
 *
 * The kernel works on an rtnetlink request within the send call, so its answer is there when send
 * returns; waiting is for the odd case that it is not, and bounded.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { AGAIN, native } from './native.ts';
import { errnoName, type NetlinkTransport } from './netlink-connection.ts';

/** The kernel fills at most this much of a dump into one datagram (linux/netlink.h, NLMSG_GOODSIZE and netlink_dump). */
const BUFFER_BYTES = 32 * 1024;
const TIMEOUT_MS = 1000;
const PAUSE_MS = 5;

/** A transport that somebody ends. */
export interface ClosableTransport extends NetlinkTransport {
  /** From now on nothing is sent or received (`ERR_CLOSED`): the number of the descriptor may soon be somebody else's. */
  close(): void;
}

/**
 * A transport over a non-blocking NETLINK_ROUTE socket. The descriptor stays the caller's to close, who closes the
 * transport before.
 */
export function descriptorTransport(fd: number): ClosableTransport {
  const buffer = new Uint8Array(BUFFER_BYTES);
  let isClosed = false;
  const check = (): void => {
    if (isClosed) throw new VdensError('ERR_CLOSED', 'the rtnetlink socket is closed');
  };
  return {
    close(): void {
      isClosed = true;
    },
    send(datagram: Uint8Array): void {
      check();
      const result = native.send(fd, datagram);
      if (result < 0) throw failed('send', result);
    },
    async receive(): Promise<Uint8Array> {
      for (let waitedMs = 0; waitedMs < TIMEOUT_MS; waitedMs += PAUSE_MS) {
        check();
        const result = native.receive(fd, buffer);
        if (result > 0) return buffer.slice(0, result);
        if (result !== AGAIN) throw failed('receive', result);
        await sleep(PAUSE_MS);
      }
      const message = `the kernel did not answer on the rtnetlink socket within ${TIMEOUT_MS / 1000} s`;
      throw new VdensError('ERR_NETLINK', message, { errno: 'ETIMEDOUT', syscall: 'recv' });
    },
  };
}

/** @param result `-errno`, or 0 when the socket has no other end (it is not a netlink socket) */
function failed(doing: 'send' | 'receive', result: number): VdensError {
  const errno = result === 0 ? 'ENOTCONN' : errnoName(-result);
  const message = `cannot ${doing} on the rtnetlink socket (${errno})`;
  return new VdensError('ERR_NETLINK', message, { errno, syscall: doing === 'send' ? 'send' : 'recv' });
}
