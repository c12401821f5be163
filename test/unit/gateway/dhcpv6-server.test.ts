/** Conversations of DHCPv6 clients with the gateway, frame by frame. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayConfig } from '../../../src/gateway/gateway-config.ts';
import { emitDatagram } from '../../../src/gateway/guest-frames.ts';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { formatMac } from '../../../src/net/mac.ts';
import { parsePrefix } from '../../../src/net/prefix.ts';
import {
  DHCPV6_ADVERTISE,
  DHCPV6_CONFIRM,
  DHCPV6_DECLINE,
  DHCPV6_INFORMATION_REQUEST,
  DHCPV6_REBIND,
  DHCPV6_RELEASE,
  DHCPV6_RENEW,
  DHCPV6_REPLY,
  DHCPV6_REQUEST,
  DHCPV6_SOLICIT,
  DHCPV6_STATUS,
  type Dhcpv6Address,
  type Dhcpv6Message,
  duidOfMac,
  emitDhcpv6,
  emptyDhcpv6,
  parseDhcpv6,
} from '../../../src/wire/dhcpv6.ts';
import { groupMac } from '../../../src/wire/neighbour.ts';
import { Bench, datagramOf, GATEWAY_MAC, guestMac } from './guest-of-services.ts';

const SERVER = duidOfMac(GATEWAY_MAC);
const GROUP = parseIp('ff02::1:2');

/** Guests that speak DHCPv6. */
class Bench6 extends Bench {
  say(n: number, message: Dhcpv6Message, destination: Uint8Array = GROUP): Dhcpv6Message | undefined {
    const source = parseIp(`fe80::1:${n.toString(16)}`);
    const path = { source, destination, sourceMac: guestMac(n), destinationMac: groupMac(destination) };
    const ports = { sourcePort: 546, destinationPort: 547 };
    const [frame, ...more] = this.exchange(emitDatagram(path, ports, emitDhcpv6(message)));
    assert.deepEqual(more, []);
    if (frame === undefined) return undefined;
    const heard = datagramOf(frame);
    assert.ok(heard);
    assert.deepEqual([heard.sourcePort, heard.destinationPort, formatIp(heard.source)], [547, 546, 'fe80::2']);
    assert.deepEqual([heard.destination, formatMac(frame.subarray(0, 6))], [source, formatMac(guestMac(n))]);
    const answer = parseDhcpv6(heard.payload);
    assert.deepEqual([answer?.serverId, answer?.transaction], [SERVER, message.transaction]);
    return answer;
  }
}

function of(
  n: number,
  type: number,
  addresses: readonly string[] = [],
  extra: Partial<Dhcpv6Message> = {},
): Dhcpv6Message {
  const asked = addresses.map((address) => ({ address: parseIp(address), preferredLifetime: 0, validLifetime: 0 }));
  const isToUs = [DHCPV6_REQUEST, DHCPV6_RENEW, DHCPV6_RELEASE, DHCPV6_DECLINE].includes(type);
  return {
    ...emptyDhcpv6(type, 0x123456),
    clientId: duidOfMac(guestMac(n)),
    ...(isToUs && { serverId: SERVER }),
    associations: [{ id: 1, renewAfter: 0, rebindAfter: 0, addresses: asked }],
    ...extra,
  };
}

function given(answer: Dhcpv6Message | undefined): string[] {
  const addresses = answer?.associations.flatMap((association) => association.addresses) ?? [];
  const isGiven = ({ validLifetime }: Dhcpv6Address): boolean => validLifetime > 0;
  return addresses.filter(isGiven).map(({ address }) => formatIp(address));
}

function statusOf(answer: Dhcpv6Message | undefined): number | undefined {
  return answer?.associations[0]?.status?.code;
}

test('who wants to know of resolvers hears of them, and of what to boot', () => {
  const config: Partial<GatewayConfig> = { searchDomains: ['a.example'], bootFile: '/boot file' };
  const bench = new Bench6(config);
  const asked = emptyDhcpv6(DHCPV6_INFORMATION_REQUEST, 7);
  assert.deepEqual(bench.say(1, { ...asked, requestedOptions: [23, 24, 59] }), {
    ...emptyDhcpv6(DHCPV6_REPLY, 7),
    serverId: SERVER,
    nameServers: [parseIp('fd00::3')],
    searchDomains: ['a.example'],
    bootFileUrl: 'tftp://[fd00::2]/boot%20file',
  });
  const less = bench.say(1, { ...asked, requestedOptions: [24] });
  assert.deepEqual([less?.nameServers, less?.bootFileUrl], [[], undefined]);
  const bootFile = 'http://boot.example/x';
  assert.equal(new Bench6({ bootFile }).say(1, asked)?.bootFileUrl, bootFile);
  assert.deepEqual(new Bench6({ isRestricted: true }).say(1, asked)?.nameServers, []);
});

