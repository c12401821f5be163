/** The words of `vde tc`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VdensError } from '../../../src/errors.ts';
import { Settings } from '../../../src/impairment/settings.ts';
import { describeSettings, readWords } from '../../../src/impairment/words.ts';

function settingsOf(words: readonly string[]): Settings {
  const settings = new Settings();
  for (const wish of readWords(words)) {
    if (wish.kind === 'value') settings.set(wish.quantity, wish.placed);
    if (wish.kind === 'fifo') settings.isFifo = wish.isFifo;
  }
  return settings;
}

const cases: readonly (readonly [string, string])[] = [
  ['delay=20', 'delay=20'],
  ['delay=20ms', 'delay=20'],
  ['delay=0.1s', 'delay=100'],
  ['delay=500us', 'delay=0.5'],
  ['delay=20ms+5msN', 'delay=20+5N'],
  ['delay=out:20', 'delay=out:20'],
  ['delay=LR20', 'delay=out:20'],
  ['delay=out:20 delay=in:5', 'delay=out:20 delay=in:5'],
  ['delay=out:20 delay=in:20', 'delay=20'],
  ['loss=1%', 'loss=1%'],
  ['loss=RL5', 'loss=in:5%'],
  ['loss=1 burst=4', 'loss=1% burst=4'],
  ['bandwidth=1M', 'bandwidth=1048576'],
  ['rate=10mbit', 'bandwidth=1250000'],
  ['rate=out:1mibit', 'bandwidth=out:131072'],
  ['rate=8kbps', 'bandwidth=8000'],
  ['mtu=1400 noise=3 speed=5K capacity=64K dup=2%', 'dup=2% speed=5120 noise=3 mtu=1400 capacity=65536'],
  ['delay=5 nofifo', 'delay=5 nofifo'],
  ['delay=5 fifo=0', 'delay=5 nofifo'],
  ['delay=5 nofifo=0', 'delay=5'],
  ['delay 20ms 5ms distribution normal loss 1% rate 1mbit', 'loss=1% delay=20+5N bandwidth=125000'],
  ['delay 20ms 5ms', 'delay=20+5'],
  ['duplicate 1% latency 7', 'delay=7 dup=1%'],
];

for (const [typed, canonical] of cases) {
  test(`"${typed}" is ${canonical}, and that is itself`, () => {
    const shown = describeSettings(settingsOf(typed.split(' ')));
    assert.equal(shown.join(' '), canonical);
    assert.deepEqual(describeSettings(settingsOf(shown)), shown);
  });
}

const wrong: readonly (readonly [string, RegExp])[] = [
  ['dly=3', /no impairment called "dly": write one of loss, burst/],
  ['delay', /"delay" needs a value: delay=20\+5/],
  ['delay=x', /delay "x" is no value: write, for example, delay=20\+5/],
  ['delay=-3', /is no value/],
  ['mtu=5%', /mtu "5%" is no value/],
  ['corrupt 1%', /no impairment called "corrupt": instead, noise/],
  ['delay 20ms 5ms 25%', /"25%": correlations are not known. Frames that are lost in a row are burst=4/],
  ['loss 5% 25%', /"25%": correlations are not known/],
  ['delay 20 5 7', /"7": it has no name/],
  ['seed=x', /the seed "x" is not a number/],
  ['help', /no impairment called "help": write one of/],
  ['loss=101%', /loss "101%" is more than 100 %/],
  ['fifo=x', /fifo is 1 or 0, not "x"/],
  ['nofifo=2', /nofifo is 1 or 0, not "2"/],
  ['delay 20ms 5ms distribution pareto', /instead, write delay=20\+5N, or/],
  ['speed', /needs a value: speed=1M/],
  ['rate=fast', /the rate "fast" is none: write, for example, rate=10mbit/],
];

for (const [typed, message] of wrong) {
  test(`"${typed}" is refused, with a remedy`, () => {
    assert.throws(
      () => readWords(typed.split(' ')),
      (error: unknown) => error instanceof VdensError && error.code === 'ERR_USAGE' && message.test(error.message),
    );
  });
}

test('none, seeds and nodes', () => {
  assert.deepEqual(readWords(['none']), [{ kind: 'clear' }]);
  assert.deepEqual(readWords(['seed=5']), [{ kind: 'seed', seed: 5 }]);
  const [wish] = readWords(['loss=LR5[2]']);
  assert.ok(wish?.kind === 'value');
  assert.equal(wish.placed.node, 2);
  assert.deepEqual(wish.placed.directions, ['LR']);
});
