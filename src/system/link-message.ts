/**
 * An interface in rtnetlink messages (rtnetlink(7), RTM_NEWLINK; constants of linux/if_link.h).
 *
 *     ifinfomsg: family:8 pad:8 type:16 index:32 flags:32 change:32, then IFLA_* attributes
 */
import {
  emitPayload,
  littleEndian,
  type NetlinkAttribute,
  type NetlinkMessage,
  numberAttribute,
  parseAttributes,
  parseNumber,
  parseText,
  textAttribute,
  viewOf,
} from './netlink-message.ts';

export const RTM_NEWLINK = 16;
export const RTM_GETLINK = 18;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_OPERSTATE = 16;
const IFLA_CARRIER = 33;
const IFLA_MIN_MTU = 50;
const IFLA_MAX_MTU = 51;

const IFF_UP = 1;
const IFF_NOARP = 0x80;
const LINK_BYTES = 16;

/** In the order of their numbers (linux/if.h, IF_OPER_*). */
const operationalStates = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'] as const;

/** Whether an interface passes frames, in the words of RFC 2863. */
export type OperationalState = (typeof operationalStates)[number];

/** One interface as the kernel describes it. */
export interface Link {
  /** Its number in the namespace. */
  readonly index: number;
  readonly name: string;
  /** Six bytes for an Ethernet. */
  readonly mac: Uint8Array;
  /** Bytes of IP packet that fit a frame. */
  readonly mtu: number;
  /** Smallest MTU that the interface takes. */
  readonly minMtu: number;
  /** Largest MTU that the interface takes; 0 when there is no bound. */
  readonly maxMtu: number;
  /** Whether it was set up (`ip link set up`). */
  readonly isUp: boolean;
  /** Whether there is a cable with another end. */
  readonly hasCarrier: boolean;
  readonly operationalState: OperationalState;
  /** Whether it neither asks for neighbours nor answers for itself (`ip link set arp off`). @defaultValue false */
  readonly isArpOff?: boolean;
}

/** What to change of an interface; what is absent stays. */
export interface LinkChange {
  readonly up?: boolean;
  readonly mac?: Uint8Array;
  readonly mtu?: number;
}

/** The payload that asks for all interfaces. */
export function emitLinkQuery(): Uint8Array {
  return new Uint8Array(LINK_BYTES);
}

/** The payload that changes the interface of that name. */
export function emitLinkChange(name: string, change: LinkChange): Uint8Array {
  const fixed = new Uint8Array(LINK_BYTES);
  if (change.up !== undefined) {
    viewOf(fixed).setUint32(8, change.up ? IFF_UP : 0, littleEndian);
    // The mask: which flags are meant.
    viewOf(fixed).setUint32(12, IFF_UP, littleEndian);
  }
  const attributes: NetlinkAttribute[] = [textAttribute(IFLA_IFNAME, name)];
  if (change.mac !== undefined) attributes.push({ type: IFLA_ADDRESS, value: change.mac });
  if (change.mtu !== undefined) attributes.push(numberAttribute(IFLA_MTU, change.mtu));
  return emitPayload(fixed, attributes);
}

/** The interface that a message describes; undefined when it describes none. */
export function parseLink({ type, payload }: NetlinkMessage): Link | undefined {
  if (type !== RTM_NEWLINK || payload.length < LINK_BYTES) return undefined;
  const attributes = parseAttributes(payload, LINK_BYTES);
  const name = attributes?.get(IFLA_IFNAME);
  if (attributes === undefined || name === undefined) return undefined;
  const view = viewOf(payload);
  const flags = view.getUint32(8, littleEndian);
  const numberOf = (attribute: number): number => parseNumber(attributes.get(attribute)) ?? 0;
  return {
    index: view.getInt32(4, littleEndian),
    name: parseText(name),
    mac: attributes.get(IFLA_ADDRESS)?.slice() ?? new Uint8Array(0),
    mtu: numberOf(IFLA_MTU),
    minMtu: numberOf(IFLA_MIN_MTU),
    maxMtu: numberOf(IFLA_MAX_MTU),
    isUp: (flags & IFF_UP) !== 0,
    hasCarrier: numberOf(IFLA_CARRIER) === 1,
    operationalState: operationalStates[numberOf(IFLA_OPERSTATE)] ?? 'unknown',
    ...((flags & IFF_NOARP) === 0 ? {} : { isArpOff: true }),
  };
}
