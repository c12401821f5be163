/** A captured frame in one line for people, short as tcpdump(8) has it. */
import { formatIp } from '../net/ip.ts';
import { formatMac } from '../net/mac.ts';

const IP = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const VLAN_TYPES: readonly number[] = [0x8100, 0x88a8];
const ETHERNET_HEADER = 14;
const VLAN_MASK = 0x0fff;
const TAG_BYTES = 4;
const MAX_TAGS = 2;
const IP_HEADER = 20;
const IPV6_HEADER = 40;
/** Hop-by-hop options, routing, destination options (RFC 8200, 4): what they are about comes behind them. */
const IPV6_EXTENSIONS: readonly number[] = [0, 43, 60];
const EXTENSION_UNIT = 8;
const MAX_EXTENSIONS = 8;
const FRAGMENT_OFFSET_MASK = 0x1fff;
const ARP_BYTES = 28;
const ARP_REQUEST = 1;

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmp6',
  132: 'sctp',
};
/** In the order of their bits (RFC 9293, 3.1), and what stands for them. */
const TCP_FLAGS = 'FSRP.UEW';
const ICMP: Readonly<Record<number, string>> = {
  0: 'echo reply',
  3: 'unreachable',
  5: 'redirect',
  8: 'echo request',
  11: 'time exceeded',
};
const ICMP6: Readonly<Record<number, string>> = {
  1: 'unreachable',
  2: 'packet too big',
  3: 'time exceeded',
  128: 'echo request',
  129: 'echo reply',
  130: 'listener query',
  131: 'listener report',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
  143: 'listener report',
};

/** What the frame is: `10.0.0.1.4711 > 10.0.0.2.80: tcp [S], 74 bytes`. */
export function describeFrame(bytes: Uint8Array, length: number): string {
  const tail = bytes.length < length ? `, ${length} bytes, ${bytes.length} kept` : `, ${length} bytes`;
  if (bytes.length < ETHERNET_HEADER) return `cut short${tail}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = ETHERNET_HEADER - 2;
  let tags = '';
  for (
    let tag = 0;
    tag < MAX_TAGS && at + TAG_BYTES + 2 <= bytes.length && VLAN_TYPES.includes(view.getUint16(at));
    tag++
  ) {
    tags += `vlan ${view.getUint16(at + 2) & VLAN_MASK} `;
    at += TAG_BYTES;
  }
  const type = view.getUint16(at);
  const packet = bytes.subarray(at + 2);
  const known =
    type === IP
      ? describeIp(packet)
      : type === IPV6
        ? describeIpv6(packet)
        : type === ARP
          ? describeArp(packet)
          : undefined;
  return `${tags}${known ?? describeEthernet(bytes, type)}${tail}`;
}

function describeEthernet(bytes: Uint8Array, type: number): string {
  const ends = `${formatMac(bytes.subarray(6, 12))} > ${formatMac(bytes.subarray(0, 6))}`;
  return `${ends}: ethertype 0x${type.toString(16).padStart(4, '0')}`;
}

function describeArp(packet: Uint8Array): string | undefined {
  if (packet.length < ARP_BYTES) return undefined;
  const [sender, target] = [formatIp(packet.subarray(14, 18)), formatIp(packet.subarray(24, 28))];
  return packet[7] === ARP_REQUEST
    ? `arp who-has ${target} tell ${sender}`
    : `arp ${sender} is-at ${formatMac(packet.subarray(8, 14))}`;
}

function describeIp(packet: Uint8Array): string | undefined {
  if (packet.length < IP_HEADER) return undefined;
  const ends = [formatIp(packet.subarray(12, 16)), formatIp(packet.subarray(16, 20))] as const;
  const fragment = ((packet[6]! << 8) | packet[7]!) & FRAGMENT_OFFSET_MASK;
  if (fragment > 0) return `${ends[0]} > ${ends[1]}: ${nameOf(packet[9]!)} fragment at ${8 * fragment}`;
  return describeTransport(ends, packet[9]!, packet.subarray(4 * (packet[0]! & 0xf)));
}

function describeIpv6(packet: Uint8Array): string | undefined {
  if (packet.length < IPV6_HEADER) return undefined;
  const ends = [formatIp(packet.subarray(8, 24)), formatIp(packet.subarray(24, 40))] as const;
  let next = packet[6]!;
  let at = IPV6_HEADER;
  for (let extension = 0; extension < MAX_EXTENSIONS && IPV6_EXTENSIONS.includes(next); extension++) {
    if (at + EXTENSION_UNIT > packet.length) break;
    next = packet[at]!;
    at += EXTENSION_UNIT * (packet[at + 1]! + 1);
  }
  return describeTransport(ends, next, packet.subarray(at));
}

function describeTransport(ends: readonly [string, string], protocol: number, segment: Uint8Array): string {
  const name = nameOf(protocol);
  const hasPorts = protocol === 6 || protocol === 17 || protocol === 132;
  if (hasPorts && segment.length >= 4) {
    const [from, to] = [(segment[0]! << 8) | segment[1]!, (segment[2]! << 8) | segment[3]!];
    const flags = protocol === 6 && segment.length > 13 ? ` [${flagsOf(segment[13]!)}]` : '';
    return `${ends[0]}.${from} > ${ends[1]}.${to}: ${name}${flags}`;
  }
  const types = protocol === 1 ? ICMP : protocol === 58 ? ICMP6 : {};
  const type = segment[0] === undefined ? undefined : types[segment[0]];
  return `${ends[0]} > ${ends[1]}: ${name}${type === undefined ? '' : ` ${type}`}`;
}

function nameOf(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? `protocol ${protocol}`;
}

function flagsOf(bits: number): string {
  const found = Array.from(TCP_FLAGS)
    .filter((_, bit) => (bits >> bit) & 1)
    .join('');
  return found === '' ? 'none' : found;
}
