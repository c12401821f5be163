/**
 * The bridge protocol data unit that the fast spanning tree of `vde_switch` sends: nearly that of IEEE 802.1w, in a
 * frame of 53 bytes.
 *
 *     01:80:c2:00:00:00  bridge's MAC  length 39  42 42 03
 *     protocol:16 = 0  version:8 = 2  type:8 = 2  flags:8
 *     root:8 bytes  cost:32  bridge:8 bytes  port:16  age:16  max age:16  hello:16  delay:16  version 1 length:8 = 0
 *
 * Not as in the standard (14.5 there): the codes of root and alternate ports in the flags are each other's. Times are
 * little-endian seconds; the standard's big-endian 1/256 of a second are the same bytes as long as whole seconds, and
 * less than 256 of them, are meant. So the first byte is read as seconds, and the second as fractions.
 */
import { formatMac, MAC_LENGTH } from '../net/mac.ts';
import { read16, read32, write16, write32 } from './bytes.ts';
import { ETHERNET_HEADER_LENGTH, parseEthernet } from './ethernet.ts';

/** What bridges send to each other (IEEE 802.1D, 7.12.3). */
const BRIDGE_GROUP: Uint8Array = Uint8Array.of(0x01, 0x80, 0xc2, 0x00, 0x00, 0x00);
const ID_BYTES = 8;
/** What the length field says: the LLC header and the BPDU behind it. */
const LENGTH = 39;
/** LLC: spanning tree. IEEE 802.1D: protocol 0; rapid spanning tree: version 2, type 2. */
const START: Uint8Array = Uint8Array.of(0x42, 0x42, 0x03, 0, 0, 2, 2);
const FLAGS_AT = START.length;
const ROOT_AT = FLAGS_AT + 1;
const COST_AT = ROOT_AT + ID_BYTES;
const BRIDGE_AT = COST_AT + 4;
const PORT_AT = BRIDGE_AT + ID_BYTES;
const AGE_AT = PORT_AT + 2;
/** Without the last byte, which says nothing: the originals do not miss it, either. */
const LEAST_BYTES = AGE_AT + 8;

/** Bytes of the frame. */
export const BPDU_BYTES: number = ETHERNET_HEADER_LENGTH + LENGTH;

const TOPOLOGY_CHANGE = 0x01;
const PROPOSAL = 0x02;
const ROLE_SHIFT = 2;
const ROLES = ['unknown', 'root', 'alternate', 'designated'] as const;
const LEARNING = 0x10;
const FORWARDING = 0x20;
const AGREEMENT = 0x40;

/** What a port is for its bridge. A bridge that proposes may call its port `alternate` until that is answered. */
export type PortRole = (typeof ROLES)[number];

/**
 * A bridge's id: priority and MAC address as `80:00:00:ff:44:70:c3:5e`. The lesser of two, as text, is the better one.
 */
export type BridgeId = string;

export interface Bpdu {
  /** The topology has changed: stations may be elsewhere. */
  readonly isTopologyChange: boolean;
  /** The sender's port would forward if that were agreed to. */
  readonly isProposal: boolean;
  readonly role: PortRole;
  readonly isLearning: boolean;
  readonly isForwarding: boolean;
  readonly isAgreement: boolean;
  readonly root: BridgeId;
  /** From the sender to the root, 0 to 2^32 - 1. */
  readonly cost: number;
  /** The sender's. */
  readonly bridge: BridgeId;
  /** The id of the sender's port: {@link portId}. */
  readonly port: number;
  /** How old the news of the root is, at most 255 s. */
  readonly ageSeconds: number;
  /** At which age news is forgotten. */
  readonly maxAgeSeconds: number;
  readonly helloSeconds: number;
  readonly delaySeconds: number;
}

/** The id of a bridge. @param priority 0 to 65535; the least makes the root */
export function bridgeId(priority: number, mac: Uint8Array): BridgeId {
  return formatMac(Uint8Array.of(priority >>> 8, priority, ...mac));
}

