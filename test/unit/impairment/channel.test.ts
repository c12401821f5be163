/** What becomes of frames in one direction: measured, and compared with what was asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOf } from '../../../src/frames/batch.ts';
import { segmentFrames } from '../../../src/frames/segment.ts';
import { Channel, MAX_COPIES } from '../../../src/impairment/channel.ts';
import { Settings } from '../../../src/impairment/settings.ts';
import { PLAIN } from '../../../src/impairment/wire.ts';
import { readWords } from '../../../src/impairment/words.ts';
import { superFrame } from '../../conformance/test-frames.ts';

/** So many standard deviations off is once in 16000 times; with a seed that never changes, never or always. */
const SIGMAS = 4;
const LARGEST = 9234;
const SEED = 20;

/** What came out: when, and which frame. */
interface Arrival {
  readonly at: number;
  readonly number: number;
  readonly frame: Uint8Array;
}

/** A channel on a clock of its own. */
class Trial {
  readonly channel = new Channel(PLAIN, SEED, 0);
  readonly settings = new Settings();
  #number = 0;

  constructor(...words: readonly string[]) {
    for (const wish of readWords(words)) {
      if (wish.kind === 'value') this.settings.set(wish.quantity, wish.placed);
      if (wish.kind === 'fifo') this.settings.isFifo = wish.isFifo;
    }
  }

  /** Sets more, as somebody does while frames wait. */
  set(now: number, ...words: readonly string[]): void {
    for (const wish of readWords(words)) if (wish.kind === 'value') this.settings.set(wish.quantity, wish.placed);
    this.channel.follow(this.settings.values('LR'), now);
  }

