/** Listening TCP sockets (tcp(7)), for whoever is given their descriptor: nothing is accepted here. */
import { endianness } from 'node:os';
import { VdensError } from '../errors.ts';
import { IPV4_LENGTH } from '../net/ip.ts';
import {
  AF_INET,
  AF_INET6,
  emitSocketAddress,
  formatSocketAddress,
  parseSocketAddress,
  SOCKET_ADDRESS_BYTES,
  type SocketAddress,
} from '../net/socket-address.ts';
import { bindHint } from './bind-hint.ts';
import { errnoName, native } from './native.ts';
import { SOCK_STREAM } from './unix-address.ts';

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
/** Connections that wait until they are accepted; the kernel takes the smaller of this and net.core.somaxconn. */
const BACKLOG = 1024;

/** A socket that listens. */
export interface TcpListener {
  /** Non-blocking, closed when a program is executed; the caller's. */
  readonly fd: number;
  /** Where it listens: the kernel's choice when port 0 was asked for. */
  readonly port: number;
}

/**
 * Listens at an address; one of IPv6 leaves IPv4 to others (RFC 3493, 5.3).
 *
 * @param label what errors begin with
 * @throws VdensError `ERR_NETWORK_OPEN` when the port is taken or for root, or the address not this host's
 */
export function listenTcp(label: string, address: SocketAddress): TcpListener {
  const isIpv4 = address.address.length === IPV4_LENGTH;
  const fd = native.openSocket(isIpv4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
  if (fd < 0) throw failed(label, address, 'socket', fd);
  try {
    const check = (syscall: string, result: number): void => {
      if (result < 0) throw failed(label, address, syscall, result);
    };
    // Connections of the last one who listened here may still be ending (TIME_WAIT).
    check('setsockopt', native.setSocketOption(fd, SOL_SOCKET, SO_REUSEADDR, one()));
    if (!isIpv4) check('setsockopt', native.setSocketOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, one()));
    check('bind', native.bindSocket(fd, emitSocketAddress(address)));
    check('listen', native.listen(fd, BACKLOG));
    return { fd, port: portOf(fd) ?? address.port };
  } catch (error) {
    native.closeDescriptor(fd);
    throw error;
  }
}

function portOf(fd: number): number | undefined {
  const bytes = new Uint8Array(SOCKET_ADDRESS_BYTES);
  const length = native.socketName(fd, bytes);
  return length < 0 ? undefined : parseSocketAddress(bytes.subarray(0, length))?.port;
}

function one(): Uint8Array {
  const bytes = new Uint8Array(4);
  bytes[endianness() === 'LE' ? 0 : 3] = 1;
  return bytes;
}

function failed(label: string, address: SocketAddress, syscall: string, result: number): VdensError {
  const errno = errnoName(result);
  const text = formatSocketAddress(address);
  const isNoFamily = errno === 'EAFNOSUPPORT' ? `: this kernel has no IPv${address.address.length === 4 ? 4 : 6}` : '';
  const hint = errno === 'EMFILE' ? ': there are too many open files. See: ulimit -n' : bindHint(result, address);
  const message = `${label}: cannot listen for TCP on ${text} (${errno})${isNoFamily}${hint}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { errno, syscall, value: text });
}
