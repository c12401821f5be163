/** The address of a host, once: a literal, or what the resolver knows of a name. */
import { lookup } from 'node:dns/promises';
import { quote, VdensError } from '../errors.ts';
import { parseIp } from '../net/ip.ts';
import { familyOf, literalAddress } from './host.ts';
import { inTurn } from './peer-names.ts';

/** How long the resolver may take, in milliseconds. */
const LOOKUP_TIMEOUT_MS = 5000;

/** Answers one address that a name has, as text. Rejects with an error that has a `code`. */
export type LookUpOne = (host: string, family: 4 | 6 | undefined) => Promise<string>;

/**
 * @param family which of IPv4 and IPv6 it has to be. Absent: either
 * @param signal gives up; rejects with its reason
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no such host
 */
export async function findHost(label: string, host: string, family?: 4 | 6, signal?: AbortSignal): Promise<Uint8Array> {
  const literal = literalAddress(host);
  if (literal !== undefined) {
    if (family === undefined || familyOf(literal) === family) return literal;
    const message = `${label}: ${host} is no IPv${family} address, as the others are. Write all of one kind`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: host });
  }
  const over = deadline(signal);
  try {
    const address = await Promise.race([systemLookUp(host, family), over.reached]);
    signal?.throwIfAborted();
    if (address === undefined) throw unknownHost(label, host, family, 'ETIMEDOUT');
    return addressIn(address);
  } catch (cause) {
    if (signal?.aborted === true || cause instanceof VdensError) throw cause;
    throw unknownHost(label, host, family, (cause as NodeJS.ErrnoException).code ?? 'EAI_FAIL');
  } finally {
    over.end();
  }
}

/**
 * Which of IPv4 and IPv6 names are of: that of the first, in their order, that is known in time.
 *
 * @param signal gives up; rejects with its reason
 * @param lookUp how to look up a name. Absent: the system's resolver
 * @returns undefined when none is known, or not soon enough
 */
export async function familyOfNames(
  hosts: readonly string[],
  signal?: AbortSignal,
  lookUp: LookUpOne = systemLookUp,
): Promise<4 | 6 | undefined> {
  const over = deadline(signal);
  const familyOfName = async (host: string): Promise<4 | 6 | undefined> => {
    // It may be over before its turn.
    const address = over.isReached() ? undefined : await lookUp(host, undefined).catch(() => undefined);
    return address === undefined ? undefined : familyOf(addressIn(address));
  };
  try {
    const families = hosts.map((host) => inTurn(() => Promise.race([familyOfName(host), over.reached])));
    for (const family of families) {
      const found = await family;
      signal?.throwIfAborted();
      if (found !== undefined) return found;
    }
    return undefined;
  } finally {
    over.end();
  }
}

/** When look-ups are over: in time, or when the signal says so. */
interface Deadline {
  /** Resolved then. */
  readonly reached: Promise<undefined>;
  isReached(): boolean;
  /** It is now. */
  end(): void;
}

/** @throws the signal's reason when that has come already */
function deadline(signal: AbortSignal | undefined): Deadline {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const end = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
    controller.abort();
  };
  const timer = setTimeout(end, LOOKUP_TIMEOUT_MS);
  signal?.addEventListener('abort', end);
  const reached = new Promise<undefined>((resolve) => {
    controller.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  return { reached, end, isReached: () => controller.signal.aborted };
}

async function systemLookUp(host: string, family: 4 | 6 | undefined): Promise<string> {
  return (await lookup(host, { family: family ?? 0 })).address;
}

/** A zone is the number of an interface at best; which one is known better here. */
function addressIn(text: string): Uint8Array {
  return parseIp(text.replace(/%.*/, ''));
}

function unknownHost(label: string, host: string, family: 4 | 6 | undefined, errno: string): VdensError {
  const kind = family === undefined ? '' : `IPv${family} `;
  const message = `${label}: the resolver knows no ${kind}address of ${quote(host)} (${errno}). See: getent ahosts ${host}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: host, errno, syscall: 'getaddrinfo' });
}
