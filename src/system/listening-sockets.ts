/**
 * Whether somebody listens on a unix socket, found out without touching it (sock_diag(7)).
 *
 * Connecting would answer it, too, but costs some servers dear: the `switch://` of the original library runs at full
 * speed for ever after somebody has connected and closed.
 */
import type { Stats } from 'node:fs';
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
/** A `struct unix_diag_vfs`: inode and device of the name. */
const FILE_ATTRIBUTE = 1;
const FILE_BYTES = 8;
const REQUEST_BYTES = 24;
const ANSWER_BYTES = 16;
/** Of the socket's inode in a `struct unix_diag_msg`. */
const INODE_OFFSET = 4;
const DATAGRAM_BYTES = 65_536;

/**
 * Whether a socket of this network namespace listens on that file.
 *
 * False as well when the kernel does not tell, and on file systems that show users another device number than they have
 * (btrfs, overlays): then only connecting answers it.
 */
export function isListenedOn(file: Pick<Stats, 'dev' | 'ino'>): boolean {
  return listeningSocket(file) !== undefined;
}

/** The inode of the socket that listens on that file, which is another one than the file's; as {@link isListenedOn}. */
export function listeningSocket(file: Pick<Stats, 'dev' | 'ino'>): number | undefined {
  const socket = native.openSocket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
  if (socket < 0) return undefined;
  try {
    if (native.send(socket, emitRequest()) <= 0) return undefined;
    return receiveListening(socket).get(keyOf(file.ino, kernelDevice(file.dev)));
  } finally {
    native.closeDescriptor(socket);
  }
}

/** The kernel's own number of a device, of the one that stat(2) gives (makedev(3)). */
function kernelDevice(dev: number): number {
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  return ((major << 20) | minor) >>> 0;
}

/** Of the inode's number the kernel tells the low 32 bits. */
function keyOf(inode: number, device: number): string {
  return `${inode % 2 ** 32} ${device}`;
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

/** The sockets by their files. The kernel makes each part of the answer when the one before is received, so nothing has to be waited for. */
function receiveListening(socket: number): Map<string, number> {
  const files = new Map<string, number>();
  const buffer = new Uint8Array(DATAGRAM_BYTES);
  for (;;) {
    const length = native.receive(socket, buffer);
    const messages = length > 0 ? parseMessages(buffer.subarray(0, length)) : undefined;
    if (messages === undefined) return files;
    for (const { type, payload } of messages) {
      if (type === NLMSG_DONE || type === NLMSG_ERROR) return files;
      const file = parseAttributes(payload, ANSWER_BYTES)?.get(FILE_ATTRIBUTE);
      if (file === undefined || file.length < FILE_BYTES) continue;
      const view = viewOf(file);
      const key = keyOf(view.getUint32(0, littleEndian), view.getUint32(4, littleEndian));
      files.set(key, viewOf(payload).getUint32(INODE_OFFSET, littleEndian));
    }
  }
}
