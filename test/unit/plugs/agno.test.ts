/** agno://: frames open as they were, and those that were not sent so, by us, now, do not and are counted. */
import assert from 'node:assert/strict';
import { createDecipheriv } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { VdensError } from '../../../src/errors.ts';
import { batchOf } from '../../../src/frames/batch.ts';
import { segmentFrames } from '../../../src/frames/segment.ts';
import { AgnoPlug } from '../../../src/plugs/agno.ts';
import { parseAgnoKey, readAgnoKey } from '../../../src/plugs/agno-key.ts';
import { MemoryPlug } from '../../../src/plugs/memory.ts';
import type { Plug } from '../../../src/plugs/plug.ts';
import { MAX_REMEMBERED_FRAMES, ReplayMemory } from '../../../src/plugs/replay-memory.ts';
import { read16 } from '../../../src/wire/bytes.ts';
import { makeTemporaryDirectory } from '../../interop/harness.ts';
import { arbitraryShape, pattern, toSuperFrame } from '../frames/arbitrary-frames.ts';
import { batchWith, noOffload } from '../frames/native-frames.ts';

const key = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const NOW = 1_800_000_000;

/** Two plugs, and between them what the test does to frames. */
class Wire {
  readonly left: AgnoPlug;
  readonly right: AgnoPlug;
  readonly #feed: MemoryPlug;
  readonly arrived: Uint8Array[] = [];
  readonly sealed: Uint8Array[] = [];
  readonly troubles: string[] = [];
  seconds = NOW;

  constructor(rightKey: Uint8Array = key, etherType?: number | 'copy' | 'random') {
    const [near, out] = MemoryPlug.pair();
    const [into, far] = MemoryPlug.pair();
    this.#feed = into;
    this.left = new AgnoPlug(near, { key, now: () => NOW * 1000, ...(etherType === undefined ? {} : { etherType }) });
    const options = { key: rightKey, keyName: 'the key', now: () => this.seconds * 1000 };
    this.right = new AgnoPlug(far, options, 'net');
    out.start((batch) => {
      for (let i = 0; i < batch.count; i++) this.sealed.push(batch.frame(i).slice());
    });
    this.right.start(
      (batch) => {
        for (let i = 0; i < batch.count; i++) this.arrived.push(batch.frame(i).slice());
      },
      { trouble: (error: VdensError) => this.troubles.push(error.message) },
    );
    this.left.start(() => true);
  }

  /** What the left one makes of these. */
  seal(...frames: readonly Uint8Array[]): Uint8Array[] {
    this.left.send(batchOf(frames));
    return this.sealed.splice(0);
  }

  /** Gives these to the right one. */
  feed(...frames: readonly Uint8Array[]): void {
    this.#feed.send(batchOf(frames));
  }

  get drops(): object {
    return this.right.counters.received.drops;
  }
}

function frameOf(payload: number, seed = 5): Uint8Array {
  return pattern(14 + payload, seed);
}

