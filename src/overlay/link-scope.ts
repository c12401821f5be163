/** Addresses of one link: the kernel has to be told of which. */
import { quote, VdensError } from '../errors.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { findLink } from '../system/route-query.ts';
import { isOfOneLink } from './host.ts';
import { indexOf } from './path.ts';

/** A host as it is written where a zone is part of it: `fe80::1%eth0` (RFC 4007, section 11). */
export interface ZonedHost {
  readonly host: string;
  /** The name of an interface, or its index. */
  readonly zone: string | undefined;
}

/** Takes the zone off. */
export function splitZone(text: string): ZonedHost {
  const percent = text.includes(':') ? text.indexOf('%') : -1;
  return percent === -1
    ? { host: text, zone: undefined }
    : { host: text.slice(0, percent), zone: text.slice(percent + 1) };
}

/**
 * The name of the interface that a zone says.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when there is none
 */
export async function interfaceOfZone(label: string, zone: string): Promise<string> {
  const link = (await findLink(zone)) ?? (/^\d+$/.test(zone) ? await findLink(Number(zone)) : undefined);
  if (link !== undefined) return link.name;
  const message = `${label}: there is no interface ${quote(zone)}. See: ip link`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: zone, errno: 'ENODEV' });
}

/**
 * An address with the index that its interface has now, when it is one of those that each link has.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no such interface
 */
export async function onLink(
  label: string,
  address: SocketAddress,
  interfaceName: string | undefined,
): Promise<SocketAddress> {
  if (interfaceName === undefined || !isOfOneLink(address.address)) return address;
  return { ...address, scope: await indexOf(label, interfaceName) };
}
