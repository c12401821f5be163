/** What people call a link, and where it is. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCalled, splitPlace } from '../../../src/inventory/link-name.ts';
import { makeTemporaryDirectory } from '../../interop/harness.ts';

test('behind the last colon stands a link, unless there is a path with that colon', (t) => {
  const folder = makeTemporaryDirectory(t);
  const lan = join(folder, 'lan:1');
  mkdirSync(lan);
  for (const [word, name, link] of [
    ['web', 'web', undefined],
    ['web:vde0', 'web', 'vde0'],
    ['4711:port 3', '4711', 'port 3'],
    [lan, lan, undefined],
    [`${lan}:port3`, lan, 'port3'],
    [join(folder, 'no:2'), join(folder, 'no'), '2'],
    ['a:b/c', 'a:b/c', undefined],
    ['web:', 'web:', undefined],
    [':vde0', ':vde0', undefined],
    ['', '', undefined],
  ] as const) {
    assert.deepEqual(splitPlace(word), { name, link }, word);
  }
});

test('a port may be called by its number', () => {
  for (const word of ['port 3', 'port3', '3']) assert.equal(isCalled('port 3', word), true, word);
  for (const word of ['port 33', '33', 'port', '', undefined]) assert.equal(isCalled('port 3', word), false, word);
  assert.equal(isCalled('vde0', '0'), false);
});
