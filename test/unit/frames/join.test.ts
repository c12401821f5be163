import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOf, FrameBatch } from '../../../src/frames/batch.ts';
import { JOIN_MAX_PIECES, type JoinedFrame, joinFrames } from '../../../src/frames/join.ts';
import { native } from '../../../src/system/native.ts';
import { buildFrame, pattern } from './arbitrary-frames.ts';
import { batchWith, joinBoth, nativeJoin, noOffload } from './native-frames.ts';

interface SegmentChange {
  readonly sequence?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly acknowledgement?: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly identification?: number;
  readonly dontFragment?: boolean;
  readonly size?: number;
  readonly port?: number;
  readonly isTcp?: boolean;
  readonly isV6?: boolean;
  readonly macs?: Uint8Array;
  readonly tcpOptions?: Uint8Array;
  readonly ipOptions?: Uint8Array;
  readonly hasExtension?: boolean;
}

/** A segment of one flow: 100 bytes from `index * 100` on, but for what is changed. */
function segment(index: number, change: SegmentChange = {}): JoinedFrame {
  const { frame } = buildFrame({
    isV6: false,
    isTcp: true,
    macs: pattern(12, 1),
    tags: [],
    addresses: pattern(32, 2),
    tos: 0,
    ttl: 64,
    // In IPv6 this is the flow label.
    identification: change.isV6 ? 0 : index,
    dontFragment: false,
    ipOptions: new Uint8Array(),
    hasExtension: false,
    ports: [change.port ?? 1000, 80],
    sequence: 5000 + index * 100,
    acknowledgement: 1,
    flags: 0x10,
    window: 100,
    tcpOptions: new Uint8Array(),
    payload: pattern(change.size ?? 100, index),
    ...change,
  });
  return { frame, offload: noOffload };
}

