/** The queue and the sender against a kernel that takes what it likes: order, completeness, bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchOf, type FrameBatch } from '../../../src/frames/batch.ts';
import { PlugCounters } from '../../../src/plugs/counters.ts';
import { OutputQueue } from '../../../src/plugs/output-queue.ts';
import { Sender, STALL_MS } from '../../../src/plugs/sender.ts';
import { AGAIN } from '../../../src/system/native.ts';
import { superFrame } from '../../conformance/test-frames.ts';
import { batchWith } from '../frames/native-frames.ts';

const MAX = 9234;
const EPERM = -1;

/** A frame that carries its number. */
function numbered(number: number, length: number): Uint8Array {
  const frame = new Uint8Array(length).fill(number);
  new DataView(frame.buffer).setUint32(0, number);
  return frame;
}

function numberOf(batch: FrameBatch, index: number): number {
  return new DataView(batch.arena.buffer, batch.arena.byteOffset + batch.offset(index)).getUint32(0);
}

function dropped(counters: PlugCounters): number {
  return Object.values(counters.sent.drops).reduce((sum, frames) => sum + frames, 0);
}

/** What happens to a queue: frames come, or the kernel takes some of those that wait, none, or refuses one. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ append: fc.array(fc.integer({ min: 0, max: 9300 }), { maxLength: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ take: fc.array(fc.integer({ min: -2, max: 300 }), { maxLength: 5 }) }) },
);

test('frames leave in order, each once, and every one is accounted for', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const counters = new PlugCounters();
      const queue = new OutputQueue(counters);
      const left: number[] = [];
      let given = 0;
      let notFitting = 0;
      for (const what of steps) {
        if ('append' in what) {
          const batch = batchOf(what.append.map((length, i) => numbered(given + i, Math.max(4, length))));
          const first = queue.append(batch, 0, MAX);
          batch.arena.fill(0xff);
          notFitting += batch.count - first;
          given += batch.count;
        } else {
          const answers = [...what.take];
          queue.flush(
            (batch, first, count) => {
              const answer = answers.shift() ?? -1;
              if (answer === -1) return AGAIN;
              if (answer === -2) return EPERM;
              const taken = Math.min(answer, count);
              for (let i = first; i < first + taken; i++) left.push(numberOf(batch, i));
              return taken;
            },
            () => 'refused',
          );
        }
        assert.ok(queue.waiting <= 1024);
      }
      assert.ok(left.every((number, i) => i === 0 || number > left[i - 1]!));
      assert.equal(counters.sent.frames, left.length);
      assert.equal(left.length + queue.waiting + dropped(counters) + notFitting, given);
    }),
  );
});

test('what waits is moved to the front before anything is given up for lack of room', () => {
  const counters = new PlugCounters();
  const queue = new OutputQueue(counters);
  const fill = batchOf(Array.from({ length: 100 }, (_, i) => numbered(i, 9000)));
  assert.equal(queue.append(fill, 0, MAX), 100);
  const takeNinety = (_batch: FrameBatch, first: number): number => {
    if (first > 0) return AGAIN;
    return 90;
  };
  queue.flush(takeNinety, () => 'refused');
  assert.equal(queue.append(fill, 0, MAX), 100, 'there is room for 100 more behind the 10 that wait');
  const numbers: number[] = [];
  queue.flush(
    (batch, first, count) => {
      for (let i = first; i < first + count; i++) {
        assert.equal(batch.frameLength(i), 9000);
        numbers.push(numberOf(batch, i));
      }
      return count;
    },
    () => 'refused',
  );
  assert.deepEqual(numbers, [
    ...Array.from({ length: 10 }, (_, i) => 90 + i),
    ...Array.from({ length: 100 }, (_, i) => i),
  ]);
  assert.deepEqual(counters.sent.drops, {});
});

test('a super-frame that finds too little room waits for more; it is not called malformed', () => {
  const counters = new PlugCounters();
  const queue = new OutputQueue(counters);
  const plain = batchOf(Array.from({ length: 115 }, (_, i) => numbered(i, 9000)));
  assert.equal(queue.append(plain, 0, MAX), 115);
  const big = batchWith([superFrame(true, false, 60_000, 1400)]);
  assert.equal(queue.append(big, 0, MAX), 0);
  assert.deepEqual(counters.sent.drops, {});
  queue.clear();
  assert.equal(queue.append(big, 0, MAX), 1);
  assert.equal(queue.waiting, Math.ceil(60_000 / 1400));
});

test('a super-frame that no queue could hold is malformed, not a hang', () => {
  const counters = new PlugCounters();
  const queue = new OutputQueue(counters);
  assert.equal(queue.append(batchWith([superFrame(true, true, 60_000, 1)]), 0, MAX), 1);
  assert.deepEqual(counters.sent.drops, { malformed: 1 });
  assert.equal(queue.append(batchOf([numbered(1, 60)]), 0, MAX), 1);
  assert.equal(queue.append(batchWith([superFrame(true, true, 60_000, 1)]), 0, MAX), 1);
  assert.deepEqual(counters.sent.drops, { malformed: 2 });
});

interface Bench {
  readonly sender: Sender;
  readonly counters: PlugCounters;
  readonly left: number[];
  readonly wanted: boolean[];
  room: number;
  isHeadPartial: boolean;
  drains: number;
}

function bench(): Bench {
  const counters = new PlugCounters();
  const self: Bench = {
    counters,
    left: [],
    wanted: [],
    room: 0,
    isHeadPartial: false,
    drains: 0,
    sender: new Sender({
      counters,
      transmit: (batch, first, count) => {
        const taken = Math.min(self.room, count);
        if (taken === 0) return AGAIN;
        self.room -= taken;
        self.isHeadPartial = false;
        for (let i = first; i < first + taken; i++) self.left.push(numberOf(batch, i));
        return taken;
      },
      failureReason: () => 'refused',
      isHeadPartial: () => self.isHeadPartial,
      wantWritable: (want) => self.wanted.push(want),
      drained: () => {
        self.drains++;
      },
    }),
  };
  return self;
}

const three = (first: number): FrameBatch => batchOf([0, 1, 2].map((i) => numbered(first + i, 100)));

test('a sender that waits sends what came first, first', () => {
  const it = bench();
  it.room = 1;
  it.sender.send(three(0), MAX);
  assert.equal(it.sender.busy, true);
  it.room = 1;
  it.sender.send(three(3), MAX);
  assert.deepEqual(it.left, [0], 'nothing overtakes what waits');
  it.room = 100;
  it.sender.writable();
  assert.deepEqual(it.left, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual([it.sender.busy, it.drains, it.wanted.at(-1)], [false, 1, false]);
});

test('a peer that takes nothing is waited for the whole of the time, also right after another wait', (t) => {
  const { timers } = t.mock;
  timers.enable({ apis: ['setTimeout'] });
  const it = bench();
  it.sender.send(three(0), MAX);
  timers.tick(STALL_MS * 0.8);
  it.room = 3;
  it.sender.writable();
  assert.equal(it.drains, 1);
  it.sender.send(three(3), MAX);
  timers.tick(STALL_MS * 0.5);
  assert.equal(it.sender.busy, true, 'the first wait does not end the second one early');
  assert.deepEqual(it.counters.sent.drops, {});
  timers.tick(STALL_MS * 2);
  assert.deepEqual([it.sender.busy, it.drains], [false, 2]);
  assert.deepEqual(it.counters.sent.drops, { 'peer-slow': 3 });
});

test('a peer that takes a little now and then loses nothing', (t) => {
  const { timers } = t.mock;
  timers.enable({ apis: ['setTimeout'] });
  const it = bench();
  it.sender.send(three(0), MAX);
  it.sender.send(three(3), MAX);
  for (let i = 0; i < 6; i++) {
    timers.tick(STALL_MS * 0.7);
    it.room = 1;
    it.sender.writable();
  }
  assert.deepEqual(it.left, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(it.counters.sent.drops, {});
});

test('a frame that has left in part is finished, even when nothing follows', (t) => {
  const { timers } = t.mock;
  timers.enable({ apis: ['setTimeout'] });
  const it = bench();
  it.sender.send(three(0), MAX);
  it.isHeadPartial = true;
  timers.tick(STALL_MS * 2.5);
  assert.deepEqual(it.counters.sent.drops, { 'peer-slow': 2 });
  assert.equal(it.sender.busy, false);
  assert.equal(it.wanted.at(-1), true);
  it.room = 5;
  it.sender.writable();
  assert.deepEqual(it.left, [0]);
  assert.equal(it.wanted.at(-1), false);
});

test('whoever ignores that a sender is busy cannot make it grow', () => {
  const it = bench();
  for (let i = 0; i < 2000; i++) it.sender.send(three(3 * i), MAX);
  assert.ok(it.counters.sent.drops['queue-full']! > 4000);
  it.room = 10_000;
  it.sender.writable();
  assert.equal(it.left.length + dropped(it.counters), 6000);
});

test('abandoning counts what waits, and says that nobody need wait', () => {
  const it = bench();
  it.sender.send(three(0), MAX);
  it.sender.abandon('down');
  assert.deepEqual(it.counters.sent.drops, { down: 3 });
  assert.deepEqual([it.sender.busy, it.drains], [false, 1]);
});