test('an address is given in four messages, or in two', () => {
  const bench = new Bench6();
  const offer = bench.say(1, of(1, DHCPV6_SOLICIT));
  assert.equal(offer?.type, DHCPV6_ADVERTISE);
  assert.deepEqual(given(offer), ['fd00::1000']);
  assert.deepEqual(offer?.clientId, duidOfMac(guestMac(1)));
  const bound = bench.say(1, of(1, DHCPV6_REQUEST, ['fd00::1000']));
  assert.deepEqual([bound?.type, given(bound)], [DHCPV6_REPLY, ['fd00::1000']]);
  const [association] = bound!.associations;
  assert.deepEqual([association?.id, association?.renewAfter, association?.rebindAfter], [1, 7200, 11_520]);
  assert.deepEqual(association?.addresses[0]?.preferredLifetime, 14_400);
  assert.equal(bench.learned.get('fd00::1000'), formatMac(guestMac(1)));
  const rapid = bench.say(2, of(2, DHCPV6_SOLICIT, [], { isRapid: true }));
  assert.deepEqual([rapid?.type, rapid?.isRapid, given(rapid)], [DHCPV6_REPLY, true, ['fd00::1001']]);
});

test('the same client gets the same address, another interface another one, and wishes are heard', () => {
  const bench = new Bench6();
  assert.deepEqual(given(bench.say(1, of(1, DHCPV6_REQUEST))), ['fd00::1000']);
  assert.deepEqual(given(bench.say(1, of(1, DHCPV6_REQUEST))), ['fd00::1000']);
  const second = { associations: [{ id: 2, renewAfter: 0, rebindAfter: 0, addresses: [] }] };
  assert.deepEqual(given(bench.say(1, of(1, DHCPV6_REQUEST, [], second))), ['fd00::1001']);
  assert.deepEqual(given(bench.say(2, of(2, DHCPV6_REQUEST, ['fd00::1234']))), ['fd00::1234']);
  assert.deepEqual(given(bench.say(3, of(3, DHCPV6_REQUEST, ['fd00::1234', 'fd00::2']))), ['fd00::1002']);
});

test('an address is renewed, after a new start of the gateway, too, and what cannot be kept is taken away', () => {
  const bench = new Bench6();
  for (const type of [DHCPV6_RENEW, DHCPV6_REBIND]) {
    assert.deepEqual(given(bench.say(1, of(1, type, ['fd00::1005']))), ['fd00::1005']);
    const others = bench.say(2, of(2, type, ['fd00::1005', '2001:db8::1']));
    assert.deepEqual(given(others), []);
    assert.equal(others?.associations[0]?.addresses.length, 2);
    assert.equal(statusOf(bench.say(3, of(3, type))), DHCPV6_STATUS.noBinding);
  }
});

test('a client that was carried elsewhere learns it', () => {
  const bench = new Bench6();
  assert.equal(bench.say(1, of(1, DHCPV6_CONFIRM, ['fd00::1']))?.status?.code, DHCPV6_STATUS.success);
  assert.equal(bench.say(1, of(1, DHCPV6_CONFIRM, ['2001:db8::1']))?.status?.code, DHCPV6_STATUS.notOnLink);
  assert.equal(bench.say(1, of(1, DHCPV6_CONFIRM)), undefined);
});

test('what is given back is free, what is declined is left alone', () => {
  const bench = new Bench6();
  bench.say(1, of(1, DHCPV6_REQUEST));
  assert.equal(statusOf(bench.say(2, of(2, DHCPV6_RELEASE, ['fd00::1000']))), DHCPV6_STATUS.noBinding);
  assert.deepEqual(given(bench.say(2, of(2, DHCPV6_REQUEST, ['fd00::1000']))), ['fd00::1001']);
  const released = bench.say(1, of(1, DHCPV6_RELEASE, ['fd00::1000']));
  assert.deepEqual([released?.status?.code, released?.associations], [DHCPV6_STATUS.success, []]);
  bench.say(2, of(2, DHCPV6_DECLINE, ['fd00::1001']));
  assert.deepEqual(given(bench.say(3, of(3, DHCPV6_REQUEST, ['fd00::1001']))), ['fd00::1002']);
});

test('a prefix with no room for more addresses gives none', () => {
  const ipv6 = { router: parsePrefix('fd00::2/120'), nameServer: parseIp('fd00::3') };
  const bench = new Bench6({ ipv6 });
  const offer = bench.say(1, of(1, DHCPV6_SOLICIT));
  assert.deepEqual([given(offer), statusOf(offer)], [[], DHCPV6_STATUS.noAddresses]);
});

test('a pool that is full gives nothing more', () => {
  const bench = new Bench6({ ipv6: { router: parsePrefix('fd00::2/115'), nameServer: parseIp('fd00::3') } });
  const ask = (n: number): string[] => given(bench.say(n, of(n, DHCPV6_REQUEST)));
  for (let n = 1; n <= 4096; n++) assert.equal(ask(n).length, 1);
  assert.deepEqual(ask(4097), []);
  bench.now += 2 * 86_400_000;
  assert.deepEqual(ask(4097), ['fd00::1000']);
});

test('messages without the identifiers that they need, of servers, or to one address, are passed over', () => {
  const bench = new Bench6();
  const { clientId: _, ...anonymous } = of(1, DHCPV6_SOLICIT);
  assert.equal(bench.say(1, anonymous), undefined);
  assert.equal(bench.say(1, of(1, DHCPV6_SOLICIT, [], { serverId: SERVER })), undefined);
  assert.equal(bench.say(1, of(1, DHCPV6_REQUEST, [], { serverId: duidOfMac(guestMac(9)) })), undefined);
  assert.equal(bench.say(1, of(1, DHCPV6_INFORMATION_REQUEST)), undefined);
  assert.equal(bench.say(1, of(1, DHCPV6_REPLY)), undefined);
  assert.equal(bench.say(1, of(1, DHCPV6_SOLICIT), parseIp('fe80::2')), undefined);
});