/** The id of a port: its number, and a priority that is always the same. */
export function portId(port: number): number {
  return (0x8000 + port) & 0xffff;
}

/** The frame of a BPDU, without a tag. */
export function emitBpdu(bpdu: Bpdu): Uint8Array {
  const frame = new Uint8Array(BPDU_BYTES);
  const body = frame.subarray(ETHERNET_HEADER_LENGTH);
  const bridge = parseId(bpdu.bridge);
  frame.set(BRIDGE_GROUP);
  frame.set(bridge.subarray(ID_BYTES - MAC_LENGTH), MAC_LENGTH);
  write16(frame, 2 * MAC_LENGTH, LENGTH);
  body.set(START);
  body[FLAGS_AT] = flagsOf(bpdu);
  body.set(parseId(bpdu.root), ROOT_AT);
  write32(body, COST_AT, bpdu.cost);
  body.set(bridge, BRIDGE_AT);
  write16(body, PORT_AT, bpdu.port);
  const times = [bpdu.ageSeconds, bpdu.maxAgeSeconds, bpdu.helloSeconds, bpdu.delaySeconds];
  for (const [index, seconds] of times.entries()) writeTime(body, AGE_AT + 2 * index, seconds);
  return frame;
}

/**
 * Reads a frame as a BPDU, with or without a VLAN tag; `undefined` when it is none of this spanning tree: those of
 * others, cut ones, any other frame. What pads it does not matter.
 */
export function parseBpdu(frame: Uint8Array): Bpdu | undefined {
  const header = parseEthernet(frame);
  if (header === undefined || header.etherType !== LENGTH || header.tags.length > 1) return undefined;
  const body = frame.subarray(header.payloadOffset);
  if (body.length < LEAST_BYTES || !startsWith(header.destination, BRIDGE_GROUP) || !startsWith(body, START)) {
    return undefined;
  }
  const flags = body[FLAGS_AT] ?? 0;
  return {
    isTopologyChange: (flags & TOPOLOGY_CHANGE) !== 0,
    isProposal: (flags & PROPOSAL) !== 0,
    role: ROLES[(flags >> ROLE_SHIFT) & 3] ?? 'unknown',
    isLearning: (flags & LEARNING) !== 0,
    isForwarding: (flags & FORWARDING) !== 0,
    isAgreement: (flags & AGREEMENT) !== 0,
    root: formatMac(body.subarray(ROOT_AT, COST_AT)),
    cost: read32(body, COST_AT),
    bridge: formatMac(body.subarray(BRIDGE_AT, PORT_AT)),
    port: read16(body, PORT_AT),
    ageSeconds: readTime(body, AGE_AT),
    maxAgeSeconds: readTime(body, AGE_AT + 2),
    helloSeconds: readTime(body, AGE_AT + 4),
    delaySeconds: readTime(body, AGE_AT + 6),
  };
}

function flagsOf(bpdu: Bpdu): number {
  return (
    (bpdu.isTopologyChange ? TOPOLOGY_CHANGE : 0) |
    (bpdu.isProposal ? PROPOSAL : 0) |
    (ROLES.indexOf(bpdu.role) << ROLE_SHIFT) |
    (bpdu.isLearning ? LEARNING : 0) |
    (bpdu.isForwarding ? FORWARDING : 0) |
    (bpdu.isAgreement ? AGREEMENT : 0)
  );
}

function startsWith(bytes: Uint8Array, wanted: Uint8Array): boolean {
  return wanted.every((byte, index) => bytes[index] === byte);
}

function parseId(id: BridgeId): Uint8Array {
  return Uint8Array.from(id.split(':'), (digits) => Number.parseInt(digits, 16));
}

function readTime(body: Uint8Array, at: number): number {
  return read16(body, at) / 256;
}

/** Cut to what there is room for. */
function writeTime(body: Uint8Array, at: number, seconds: number): void {
  write16(body, at, Math.min(0xffff, Math.max(0, Math.round(seconds * 256))));
}
