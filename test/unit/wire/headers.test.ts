import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ARP_REQUEST, type ArpPacket, emitArp, parseArp } from '../../../src/wire/arp.ts';
import { ETHERTYPE_ARP, type EthernetHeader, emitEthernet, parseEthernet } from '../../../src/wire/ethernet.ts';
import { emitIcmpEcho, ICMP_ECHO_REQUEST, parseIcmpEcho } from '../../../src/wire/icmp.ts';
import { emitIpv4, type Ipv4Header, parseIpv4 } from '../../../src/wire/ipv4.ts';
import { emitIpv6, type Ipv6Header, parseIpv6 } from '../../../src/wire/ipv6.ts';
import { emitTcp, isTcpIntact, parseTcp, type TcpHeader } from '../../../src/wire/tcp.ts';
import { emitUdp, isUdpIntact, parseUdp } from '../../../src/wire/udp.ts';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const number = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
/** Objects as literals make them, for deepEqual. */
const plain = { noNullPrototype: true } as const;
const options = fc.integer({ min: 0, max: 10 }).chain((words) => bytes(words * 4));
const payload = fc.uint8Array({ maxLength: 200 });

const ethernet: fc.Arbitrary<EthernetHeader> = fc.record(
  {
    destination: bytes(6),
    source: bytes(6),
    tags: fc.array(
      fc.record(
        {
          etherType: fc.constantFrom(0x8100, 0x88a8),
          vlan: number(12),
          priority: number(3),
          isDropEligible: fc.boolean(),
        },
        plain,
      ),
      { maxLength: 2 },
    ),
    etherType: number(16).filter((type) => type !== 0x8100 && type !== 0x88a8),
  },
  plain,
);

const arp: fc.Arbitrary<ArpPacket> = fc.record(
  {
    operation: number(16),
    senderMac: bytes(6),
    senderIp: bytes(4),
    targetMac: bytes(6),
    targetIp: bytes(4),
  },
  plain,
);

const ipv4: fc.Arbitrary<Ipv4Header> = fc.record(
  {
    tos: number(8),
    identification: number(16),
    dontFragment: fc.boolean(),
    moreFragments: fc.boolean(),
    fragmentOffset: number(13).map((units) => units * 8),
    ttl: number(8),
    protocol: number(8),
    source: bytes(4),
    destination: bytes(4),
    options,
  },
  plain,
);

const ipv6: fc.Arbitrary<Ipv6Header> = fc.record(
  {
    trafficClass: number(8),
    flowLabel: number(20),
    nextHeader: number(8),
    hopLimit: number(8),
    source: bytes(16),
    destination: bytes(16),
  },
  plain,
);

const tcp: fc.Arbitrary<TcpHeader> = fc.record(
  {
    sourcePort: number(16),
    destinationPort: number(16),
    sequence: number(32),
    acknowledgement: number(32),
    flags: number(8),
    window: number(16),
    urgent: number(16),
    options,
  },
  plain,
);

const path = fc.constantFrom(4, 16).chain((size) => fc.record({ source: bytes(size), destination: bytes(size) }));

test('an ARP request is written as on the wire', () => {
  const packet = emitArp({
    operation: ARP_REQUEST,
    senderMac: hex('020000000001'),
    senderIp: hex('0a000001'),
    targetMac: hex('000000000000'),
    targetIp: hex('0a000002'),
  });
  const frame = emitEthernet(
    { destination: hex('ffffffffffff'), source: hex('020000000001'), tags: [], etherType: ETHERTYPE_ARP },
    packet,
  );
  const expected = hex(
    `
    ffffffffffff 020000000001 0806  Ethernet: to everybody, ARP
    0001 0800 06 04                 Ethernet, IPv4, lengths of addresses
    0001                            request
    020000000001 0a000001           sender
    000000000000 0a000002           target`
      .split('\n')
      .map((line) => line.slice(0, 36))
      .join(''),
  );
  assert.deepEqual(frame, expected);
});

test('an echo request is written as ping writes it', () => {
  const message = emitIcmpEcho({ type: ICMP_ECHO_REQUEST, identifier: 1, sequence: 2, data: hex('6162636465') });
  // Type 8, code 0, checksum, identifier, sequence, data. The odd last byte is the high half of a word.
  assert.deepEqual(message, hex('08 00 ce35 0001 0002 6162636465'));
});

