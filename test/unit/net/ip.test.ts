/** IP addresses, compared with ipaddr.js as the oracle. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { VdensError } from '../../../src/errors.ts';
import {
  formatIp,
  isLinkLocalIp,
  isMulticastIp,
  isUnspecifiedIp,
  parseIp,
  parseIpv4,
  parseIpv6,
} from '../../../src/net/ip.ts';

/** Sixteen bytes that are mostly zero, so that runs of zeros of every place and length appear. */
const sparseIpv6 = fc
  .array(fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));

const isIpv4Compatible = (text: string): boolean => /^::\d+\./.test(text);

test('reads and writes IPv4 as the oracle does', () => {
  fc.assert(
    fc.property(fc.ipV4(), (text) => {
      assert.deepEqual([...parseIp(text)], ipaddr.IPv4.parse(text).toByteArray());
      assert.equal(formatIp(parseIp(text)), text);
    }),
  );
});

test('reads every IPv6 spelling as the oracle does', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      // The oracle takes the deprecated ::1.2.3.4 (RFC 4291, 2.5.5.1) for ::ffff:1.2.3.4.
      fc.pre(!isIpv4Compatible(text));
      assert.deepEqual([...parseIp(text)], ipaddr.IPv6.parse(text).toByteArray());
    }),
    { numRuns: 500 },
  );
});

test('writes IPv6 in the canonical form of the oracle, and reads it back', () => {
  fc.assert(
    fc.property(sparseIpv6, (bytes) => {
      const address = ipaddr.fromByteArray([...bytes]) as ipaddr.IPv6;
      if (!address.isIPv4MappedAddress()) assert.equal(formatIp(bytes), address.toRFC5952String());
      assert.deepEqual(parseIp(formatIp(bytes)), bytes);
    }),
    { numRuns: 500 },
  );
});

test('writes what RFC 5952 gives as examples', () => {
  const table: readonly (readonly [string, string])[] = [
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::A', '2001:db8::a'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::1.2.3.4', '::102:304'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ];
  for (const [text, canonical] of table) assert.equal(formatIp(parseIp(text)), canonical, text);
});

test('refuses what is not IPv4', () => {
  for (const text of [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    '01.2.3.4',
    '1.2.3.04',
    '1..2.3',
    '1.2.3.',
    ' 1.2.3.4',
    '0x1.2.3.4',
    '-1.2.3.4',
    '1e1.2.3.4',
    'example.org',
  ]) {
    assert.throws(() => parseIpv4(text), {
      code: 'ERR_ADDRESS',
      message: `"${text}" is not an IP address. Write, for example, 10.0.0.1 or fd00::1`,
    });
  }
});

test('refuses what is not IPv6', () => {
  const wrong = [
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::1::',
    '12345::',
    'g::',
    '1:2:3:4:5:6:7:8::',
    '1::2:3:4:5:6:7:8',
    ':1::',
    '1::2:',
  ];
  for (const text of [
    ...wrong,
    '1.2.3.4::',
    '::1.2.3.4:1',
    '::1.2.3',
    '1:2:3:4:5:6:7:1.2.3.4',
    '[::1]',
    '::1 ',
    '::-1',
    '::1/64',
  ]) {
    assert.throws(() => parseIpv6(text), {
      code: 'ERR_ADDRESS',
      message: `"${text}" is not an IPv6 address. Write, for example, fd00::1`,
    });
  }
});

test('refuses a zone and shows the address without it', () => {
  assert.throws(() => parseIp('fe80::1%eth0'), { message: '"fe80::1%eth0" has a zone. Leave it out: fe80::1' });
});

test('accepts no text that the oracle refuses', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'0123456789abcf:.%/ x'), maxLength: 24 }), (text) => {
      let bytes: Uint8Array;
      try {
        bytes = parseIp(text);
      } catch (error) {
        assert.ok(error instanceof VdensError && error.code === 'ERR_ADDRESS');
        return;
      }
      assert.ok(ipaddr.isValid(text), text);
      if (!isIpv4Compatible(text)) assert.deepEqual([...bytes], ipaddr.parse(text).toByteArray());
    }),
    { numRuns: 5000 },
  );
});

test('knows multicast, unspecified and link-local addresses at their edges', () => {
  for (const text of ['224.0.0.0', '239.255.255.255', 'ff02::1'])
    assert.equal(isMulticastIp(parseIp(text)), true, text);
  for (const text of ['223.255.255.255', '240.0.0.0', 'fe80::1'])
    assert.equal(isMulticastIp(parseIp(text)), false, text);
  for (const text of ['0.0.0.0', '::']) assert.equal(isUnspecifiedIp(parseIp(text)), true, text);
  for (const text of ['0.0.0.1', '::1']) assert.equal(isUnspecifiedIp(parseIp(text)), false, text);
  for (const text of ['169.254.1.1', 'fe80::1', 'febf::1']) assert.equal(isLinkLocalIp(parseIp(text)), true, text);
  for (const text of ['169.253.1.1', 'fec0::1', '10.0.0.1']) assert.equal(isLinkLocalIp(parseIp(text)), false, text);
});
