/**
 * The contract of a plug (src/plugs/plug.ts) as tests, for every kind of plug.
 *
 * ```
 * suite ── plug ═══ line ═══ far end ── suite
 * ```
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchOf, type FrameBatch } from '../../src/frames/batch.ts';
import type { JoinedFrame } from '../../src/frames/join.ts';
import { segmentFrames } from '../../src/frames/segment.ts';
import type { DirectionCounters } from '../../src/plugs/counters.ts';
import type { Plug } from '../../src/plugs/plug.ts';
import { batchWith, noOffload } from '../unit/frames/native-frames.ts';
import { type CaseName, Inbox, type PlugKind } from './line.ts';
import { superFrame, testFrame, testFrames, wrongOffloads } from './test-frames.ts';

/** The longest that a plug may keep frames of a peer that takes none, with room for a slow machine. */
const STALL_LIMIT_MS = 10_000;
/** How soon a peer that stopped has to read again for nothing to be lost; plugs have twice as much patience. */
const SOON_MS = 50;
const FRAMES = 300;

interface Case {
  readonly title: string;
  /** @param tries - how often it may begin again, where it depends on its own speed */
  run(t: TestContext, kind: PlugKind, tries?: number): Promise<void>;
}

const cases: Readonly<Record<CaseName, Case>> = {
  send: {
    title: 'brings what is sent to the other end, unchanged and in order',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      plug.start(() => true);
      const frames = testFrames(0, FRAMES);
      const inbox = new Inbox();
      for (let first = 0; first < FRAMES; first += kind.burst) {
        plug.send(batchOf(frames.slice(first, first + kind.burst)));
        await inbox.has(Math.min(FRAMES, first + kind.burst), () => inbox.add(far.take()));
      }
      assert.deepEqual(inbox.frames, frames);
      assert.deepEqual(plug.counters.sent.drops, {});
    },
  },

  receive: {
    title: 'delivers what the other end sends, unchanged and in order',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      const inbox = collect(plug);
      const frames = testFrames(0, FRAMES, kind.longestBytes, 2);
      for (let first = 0; first < FRAMES; first += kind.burst) {
        far.send(frames.slice(first, first + kind.burst));
        await inbox.has(Math.min(FRAMES, first + kind.burst));
      }
      assert.deepEqual(inbox.frames, frames);
      assert.deepEqual(plug.counters.received.drops, {});
    },
  },

  borrow: {
    title: 'needs nothing of a batch when send has returned',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      plug.start(() => true);
      const frames = testFrames(0, kind.burst);
      const batch = batchOf(frames);
      plug.send(batch);
      batch.arena.fill(0xee);
      batch.slots.fill(0);
      batch.count = 0;
      const inbox = new Inbox();
      await inbox.has(frames.length, () => inbox.add(far.take()));
      assert.deepEqual(inbox.frames, frames);
    },
  },

  close: {
    title: 'can be closed twice, and counts what is sent afterwards as down',
    async run(t, kind) {
      const { plug } = await kind.open(t);
      plug.start(() => true, { down: () => assert.fail('closing is not losing') });
      await Promise.all([plug.close(), plug.close()]);
      await plug.close();
      plug.send(batchOf(testFrames(0, 3)));
      plug.pause();
      plug.resume();
      plug.start(() => assert.fail('delivered a frame after it was closed'));
      assert.equal(plug.counters.sent.drops.down, 3);
      assert.equal(plug.busy, false);
      await sleep(20);
    },
  },

  'close-in-receiver': {
    title: 'delivers nothing more when its receiver closed it',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      let calls = 0;
      plug.start(() => {
        calls++;
        void plug.close();
      });
      for (let i = 0; i < kind.burst; i++) far.send([testFrame(i, 100, 2)]);
      await sleep(50);
      far.send([testFrame(99, 100, 2)]);
      await sleep(50);
      assert.equal(calls, 1);
    },
  },

  'before-start': {
    title: 'reads nothing before it is started',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      const frames = testFrames(0, Math.min(5, kind.burst), kind.longestBytes, 2);
      far.send(frames);
      plug.pause();
      plug.resume();
      await sleep(50);
      assert.equal(plug.counters.received.frames, 0);
      const inbox = collect(plug);
      await inbox.has(frames.length);
      assert.deepEqual(inbox.frames, frames);
    },
  },

  pause: {
    title: 'delivers nothing while it is paused, and then what came meanwhile',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      const inbox = collect(plug);
      const frames = testFrames(0, Math.min(5, kind.burst), kind.longestBytes, 2);
      plug.pause();
      far.send(frames);
      await sleep(100);
      assert.equal(inbox.frames.length, 0);
      plug.resume();
      await inbox.has(frames.length);
      assert.deepEqual(inbox.frames, frames);
    },
  },

  drain: {
    title: 'is busy while the other end does not read, and loses nothing when it reads again soon',
    async run(t, kind, tries = 20) {
      const { plug, far } = await kind.open(t);
      const drained = startAndCountDrains(plug);
      far.stopReading();
      let start = performance.now();
      const frames = sendUntilBusy(plug);
      let before = drained();
      // Some lines have room of their own, which takes what waits a moment later.
      for (await sleep(20); drained() > before; await sleep(20)) {
        before = drained();
        start = performance.now();
        frames.push(...sendUntilBusy(plug, frames.length));
      }
      far.startReading();
      // On a busy machine we ourselves may be late.
      if (performance.now() - start > SOON_MS && tries > 0) return await cases.drain.run(t, kind, tries - 1);
      const inbox = new Inbox();
      await inbox.has(frames.length, () => inbox.add(far.take()));
      assert.deepEqual(inbox.frames.length, frames.length);
      assert.deepEqual(inbox.frames, frames);
      assert.ok(await until(() => drained() > before && !plug.busy), 'it says that it can take frames again');
      assert.deepEqual(plug.counters.sent.drops, {});
    },
  },

  stall: {
    title: 'drops and counts what the other end does not take for long, and goes on when it reads again',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      const drained = startAndCountDrains(plug);
      far.stopReading();
      const start = performance.now();
      const frames = sendUntilBusy(plug);
      assert.ok(await until(() => drained() === 1, STALL_LIMIT_MS), 'the sender waits for a bounded time');
      assert.ok(performance.now() - start > 50, 'it pushes back before it drops');
      assert.equal(plug.busy, false);
      assert.ok((plug.counters.sent.drops['peer-slow'] ?? 0) > 0);
      // Whoever does not care about busy cannot make it grow: what does not fit is dropped, too.
      for (let round = 0; round < 20; round++) {
        const more = testFrames(frames.length, 100);
        frames.push(...more);
        plug.send(batchOf(more));
      }
      assert.ok(await until(() => !plug.busy, STALL_LIMIT_MS));
      far.startReading();
      const inbox = new Inbox();
      for (let before = -1; before < inbox.frames.length; ) {
        before = inbox.frames.length;
        await until(() => {
          inbox.add(far.take());
          return false;
        }, 200);
      }
      const marker = testFrame(frames.length, 200);
      plug.send(batchOf([marker]));
      const isMarker = (): boolean => Buffer.compare(inbox.frames.at(-1) ?? new Uint8Array(), marker) === 0;
      const look = (): boolean => {
        inbox.add(far.take());
        return isMarker();
      };
      assert.ok(await until(look), 'it goes on');
      const { sent } = plug.counters;
      assert.equal(sent.frames + dropped(sent), frames.length + 1);
      if (kind.isLossy !== true) assert.equal(inbox.frames.length, sent.frames);
      assertOrdered(inbox.frames);
    },
  },

  'super-frames': {
    title: 'hands over super-frames whole, or cut as the reference cuts them',
    async run(t, kind) {
      for (const isTcp of [true, false]) {
        for (const isV6 of [true, false]) {
          const { plug, far } = await kind.open(t);
          plug.start(() => true);
          const made = superFrame(isTcp, isV6, 8000, 1400);
          const { frames } = segmentFrames(batchWith([made]), plug.maxFrameBytes);
          const whole = new Inbox();
          whole.add([made.frame]);
          plug.send(batchWith([made]));
          const inbox = new Inbox();
          await inbox.has(1, () => inbox.add(far.take()));
          const isWhole = plug.takesSuperFrames && inbox.frames[0]?.length === made.frame.length;
          if (!isWhole) await inbox.has(frames.length, () => inbox.add(far.take()));
          assert.deepEqual(inbox.frames, isWhole ? whole.frames : frames, `${isTcp ? 'TCP' : 'UDP'}v${isV6 ? 6 : 4}`);
        }
      }
    },
  },

  'no-frames': {
    title: 'drops and counts what is no frame, and goes on',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      plug.start(() => true);
      const plain = (length: number): JoinedFrame => ({
        frame: testFrame(7, Math.max(18, length)).slice(0, length),
        offload: noOffload,
      });
      const short = [0, 1, 13].map(plain);
      const long = [plug.maxFrameBytes + 1, 65_550, 70_000].filter((length) => length > plug.maxFrameBytes).map(plain);
      const wrong = wrongOffloads.map((offload) => ({ frame: testFrame(8, 600), offload }));
      const good = [plain(60), plain(100)];
      plug.send(batchWith([...short, ...long, good[0]!, ...wrong]));
      for (const one of [...short, ...long, ...wrong]) plug.send(batchWith([one]));
      plug.send(batchWith([]));
      plug.send(batchWith([good[1]!]));
      const inbox = new Inbox();
      const isGood = (frame: Uint8Array): boolean => new DataView(frame.buffer).getUint32(14) === 7;
      await inbox.has(2, () => inbox.add(far.take().filter(isGood)));
      assert.deepEqual(
        inbox.frames,
        good.map(({ frame }) => frame),
      );
      const { sent } = plug.counters;
      assert.equal(sent.drops['too-short'], 2 * short.length);
      assert.equal(sent.drops['too-long'], 2 * long.length);
      // Who hands super-frames on leaves it to the kernel to judge their headers; it corrects some.
      if (!plug.takesSuperFrames) assert.equal(sent.drops.malformed, 2 * wrong.length);
      else assert.ok((sent.drops.malformed ?? 0) > 0);
      assert.equal(sent.frames + dropped(sent), 2 * (short.length + long.length + wrong.length) + 2);
    },
  },

  counters: {
    title: 'counts frames and bytes both ways',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      const inbox = collect(plug);
      const count = Math.min(10, kind.burst);
      const [out, back] = [testFrames(0, count), testFrames(count, count, kind.longestBytes, 2)];
      plug.send(batchOf(out));
      far.send(back);
      await inbox.has(count);
      const sum = (frames: Uint8Array[]): number => frames.reduce((bytes, frame) => bytes + frame.length, 0);
      const { sent, received } = plug.counters;
      assert.deepEqual([sent.frames, sent.bytes], [count, sum(out)]);
      if (kind.hasOtherTraffic === true) {
        assert.ok(received.frames >= count && received.bytes >= sum(back));
      } else {
        assert.deepEqual([received.frames, received.bytes], [count, sum(back)]);
      }
    },
  },

  down: {
    title: 'says once, in words, that the other end is gone, and counts what is sent then as down',
    async run(t, kind) {
      const { plug, far } = await kind.open(t);
      const reasons: string[] = [];
      plug.start(() => true, { down: (reason) => reasons.push(reason) });
      await far.leave();
      assert.ok(await until(() => reasons.length > 0), 'it is noticed');
      plug.send(batchOf(testFrames(0, 5)));
      assert.equal(plug.counters.sent.drops.down, 5);
      assert.equal(plug.busy, false);
      await sleep(50);
      assert.equal(reasons.length, 1);
      assert.match(reasons[0]!, /^[a-z].*\w.*[^.]$/, 'one clause, to stand behind a colon');
      await plug.close();
    },
  },

  descriptors: {
    title: 'leaves no descriptor open',
    async run(t, kind) {
      const cycle = async (): Promise<void> => {
        const { plug } = await kind.open(t);
        plug.start(() => true);
        plug.send(batchOf(testFrames(0, 2)));
        await plug.close();
      };
      await cycle();
      const before = openDescriptors();
      const cycles = kind.cycles ?? 20;
      for (let i = 0; i < cycles; i++) await cycle();
      assert.ok(
        await until(() => openDescriptors() - before < cycles / 2),
        `${openDescriptors() - before} more than before`,
      );
    },
  },
};

