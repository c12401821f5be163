/** Numbers as C writes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCNumber } from '../../../src/system/c-number.ts';

test('decimal, hexadecimal and octal numbers are read, and nothing else', () => {
  const table: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['16', 16],
    ['0x10', 16],
    ['0XfF', 255],
    ['020', 16],
    ['00', 0],
  ];
  for (const [text, value] of table) assert.equal(parseCNumber(text), value, text);
  for (const text of ['', ' 1', '1 ', '+1', '-1', '08', '0x', '1e3', '1.5', '1\n', 'x'])
    assert.ok(Number.isNaN(parseCNumber(text)), text);
});
