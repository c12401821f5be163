/**
 * An Ethernet frame in a few words: `ARP   who has 10.0.0.2? tell 10.0.0.1`.
 *
 * Knows what two machines say to each other when one pings the other, no more; everything else is told by its
 * EtherType and length.
 */
import { formatIp } from '../src/net/ip.ts';
import { formatMac } from '../src/net/mac.ts';
import { ARP_REQUEST, parseArp } from '../src/wire/arp.ts';
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, parseEthernet } from '../src/wire/ethernet.ts';
import { ICMP_ECHO_REQUEST, parseIcmpEcho } from '../src/wire/icmp.ts';
import { IP_PROTOCOL_ICMP, parseIpv4 } from '../src/wire/ipv4.ts';
import { parseIpv6 } from '../src/wire/ipv6.ts';

/** What a frame is, as far as the examples care. */
export type FrameKind = 'arp' | 'echo-request' | 'echo-reply' | 'other';

/** A frame in words. */
export interface FrameDescription {
  readonly kind: FrameKind;
  readonly text: string;
}

/** What a kernel says over IPv6 when an interface comes up (RFC 4861, RFC 3810), by ICMPv6 type. */
const ICMPV6_MESSAGES: Readonly<Record<number, string>> = {
  133: 'is a router there? (router solicitation)',
  135: 'is my address taken? (neighbour solicitation)',
  136: 'this is my address (neighbour advertisement)',
  143: 'the groups I listen to (multicast listener report)',
};
const HOP_BY_HOP = 0;
const ICMPV6 = 58;

/** Describes a frame; never throws, whatever the bytes. */
export function describeFrame(frame: Uint8Array): FrameDescription {
  const ethernet = parseEthernet(frame);
  if (ethernet === undefined) return { kind: 'other', text: `a broken frame of ${frame.length} bytes` };
  const { etherType, payloadOffset } = ethernet;
  const described =
    (etherType === ETHERTYPE_ARP ? describeArp(frame, payloadOffset) : undefined) ??
    (etherType === ETHERTYPE_IPV4 ? describeEcho(frame, payloadOffset) : undefined) ??
    (etherType === ETHERTYPE_IPV6 ? describeIpv6(frame, payloadOffset) : undefined);
  return (
    described ?? { kind: 'other', text: `type 0x${etherType.toString(16).padStart(4, '0')}, ${frame.length} bytes` }
  );
}

function describeArp(frame: Uint8Array, offset: number): FrameDescription | undefined {
  const arp = parseArp(frame, offset);
  if (arp === undefined) return undefined;
  const [sender, target] = [formatIp(arp.senderIp), formatIp(arp.targetIp)];
  const text =
    arp.operation === ARP_REQUEST
      ? `ARP   who has ${target}? tell ${sender}`
      : `ARP   ${sender} is at ${formatMac(arp.senderMac)}`;
  return { kind: 'arp', text };
}

function describeEcho(frame: Uint8Array, offset: number): FrameDescription | undefined {
  const ip = parseIpv4(frame, offset);
  if (ip?.protocol !== IP_PROTOCOL_ICMP) return undefined;
  const echo = parseIcmpEcho(frame, ip.payloadOffset, ip.payloadLength);
  if (echo === undefined) return undefined;
  const isRequest = echo.type === ICMP_ECHO_REQUEST;
  const way = `${formatIp(ip.source)} -> ${formatIp(ip.destination)}`;
  return {
    kind: isRequest ? 'echo-request' : 'echo-reply',
    text: `ICMP  echo ${isRequest ? 'request' : 'reply'}  seq ${echo.sequence}  ${way}`,
  };
}

function describeIpv6(frame: Uint8Array, offset: number): FrameDescription | undefined {
  const ip = parseIpv6(frame, offset);
  if (ip === undefined) return undefined;
  const skipped = ip.nextHeader === HOP_BY_HOP ? ((frame[ip.payloadOffset + 1] ?? 0) + 1) * 8 : 0;
  const protocol = ip.nextHeader === HOP_BY_HOP ? frame[ip.payloadOffset] : ip.nextHeader;
  const message = protocol === ICMPV6 ? ICMPV6_MESSAGES[frame[ip.payloadOffset + skipped] ?? 0] : undefined;
  return { kind: 'other', text: `IPv6  ${message ?? `${formatIp(ip.source)} -> ${formatIp(ip.destination)}`}` };
}
