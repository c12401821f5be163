/** DHCP for IPv4, its option of domain names included: vectors by hand, and whatever is written is read back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addressesOption,
  addressOption,
  BOOT_REPLY,
  BOOT_REQUEST,
  DHCP_DISCOVER,
  DHCP_OPTION,
  type DhcpMessage,
  dhcpMessageType,
  dhcpOptionLength,
  emitDhcp,
  numberOption,
  numberValue,
  parseDhcp,
  textOption,
  textValue,
} from '../../../src/wire/dhcp.ts';
import { emitDomainNames, isDomainName, parseDomainNames } from '../../../src/wire/domain-name.ts';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const number = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const text = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'abcz019./-_ '), maxLength: length });
const plain = { noNullPrototype: true } as const;

const message: fc.Arbitrary<DhcpMessage> = fc.record(
  {
    operation: fc.constantFrom(BOOT_REQUEST, BOOT_REPLY),
    hardwareType: number(8),
    hardwareAddress: fc.uint8Array({ maxLength: 16 }),
    hops: number(8),
    transaction: number(32),
    seconds: number(16),
    isBroadcast: fc.boolean(),
    clientAddress: bytes(4),
    yourAddress: bytes(4),
    serverAddress: bytes(4),
    relayAddress: bytes(4),
    serverName: text(63),
    file: text(127),
    options: fc
      .array(
        fc.tuple(
          fc.integer({ min: 1, max: 254 }).filter((code) => code !== DHCP_OPTION.overload),
          fc.uint8Array({ maxLength: 600 }),
        ),
        { maxLength: 8 },
      )
      .map((entries) => new Map(entries)),
  },
  plain,
);

const discover: DhcpMessage = {
  operation: BOOT_REQUEST,
  hardwareType: 1,
  hardwareAddress: hex('020000000001'),
  hops: 0,
  transaction: 0x12345678,
  seconds: 3,
  isBroadcast: true,
  clientAddress: new Uint8Array(4),
  yourAddress: new Uint8Array(4),
  serverAddress: new Uint8Array(4),
  relayAddress: new Uint8Array(4),
  serverName: '',
  file: 'pxe',
  options: new Map<number, Uint8Array>([
    [DHCP_OPTION.messageType, Uint8Array.of(DHCP_DISCOVER)],
    [DHCP_OPTION.requestedAddress, hex('0a00020f')],
  ]),
};

test('a DISCOVER is written as on the wire', () => {
  const written = emitDhcp(discover);
  const expected = new Uint8Array(300);
  expected.set(hex('01 01 06 00 12345678 0003 8000'));
  expected.set(hex('020000000001'), 28);
  expected.set(Buffer.from('pxe'), 108);
  expected.set(hex('63825363 35 01 01 32 04 0a00020f ff'), 236);
  assert.deepEqual(written, expected);
  const read = parseDhcp(written);
  assert.deepEqual(read, discover);
  assert.equal(dhcpMessageType(discover.options), DHCP_DISCOVER);
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(message, (sent) => {
      const written = emitDhcp(sent);
      assert.deepEqual(parseDhcp(written), sent);
      const options = Array.from(sent.options.values(), dhcpOptionLength).reduce((sum, length) => sum + length, 0);
      assert.equal(written.length, Math.max(300, 240 + options + 1));
    }),
    { numRuns: 300 },
  );
});

test('an option in pieces is one value, and those in file and sname are read where option 52 says so', () => {
  const overloaded = emitDhcp({
    ...discover,
    file: '',
    options: new Map([
      [DHCP_OPTION.overload, Uint8Array.of(3)],
      [DHCP_OPTION.searchDomains, hex('01')],
    ]),
  });
  overloaded.set(hex('77 01 02 0f 03 6c616e ff'), 108);
  overloaded.set(hex('00 77 01 03 ff 0c 01 41'), 44);
  const read = parseDhcp(overloaded);
  assert.ok(read);
  assert.deepEqual(read.options.get(DHCP_OPTION.searchDomains), hex('010203'));
  assert.equal(textOption(read.options, DHCP_OPTION.domainName), 'lan');
  assert.deepEqual([read.file, read.serverName, read.options.has(DHCP_OPTION.hostName)], ['', '', false]);
  assert.equal(read.options.has(DHCP_OPTION.overload), false);
});

test('BOOTP without a cookie is read without options, what is shorter is not read', () => {
  const written = emitDhcp(discover);
  written.fill(0, 236);
  assert.equal(parseDhcp(written)?.options.size, 0);
  assert.equal(parseDhcp(written.subarray(0, 236))?.options.size, 0);
  assert.equal(parseDhcp(written.subarray(0, 235)), undefined);
  const wrong = emitDhcp(discover);
  wrong[0] = 3;
  assert.equal(parseDhcp(wrong), undefined);
  const long = emitDhcp(discover);
  long[2] = 17;
  assert.equal(parseDhcp(long), undefined);
});

test('options of the wrong length have no value of their kind', () => {
  const options = new Map([
    [1, hex('ffffff')],
    [6, hex('0a000203 0a000204 0a')],
    [26, numberValue(1400, 2)],
    [51, numberValue(0xffffffff, 4)],
    [53, hex('0101')],
    [12, textValue('guest\0more')],
  ]);
  assert.equal(addressOption(options, 1), undefined);
  assert.deepEqual(addressesOption(options, 6), [hex('0a000203'), hex('0a000204')]);
  assert.deepEqual(addressesOption(options, 3), []);
  assert.equal(numberOption(options, 26, 2), 1400);
  assert.equal(numberOption(options, 51, 4), 0xffffffff);
  assert.equal(dhcpMessageType(options), undefined);
  assert.equal(textOption(options, 12), 'guest');
});

test('garbage and damaged messages never throw', () => {
  const damage = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(message, damage, fc.nat(400), (sent, changes, length) => {
      const written = emitDhcp(sent).subarray(0, length);
      for (const [at, value] of changes) if (at < written.length) written[at] = value;
      const read = parseDhcp(written);
      if (read !== undefined) parseDhcp(emitDhcp(read));
    }),
    { numRuns: 300 },
  );
});

test('domain names are written as DNS writes them', () => {
  const written = hex('03 6c616e 07 6578616d706c65 00 01 61 00');
  assert.deepEqual(emitDomainNames(['lan.example.', 'wrong..name', 'a']), written);
  assert.deepEqual(parseDomainNames(written), ['lan.example', 'a']);
  assert.deepEqual(parseDomainNames(Buffer.concat([written, new Uint8Array(7)])), ['lan.example', 'a']);
});

test('the example of RFC 3397 with its pointer is read', () => {
  const written = hex('03 656e67 05 6170706c65 03 636f6d 00 09 6d61726b6574696e67 c004');
  assert.deepEqual(parseDomainNames(written), ['eng.apple.com', 'marketing.apple.com']);
});

test('names that go round in circles, out of the option, or into a file of ours, are not read', () => {
  assert.deepEqual(parseDomainNames(hex('c000')), []);
  assert.deepEqual(parseDomainNames(hex('01 61 c000')), []);
  assert.deepEqual(parseDomainNames(hex('05 6161')), []);
  assert.deepEqual(parseDomainNames(hex('01 61 c0ff')), []);
  assert.deepEqual(parseDomainNames(hex('03 610a62 00 01 63 00')), ['c']);
  assert.equal(isDomainName('a b'), false);
  assert.equal(isDomainName(''), false);
  assert.equal(isDomainName('x'.repeat(64)), false);
  assert.equal(isDomainName(Array(64).fill('abc').join('.')), false);
});

test('domain names are read as they were written, and garbage never throws', () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
  const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
  fc.assert(
    fc.property(fc.array(name, { maxLength: 20 }), (names) => {
      assert.deepEqual(parseDomainNames(emitDomainNames(names)), names);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
      assert.ok(parseDomainNames(garbage).every(isDomainName));
    }),
    { numRuns: 500 },
  );
});
