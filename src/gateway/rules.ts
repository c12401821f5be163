/**
 * Where packets of guests lead: the configuration of a gateway as an ordered list of rules, the first of which that fits
 * a destination counts. What no rule is about leaves as it is.
 *
 * 1. What the gateway itself serves: sockets and commands, TFTP, DHCP.
 * 2. The address of the name server is the host's current resolver: port 53, and its other ports as well unless they
 *    are those of the host's loopback interface, and that is out of reach.
 * 3. The address of the router is the host's loopback interface, on every port.
 * 4. Nothing else of the guests' own network leads anywhere, nor do addresses that no router forwards: guests do not
 *    get to the host by 127.0.0.1, 0.0.0.0 and the like. Addresses of one link are refused as well, with them
 *    169.254.169.254, where clouds hand out credentials of the host.
 */
import { networkInterfaces } from 'node:os';
import { IPV4_LENGTH, isLinkLocalIp, isLoopbackIp, isUnspecifiedIp, parseIp } from '../net/ip.ts';
import { type IpPrefix, parsePrefix, prefixContains } from '../net/prefix.ts';
import { emitSocketAddress, type SocketAddress } from '../net/socket-address.ts';
import { firstAddress, lastAddress, sameBytes } from '../net/subnet.ts';
import type { GatewayConfig, GatewayIpv4, GatewayIpv6, ServiceForward } from './gateway-config.ts';

/** Bits of the protocols that a rule is about, as in native/gateway/gateway.h. */
export const RULE_TCP = 1;
export const RULE_UDP = 2;
export const RULE_ECHO = 4;
const RULE_ALL = RULE_TCP | RULE_UDP | RULE_ECHO;

/** What becomes of the packets, in the order of `enum rule_action`. */
const ACTIONS = ['pass', 'translate', 'refuse', 'drop', 'script'] as const;
export type RuleAction = (typeof ACTIONS)[number];

/** Destinations, and what becomes of packets to them. */
export interface Rule {
  /** What it is there for. */
  readonly purpose: RulePurpose;
  /** Bits: {@link RULE_TCP} and so on. */
  readonly protocols: number;
  readonly destination: IpPrefix;
  /** The first and the last port, 0 and 65535 for all; echo has none. */
  readonly ports: readonly [first: number, last: number];
  readonly action: RuleAction;
  /** What it is translated to; port 0 keeps the port. */
  readonly to?: SocketAddress;
  /** What makes the connection, of a rule for TCP that is a script's. */
  readonly service?: ServiceForward;
}

export type RulePurpose =
  | 'service'
  | 'tftp'
  | 'dhcp'
  | 'name-server'
  | 'name-server-ports'
  | 'host-loopback'
  | 'guests'
  | 'not-forwarded'
  | 'link-local'
  | 'restricted'
  | 'way-out';

/** The size of a rule as the datapath takes it, in bytes. */
export const RULE_BYTES = 72;

const ALL_PORTS = [0, 65_535] as const;
const DNS_PORT = 53;
const TFTP_PORT = 69;
/** Of servers, which clients ask. */
const DHCP_PORT = 67;
const DHCPV6_PORT = 547;
const LOOPBACK_IPV4 = parseIp('127.0.0.1');
const LOOPBACK_IPV6 = parseIp('::1');
const BITS = 128;
/** The index of the loopback interface, which is the first of every network namespace. */
const LOOPBACK_INTERFACE = 1;

const BROADCAST = parsePrefix('255.255.255.255/32');
/** All DHCP servers and relays of the link (RFC 8415, section 7.1). */
const DHCPV6_GROUP = parsePrefix('ff02::1:2/128');
const LINK_LOCAL_IPV6 = parsePrefix('fe80::/10');
const LINK_LOCAL = [parsePrefix('169.254.0.0/16'), LINK_LOCAL_IPV6];
/** More addresses of the host's loopback interface than anybody has; rules are few. */
const MAX_LOOPBACK_ADDRESSES = 32;
/** What a router throws away without a word (RFC 1812, 5.3.7; RFC 4291, 2.5.2, 2.5.3, 2.5.5.1; groups: nobody is asked). */
const NOT_FORWARDED = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4', '::/96', 'ff00::/8'].map(parsePrefix);
const IPV4_MAPPED = parsePrefix('::ffff:0:0/96');
const ALL_IPV4 = parsePrefix('0.0.0.0/0');
const ALL_IPV6 = parsePrefix('::/0');

