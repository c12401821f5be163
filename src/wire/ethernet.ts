/**
 * Ethernet II headers (IEEE 802.3, 3.2) with VLAN tags (IEEE 802.1Q, 9.6).
 */
import { concatenate, read16, write16 } from './bytes.ts';

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
/** Customer VLAN tag (802.1Q). */
export const ETHERTYPE_CVLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;
/** Service VLAN tag (802.1ad). */
export const ETHERTYPE_SVLAN = 0x88a8;
/** Bytes of header without tags. */
export const ETHERNET_HEADER_LENGTH = 14;
/** Bytes of a VLAN tag. */
export const VLAN_TAG_LENGTH = 4;

const DESTINATION = 0;
const SOURCE = 6;
const TYPE = 12;
/** A third tag is left to the reader of the payload. */
const MAX_TAGS = 2;

/** A VLAN tag. */
export interface VlanTag {
  /** {@link ETHERTYPE_CVLAN} or {@link ETHERTYPE_SVLAN}. */
  readonly etherType: number;
  /** 0 to 4095; 0 carries only a priority. */
  readonly vlan: number;
  /** 0 to 7. */
  readonly priority: number;
  /** Drop eligible indicator. */
  readonly isDropEligible: boolean;
}

/** An Ethernet header. */
export interface EthernetHeader {
  /** 6 bytes. */
  readonly destination: Uint8Array;
  /** 6 bytes. */
  readonly source: Uint8Array;
  /** Outermost first; at most two. */
  readonly tags: readonly VlanTag[];
  /** What the payload is. */
  readonly etherType: number;
}

/** A header that was read, and where what it carries begins. */
export interface ParsedEthernet extends EthernetHeader {
  readonly payloadOffset: number;
}

/** Reads the header of a frame; undefined when the frame is shorter. */
export function parseEthernet(frame: Uint8Array): ParsedEthernet | undefined {
  if (frame.length < ETHERNET_HEADER_LENGTH) return undefined;
  const tags: VlanTag[] = [];
  let typeAt = TYPE;
  while (tags.length < MAX_TAGS && isTag(read16(frame, typeAt))) {
    if (frame.length < typeAt + VLAN_TAG_LENGTH + 2) return undefined;
    tags.push(parseTag(frame, typeAt));
    typeAt += VLAN_TAG_LENGTH;
  }
  return {
    destination: frame.slice(DESTINATION, SOURCE),
    source: frame.slice(SOURCE, TYPE),
    tags,
    etherType: read16(frame, typeAt),
    payloadOffset: typeAt + 2,
  };
}

/** Makes a frame. No padding: who needs 60 bytes adds it. */
export function emitEthernet(header: EthernetHeader, payload: Uint8Array): Uint8Array {
  const type = new Uint8Array(2);
  write16(type, 0, header.etherType);
  return concatenate(header.destination, header.source, ...header.tags.map(emitTag), type, payload);
}

function isTag(etherType: number): boolean {
  return etherType === ETHERTYPE_CVLAN || etherType === ETHERTYPE_SVLAN;
}

function parseTag(frame: Uint8Array, at: number): VlanTag {
  const control = read16(frame, at + 2);
  return {
    etherType: read16(frame, at),
    vlan: control & 0xfff,
    priority: control >>> 13,
    isDropEligible: (control & 0x1000) !== 0,
  };
}

function emitTag(tag: VlanTag): Uint8Array {
  const bytes = new Uint8Array(VLAN_TAG_LENGTH);
  write16(bytes, 0, tag.etherType);
  write16(bytes, 2, (tag.priority << 13) | (tag.isDropEligible ? 0x1000 : 0) | tag.vlan);
  return bytes;
}
