/** ARP of the gateway: for its own addresses and no others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { formatMac } from '../../../src/net/mac.ts';
import { ARP_REPLY, ARP_REQUEST, type ArpPacket } from '../../../src/wire/arp.ts';
import { arpOf, Bench, GATEWAY_MAC, guestMac, UNSPECIFIED } from './guest-of-services.ts';

const guest = guestMac(1);

function request(senderIp: string, targetIp: string): ArpPacket {
  return {
    operation: ARP_REQUEST,
    senderMac: guest,
    senderIp: parseIp(senderIp),
    targetMac: new Uint8Array(6),
    targetIp: parseIp(targetIp),
  };
}

test('who asks for the router, the name server or a service is answered', () => {
  const bench = new Bench({
    serviceForwards: [{ address: parseIp('10.0.2.4'), port: 80, to: { kind: 'unix', path: '/nowhere' } }],
  });
  for (const address of ['10.0.2.2', '10.0.2.3', '10.0.2.4']) {
    const [answer, ...more] = bench.arp(request('10.0.2.15', address));
    assert.deepEqual(more, []);
    assert.deepEqual(answer, {
      operation: ARP_REPLY,
      senderMac: GATEWAY_MAC,
      senderIp: parseIp(address),
      targetMac: guest,
      targetIp: parseIp('10.0.2.15'),
    });
  }
});

test('nobody is answered about others, and guests are learned', () => {
  const bench = new Bench();
  assert.deepEqual(bench.arp(request('10.0.2.15', '10.0.2.16')), []);
  assert.deepEqual(bench.arp(request('10.0.2.15', '10.0.2.4')), []);
  assert.equal(bench.learned.get('10.0.2.15'), formatMac(guest));
});

test('announcements and answers are learned, but of no other network, nor by a group', () => {
  const bench = new Bench();
  bench.arp(request('10.0.2.20', '10.0.2.20'));
  bench.arp({ ...request('10.0.2.21', '10.0.2.2'), operation: ARP_REPLY });
  bench.arp(request('10.0.3.1', '10.0.2.2'));
  bench.arp({ ...request('10.0.2.22', '10.0.2.2'), senderMac: Uint8Array.of(3, 0, 0, 0, 0, 1) });
  assert.deepEqual([...bench.learned.keys()], ['10.0.2.20', '10.0.2.21']);
});

test('a probe for an address of ours is answered, and nothing is learned of it', () => {
  const bench = new Bench();
  const [answer] = bench.arp(request('0.0.0.0', '10.0.2.2'));
  assert.deepEqual([answer?.operation, answer?.targetIp], [ARP_REPLY, UNSPECIFIED]);
  assert.equal(bench.learned.size, 0);
});

test('who claims an address of ours is contradicted before everybody, but not all the time', () => {
  const bench = new Bench();
  const [told] = bench.arp(request('10.0.2.2', '10.0.2.2'));
  assert.deepEqual([told?.operation, told?.senderMac], [ARP_REQUEST, GATEWAY_MAC]);
  assert.deepEqual(
    [told?.senderIp, told?.targetIp].map((ip) => ip && formatIp(ip)),
    ['10.0.2.2', '10.0.2.2'],
  );
  assert.deepEqual(bench.arp(request('10.0.2.2', '10.0.2.2')), []);
  bench.now += 10_000;
  assert.equal(bench.arp(request('10.0.2.2', '10.0.2.2')).length, 1);
  assert.equal(bench.learned.size, 0);
  assert.match(bench.lines[0]!, /^02:00:00:00:00:01 claims 10\.0\.2\.2/);
});

test('a guest that is wanted is asked for', () => {
  const bench = new Bench();
  const [frame] = bench.during(() => bench.services.resolve(parseIp('10.0.2.15')));
  assert.ok(frame);
  assert.equal(formatMac(frame.subarray(0, 6)), 'ff:ff:ff:ff:ff:ff');
  assert.equal(frame.length, 60);
  const asked = arpOf(frame);
  assert.equal(asked?.operation, ARP_REQUEST);
  assert.equal(formatIp(asked.targetIp), '10.0.2.15');
});
