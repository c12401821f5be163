/** Neighbour discovery: a message by hand, and whatever is written is read back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { formatMac } from '../../../src/net/mac.ts';
import {
  emitNeighbour,
  groupMac,
  type NeighbourMessage,
  parseNeighbour,
  solicitedNodeGroup,
} from '../../../src/wire/neighbour.ts';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const number = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const plain = { noNullPrototype: true } as const;
const path = { source: parseIp('fe80::2'), destination: parseIp('ff02::1') };

const prefix = fc.record(
  {
    prefix: bytes(16),
    prefixLength: fc.integer({ min: 0, max: 128 }),
    isOnLink: fc.boolean(),
    isAutonomous: fc.boolean(),
    validLifetime: number(32),
    preferredLifetime: number(32),
  },
  plain,
);
const nameServers = fc.record(
  { lifetime: number(32), addresses: fc.array(bytes(16), { minLength: 1, maxLength: 4 }) },
  plain,
);
const searchDomains = fc.record(
  {
    lifetime: number(32),
    names: fc.array(fc.constantFrom('lan.example', 'a', 'xy.z'), { minLength: 1, maxLength: 4 }),
  },
  plain,
);
const message: fc.Arbitrary<NeighbourMessage> = fc.oneof(
  fc.record(
    { kind: fc.constant('router-solicitation' as const), sourceMac: bytes(6) },
    { ...plain, requiredKeys: ['kind'] },
  ),
  fc.record(
    { kind: fc.constant('neighbour-solicitation' as const), target: bytes(16), sourceMac: bytes(6) },
    { ...plain, requiredKeys: ['kind', 'target'] },
  ),
  fc.record(
    {
      kind: fc.constant('neighbour-advertisement' as const),
      isRouter: fc.boolean(),
      isSolicited: fc.boolean(),
      isOverride: fc.boolean(),
      target: bytes(16),
      targetMac: bytes(6),
    },
    { ...plain, requiredKeys: ['kind', 'isRouter', 'isSolicited', 'isOverride', 'target'] },
  ),
  fc.record(
    {
      kind: fc.constant('router-advertisement' as const),
      hopLimit: number(8),
      isManaged: fc.boolean(),
      hasOtherConfiguration: fc.boolean(),
      lifetime: number(16),
      reachableTime: number(32),
      retransmissionTime: number(32),
      sourceMac: bytes(6),
      mtu: number(32),
      prefixes: fc.array(prefix, { maxLength: 3 }),
      nameServers: fc.array(nameServers, { maxLength: 2 }),
      searchDomains: fc.array(searchDomains, { maxLength: 2 }),
    },
    {
      ...plain,
      requiredKeys: [
        'kind',
        'hopLimit',
        'isManaged',
        'hasOtherConfiguration',
        'lifetime',
        'reachableTime',
        'retransmissionTime',
        'prefixes',
        'nameServers',
        'searchDomains',
      ],
    },
  ),
);

test('a router advertisement is written as on the wire', () => {
  const written = emitNeighbour(
    {
      kind: 'router-advertisement',
      hopLimit: 64,
      isManaged: false,
      hasOtherConfiguration: true,
      lifetime: 1800,
      reachableTime: 0,
      retransmissionTime: 0,
      sourceMac: hex('52550a000202'),
      mtu: 1500,
      prefixes: [
        {
          prefix: parseIp('fd00::'),
          prefixLength: 64,
          isOnLink: true,
          isAutonomous: true,
          validLifetime: 86_400,
          preferredLifetime: 14_400,
        },
      ],
      nameServers: [{ lifetime: 1800, addresses: [parseIp('fd00::3')] }],
      searchDomains: [{ lifetime: 1800, names: ['lan'] }],
    },
    path,
  );
  const expected = hex(`
    86 00 0000  40 40 0708  00000000 00000000
    01 01 52550a000202
    05 01 0000 000005dc
    03 04 40 c0 00015180 00003840 00000000 fd000000000000000000000000000000
    19 03 0000 00000708 fd000000000000000000000000000003
    1f 02 0000 00000708 03 6c616e 00 000000`);
  const withoutChecksum = written.slice();
  withoutChecksum.fill(0, 2, 4);
  assert.deepEqual(withoutChecksum, expected);
});

test('what is written is read back, on its own path only', () => {
  fc.assert(
    fc.property(message, bytes(16), bytes(16), (sent, source, destination) => {
      const written = emitNeighbour(sent, { source, destination });
      assert.equal(written.length % 8, 0);
      assert.deepEqual(parseNeighbour(written, { source, destination }), sent);
      const other = source.slice();
      other[0]! ^= 1;
      assert.equal(parseNeighbour(written, { source: other, destination }), undefined);
    }),
    { numRuns: 300 },
  );
});

test('groups are those of the specification', () => {
  const group = solicitedNodeGroup(parseIp('4037::01:800:200e:8c6c'));
  assert.equal(formatIp(group), 'ff02::1:ff0e:8c6c');
  assert.equal(formatMac(groupMac(group)), '33:33:ff:0e:8c:6c');
});

test('options without a length, or longer than the message, make it none', () => {
  const sent = emitNeighbour({ kind: 'router-solicitation', sourceMac: hex('020000000001') }, path);
  for (const length of [0, 2, 255]) {
    const broken = sent.slice();
    broken[9] = length;
    assert.equal(parseNeighbour(rightened(broken), path), undefined);
  }
  assert.notEqual(parseNeighbour(rightened(sent), path), undefined);
  assert.equal(parseNeighbour(rightened(sent.subarray(0, 7)), path), undefined);
});

test('damaged messages with a right checksum never throw', () => {
  const damage = fc.array(fc.tuple(fc.integer({ min: 4, max: 200 }), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(message, damage, fc.nat(300), (sent, changes, length) => {
      const written = emitNeighbour(sent, path).slice(0, length);
      for (const [at, value] of changes) if (at < written.length) written[at] = value;
      const read = parseNeighbour(rightened(written), path);
      if (read !== undefined) assert.deepEqual(parseNeighbour(emitNeighbour(read, path), path), read);
    }),
    { numRuns: 500 },
  );
});

/** The same with its checksum as it has to be. */
function rightened(written: Uint8Array): Uint8Array {
  if (written.length < 4) return written;
  const copy = written.slice();
  copy.fill(0, 2, 4);
  let total = 0;
  const length = Uint8Array.of(0, 0, copy.length >> 8, copy.length, 0, 0, 0, 58);
  for (const part of [path.source, path.destination, length, copy]) {
    for (let at = 0; at < part.length; at += 2) total += (part[at]! << 8) | (part[at + 1] ?? 0);
  }
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  copy[2] = (total ^ 0xffff) >> 8;
  copy[3] = (total ^ 0xffff) & 255;
  return copy;
}
