/** The DHCP client as RFC 2131 has it, in a time of the test's own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dhcp4Client, type Dhcp4Path } from '../../../src/namespace/auto/dhcp4-client.ts';
import type { Dhcp4Lease } from '../../../src/namespace/auto/dhcp4-lease.ts';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { formatPrefix } from '../../../src/net/prefix.ts';
import {
  addressOption,
  BOOT_REPLY,
  BOOT_REQUEST,
  DHCP_ACK,
  DHCP_DISCOVER,
  DHCP_NAK,
  DHCP_OFFER,
  DHCP_OPTION,
  DHCP_RELEASE,
  DHCP_REQUEST,
  type DhcpMessage,
  dhcpMessageType,
  emitDhcp,
  numberValue,
  parseDhcp,
} from '../../../src/wire/dhcp.ts';
import { TestClock } from '../../fixtures/test-clock.ts';

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);
const SERVER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const SERVER = parseIp('10.0.2.2');
const NONE = new Uint8Array(4);

interface Sent {
  readonly at: number;
  readonly message: DhcpMessage;
  readonly path: Dhcp4Path;
}

/** A client, what it sends and what it says. */
class Bench {
  readonly clock = new TestClock();
  readonly sent: Sent[] = [];
  readonly bound: Dhcp4Lease[] = [];
  readonly lost: string[] = [];
  readonly client: Dhcp4Client;
  /** Counts through the numbers that are drawn, so that no two transactions are the same. */
  #drawn = 0;

