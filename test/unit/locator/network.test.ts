/** Network words on a command line, and the suggestions for mistyped words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../../src/locator/nearest.ts';
import { parseMultiNetworkWord, parseNetworkWord } from '../../../src/locator/network.ts';

test('three words mean no network', () => {
  for (const word of ['', '-', 'no']) assert.deepEqual(parseNetworkWord(word), { kind: 'none' });
});

test('an equals sign begins a command, everything else is a locator', () => {
  assert.deepEqual(parseNetworkWord("=ssh h 'a b'"), {
    kind: 'stream',
    command: ['ssh', 'h', 'a b'],
    text: "=ssh h 'a b'",
  });
  for (const text of ['vde://', './no', 'nope', '--', ' '])
    assert.deepEqual(parseNetworkWord(text), { kind: 'locator', text });
  assert.throws(() => parseNetworkWord('='), { code: 'ERR_COMMAND' });
});

test('among several networks there is no "no network"', () => {
  const table = [
    [
      'no',
      '"no" means no network, which makes no sense among several: leave it out, write null:// for an unused interface, or ./no for a path',
    ],
    [
      '-',
      '"-" means no network, which makes no sense among several: leave it out, or write vde:// for the default switch',
    ],
    [
      '',
      '"" means no network, which makes no sense among several: leave it out, or write vde:// for the default switch',
    ],
  ] as const;
  for (const [word, message] of table) assert.throws(() => parseMultiNetworkWord(word), { code: 'ERR_USAGE', message });
  assert.deepEqual(parseMultiNetworkWord('=cat'), { kind: 'stream', command: ['cat'], text: '=cat' });
  assert.deepEqual(parseMultiNetworkWord('vde://'), { kind: 'locator', text: 'vde://' });
});

test('suggests the nearest word, and none when nothing is near', () => {
  const words = ['vde', 'vxvde', 'vxlan', 'tap', 'switch'];
  for (const [typed, meant] of [
    ['swich', 'switch'],
    ['vxln', 'vxlan'],
    ['vd', 'vde'],
    ['http', undefined],
    ['', undefined],
    ['x', undefined],
  ] as const) {
    assert.equal(nearest(typed, words), meant, typed);
  }
});
