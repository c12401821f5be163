/** Tables for people: they fit, and say what matters most. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatColumns,
  formatDuration,
  formatQuantity,
  type TableColumn,
  widthOfLine,
} from '../../../src/commands/text-table.ts';

interface Row {
  readonly name: string;
  readonly count: number;
}

const COLUMNS: readonly TableColumn<Row>[] = [
  { title: 'name', isText: true, value: ({ name }) => name },
  { title: 'count', rank: 1, value: ({ count }) => String(count) },
  { title: 'twice', rank: 2, value: ({ count }) => String(2 * count) },
];
const ROWS: readonly Row[] = [
  { name: 'web', count: 5 },
  { name: 'database', count: 1_234_567 },
];

test('columns are as wide as they have to be, texts to the left and numbers to the right', () => {
  assert.deepEqual(formatColumns(COLUMNS, ROWS, undefined), [
    'name        count    twice',
    'web             5       10',
    'database  1234567  2469134',
  ]);
  assert.deepEqual(formatColumns(COLUMNS, [], undefined), ['name  count  twice']);
});

test('where there is no room, the columns of the highest rank go first, and lines are cut at last', () => {
  assert.deepEqual(formatColumns(COLUMNS, ROWS, 26).length, 3);
  assert.equal(formatColumns(COLUMNS, ROWS, 26)[0], 'name        count    twice');
  assert.equal(formatColumns(COLUMNS, ROWS, 25)[0], 'name        count');
  assert.equal(formatColumns(COLUMNS, ROWS, 16)[0], 'name');
  assert.equal(formatColumns(COLUMNS, ROWS, 3)[2], 'dat');
});

test('no line is wider than the terminal, whatever the cells', () => {
  const rows = fc.array(fc.record({ name: fc.string({ unit: 'grapheme' }), count: fc.nat() }));
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 100 }), (list, room) => {
      for (const line of formatColumns(COLUMNS, list, room)) assert.ok(widthOfLine(line) <= room, line);
    }),
  );
});

test('quantities have at most five characters', () => {
  const expected = [
    [0, '0'],
    [999, '999'],
    [1000, '1.00k'],
    [9994, '9.99k'],
    [9995, '10.0k'],
    [99_949, '99.9k'],
    [99_950, '100k'],
    [999_499, '999k'],
    [999_500, '1.00M'],
    [1_230_000_000, '1.23G'],
    [Number.MAX_SAFE_INTEGER, '9.01P'],
  ] as const;
  for (const [value, text] of expected) assert.equal(formatQuantity(value), text);
  fc.assert(fc.property(fc.maxSafeNat(), (value) => formatQuantity(value).length <= 5));
});

test('durations are told in two units', () => {
  const expected = [
    [0.9, '0 s'],
    [59.9, '59 s'],
    [60, '1 min 00 s'],
    [3599, '59 min 59 s'],
    [3720, '1 h 02 min'],
    [97_200, '1 d 03 h'],
  ] as const;
  for (const [seconds, text] of expected) assert.equal(formatDuration(seconds), text);
});
