/** Why a socket is not bound where it should be, and what to do about it. */
import { readFileSync } from 'node:fs';
import { formatIp, isLinkLocalIp } from '../net/ip.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { errnoName } from './native.ts';

/** Below it ports are for root, unless the system says otherwise (ip(7), ip_unprivileged_port_start). */
const USUAL_UNPRIVILEGED_START = 1024;

/** The end of a message about what bind(2) or listen(2) answered; empty when there is nothing to say. */
export function bindHint(result: number, { port, address }: SocketAddress): string {
  switch (errnoName(result)) {
    case 'EADDRINUSE':
      return `: another program has the port. Take another one than ${port}, or end that program`;
    case 'EADDRNOTAVAIL':
      return `: ${formatIp(address)} is no address of this host`;
    case 'EACCES':
      return `: this port is for root. Take one above ${unprivilegedStart() - 1}`;
    case 'EINVAL':
      return isLinkLocalIp(address) ? ': a link-local address needs its interface' : '';
    default:
      return '';
  }
}

/** The first port that is for everybody. */
export function unprivilegedStart(): number {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8');
    return Number(text) || USUAL_UNPRIVILEGED_START;
  } catch {
    return USUAL_UNPRIVILEGED_START;
  }
}