describe('frames', () => {
  test('of every length open as they were, in batches of any size', () => {
    const wire = new Wire();
    const anyFrame = fc
      .tuple(fc.oneof(fc.integer({ min: 0, max: 70 }), fc.integer({ min: 0, max: 9200 })), fc.integer())
      .map(([payload, seed]) => frameOf(payload, seed));
    fc.assert(
      fc.property(fc.array(fc.array(anyFrame, { minLength: 1, maxLength: 20 }), { maxLength: 4 }), (batches) => {
        for (const frames of batches) {
          const sealed = wire.seal(...frames);
          assert.deepEqual(
            sealed.map(({ length }) => length),
            frames.map(({ length }) => 30 + Math.ceil((length - 14) / 16) * 16),
          );
          // Some never arrive.
          const kept = sealed.filter((_, index) => index % 3 !== 1);
          wire.feed(...kept);
          assert.deepEqual(
            wire.arrived.splice(0),
            frames.filter((_, index) => index % 3 !== 1),
          );
        }
      }),
      { numRuns: 100 },
    );
    assert.deepEqual(wire.drops, {});
    assert.deepEqual(wire.troubles, []);
  });

  test('have the layout of the format', () => {
    const plain = frameOf(100);
    const [sealed] = new Wire().seal(plain) as [Uint8Array];
    assert.deepEqual(sealed.slice(0, 12), plain.slice(0, 12));
    assert.equal(read16(sealed, 12), 0xa6de);
    const single = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    const header = single.update(sealed.subarray(14, 30));
    assert.deepEqual(header.subarray(0, 2), Buffer.from(plain.subarray(12, 14)));
    assert.deepEqual([...header.subarray(2, 4)], [12, 0]);
    assert.equal(header.toString('latin1', 4, 8), 'agno');
    assert.equal(header.readUInt32BE(8), NOW);
    const chained = createDecipheriv('aes-128-cbc', key, header).setAutoPadding(false);
    const payload = chained.update(sealed.subarray(30));
    assert.deepEqual(payload, Buffer.concat([plain.subarray(14), new Uint8Array(12)]));
  });

  test('have the EtherType outside that is chosen', () => {
    const plain = frameOf(50);
    assert.equal(read16(new Wire(key, 0x88b5).seal(plain)[0]!, 12), 0x88b5);
    assert.equal(read16(new Wire(key, 'copy').seal(plain)[0]!, 12), read16(plain, 12));
    const types = new Wire(key, 'random').seal(...Array.from({ length: 50 }, () => plain)).map((f) => read16(f, 12));
    assert.ok(types.every((type) => type >= 0x600 && type < 0xffff) && new Set(types).size > 40);
  });

  test('of 64 KiB are cut before', () => {
    fc.assert(
      fc.property(arbitraryShape(20_000), fc.integer({ min: 200, max: 1400 }), (shape, gsoSize) => {
        const wire = new Wire();
        const made = toSuperFrame(shape, gsoSize, false);
        wire.left.send(batchWith([made, { frame: frameOf(60), offload: noOffload }]));
        wire.feed(...wire.sealed);
        const { frames } = segmentFrames(batchWith([made]), wire.left.maxFrameBytes);
        assert.deepEqual(wire.arrived, [...frames, frameOf(60)]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('frames that do not open', () => {
  test('a bit of the header that is another one', () => {
    for (let bit = 0; bit < 128; bit++) {
      const wire = new Wire();
      const [sealed] = wire.seal(frameOf(100)) as [Uint8Array];
      sealed[14 + (bit >> 3)]! ^= 1 << (bit & 7);
      wire.feed(sealed);
      assert.deepEqual([wire.drops, wire.arrived.length], [{ undeciphered: 1 }, 0]);
    }
  });

  test('another key, which is said once', () => {
    const wire = new Wire(Buffer.alloc(16, 7));
    wire.feed(...wire.seal(frameOf(100), frameOf(0)));
    wire.feed(...wire.seal(frameOf(46)));
    assert.deepEqual(wire.drops, { undeciphered: 3 });
    assert.deepEqual(wire.troubles, [
      'net: frames arrive that the key does not open: who sends them has another key, or none',
    ]);
  });

  test('a clock that is wrong, which is said once, by how much', () => {
    const taken: number[] = [];
    for (let off = -4; off <= 4; off++) {
      const wire = new Wire();
      wire.seconds = NOW - off;
      wire.feed(...wire.seal(frameOf(100), frameOf(200)));
      if (wire.arrived.length === 2) taken.push(off);
      else assert.deepEqual(wire.drops, { 'out-of-window': 2 });
      assert.equal(wire.troubles.length, taken.includes(off) ? 0 : 1);
    }
    assert.deepEqual(taken, [-2, -1, 0, 1]);
    const wire = new Wire();
    wire.seconds = NOW + 3600;
    wire.feed(...wire.seal(frameOf(1)));
    assert.match(wire.troubles[0]!, /^net: .* 3600 seconds behind ours, and only 2 behind to 1 ahead is taken\. Set/);
  });

  test('a frame that was here before', () => {
    const wire = new Wire();
    for (const payload of [0, 10, 1500]) wire.feed(...wire.seal(frameOf(payload)).flatMap((frame) => [frame, frame]));
    assert.deepEqual([wire.drops, wire.arrived.length], [{ replayed: 3 }, 3]);
    const old = wire.seal(frameOf(99));
    wire.feed(...old);
    wire.seconds = NOW + 3;
    wire.feed(...old);
    assert.deepEqual(wire.drops, { replayed: 3, 'out-of-window': 1 });
  });

  test('a frame that was cut', () => {
    for (const payload of [0, 1, 16, 17, 100]) {
      const wire = new Wire();
      const [sealed] = wire.seal(frameOf(payload)) as [Uint8Array];
      for (let length = 14; length < sealed.length; length++) {
        const before = wire.arrived.length;
        wire.feed(sealed.slice(0, length));
        // Whole blocks that lack are noticed by the zeros that lack, if there are any.
        const isLucky = (length - 14) % 16 === 0 && length >= 30 && payload % 16 === 0;
        if (!isLucky) assert.equal(wire.arrived.length, before, `${payload} cut to ${length}`);
      }
      assert.ok((wire.right.counters.received.drops.malformed ?? 0) >= 14);
    }
  });

  test('bytes at random, and none of them ends it', () => {
    const wire = new Wire();
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 14, maxLength: 200 }), { minLength: 1 }), (frames) => {
        wire.feed(...frames);
        assert.equal(wire.arrived.length, 0);
      }),
    );
    const good = frameOf(77);
    wire.feed(...wire.seal(good));
    assert.deepEqual(wire.arrived, [good]);
  });

  test('a few that are damaged among good ones are no other key', () => {
    const wire = new Wire();
    wire.feed(...wire.seal(frameOf(50)));
    for (let i = 0; i < 7; i++)
      wire.feed(...wire.seal(frameOf(50)).map((frame) => frame.map((b, at) => (at === 20 ? b ^ 1 : b))));
    assert.deepEqual(wire.troubles, []);
    wire.feed(...wire.seal(frameOf(50)).map((frame) => frame.map((b, at) => (at === 20 ? b ^ 1 : b))));
    assert.equal(wire.troubles.length, 1);
  });
});

test('frames and bytes are counted as they are in clear', () => {
  const wire = new Wire();
  const frames = [0, 1, 16, 1000].map((payload) => frameOf(payload));
  const [first, ...others] = wire.seal(...frames);
  wire.feed(first!, first!, ...others, new Uint8Array(46));
  const bytes = frames.reduce((sum, { length }) => sum + length, 0);
  const { sent } = wire.left.counters;
  const { received } = wire.right.counters;
  assert.deepEqual([sent.frames, sent.bytes, sent.drops], [4, bytes, {}]);
  assert.deepEqual([received.frames, received.bytes], [4, bytes]);
});

test('the MTU is what fits, where it has to be another one', () => {
  const look = (maxFrameBytes: number, mtu?: number): unknown => {
    const [inner] = MemoryPlug.pair();
    Object.defineProperties(inner, { maxFrameBytes: { value: maxFrameBytes }, mtu: { value: mtu } });
    const plug: Plug = new AgnoPlug(inner, { key });
    return [plug.maxFrameBytes, plug.mtu];
  };
  assert.deepEqual(look(1518), [1502, 1488]);
  assert.deepEqual(look(1534), [1518, undefined]);
  assert.deepEqual(look(9234), [9214, undefined]);
  assert.deepEqual(look(1468, 1450), [1438, 1424]);
});

test('a frame that is too long is dropped, and once it is said what would fit', () => {
  const [inner] = MemoryPlug.pair();
  Object.defineProperty(inner, 'maxFrameBytes', { value: 1518 });
  const troubles: string[] = [];
  const plug = new AgnoPlug(inner, { key }, 'net');
  plug.start(() => true, { trouble: ({ message }) => troubles.push(message) });
  plug.send(batchOf([frameOf(1488)]));
  assert.equal(troubles.length, 0);
  plug.send(batchOf([frameOf(1489), frameOf(1500)]));
  plug.send(batchOf([frameOf(1500)]));
  assert.deepEqual(plug.counters.sent.drops['too-long'], 3);
  assert.deepEqual(troubles.length, 1);
  assert.match(troubles[0]!, /^net: .* longer than 1502 bytes.* Set the MTU of the interfaces to 1488 or less$/);
});

test('as many frames are remembered as are said to be', () => {
  const memory = new ReplayMemory();
  for (let i = 1; i < MAX_REMEMBERED_FRAMES / 2; i++) assert.equal(memory.isKnown(i * 7, i), false);
  for (let i = 1; i < MAX_REMEMBERED_FRAMES / 2; i++) assert.equal(memory.isKnown(i * 7, i), true);
  for (let i = 0; i < 4 * MAX_REMEMBERED_FRAMES; i++) memory.isKnown(i, ~i);
  assert.equal(memory.isKnown(7, 1), false);
});

describe('keys', () => {
  const hex = (text: string): string | undefined => {
    const found = parseAgnoKey(text);
    return found && Buffer.from(found.key).toString('hex');
  };

  test('are the digits of the text; an upper-case A is 1', () => {
    assert.equal(hex('00112233445566778899aabbccddeeff'), '00112233445566778899aabbccddeeff');
    assert.equal(hex('ABCDEF abcdef:0123456789 ABCDEFabcdef012345'), '1bcdefabcdef01234567891bcdefabcd');
    assert.equal(hex('zz 12\n'), '12000000000000000000000000000000');
    assert.equal(hex('1'), undefined);
    assert.equal(hex(''), undefined);
  });

  const file = (t: TestContext, mode: number, text = '00112233445566778899aabbccddeeff'): string => {
    const path = join(makeTemporaryDirectory(t), 'key');
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };

  test('are read from files that nobody else has a hand in', (t) => {
    for (const mode of [0o400, 0o600, 0o640, 0o700]) assert.deepEqual(readAgnoKey(file(t, mode)).key, key);
    const path = file(t, 0o600);
    symlinkSync(path, `${path}.link`);
    linkSync(path, `${path}.hard`);
    assert.deepEqual(readAgnoKey(`${path}.link`).key, key);
    for (const mode of [0o604, 0o644, 0o606, 0o620, 0o666, 0o602]) {
      const other = file(t, mode);
      assert.throws(
        () => readAgnoKey(other, 'net'),
        (error: VdensError) => {
          return error.code === 'ERR_KEY' && error.message.endsWith(`: chmod 600 ${other}`);
        },
      );
    }
  });

  test('are not read from what is no file of ours', (t) => {
    const directory = join(makeTemporaryDirectory(t), 'dir');
    mkdirSync(directory, 0o700);
    assert.throws(() => readAgnoKey(directory), /is not a regular file\. Name a file of yours with 32 /);
    assert.throws(() => readAgnoKey('/proc/self/mem'), /cannot read the key .*EIO\)\. Name a file of yours/);
    assert.throws(() => readAgnoKey('/dev/zero'), /is not a regular file/);
    assert.throws(
      () => readAgnoKey(join(directory, 'key')),
      /cannot read the key .*ENOENT\)\. Make one with: \(umask 077;/,
    );
    assert.throws(() => readAgnoKey(file(t, 0o600, 'no hex? g')), /there is no key/);
  });
});
