/**
 * What the services for IPv6 have in common: addresses of the gateway that are only meaningful on the guests' network,
 * groups that it speaks to, and what it tells.
 */
import { parseIpv6 } from '../net/ip.ts';
import { isDomainName } from '../wire/domain-name.ts';
import type { GatewayConfig } from './gateway-config.ts';

/** The router's, from which advertisements and DHCPv6 come. */
export const ROUTER_LINK_LOCAL: Uint8Array = parseIpv6('fe80::2');
/** The name server's. */
export const NAME_SERVER_LINK_LOCAL: Uint8Array = parseIpv6('fe80::3');
/** RFC 4291, 2.7.1. */
export const ALL_NODES: Uint8Array = parseIpv6('ff02::1');
/** RFC 8415, 7.1. */
export const ALL_DHCPV6_SERVERS: Uint8Array = parseIpv6('ff02::1:2');

/** What guests search in: the list, or else the domain they are in. */
export function searchList({ searchDomains, domainName }: GatewayConfig): readonly string[] {
  const names = searchDomains.length > 0 || domainName === undefined ? searchDomains : [domainName];
  return names.filter(isDomainName);
}
