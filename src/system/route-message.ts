/**
 * Routes in rtnetlink messages: a default route to add, and where packets to a destination would go (rtnetlink(7),
 * RTM_NEWROUTE, RTM_GETROUTE; constants of linux/rtnetlink.h).
 *
 *     rtmsg: family:8 dst_len:8 src_len:8 tos:8 table:8 protocol:8 scope:8 type:8 flags:32, then RTA_* attributes
 */
import { IPV4_LENGTH } from '../net/ip.ts';
import type { IpPrefix } from '../net/prefix.ts';
import { addressFamily } from './address-message.ts';
import {
  emitPayload,
  littleEndian,
  type NetlinkAttribute,
  type NetlinkMessage,
  numberAttribute,
  parseAttributes,
  parseNumber,
  viewOf,
} from './netlink-message.ts';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_VIA = 18;
const RT_TABLE_MAIN = 254;
/** The route is somebody's configuration, neither the kernel's nor a routing daemon's; as ip(8) says it. */
const RTPROT_BOOT = 3;
/** It comes from DHCP. */
const RTPROT_DHCP = 16;
const RT_SCOPE_LINK = 253;
/** The gateway is a neighbour, whatever the addresses say. */
const RTNH_F_ONLINK = 4;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const RTN_BROADCAST = 3;
const RTN_ANYCAST = 4;
const RTN_MULTICAST = 5;
const ROUTE_BYTES = 12;

/** Types of routes that lead somewhere; the others refuse, or drop without a word. */
const LEADING: ReadonlySet<number> = new Set([RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST]);

/** Where packets to a destination go. */
export interface Route {
  /** The interface that they leave through; of a destination on this host the loopback's. */
  readonly interfaceIndex: number;
  /** Our address that they are sent from, when the kernel tells it. */
  readonly source?: Uint8Array;
}

/** The payload that describes the default route through a gateway, out of one interface when its index is given. */
export function emitDefaultRoute(gateway: Uint8Array, interfaceIndex?: number): Uint8Array {
  const fixed = new Uint8Array(ROUTE_BYTES);
  fixed[0] = addressFamily(gateway);
  fixed[4] = RT_TABLE_MAIN;
  fixed[5] = RTPROT_BOOT;
  fixed[7] = RTN_UNICAST;
  const attributes: NetlinkAttribute[] = [{ type: RTA_GATEWAY, value: gateway }];
  if (interfaceIndex !== undefined) attributes.push(numberAttribute(RTA_OIF, interfaceIndex));
  return emitPayload(fixed, attributes);
}

/** A route that a server of addresses told. */
export interface LearntRoute {
  /** With a length of 0 the default route. */
  readonly destination: IpPrefix;
  /** 4 or 16 bytes. Absent: whoever is meant is a neighbour. */
  readonly gateway?: Uint8Array;
  /** The gateway is a neighbour, whatever the addresses say. @defaultValue false */
  readonly isNeighbour?: boolean;
  /** Of several ways to a destination, that with the lowest is taken. */
  readonly metric: number;
  /** The address to send from. */
  readonly source?: Uint8Array;
}

/** The payload that describes such a route out of the interface of an index. */
export function emitLearntRoute(route: LearntRoute, interfaceIndex: number): Uint8Array {
  const { destination, gateway, isNeighbour = false, metric, source } = route;
  const fixed = new Uint8Array(ROUTE_BYTES);
  fixed[0] = addressFamily(destination.address);
  fixed[1] = destination.prefixLength;
  fixed[4] = RT_TABLE_MAIN;
  fixed[5] = RTPROT_DHCP;
  fixed[6] = gateway === undefined && destination.address.length === IPV4_LENGTH ? RT_SCOPE_LINK : 0;
  fixed[7] = RTN_UNICAST;
  if (isNeighbour) viewOf(fixed).setUint32(8, RTNH_F_ONLINK, littleEndian);
  const attributes: NetlinkAttribute[] = [
    numberAttribute(RTA_OIF, interfaceIndex),
    numberAttribute(RTA_PRIORITY, metric),
  ];
  if (destination.prefixLength > 0) attributes.push({ type: RTA_DST, value: destination.address });
  if (gateway !== undefined) attributes.push({ type: RTA_GATEWAY, value: gateway });
  if (source !== undefined) attributes.push({ type: RTA_PREFSRC, value: source });
  return emitPayload(fixed, attributes);
}

/**
 * The payload that asks where packets to a destination go.
 *
 * @param interfaceIndex the interface to go out of. Absent: any
 */
export function emitRouteQuery(destination: Uint8Array, interfaceIndex?: number): Uint8Array {
  const fixed = new Uint8Array(ROUTE_BYTES);
  fixed[0] = addressFamily(destination);
  fixed[1] = destination.length * 8;
  const attributes: NetlinkAttribute[] = [{ type: RTA_DST, value: destination }];
  if (interfaceIndex !== undefined) attributes.push(numberAttribute(RTA_OIF, interfaceIndex));
  return emitPayload(fixed, attributes);
}

/** The route that a message describes; undefined when it describes none, or one that leads nowhere. */
export function parseRoute({ type, payload }: NetlinkMessage): Route | undefined {
  if (type !== RTM_NEWROUTE || payload.length < ROUTE_BYTES || !LEADING.has(payload[7]!)) return undefined;
  const attributes = parseAttributes(payload, ROUTE_BYTES);
  const interfaceIndex = parseNumber(attributes?.get(RTA_OIF));
  if (interfaceIndex === undefined) return undefined;
  const source = attributes?.get(RTA_PREFSRC)?.slice();
  return source === undefined ? { interfaceIndex } : { interfaceIndex, source };
}

/** Where packets to a destination go, in full. */
export interface RouteDetail {
  /** The interface that they leave through; of a destination on this host the loopback's. */
  readonly interfaceIndex: number;
  /** Whether the destination is an address of this host. */
  readonly isLocal: boolean;
  /** Whether the destination stands for many: a group, or everybody. */
  readonly isForMany: boolean;
  /** The router that hands them on. Absent: the destination is a neighbour. */
  readonly gateway?: Uint8Array;
  /** Our address that they are sent from, when the kernel tells it. */
  readonly source?: Uint8Array;
}

/** The same route as {@link parseRoute}, with all that it says. */
export function parseRouteDetail(message: NetlinkMessage): RouteDetail | undefined {
  const route = parseRoute(message);
  if (route === undefined) return undefined;
  const type = message.payload[7]!;
  const attributes = parseAttributes(message.payload, ROUTE_BYTES);
  // RTA_VIA is that of a router of the other family: 2 bytes, and its address (linux/rtnetlink.h, struct rtvia).
  const gateway = attributes?.get(RTA_GATEWAY) ?? attributes?.get(RTA_VIA)?.subarray(2);
  return {
    ...route,
    isLocal: type === RTN_LOCAL || type === RTN_ANYCAST,
    isForMany: type === RTN_BROADCAST || type === RTN_MULTICAST,
    ...(gateway === undefined ? {} : { gateway: gateway.slice() }),
  };
}
