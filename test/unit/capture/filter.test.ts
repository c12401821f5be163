/** Filters: the same frames pass as with tcpdump, and what a filter does not know is named. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseFilter } from '../../../src/capture/filter/filter.ts';
import { VdensError } from '../../../src/errors.ts';
import { parseIp } from '../../../src/net/ip.ts';
import { parseMac } from '../../../src/net/mac.ts';
import { makeTemporaryDirectory, original, requireCommands, runCommand } from '../../interop/harness.ts';

const FRAMES = 600;
const EXPRESSIONS = 150;
const SNAP = 100;

/** A frame as it is in the file. */
interface Kept {
  readonly bytes: Uint8Array;
  readonly length: number;
}

const IPV4 = ['10.0.0.1', '10.0.0.2', '10.1.0.1', '192.168.7.9', '224.0.0.251', '255.255.255.255'];
const IPV6 = ['fd00::1', 'fd00::2', 'fe80::5', 'ff02::1'];
const MACS = ['02:00:00:00:00:01', '02:00:00:00:00:02', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:fb', '33:33:00:00:00:01'];
const PORTS = [22, 53, 80, 443, 5353, 6000, 6004, 65535];

const u16 = (value: number): number[] => [value >> 8, value & 0xff];
const ip = (text: string): number[] => [...parseIp(text)];
const mac = (text: string): number[] => [...parseMac(text)];

const oneOf = fc.constantFrom;
const protocol = oneOf(1, 2, 6, 17, 50, 51, 58, 132, 44, 0, 200);
const transport = fc
  .tuple(oneOf(...PORTS), oneOf(...PORTS), fc.uint8Array({ minLength: 0, maxLength: 60 }))
  .map(([from, to, rest]) => [...u16(from), ...u16(to), ...rest]);
const ipPacket = fc
  .tuple(
    oneOf(...IPV4),
    oneOf(...IPV4),
    protocol,
    oneOf(0, 0, 0, 0x2000, 0x4000, 0x0005),
    oneOf(5, 5, 5, 6, 15),
    transport,
  )
  .map(([from, to, number, fragment, words, rest]) => [
    0x40 | words,
    0,
    ...u16(4 * words + rest.length),
    0,
    1,
    ...u16(fragment),
    64,
    number,
    0,
    0,
    ...ip(from),
    ...ip(to),
    ...Array.from({ length: 4 * (words - 5) }, () => 1),
    ...rest,
  ]); // prettier-ignore
const ipv6Packet = fc
  .tuple(oneOf(...IPV6), oneOf(...IPV6), protocol, transport)
  .map(([from, to, number, rest]) => [0x60, 0, 0, 0, ...u16(rest.length), number, 64, ...ip(from), ...ip(to), ...rest]);
const arpPacket = fc
  .tuple(oneOf(...IPV4), oneOf(...IPV4), oneOf(1, 2))
  .map(([from, to, operation]) => [
    0,
    1,
    8,
    0,
    6,
    4,
    ...u16(operation),
    ...mac(MACS[0]!),
    ...ip(from),
    ...mac(MACS[1]!),
    ...ip(to),
  ]);
const noise = fc.uint8Array({ minLength: 0, maxLength: 80 }).map((bytes) => [...bytes]);
const payload = fc.oneof(
  { arbitrary: ipPacket.map((packet) => [8, 0, ...packet]), weight: 6 },
  { arbitrary: ipv6Packet.map((packet) => [0x86, 0xdd, ...packet]), weight: 5 },
  { arbitrary: arpPacket.map((packet) => [8, 6, ...packet]), weight: 2 },
  { arbitrary: arpPacket.map((packet) => [0x80, 0x35, ...packet]), weight: 1 },
  { arbitrary: noise.map((bytes) => [0x88, 0xcc, ...bytes]), weight: 1 },
);
const tags = fc.array(
  fc.tuple(oneOf(0x8100, 0x88a8), oneOf(1, 5, 4094)).map(([type, id]) => [...u16(type), ...u16(0x6000 | id)]),
  { maxLength: 2 },
);
const frame: fc.Arbitrary<Kept> = fc
  .tuple(
    oneOf(...MACS),
    oneOf(...MACS),
    fc.oneof({ arbitrary: fc.constant([]), weight: 3 }, { arbitrary: tags, weight: 1 }),
    payload,
  )
  .map(([to, from, tagged, rest]) => {
    const bytes = Uint8Array.from([...mac(to), ...mac(from), ...tagged.flat(), ...rest]);
    return { bytes: bytes.subarray(0, SNAP), length: bytes.length };
  });

const side = oneOf('', 'src ', 'dst ', 'src or dst ', 'src and dst ');
const host = fc
  .tuple(oneOf('', 'ip '), side, oneOf(...IPV4))
  .map(([family, which, ip]) => `${family}${which}host ${ip}`);
const comparison = fc
  .tuple(
    oneOf('ether', 'ip', 'ip6', 'arp', 'rarp', 'tcp', 'udp', 'sctp', 'icmp', 'igmp', 'icmp6'),
    oneOf('0', '2', '6', '0x3', '010', '13', 'tcpflags', '60', '70000'),
    oneOf('', ':1', ' : 2 ', ':4'),
    oneOf('', ' & 2', '&(tcp-syn|tcp-ack)', '&0xffff', ' & (0x80000000)'),
    oneOf('=', '==', '!=', '<', '>', '<=', '>='),
    oneOf('0', '1', '2', '0x10', '017', '33', '0xffffffff', 'tcp-syn', '(tcp-syn|tcp-ack)', 'icmp6-echo'),
  )
  .map(([from, index, size, mask, relation, other]) => `${from}[${index}${size}]${mask} ${relation}${other}`);
const primitive: fc.Arbitrary<string> = fc.oneof(
  oneOf('ip', 'ip6', 'arp', 'rarp', 'tcp', 'udp', 'sctp', 'icmp', 'icmp6', 'igmp', 'esp', 'ah'),
  oneOf('broadcast', 'multicast', 'ether broadcast', 'ether multicast', 'ip multicast', 'ip6 multicast'),
  host,
  fc.tuple(oneOf('arp ', 'rarp '), side, oneOf(...IPV4)).map(([family, which, ip]) => `${family}${which}host ${ip}`),
  fc.tuple(oneOf('', 'ip6 '), side, oneOf(...IPV6)).map(([family, which, ip]) => `${family}${which}host ${ip}`),
  fc.tuple(oneOf('src ', 'dst '), oneOf(...IPV4, ...IPV6)).map(([which, ip]) => `${which}${ip}`),
  fc
    .tuple(
      side,
      oneOf(
        '10.0.0.0/8',
        '10',
        '10.0',
        '10.0.0',
        '192.168.7.8/30',
        '0.0.0.0/0',
        'fd00::/16',
        'fe80::/10',
        '10.1.0.0 mask 255.255.0.0',
      ),
    )
    .map(([which, net]) => `${which}net ${net}`),
  fc
    .tuple(oneOf('', 'tcp ', 'udp ', 'sctp '), side, oneOf(...PORTS))
    .map(([family, which, port]) => `${family}${which}port ${port}`),
  fc
    .tuple(oneOf('', 'tcp ', 'udp '), side, oneOf('0-1000', '6000-6004', '80-22'))
    .map(([family, which, range]) => `${family}${which}portrange ${range}`),
  fc.tuple(side, oneOf(...MACS)).map(([which, address]) => `ether ${which}host ${address}`),
  oneOf(
    'ether proto 0x88cc',
    'ether proto \\ip',
    'ether proto \\arp',
    'ip proto 6',
    'ip proto \\udp',
    'ip6 proto 58',
    'ip6 proto \\tcp',
    'proto 17',
    'tcp[tcpflags] & tcp-syn != 0',
    'tcp[13]&0x12=0x12',
    'ip[2:2] > 40',
    'icmp6[icmp6type] = icmp6-echo',
    'port http',
    'port domain',
    'port 80 or domain',
    'port http or https',
    'tcp port 80 or http or tcp',
  ),
  oneOf('less 64', 'greater 64', 'less 42', 'greater 100'),
  oneOf('vlan', 'vlan 5', 'vlan 4094'),
  comparison,
); // prettier-ignore
const expression: fc.Arbitrary<string> = fc.letrec<{ all: string; pair: string; not: string; nested: string }>(
  (tie) => ({
    pair: fc
      .tuple(tie('all'), oneOf('and', 'or', '&&', '||'), tie('all'))
      .map(([left, operator, right]) => `${left} ${operator} ${right}`),
    not: fc.tuple(oneOf('not ', '!', 'not not '), tie('all')).map(([operator, right]) => `${operator}${right}`),
    nested: tie('all').map((inner) => `(${inner})`),
    all: fc.oneof({ depthSize: 'small', withCrossShrink: true }, primitive, tie('pair'), tie('not'), tie('nested')),
  }),
).all;

/** A file of pcap(5) in which frame i has the time i seconds, so that it can be told which ones tcpdump shows. */
function pcapFile(frames: readonly Kept[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(SNAP, 16);
  header.writeUInt32LE(1, 20);
  const records = frames.map(({ bytes, length }, index) => {
    const record = Buffer.alloc(16);
    for (const [at, value] of [index, 0, bytes.length, length].entries()) record.writeUInt32LE(value, 4 * at);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([header, ...records]);
}

/** Samples of what filters may be. */
const SAMPLES: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  ['of all kinds', expression],
  [
    'that compare bytes',
    fc.oneof(
      comparison,
      fc.tuple(oneOf('vlan and', 'not', 'ip or'), comparison).map((words) => words.join(' ')),
    ),
  ],
];

for (const [kind, filters] of SAMPLES)
  test(`the same frames pass as with tcpdump: filters ${kind}`, async (t) => {
    if (!requireCommands(t, 'tcpdump')) return;
    const frames = fc.sample(frame, { numRuns: FRAMES, seed: 7 });
    const file = join(makeTemporaryDirectory(t), 'frames.pcap');
    writeFileSync(file, pcapFile(frames));
    let tried = 0;
    for (const text of fc.sample(filters, { numRuns: EXPRESSIONS, seed: 11 })) {
      const { status, stdout, stderr } = await runCommand([
        original('tcpdump') ?? '',
        '-r',
        file,
        '-O',
        '-n',
        '-tt',
        '-q',
        text,
      ]);
      // It refuses some that can never be true (ours let nothing pass then), and has a narrower grammar.
      if (status !== 0)
        assert.match(stderr, /rejects all packets|not supported|VLAN|syntax error/i, `${text}: ${stderr}`);
      if (status !== 0 && !stderr.includes('rejects all')) continue;
      const expected = [...stdout.matchAll(/^(\d+)\.000000 /gm)].map(([, second]) => Number(second));
      const filter = parseFilter(text);
      const actual = frames.flatMap(({ bytes, length }, index) => (filter(bytes, length, false) ? [index] : []));
      assert.deepEqual(actual, expected, text);
      tried += expected.length > 0 ? 1 : 0;
    }
    assert.ok(tried > EXPRESSIONS / 3, `${tried} expressions let something pass`);
  });

test('a value alone is asked about as the one before it was', () => {
  const [frame80, frame443] = [80, 443].map((port) =>
    Uint8Array.from([
      ...mac(MACS[0]!),
      ...mac(MACS[1]!),
      8,
      0,
      0x45,
      0,
      0,
      28,
      0,
      0,
      0,
      0,
      64,
      17,
      0,
      0,
      10,
      0,
      0,
      1,
      10,
      0,
      0,
      2,
      0,
      22,
      ...u16(port),
      0,
      8,
      0,
      0,
    ]),
  );
  const filter = parseFilter('udp dst port 80 or 443');
  assert.deepEqual(
    [frame80!, frame443!].map((bytes) => filter(bytes, bytes.length, false)),
    [true, true],
  );
  assert.deepEqual(
    [frame80!, frame443!].map((bytes) => parseFilter('port 22 and not 443')(bytes, bytes.length, false)),
    [true, false],
  );
}); // prettier-ignore

test('inbound and outbound are known, and an empty filter lets everything pass', () => {
  const bytes = new Uint8Array(60);
  assert.equal(parseFilter('outbound')(bytes, 60, true), true);
  assert.equal(parseFilter('inbound')(bytes, 60, true), false);
  assert.equal(parseFilter('  ')(bytes, 60, true), true);
});

test('what cannot be answered of a frame that was cut short is no', () => {
  const bytes = Uint8Array.from([...mac(MACS[0]!), ...mac(MACS[1]!), 8, 0, 0x45]);
  for (const text of ['tcp', 'not tcp', 'not host 10.0.0.1']) assert.equal(parseFilter(text)(bytes, 60, false), false);
  assert.equal(parseFilter('ip')(bytes, 60, false), true);
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ['foo', /does not know "foo"\. It knows: host, net/],
  ['tcp and foo', /does not know "foo"/],
  ['tcp port', /ends behind "port"/],
  ['port http-over-pigeons', /"http-over-pigeons" for a port/],
  ['port 70000', /"70000" for a port/],
  ['host web', /"web" where an address is to be/],
  ['(tcp', /"\(" without its "\)"/],
  ['tcp)', /what "\)" means there/],
  ['tcp udp', /what "udp" means there/],
  ['net 10.0.0.1/8', /bits behind its mask/],
  ['ip broadcast', /cannot tell "ip broadcast"/],
  ['tcp host 10.0.0.1', /Perhaps: tcp port 10.0.0.1, or: tcp and host/],
  ['ip6 host 10.0.0.1', /behind "ip6"/],
  ['ether', /"ether" without what to look for/],
  ['ether host web', /where a MAC address is to be/],
  ['tcp[13] & 2', /ends behind "2"/],
  ['tcp[13] and udp', /"and" where bytes are to be compared, for example so: tcp\[13\] & 2 != 0/],
  ['(tcp[13] & 2) != 0', /"\)" where bytes are to be compared/],
  ['ip[2:2] - 20 > 4', /"-" where bytes are to be compared/],
  ['tcp[13', /cannot read "tcp\[13"\. Bytes are written so: tcp\[13\]/],
  ['tcp[0:3] = 1', /cannot read "tcp\[0:3\]"/],
  ['web[13] = 1', /there are those of: ether, ip/],
  ['tcp[tcpflag] & 2 != 0', /"tcpflag" for a number.*tcp-syn/],
  ['tcp[0] = 4294967296', /"4294967296" for a number/],
  ['tcp[0] & (1|2 = 3', /"\(" without its "\)"/],
  ['less', /ends behind "less"/],
  ['less x', /"x" behind "less"/],
  ['not', /ends behind "not"/],
  [`${'('.repeat(100)}tcp${')'.repeat(100)}`, /too many parentheses/],
  ['tcp and '.repeat(2000), /longer than 4096/],
];

for (const [text, message] of WRONG) {
  test(`${text.slice(0, 40)} is refused by its word`, () => {
    assert.throws(
      () => parseFilter(text),
      (error) => error instanceof VdensError && error.code === 'ERR_USAGE' && message.test(error.message),
    );
  });
}

test('no text makes anything but a filter or an error', () => {
  const word = oneOf(
    'tcp',
    'port',
    'host',
    '80',
    '10.0.0.1',
    '(',
    ')',
    'not',
    'and',
    'or',
    'vlan',
    'net',
    'src',
    'dst',
    'ether',
    '::',
    '&',
    '!',
    '\\ip',
    'mask',
    '/',
    '-',
    'proto',
    'less',
    'tcp[13]',
    'ip[2:2]',
    'ether[',
    '|',
    '=',
    'constructor',
    '__proto__',
    'toString',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }), frame, (words, { bytes, length }) => {
      try {
        parseFilter(words.join(' '))(bytes, length, false);
      } catch (error) {
        assert.ok(error instanceof VdensError, String(error));
      }
    }),
    { numRuns: 3000 },
  );
}); // prettier-ignore
