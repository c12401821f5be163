/** Addresses of unix sockets as the kernel has them (unix(7)): a family and up to 108 bytes of path. */
import { VdensError } from '../errors.ts';

const FAMILY_BYTES = 2;
const PATH_BYTES = 108;
/** The longest path of a socket, which a NUL follows, in bytes. */
export const LONGEST_UNIX_PATH: number = PATH_BYTES - 1;
/** The size of a whole `struct sockaddr_un`. */
export const UNIX_ADDRESS_BYTES: number = FAMILY_BYTES + PATH_BYTES;
export const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;

/**
 * The address of a pathname socket, padded with NUL to its full size.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when the path is too long for a socket
 */
export function unixAddress(path: string): Uint8Array {
  const bytes = Buffer.from(path);
  if (bytes.length >= PATH_BYTES) {
    const message = `${path}: a socket's path may have ${PATH_BYTES - 1} bytes, this one has ${bytes.length}. Use a shorter directory`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'ENAMETOOLONG' });
  }
  const address = new Uint8Array(UNIX_ADDRESS_BYTES);
  new Uint16Array(address.buffer, 0, 1)[0] = AF_UNIX;
  address.set(bytes, FAMILY_BYTES);
  return address;
}

/** The path in an address, for people; an abstract name is shown with an @ in front. */
export function unixPath(address: Uint8Array): string {
  const path = address.subarray(FAMILY_BYTES);
  if (path[0] === 0) return `@${Buffer.from(path.subarray(1)).toString('latin1').replaceAll('\0', '')}`;
  const end = path.indexOf(0);
  return Buffer.from(end < 0 ? path : path.subarray(0, end)).toString();
}
