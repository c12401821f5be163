/** DHCPv6: a message by hand, and whatever is written is read back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  DHCPV6_INFORMATION_REQUEST,
  DHCPV6_REPLY,
  DHCPV6_SOLICIT,
  type Dhcpv6Message,
  duidOfMac,
  emitDhcpv6,
  emptyDhcpv6,
  parseDhcpv6,
} from '../../../src/wire/dhcpv6.ts';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const number = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const plain = { noNullPrototype: true } as const;
const text = fc.string({ unit: fc.constantFrom(...'abcz019./-: é'), maxLength: 60 });
const duid = fc.uint8Array({ minLength: 3, maxLength: 130 });
const status = fc.record({ code: number(16), message: text }, plain);
const address = fc.record(
  { address: bytes(16), preferredLifetime: number(32), validLifetime: number(32), status },
  { ...plain, requiredKeys: ['address', 'preferredLifetime', 'validLifetime'] },
);
const association = fc.record(
  {
    id: number(32),
    renewAfter: number(32),
    rebindAfter: number(32),
    addresses: fc.array(address, { maxLength: 3 }),
    status,
  },
  { ...plain, requiredKeys: ['id', 'renewAfter', 'rebindAfter', 'addresses'] },
);
const message = fc.record(
  {
    type: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 11),
    transaction: number(24),
    clientId: duid,
    serverId: duid,
    associations: fc.array(association, { maxLength: 3 }),
    requestedOptions: fc.array(number(16), { maxLength: 5 }),
    preference: number(8),
    elapsedTime: number(16),
    status,
    isRapid: fc.boolean(),
    nameServers: fc.array(bytes(16), { maxLength: 3 }),
    searchDomains: fc.array(fc.constantFrom('lan.example', 'a', 'x-y.z'), { maxLength: 3 }),
    refreshTime: number(32),
    bootFileUrl: text,
  },
  {
    ...plain,
    requiredKeys: [
      'type',
      'transaction',
      'associations',
      'requestedOptions',
      'isRapid',
      'nameServers',
      'searchDomains',
    ],
  },
) as fc.Arbitrary<Dhcpv6Message>;

test('a SOLICIT is written as on the wire', () => {
  const solicit: Dhcpv6Message = {
    ...emptyDhcpv6(DHCPV6_SOLICIT, 0xabcdef),
    clientId: duidOfMac(hex('020000000001')),
    associations: [{ id: 7, renewAfter: 0, rebindAfter: 0, addresses: [] }],
    requestedOptions: [23, 24],
    elapsedTime: 0,
    isRapid: true,
  };
  const expected = hex(`
    01 abcdef
    0001 000a 0003 0001 020000000001
    0003 000c 00000007 00000000 00000000
    0006 0004 0017 0018
    0008 0002 0000
    000e 0000`);
  assert.deepEqual(emitDhcpv6(solicit), expected);
  assert.deepEqual(parseDhcpv6(expected), solicit);
});

test('a REPLY with everything a resolver and a boot loader want is read', () => {
  const reply = hex(`
    07 000001
    0017 0010 fd000000000000000000000000000003
    0018 0005 03 6c616e 00
    0063 0002 ffff
    003b 0006 746674703a2f`);
  assert.deepEqual(parseDhcpv6(reply), {
    ...emptyDhcpv6(DHCPV6_REPLY, 1),
    nameServers: [hex('fd000000000000000000000000000003')],
    searchDomains: ['lan'],
    bootFileUrl: 'tftp:/',
  });
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(message, (sent) => {
      assert.deepEqual(parseDhcpv6(emitDhcpv6(sent)), sent);
    }),
    { numRuns: 300 },
  );
});

test('relayed, unknown and broken messages are not read', () => {
  assert.equal(parseDhcpv6(hex('')), undefined);
  assert.equal(parseDhcpv6(hex('0b0000')), undefined);
  for (const type of [0, 10, 12, 13, 255]) assert.equal(parseDhcpv6(Uint8Array.of(type, 0, 0, 1)), undefined);
  const header = hex('0b000001');
  assert.equal(parseDhcpv6(header)?.type, DHCPV6_INFORMATION_REQUEST);
  for (const option of ['0001', '0001 0002 01', '0001 0002 0001', '0003 0004 00000001', '0006 0001 00', '000d 0000']) {
    assert.equal(parseDhcpv6(Buffer.concat([header, hex(option)])), undefined, option);
  }
});

test('garbage and damaged messages never throw', () => {
  const damage = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(message, damage, fc.nat(500), (sent, changes, length) => {
      const written = emitDhcpv6(sent).subarray(0, length);
      for (const [at, value] of changes) if (at < written.length) written[at] = value;
      const read = parseDhcpv6(written);
      if (read !== undefined) parseDhcpv6(emitDhcpv6(read));
    }),
    { numRuns: 300 },
  );
});
