/**
 * Neighbours in rtnetlink messages: which MAC address an IP address of the link has, how sure the kernel is of it, and
 * making it ask (rtnetlink(7), RTM_NEWNEIGH; constants of linux/neighbour.h; what they do: net/core/neighbour.c).
 *
 *     ndmsg: family:8 pad:24 ifindex:32 state:16 flags:8 type:8, then NDA_* attributes
 */
import { addressFamily } from './address-message.ts';
import { emitPayload, littleEndian, type NetlinkMessage, parseAttributes, viewOf } from './netlink-message.ts';

export const RTM_NEWNEIGH = 28;
export const RTM_GETNEIGH = 30;

const NDA_DST = 1;
const NDA_LLADDR = 2;
const NTF_USE = 0x01;
const NEIGHBOUR_BYTES = 12;
/** Checked now, by a packet for this neighbour alone, while what is known of it still holds. */
const NUD_PROBE = 0x10;

/** By their bits (NUD_*). */
const STATES: ReadonlyMap<number, NeighbourState> = new Map([
  [0x00, 'none'],
  [0x01, 'incomplete'],
  [0x02, 'reachable'],
  [0x04, 'stale'],
  [0x08, 'delay'],
  [NUD_PROBE, 'probe'],
  [0x20, 'failed'],
  [0x40, 'noarp'],
  [0x80, 'permanent'],
]);

/**
 * How sure the kernel is of a neighbour (RFC 4861, 7.3.2; it does the same for ARP). `incomplete`: asked, and no answer
 * yet; `stale`, `delay`: answered a while ago; `probe`: is being asked again; `permanent`, `noarp`: somebody set it.
 */
export type NeighbourState =
  | 'none'
  | 'incomplete'
  | 'reachable'
  | 'stale'
  | 'delay'
  | 'probe'
  | 'failed'
  | 'noarp'
  | 'permanent';

/** A neighbour that the kernel has heard of, or looks for. */
export interface Neighbour {
  readonly interfaceIndex: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly state: NeighbourState;
  /** Six bytes; absent while nobody has answered. */
  readonly mac?: Uint8Array;
}

/** The payload that asks for all neighbours of one family, or of all. */
export function emitNeighbourQuery(family: number = 0): Uint8Array {
  const fixed = new Uint8Array(NEIGHBOUR_BYTES);
  fixed[0] = family;
  return fixed;
}

/** The payload by which the kernel looks for a neighbour as if a packet were to leave for it. */
export function emitNeighbourUse(interfaceIndex: number, address: Uint8Array): Uint8Array {
  const fixed = emitNeighbourQuery(addressFamily(address));
  viewOf(fixed).setInt32(4, interfaceIndex, littleEndian);
  fixed[10] = NTF_USE;
  return emitPayload(fixed, [{ type: NDA_DST, value: address }]);
}

/** The payload by which the kernel asks a neighbour that it knows whether it is still there. */
export function emitNeighbourCheck(interfaceIndex: number, address: Uint8Array, mac: Uint8Array): Uint8Array {
  const fixed = emitNeighbourQuery(addressFamily(address));
  const view = viewOf(fixed);
  view.setInt32(4, interfaceIndex, littleEndian);
  view.setUint16(8, NUD_PROBE, littleEndian);
  return emitPayload(fixed, [
    { type: NDA_DST, value: address },
    { type: NDA_LLADDR, value: mac },
  ]);
}

/** The neighbour that a message describes; undefined when it describes none. */
export function parseNeighbour({ type, payload }: NetlinkMessage): Neighbour | undefined {
  if (type !== RTM_NEWNEIGH || payload.length < NEIGHBOUR_BYTES) return undefined;
  const attributes = parseAttributes(payload, NEIGHBOUR_BYTES);
  const address = attributes?.get(NDA_DST)?.slice();
  if (address === undefined || addressFamily(address) !== payload[0]) return undefined;
  const view = viewOf(payload);
  const mac = attributes?.get(NDA_LLADDR)?.slice();
  return {
    interfaceIndex: view.getInt32(4, littleEndian),
    address,
    state: STATES.get(view.getUint16(8, littleEndian)) ?? 'none',
    ...(mac === undefined ? {} : { mac }),
  };
}
