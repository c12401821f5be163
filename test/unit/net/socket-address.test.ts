/** Addresses of sockets as bytes and as text. */
import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../../src/net/ip.ts';
import {
  compareSocketAddresses,
  emitSocketAddress,
  formatSocketAddress,
  parseSocketAddress,
  type SocketAddress,
} from '../../../src/net/socket-address.ts';

const port = fc.nat(65535);
const ipv4 = fc.record({ address: fc.uint8Array({ minLength: 4, maxLength: 4 }), port });
const ipv6 = fc.record({ address: fc.uint8Array({ minLength: 16, maxLength: 16 }), port });
const scoped = fc.record({
  address: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  port,
  scope: fc.integer({ min: 1, max: 0xffffffff }),
});
const anyAddress: fc.Arbitrary<SocketAddress> = fc.oneof(ipv4, ipv6, scoped);

/** A 16-bit number in the byte order of this machine. */
function own(value: number): number[] {
  return endianness() === 'LE' ? [value, 0] : [0, value];
}

test('bytes are those of sockaddr_in and sockaddr_in6', () => {
  const v4 = emitSocketAddress({ address: parseIp('10.1.2.3'), port: 0x1234 });
  assert.deepEqual([...v4], [...own(2), 0x12, 0x34, 10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
  const v6 = emitSocketAddress({ address: parseIp('fe80::102'), port: 0x1234, scope: 7 });
  const scope = endianness() === 'LE' ? [7, 0, 0, 0] : [0, 0, 0, 7];
  const address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
  assert.deepEqual([...v6], [...own(10), 0x12, 0x34, 0, 0, 0, 0, ...address, ...scope]);
});

test('what is emitted is parsed, also from the midst of other bytes', () => {
  fc.assert(
    fc.property(anyAddress, fc.nat(5), (address, offset) => {
      const bytes = emitSocketAddress(address);
      const padded = new Uint8Array(offset + bytes.length + 3);
      padded.set(bytes, offset);
      // fast-check's records have no prototype.
      assert.deepEqual(parseSocketAddress(padded.subarray(offset, offset + bytes.length)), { ...address });
      assert.equal(parseSocketAddress(bytes.subarray(0, bytes.length - 1)), undefined);
    }),
  );
});

test('other bytes are no address, and no error', () => {
  assert.equal(parseSocketAddress(new Uint8Array(0)), undefined);
  assert.equal(parseSocketAddress(Uint8Array.of(...own(1), ...new Array<number>(108).fill(47))), undefined);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void parseSocketAddress(bytes)));
});

test('a parsed address is a copy: a buffer may be used again', () => {
  const bytes = emitSocketAddress({ address: parseIp('10.0.0.1'), port: 1 });
  const parsed = parseSocketAddress(bytes);
  bytes.fill(0xff);
  assert.equal(formatSocketAddress(parsed!), '10.0.0.1:1');
});

test('as people write them', () => {
  assert.equal(formatSocketAddress({ address: parseIp('10.0.0.1'), port: 4789 }), '10.0.0.1:4789');
  assert.equal(formatSocketAddress({ address: parseIp('fd00::1'), port: 4789 }), '[fd00::1]:4789');
  assert.equal(formatSocketAddress({ address: parseIp('fe80::1'), port: 4789, scope: 2 }), '[fe80::1%2]:4789');
  assert.equal(
    formatSocketAddress({ address: parseIp('fe80::1'), port: 4789, scope: 2 }, 'eth0'),
    '[fe80::1%eth0]:4789',
  );
});

test('the order is total, and the same for the same addresses', () => {
  fc.assert(
    fc.property(anyAddress, anyAddress, (a, b) => {
      const order = compareSocketAddresses(a, b);
      assert.equal(Math.sign(order) + Math.sign(compareSocketAddresses(b, a)), 0);
      assert.equal(order === 0, formatSocketAddress(a) === formatSocketAddress(b));
    }),
  );
  const sorted = ['10.0.0.2', '10.0.0.10', 'fd00::1'].map((text) => ({ address: parseIp(text), port: 1 }));
  assert.deepEqual(sorted.toReversed().sort(compareSocketAddresses), sorted);
});
