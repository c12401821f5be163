/** Rates are those since the look before, when that was a moment ago, and otherwise since the start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateMeter } from '../../../src/inventory/rates.ts';
import { PlugCounters } from '../../../src/plugs/counters.ts';

test('rates since the look before, at most a minute ago, and since the start', () => {
  let now = 1000;
  const meter = new RateMeter(() => now);
  const counters = new PlugCounters();
  const received = (): readonly number[] => Object.values(meter.look(counters).received);
  now += 2000;
  counters.received.count(100, 50_000);
  assert.deepEqual(received(), [50, 25_000], 'since the start');
  now += 100;
  counters.received.count(1000, 1000);
  assert.deepEqual(received(), [50, 25_000], 'too soon to say anything else');
  now += 400;
  assert.deepEqual(received(), [2000, 2000], 'since the look that counted');
  now += 1000;
  assert.deepEqual(received(), [0, 0]);
  now += 60_001;
  counters.received.count(100, 0);
  const seconds = (now - 1000) / 1000;
  assert.deepEqual(received(), [1200 / seconds, 51_000 / seconds], 'since the start again');
  assert.deepEqual(meter.look(counters).sent, { framesPerSecond: 0, bytesPerSecond: 0 });
});

test('each counters have rates of their own, and those that begin anew have none below zero', () => {
  let now = 0;
  const meter = new RateMeter(() => now);
  const [one, other] = [new PlugCounters(), new PlugCounters()];
  now += 1000;
  one.sent.count(10, 100);
  assert.deepEqual(meter.look(one).sent, { framesPerSecond: 10, bytesPerSecond: 100 });
  assert.deepEqual(meter.look(other).sent, { framesPerSecond: 0, bytesPerSecond: 0 });
  now += 1000;
  one.sent.count(-10, -100);
  assert.deepEqual(meter.look(one).sent, { framesPerSecond: 0, bytesPerSecond: 0 });
});
