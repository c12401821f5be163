/** Random numbers: the same again for the same seed, and as random as they are to be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_SEED, Random, readSeed } from '../../../src/impairment/random.ts';

const FRAMES = 100_000;
/** So many standard deviations off is once in 16000 times; with seeds that never change, never or always. */
const SIGMAS = 4;

function firstOf(seed: number, stream: number, frames: number): number[] {
  const random = new Random(seed, stream);
  return Array.from({ length: frames }, (_, frame) => {
    random.begin(frame);
    return random.next();
  });
}

test('the same seed gives the same numbers, whatever was drawn for other frames', () => {
  const some = new Random(7, 0);
  const others = new Random(7, 0);
  for (let frame = 0; frame < 1000; frame++) {
    some.begin(frame);
    others.begin(frame);
    const [first, second] = [some.next(), some.next()];
    assert.deepEqual([others.next(), others.next()], [first, second]);
    for (let more = 0; more < frame % 5; more++) some.next();
  }
});

test('other seeds and other directions have other numbers', () => {
  const series = [firstOf(1, 0, 1000), firstOf(1, 1, 1000), firstOf(2, 0, 1000), firstOf(2 ** 32 + 1, 0, 1000)];
  for (const [index, one] of series.entries()) {
    for (const other of series.slice(index + 1)) {
      const agreeing = one.filter((value, frame) => value < 0.5 === other[frame]! < 0.5).length;
      assert.ok(Math.abs(agreeing - 500) < SIGMAS * Math.sqrt(250), `${agreeing} of 1000 on the same side`);
    }
  }
});

for (const seed of [0, 1, 2 ** 31, MAX_SEED]) {
  test(`first numbers of frames are uniform, with seed ${seed}`, () => {
    const bins = new Array<number>(100).fill(0);
    for (const value of firstOf(seed, 0, FRAMES)) bins[Math.floor(value * 100)]!++;
    const expected = FRAMES / 100;
    const chiSquare = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 99 degrees of freedom: the mean is 99, the variance 198.
    assert.ok(Math.abs(chiSquare - 99) < SIGMAS * Math.sqrt(198), `chi-square ${chiSquare}`);
  });
}

test('neighbouring frames have nothing to do with each other', () => {
  const values = firstOf(3, 0, FRAMES);
  const products = values.slice(1).map((value, index) => (value - 0.5) * (values[index]! - 0.5));
  const mean = products.reduce((sum, product) => sum + product, 0) / products.length;
  assert.ok(Math.abs(mean) < (SIGMAS / 12) * Math.sqrt(1 / products.length), `covariance ${mean}`);
});

test('normal numbers have their mean, deviation and share within one deviation', () => {
  const random = new Random(5, 0);
  const values = Array.from({ length: FRAMES }, (_, frame) => {
    random.begin(frame);
    return random.nextNormal();
  });
  const mean = values.reduce((sum, value) => sum + value, 0) / FRAMES;
  const square = values.reduce((sum, value) => sum + value * value, 0) / FRAMES;
  const within = values.filter((value) => Math.abs(value) < 1).length / FRAMES;
  assert.ok(Math.abs(mean) < SIGMAS / Math.sqrt(FRAMES), `mean ${mean}`);
  assert.ok(Math.abs(square - 1) < SIGMAS * Math.sqrt(2 / FRAMES), `variance ${square}`);
  assert.ok(Math.abs(within - 0.6827) < SIGMAS * Math.sqrt((0.6827 * 0.3173) / FRAMES), `within: ${within}`);
});

test('seeds are numbers from 0 on', () => {
  assert.deepEqual(['0', '42', `${MAX_SEED}`].map(readSeed), [0, 42, MAX_SEED]);
  assert.deepEqual(['', '-1', '1.5', 'x', '0x10', `${MAX_SEED}0`].map(readSeed), new Array(6).fill(undefined));
});
