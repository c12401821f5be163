/** The table of stations of a managed switch: its buckets, its bound, and how often it is looked at. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatMac } from '../../../src/net/mac.ts';
import { bucketOf, capacityOf, MAX_HASH_SIZE } from '../../../src/switch/managed/station-table.ts';
import { StationWatch } from '../../../src/switch/managed/station-watch.ts';

const WORD = (1n << 64n) - 1n;
const LOOK_MS = 20;

/** The last step of MurmurHash3 for 64 bits, as it is written down, without its last shift. */
function plainBucket(mac: Uint8Array, vlan: number, buckets: number): number {
  let word = BigInt(vlan) << 48n;
  for (const [index, byte] of mac.entries()) word |= BigInt(byte) << BigInt(8 * index);
  for (const factor of [0xff51afd7ed558ccdn, 0xc4ceb9fe1a85ec53n]) word = ((word ^ (word >> 33n)) * factor) & WORD;
  return Number(word & BigInt(buckets - 1));
}

test('a bucket is what 64-bit arithmetic makes of address and VLAN', () => {
  const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
  const vlan = fc.integer({ min: 0, max: 4095 });
  const bits = fc.integer({ min: 0, max: Math.log2(MAX_HASH_SIZE) });
  fc.assert(
    fc.property(mac, vlan, bits, (bytes, number, exponent) => {
      const buckets = 2 ** exponent;
      assert.equal(bucketOf(formatMac(bytes), number, buckets), plainBucket(bytes, number, buckets));
    }),
    { numRuns: 2000, examples: [[new Uint8Array(6).fill(0xff), 4095, 24]] },
  );
});

test('however many buckets there are, so many stations are remembered at most', () => {
  assert.deepEqual([1, 1024, 4096, MAX_HASH_SIZE].map(capacityOf), [4096, 4096, 16_384, 65_536]);
});

test('a look at the table that took long is not repeated soon', () => {
  let looks = 0;
  const watch = new StationWatch(
    () => {
      looks++;
      for (const end = performance.now() + LOOK_MS; performance.now() < end; );
      return [];
    },
    () => undefined,
  );
  const end = watch.begin();
  for (let i = 0; i < 3; i++) watch.compare();
  end();
  watch.close();
  assert.equal(looks, 1);
});