/**
 * The rules of a gateway, in their order.
 *
 * @param resolver the current one of the host
 * @param loopbackAddresses more addresses of the host's loopback interface, which are out of reach when that is; what
 *   they are decides about the ports of a resolver, too
 */
export function gatewayRules(
  config: GatewayConfig,
  resolver: SocketAddress,
  loopbackAddresses: readonly Uint8Array[] = [],
): Rule[] {
  const sides = [config.ipv4, config.ipv6].filter((side) => side !== undefined);
  return [
    ...config.serviceForwards.map(serviceRule),
    ...sides.flatMap((side) => serverRules(config, side)),
    ...sides.flatMap((side) => nameServerRules(config, side, resolver, loopbackAddresses)),
    ...sides.map((side) => routerRule(config, side)),
    ...NOT_FORWARDED.map((destination) => rule('not-forwarded', 'drop', destination)),
    ...sides.flatMap(guestRules),
    ...LINK_LOCAL.map((destination) => rule('link-local', 'refuse', destination)),
    ...(config.isHostLoopbackDisabled ? loopbackAddresses.slice(0, MAX_LOOPBACK_ADDRESSES).map(hostRule) : []),
    ...lastRules(config),
  ];
}

/** What addresses the host's loopback interface has besides those that are always out of reach. */
export function hostLoopbackAddresses(): Uint8Array[] {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const ofLoopback = addresses.filter(({ internal }) => internal).map(({ address }) => parseIp(address));
  return ofLoopback.filter((address) => !isLoopbackIp(address) && !isLinkLocalIp(address));
}

/**
 * The first rule about a destination, as the datapath finds it.
 *
 * @param port of TCP and UDP
 */
export function findRule(
  rules: readonly Rule[],
  protocol: number,
  address: Uint8Array,
  port: number = 0,
): Rule | undefined {
  return rules.find(({ protocols, destination, ports: [first, last] }) => {
    const isPort = protocol === RULE_ECHO || (port >= first && port <= last);
    return (protocols & protocol) !== 0 && isPort && prefixContains(mapped(destination), mappedAddress(address));
  });
}

/**
 * The bytes of rules for the datapath, {@link RULE_BYTES} each: protocols, prefix, first and last port, action and a
 * zero as words of this machine; the address; what it is translated to, as a `struct sockaddr`; padding.
 */
export function emitRules(rules: readonly Rule[]): Uint8Array {
  const bytes = new Uint8Array(rules.length * RULE_BYTES);
  for (const [i, { protocols, destination, ports, action, to }] of rules.entries()) {
    const { address, prefixLength } = mapped(destination);
    const words = new Uint32Array(bytes.buffer, i * RULE_BYTES, 6);
    words.set([protocols, prefixLength, ...ports, ACTIONS.indexOf(action), 0]);
    bytes.set(address, i * RULE_BYTES + 24);
    if (to !== undefined) bytes.set(emitSocketAddress(to), i * RULE_BYTES + 40);
  }
  return bytes;
}

function rule(purpose: RulePurpose, action: RuleAction, destination: IpPrefix, protocols: number = RULE_ALL): Rule {
  return { purpose, action, destination, protocols, ports: ALL_PORTS };
}

function host(address: Uint8Array): IpPrefix {
  return { address, prefixLength: address.length * 8 };
}

function serviceRule(service: ServiceForward): Rule {
  const { address, port } = service;
  return { ...rule('service', 'script', host(address), RULE_TCP), ports: [port, port], service };
}

/** DHCP and TFTP: guests ask for them at the router, and DHCP at everybody. */
function serverRules({ tftpDirectory }: GatewayConfig, { router }: GatewayIpv4 | GatewayIpv6): Rule[] {
  const isIpv4 = router.address.length === IPV4_LENGTH;
  const own = host(router.address);
  const port = isIpv4 ? DHCP_PORT : DHCPV6_PORT;
  const others = isIpv4 ? [BROADCAST] : [DHCPV6_GROUP, LINK_LOCAL_IPV6];
  return [
    ...(tftpDirectory === undefined ? [] : [udpServer('tftp', own, TFTP_PORT)]),
    ...[own, ...others].map((destination) => udpServer('dhcp', destination, port)),
  ];
}

