/**
 * Questions about a frame, from which filters are made. They are asked as those of pcap-filter(7) are: what lies behind
 * the end of what was kept of a frame cannot be answered, and such a frame passes no filter at all, not even one that
 * begins with `not`.
 */

/** A frame as filters see it: reading beyond its end is noted. */
export class FilteredFrame {
  /** What was kept of it. */
  bytes: Uint8Array = new Uint8Array();
  /** How long it was. */
  length = 0;
  isOutbound = false;
  /** A question could not be answered. */
  isShort = false;

  /** Looks at another frame. */
  show(bytes: Uint8Array, length: number, isOutbound: boolean): void {
    this.bytes = bytes;
    this.length = length;
    this.isOutbound = isOutbound;
    this.isShort = false;
  }

  u8(at: number): number {
    const value = this.bytes[at];
    if (value === undefined) this.isShort = true;
    return value ?? 0;
  }

  u16(at: number): number {
    return (this.u8(at) << 8) | this.u8(at + 1);
  }

  /** Whether these bytes are there, as far as the mask goes. */
  has(at: number, expected: Uint8Array, mask?: Uint8Array): boolean {
    if (at + expected.length > this.bytes.length) {
      this.isShort = true;
      return false;
    }
    return expected.every((value, i) => ((this.bytes[at + i]! ^ value) & (mask?.[i] ?? 0xff)) === 0);
  }
}

/** A question; a frame that is too short for it answers no, and is noted to be. */
export type FrameTest = (frame: FilteredFrame) => boolean;

/** Where something is compared: of the source, of the destination, or of either, or of both. */
export type Side = 'src' | 'dst' | 'either' | 'both';

export const ETHERTYPE_IP = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_RARP = 0x8035;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPES: Readonly<Record<string, number>> = {
  ip: ETHERTYPE_IP,
  arp: ETHERTYPE_ARP,
  rarp: ETHERTYPE_RARP,
  ip6: ETHERTYPE_IPV6,
};
const VLAN_TYPES: readonly number[] = [0x8100, 0x88a8, 0x9100];

const ETHERNET_TYPE_AT = 12;
const ETHERNET_SOURCE_AT = 6;
const ETHERNET_HEADER = 14;
const TAG_BYTES = 4;
const VLAN_MASK = 0x0fff;

/** IPv4: RFC 791; IPv6: RFC 8200; ARP for IPv4 over Ethernet: RFC 826. */
const IP_PROTOCOL_AT = 9;
const IP_FRAGMENT_AT = 6;
const FRAGMENT_OFFSET_MASK = 0x1fff;
const IP_SOURCE_AT = 12;
const IP_DESTINATION_AT = 16;
const IPV6_NEXT_HEADER_AT = 6;
const IPV6_SOURCE_AT = 8;
const IPV6_DESTINATION_AT = 24;
const IPV6_HEADER = 40;
const IPV6_FRAGMENT = 44;
const ARP_SENDER_AT = 14;
const ARP_TARGET_AT = 24;

export const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  esp: 50,
  ah: 51,
  icmp6: 58,
  sctp: 132,
};
/** Those of which IPv4 has bytes that can be asked about, as pcap-filter(7) has it. */
const OVER_IP: readonly string[] = ['tcp', 'udp', 'sctp', 'icmp', 'igmp'];
/** All of which there are bytes. */
export const WITH_BYTES: readonly string[] = ['ether', ...Object.keys(ETHERTYPES), ...OVER_IP, 'icmp6'];
/** Those that have ports. */
const WITH_PORTS: readonly number[] = [6, 17, 132];

const BROADCAST = new Uint8Array(6).fill(0xff);

export const all =
  (...tests: readonly FrameTest[]): FrameTest =>
  (frame) =>
    tests.every((test) => test(frame));

export const any =
  (...tests: readonly FrameTest[]): FrameTest =>
  (frame) =>
    tests.some((test) => test(frame));

export const not =
  (test: FrameTest): FrameTest =>
  (frame) =>
    !test(frame);

/** A question about one of two places, or both. */
function onSide(side: Side, source: FrameTest, destination: FrameTest): FrameTest {
  if (side === 'src') return source;
  if (side === 'dst') return destination;
  return side === 'both' ? all(source, destination) : any(source, destination);
}

/** @param tags how many VLAN tags were asked about before: what follows is about what is behind them */
export function etherType(type: number, tags: number): FrameTest {
  const at = ETHERNET_TYPE_AT + tags * TAG_BYTES;
  return (frame) => frame.u16(at) === type;
}

export function vlan(id: number | undefined, tags: number): FrameTest {
  const at = ETHERNET_TYPE_AT + tags * TAG_BYTES;
  return (frame) => VLAN_TYPES.includes(frame.u16(at)) && (id === undefined || (frame.u16(at + 2) & VLAN_MASK) === id);
}

export function etherHost(mac: Uint8Array, side: Side): FrameTest {
  return onSide(
    side,
    (frame) => frame.has(ETHERNET_SOURCE_AT, mac),
    (frame) => frame.has(0, mac),
  );
}

export const etherBroadcast: FrameTest = (frame) => frame.has(0, BROADCAST);

/** A group address (IEEE 802.3, 3.2.3). */
export const etherMulticast: FrameTest = (frame) => (frame.u8(0) & 1) !== 0;

