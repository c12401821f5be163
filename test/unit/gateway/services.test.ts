/** The services of a gateway as a whole: whose addresses they have, and frames that nobody sent in earnest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROADCAST_MAC, emitArpFrame, emitDatagram, emitNeighbourFrame } from '../../../src/gateway/guest-frames.ts';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { emitArp } from '../../../src/wire/arp.ts';
import { checksumOf, pseudoHeader } from '../../../src/wire/bytes.ts';
import { DHCP_DISCOVER, emitDhcp } from '../../../src/wire/dhcp.ts';
import { DHCPV6_SOLICIT, duidOfMac, emitDhcpv6, emptyDhcpv6 } from '../../../src/wire/dhcpv6.ts';
import { groupMac } from '../../../src/wire/neighbour.ts';
import { emitTftp } from '../../../src/wire/tftp.ts';
import { Random } from '../../fixtures/random-frames.ts';
import { Bench, dhcpRequest, GATEWAY_MAC, guestMac, PLAIN_CONFIG, ROUTER } from './guest-of-services.ts';

const MUTATED_FRAMES = 20_000;
const UDP = 17;
const ICMPV6 = 58;

const mac = guestMac(1);
const guest = parseIp('10.0.2.15');
const linkLocal = parseIp('fe80::15');
const toEverybody = { source: parseIp('0.0.0.0'), destination: parseIp('255.255.255.255') };
const toRouter = { source: guest, destination: ROUTER, sourceMac: mac, destinationMac: GATEWAY_MAC };
const discover = emitDhcp(dhcpRequest(mac, DHCP_DISCOVER));

/** A path to a group. */
function toGroup(text: string): {
  source: Uint8Array;
  destination: Uint8Array;
  sourceMac: Uint8Array;
  destinationMac: Uint8Array;
} {
  const destination = parseIp(text);
  return { source: linkLocal, destination, sourceMac: mac, destinationMac: groupMac(destination) };
}

function discoverFrame(): Uint8Array {
  const path = { ...toEverybody, sourceMac: mac, destinationMac: BROADCAST_MAC };
  return emitDatagram(path, { sourcePort: 68, destinationPort: 67 }, discover);
}

const solicit = {
  ...emptyDhcpv6(DHCPV6_SOLICIT, 1),
  clientId: duidOfMac(mac),
  associations: [{ id: 1, renewAfter: 0, rebindAfter: 0, addresses: [] }],
};
const read = { kind: 'read', name: 'file', mode: 'octet', options: new Map([['tsize', '0']]) } as const;
const question = { operation: 1, senderMac: mac, senderIp: guest, targetMac: new Uint8Array(6), targetIp: ROUTER };

/** One of every kind that is answered. */
const FRAMES: readonly Uint8Array[] = [
  emitArpFrame(mac, BROADCAST_MAC, emitArp(question)),
  discoverFrame(),
  emitDatagram(toGroup('ff02::1:2'), { sourcePort: 546, destinationPort: 547 }, emitDhcpv6(solicit)),
  emitDatagram(toRouter, { sourcePort: 2000, destinationPort: 69 }, emitTftp(read)),
  emitNeighbourFrame(toGroup('ff02::2'), { kind: 'router-solicitation', sourceMac: mac }),
  emitNeighbourFrame(toGroup('ff02::1:ff00:2'), {
    kind: 'neighbour-solicitation',
    target: parseIp('fd00::2'),
    sourceMac: mac,
  }),
];

test('the addresses of the gateway are the router, the name server, and those of services', () => {
  const to = { kind: 'unix', path: '/nowhere' } as const;
  const serviceForwards = ['10.0.2.4', '10.0.2.4', '10.0.2.2'].map((text, port) => ({
    address: parseIp(text),
    port,
    to,
  }));
  const names = (bench: Bench): string[] => bench.services.ownAddresses.map(formatIp);
  const all = ['10.0.2.2', '10.0.2.3', 'fd00::2', 'fd00::3', 'fe80::2', 'fe80::3'];
  assert.deepEqual(names(new Bench({ serviceForwards })), [...all, '10.0.2.4']);
  const { ipv4: _, ...onlyIpv6 } = PLAIN_CONFIG;
  assert.deepEqual(names(new Bench(onlyIpv6, true)), all.slice(2));
  const { ipv6: __, ...onlyIpv4 } = PLAIN_CONFIG;
  assert.deepEqual(names(new Bench(onlyIpv4, true)), all.slice(0, 2));
});

test('each of these frames is answered, and none after the end', () => {
  const bench = new Bench({ tftpDirectory: '/nonexistent' });
  for (const [i, frame] of FRAMES.entries()) assert.notEqual(bench.exchange(frame).length, 0, `frame ${i}`);
  bench.services.close();
  for (const frame of FRAMES) assert.equal(bench.exchange(frame).length, 0);
  assert.equal(bench.during(() => bench.services.resolve(guest)).length, 0);
  assert.equal(bench.during(() => bench.services.tick()).length, 0);
});

