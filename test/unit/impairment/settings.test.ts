/** The Markov chain. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuantity, Settings } from '../../../src/impairment/settings.ts';
import { PLAIN, Wire } from '../../../src/impairment/wire.ts';

const SIGMAS = 4;

test('states follow each other as often as their edges say', () => {
  const wire = new Wire(PLAIN, 11);
  const { settings } = wire;
  settings.resize(3);
  settings.node(0).edges.set(1, 30).set(2, 20);
  settings.node(1).edges.set(0, 100);
  settings.node(2).edges.set(0, 50);
  const counts = new Map<string, number>();
  wire.stepped = (from, to) => counts.set(`${from}${to}`, (counts.get(`${from}${to}`) ?? 0) + 1);
  const visits = [0, 0, 0];
  wire.step(0);
  for (let step = 1; step <= 20_000; step++) {
    visits[settings.current]!++;
    wire.step(step * settings.markovMs);
  }
  for (const [way, chance] of [
    ['01', 0.3],
    ['02', 0.2],
    ['10', 1],
    ['20', 0.5],
  ] as const) {
    const from = visits[Number(way[0])]!;
    const taken = counts.get(way) ?? 0;
    const deviation = Math.sqrt(from * chance * (1 - chance));
    assert.ok(Math.abs(taken - from * chance) <= SIGMAS * deviation, `${way}: ${taken} of ${from}`);
  }
  assert.equal(counts.get('12'), undefined);
});

test('steps are taken when they are due, also many at a time', () => {
  const wire = new Wire(PLAIN, 1);
  const { settings } = wire;
  let steps = 0;
  wire.stepped = () => steps++;
  settings.resize(2);
  settings.node(0).edges.set(1, 100);
  settings.node(1).edges.set(0, 100);
  wire.step(1000);
  assert.equal(wire.stepAt, 1100);
  wire.step(1099);
  assert.equal(steps, 0);
  wire.step(1100);
  assert.equal(steps, 1);
  wire.step(2105);
  assert.equal(steps, 11);
  assert.equal(wire.stepAt, 2200);
  settings.resize(1);
  wire.step(5000);
  assert.equal(wire.stepAt, Number.POSITIVE_INFINITY);
  assert.equal(settings.current, 0);
});

test('who is left without a state is in the first one, and edges to states that are gone lead nowhere', () => {
  const settings = new Settings();
  settings.resize(3);
  settings.node(0).edges.set(1, 10).set(2, 20);
  settings.current = 2;
  assert.equal(settings.weight(0, 0), 70);
  settings.resize(2);
  assert.equal(settings.current, 0);
  assert.equal(settings.weight(0, 0), 90);
  assert.equal(settings.isClear, false);
  settings.clear();
  assert.equal(settings.isClear, true);
  assert.equal(settings.nodes.length, 1);
});

test('a percent sign is understood behind what is a percentage', () => {
  assert.equal(parseQuantity('loss', '5%')?.value.base, 5);
  assert.deepEqual(parseQuantity('dup', 'LR2.5+1% [3]'), parseQuantity('dup', 'LR2.5+1 [3]'));
  assert.equal(parseQuantity('delay', '5%'), undefined);
  assert.equal(parseQuantity('loss', '5%%'), undefined);
});
