/** Keys of a terminal, cut at tabulators. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitAtTabs } from '../../../src/commands/tabbed-input.ts';

test('each tabulator comes by itself, and nothing is lost', () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['', []],
    ['abc', ['abc']],
    ['\t', ['\t']],
    ['fst\t\t', ['fst', '\t', '\t']],
    ['\tport/cr\t 9\n', ['\t', 'port/cr', '\t', ' 9\n']],
    ['ü\tü', ['ü', '\t', 'ü']],
  ];
  for (const [text, pieces] of rows) {
    assert.deepEqual(splitAtTabs(Buffer.from(text)).map(String), pieces);
  }
});
