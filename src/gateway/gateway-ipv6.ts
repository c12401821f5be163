/**
 * The addresses of a gateway that are only meaningful on the guests' network, and groups that it speaks to.
 */
import { parseIpv6 } from '../net/ip.ts';

/** The router's, from which advertisements and DHCPv6 come. */
export const ROUTER_LINK_LOCAL: Uint8Array = parseIpv6('fe80::2');
/** The name server's. */
export const NAME_SERVER_LINK_LOCAL: Uint8Array = parseIpv6('fe80::3');
/** RFC 4291, 2.7.1. */
export const ALL_NODES: Uint8Array = parseIpv6('ff02::1');
/** RFC 8415, 7.1. */
export const ALL_DHCPV6_SERVERS: Uint8Array = parseIpv6('ff02::1:2');
