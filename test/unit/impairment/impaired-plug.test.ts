/** ImpairedPlug: not there while nothing is the matter; frames held until their time; pushing back; cutting. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { batchOf, type FrameBatch } from '../../../src/frames/batch.ts';
import { ImpairedPlug } from '../../../src/impairment/impaired-plug.ts';
import { cable } from '../../../src/plugs/cable.ts';
import { batchBytes, PlugCounters } from '../../../src/plugs/counters.ts';
import type { KernelEnd, Lender } from '../../../src/plugs/kernel-end.ts';
import type { Line } from '../../../src/plugs/line.ts';
import type { FrameReceiver, Plug, PlugEvents } from '../../../src/plugs/plug.ts';
import { waitFor } from '../../interop/harness.ts';

const WAIT_MS = 10_000;
const ALL_GOOD: PlugEvents = {};

/** A network in memory: what is sent to it is kept, with its time. */
class MemoryPlug implements Plug, Lender {
  readonly label = 'memory';
  readonly maxFrameBytes = 9234;
  readonly takesSuperFrames = false;
  readonly counters = new PlugCounters();
  readonly sent: { readonly frame: Uint8Array; readonly at: number }[] = [];
  busy = false;
  isPaused = false;
  lent = 0;
  takeBack: (() => void) | undefined;
  adoptions: Lender[] = [];
  adoptsAll = false;
  #receiver: FrameReceiver = () => undefined;
  events: PlugEvents = ALL_GOOD;

  get lender(): Lender {
    return this;
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#receiver = receiver;
    this.events = events;
  }

  send(batch: FrameBatch): void {
    for (let i = 0; i < batch.count; i++) this.sent.push({ frame: batch.frame(i).slice(), at: performance.now() });
  }

  deliver(batch: FrameBatch): void {
    this.counters.received.count(batch.count, batchBytes(batch));
    this.#receiver(batch);
  }

  drain(): void {
    this.busy = false;
    this.events.drain?.();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  lend(takeBack: () => void): KernelEnd | undefined {
    this.lent++;
    this.takeBack = takeBack;
    return { fd: -1, kind: 'tap', maxFrameBytes: 9234, takesSuperFrames: false, counters: this.counters };
  }

  restore(): void {
    this.lent--;
    this.takeBack = undefined;
  }

  adopt(other: Lender): Line | undefined {
    if (!this.adoptsAll) return undefined;
    this.adoptions.push(other);
    return { close: () => void this.adoptions.splice(this.adoptions.indexOf(other), 1) };
  }

  async close(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The other end of a loan: nothing but what takes it back. */
function borrow(plug: ImpairedPlug): { isOver: boolean } {
  const loan = { isOver: false };
  const end = plug.lender.lend(() => {
    loan.isOver = true;
    plug.restore(false);
  });
  assert.ok(end !== undefined, 'nothing is lent');
  return loan;
}

function frames(count: number, length = 100): FrameBatch {
  return batchOf(Array.from({ length: count }, (_, index) => new Uint8Array(length).fill(index)));
}

// The first one, so that no others leave memory behind.
test('when nothing is the matter any more, the memory for what waited is free again', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = (): number => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const plug = new ImpairedPlug(new MemoryPlug());
  plug.start(() => true);
  const large = frames(100, 9000);
  const before = used();
  await plug.impair(['delay=60000']);
  for (let batch = 0; batch < 10; batch++) plug.send(large);
  assert.ok(used() - before > 8e6);
  plug.cut();
  plug.join();
  await plug.impair(['none']);
  await waitFor(() => used() - before < 1e6, WAIT_MS, 'the memory');
  await plug.close();
});

test('a loan is passed on, taken back when something is the matter, and offered again afterwards', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  let lendable = 0;
  plug.start(() => true, { lendable: () => lendable++ });
  const loan = borrow(plug);
  assert.equal(inner.lent, 1);
  await plug.impair(['delay=5']);
  assert.equal(loan.isOver, true);
  assert.equal(inner.lent, 0);
  assert.equal(
    plug.lender.lend(() => undefined),
    undefined,
  );
  assert.deepEqual(plug.impairment, ['delay=5']);
  assert.equal(lendable, 0);
  await plug.impair(['none']);
  assert.equal(lendable, 1);
  const again = borrow(plug);
  plug.cut();
  assert.equal(again.isOver, true);
  plug.join();
  assert.equal(lendable, 2);
  await plug.close();
});

test('what was adopted is let go of, too, and a cable has it adopted again', async () => {
  const inner = new MemoryPlug();
  inner.adoptsAll = true;
  const other = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  const joined = cable(other, plug, {}, { line: true });
  assert.equal(inner.adoptions.length, 1);
  await plug.impair(['loss=1']);
  assert.equal(inner.adoptions.length, 0);
  await plug.impair(['loss=0']);
  assert.equal(inner.adoptions.length, 1);
  plug.cut();
  assert.equal(inner.adoptions.length, 0);
  plug.join();
  assert.equal(inner.adoptions.length, 1);
  joined.releaseLine();
  await plug.close();
});

test('frames of both directions wait for their time, and pass at once when it is over', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  const received: number[] = [];
  plug.start((batch) => {
    for (let i = 0; i < batch.count; i++) received.push(performance.now());
    return true;
  });
  await plug.impair(['delay=out:40', 'delay=in:60']);
  const startedAt = performance.now();
  plug.send(frames(3));
  inner.deliver(frames(2));
  assert.equal(inner.sent.length + received.length, 0);
  await waitFor(() => inner.sent.length === 3 && received.length === 2, WAIT_MS, 'the frames');
  for (const { at } of inner.sent) assert.ok(at - startedAt >= 39.7, `out after ${at - startedAt} ms`);
  for (const at of received) assert.ok(at - startedAt >= 59.7, `in after ${at - startedAt} ms`);
  await plug.impair(['delay=100000']);
  plug.send(frames(4));
  await plug.impair(['none']);
  assert.equal(inner.sent.length, 7);
  plug.send(frames(1));
  assert.equal(inner.sent.length, 8);
  await plug.close();
});