test('a family that there is not is not answered', () => {
  const { ipv6: _, ...onlyIpv4 } = PLAIN_CONFIG;
  const bench4 = new Bench({ ...onlyIpv4, tftpDirectory: '/nonexistent' }, true);
  assert.deepEqual(
    FRAMES.map((frame) => bench4.exchange(frame).length > 0),
    [true, true, false, true, false, false],
  );
  const { ipv4: __, ...onlyIpv6 } = PLAIN_CONFIG;
  const bench6 = new Bench(onlyIpv6, true);
  assert.deepEqual(
    FRAMES.map((frame) => bench6.exchange(frame).length > 0),
    [false, false, true, false, true, true],
  );
});

test('frames with tags are of another network', () => {
  const bench = new Bench();
  const [frame] = FRAMES;
  const tagged = Buffer.concat([frame!.subarray(0, 12), Uint8Array.of(0x81, 0, 0, 5), frame!.subarray(12)]);
  assert.deepEqual(bench.exchange(tagged), []);
});

test('a datagram that was damaged is not answered; one whose checksum is left to an interface is', () => {
  const bench = new Bench();
  const at = 14 + 20 + 6;
  const frame = discoverFrame();
  frame[at]! ^= 1;
  assert.deepEqual(bench.exchange(frame), []);
  const sum = checksumOf(pseudoHeader(toEverybody, UDP, discover.length + 8)) ^ 0xffff;
  frame[at] = sum >> 8;
  frame[at + 1] = sum & 255;
  assert.notEqual(bench.exchange(frame).length, 0);
  frame.fill(0, at, at + 2);
  assert.notEqual(bench.exchange(frame).length, 0);
});

test('a fragment is not answered', () => {
  const frame = discoverFrame();
  frame[14 + 6] = 0x20;
  frame.fill(0, 24, 26);
  const sum = checksumOf(frame.subarray(14, 34));
  frame[24] = sum >> 8;
  frame[25] = sum & 255;
  assert.deepEqual(new Bench().exchange(frame), []);
});

test('nothing that is in a frame makes the services throw', () => {
  const random = new Random(20_260_101);
  const bench = new Bench({ tftpDirectory: '/nonexistent', searchDomains: ['a.example'], bootFile: 'x' });
  let answered = 0;
  for (let i = 0; i < MUTATED_FRAMES; i++) {
    const frame = mutated(random, random.pick(FRAMES).slice());
    const answers = bench.exchange(frame);
    if (answers.length > 0) answered++;
    assert.ok(answers.length <= 2);
    bench.now += 50;
    if (i % 100 === 0) bench.services.tick();
  }
  assert.ok(answered > MUTATED_FRAMES / 100, `${answered} were answered`);
});

/** Some bytes changed, perhaps cut, and mostly with right checksums, so that it gets further. */
function mutated(random: Random, frame: Uint8Array): Uint8Array {
  for (let changes = random.below(5); changes > 0; changes--) frame[random.below(frame.length)] = random.below(256);
  const cut = random.oneIn(5) ? frame.slice(0, random.below(frame.length)) : frame;
  if (!random.oneIn(5)) repair(cut);
  return cut;
}

function repair(frame: Uint8Array): void {
  const isV4 = frame[12] === 8 && frame[13] === 0;
  const isV6 = frame[12] === 0x86 && frame[13] === 0xdd;
  const headers = 14 + (isV4 ? 20 : 40);
  if ((!isV4 && !isV6) || frame.length < headers + 8) return;
  const protocol = frame[isV4 ? 23 : 20]!;
  const addresses = isV4 ? frame.subarray(26, 34) : frame.subarray(22, 54);
  const half = addresses.length / 2;
  const path = { source: addresses.subarray(0, half), destination: addresses.subarray(half) };
  const payload = frame.length - headers;
  if (isV4) {
    writeSum(frame, 16, frame.length - 14);
    writeSum(frame, 24, 0);
    writeSum(frame, 24, checksumOf(frame.subarray(14, 34)));
  } else writeSum(frame, 18, payload);
  if (protocol === UDP) writeSum(frame, headers + 4, payload);
  const at = headers + (protocol === ICMPV6 ? 2 : 6);
  writeSum(frame, at, 0);
  writeSum(frame, at, checksumOf(pseudoHeader(path, protocol, payload), frame.subarray(headers)) || 0xffff);
}

function writeSum(frame: Uint8Array, at: number, value: number): void {
  frame[at] = value >> 8;
  frame[at + 1] = value & 255;
}
