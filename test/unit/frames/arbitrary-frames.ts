/** Random frames for the property tests: super-frames, flows of TCP segments, and damage to both. */
import fc from 'fast-check';
import { GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, type OffloadHeader } from '../../../src/frames/batch.ts';
import { pseudoHeaderSum } from '../../../src/frames/checksum.ts';
import type { JoinedFrame } from '../../../src/frames/join.ts';
import { write16 } from '../../../src/wire/bytes.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, emitEthernet, type VlanTag } from '../../../src/wire/ethernet.ts';
import { emitIpv4 } from '../../../src/wire/ipv4.ts';
import { emitIpv6 } from '../../../src/wire/ipv6.ts';
import { emitTcp, TCP_ACK, TCP_PSH } from '../../../src/wire/tcp.ts';
import { emitUdp } from '../../../src/wire/udp.ts';

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
/** 0 to 40 bytes, a multiple of 4. */
const options = fc.integer({ min: 0, max: 10 }).chain((words) => bytes(words * 4));
const tag: fc.Arbitrary<VlanTag> = fc.record({
  etherType: fc.constantFrom(0x8100, 0x88a8),
  vlan: fc.integer({ min: 0, max: 4095 }),
  priority: fc.integer({ min: 0, max: 7 }),
  isDropEligible: fc.boolean(),
});

/** Cheap bytes that are not all alike. */
export function pattern(length: number, seed: number): Uint8Array {
  const filled = new Uint8Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    filled[i] = state >>> 24;
  }
  return filled;
}

interface PacketShape {
  readonly isV6: boolean;
  readonly isTcp: boolean;
  readonly macs: Uint8Array;
  readonly tags: readonly VlanTag[];
  readonly addresses: Uint8Array;
  readonly tos: number;
  readonly ttl: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly ipOptions: Uint8Array;
  readonly hasExtension: boolean;
  readonly ports: readonly [number, number];
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  readonly window: number;
  readonly tcpOptions: Uint8Array;
  readonly payload: Uint8Array;
}

/** A whole frame with right checksums, and where its transport header begins and ends. */
export function buildFrame(shape: PacketShape): { frame: Uint8Array; transport: number; headers: number } {
  const size = shape.isV6 ? 16 : 4;
  const path = { source: shape.addresses.slice(0, size), destination: shape.addresses.slice(16, 16 + size) };
  const [sourcePort, destinationPort] = shape.ports;
  const { sequence, acknowledgement, flags, window, tcpOptions, payload } = shape;
  const transport = shape.isTcp
    ? emitTcp(
        { sourcePort, destinationPort, sequence, acknowledgement, flags, window, urgent: 0, options: tcpOptions },
        payload,
        path,
      )
    : emitUdp({ sourcePort, destinationPort }, payload, path);
  const packet = shape.isV6 ? buildIpv6(shape, path, transport) : buildIpv4(shape, path, transport);
  const frame = emitEthernet(
    {
      destination: shape.macs.slice(0, 6),
      source: shape.macs.slice(6),
      tags: shape.tags,
      etherType: shape.isV6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4,
    },
    packet,
  );
  return { frame, transport: frame.length - transport.length, headers: frame.length - payload.length };
}

type Path = { source: Uint8Array; destination: Uint8Array };

function buildIpv4(shape: PacketShape, path: Path, transport: Uint8Array): Uint8Array {
  const { tos, identification, dontFragment, ttl, ipOptions: options } = shape;
  const protocol = shape.isTcp ? 6 : 17;
  const whole = { moreFragments: false, fragmentOffset: 0 };
  return emitIpv4({ tos, identification, dontFragment, ...whole, ttl, protocol, ...path, options }, transport);
}

function buildIpv6(shape: PacketShape, path: Path, transport: Uint8Array): Uint8Array {
  const protocol = shape.isTcp ? 6 : 17;
  // Destination options that are all padding (RFC 8200, 4.6): next header, length 0, PadN of 4.
  const extension = shape.hasExtension ? Uint8Array.of(protocol, 0, 1, 4, 0, 0, 0, 0) : new Uint8Array();
  const nextHeader = shape.hasExtension ? 60 : protocol;
  return emitIpv6(
    { trafficClass: shape.tos, flowLabel: shape.identification, nextHeader, hopLimit: shape.ttl, ...path },
    new Uint8Array([...extension, ...transport]),
  );
}

