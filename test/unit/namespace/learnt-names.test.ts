/** Names that are learnt: from router advertisements, and as they come into resolv.conf. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatResolvConf, LearntResolvConf } from '../../../src/namespace/auto/learnt-resolv-conf.ts';
import { LearntNames, parseRouterAdvertisement } from '../../../src/namespace/auto/router-advertisement.ts';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { makeTemporaryDirectory } from '../../interop/harness.ts';

const ROUTER = parseIp('fe80::1');
const HEADER = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];

function rdnss(seconds: number, ...addresses: string[]): number[] {
  return [
    25,
    1 + 2 * addresses.length,
    0,
    0,
    0,
    0,
    seconds >> 8,
    seconds & 255,
    ...addresses.flatMap((text) => [...parseIp(text)]),
  ];
}

function dnssl(seconds: number): number[] {
  return [
    31,
    3,
    0,
    0,
    0,
    0,
    seconds >> 8,
    seconds & 255,
    3,
    108,
    97,
    110,
    7,
    101,
    120,
    97,
    109,
    112,
    108,
    101,
    0,
    0,
    0,
    0,
  ];
}

function advertisement(...options: number[][]): ReturnType<typeof parseRouterAdvertisement> {
  return parseRouterAdvertisement(Uint8Array.from([...HEADER, ...options.flat()]), ROUTER);
}

test('an advertisement says what is left to DHCPv6, and who resolves names', () => {
  const prefix = [3, 4, 64, 0xc0, 0, 0, 0, 100, 0, 0, 0, 50, 0, 0, 0, 0, ...parseIp('fd00::')];
  const found = advertisement([1, 1, 2, 0, 0, 0, 0, 1], prefix, rdnss(600, 'fd00::3', 'fe80::3'), dnssl(600));
  assert.equal(found?.isDefaultRouter, true);
  assert.equal(found.isManaged, false);
  assert.equal(found.hasOther, false);
  assert.equal(found.hasAutonomousPrefix, true);
  assert.deepEqual(
    found.nameServers.map(({ value }) => formatIp(value)),
    ['fd00::3', 'fe80::3'],
  );
  assert.deepEqual(found.searchDomains, [{ value: 'lan.example', seconds: 600 }]);
  const flags = parseRouterAdvertisement(Uint8Array.from(HEADER.with(5, 0xc0).with(7, 0).with(6, 0)), ROUTER);
  assert.deepEqual([flags?.isManaged, flags?.hasOther, flags?.isDefaultRouter], [true, true, false]);
});

test('one that is cut, or comes from farther away, is none', () => {
  assert.equal(advertisement([25, 0]), undefined);
  assert.equal(advertisement([25, 3, 0, 0]), undefined);
  assert.equal(parseRouterAdvertisement(Uint8Array.from(HEADER), parseIp('fd00::1')), undefined);
  assert.equal(parseRouterAdvertisement(Uint8Array.from(HEADER.slice(1)), ROUTER), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parseRouterAdvertisement(Uint8Array.from([...HEADER, ...bytes]), ROUTER);
    }),
  );
});

test('what routers say of names ends, or is taken back', () => {
  let now = 0;
  const names = new LearntNames(() => now);
  const take = (...options: number[][]): void => {
    const found = advertisement(...options);
    assert.ok(found !== undefined);
    names.take(found);
  };
  assert.equal(names.endsAfter, undefined);
  take(rdnss(10, 'fd00::3', 'fd00::4'), dnssl(20));
  assert.equal(names.endsAfter, 10_000);
  now = 5000;
  take(rdnss(0, 'fd00::4'));
  take(rdnss(10, 'fd00::3'));
  assert.deepEqual(names.nameServers.map(formatIp), ['fd00::3']);
  assert.equal(names.endsAfter, 10_000);
  now = 15_000;
  names.expire();
  assert.deepEqual(names.nameServers, []);
  assert.deepEqual(names.searchDomains, ['lan.example']);
  now = 20_000;
  names.expire();
  assert.equal(names.endsAfter, undefined);
  for (let i = 0; i < 100; i++) take(rdnss(100, `fd00::1:${i}`));
  assert.equal(names.nameServers.length, 16);
});

test('resolv.conf has each server and domain once, link-local ones with their interface', () => {
  const first = { interfaceName: 'vde0', nameServers: [parseIp('10.0.2.3'), parseIp('fe80::3')], searchDomains: ['a'] };
  const second = {
    interfaceName: 'vde1',
    nameServers: [parseIp('10.0.2.3'), parseIp('fe80::3')],
    searchDomains: ['b', 'a'],
  };
  assert.equal(
    formatResolvConf([first, second]),
    'search a b\nnameserver 10.0.2.3\nnameserver fe80::3%vde0\nnameserver fe80::3%vde1\n',
  );
  assert.equal(formatResolvConf([]), '');
});

test('the file is written in place', (t) => {
  const path = join(makeTemporaryDirectory(t), 'resolv.conf');
  const fd = openSync(path, 'w');
  const reader = openSync(path, 'r');
  const file = new LearntResolvConf(fd);
  for (const text of ['nameserver 10.0.0.1\nnameserver 10.0.0.2\n', 'nameserver 10.0.0.3\n', '', 'search x\n']) {
    file.write(text);
    assert.equal(readFileSync(path, 'utf8'), text);
  }
  file.close();
  file.close();
  closeSync(reader);
});
