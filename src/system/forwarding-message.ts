/**
 * Whether a network namespace hands on packets that are not its own, in rtnetlink messages (RTM_GETNETCONF; constants of
 * linux/netconf.h). It is what `sysctl net.ipv4.ip_forward` says, without having to be inside.
 *
 *     netconfmsg: family:8, then NETCONFA_* attributes
 */
import { emitPayload, type NetlinkMessage, numberAttribute, parseAttributes, parseNumber } from './netlink-message.ts';

export const RTM_NEWNETCONF = 80;
export const RTM_GETNETCONF = 82;

const NETCONFA_IFINDEX = 1;
const NETCONFA_FORWARDING = 2;
const NETCONF_BYTES = 1;
/** Not one interface, but what holds for all. */
const IFINDEX_ALL = -1;

/** The payload that asks for the setting of a family, of an interface. */
export function emitForwardingQuery(family: number, interfaceIndex: number = IFINDEX_ALL): Uint8Array {
  return emitPayload(Uint8Array.of(family), [numberAttribute(NETCONFA_IFINDEX, interfaceIndex)]);
}

/** Whether packets are handed on; undefined when the message does not say. */
export function parseForwarding({ type, payload }: NetlinkMessage): boolean | undefined {
  if (type !== RTM_NEWNETCONF) return undefined;
  const value = parseNumber(parseAttributes(payload, NETCONF_BYTES)?.get(NETCONFA_FORWARDING));
  return value === undefined ? undefined : value !== 0;
}
