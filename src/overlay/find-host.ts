/** The address of a host, once: a literal, or what the resolver knows of a name. */
import { lookup } from 'node:dns/promises';
import { quote, VdensError } from '../errors.ts';
import { parseIp } from '../net/ip.ts';
import { familyOf, literalAddress } from './host.ts';

/** How long the resolver may take, in milliseconds. */
const LOOKUP_TIMEOUT_MS = 5000;

/**
 * @param family which of IPv4 and IPv6 it has to be. Absent: either
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no such host
 */
export async function findHost(label: string, host: string, family?: 4 | 6): Promise<Uint8Array> {
  const literal = literalAddress(host);
  if (literal !== undefined) {
    if (family === undefined || familyOf(literal) === family) return literal;
    const message = `${label}: ${host} is no IPv${family} address, as the others are. Write all of one kind`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: host });
  }
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(unknownHost(label, host, family, 'ETIMEDOUT')), LOOKUP_TIMEOUT_MS);
  });
  try {
    return parseIp((await Promise.race([lookup(host, { family: family ?? 0 }), timeout])).address);
  } catch (cause) {
    if (cause instanceof VdensError) throw cause;
    throw unknownHost(label, host, family, (cause as NodeJS.ErrnoException).code ?? 'EAI_FAIL');
  } finally {
    clearTimeout(timer);
  }
}

function unknownHost(label: string, host: string, family: 4 | 6 | undefined, errno: string): VdensError {
  const kind = family === undefined ? '' : `IPv${family} `;
  const message = `${label}: the resolver knows no ${kind}address of ${quote(host)} (${errno}). See: getent ahosts ${host}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: host, errno, syscall: 'getaddrinfo' });
}
