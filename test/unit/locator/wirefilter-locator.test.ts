/** The options of wirefilter://. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilterOptions } from '../../../src/impairment/filter-plug.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { wirefilterOptions } from '../../../src/locator/wirefilter-locator.ts';

function optionsOf(text: string): FilterOptions {
  return wirefilterOptions(parseLocator(text));
}

test('options stand in brackets or behind a slash', () => {
  const expected = optionsOf('wirefilter://[delay=50/loss=LR5%]{null://}');
  assert.deepEqual(
    expected.values.map(([quantity, { value }]) => [quantity, value.base]),
    [
      ['delay', 50],
      ['loss', 5],
    ],
  );
  assert.deepEqual(optionsOf('wirefilter:///delay=50/loss=LR5%{null://}'), expected);
});

test('what stands where other schemes have an address is refused', () => {
  assert.throws(() => optionsOf('wirefilter://delay=50{null://}'), /"delay=50" is no option where it stands. Write/);
  assert.throws(() => optionsOf('wirefilter://delay=50/loss=5{null://}'), /"delay=50" is no option/);
});

test('a mode is octal', () => {
  assert.equal(optionsOf('wirefilter://[mgmtmode=0660]{null://}').managementMode, 0o660);
  for (const mode of ['', '8', '0x1ff', '1000'])
    assert.throws(
      () => optionsOf(`wirefilter://[mgmtmode=${mode}]{null://}`),
      /the mgmtmode ".*" is not one from 0 to 777, in octal\. Write, for example, \/mgmtmode=0700$/,
    );
});
