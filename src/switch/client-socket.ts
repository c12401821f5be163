/**
 * Our data socket for a client: connected to the client's.
 *
 * A request names the socket to which we are to send frames, so it must be the client's own: else anybody could have us
 * send to what only we may write to. What is looked at is what is connected to (O_PATH, open(2)), whatever bears the name
 * in between.
 */
import { closeSync, constants as fs, fstatSync, openSync } from 'node:fs';
import { errnoName, native } from '../system/native.ts';
import { AF_UNIX, SOCK_DGRAM, unixAddress } from '../system/unix-address.ts';
import type { PeerCredentials } from './listener.ts';

const PATH_OFFSET = 2;
/** asm-generic/fcntl.h; Node.js has no name for it. */
const O_PATH = 0o10000000;

/**
 * Makes the socket.
 *
 * @param address the `struct sockaddr_un` of the client's socket, 110 bytes; an abstract name is all 108 bytes
 * @returns the descriptor, or a clause that says why there is none
 */
export function connectToClient(address: Uint8Array, peer: PeerCredentials): number | string {
  const data = native.openSocket(AF_UNIX, SOCK_DGRAM, 0);
  if (data < 0) return `there is no socket for it (socket: ${errnoName(data)})`;
  // Abstract names have no owner.
  const isAbstract = address[PATH_OFFSET] === 0;
  const problem = isAbstract ? connect(data, address) : connectToPath(data, address, peer);
  if (problem === undefined) return data;
  native.closeDescriptor(data);
  return problem;
}

function connectToPath(data: number, address: Uint8Array, peer: PeerCredentials): string | undefined {
  let file = -1;
  try {
    file = openSync(pathOf(address), O_PATH | fs.O_NOFOLLOW);
    const found = fstatSync(file);
    if (!found.isSocket()) return 'what it named is no socket';
    if (peer.uid !== 0 && found.uid !== peer.uid) return 'the socket it named is not its own';
    return connect(data, unixAddress(`/proc/self/fd/${file}`));
  } catch (error) {
    return `its socket is out of reach (open: ${(error as NodeJS.ErrnoException).code})`;
  } finally {
    if (file >= 0) closeSync(file);
  }
}

function connect(data: number, address: Uint8Array): string | undefined {
  const result = native.connectSocket(data, address);
  return result < 0 ? `its socket is out of reach (connect: ${errnoName(result)})` : undefined;
}

/** The path as the file system has it: bytes, which need not be text. */
function pathOf(address: Uint8Array): Buffer {
  const path = Buffer.from(address.subarray(PATH_OFFSET));
  const end = path.indexOf(0);
  return end < 0 ? path : path.subarray(0, end);
}
