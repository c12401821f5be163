/**
 * A default route in rtnetlink messages (rtnetlink(7), RTM_NEWROUTE; constants of linux/rtnetlink.h).
 *
 *     rtmsg: family:8 dst_len:8 src_len:8 tos:8 table:8 protocol:8 scope:8 type:8 flags:32, then RTA_* attributes
 */
import { addressFamily } from './address-message.ts';
import { emitPayload, type NetlinkAttribute, numberAttribute } from './netlink-message.ts';

export const RTM_NEWROUTE = 24;

const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
/** The route is somebody's configuration, neither the kernel's nor a routing daemon's; as ip(8) says it. */
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const ROUTE_BYTES = 12;

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