/** Runs every case on one kind of plug. */
export function describePlug(kind: PlugKind, skip: string | false = false): void {
  describe(`a plug: ${kind.name}`, { skip }, () => {
    for (const [name, { title, run }] of Object.entries(cases)) {
      if (kind.skips?.some((skipped) => skipped.name === name)) continue;
      test(title, { timeout: 60_000 }, (t) => run(t, kind));
    }
  });
}

function collect(plug: Plug): Inbox {
  const inbox = new Inbox();
  plug.start((batch) => {
    inbox.add(framesOf(batch));
  });
  return inbox;
}

function* framesOf(batch: FrameBatch): Generator<Uint8Array> {
  for (let i = 0; i < batch.count; i++) yield batch.frame(i);
}

function startAndCountDrains(plug: Plug): () => number {
  let drains = 0;
  plug.start(() => true, {
    drain: () => {
      drains++;
    },
  });
  return () => drains;
}

/** Sends until the plug pushes back; answers everything that was sent. */
function sendUntilBusy(plug: Plug, first = 0): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let round = 0; !plug.busy; round++) {
    assert.ok(round < 10_000, 'it becomes busy');
    const batch = testFrames(first + frames.length, 20);
    frames.push(...batch);
    plug.send(batchOf(batch));
  }
  return frames;
}

async function until(condition: () => boolean, timeoutMs = 10_000): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    await sleep(2);
  }
  return true;
}

function dropped({ drops }: DirectionCounters): number {
  return Object.values(drops).reduce((sum, frames) => sum + frames, 0);
}

/** What arrived may have gaps, but nothing twice and nothing out of turn. */
function assertOrdered(frames: readonly Uint8Array[]): void {
  const numbers = frames.map((frame) => new DataView(frame.buffer, frame.byteOffset).getUint32(14));
  assert.ok(
    numbers.every((number, index) => index === 0 || number > numbers[index - 1]!),
    'in order, each once',
  );
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
