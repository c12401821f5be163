/** Sockets for rtnetlink(7) in the process's own network namespace. */
import { endianness } from 'node:os';
import { VdensError } from '../errors.ts';
import { errnoName, native } from './native.ts';

/** Constants of linux/socket.h and linux/netlink.h. */
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;

/** family:16 pad:16 port:32 groups:32 (netlink(7), struct sockaddr_nl). */
const ADDRESS_BYTES = 12;

/**
 * A non-blocking socket, which is the caller's to close.
 *
 * @param groups what it is told of unasked: a mask of `RTMGRP_*`
 * @throws VdensError `ERR_NETLINK`
 */
export function openNetlinkSocket(groups: number = 0): number {
  const fd = native.openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (fd < 0) throw failed('socket', fd);
  const address = new DataView(new ArrayBuffer(ADDRESS_BYTES));
  const littleEndian = endianness() === 'LE';
  address.setUint16(0, AF_NETLINK, littleEndian);
  address.setUint32(8, groups, littleEndian);
  const result = native.bindSocket(fd, new Uint8Array(address.buffer));
  if (result >= 0) return fd;
  native.closeDescriptor(fd);
  throw failed('bind', result);
}

function failed(syscall: string, result: number): VdensError {
  const errno = errnoName(result);
  const message = `cannot open an rtnetlink socket (${syscall}: ${errno})`;
  return new VdensError('ERR_NETLINK', message, { errno, syscall });
}