/** How many payloads each output frame carries, going by its length. */
function shapeOf(joined: readonly JoinedFrame[]): number[] {
  return joined.map(({ frame, offload }) =>
    offload.gsoSize === 0 ? 1 : Math.ceil((frame.length - offload.headerLength) / offload.gsoSize),
  );
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

test('three segments become one super-frame with its checksum left to do', () => {
  const frames = [
    `020000000002 020000000001 0800 4500 002c ffff 4000 40 06 26ca 0a000001 0a000002
     1234 0050 fffffffe 00000001 5010 2000 a483 0000 61626364`,
    `020000000002 020000000001 0800 4500 002c 0000 4000 40 06 26ca 0a000001 0a000002
     1234 0050 00000002 00000001 5010 2000 9c78 0000 65666768`,
    `020000000002 020000000001 0800 4500 002a 0001 4000 40 06 26cb 0a000001 0a000002
     1234 0050 00000006 00000001 5018 2000 ffd2 0000 696a`,
  ].map((text) => ({ frame: hex(text), offload: noOffload }));
  const expected = hex(`020000000002 020000000001 0800 4500 0032 ffff 4000 40 06 26c4 0a000001 0a000002
     1234 0050 fffffffe 00000001 5018 2000 1427 0000 61626364 65666768 696a`);
  const offload = { flags: 1, gsoType: 1, headerLength: 54, gsoSize: 4, checksumStart: 34, checksumOffset: 16 };
  assert.deepEqual(joinBoth(frames), [{ frame: expected, offload }]);
});

test('a frame that stays alone is not touched', () => {
  const alone = segment(0);
  assert.deepEqual(joinBoth([alone]), [alone]);
});

test('flows that alternate are joined each, in the order of their first segments', () => {
  const joined = joinBoth([0, 1, 2].flatMap((i) => [segment(i), segment(i, { port: 2000, isV6: true })]));
  assert.deepEqual(shapeOf(joined), [3, 3]);
  assert.deepEqual(
    joined.map(({ offload }) => offload.gsoType),
    [1, 4],
  );
});

test('a shorter segment ends a group, a longer one begins another', () => {
  assert.deepEqual(shapeOf(joinBoth([segment(0), segment(1, { size: 99 }), segment(2, { sequence: 5199 })])), [2, 1]);
  assert.deepEqual(
    shapeOf(joinBoth([segment(0), segment(1, { size: 101 }), segment(2, { sequence: 5201, size: 101 })])),
    [1, 2],
  );
});

test('PSH ends a group and is kept', () => {
  const joined = joinBoth([segment(0), segment(1, { flags: 0x18 }), segment(2)]);
  assert.deepEqual(shapeOf(joined), [2, 1]);
  assert.equal(joined[0]!.frame[14 + 20 + 13], 0x18);
  assert.deepEqual(shapeOf(joinBoth([segment(0, { flags: 0x18 }), segment(1)])), [1, 1]);
});

test('a group has at most 64 segments', () => {
  const joined = joinBoth(Array.from({ length: 70 }, (_, i) => segment(i)));
  assert.deepEqual(shapeOf(joined), [JOIN_MAX_PIECES, 6]);
});

test('a group has at most 65535 bytes of IP packet', () => {
  for (const isV6 of [false, true]) {
    const list = Array.from({ length: 50 }, (_, i) => segment(i, { isV6, size: 1448, sequence: i * 1448 }));
    assert.deepEqual(shapeOf(joinBoth(list)), [45, 5]);
  }
});

for (const [what, change] of [
  ['FIN', { flags: 0x11 }],
  ['SYN', { flags: 0x12 }],
  ['RST', { flags: 0x14 }],
  ['URG', { flags: 0x30 }],
  ['ECE', { flags: 0x50 }],
  ['CWR', { flags: 0x90 }],
  ['no ACK', { flags: 0 }],
  ['a gap', { sequence: 5101 }],
  ['another acknowledgement', { acknowledgement: 2 }],
  ['another window', { window: 101 }],
  ['options', { tcpOptions: Uint8Array.of(1, 1, 1, 1) }],
  ['another time to live', { ttl: 63 }],
  ['another type of service', { tos: 3 }],
  ["Don't Fragment", { dontFragment: true }],
  ['an identification that does not count on', { identification: 7 }],
  ['IPv4 options', { ipOptions: Uint8Array.of(1, 1, 1, 1) }],
  ['other Ethernet addresses', { macs: pattern(12, 9) }],
  ['no payload', { size: 0 }],
] as const) {
  test(`a segment with ${what} is not joined, and nothing overtakes it`, () => {
    const list = [segment(0), segment(1, change), segment(1), segment(2)];
    const joined = joinBoth(list);
    assert.deepEqual(joined[1], list[1]);
    assert.deepEqual(joined[0], list[0]);
  });
}

test('IPv6 segments with another traffic class, flow label or hop limit are not joined', () => {
  for (const change of [{ tos: 1 }, { identification: 1 }, { ttl: 1 }, { hasExtension: true }]) {
    const base = { isV6: true, identification: 0 };
    assert.deepEqual(shapeOf(joinBoth([segment(0, base), segment(1, { ...base, ...change })])), [1, 1]);
  }
  const equal = [0, 1].map((i) => segment(i, { isV6: true, identification: 0 }));
  assert.deepEqual(shapeOf(joinBoth(equal)), [2]);
});

test("with Don't Fragment the identification does not matter", () => {
  const list = [3, 3, 9].map((identification, i) => segment(i, { identification, dontFragment: true }));
  assert.deepEqual(shapeOf(joinBoth(list)), [3]);
});

test('a corrupt segment passes as it is, whatever place it has', () => {
  for (let corrupt = 0; corrupt < 4; corrupt++) {
    for (const at of [24, 53, 60]) {
      const list = [0, 1, 2, 3].map((i) => segment(i));
      list[corrupt]!.frame[at]! ^= 0x40;
      const joined = joinBoth(list);
      assert.ok(
        joined.some(({ frame }) => Buffer.compare(frame, list[corrupt]!.frame) === 0),
        `${corrupt} ${at}`,
      );
      assert.equal(
        shapeOf(joined).reduce((a, b) => a + b),
        4,
      );
    }
  }
});

test('a segment that the Ethernet minimum padded passes as it is', () => {
  const padded = { frame: new Uint8Array([...segment(1).frame, 0, 0]), offload: noOffload };
  assert.deepEqual(joinBoth([segment(0), padded, segment(2)])[1], padded);
});

test('UDP and ARP between segments do not end groups; a fragment and a super-frame do', () => {
  const arp = { frame: segment(9).frame.slice(), offload: noOffload };
  arp.frame.set([0x08, 0x06], 12);
  const fragment = { frame: segment(9).frame.slice(), offload: noOffload };
  fragment.frame[20]! |= 0x20;
  const whole = { ...segment(9), offload: { ...noOffload, flags: 1, checksumStart: 34, checksumOffset: 16 } };
  for (const [between, pieces] of [
    [segment(9, { isTcp: false }), [2, 1]],
    [arp, [2, 1]],
    [fragment, [1, 1, 1]],
    [whole, [1, 1, 1]],
    [{ frame: new Uint8Array(), offload: noOffload }, [2, 1]],
    [{ frame: segment(9).frame.slice(0, 30), offload: noOffload }, [1, 1, 1]],
  ] as const) {
    const joined = joinBoth([segment(0), between, segment(1)]);
    assert.deepEqual(shapeOf(joined), pieces);
    assert.ok(joined.some((one) => one.frame.length === between.frame.length));
  }
});

test('slots that do not lie in the arena are left out', () => {
  const batch = batchOf([segment(0).frame]);
  const wrong = new FrameBatch(batch.arena, 3);
  wrong.push(0, batch.arena.length + 1);
  wrong.push(-5, 3);
  wrong.push(0, batch.arena.length);
  assert.deepEqual(joinFrames(wrong).length, 1);
  assert.deepEqual(nativeJoin(wrong).length, 1);
});

test('joining throws a TypeError when the output has no room', () => {
  const batch = batchWith([segment(0), segment(1)]);
  const join = (bytes: number, slots: number): number => {
    const out = new FrameBatch(new Uint8Array(bytes), slots);
    return native.joinBatch(batch.arena, batch.slots, batch.count, out.arena, out.slots);
  };
  assert.equal(join(254, 1), 1);
  assert.throws(() => join(253, 1), TypeError);
  assert.throws(() => join(254, 0), TypeError);
  assert.throws(() => native.joinBatch(batch.arena, batch.slots, 3, batch.arena, batch.slots), TypeError);
});
