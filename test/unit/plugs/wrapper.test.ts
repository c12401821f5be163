/** Wrappers among programs that answer frames while they still read the batch in which those came. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOf, type FrameBatch } from '../../../src/frames/batch.ts';
import { AgnoPlug } from '../../../src/plugs/agno.ts';
import { batchBytes } from '../../../src/plugs/counters.ts';
import { MemoryPlug } from '../../../src/plugs/memory.ts';
import type { Plug } from '../../../src/plugs/plug.ts';
import { VlanPlug } from '../../../src/plugs/vlan.ts';
import type { VlanOptions } from '../../../src/plugs/vlan-rules.ts';
import { pattern } from '../frames/arbitrary-frames.ts';

const ROUNDS = 40;

const kinds: readonly (readonly [name: string, around: (plug: Plug) => Plug])[] = [
  ['vlan://', (plug) => new VlanPlug(plug, { untagged: 4 })],
  ['agno://', (plug) => new AgnoPlug(plug, { key: new Uint8Array(16).fill(9) })],
  ['both', (plug) => new VlanPlug(new AgnoPlug(plug, { key: new Uint8Array(16) }), { tags: [], untagged: 4 })],
];

for (const [name, around] of kinds) {
  test(`${name}: each frame is what was sent, although answers go out in between`, () => {
    const plugs = MemoryPlug.pair().map(around);
    const seen: string[] = [];
    for (const [index, plug] of plugs.entries()) {
      plug.start((batch) => {
        for (let i = 0; i < batch.count; i++) {
          const frame = batch.frame(i);
          const [, round = 0, which = 0] = frame.subarray(13);
          seen.push(`${round}.${which}`);
          assert.deepEqual(frame.slice(), numbered(round, which), `${index}: ${round}.${which}`);
          if (which === 0 && round < ROUNDS) plug.send(batchOf([0, 1, 2].map((next) => numbered(round + 1, next))));
        }
      });
    }
    plugs[0]!.send(batchOf([numbered(1, 0), numbered(1, 1)]));
    assert.equal(new Set(seen).size, seen.length);
    assert.equal(seen.length, 2 + 3 * (ROUNDS - 1));
  });
}

/** A plug that drops what it is told to, at once or later. */
function lossy(): { plug: Plug; state: { drops: boolean; keeps: boolean }; decide(passes: boolean): void } {
  const [plug] = MemoryPlug.pair();
  const state = { drops: false, keeps: false };
  const waiting = { frames: 0, bytes: 0 };
  const { counters } = plug;
  plug.send = (batch: FrameBatch): void => {
    const [frames, bytes] = [batch.count, batchBytes(batch)];
    if (state.keeps) {
      waiting.frames += frames;
      waiting.bytes += bytes;
    } else if (state.drops) counters.drop('sent', 'down', frames);
    else counters.sent.count(frames, bytes);
  };
  const decide = (passes: boolean): void => {
    if (passes) counters.sent.count(waiting.frames, waiting.bytes);
    else counters.drop('sent', 'peer-slow', waiting.frames);
    waiting.frames = 0;
    waiting.bytes = 0;
  };
  return { plug, state, decide };
}

for (const [name, around] of kinds) {
  test(`${name}: bytes are those of the frames that were sent, whatever the network inside drops`, () => {
    const { plug, state, decide } = lossy();
    const wrapper = around(plug);
    const { sent } = wrapper.counters;
    const send = (count: number, bytes: number): void =>
      wrapper.send(batchOf(Array.from({ length: count }, () => pattern(bytes, 1).fill(0, 12, 14))));
    state.drops = true;
    send(10, 62);
    assert.deepEqual([sent.frames, sent.bytes], [0, 0]);
    state.drops = false;
    send(20, 100);
    assert.deepEqual([sent.frames, sent.bytes], [20, 2000]);
    state.drops = true;
    send(30, 62);
    assert.deepEqual([sent.frames, sent.bytes], [20, 2000], 'other frames cost other bytes');
    state.keeps = true;
    send(4, 100);
    decide(false);
    assert.deepEqual([sent.frames, sent.bytes], [20, 2000]);
    send(4, 100);
    decide(true);
    assert.deepEqual([sent.frames, sent.bytes, sent.droppedFrames], [24, 2400, 44]);
  });
}

test('numbers that cannot be are refused', () => {
  const [inner] = MemoryPlug.pair();
  const vlan = (options: VlanOptions) => (): unknown => new VlanPlug(inner, options);
  for (const untagged of [5000, -1, 4.5, Number.NaN])
    assert.throws(vlan({ untagged }), { name: 'RangeError', message: /^untagged is .*, and no VLAN from 0 to 4095$/ });
  assert.throws(vlan({ untag: 4095 }), RangeError);
  for (const number of [0, 4095, 4096]) {
    assert.throws(vlan({ tags: [{ user: number, network: 5 }] }), RangeError);
    assert.throws(vlan({ tags: [{ user: 5, network: number }] }), RangeError);
  }
  const key = new Uint8Array(16);
  for (const etherType of [99_999, 0x5ff, -1, Number.NaN])
    assert.throws(() => new AgnoPlug(inner, { key, etherType }), {
      name: 'RangeError',
      message: /^etherType is .* from 0x600 to 0xfffe$/,
    });
});

function numbered(round: number, which: number): Uint8Array {
  const frame = pattern(200 + 7 * round + which, round * 10 + which);
  frame.set([0x08, 0, round, which], 12);
  return frame;
}