  constructor() {
    this.client = new Dhcp4Client({
      clock: this.clock,
      random: () => (this.#drawn++ % 97) / 97,
      mac: MAC,
      hostname: 'box',
      send: (payload, path) => {
        const message = parseDhcp(payload);
        assert.ok(message !== undefined);
        this.sent.push({ at: this.clock.now(), message, path });
      },
      bound: (lease) => this.bound.push(lease),
      lost: (reason) => this.lost.push(reason),
    });
  }

  get last(): Sent {
    const last = this.sent.at(-1);
    assert.ok(last !== undefined, 'nothing was sent');
    return last;
  }

  lastType(): number | undefined {
    return dhcpMessageType(this.last.message.options);
  }

  /** What was sent since the last call, by type. */
  takeTypes(): (number | undefined)[] {
    return this.sent.splice(0).map(({ message }) => dhcpMessageType(message.options));
  }

  answer(
    type: number,
    changes: Partial<DhcpMessage> = {},
    options: readonly (readonly [number, Uint8Array])[] = [],
  ): void {
    const message: DhcpMessage = {
      ...this.last.message,
      operation: BOOT_REPLY,
      yourAddress: parseIp('10.0.2.15'),
      options: new Map([
        [DHCP_OPTION.messageType, Uint8Array.of(type)],
        [DHCP_OPTION.serverId, SERVER],
        [DHCP_OPTION.subnetMask, parseIp('255.255.255.0')],
        [DHCP_OPTION.leaseTime, numberValue(100, 4)],
        ...options,
      ]),
      ...changes,
    };
    this.client.receive(emitDhcp(message), SERVER_MAC);
  }

  /** Has a lease of 100 s. */
  bind(): this {
    this.client.start();
    this.answer(DHCP_OFFER);
    this.answer(DHCP_ACK);
    assert.equal(this.bound.length, 1);
    this.sent.splice(0, this.sent.length - 1);
    return this;
  }
}

test('discovers, requests what is offered, and has it', () => {
  const bench = new Bench();
  bench.client.start();
  const { message, path } = bench.last;
  assert.equal(dhcpMessageType(message.options), DHCP_DISCOVER);
  assert.equal(message.operation, BOOT_REQUEST);
  assert.deepEqual(path, { source: NONE });
  assert.deepEqual(message.hardwareAddress, MAC);
  assert.equal(Buffer.from(message.options.get(DHCP_OPTION.hostName) ?? []).toString(), 'box');
  bench.answer(DHCP_OFFER);
  assert.equal(bench.client.hasOffer, true);
  const { options, clientAddress } = bench.last.message;
  assert.equal(dhcpMessageType(options), DHCP_REQUEST);
  assert.equal(formatIp(addressOption(options, DHCP_OPTION.requestedAddress) ?? NONE), '10.0.2.15');
  assert.equal(formatIp(addressOption(options, DHCP_OPTION.serverId) ?? NONE), '10.0.2.2');
  assert.deepEqual(clientAddress, NONE);
  assert.equal(bench.bound.length, 0);
  bench.answer(DHCP_ACK);
  assert.deepEqual(
    bench.bound.map(({ address }) => formatPrefix(address)),
    ['10.0.2.15/24'],
  );
  assert.equal(bench.client.hasOffer, false);
});

test('asks again, at growing and uneven intervals, as long as nobody answers', () => {
  const bench = new Bench();
  bench.client.start();
  bench.clock.pass(600_000);
  const times = bench.sent.map(({ at }) => at);
  const pauses = times.slice(1).map((at, index) => at - times[index]!);
  for (const [index, pause] of pauses.entries()) {
    const middle = Math.min(64_000, 1000 * 2 ** index);
    assert.ok(pause >= middle * 0.75 && pause <= middle * 1.25, `pause ${index} of ${pause} ms`);
  }
  assert.ok(pauses.length > 10 && pauses.length < 20, `${pauses.length}`);
  assert.equal(new Set(bench.sent.map(({ message }) => message.transaction)).size, 1);
  assert.ok(bench.last.message.seconds > 500);
});

test('answers for others, to other questions and of other servers are not taken', () => {
  const bench = new Bench();
  bench.client.start();
  const { transaction } = bench.last.message;
  bench.answer(DHCP_OFFER, { transaction: transaction + 1 });
  bench.answer(DHCP_OFFER, { hardwareAddress: SERVER_MAC });
  bench.answer(DHCP_OFFER, { operation: BOOT_REQUEST });
  bench.answer(DHCP_OFFER, { yourAddress: parseIp('224.0.0.1') });
  bench.answer(DHCP_ACK);
  bench.client.receive(new Uint8Array(100), SERVER_MAC);
  assert.equal(bench.sent.length, 1);
  bench.answer(DHCP_OFFER);
  bench.answer(DHCP_ACK, {}, [[DHCP_OPTION.serverId, parseIp('10.0.2.9')]]);
  bench.answer(DHCP_NAK, {}, [[DHCP_OPTION.serverId, parseIp('10.0.2.9')]]);
  assert.equal(bench.bound.length, 0);
  assert.equal(bench.lastType(), DHCP_REQUEST);
});

test('an offer that is never confirmed is given up for another', () => {
  const bench = new Bench();
  bench.client.start();
  bench.answer(DHCP_OFFER);
  bench.takeTypes();
  bench.clock.pass(25_000);
  const types = bench.takeTypes();
  assert.deepEqual(types.slice(0, 4), [DHCP_REQUEST, DHCP_REQUEST, DHCP_REQUEST, DHCP_DISCOVER]);
});

test('renews at half of the lease from the server that gave it, from everybody later, and starts over at the end', () => {
  const bench = new Bench().bind();
  bench.clock.pass(49_999);
  assert.equal(bench.takeTypes().length, 1);
  bench.clock.pass(1);
  assert.deepEqual(bench.last.path, {
    source: parseIp('10.0.2.15'),
    server: { address: SERVER, mac: SERVER_MAC },
  });
  assert.deepEqual(bench.last.message.clientAddress, parseIp('10.0.2.15'));
  assert.equal(addressOption(bench.last.message.options, DHCP_OPTION.requestedAddress), undefined);
  assert.equal(addressOption(bench.last.message.options, DHCP_OPTION.serverId), undefined);
  bench.clock.pass(37_499);
  assert.ok(bench.sent.every(({ path }) => path.server !== undefined));
  const asked = bench.takeTypes().length;
  assert.ok(asked > 2 && asked < 10, `asked ${asked} times`);
  bench.clock.pass(1);
  assert.deepEqual(bench.last.path, { source: parseIp('10.0.2.15') });
  bench.clock.pass(12_499);
  assert.deepEqual(bench.lost, []);
  bench.takeTypes();
  bench.clock.pass(1);
  assert.equal(bench.lost.length, 1);
  assert.deepEqual(bench.takeTypes(), [DHCP_DISCOVER]);
  assert.equal(bench.client.lease, undefined);
});

test('a renewed lease counts from its request', () => {
  const bench = new Bench().bind();
  bench.takeTypes();
  for (let round = 0; round < 5; round++) {
    bench.clock.pass(50_000);
    assert.equal(bench.lastType(), DHCP_REQUEST);
    bench.clock.pass(100);
    bench.answer(DHCP_ACK);
    bench.clock.pass(49_899);
    assert.equal(bench.takeTypes().length, 1);
    bench.clock.pass(1);
    bench.answer(DHCP_ACK);
    bench.takeTypes();
  }
  assert.deepEqual(bench.lost, []);
  assert.equal(bench.bound.length, 11);
});

test('the times that a server tells are kept, when they make sense', () => {
  const bench = new Bench();
  bench.client.start();
  const times: [number, Uint8Array][] = [
    [DHCP_OPTION.renewalTime, numberValue(10, 4)],
    [DHCP_OPTION.rebindingTime, numberValue(20, 4)],
  ];
  bench.answer(DHCP_OFFER, {}, times);
  bench.answer(DHCP_ACK, {}, times);
  bench.takeTypes();
  bench.clock.pass(9999);
  assert.deepEqual(bench.takeTypes(), []);
  bench.clock.pass(1);
  assert.ok(bench.last.path.server !== undefined);
  bench.clock.pass(10_000);
  assert.equal(bench.last.path.server, undefined);
});

test('a lease for ever is never renewed', () => {
  const bench = new Bench();
  bench.client.start();
  const forEver: [number, Uint8Array][] = [[DHCP_OPTION.leaseTime, numberValue(0xffffffff, 4)]];
  bench.answer(DHCP_OFFER, {}, forEver);
  bench.answer(DHCP_ACK, {}, forEver);
  bench.takeTypes();
  bench.clock.pass(1e12);
  assert.deepEqual(bench.takeTypes(), []);
});

test('a refusal ends the lease, and refusals in a row are not answered at once', () => {
  const bench = new Bench().bind();
  bench.clock.pass(50_000);
  bench.answer(DHCP_NAK, { yourAddress: NONE });
  assert.equal(bench.lost.length, 1);
  bench.clock.pass(0);
  assert.equal(bench.lastType(), DHCP_DISCOVER);
  bench.takeTypes();
  bench.client.start();
  let asked = 0;
  for (let second = 0; second < 60; second++) {
    if (bench.sent.length > 0 && bench.lastType() === DHCP_DISCOVER) bench.answer(DHCP_OFFER);
    if (bench.sent.length > 0 && bench.lastType() === DHCP_REQUEST) bench.answer(DHCP_NAK, { yourAddress: NONE });
    asked += bench.takeTypes().length;
    bench.clock.pass(1000);
  }
  assert.ok(asked >= 6 && asked < 30, `${asked} messages in a minute`);
});

test('when the network is back, asks whether the address is good there', () => {
  const bench = new Bench().bind();
  bench.client.reconfirm();
  const { message, path } = bench.last;
  assert.deepEqual(path, { source: NONE });
  assert.equal(formatIp(addressOption(message.options, DHCP_OPTION.requestedAddress) ?? NONE), '10.0.2.15');
  assert.equal(addressOption(message.options, DHCP_OPTION.serverId), undefined);
  bench.answer(DHCP_ACK);
  assert.equal(bench.bound.length, 2);
  bench.client.reconfirm();
  bench.answer(DHCP_NAK, { yourAddress: NONE });
  assert.equal(bench.lost.length, 1);
  bench.clock.pass(0);
  assert.equal(bench.lastType(), DHCP_DISCOVER);
});

test('when nobody answers that, the lease goes on as it was', () => {
  const bench = new Bench().bind();
  bench.clock.pass(20_000);
  bench.client.reconfirm();
  bench.takeTypes();
  bench.clock.pass(29_999);
  const types = bench.takeTypes();
  assert.deepEqual(types, [DHCP_REQUEST, DHCP_REQUEST]);
  bench.clock.pass(1);
  assert.ok(bench.last.path.server !== undefined, 'it is renewed when it is due');
  assert.deepEqual(bench.lost, []);
});

test('gives the address back, and is silent from then on', () => {
  const bench = new Bench().bind();
  bench.client.release();
  assert.equal(bench.lastType(), DHCP_RELEASE);
  assert.deepEqual(bench.last.path, { source: parseIp('10.0.2.15'), server: { address: SERVER, mac: SERVER_MAC } });
  assert.deepEqual(bench.last.message.clientAddress, parseIp('10.0.2.15'));
  assert.equal(bench.clock.alarms, 0);
  const without = new Bench();
  without.client.start();
  without.client.release();
  assert.deepEqual(without.takeTypes(), [DHCP_DISCOVER]);
  assert.equal(without.clock.alarms, 0);
});

/** The lease that an acknowledgement with these options gives. */
function leaseWith(
  options: readonly (readonly [number, Uint8Array])[],
  changes: Partial<DhcpMessage> = {},
): Dhcp4Lease {
  const bench = new Bench();
  bench.client.start();
  bench.answer(DHCP_OFFER, changes);
  bench.answer(DHCP_ACK, changes, options);
  const [lease] = bench.bound;
  assert.ok(lease !== undefined);
  return lease;
}

function routesOf({ routes }: Dhcp4Lease): string[] {
  return routes.map(({ destination, gateway }) => {
    return `${formatPrefix(destination)} ${gateway === undefined ? 'on the link' : formatIp(gateway)}`;
  });
}

test('classless routes take the place of the router', () => {
  const router: [number, Uint8Array] = [DHCP_OPTION.router, parseIp('10.0.2.2')];
  assert.deepEqual(routesOf(leaseWith([router])), ['0.0.0.0/0 10.0.2.2']);
  const bytes = [0, 10, 0, 2, 9, 17, 192, 168, 255, 10, 0, 2, 8, 32, 1, 2, 3, 4, 0, 0, 0, 0];
  const classless: [number, Uint8Array] = [121, Uint8Array.from(bytes)];
  assert.deepEqual(routesOf(leaseWith([router, classless])), [
    '0.0.0.0/0 10.0.2.9',
    '192.168.128.0/17 10.0.2.8',
    '1.2.3.4/32 on the link',
  ]);
  for (const broken of [[33], [24, 10, 0], [8, 10, 1, 2, 3]]) {
    assert.deepEqual(routesOf(leaseWith([[121, Uint8Array.from(broken)]])), []);
  }
});

test('masks with holes, small MTUs and names that are none are not believed', () => {
  const mask = (text: string): [number, Uint8Array] => [DHCP_OPTION.subnetMask, parseIp(text)];
  assert.equal(leaseWith([mask('255.255.0.0')]).address.prefixLength, 16);
  assert.equal(leaseWith([mask('255.255.255.255')]).address.prefixLength, 32);
  assert.equal(leaseWith([mask('255.0.255.0')]).address.prefixLength, 8);
  assert.equal(leaseWith([mask('255.0.255.0')], { yourAddress: parseIp('192.0.2.1') }).address.prefixLength, 24);
  assert.equal(leaseWith([[DHCP_OPTION.mtu, numberValue(1400, 2)]]).mtu, 1400);
  assert.equal(leaseWith([[DHCP_OPTION.mtu, numberValue(68, 2)]]).mtu, undefined);
  const name = (text: string): [number, Uint8Array] => [DHCP_OPTION.domainName, Buffer.from(text)];
  assert.deepEqual(leaseWith([name('lan.example')]).searchDomains, ['lan.example']);
  assert.deepEqual(leaseWith([name('a\nnameserver 192.0.2.66')]).searchDomains, ['a', 'nameserver', '192.0.2.66']);
  const list = Uint8Array.of(...SERVER, 0, 0, 0, 0, ...parseIp('10.0.2.3'));
  assert.deepEqual(leaseWith([[DHCP_OPTION.nameServer, list]]).nameServers.map(formatIp), ['10.0.2.2', '10.0.2.3']);
});

test('a server that gives leases of no time is not asked all the time', () => {
  const bench = new Bench();
  bench.client.start();
  const nothing: [number, Uint8Array][] = [[DHCP_OPTION.leaseTime, numberValue(0, 4)]];
  bench.answer(DHCP_OFFER, {}, nothing);
  for (let tenth = 0; tenth < 100; tenth++) {
    if (bench.lastType() === DHCP_REQUEST) bench.answer(DHCP_ACK, {}, nothing);
    bench.clock.pass(100);
  }
  assert.ok(bench.sent.length < 20, `${bench.sent.length} messages in 10 s`);
});
