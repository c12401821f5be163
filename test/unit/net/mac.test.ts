/** Ethernet addresses: every notation that people paste, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatMac, isMulticastMac, parseConsoleMac, parseMac, randomMac } from '../../../src/net/mac.ts';

test('reads the notations with colons, hyphens and dots', () => {
  const expected = Uint8Array.of(0x02, 0, 0, 0xab, 0xcd, 0x01);
  for (const text of ['02:00:00:ab:cd:01', '02:00:00:AB:CD:01', '02-00-00-ab-cd-01', '0200.00ab.cd01']) {
    assert.deepEqual(parseMac(text), expected, text);
  }
});

test('writes what it reads', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      const text = formatMac(bytes);
      assert.deepEqual(parseMac(text), bytes);
      assert.deepEqual(parseMac(text.replaceAll(':', '-')), bytes);
    }),
  );
});

test('refuses what is not an Ethernet address', () => {
  const wrong = [
    '',
    'x',
    '02',
    '02:00:00:00:00',
    '02:00:00:00:00:01:02',
    '2:0:0:0:0:1',
    '02:00-00:00:00:01',
    '0200:0000:0001',
  ];
  for (const text of [
    ...wrong,
    '020000000001',
    '02:00:00:00:00:0g',
    ' 02:00:00:00:00:01',
    '+2:00:00:00:00:01',
    '0x:00:00:00:00:01',
  ]) {
    assert.throws(() => parseMac(text), {
      code: 'ERR_ADDRESS',
      value: text,
      message: `"${text}" is not a MAC address. Write six bytes in hex, for example 02:00:00:00:00:01`,
    });
  }
});

test('reads what vde_switch reads: bytes of one digit or two, with colons or dots', () => {
  const expected = Uint8Array.of(0, 0xff, 1, 2, 3, 0x4a);
  for (const text of ['00:ff:01:02:03:4a', '0:ff:1:2:3:4A', '00.FF.01.02.03.4a']) {
    assert.deepEqual(parseConsoleMac(text), expected, text);
  }
  for (const text of [
    '',
    '0:ff:1:2:3',
    '0:ff:1:2:3:4:5',
    '0:ff.1:2:3:4',
    '0-ff-1-2-3-4',
    '0:ff:1:2:3:',
    '0:ff:1:2:3:444',
  ]) {
    assert.equal(parseConsoleMac(text), undefined, text);
  }
});

test('makes random addresses that are locally administered and of one station', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const mac = randomMac();
    assert.equal(mac[0]! & 0x03, 0x02);
    assert.equal(isMulticastMac(mac), false);
    seen.add(formatMac(mac));
  }
  assert.ok(seen.size > 95);
});

test('knows multicast and broadcast', () => {
  assert.equal(isMulticastMac(parseMac('ff:ff:ff:ff:ff:ff')), true);
  assert.equal(isMulticastMac(parseMac('33:33:00:00:00:01')), true);
  assert.equal(isMulticastMac(parseMac('52:54:00:00:00:01')), false);
});
