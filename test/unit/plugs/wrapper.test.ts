/** Wrappers among programs that answer frames while they still read the batch in which those came. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOf } from '../../../src/frames/batch.ts';
import { AgnoPlug } from '../../../src/plugs/agno.ts';
import { MemoryPlug } from '../../../src/plugs/memory.ts';
import type { Plug } from '../../../src/plugs/plug.ts';
import { VlanPlug } from '../../../src/plugs/vlan.ts';
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

function numbered(round: number, which: number): Uint8Array {
  const frame = pattern(200 + 7 * round + which, round * 10 + which);
  frame.set([0x08, 0, round, which], 12);
  return frame;
}
