import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameBatch, GSO_TCPV4, GSO_UDP, type OffloadHeader } from '../../../src/frames/batch.ts';
import type { JoinedFrame } from '../../../src/frames/join.ts';
import { segmentFrames } from '../../../src/frames/segment.ts';
import { native } from '../../../src/system/native.ts';
import { ETHERTYPE_IPV4, parseEthernet } from '../../../src/wire/ethernet.ts';
import { parseIpv4 } from '../../../src/wire/ipv4.ts';
import { parseIpv6 } from '../../../src/wire/ipv6.ts';
import { isTcpIntact } from '../../../src/wire/tcp.ts';
import { isUdpIntact } from '../../../src/wire/udp.ts';
import { arbitraryPartial, arbitraryShape, arbitrarySuperFrame, damaged, pattern } from './arbitrary-frames.ts';
import { batchWith, nativeSegment, noOffload } from './native-frames.ts';

const unlimited = 0x7fffffff;
const runs = { numRuns: 150 };

/** Both implementations; throws when they differ. */
function segmentBoth(frames: readonly JoinedFrame[], maxFrameBytes = unlimited): ReturnType<typeof segmentFrames> {
  const batch = batchWith(frames);
  const expected = segmentFrames(batch, maxFrameBytes);
  const { rounds: _, ...actual } = nativeSegment(batch, maxFrameBytes);
  assert.deepEqual(actual, expected);
  return expected;
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

const tcpHeaders: OffloadHeader = {
  flags: 1,
  gsoType: GSO_TCPV4,
  headerLength: 54,
  gsoSize: 4,
  checksumStart: 34,
  checksumOffset: 16,
};

/** Ten bytes over TCP from 10.0.0.1:4660 to 10.0.0.2:80, identification 0xffff, CWR, PSH, FIN and ACK. */
const tcpSuperFrame = hex(`
  020000000002 020000000001 0800
  4500 0032 ffff 4000 40 06 0000 0a000001 0a000002
  1234 0050 fffffffe 00000001 5099 2000 1427 0000
  61626364 65666768 696a`);

test('a TCP super-frame becomes segments: identification and sequence count, CWR first, PSH and FIN last', () => {
  const { frames } = segmentBoth([{ frame: tcpSuperFrame, offload: tcpHeaders }]);
  // The checksums come from a calculation of their own, not from this code.
  const expected = [
    `020000000002 020000000001 0800
     4500 002c ffff 4000 40 06 26ca 0a000001 0a000002
     1234 0050 fffffffe 00000001 5090 2000 a403 0000 61626364`,
    `020000000002 020000000001 0800
     4500 002c 0000 4000 40 06 26ca 0a000001 0a000002
     1234 0050 00000002 00000001 5010 2000 9c78 0000 65666768`,
    `020000000002 020000000001 0800
     4500 002a 0001 4000 40 06 26cb 0a000001 0a000002
     1234 0050 00000006 00000001 5019 2000 ffd1 0000 696a`,
  ];
  assert.deepEqual(frames, expected.map(hex));
});

test('a UDP super-frame becomes datagrams with lengths and checksums of their own', () => {
  const frame = hex(`
    020000000002 020000000001 0800
    4500 0024 0007 0000 40 11 0000 0a000001 0a000002
    1234 0035 0010 1424
    6162 6364 6566 6768`);
  const offload = { flags: 1, gsoType: 5, headerLength: 42, gsoSize: 5, checksumStart: 34, checksumOffset: 6 };
  const { frames } = segmentBoth([{ frame, offload }]);
  const expected = [
    `020000000002 020000000001 0800
     4500 0021 0007 0000 40 11 66c3 0a000001 0a000002 1234 0035 000d afa1 6162636465`,
    `020000000002 020000000001 0800
     4500 001f 0008 0000 40 11 66c4 0a000001 0a000002 1234 0035 000b 0b05 666768`,
  ];
  assert.deepEqual(frames, expected.map(hex));
});

test('a UDP checksum that comes out as zero is sent as all ones', () => {
  const payload = '0000';
  // Ports chosen so that everything adds up to 0xffff.
  const sum = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 17 + 10 + 10;
  const port = (0xffff - sum).toString(16).padStart(4, '0');
  const frame = hex(`020000000002 020000000001 0800 4500 001e 0007 0000 40 11 0000 0a000001 0a000002
    ${port} 0000 000a 141e ${payload}`);
  const offload = { flags: 1, gsoType: 0, headerLength: 42, gsoSize: 0, checksumStart: 34, checksumOffset: 6 };
  for (const gso of [{}, { gsoType: 5, gsoSize: 100 }]) {
    const { frames } = segmentBoth([{ frame, offload: { ...offload, ...gso } }]);
    assert.deepEqual(frames[0]!.slice(40, 42), hex('ffff'));
  }
});

test('a frame without anything left to do is copied byte for byte, whatever its length', () => {
  for (const length of [0, 1, 13, 14, 60, 1514, 65_600]) {
    const frame = pattern(length, length);
    const offload = { ...noOffload, headerLength: 77, checksumStart: 99 };
    assert.deepEqual(segmentBoth([{ frame, offload }]).frames, [frame]);
  }
});

test('a frame whose checksum is already known to be right is only copied', () => {
  const frame = pattern(60, 1);
  assert.deepEqual(segmentBoth([{ frame, offload: { ...noOffload, flags: 2 } }]).frames, [frame]);
});

test('frames longer than allowed are left out and counted', () => {
  const ordinary = (length: number): JoinedFrame => ({ frame: pattern(length, 1), offload: noOffload });
  const { frames, tooLong } = segmentBoth([ordinary(1518), ordinary(1519), ordinary(60)], 1518);
  assert.deepEqual([frames.length, tooLong], [2, 1]);
  const whole = { frame: tcpSuperFrame, offload: tcpHeaders };
  assert.equal(segmentBoth([whole], 58).tooLong, 0);
  assert.equal(segmentBoth([whole], 57).tooLong, 2);
  assert.equal(segmentBoth([whole], 55).tooLong, 3);
});

for (const [what, change] of [
  ['no segment size', { gsoSize: 0 }],
  ['fragmentation offload of UDP', { gsoType: GSO_UDP }],
  ['an unknown kind', { gsoType: 2 }],
  ['only the ECN bit', { gsoType: 0x80 }],
  ['the other IP version', { gsoType: 4 }],
  ['UDP for a TCP packet', { gsoType: 5 }],
  ['no checksum left to do', { flags: 0 }],
  ['a header longer than the frame', { headerLength: 65 }],
  ['a checksum that begins elsewhere', { checksumStart: 36 }],
  ['a checksum that begins behind the frame', { checksumStart: 65535 }],
  ['a checksum field elsewhere', { checksumOffset: 6 }],
] as const) {
  test(`a super-frame with ${what} is malformed`, () => {
    const { frames, malformed } = segmentBoth([
      { frame: tcpSuperFrame, offload: { ...tcpHeaders, ...change } },
      { frame: pattern(20, 1), offload: noOffload },
    ]);
    assert.deepEqual([frames.length, malformed], [1, 1]);
  });
}

test('a checksum left to do that does not lie in the frame is malformed', () => {
  const frame = pattern(60, 1);
  for (const [checksumStart, checksumOffset, malformed] of [
    [34, 24, 0],
    [34, 25, 1],
    [65535, 65535, 1],
    [13, 6, 1],
    [14, 0, 0],
    [58, 0, 0],
    [60, 0, 1],
  ] as const) {
    const offload = { ...noOffload, flags: 1, checksumStart, checksumOffset };
    assert.equal(segmentBoth([{ frame, offload }]).malformed, malformed, `${checksumStart} ${checksumOffset}`);
  }
});

test('a slot that does not lie in the arena is malformed', () => {
  const batch = new FrameBatch(new Uint8Array(100), 6);
  for (const [offset, length] of [
    [0, 101],
    [101, 0],
    [-1, 1],
    [1, -1],
    [0x7fffffff, 0x7fffffff],
    [100, 0],
  ] as const) {
    batch.push(offset, length);
  }
  assert.deepEqual(segmentFrames(batch, 1518), { frames: [new Uint8Array()], malformed: 5, tooLong: 0 });
  const { frames, malformed } = nativeSegment(batch, 1518);
  assert.deepEqual([frames.length, malformed], [1, 5]);
});

test('the addon and the reference make the same frames of super-frames', () => {
  const frames = fc.array(fc.oneof(arbitrarySuperFrame(), arbitraryPartial), { minLength: 1, maxLength: 4 });
  const property = fc.property(frames, fc.constantFrom(unlimited, 1518, 600), (list, max) => {
    assert.equal(segmentBoth(list, max).malformed, 0);
  });
  fc.assert(property, runs);
});

test('every checksum of every frame of a super-frame is right, and the payloads are the original', () => {
  const property = fc.property(arbitrarySuperFrame(), (superFrame) => {
    const { frames } = segmentBoth([superFrame]);
    const { gsoSize, headerLength } = superFrame.offload;
    for (const frame of frames) assertIntact(frame, superFrame.offload.checksumStart);
    for (const frame of frames.slice(0, -1)) assert.equal(frame.length, headerLength + gsoSize);
    const payload = Buffer.concat(frames.map((frame) => frame.subarray(headerLength)));
    assert.deepEqual(payload, Buffer.from(superFrame.frame.subarray(headerLength)));
  });
  fc.assert(property, runs);
});

test('a completed checksum is right', () => {
  const property = fc.property(arbitraryPartial, (partial) => {
    const [frame] = segmentBoth([partial]).frames;
    assertIntact(frame!, partial.offload.checksumStart);
  });
  fc.assert(property, runs);
});

function assertIntact(frame: Uint8Array, transportOffset: number): void {
  const ethernet = parseEthernet(frame);
  assert.ok(ethernet);
  const parse = ethernet.etherType === ETHERTYPE_IPV4 ? parseIpv4 : parseIpv6;
  const ip = parse(frame, ethernet.payloadOffset);
  assert.ok(ip);
  const transport = frame.subarray(transportOffset);
  assert.equal(ip.payloadOffset + ip.payloadLength, frame.length);
  const protocol = 'protocol' in ip ? ip.protocol : ip.nextHeader === 60 ? frame[ip.payloadOffset] : ip.nextHeader;
  assert.ok(protocol === 6 ? isTcpIntact(transport, ip) : isUdpIntact(transport, ip));
}

test('an output that is too small for all is filled in rounds, with the same frames in the end', () => {
  const small = arbitrarySuperFrame(arbitraryShape(5000));
  const frames = fc.array(fc.oneof(small, arbitraryPartial), { minLength: 1, maxLength: 6 });
  const property = fc.property(frames, fc.integer({ min: 0, max: 20_000 }), fc.nat(400), (list, bytes, slots) => {
    const batch = batchWith(list);
    const all = segmentFrames(batch, unlimited).frames;
    // What the largest single slot needs is the least that loses nothing.
    const each = list.map((one) => segmentFrames(batchWith([one]), unlimited).frames);
    const leastBytes = Math.max(...each.map((made) => made.reduce((sum, frame) => sum + frame.length, 0)));
    const leastSlots = Math.max(...each.map((made) => made.length));
    const made = nativeSegment(batch, unlimited, leastBytes + bytes, leastSlots + slots);
    assert.deepEqual([made.frames, made.malformed], [all, 0]);
    if (leastBytes > 0) {
      const none = nativeSegment(batch, unlimited, leastBytes - 1, leastSlots);
      assert.ok(none.malformed >= 1, 'what never fits is malformed');
    }
  });
  fc.assert(property, runs);
});

test('nothing is written behind the output that is in use', () => {
  const out = new FrameBatch(new Uint8Array(200).fill(0xaa), 8);
  const batch = batchWith([
    { frame: tcpSuperFrame, offload: tcpHeaders },
    { frame: pattern(30, 1), offload: noOffload },
  ]);
  const result = new Uint32Array(4);
  native.segmentBatch(batch.arena, batch.slots, 0, 2, out.arena, out.slots, 1518, result);
  assert.deepEqual([...result], [1, 3, 0, 0]);
  assert.ok(out.arena.subarray(58 + 58 + 56).every((byte) => byte === 0xaa));
});

test('the addon and the reference agree on damaged frames, and neither crashes', () => {
  const any = fc.oneof(damaged(arbitrarySuperFrame(arbitraryShape(3000))), damaged(arbitraryPartial));
  const property = fc.property(fc.array(any, { minLength: 1, maxLength: 8 }), (list) => {
    segmentBoth(list);
  });
  fc.assert(property, { numRuns: 600 });
});

test('the addon and the reference agree on garbage', () => {
  const slots = fc.array(fc.tuple(fc.integer({ min: -3, max: 300 }), fc.integer({ min: -3, max: 300 }), fc.integer()));
  const property = fc.property(fc.uint8Array({ minLength: 300, maxLength: 300 }), slots, (arena, list) => {
    const batch = new FrameBatch(arena, Math.max(1, list.length));
    for (const [offset, length, seed] of list) {
      batch.push(offset, length);
      batch.slots.set(new Int32Array(pattern(12, seed).buffer), batch.count * 5 - 3);
      if (seed % 3 === 0) batch.slots[batch.count * 5 - 3]! &= ~0xfe00;
    }
    const { rounds: _, ...actual } = nativeSegment(batch, 1518);
    assert.deepEqual(actual, segmentFrames(batch, 1518));
  });
  fc.assert(property, { numRuns: 600 });
});

const good = new FrameBatch(new Uint8Array(100), 4);
const other = new FrameBatch(new Uint8Array(100), 4);
for (const [what, change] of [
  ['an arena that is text', { arena: 'abc' as never }],
  ['slots of the wrong type', { slots: new Float64Array(20) as never }],
  ['a first slot behind the last', { first: 5 }],
  ['a negative first slot', { first: -1 }],
  ['a negative count', { count: -1 }],
  ['a count beyond the slots', { count: 5 }],
  ['a negative longest frame', { maxFrameBytes: -1 }],
  ['a result of three words', { result: new Uint32Array(3) }],
  ['an output that is the input', { outArena: good.arena }],
] as const) {
  test(`segmenting throws a TypeError for ${what}`, () => {
    const { arena, slots, first, count, outArena, maxFrameBytes, result } = {
      ...{ arena: good.arena, slots: good.slots, first: 0, count: 1, outArena: other.arena },
      ...{ maxFrameBytes: 1518, result: new Uint32Array(4) },
      ...change,
    };
    const call = (): void =>
      native.segmentBatch(arena, slots, first, count, outArena, other.slots, maxFrameBytes, result);
    assert.throws(call, TypeError);
  });
}
