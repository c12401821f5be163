/** Comments of captures call drops as the counters do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DROP_REASONS } from '../../../src/plugs/counters.ts';
import { checkout } from '../../interop/harness.ts';

test('the reasons that C writes are those of the counters, in their order', () => {
  const source = readFileSync(join(checkout, 'native', 'io', 'capture.c'), 'utf8');
  const [, list = ''] = /reason_names\[\] = \{([^}]+)\}/.exec(source) ?? [];
  assert.deepEqual(
    Array.from(list.matchAll(/"([^"]+)"/g), ([, name]) => name),
    [...DROP_REASONS],
  );
});
