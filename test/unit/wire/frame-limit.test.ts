/** What a switch of ours says behind the path of its answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unixAddress, unixPath } from '../../../src/system/unix-address.ts';
import { frameLimitIn, withFrameLimit } from '../../../src/wire/frame-limit.ts';

test('what is said is read, and the path stays', () => {
  const path = fc.stringMatching(/^\/[a-z0-9/.]{0,94}$/);
  fc.assert(
    fc.property(path, fc.integer({ min: 1518, max: 65_600 }), (name, limit) => {
      const address = withFrameLimit(unixAddress(name), limit);
      assert.equal(address.length, 110);
      assert.equal(unixPath(address), name);
      assert.equal(frameLimitIn(address), limit);
    }),
  );
});

test('a path that leaves no room is left alone', () => {
  const long = unixAddress(`/${'x'.repeat(97)}`);
  assert.deepEqual(withFrameLimit(long, 9000), long);
  assert.equal(frameLimitIn(long), undefined);
});

test('what others leave there is no limit', () => {
  assert.equal(frameLimitIn(unixAddress('/tmp/sw/001.6')), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 110, maxLength: 110 }), (bytes) => {
      const limit = frameLimitIn(bytes);
      assert.ok(limit === undefined || (limit >= 1518 && limit <= 65_600));
    }),
  );
  for (const limit of [0, 1517, 65_601, 2 ** 32 - 1]) {
    assert.equal(frameLimitIn(withFrameLimit(unixAddress('/a'), limit)), undefined);
  }
});