  send(now: number, lengths: readonly number[]): void {
    const frames = lengths.map((length) => {
      const frame = new Uint8Array(length);
      new DataView(frame.buffer).setUint32(0, this.#number++);
      return frame;
    });
    this.channel.take(batchOf(frames), LARGEST, now, this.settings.values('LR'), this.settings.isFifo);
  }

  /** Sends one frame every so many milliseconds. */
  sendEvery(ms: number, count: number, length = 64): void {
    for (let i = 0; i < count; i++) this.send(i * ms, [length]);
  }

  /** All frames, each when it leaves. */
  arrivals(): readonly Arrival[] {
    const found: Arrival[] = [];
    const { store } = this.channel;
    while (store.count > 0) {
      const at = store.nextTime;
      store.release(at, (batch) => {
        for (let i = 0; i < batch.count; i++) {
          const frame = batch.frame(i).slice();
          found.push({ at, number: new DataView(frame.buffer).getUint32(0), frame });
        }
        return true;
      });
    }
    return found;
  }
}

function isNear(measured: number, expected: number, deviation: number, what: string): void {
  assert.ok(
    Math.abs(measured - expected) <= SIGMAS * deviation,
    `${what}: ${measured}, not ${expected} ± ${deviation}`,
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Lengths of runs of numbers that are missing. */
function runsOfLosses(arrivals: readonly Arrival[]): readonly number[] {
  return arrivals.slice(1).flatMap(({ number }, index) => {
    const missing = number - arrivals[index]!.number - 1;
    return missing > 0 ? [missing] : [];
  });
}

test('loss: so many percent, each on its own', () => {
  const trial = new Trial('loss=10%');
  trial.sendEvery(1, 20_000);
  const arrivals = trial.arrivals();
  isNear(arrivals.length, 18_000, Math.sqrt(20_000 * 0.1 * 0.9), 'frames that arrive');
  assert.equal(trial.channel.losses.impaired, 20_000 - arrivals.length);
  const runs = runsOfLosses(arrivals);
  // A run goes on with a probability of 0.1: 1/0.9 long on average, with a variance of 0.1/0.81.
  isNear(mean(runs), 1 / 0.9, Math.sqrt(0.1 / 0.81 / runs.length), 'mean run');
});

test('loss=100% loses all, and a loss that varies is one on average', () => {
  const all = new Trial('loss=100');
  all.sendEvery(1, 500);
  assert.equal(all.arrivals().length, 0);
  const varying = new Trial('loss=20+20');
  varying.sendEvery(1, 20_000);
  isNear(varying.arrivals().length, 16_000, Math.sqrt(20_000 * 0.2 * 0.8), 'frames that arrive');
});

test('burst: losses come in a row, so many on average, and the share stays', () => {
  const trial = new Trial('loss=10%', 'burst=5');
  trial.sendEvery(1, 50_000);
  const arrivals = trial.arrivals();
  const runs = runsOfLosses(arrivals);
  // Geometric: a mean of 5, a variance of 20.
  isNear(mean(runs), 5, Math.sqrt(20 / runs.length), 'mean burst');
  // Frames that are lost together count as about nine independent ones (burst and gap, a renewal process).
  isNear(arrivals.length, 45_000, Math.sqrt(50_000 * 0.1 * 0.9 * 9), 'frames that arrive');
});

test('delay: each frame leaves when it is time, however long that is', () => {
  const trial = new Trial('delay=20');
  trial.sendEvery(1, 100);
  assert.deepEqual(
    trial.arrivals().map(({ at, number }) => at - number),
    new Array(100).fill(20),
  );
});

test('delay=100+30: uniform between 70 and 130', () => {
  const trial = new Trial('delay=100+30', 'nofifo');
  trial.sendEvery(1000, 10_000);
  const delays = trial.arrivals().map(({ at, number }) => at - 1000 * number);
  assert.equal(delays.length, 10_000);
  assert.ok(Math.min(...delays) >= 70 && Math.max(...delays) <= 130);
  const bins = new Array<number>(60).fill(0);
  for (const delay of delays) bins[Math.min(59, Math.floor(delay - 70))]!++;
  const expected = delays.length / bins.length;
  const chiSquare = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  isNear(chiSquare, bins.length - 1, Math.sqrt(2 * (bins.length - 1)), 'chi-square');
});

test('delay=100+30N: normal around 100, with a deviation of 10', () => {
  const trial = new Trial('delay=100+30N', 'nofifo');
  trial.sendEvery(1000, 10_000);
  const delays = trial.arrivals().map(({ at, number }) => at - 1000 * number);
  isNear(mean(delays), 100, 10 / Math.sqrt(delays.length), 'mean');
  const variance = mean(delays.map((delay) => (delay - 100) ** 2));
  isNear(variance, 100, 100 * Math.sqrt(2 / delays.length), 'variance');
});

test('frames keep their order as long as they are to, and overtake each other otherwise', () => {
  const [ordered, loose] = [new Trial('delay=50+50'), new Trial('delay=50+50', 'nofifo')];
  for (const trial of [ordered, loose]) trial.sendEvery(1, 1000);
  const numbersOf = (trial: Trial): readonly number[] => trial.arrivals().map(({ number }) => number);
  const all = Array.from({ length: 1000 }, (_, index) => index);
  assert.deepEqual(numbersOf(ordered), all);
  const numbers = numbersOf(loose);
  assert.notDeepEqual(numbers, all);
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    all,
  );
});

test('dup: so many percent come again, and of those again', () => {
  const trial = new Trial('dup=20%');
  trial.sendEvery(1, 20_000);
  // Geometric: 1/0.8 copies, with a variance of 0.2/0.64.
  isNear(trial.arrivals().length, 25_000, Math.sqrt((20_000 * 0.2) / 0.64), 'frames that arrive');
});

test('dup=100% has an end', () => {
  const trial = new Trial('dup=100%');
  trial.send(0, [64]);
  assert.equal(trial.arrivals().length, MAX_COPIES);
});

test('bandwidth: frames wait for each other, each for the time that it takes', () => {
  const trial = new Trial('bandwidth=1000');
  trial.send(0, [100, 200, 300]);
  trial.send(1000, [100]);
  assert.deepEqual(
    trial.arrivals().map(({ at }) => Math.round(at)),
    [100, 300, 600, 1100],
  );
  assert.equal(trial.channel.blockedUntil, 0);
});

test('rate=8kbit is 1000 bytes per second', () => {
  const trial = new Trial('rate=8kbit');
  trial.send(0, [100]);
  assert.equal(Math.round(trial.arrivals()[0]!.at), 100);
});

test('speed: who sends is to wait as long as its frames take', () => {
  const trial = new Trial('speed=1000');
  trial.send(0, [100, 200]);
  assert.equal(Math.round(trial.channel.blockedUntil), 300);
  assert.deepEqual(
    trial.arrivals().map(({ at }) => Math.round(at)),
    [100, 300],
  );
});

for (const rate of ['bandwidth', 'speed']) {
  test(`${rate} that becomes larger is so for what waits, too`, () => {
    const trial = new Trial(`${rate}=10`, 'delay=5');
    trial.send(0, [100, 200, 100]);
    trial.set(50, `${rate}=10000`);
    trial.send(50, [100]);
    const times = trial.arrivals().map(({ at }) => Math.round(at));
    assert.deepEqual(times, [65, 85, 95, 105]);
    assert.ok(trial.channel.blockedUntil <= 100);
  });

  test(`${rate} that is taken away has nobody wait for it`, () => {
    const trial = new Trial(`${rate}=10`, 'delay=5');
    trial.send(0, [100, 200]);
    trial.set(50, `${rate}=0`);
    trial.send(60, [100]);
    assert.deepEqual(
      trial.arrivals().map(({ at }) => at),
      [55, 55, 65],
    );
  });

  test(`what was forgotten keeps no ${rate} busy`, () => {
    const trial = new Trial(`${rate}=10`);
    trial.send(0, [1000, 1000]);
    assert.equal(trial.channel.clear(), 2);
    trial.send(10, [10]);
    assert.deepEqual(
      trial.arrivals().map(({ at, number }) => [Math.round(at), number]),
      [[1010, 2]],
    );
  });
}

test('frames that may overtake each other leave no later than what is slower lets them', () => {
  const trial = new Trial('bandwidth=10', 'delay=1000+1000', 'nofifo');
  trial.send(0, new Array<number>(50).fill(100));
  trial.set(0, 'bandwidth=100000');
  const arrivals = trial.arrivals();
  assert.equal(new Set(arrivals.map(({ number }) => number)).size, 50);
  for (const { at } of arrivals) assert.ok(at <= 2051, `${at} ms`);
});

test('capacity: what comes while so much waits is lost', () => {
  const trial = new Trial('delay=100', 'capacity=1000');
  trial.send(0, new Array(20).fill(100));
  assert.equal(trial.channel.losses.queueFull, 10);
  assert.deepEqual(
    trial.arrivals().map(({ number }) => number),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
});

test('mtu: packets that are longer are lost', () => {
  const trial = new Trial('mtu=1000');
  trial.send(0, [1014, 1015, 60, 2000]);
  assert.deepEqual(
    trial.arrivals().map(({ number }) => number),
    [0, 2],
  );
  assert.equal(trial.channel.losses.tooLong, 2);
});

test('noise: so many bits of a MiB are wrong, everywhere in the frame', () => {
  const trial = new Trial('noise=1000');
  const frames = 2000;
  trial.sendEvery(1, frames, 1000);
  let wrong = 0;
  const halves = [0, 0];
  for (const { frame } of trial.arrivals()) {
    // Its number may be disturbed, too.
    frame.subarray(4).forEach((byte, offset) => {
      for (let bits = byte; bits !== 0; bits &= bits - 1) {
        wrong++;
        halves[offset < 498 ? 0 : 1]!++;
      }
    });
  }
  const expected = (1000 * frames * 996) / 2 ** 20;
  isNear(wrong, expected, Math.sqrt(expected), 'wrong bits');
  isNear(halves[0]!, expected / 2, Math.sqrt(expected / 2), 'wrong bits in the first half');
});

test('copies are disturbed each on its own', () => {
  const trial = new Trial('noise=100K', 'dup=90%');
  trial.sendEvery(1, 50, 1000);
  const seen = trial.arrivals().map(({ frame }) => Buffer.from(frame).toString('latin1'));
  assert.ok(seen.length > 100);
  assert.equal(new Set(seen).size, seen.length);
});

test('the same seed makes the same of the same frames, however they are put together and whenever they come', () => {
  const words = ['loss=10+5', 'burst=3', 'dup=10%', 'noise=500'];
  const lengths = Array.from({ length: 2000 }, (_, index) => 60 + ((index * 37) % 1400));
  const some = new Trial(...words);
  const others = new Trial(...words);
  for (const [index, length] of lengths.entries()) some.send(index, [length]);
  for (let first = 0; first < lengths.length; ) {
    const count = 1 + (first % 7);
    others.send(first * 3, lengths.slice(first, first + count));
    first += count;
  }
  const framesOf = (trial: Trial): readonly string[] =>
    trial.arrivals().map(({ frame }) => Buffer.from(frame).toString('hex'));
  const [frames, otherFrames] = [framesOf(some), framesOf(others)];
  assert.ok(frames.length > 1500);
  assert.deepEqual(otherFrames, frames);
});

test('super-frames are cut into ordinary ones', () => {
  const trial = new Trial('delay=1');
  const { frame, offload } = superFrame(true, false, 5000, 1448);
  const batch = batchOf([frame]);
  batch.setOffload(0, offload);
  trial.channel.take(batch, LARGEST, 0, trial.settings.values('LR'), true);
  const expected = segmentFrames(batch, LARGEST).frames;
  assert.deepEqual(
    trial.arrivals().map((arrival) => Buffer.from(arrival.frame)),
    expected.map((each) => Buffer.from(each)),
  );
  assert.equal(trial.channel.losses.pieces, expected.length - 1);
});

test('which bits of a copy are wrong does not depend on whether there was room for those before', () => {
  const seenWith = (capacity: string): readonly string[] => {
    const trial = new Trial('noise=100K', 'dup=90%', 'delay=100', `capacity=${capacity}`);
    trial.sendEvery(1000, 50, 1000);
    return trial.arrivals().map(({ frame }) => Buffer.from(frame).toString('latin1'));
  };
  // As many numbers are drawn for the one as for the other.
  const all = new Set(seenWith('1000000000+1'));
  const some = seenWith('400000+400000');
  assert.ok(some.length < all.size && some.length > 100, `${some.length} of ${all.size}`);
  for (const frame of some) assert.ok(all.has(frame), 'a copy has other bits than in the run before');
});

test('what waits is bounded, and the room is used again', () => {
  const trial = new Trial('delay=1000000');
  const lengths = new Array<number>(64).fill(9000);
  for (let round = 0; trial.channel.losses.queueFull === 0; round++) {
    assert.ok(round < 1000, 'there is no bound');
    trial.send(0, lengths);
  }
  const { count } = trial.channel.store;
  assert.ok(count * 9000 > 50 * 2 ** 20, `${count} frames wait`);
  assert.equal(trial.channel.store.clear(), count);
  trial.send(0, lengths);
  assert.equal(trial.arrivals().length, 64);
});

test('frames of a batch that find no room are counted, also those at its end', () => {
  const trial = new Trial('delay=1000000');
  const { channel } = trial;
  const lengths = new Array<number>(300).fill(9000);
  let sent = 0;
  for (; channel.losses.queueFull === 0; sent += lengths.length) {
    assert.ok(sent < 100_000, 'there is no bound');
    trial.send(0, lengths);
  }
  const { queueFull, lostBytes, pieces } = channel.losses;
  assert.ok(queueFull < lengths.length, 'the last batch found no room at all');
  assert.equal(channel.store.count + queueFull, sent);
  assert.equal(lostBytes, 9000 * queueFull);
  assert.equal(pieces, 0);
});
