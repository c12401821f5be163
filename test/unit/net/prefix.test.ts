/** Addresses with a prefix length. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { parseIp } from '../../../src/net/ip.ts';
import { formatPrefix, parsePrefix, prefixContains } from '../../../src/net/prefix.ts';

test('keeps the host bits and the length, to both ends of the range', () => {
  for (const text of ['10.0.0.1/24', '0.0.0.0/0', '10.1.2.3/32', 'fd00::1/64', '::/0', 'fd00::1/128']) {
    assert.equal(formatPrefix(parsePrefix(text)), text);
  }
  assert.deepEqual(parsePrefix('10.0.0.1/8'), { address: Uint8Array.of(10, 0, 0, 1), prefixLength: 8 });
});

test('says what is wrong, and what would be right', () => {
  const table: readonly (readonly [string, string])[] = [
    ['10.0.0.1', '"10.0.0.1" has no prefix length. Write, for example, 10.0.0.1/24'],
    ['fd00::1', '"fd00::1" has no prefix length. Write, for example, fd00::1/64'],
    ['10.0.0.1/33', '"10.0.0.1/33": the prefix length is a number from 0 to 32. Write, for example, 10.0.0.1/24'],
    ['fd00::1/129', '"fd00::1/129": the prefix length is a number from 0 to 128. Write, for example, fd00::1/64'],
    ['10.0.0.1/', '"10.0.0.1/": the prefix length is a number from 0 to 32. Write, for example, 10.0.0.1/24'],
    ['10.0.0.1/-1', '"10.0.0.1/-1": the prefix length is a number from 0 to 32. Write, for example, 10.0.0.1/24'],
    [
      '10.0.0.1/255.0.0.0',
      '"10.0.0.1/255.0.0.0": the prefix length is a number from 0 to 32. Write, for example, 10.0.0.1/24',
    ],
    ['10.0.0/24', '"10.0.0" is not an IP address. Write, for example, 10.0.0.1 or fd00::1'],
  ];
  for (const [text, message] of table) assert.throws(() => parsePrefix(text), { code: 'ERR_ADDRESS', message });
});

test('agrees with the oracle on which addresses are in a network', () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom('10.0.0.1', '10.0.0.129', '10.0.1.1', 'fd00::1', 'fd00::2', 'fd00:1::1'),
  );
  fc.assert(
    fc.property(address, address, fc.nat(128), (left, right, length) => {
      const [network, candidate] = [ipaddr.parse(left), ipaddr.parse(right)];
      fc.pre(length <= network.toByteArray().length * 8);
      const expected = network.kind() === candidate.kind() && candidate.match(network, length);
      assert.equal(prefixContains({ address: parseIp(left), prefixLength: length }, parseIp(right)), expected);
    }),
    { numRuns: 1000 },
  );
});