export function ipMulticast(tags: number): FrameTest {
  const at = networkAt(tags) + IP_DESTINATION_AT;
  return all(etherType(ETHERTYPE_IP, tags), (frame) => frame.u8(at) >= 224);
}

export function ipv6Multicast(tags: number): FrameTest {
  const at = networkAt(tags) + IPV6_DESTINATION_AT;
  return all(etherType(ETHERTYPE_IPV6, tags), (frame) => frame.u8(at) === 0xff);
}

export function ipProtocol(protocol: number, tags: number): FrameTest {
  const at = networkAt(tags) + IP_PROTOCOL_AT;
  return all(etherType(ETHERTYPE_IP, tags), (frame) => frame.u8(at) === protocol);
}

/** The next header, or that behind a fragment header. */
export function ipv6Protocol(protocol: number, tags: number): FrameTest {
  const at = networkAt(tags);
  return all(etherType(ETHERTYPE_IPV6, tags), (frame) => {
    const next = frame.u8(at + IPV6_NEXT_HEADER_AT);
    return next === protocol || (next === IPV6_FRAGMENT && frame.u8(at + IPV6_HEADER) === protocol);
  });
}

/** An address, or a network with a mask. */
export interface AddressMatch {
  readonly address: Uint8Array;
  readonly mask?: Uint8Array | undefined;
}

/** The address in the header of IPv4 or IPv6, whichever it is of. */
export function ipAddress({ address, mask }: AddressMatch, side: Side, tags: number): FrameTest {
  const at = networkAt(tags);
  const isV4 = address.length === 4;
  const [source, destination] = isV4 ? [IP_SOURCE_AT, IP_DESTINATION_AT] : [IPV6_SOURCE_AT, IPV6_DESTINATION_AT];
  return all(
    etherType(isV4 ? ETHERTYPE_IP : ETHERTYPE_IPV6, tags),
    onSide(
      side,
      (frame) => frame.has(at + source, address, mask),
      (frame) => frame.has(at + destination, address, mask),
    ),
  );
}

/** The address that an ARP or RARP packet is about. */
export function arpAddress(type: number, { address, mask }: AddressMatch, side: Side, tags: number): FrameTest {
  const at = networkAt(tags);
  return all(
    etherType(type, tags),
    onSide(
      side,
      (frame) => frame.has(at + ARP_SENDER_AT, address, mask),
      (frame) => frame.has(at + ARP_TARGET_AT, address, mask),
    ),
  );
}

/** Ports from the first to the last one; of any protocol that has some when `protocol` is absent. */
export function ports(first: number, last: number, side: Side, protocol: number | undefined, tags: number): FrameTest {
  const at = networkAt(tags);
  const protocols = protocol === undefined ? WITH_PORTS : [protocol];
  const isIn = (port: number): boolean => port >= first && port <= last;
  const areAsked = (frame: FilteredFrame, transport: number): boolean => {
    if (side !== 'dst' && isIn(frame.u16(transport)) !== (side === 'both')) return side !== 'both';
    return side !== 'src' && isIn(frame.u16(transport + 2));
  };
  const v4: FrameTest = (frame) => {
    if (!protocols.includes(frame.u8(at + IP_PROTOCOL_AT))) return false;
    return isFirstFragment(frame, at) && areAsked(frame, transportAt(frame, at));
  };
  const v6: FrameTest = (frame) =>
    protocols.includes(frame.u8(at + IPV6_NEXT_HEADER_AT)) && areAsked(frame, at + IPV6_HEADER);
  return any(all(etherType(ETHERTYPE_IP, tags), v4), all(etherType(ETHERTYPE_IPV6, tags), v6));
}

/** @param protocol one of {@link WITH_BYTES}; @param size how many bytes are one number: 1, 2 or 4 */
export function bytes(
  protocol: string,
  at: number,
  size: number,
  isAsked: (value: number) => boolean,
  tags: number,
): FrameTest {
  const network = networkAt(tags);
  const number = PROTOCOLS[protocol] ?? 0;
  const compare = (frame: FilteredFrame, start: number): boolean =>
    isAsked(
      Array.from({ length: size }, (_, i) => frame.u8(start + at + i)).reduce((sum, byte) => sum * 256 + byte, 0),
    );
  if (protocol === 'ether') return (frame) => compare(frame, 0);
  if (OVER_IP.includes(protocol))
    return all(
      ipProtocol(number, tags),
      (frame) => isFirstFragment(frame, network) && compare(frame, transportAt(frame, network)),
    );
  if (protocol !== 'icmp6') return all(etherType(ETHERTYPES[protocol]!, tags), (frame) => compare(frame, network));
  const isIcmp: FrameTest = (frame) => frame.u8(network + IPV6_NEXT_HEADER_AT) === number;
  return all(etherType(ETHERTYPE_IPV6, tags), isIcmp, (frame) => compare(frame, network + IPV6_HEADER));
}

/** Whether an IPv4 packet has what follows its header: a fragment behind the first does not. */
function isFirstFragment(frame: FilteredFrame, network: number): boolean {
  return (frame.u16(network + IP_FRAGMENT_AT) & FRAGMENT_OFFSET_MASK) === 0;
}

/** Where the header of an IPv4 packet ends. */
function transportAt(frame: FilteredFrame, network: number): number {
  return network + (frame.u8(network) & 0xf) * 4;
}

function networkAt(tags: number): number {
  return ETHERNET_HEADER + tags * TAG_BYTES;
}