function udpServer(purpose: RulePurpose, destination: IpPrefix, port: number): Rule {
  return { ...rule(purpose, 'script', destination, RULE_UDP), ports: [port, port] };
}

function nameServerRules(
  { isRestricted, isHostLoopbackDisabled }: GatewayConfig,
  { nameServer }: GatewayIpv4 | GatewayIpv6,
  resolver: SocketAddress,
  loopbackAddresses: readonly Uint8Array[],
): Rule[] {
  const others = rule('name-server-ports', 'refuse', host(nameServer), RULE_TCP | RULE_UDP);
  const dns: Rule = { ...others, purpose: 'name-server', ports: [DNS_PORT, DNS_PORT] };
  const translation = { action: 'translate', to: { ...resolver, port: 0 } } as const;
  if (isRestricted) return [dns, others];
  const isOutOfReach = isHostLoopbackDisabled && isOfLoopback(resolver, loopbackAddresses);
  return [{ ...dns, ...translation }, isOutOfReach ? others : { ...others, ...translation }];
}

function isOfLoopback({ address, scope }: SocketAddress, loopbackAddresses: readonly Uint8Array[]): boolean {
  // A socket of IPv6 that is connected to ::ffff:127.0.0.1 is connected to 127.0.0.1.
  const plain = isIpv4Mapped(address) ? address.subarray(-IPV4_LENGTH) : address;
  if (isLoopbackIp(plain) || isUnspecifiedIp(plain)) return true;
  if (isLinkLocalIp(plain)) return scope === LOOPBACK_INTERFACE;
  return loopbackAddresses.some((other) => sameBytes(other, plain));
}

function isIpv4Mapped(address: Uint8Array): boolean {
  return address.length !== IPV4_LENGTH && prefixContains(IPV4_MAPPED, address);
}

function routerRule(config: GatewayConfig, { router: { address } }: GatewayIpv4 | GatewayIpv6): Rule {
  const both = rule('host-loopback', 'refuse', host(address), RULE_TCP | RULE_UDP);
  if (config.isRestricted || config.isHostLoopbackDisabled) return both;
  const loopback = address.length === IPV4_LENGTH ? LOOPBACK_IPV4 : LOOPBACK_IPV6;
  return { ...both, action: 'translate', to: { address: loopback, port: 0 } };
}

/** The guests' own network is theirs: what is for others in it does not come here, unless there is nobody. */
function guestRules({ router }: GatewayIpv4 | GatewayIpv6): Rule[] {
  const isIpv4 = router.address.length === IPV4_LENGTH;
  const everybody = isIpv4 ? [firstAddress(router), lastAddress(router)] : [];
  return [
    ...everybody.map((address) => rule('guests', 'drop', host(address))),
    rule('guests', 'refuse', { ...router, address: firstAddress(router) }),
  ];
}

function hostRule(address: Uint8Array): Rule {
  return rule('host-loopback', 'refuse', host(address));
}

function lastRules({ isRestricted, ipv4, ipv6 }: GatewayConfig): Rule[] {
  if (isRestricted) return [ALL_IPV4, ALL_IPV6].map((destination) => rule('restricted', 'refuse', destination));
  // A family that the gateway does not have has no router in it. That of IPv4 has to stand first: in the form of the
  // datapath its addresses are among those of IPv6.
  if (ipv4 === undefined) return [rule('not-forwarded', 'drop', ALL_IPV4)];
  return ipv6 === undefined ? [rule('way-out', 'pass', ALL_IPV4), rule('not-forwarded', 'drop', ALL_IPV6)] : [];
}

/** In the one form of the datapath, in which an IPv4 address is ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
function mapped({ address, prefixLength }: IpPrefix): IpPrefix {
  const isIpv4 = address.length === IPV4_LENGTH;
  return { address: mappedAddress(address), prefixLength: isIpv4 ? BITS - 32 + prefixLength : prefixLength };
}

function mappedAddress(address: Uint8Array): Uint8Array {
  if (address.length !== IPV4_LENGTH) return address;
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...address);
}