test('a network that is full holds frames, and whoever sends hears of it', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  let drained = 0;
  plug.start(() => true, {
    drain: () => {
      drained++;
      return true;
    },
  });
  await plug.impair(['delay=1']);
  inner.busy = true;
  plug.send(frames(2));
  await sleep(30);
  assert.equal(inner.sent.length, 0);
  assert.equal(plug.busy, true);
  inner.drain();
  await waitFor(() => inner.sent.length === 2 && drained === 1, WAIT_MS, 'the frames');
  assert.equal(plug.busy, false);
  await plug.close();
});

test('who takes no frames gets them later', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  let received = 0;
  plug.start((batch) => {
    received += batch.count;
    return true;
  });
  await plug.impair(['delay=1']);
  plug.pause();
  assert.equal(inner.isPaused, true);
  inner.deliver(frames(3));
  await sleep(30);
  assert.equal(received, 0);
  plug.resume();
  assert.equal(inner.isPaused, false);
  await waitFor(() => received === 3, WAIT_MS, 'the frames');
  await plug.close();
});

test('speed: who sends waits, in both directions', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  let drained = 0;
  plug.start(() => true, {
    drain: () => {
      drained++;
      return true;
    },
  });
  await plug.impair(['speed=1000']);
  plug.send(frames(3));
  assert.equal(plug.busy, true);
  inner.deliver(frames(3));
  assert.equal(inner.isPaused, true);
  await waitFor(() => drained > 0 && !inner.isPaused, WAIT_MS, 'it to be free again');
  assert.equal(plug.busy, false);
  await plug.close();
});

test('what is lost is counted by reason, on its side', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  plug.start(() => true);
  await plug.impair(['loss=100', 'mtu=500']);
  plug.send(frames(3));
  plug.send(frames(2, 1000));
  inner.deliver(frames(4));
  assert.deepEqual(inner.counters.sent.drops, { impaired: 3, 'too-long': 2 });
  assert.deepEqual(inner.counters.received.drops, { impaired: 4 });
  assert.equal(inner.counters.received.frames, 0);
  assert.equal(inner.counters.received.bytes, 0);
  await plug.impair(['none', 'dup=100']);
  inner.deliver(frames(1));
  assert.equal(inner.counters.received.frames, 128);
  assert.equal(inner.counters.received.bytes, 12_800);
  await plug.close();
});

