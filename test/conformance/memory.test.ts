/** The suite on what needs no kernel: a line in memory, nothing at all, a healing plug around a line in memory. */
import type { FrameBatch } from '../../src/frames/batch.ts';
import { batchOf } from '../../src/frames/batch.ts';
import { HealingPlug } from '../../src/plugs/healing.ts';
import { MemoryPlug } from '../../src/plugs/memory.ts';
import { NullPlug } from '../../src/plugs/null.ts';
import type { CaseName, FarEnd, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';

function farEnd(plug: MemoryPlug): FarEnd {
  const arrived: Uint8Array[] = [];
  plug.start((batch: FrameBatch) => {
    for (let i = 0; i < batch.count; i++) arrived.push(batch.frame(i).slice());
  });
  return {
    take: () => arrived.splice(0),
    send: (frames) => plug.send(batchOf(frames)),
    stopReading: () => plug.pause(),
    startReading: () => plug.resume(),
    leave: () => plug.close(),
  };
}

const inMemory: readonly { name: CaseName; reason: string }[] = [
  { name: 'before-start', reason: 'a line in memory holds no frames: who has not started is not there' },
  { name: 'pause', reason: 'a line in memory holds no frames: a paused end makes the other one busy' },
  { name: 'drain', reason: 'a line in memory holds no frames' },
  { name: 'stall', reason: 'a line in memory holds no frames' },
  { name: 'no-frames', reason: 'a line in memory hands over whatever it is given' },
];

const memory: PlugKind = {
  name: 'one end of a line in memory',
  burst: 50,
  skips: inMemory,
  async open() {
    const [plug, other] = MemoryPlug.pair();
    return { plug, far: farEnd(other) };
  },
};

const healing: PlugKind = {
  ...memory,
  name: 'a network that heals, around a line in memory',
  async open(t) {
    let far: FarEnd | undefined;
    const plug = await HealingPlug.open('healing', async (counters) => {
      if (far !== undefined) throw new Error('nobody is there any more');
      const [near, other] = MemoryPlug.pair();
      Object.defineProperty(near, 'counters', { value: counters });
      far = farEnd(other);
      return near;
    });
    t.after(() => plug.close());
    return { plug, far: far! };
  },
};

const nobody = 'null:// has nobody at its other end';

const nothing: PlugKind = {
  name: 'null://',
  burst: 50,
  skips: (
    [
      'send',
      'receive',
      'borrow',
      'close-in-receiver',
      'before-start',
      'pause',
      'drain',
      'stall',
      'super-frames',
      'no-frames',
      'counters',
      'down',
    ] as const
  ).map((name) => ({ name, reason: nobody })),
  async open() {
    const far = { take: () => [], send() {}, stopReading() {}, startReading() {}, leave() {} };
    return { plug: new NullPlug(), far };
  },
};

for (const kind of [memory, healing, nothing]) describePlug(kind);
