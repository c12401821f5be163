/** vlan:// against a plain model of what the originals do, over random tables and frames. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchOf } from '../../../src/frames/batch.ts';
import type { JoinedFrame } from '../../../src/frames/join.ts';
import { segmentFrames } from '../../../src/frames/segment.ts';
import { MemoryPlug } from '../../../src/plugs/memory.ts';
import type { Plug } from '../../../src/plugs/plug.ts';
import { VlanPlug } from '../../../src/plugs/vlan.ts';
import type { VlanOptions } from '../../../src/plugs/vlan-rules.ts';
import { type Direction, expectedFrame } from '../../fixtures/vlan-model.ts';
import { arbitraryShape, buildFrame, pattern, toSuperFrame } from '../frames/arbitrary-frames.ts';
import { batchWith, noOffload } from '../frames/native-frames.ts';

/** A few numbers, so that they meet. */
const vlan = fc.constantFrom(0, 1, 2, 3, 10, 11, 12, 2048, 4094, 4095);
const listed = fc.constantFrom(1, 2, 3, 10, 11, 12, 2048, 4094);
const anyOptions: fc.Arbitrary<VlanOptions> = fc.record({
  untagged: fc.oneof(fc.constant(0), vlan),
  untag: fc.oneof(fc.constant(0), fc.constantFrom(0, 1, 2, 3, 10, 4094)),
  tags: fc.array(fc.record({ user: listed, network: listed }), { maxLength: 5 }),
  trunk: fc.boolean(),
  qinq: fc.boolean(),
});
const shape = arbitraryShape(6000);
const anyShape = fc
  .tuple(
    shape,
    fc.array(fc.record({ etherType: fc.constantFrom(0x8100, 0x88a8), vlan, priority: fc.nat(7) }), { maxLength: 2 }),
  )
  .map(([packet, tags]) => ({
    ...packet,
    tags: tags.map((tag) => ({ ...tag, isDropEligible: tag.priority % 2 === 1 })),
  }));

/** Frames that come out at the other side of a plug around one end of a line. */
function carry(frames: readonly JoinedFrame[], options: VlanOptions, direction: Direction): Uint8Array[] {
  const [near, far] = MemoryPlug.pair();
  const plug = new VlanPlug(near, options);
  const [from, to]: [Plug, Plug] = direction === 'to the network' ? [plug, far] : [far, plug];
  const arrived: Uint8Array[] = [];
  from.start(() => true);
  to.start((batch) => {
    const { frames: cut, malformed } = segmentFrames(batch, 70_000);
    assert.equal(malformed, 0);
    arrived.push(...cut);
  });
  const batch = batchWith(frames);
  const before = batch.arena.slice();
  from.send(batch);
  assert.deepEqual(batch.arena, before);
  const { sent, received } = plug.counters;
  const counted = direction === 'to the network' ? sent : received;
  const drops = Object.values(counted.drops).reduce((sum, count) => sum + count, 0);
  if (drops === 0 && direction === 'to the network' && arrived.length === frames.length) {
    assert.equal(
      sent.bytes,
      frames.reduce((sum, { frame }) => sum + frame.length, 0),
    );
  }
  return arrived;
}

test('frames of every VLAN become what the model says, both ways', () => {
  fc.assert(
    fc.property(anyOptions, fc.array(anyShape, { minLength: 1, maxLength: 12 }), (options, shapes) => {
      const frames = shapes.map((one) => buildFrame(one).frame);
      for (const direction of ['to the network', 'to the user'] as const) {
        const wanted = frames
          .map((frame) => expectedFrame(frame, options, direction))
          .filter((frame) => frame !== undefined);
        const joined = frames.map((frame) => ({ frame, offload: noOffload }));
        assert.deepEqual(carry(joined, options, direction), wanted, direction);
      }
    }),
    { numRuns: 150 },
  );
});

test('super-frames become what their segments would', () => {
  fc.assert(
    fc.property(anyOptions, anyShape, fc.integer({ min: 100, max: 2000 }), (options, one, gsoSize) => {
      const whole = toSuperFrame(one, gsoSize, false);
      const { frames } = segmentFrames(batchWith([whole]), 70_000);
      for (const direction of ['to the network', 'to the user'] as const) {
        const wanted = frames
          .map((frame) => expectedFrame(frame, options, direction))
          .filter((frame) => frame !== undefined);
        assert.deepEqual(carry([whole], options, direction), wanted, direction);
      }
    }),
    { numRuns: 150 },
  );
});

test('what does not pass is counted by reason, and bytes are those without what the wrapper adds', () => {
  const [near, far] = MemoryPlug.pair();
  const plug = new VlanPlug(near, { untagged: 4 });
  const arrived: number[] = [];
  far.start((batch) => {
    for (let i = 0; i < batch.count; i++) arrived.push(batch.frameLength(i));
  });
  plug.start(() => true);
  const plain = pattern(100, 1).fill(0, 12, 14);
  const tagged = (id: number): Uint8Array =>
    new Uint8Array([...plain.subarray(0, 12), 0x81, 0, 0, id, ...plain.subarray(12)]);
  const cut = tagged(4).slice(0, 16);
  plug.send(batchOf([plain, tagged(9), plain.slice(0, 13), cut, plain]));
  assert.deepEqual(arrived, [104, 104]);
  const { sent, received } = plug.counters;
  assert.deepEqual([sent.frames, sent.bytes], [2, 200]);
  assert.deepEqual(sent.drops, { 'foreign-vlan': 1, 'too-short': 1, malformed: 1 });
  far.send(batchOf([tagged(4), tagged(5), plain, cut, tagged(4)]));
  assert.deepEqual([received.frames, received.bytes], [2, 200]);
  assert.deepEqual(received.drops, { 'foreign-vlan': 2, malformed: 1 });
});

test('the frames that fit are shorter by the tag that is added, and the MTU only where it has to be', () => {
  const limited = (maxFrameBytes: number, mtu?: number): Plug => {
    const [plug] = MemoryPlug.pair();
    Object.defineProperties(plug, { maxFrameBytes: { value: maxFrameBytes }, mtu: { value: mtu } });
    return plug;
  };
  const look = (plug: Plug): unknown => [plug.maxFrameBytes, plug.mtu];
  assert.deepEqual(look(new VlanPlug(limited(1518), { untagged: 4 })), [1514, undefined]);
  assert.deepEqual(look(new VlanPlug(limited(1518), { tags: [{ user: 4, network: 5 }] })), [1518, undefined]);
  const inside = new VlanPlug(limited(1518), { untagged: 5, qinq: true });
  assert.deepEqual(look(new VlanPlug(inside, { untagged: 4 })), [1510, 1496]);
  assert.deepEqual(look(new VlanPlug(limited(1468, 1450), { untagged: 4 })), [1464, 1446]);
  assert.deepEqual(look(new VlanPlug(limited(1468, 1450), { trunk: true })), [1468, 1450]);
});

test('a batch of any size goes through', () => {
  const [near, far] = MemoryPlug.pair();
  const plug = new VlanPlug(near, { untagged: 4 });
  let frames = 0;
  far.start((batch) => {
    frames += batch.count;
  });
  plug.start(() => true);
  const frame = pattern(9000, 3).fill(0, 12, 14);
  plug.send(batchOf(Array.from({ length: 6000 }, () => frame)));
  assert.equal(frames, 6000);
  assert.deepEqual(plug.counters.sent.drops, {});
});