test('a cut says that the network is gone, and joining that it is back; what waits is lost', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  const said: string[] = [];
  plug.start(() => true, { down: (reason) => said.push(`down ${reason}`), up: () => said.push('up') });
  await plug.impair(['delay=10000']);
  plug.send(frames(5));
  plug.cut();
  plug.cut();
  assert.equal(plug.isCut, true);
  assert.equal(plug.hasBeenUp, false);
  plug.send(frames(2));
  inner.deliver(frames(3));
  assert.deepEqual(inner.counters.sent.drops, { down: 7 });
  assert.deepEqual(inner.counters.received.drops, { down: 3 });
  plug.join();
  assert.deepEqual(said, ['down the cable was cut (vde cut)', 'up']);
  assert.deepEqual(plug.impairment, ['delay=10000']);
  await plug.close();
});

test('what was slow before a cut, or before it was made faster, delays nobody afterwards', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  plug.start(() => true);
  await plug.impair(['speed=out:1', 'bandwidth=out:1']);
  plug.send(frames(5));
  plug.cut();
  plug.join();
  assert.equal(plug.busy, false);
  plug.send(frames(5));
  assert.equal(inner.sent.length, 0);
  await plug.impair(['speed=1G', 'bandwidth=1G']);
  await waitFor(() => inner.sent.length === 5 && !plug.busy, WAIT_MS, 'the frames');
  plug.send(frames(1));
  await waitFor(() => inner.sent.length === 6, WAIT_MS, 'one frame more');
  await plug.close();
});

test('a network that goes away while it is cut is not back when it is joined', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  const said: string[] = [];
  plug.start(() => true, { down: () => said.push('down'), up: () => said.push('up') });
  plug.cut();
  assert.equal(plug.isOnlyCut, true);
  inner.events.down?.('gone');
  assert.equal(plug.isOnlyCut, false);
  plug.join();
  assert.deepEqual(said, ['down', 'down']);
  inner.events.up?.();
  assert.deepEqual(said, ['down', 'down', 'up']);
  await plug.close();
});

test('what a network inside has set is told, and stays', async () => {
  const filter = new ImpairedPlug(new MemoryPlug());
  const plug = new ImpairedPlug(filter);
  plug.start(() => true);
  assert.deepEqual(plug.innerImpairment, []);
  await filter.impair(['delay=50']);
  await plug.impair(['loss=5']);
  assert.deepEqual(plug.innerImpairment, ['delay=50']);
  await plug.impair(['none']);
  assert.deepEqual([plug.impairment, plug.innerImpairment], [[], ['delay=50']]);
  await plug.close();
});

test('wrong words change nothing', async () => {
  const plug = new ImpairedPlug(new MemoryPlug());
  plug.start(() => true);
  await plug.impair(['loss=5']);
  await assert.rejects(plug.impair(['delay=3', 'loss=x']), /loss "x" is no value/);
  await assert.rejects(plug.impair(['delay=3[1]']), /no state 1 in its Markov chain: the last one is 0/);
  assert.deepEqual(plug.impairment, ['loss=5%']);
  await plug.close();
});

test('what is asked for at the same time is done in order', async () => {
  const plug = new ImpairedPlug(new MemoryPlug());
  plug.start(() => true);
  await Promise.all([plug.impair(['loss=5']), plug.impair(['none']), plug.impair(['delay=3']), plug.impair(['dup=1'])]);
  assert.deepEqual(plug.impairment, ['delay=3', 'dup=1%']);
  await plug.close();
});

test('a plug that is closed meanwhile is not impaired any more', async () => {
  const inner = new MemoryPlug();
  const plug = new ImpairedPlug(inner);
  plug.start(() => true);
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const impaired = plug.impair(['delay=5']);
  await plug.close();
  await impaired;
  plug.send(frames(1));
  assert.equal(inner.sent.length, 1);
  assert.equal(descriptors(), before);
});
