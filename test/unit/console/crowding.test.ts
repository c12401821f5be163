/** Who makes room at a console that is full. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Occupant, whoMakesRoom } from '../../../src/console/crowding.ts';

function sessions(uid: number, count: number, since = 0): Occupant[] {
  return Array.from({ length: count }, (_, index) => ({ uid, isBehind: false, heardAt: since + index }));
}

test('a user who has most of the sessions does not keep others out', () => {
  const [first, ...others] = sessions(1000, 62);
  const few = sessions(1001, 2, -10);
  const all = [...others, ...few, ...(first === undefined ? [] : [first])];
  for (const uid of [0, 1001, 1002]) assert.equal(whoMakesRoom(all, uid), first, `for ${uid}`);
  // That user is told to try again.
  assert.equal(whoMakesRoom(all, 1000), undefined);
});

test('nobody is sent away for somebody who would then have as many', () => {
  assert.equal(whoMakesRoom([...sessions(1, 2), ...sessions(2, 1)], 2), undefined);
  assert.equal(whoMakesRoom([...sessions(1, 1), ...sessions(2, 1)], 3), undefined);
});

test('one that does not read goes first, whosever it is', () => {
  const behind = { uid: 7, isBehind: true, heardAt: 99 };
  for (const uid of [7, 8]) assert.equal(whoMakesRoom([...sessions(8, 63), behind], uid), behind);
});
