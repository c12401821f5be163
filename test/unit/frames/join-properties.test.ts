import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameBatch } from '../../../src/frames/batch.ts';
import { JOIN_MAX_PIECES, joinFrames } from '../../../src/frames/join.ts';
import { segmentFrames } from '../../../src/frames/segment.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../../../src/wire/ethernet.ts';
import { arbitraryShape, arbitraryTraffic, damaged, toSuperFrame } from './arbitrary-frames.ts';
import { batchWith, joinBoth, nativeJoin, noOffload } from './native-frames.ts';

test('the addon and the reference join the same of random traffic', () => {
  let joinedFrames = 0;
  const property = fc.property(arbitraryTraffic, (list) => {
    joinedFrames += joinBoth(list).filter(({ offload }) => offload.gsoSize > 30).length;
  });
  fc.assert(property, { numRuns: 500 });
  // About 550 of random traffic; far fewer would mean that the generator makes little that can be joined.
  assert.ok(joinedFrames > 200, `the traffic is worth testing: ${joinedFrames} super-frames`);
});

test('cutting what was joined gives back every frame, in order within its flow', () => {
  const ordinary = arbitraryTraffic.map((list) => list.filter(({ offload }) => offload.gsoSize === 0));
  const property = fc.property(ordinary, (list) => {
    const cut = segmentFrames(batchWith(joinBoth(list)), 65_600);
    assert.deepEqual(byFlow(cut.frames), byFlow(list.map(({ frame }) => frame)));
  });
  fc.assert(property, { numRuns: 300 });
});

/**
 * Frames in hex under the port of their flow, 1000 to 1003, or 0 for what is not IP. Where Don't Fragment is set (flow
 * 1002, behind a VLAN tag) the IPv4 identification may change, and the header's checksum with it: both are left out.
 */
function byFlow(frames: readonly Uint8Array[]): Map<number, string[]> {
  const flows = new Map<number, string[]>();
  for (const frame of frames) {
    const copy = Buffer.from(frame);
    const port = portOf(copy);
    if (port === 1002) for (const at of [22, 23, 28, 29]) copy[at] = 0;
    flows.set(port, [...(flows.get(port) ?? []), copy.toString('hex')]);
  }
  return new Map([...flows].sort(([a], [b]) => a - b));
}

/** The source port, as the traffic is made: at most one VLAN tag, no IP options and no extension headers. */
function portOf(frame: Buffer): number {
  const network = frame.readUInt16BE(12) === 0x8100 ? 18 : 14;
  const etherType = frame.readUInt16BE(network - 2);
  if (etherType === ETHERTYPE_IPV4) return frame.readUInt16BE(network + 20);
  return etherType === ETHERTYPE_IPV6 ? frame.readUInt16BE(network + 40) : 0;
}

test('joining what was cut gives back the super-frame', () => {
  const shapes = arbitraryShape(65_000).map((shape) => ({
    ...shape,
    isTcp: true,
    flags: shape.flags & 8 ? 0x18 : 0x10,
    ipOptions: new Uint8Array(),
    hasExtension: false,
  }));
  const property = fc.property(shapes, fc.integer({ min: 1, max: 2000 }), (shape, size) => {
    const gsoSize = Math.max(size, Math.ceil(shape.payload.length / JOIN_MAX_PIECES));
    const superFrame = toSuperFrame(shape, gsoSize, false);
    const cut = segmentFrames(batchWith([superFrame]), 65_600).frames;
    const joined = joinBoth(cut.map((frame) => ({ frame, offload: noOffload })));
    if (cut.length > 1) assert.deepEqual(joined, [superFrame]);
    else assert.deepEqual(joined[0]!.frame, cut[0]);
  });
  fc.assert(property, { numRuns: 150 });
});

test('the addon and the reference agree on damaged traffic, and neither crashes', () => {
  const traffic = arbitraryTraffic.filter((list) => list.length > 0);
  const property = fc.property(
    traffic.chain((list) => fc.tuple(...list.map((one) => damaged(fc.constant(one))))),
    (list) => {
      joinBoth(list.map(({ frame, offload }, i) => ({ frame, offload: i % 5 === 0 ? offload : noOffload })));
    },
  );
  fc.assert(property, { numRuns: 400 });
});

test('the addon and the reference agree on garbage', () => {
  const slots = fc.array(fc.tuple(fc.integer({ min: -3, max: 300 }), fc.integer({ min: -3, max: 300 })));
  const property = fc.property(fc.uint8Array({ minLength: 300, maxLength: 300 }), slots, (arena, list) => {
    const batch = new FrameBatch(arena, Math.max(1, list.length));
    for (const [offset, length] of list) batch.push(offset, Math.min(length, 300 - Math.max(0, offset)));
    assert.deepEqual(nativeJoin(batch), joinFrames(batch));
  });
  fc.assert(property, { numRuns: 300 });
});