/** Any packet headers, with a payload of up to `maxPayload` bytes. */
export function arbitraryShape(maxPayload: number): fc.Arbitrary<PacketShape> {
  return fc.record({
    isV6: fc.boolean(),
    isTcp: fc.boolean(),
    macs: bytes(12),
    tags: fc.array(tag, { maxLength: 2 }),
    addresses: bytes(32),
    tos: fc.integer({ min: 0, max: 255 }),
    ttl: fc.integer({ min: 1, max: 255 }),
    identification: fc.integer({ min: 0, max: 65535 }),
    dontFragment: fc.boolean(),
    ipOptions: fc.oneof(fc.constant(new Uint8Array()), options),
    hasExtension: fc.boolean(),
    ports: fc.tuple(fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 1, max: 65535 })),
    sequence: fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0xfffffff0, max: 0xffffffff })),
    acknowledgement: fc.integer({ min: 0, max: 0xffffffff }),
    flags: fc.integer({ min: 0, max: 255 }),
    window: fc.integer({ min: 0, max: 65535 }),
    tcpOptions: options,
    payload: fc
      .tuple(fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: maxPayload })), fc.integer())
      .map(([length, seed]) => pattern(Math.min(length, maxPayload), seed)),
  });
}

/** Leaves the checksum of a frame to be done, as the kernel hands frames to a TAP. */
export function toSuperFrame(shape: PacketShape, gsoSize: number, hasEcn: boolean): JoinedFrame {
  const { frame, transport, headers } = buildFrame(shape);
  const size = shape.isV6 ? 16 : 4;
  const addresses = new Uint8Array([...shape.addresses.slice(0, size), ...shape.addresses.slice(16, 16 + size)]);
  const checksumOffset = shape.isTcp ? 16 : 6;
  const sum = pseudoHeaderSum(addresses, shape.isTcp ? 6 : 17, frame.length - transport);
  write16(frame, transport + checksumOffset, sum);
  const tcp = shape.isV6 ? GSO_TCPV6 : GSO_TCPV4;
  const gsoType = shape.isTcp ? tcp | (hasEcn ? GSO_ECN : 0) : GSO_UDP_L4;
  const offload = { flags: 1, gsoType, headerLength: headers, gsoSize, checksumStart: transport, checksumOffset };
  return { frame, offload };
}

/** A valid super-frame of at most a few hundred segments. */
export function arbitrarySuperFrame(
  shapes: fc.Arbitrary<PacketShape> = arbitraryShape(65_000),
): fc.Arbitrary<JoinedFrame> {
  return fc
    .tuple(shapes, fc.integer({ min: 1, max: 2000 }), fc.boolean())
    .map(([shape, size, hasEcn]) => toSuperFrame(shape, Math.max(size, Math.ceil(shape.payload.length / 300)), hasEcn));
}

/** An ordinary frame whose checksum is left to do. */
export const arbitraryPartial: fc.Arbitrary<JoinedFrame> = arbitraryShape(1400).map((shape) => {
  const { frame, offload } = toSuperFrame(shape, 1, false);
  return { frame, offload: { ...offload, gsoType: 0, gsoSize: 0 } };
});

/** The same with some bytes of the headers and some fields of the offload header replaced. */
export function damaged(frames: fc.Arbitrary<JoinedFrame>): fc.Arbitrary<JoinedFrame> {
  const byte = fc.integer({ min: 0, max: 255 });
  const word = fc.oneof(fc.integer({ min: 0, max: 80 }), fc.integer({ min: 0, max: 65535 }));
  const changes = fc.array(fc.tuple(fc.integer({ min: 12, max: 90 }), byte), { maxLength: 3 });
  const fields = fc.record(
    {
      flags: fc.constantFrom(0, 1, 2, 3, 7),
      gsoType: fc.constantFrom(0, 1, 2, 3, 4, 5, 0x80, 0x81, 0x84, 0x85, 255),
      headerLength: word,
      gsoSize: fc.oneof(fc.constant(0), fc.integer({ min: 200, max: 65535 })),
      checksumStart: word,
      checksumOffset: word,
    },
    { requiredKeys: [] },
  );
  const length = fc.option(fc.integer({ min: 0, max: 120 }), { freq: 4 });
  return fc.tuple(frames, changes, fc.option(fields), length).map(([{ frame, offload }, edits, replaced, cut]) => {
    const copy = frame.slice(0, cut ?? frame.length);
    for (const [at, value] of edits) if (at < copy.length) copy[at] = value;
    const header: OffloadHeader = { ...offload, ...(replaced ?? {}) };
    return { frame: copy, offload: header };
  });
}

