/** What a DHCP server lets a host have (RFC 2131, 2132), as read from its acknowledgement. */
import { isLoopbackIp, isMulticastIp, isUnspecifiedIp } from '../../net/ip.ts';
import type { IpPrefix } from '../../net/prefix.ts';
import {
  addressesOption,
  addressOption,
  DHCP_OPTION,
  type DhcpMessage,
  type DhcpOptions,
  numberOption,
  textOption,
} from '../../wire/dhcp.ts';
import { isDomainName, parseDomainNames } from '../../wire/domain-name.ts';

/** Option codes of RFC 3442; their route list makes the router option void. */
export const CLASSLESS_ROUTES = 121;

/** Routes of one lease; more are left out. */
const MAX_ROUTES = 64;
/** Shorter leases count as so long, in seconds: a server that gives 0 is not asked without a pause. */
const MIN_LEASE_SECONDS = 2;
/** "For ever" (RFC 2131, 3.3). */
const INFINITE = 0xffffffff;
/** What every host takes, in bytes (RFC 1122, 3.3.3, the value that is "widely used"); less is not believed. */
const MIN_LEASE_MTU = 576;

/** A way that the server knows. */
export interface Dhcp4Route {
  /** Without host bits; a length of 0 is the default route. */
  readonly destination: IpPrefix;
  /** Absent: on the link itself. */
  readonly gateway?: Uint8Array;
}

/** What a host may have, and for how long. */
export interface Dhcp4Lease {
  readonly address: IpPrefix;
  /** 4 bytes; who to ask for more time. */
  readonly server: Uint8Array;
  readonly routes: readonly Dhcp4Route[];
  readonly nameServers: readonly Uint8Array[];
  readonly searchDomains: readonly string[];
  /** In bytes; absent when the server says nothing of it. */
  readonly mtu?: number;
  /** Milliseconds from the request; all three are Infinity for one without an end. */
  readonly renewAfter: number;
  readonly rebindAfter: number;
  readonly expiresAfter: number;
}

/** The lease that an acknowledgement grants; undefined when its address is not one for a host. */
export function readLease(message: DhcpMessage): Dhcp4Lease | undefined {
  const { options, yourAddress } = message;
  if (!isHostAddress(yourAddress)) return undefined;
  const prefixLength = readMask(options) ?? classLength(yourAddress);
  const mtu = numberOption(options, DHCP_OPTION.mtu, 2);
  return {
    address: { address: yourAddress, prefixLength },
    server: addressOption(options, DHCP_OPTION.serverId) ?? message.serverAddress,
    routes: readRoutes(options),
    nameServers: addressesOption(options, DHCP_OPTION.nameServer).filter((address) => !isUnspecifiedIp(address)),
    searchDomains: readDomains(options),
    ...(mtu === undefined || mtu < MIN_LEASE_MTU ? {} : { mtu }),
    ...readTimes(options),
  };
}

function isHostAddress(address: Uint8Array): boolean {
  return address[0] !== 0 && address[0]! < 240 && !isMulticastIp(address) && !isLoopbackIp(address);
}

/** The length of the mask; undefined when there is none, or one with holes. */
function readMask(options: DhcpOptions): number | undefined {
  const mask = addressOption(options, DHCP_OPTION.subnetMask);
  if (mask === undefined) return undefined;
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return /^1+0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : undefined;
}

/** As it was before there were masks (RFC 791, 3.2). */
function classLength(address: Uint8Array): number {
  if (address[0]! < 128) return 8;
  return address[0]! < 192 ? 16 : 24;
}

function readRoutes(options: DhcpOptions): Dhcp4Route[] {
  const classless = options.get(CLASSLESS_ROUTES);
  if (classless !== undefined) return readClasslessRoutes(classless);
  const [gateway] = addressesOption(options, DHCP_OPTION.router).filter(isHostAddress);
  return gateway === undefined ? [] : [{ destination: { address: new Uint8Array(4), prefixLength: 0 }, gateway }];
}

/** RFC 3442: each is a length, so many bytes of network as that needs, and a router. What is broken ends the list. */
function readClasslessRoutes(bytes: Uint8Array): Dhcp4Route[] {
  const routes: Dhcp4Route[] = [];
  let at = 0;
  while (at < bytes.length && routes.length < MAX_ROUTES) {
    const prefixLength = bytes[at]!;
    const significant = Math.ceil(prefixLength / 8);
    const end = at + 1 + significant + 4;
    if (prefixLength > 32 || end > bytes.length) break;
    const address = new Uint8Array(4);
    address.set(bytes.subarray(at + 1, at + 1 + significant));
    if (prefixLength % 8 !== 0) address[significant - 1]! &= 0xff00 >> (prefixLength % 8);
    const gateway = bytes.slice(end - 4, end);
    const destination = { address, prefixLength };
    if (isUnspecifiedIp(gateway)) routes.push({ destination });
    else if (isHostAddress(gateway)) routes.push({ destination, gateway });
    at = end;
  }
  return routes;
}

function readDomains(options: DhcpOptions): string[] {
  const search = parseDomainNames(options.get(DHCP_OPTION.searchDomains) ?? new Uint8Array());
  if (search.length > 0) return search;
  // Some servers put several into the one (RFC 2132, 3.17 has one).
  return (textOption(options, DHCP_OPTION.domainName) ?? '').split(/\s+/).filter(isDomainName);
}

function readTimes(options: DhcpOptions): Pick<Dhcp4Lease, 'renewAfter' | 'rebindAfter' | 'expiresAfter'> {
  const told = numberOption(options, DHCP_OPTION.leaseTime, 4) ?? INFINITE;
  if (told === INFINITE) return { renewAfter: Infinity, rebindAfter: Infinity, expiresAfter: Infinity };
  const lease = Math.max(told, MIN_LEASE_SECONDS);
  const renewal = numberOption(options, DHCP_OPTION.renewalTime, 4) ?? 0;
  const rebinding = numberOption(options, DHCP_OPTION.rebindingTime, 4) ?? 0;
  // RFC 2131, 4.4.5; what is not in this order is not meant.
  const rebindAfter = rebinding > 0 && rebinding < lease ? rebinding : lease * 0.875;
  const renewAfter = renewal > 0 && renewal < rebindAfter ? renewal : Math.min(lease * 0.5, rebindAfter);
  return { renewAfter: renewAfter * 1000, rebindAfter: rebindAfter * 1000, expiresAfter: lease * 1000 };
}
