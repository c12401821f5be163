/** Neighbour discovery and router advertisements of the gateway, frame by frame. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { formatMac } from '../../../src/net/mac.ts';
import { parsePrefix } from '../../../src/net/prefix.ts';
import { type RouterAdvertisement, solicitedNodeGroup } from '../../../src/wire/neighbour.ts';
import { Bench, GATEWAY_MAC, guestMac, neighbourOf } from './guest-of-services.ts';

const mac = guestMac(1);
const guest = parseIp('fd00::1234');
const linkLocal = parseIp('fe80::1234');
const ALL_NODES = parseIp('ff02::1');
const ALL_ROUTERS = parseIp('ff02::2');
const NOBODY = parseIp('::');

function solicitation(target: string): { kind: 'neighbour-solicitation'; target: Uint8Array } {
  return { kind: 'neighbour-solicitation', target: parseIp(target) };
}

function advertisementsIn(frames: readonly Uint8Array[]): RouterAdvertisement[] {
  return frames.map(neighbourOf).flatMap(({ message }) => (message.kind === 'router-advertisement' ? [message] : []));
}

test('who asks for an address of the gateway is answered', () => {
  const bench = new Bench();
  for (const address of ['fd00::2', 'fd00::3', 'fe80::2', 'fe80::3']) {
    const asked = { ...solicitation(address), sourceMac: mac };
    const [answer, ...more] = bench.neighbour(guest, solicitedNodeGroup(asked.target), mac, asked);
    assert.deepEqual(more, []);
    assert.deepEqual(answer?.message, {
      kind: 'neighbour-advertisement',
      isRouter: true,
      isSolicited: true,
      isOverride: true,
      target: asked.target,
      targetMac: GATEWAY_MAC,
    });
    assert.deepEqual([answer.packet.source, answer.packet.destination], [asked.target, guest]);
    assert.equal(answer.toMac, formatMac(mac));
  }
  assert.equal(bench.learned.get('fd00::1234'), formatMac(mac));
});

test('nobody is answered about others, nor about group addresses', () => {
  const bench = new Bench();
  for (const target of ['fd00::4', 'fe80::4', 'ff02::1']) {
    const asked = { ...solicitation(target), sourceMac: mac };
    assert.deepEqual(bench.neighbour(guest, solicitedNodeGroup(asked.target), mac, asked), []);
  }
});

test('a question to the gateway alone needs no MAC address in it', () => {
  const [answer] = new Bench().neighbour(guest, parseIp('fd00::2'), mac, solicitation('fd00::2'));
  assert.equal(answer?.toMac, formatMac(mac));
});

test('who would like an address of ours hears, as everybody does, that it is taken', () => {
  const bench = new Bench();
  const group = solicitedNodeGroup(parseIp('fd00::2'));
  const [answer] = bench.neighbour(NOBODY, group, mac, solicitation('fd00::2'));
  assert.ok(answer?.message.kind === 'neighbour-advertisement');
  assert.equal(answer.message.isSolicited, false);
  assert.deepEqual([formatIp(answer.packet.destination), answer.toMac], ['ff02::1', '33:33:00:00:00:01']);
  assert.equal(bench.learned.size, 0);
  // RFC 4861, 7.1.1: neither with a MAC address, nor to another group.
  assert.deepEqual(bench.neighbour(NOBODY, group, mac, { ...solicitation('fd00::2'), sourceMac: mac }), []);
  assert.deepEqual(bench.neighbour(NOBODY, ALL_NODES, mac, solicitation('fd00::2')), []);
});

test('what guests say of themselves is learned, what they say of us is contradicted', () => {
  const bench = new Bench();
  const advertisement = {
    kind: 'neighbour-advertisement',
    isRouter: false,
    isSolicited: false,
    isOverride: true,
    target: guest,
    targetMac: mac,
  } as const;
  assert.deepEqual(bench.neighbour(guest, ALL_NODES, mac, advertisement), []);
  assert.deepEqual([...bench.learned], [['fd00::1234', formatMac(mac)]]);
  const claim = { ...advertisement, target: parseIp('fd00::2') };
  const [answer] = bench.neighbour(claim.target, ALL_NODES, mac, claim);
  assert.ok(answer?.message.kind === 'neighbour-advertisement');
  assert.deepEqual(answer.message.targetMac, GATEWAY_MAC);
  assert.deepEqual(bench.neighbour(claim.target, ALL_NODES, mac, claim), []);
  bench.neighbour(guest, ALL_NODES, mac, { ...advertisement, target: parseIp('2001:db8::1') });
  assert.deepEqual([...bench.learned.keys()], ['fd00::1234']);
});

test('what came through a router, or was damaged, does not count', () => {
  const bench = new Bench();
  const [frame] = bench.during(() => bench.services.resolve(parseIp('fd00::2')));
  assert.ok(frame);
  // As it is, it counts: it only is our own question.
  assert.equal(bench.exchange(frame).length, 1);
  const routed = frame.slice();
  routed[14 + 7] = 254;
  assert.equal(bench.exchange(routed).length, 0);
  for (let at = 14 + 40; at < frame.length; at++) {
    const damaged = frame.slice();
    damaged[at]! ^= 1;
    assert.equal(bench.exchange(damaged).length, 0, `byte ${at}`);
  }
});

test('a guest that is wanted is asked for in its group', () => {
  const bench = new Bench();
  const [asked] = bench.during(() => bench.services.resolve(guest)).map(neighbourOf);
  assert.deepEqual(asked?.message, { ...solicitation('fd00::1234'), sourceMac: GATEWAY_MAC });
  assert.deepEqual([formatIp(asked.packet.destination), asked.toMac], ['ff02::1:ff00:1234', '33:33:ff:00:12:34']);
});

test('who asks for a router hears of it, its prefix and its resolver', () => {
  const bench = new Bench();
  const asked = { kind: 'router-solicitation', sourceMac: mac } as const;
  const [answer] = bench.neighbour(linkLocal, ALL_ROUTERS, mac, asked);
  assert.deepEqual(answer?.message, {
    kind: 'router-advertisement',
    hopLimit: 64,
    isManaged: false,
    hasOtherConfiguration: true,
    lifetime: 1800,
    reachableTime: 0,
    retransmissionTime: 0,
    sourceMac: GATEWAY_MAC,
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
    searchDomains: [],
  });
  assert.equal(formatIp(answer.packet.source), 'fe80::2');
  assert.deepEqual([formatIp(answer.packet.destination), answer.toMac], ['fe80::1234', formatMac(mac)]);
  assert.equal(bench.learned.get('fe80::1234'), formatMac(mac));
  const [toAll] = bench.neighbour(NOBODY, ALL_ROUTERS, mac, { kind: 'router-solicitation' });
  assert.deepEqual([toAll?.packet.destination, toAll?.toMac], [ALL_NODES, '33:33:00:00:00:01']);
  assert.deepEqual(bench.neighbour(NOBODY, ALL_ROUTERS, mac, asked), []);
});

test('what is configured is told', () => {
  const ipv6 = { router: parsePrefix('2001:db8:0:7fff::2/50'), nameServer: parseIp('2001:db8::3') };
  const bench = new Bench({ ipv6, mtu: 1280, searchDomains: ['a.example'] });
  const [message] = advertisementsIn(bench.during(() => bench.services.tick()));
  assert.equal(message?.mtu, 1280);
  assert.deepEqual(message.searchDomains, [{ lifetime: 1800, names: ['a.example'] }]);
  const [prefix] = message.prefixes;
  assert.ok(prefix);
  assert.equal(`${formatIp(prefix.prefix)}/${prefix.prefixLength}`, '2001:db8:0:4000::/50');
});

test('without a way out there is no router, and no resolver', () => {
  const bench = new Bench({ isRestricted: true });
  const [message] = advertisementsIn(bench.during(() => bench.services.tick()));
  assert.deepEqual([message?.lifetime, message?.nameServers, message?.prefixes.length], [0, [], 1]);
  const [answer] = bench.neighbour(guest, parseIp('fd00::2'), mac, solicitation('fd00::2'));
  assert.equal(answer?.message.kind === 'neighbour-advertisement' && answer.message.isRouter, false);
});

test('everybody hears from time to time, more often in the beginning, and that it ends', () => {
  const bench = new Bench();
  const start = bench.now;
  const times: number[] = [];
  for (let second = 0; second < 3600; second++) {
    bench.now = start + second * 1000;
    const frames = bench.during(() => bench.services.tick());
    times.push(...frames.map(() => second));
  }
  assert.deepEqual(times.slice(0, 3), [0, 16, 32]);
  const pauses = times.slice(3).map((time, i) => time - times[i + 2]!);
  assert.ok(pauses.length >= 5 && pauses.every((pause) => pause >= 200 && pause <= 601), `${pauses}`);
  const [last] = advertisementsIn(bench.during(() => bench.services.close()));
  assert.equal(last?.lifetime, 0);
  assert.deepEqual(
    bench.during(() => bench.services.close()),
    [],
  );
});
