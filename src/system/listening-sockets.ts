/**
 * Whether somebody listens on a unix socket, found out without touching it (sock_diag(7)).
 *
 * Connecting would answer it, too, but costs some servers dear: the `switch://` of the original library runs at full
 * speed for ever after somebody has connected and closed.
 */
import { native } from './native.ts';
import {
  emitMessage,
  littleEndian,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseAttributes,
  parseMessages,
  viewOf,
} from './netlink-message.ts';
import { AF_UNIX } from './unix-address.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
/** The bit of TCP_LISTEN among the states. */
const LISTENING = 1 << 10;
const SHOW_FILE = 2;
const FILE_ATTRIBUTE = 1;
const REQUEST_BYTES = 24;
const ANSWER_BYTES = 16;
const DATAGRAM_BYTES = 65_536;

/**
 * The low 32 bits of the inode numbers of the files on which sockets listen, as far as they belong to this network
 * namespace.
 *
 * @returns undefined when the kernel does not tell
 */
export function listeningInodes(): Set<number> | undefined {
  const socket = native.openSocket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
  if (socket < 0) return undefined;
  try {
    return native.send(socket, emitRequest()) < 0 ? undefined : receiveInodes(socket);
  } finally {
    native.closeDescriptor(socket);
  }
}

/** A `struct unix_diag_req` (linux/unix_diag.h). */
function emitRequest(): Uint8Array {
  const payload = new Uint8Array(REQUEST_BYTES);
  payload[0] = AF_UNIX;
  const words = new Uint32Array(payload.buffer);
  words[1] = LISTENING;
  words[3] = SHOW_FILE;
  words[4] = words[5] = 0xffffffff; // No cookie.
  return emitMessage({ type: SOCK_DIAG_BY_FAMILY, flags: NLM_F_REQUEST | NLM_F_DUMP, sequence: 1, payload });
}

/** The kernel makes each part of the answer when the one before is received, so nothing has to be waited for. */
function receiveInodes(socket: number): Set<number> | undefined {
  const inodes = new Set<number>();
  const buffer = new Uint8Array(DATAGRAM_BYTES);
  for (;;) {
    const length = native.receive(socket, buffer);
    const messages = length > 0 ? parseMessages(buffer.subarray(0, length)) : undefined;
    if (messages === undefined) return undefined;
    for (const { type, payload } of messages) {
      if (type === NLMSG_DONE) return inodes;
      if (type === NLMSG_ERROR) return undefined;
      const file = parseAttributes(payload, ANSWER_BYTES)?.get(FILE_ATTRIBUTE);
      if (file !== undefined && file.length >= 4) inodes.add(viewOf(file).getUint32(0, littleEndian));
    }
  }
}