/** What happens next in one of a few flows. */
interface FlowEvent {
  readonly flow: number;
  readonly size: number;
  readonly twist:
    | 'none'
    | 'push'
    | 'corrupt'
    | 'corrupt-ip'
    | 'fin'
    | 'cwr'
    | 'gap'
    | 'window'
    | 'ttl'
    | 'options'
    | 'identification'
    | 'mac'
    | 'padded'
    | 'fragment'
    | 'arp'
    | 'super';
}

const flowEvent: fc.Arbitrary<FlowEvent> = fc.record({
  flow: fc.integer({ min: 0, max: 3 }),
  size: fc.oneof({ weight: 8, arbitrary: fc.constant(100) }, { weight: 1, arbitrary: fc.constantFrom(0, 1, 99, 101) }),
  twist: fc.oneof(
    { weight: 16, arbitrary: fc.constant('none' as const) },
    { weight: 1, arbitrary: fc.constantFrom('push', 'corrupt', 'corrupt-ip', 'fin', 'cwr', 'gap', 'window', 'ttl') },
    { weight: 1, arbitrary: fc.constantFrom('options', 'identification', 'mac', 'padded', 'fragment', 'arp', 'super') },
  ),
});

/** Interleaved flows of TCP segments, most of which can be joined. */
export const arbitraryTraffic: fc.Arbitrary<JoinedFrame[]> = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 0xffffffff }), { minLength: 4, maxLength: 4 }), fc.array(flowEvent))
  .map(([sequences, events]) => {
    const next = [...sequences];
    return events.map((event, index) => {
      const made = trafficFrame(event, next[event.flow]!, index);
      next[event.flow] = (next[event.flow]! + event.size) % 2 ** 32;
      return made;
    });
  });

function trafficFrame({ flow, size, twist }: FlowEvent, sequence: number, index: number): JoinedFrame {
  const offload = { flags: 0, gsoType: 0, headerLength: 0, gsoSize: 0, checksumStart: 0, checksumOffset: 0 };
  const flags = { push: TCP_ACK | TCP_PSH, fin: TCP_ACK | 1, cwr: TCP_ACK | 0x80 };
  const shape: PacketShape = {
    isV6: flow % 2 === 1,
    isTcp: true,
    macs: pattern(12, twist === 'mac' ? 2 : 1),
    tags: flow === 2 ? [{ etherType: 0x8100, vlan: 7, priority: 0, isDropEligible: false }] : [],
    addresses: pattern(32, 3),
    tos: 0,
    ttl: twist === 'ttl' ? 3 : 64,
    // Counts within the flow, as far as sizes are equal.
    identification: twist === 'identification' ? 9 : flow % 2 === 1 ? 5 : Math.floor(sequence / 100) & 0xffff,
    dontFragment: flow === 2,
    ipOptions: new Uint8Array(),
    hasExtension: false,
    ports: [1000 + flow, 80],
    sequence: twist === 'gap' ? (sequence + 1) % 2 ** 32 : sequence,
    acknowledgement: 1,
    flags: twist === 'push' || twist === 'fin' || twist === 'cwr' ? flags[twist] : TCP_ACK,
    window: twist === 'window' ? 2 : 1,
    tcpOptions: Uint8Array.of(1, 1, 8, 10, 0, 0, 0, twist === 'options' ? 1 : 0, 0, 0, 0, 0),
    payload: pattern(size, index),
  };
  if (twist === 'super') return toSuperFrame(shape, 30, false);
  const { frame, transport } = buildFrame(shape);
  if (twist === 'arp') write16(frame, flow === 2 ? 16 : 12, 0x0806);
  if (twist === 'corrupt') frame[frame.length - 1]! ^= 1;
  if (twist === 'corrupt-ip' && flow % 2 === 0) frame[transport - 10]! ^= 1;
  if (twist === 'fragment' && flow % 2 === 0) frame[transport - 14]! |= 0x20;
  if (twist === 'padded') return { frame: new Uint8Array([...frame, 0, 0]), offload };
  return { frame, offload };
}
