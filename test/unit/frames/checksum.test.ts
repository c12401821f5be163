import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { internetChecksum, pseudoHeaderSum, sumBytes } from '../../../src/frames/checksum.ts';
import { native } from '../../../src/system/native.ts';
import { checksumOf, pseudoHeader } from '../../../src/wire/bytes.ts';

test('the sum is that of the example in RFC 1071, section 3', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(sumBytes(bytes, 0, 8), 0xddf2);
  assert.equal(internetChecksum(bytes, 0, 8), 0x220d);
  assert.equal(native.checksum(bytes, 0, 8, 0), 0x220d);
});

test('an odd last byte is the high half of a word', () => {
  assert.equal(internetChecksum(Uint8Array.of(0x12), 0, 1), 0x1200 ^ 0xffff);
  assert.equal(native.checksum(Uint8Array.of(0x12), 0, 1, 0), 0x1200 ^ 0xffff);
});

test('a sum is zero only when every byte is', () => {
  assert.equal(native.checksum(new Uint8Array(70), 0, 70, 0), 0xffff);
  assert.equal(native.checksum(Uint8Array.of(0xff, 0xff, 0, 0), 0, 4, 0), 0);
  assert.equal(native.checksum(new Uint8Array(70).fill(0xff), 0, 70, 0xffff), 0);
  assert.equal(native.checksum(new Uint8Array(), 0, 0, 0), 0xffff);
});

test('the addon and the reference agree at every alignment and length', () => {
  const bytes = fc.uint8Array({ maxLength: 3000 });
  const property = fc.property(bytes, fc.nat(40), fc.nat(40), fc.nat(0xffff), (all, skip, drop, initial) => {
    const offset = Math.min(skip, all.length);
    const length = Math.max(0, all.length - offset - drop);
    assert.equal(native.checksum(all, offset, length, initial), internetChecksum(all, offset, length, initial));
  });
  fc.assert(property, { numRuns: 500 });
});

test('the addon and the reference agree on 64 KiB of ones, where every addition carries', () => {
  const ones = new Uint8Array(65_536).fill(0xff);
  assert.equal(native.checksum(ones, 1, 65_535, 0xffff), internetChecksum(ones, 1, 65_535, 0xffff));
});

test('the checksum of the header parsers is the same', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(checksumOf(bytes), internetChecksum(bytes, 0, bytes.length));
    }),
  );
  const path = { source: Uint8Array.of(10, 0, 0, 1), destination: Uint8Array.of(10, 0, 0, 2) };
  const addresses = Uint8Array.of(10, 0, 0, 1, 10, 0, 0, 2);
  assert.equal(checksumOf(pseudoHeader(path, 6, 70_000)), pseudoHeaderSum(addresses, 6, 70_000) ^ 0xffff);
});

for (const [what, call] of [
  ['text for bytes', () => native.checksum('abc' as never, 0, 0, 0)],
  ['a length beyond the end', () => native.checksum(new Uint8Array(4), 1, 4, 0)],
  ['a negative offset', () => native.checksum(new Uint8Array(4), -1, 4, 0)],
  ['an offset and a length whose sum overflows', () => native.checksum(new Uint8Array(4), 0x7fffffff, 0x7fffffff, 0)],
  ['an initial sum of 17 bits', () => native.checksum(new Uint8Array(4), 0, 4, 0x10000)],
  ['too few arguments', () => (native.checksum as (bytes: Uint8Array) => number)(new Uint8Array(4))],
] as const) {
  test(`the addon throws a TypeError for ${what}`, () => assert.throws(call, TypeError));
}
