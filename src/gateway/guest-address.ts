/** Whether an address is one that a guest can have. */
import { formatIp, IPV4_LENGTH } from '../net/ip.ts';
import { formatPrefix, type IpPrefix, prefixContains } from '../net/prefix.ts';
import { firstAddress, isWholeNetwork, sameBytes } from '../net/subnet.ts';
import type { GatewayConfig } from './gateway-config.ts';

/** The networks of the guests, and what the gateway has in them. */
export type GuestNetworks = Pick<GatewayConfig, 'ipv4' | 'ipv6'>;

/** Why a forward cannot lead to an address, as a clause; `undefined` when it can. */
export function problemOfGuest({ ipv4, ipv6 }: GuestNetworks, guest: Uint8Array): string | undefined {
  const isIpv4 = guest.length === IPV4_LENGTH;
  const side = isIpv4 ? ipv4 : ipv6;
  if (side === undefined) return `${formatIp(guest)} is IPv${isIpv4 ? 4 : 6}, which this gateway does not have`;
  const isOurs = sameBytes(guest, side.router.address) || sameBytes(guest, side.nameServer);
  if (isOurs) return `${formatIp(guest)} is the gateway's own address, not a guest's`;
  return problemOfHost(side.router, guest);
}

/** Why no host of a network has an address, as a clause; `undefined` when one can have it. */
export function problemOfHost(network: IpPrefix, address: Uint8Array): string | undefined {
  const text = formatIp(address);
  const shown = formatPrefix({ ...network, address: firstAddress(network) });
  if (!prefixContains(network, address)) return `${text} is not in the guests' network ${shown}`;
  return isWholeNetwork(network, address) ? `${text} stands for the whole network ${shown}` : undefined;
}