test('an IPv4 header is written with its checksum', () => {
  const packet = emitIpv4(
    {
      tos: 0,
      identification: 0,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol: 17,
      source: hex('c0a80001'),
      destination: hex('c0a800c7'),
      options: new Uint8Array(),
    },
    new Uint8Array(95),
  );
  assert.deepEqual(packet.slice(0, 20), hex('4500 0073 0000 4000 40 11 b861 c0a80001 c0a800c7'));
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(ethernet, arp, payload, (header, packet, data) => {
      const frame = emitEthernet(header, data);
      const { payloadOffset, ...read } = parseEthernet(frame)!;
      assert.deepEqual([read, frame.slice(payloadOffset)], [header, data]);
      assert.deepEqual(parseArp(emitArp(packet)), packet);
    }),
  );
  fc.assert(
    fc.property(ipv4, ipv6, payload, (header4, header6, data) => {
      const { payloadOffset: at4, payloadLength: length4, ...read4 } = parseIpv4(emitIpv4(header4, data))!;
      assert.deepEqual([read4, at4, length4], [header4, 20 + header4.options.length, data.length]);
      const { payloadOffset: at6, payloadLength: length6, ...read6 } = parseIpv6(emitIpv6(header6, data))!;
      assert.deepEqual([read6, at6, length6], [header6, 40, data.length]);
    }),
  );
  fc.assert(
    fc.property(tcp, path, payload, (header, addresses, data) => {
      const segment = emitTcp(header, data, addresses);
      const { checksum: _, payloadOffset, ...read } = parseTcp(segment)!;
      assert.deepEqual([read, segment.slice(payloadOffset)], [header, data]);
      assert.ok(isTcpIntact(segment, addresses));
      const { sourcePort, destinationPort } = header;
      const datagram = emitUdp({ sourcePort, destinationPort }, data, addresses);
      const udp = parseUdp(datagram)!;
      assert.deepEqual(
        [udp.sourcePort, udp.destinationPort, udp.payloadLength],
        [sourcePort, destinationPort, data.length],
      );
      assert.ok(isUdpIntact(datagram, addresses) && udp.checksum !== 0);
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom(0, 8), number(16), number(16), payload, (type, identifier, sequence, data) => {
      const message = emitIcmpEcho({ type, identifier, sequence, data });
      assert.deepEqual(parseIcmpEcho(message, 0, message.length), { type, identifier, sequence, data });
    }),
  );
});

test('one flipped bit is noticed where there is a checksum', () => {
  const flip = (data: Uint8Array, bit: number): Uint8Array => {
    const copy = data.slice();
    copy[Math.floor(bit / 8) % copy.length]! ^= 1 << (bit % 8);
    return copy;
  };
  fc.assert(
    fc.property(ipv4, tcp, path, payload, fc.nat(), (header4, header, addresses, data, bit) => {
      assert.equal(parseIpv4(flip(emitIpv4(header4, new Uint8Array()), bit)), undefined);
      assert.equal(isTcpIntact(flip(emitTcp(header, data, addresses), bit), addresses), false);
      const message = emitIcmpEcho({ type: 8, identifier: 1, sequence: 2, data });
      assert.equal(parseIcmpEcho(flip(message, bit), 0, message.length), undefined);
    }),
  );
});

test('a header that is cut short is not read', () => {
  const ip = { source: hex('0a000001'), destination: hex('0a000002') };
  const none = new Uint8Array();
  const whole = { tos: 0, identification: 0, dontFragment: false, moreFragments: false, fragmentOffset: 0 };
  const segment = { sequence: 0, acknowledgement: 0, flags: 2, window: 0, urgent: 0, options: hex('01010101') };
  const ports = { sourcePort: 1, destinationPort: 2 };
  const tag = { etherType: 0x8100, vlan: 1, priority: 0, isDropEligible: false };
  const macs = { destination: hex('020000000002'), source: hex('020000000001') };
  const readers: readonly (readonly [Uint8Array, (bytes: Uint8Array) => unknown])[] = [
    [emitEthernet({ ...macs, tags: [tag, tag], etherType: 0x0800 }, none), parseEthernet],
    [emitIpv4({ ...whole, ttl: 1, protocol: 6, ...ip, options: hex('01010101') }, hex('0102')), parseIpv4],
    [emitTcp({ ...ports, ...segment }, none, ip), parseTcp],
    [emitUdp(ports, hex('0102'), ip), parseUdp],
    [
      emitArp({
        operation: 1,
        senderMac: hex('020000000001'),
        senderIp: ip.source,
        targetMac: hex('000000000000'),
        targetIp: ip.destination,
      }),
      parseArp,
    ],
  ];
  for (const [good, read] of readers) {
    assert.notEqual(read(good), undefined);
    for (let length = 0; length < good.length; length++) {
      assert.equal(read(good.slice(0, length)), undefined, `${read.name} of ${length} bytes`);
    }
  }
});

test('no parser throws on garbage', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(110), (garbage, offset) => {
      for (const read of [parseEthernet, parseArp, parseIpv4, parseIpv6, parseTcp, parseUdp]) read(garbage, offset);
      parseIcmpEcho(garbage, offset, garbage.length);
    }),
    { numRuns: 1000 },
  );
});
