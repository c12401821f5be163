/** Values as wirefilter writes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatNumber, formatValue, parseValue } from '../../../src/impairment/value.ts';

const BOTH = ['LR', 'RL'];

const right: readonly (readonly [string, string, readonly string[], number])[] = [
  ['20', '20+0U', BOTH, 0],
  ['20.5', '20.5+0U', BOTH, 0],
  ['.5', '0.5+0U', BOTH, 0],
  ['LR20', '20+0U', ['LR'], 0],
  ['rl 20', '20+0U', ['RL'], 0],
  ['100+10N', '100+10N', BOTH, 0],
  ['100+10U[2]', '100+10U', BOTH, 2],
  ['10 [2]', '10+0U', BOTH, 2],
  ['128+64KN', '131072+65536N', BOTH, 0],
  ['1G', '1.07374e+09+0U', BOTH, 0],
  ['5 K', '5120+0U', BOTH, 0],
  ['0x10', '16+0U', BOTH, 0],
  ['1e3', '1000+0U', BOTH, 0],
  ['5+', '5+0U', BOTH, 0],
];

for (const [text, shown, directions, node] of right) {
  test(`"${text}" is ${shown}`, () => {
    const placed = parseValue(text);
    assert.ok(placed !== undefined);
    assert.equal(formatValue(placed.value), shown);
    assert.deepEqual(placed.directions, directions);
    assert.equal(placed.node, node);
  });
}

for (const text of ['', 'abc', 'LR', '-5', '5+-3', '1+2X', '5,5', '2K+1M', '3NU', '1[x]', '1e999', '5 6', 'LRRL4']) {
  test(`"${text}" is no value`, () => assert.equal(parseValue(text), undefined));
}

test('numbers are written as printf(3) does with %g', () => {
  // From: for n in …; do printf '%g\n' $n; done
  const cases: readonly (readonly [number, string])[] = [
    [0, '0'],
    [100, '100'],
    [123456, '123456'],
    [1234567, '1.23457e+06'],
    [0.0001, '0.0001'],
    [0.00001234567, '1.23457e-05'],
    [25.5, '25.5'],
    [999999.5, '1e+06'],
    [1e9, '1e+09'],
    [-20, '-20'],
    [33.333333, '33.3333'],
  ];
  assert.deepEqual(
    cases.map(([value]) => formatNumber(value)),
    cases.map(([, text]) => text),
  );
});
