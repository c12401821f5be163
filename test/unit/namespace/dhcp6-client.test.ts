/** The DHCPv6 client as RFC 8415 has it, in a time of the test's own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dhcp6Client, type Dhcp6Information, type Dhcp6Lease } from '../../../src/namespace/auto/dhcp6-client.ts';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import {
  DHCPV6_ADVERTISE,
  DHCPV6_CONFIRM,
  DHCPV6_INFORMATION_REQUEST,
  DHCPV6_REBIND,
  DHCPV6_RELEASE,
  DHCPV6_RENEW,
  DHCPV6_REPLY,
  DHCPV6_REQUEST,
  DHCPV6_SOLICIT,
  DHCPV6_STATUS,
  type Dhcpv6Message,
  duidOfMac,
  emitDhcpv6,
  parseDhcpv6,
} from '../../../src/wire/dhcpv6.ts';
import { TestClock } from '../../fixtures/test-clock.ts';

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);
const SERVER = duidOfMac(Uint8Array.of(2, 0, 0, 0, 0, 1));
const ADDRESS = parseIp('fd07::100');

/** A client, what it sends and what it says. */
class Bench {
  readonly clock = new TestClock();
  readonly sent: { readonly at: number; readonly message: Dhcpv6Message }[] = [];
  readonly bound: Dhcp6Lease[] = [];
  readonly informed: Dhcp6Information[] = [];
  readonly lost: string[] = [];
  readonly client: Dhcp6Client;
  #drawn = 0;

  constructor() {
    this.client = new Dhcp6Client({
      clock: this.clock,
      random: () => (this.#drawn++ % 97) / 97,
      mac: MAC,
      send: (payload) => {
        const message = parseDhcpv6(payload);
        assert.ok(message !== undefined);
        this.sent.push({ at: this.clock.now(), message });
      },
      bound: (lease) => this.bound.push(lease),
      informed: (information) => this.informed.push(information),
      lost: (reason) => this.lost.push(reason),
    });
  }

  get last(): Dhcpv6Message {
    const last = this.sent.at(-1);
    assert.ok(last !== undefined, 'nothing was sent');
    return last.message;
  }

  takeTypes(): number[] {
    return this.sent.splice(0).map(({ message }) => message.type);
  }

  /** Answers the last question, with an address for 100 s unless told otherwise. */
  answer(type: number, changes: Partial<Dhcpv6Message> = {}): void {
    const association = {
      id: this.last.associations[0]?.id ?? 0,
      renewAfter: 50,
      rebindAfter: 80,
      addresses: [{ address: ADDRESS, preferredLifetime: 100, validLifetime: 100 }],
    };
    const associations = this.last.associations.length === 0 ? [] : [association];
    const { transaction, clientId } = this.last;
    const about = {
      type,
      transaction,
      ...(clientId === undefined ? {} : { clientId }),
      serverId: SERVER,
      associations,
    };
    const rest = {
      requestedOptions: [],
      isRapid: false,
      nameServers: [parseIp('fd07::1')],
      searchDomains: ['a.example'],
    };
    this.client.receive(emitDhcpv6({ ...about, ...rest, ...changes }));
  }

  bind(): this {
    this.client.solicit();
    this.answer(DHCPV6_ADVERTISE);
    this.answer(DHCPV6_REPLY);
    assert.equal(this.bound.length, 1);
    this.takeTypes();
    return this;
  }
}

test('solicits, requests what is advertised, and has it', () => {
  const bench = new Bench();
  bench.client.solicit();
  assert.equal(bench.last.type, DHCPV6_SOLICIT);
  assert.deepEqual(bench.last.clientId, duidOfMac(MAC));
  bench.answer(DHCPV6_REPLY);
  assert.equal(bench.bound.length, 0, 'a reply without rapid commit is none to a solicitation');
  bench.answer(DHCPV6_ADVERTISE);
  assert.equal(bench.last.type, DHCPV6_REQUEST);
  assert.deepEqual(bench.last.serverId, SERVER);
  bench.answer(DHCPV6_REPLY);
  const [lease] = bench.bound;
  assert.deepEqual(lease?.addresses.map(formatIp), ['fd07::100']);
  assert.deepEqual(lease?.nameServers.map(formatIp), ['fd07::1']);
  assert.deepEqual(lease?.searchDomains, ['a.example']);
});

test('two messages are enough where the server can', () => {
  const bench = new Bench();
  bench.client.solicit();
  assert.equal(bench.last.isRapid, true);
  bench.answer(DHCPV6_REPLY, { isRapid: true });
  assert.equal(bench.bound.length, 1);
});

test('answers for others, without a server, and without an address are not taken', () => {
  const bench = new Bench();
  bench.client.solicit();
  const { transaction } = bench.last;
  bench.answer(DHCPV6_ADVERTISE, { transaction: (transaction + 1) % 0x1000000 });
  bench.answer(DHCPV6_ADVERTISE, { clientId: SERVER });
  bench.answer(DHCPV6_ADVERTISE, { associations: [] });
  bench.answer(DHCPV6_ADVERTISE, { status: { code: DHCPV6_STATUS.noAddresses, message: 'none left' } });
  bench.client.receive(new Uint8Array(3));
  assert.deepEqual(bench.takeTypes(), [DHCPV6_SOLICIT]);
});

test('asks again, at growing intervals, as long as nobody answers', () => {
  const bench = new Bench();
  bench.client.solicit();
  bench.clock.pass(600_000);
  const times = bench.sent.map(({ at }) => at);
  for (const [index, at] of times.slice(1).entries()) {
    const pause = at - times[index]!;
    const middle = Math.min(120_000, 1000 * 2 ** index);
    assert.ok(pause >= middle * 0.9 && pause <= middle * 1.1, `pause ${index} of ${pause} ms`);
  }
  assert.ok(times.length > 7 && times.length < 14, `${times.length}`);
  assert.ok((bench.last.elapsedTime ?? 0) > 10_000);
});

test('renews, then rebinds, then starts over', () => {
  const bench = new Bench().bind();
  bench.clock.pass(49_999);
  assert.deepEqual(bench.takeTypes(), []);
  bench.clock.pass(1);
  assert.equal(bench.last.type, DHCPV6_RENEW);
  assert.deepEqual(bench.last.serverId, SERVER);
  assert.deepEqual(
    bench.last.associations[0]?.addresses.map(({ address }) => formatIp(address)),
    ['fd07::100'],
  );
  bench.clock.pass(30_000);
  assert.equal(bench.last.type, DHCPV6_REBIND);
  assert.equal(bench.last.serverId, undefined);
  bench.clock.pass(19_999);
  assert.deepEqual(bench.lost, []);
  bench.takeTypes();
  bench.clock.pass(1);
  assert.equal(bench.lost.length, 1);
  assert.deepEqual(bench.takeTypes(), [DHCPV6_SOLICIT]);
});

test('a renewal is a lease again', () => {
  const bench = new Bench().bind();
  for (let round = 0; round < 5; round++) {
    bench.clock.pass(50_000);
    assert.deepEqual(bench.takeTypes().length, 1);
    bench.client.reconfirm();
    assert.equal(bench.last.type, DHCPV6_CONFIRM);
    bench.answer(DHCPV6_REPLY, { status: { code: DHCPV6_STATUS.success, message: '' }, associations: [] });
    bench.clock.pass(29_999);
    bench.clock.pass(1);
    assert.equal(bench.last.type, DHCPV6_REBIND);
    bench.answer(DHCPV6_REPLY);
    bench.takeTypes();
  }
  assert.deepEqual(bench.lost, []);
  assert.equal(bench.bound.length, 6);
});

test('an address that is not good on this link, or that the server does not know, is given up', () => {
  const bench = new Bench().bind();
  bench.client.reconfirm();
  bench.answer(DHCPV6_REPLY, { status: { code: DHCPV6_STATUS.notOnLink, message: '' }, associations: [] });
  assert.equal(bench.lost.length, 1);
  assert.equal(bench.last.type, DHCPV6_SOLICIT);
  const other = new Bench().bind();
  other.clock.pass(50_000);
  const [asked] = other.last.associations;
  assert.ok(asked !== undefined);
  const status = { code: DHCPV6_STATUS.noBinding, message: '' };
  other.answer(DHCPV6_REPLY, { associations: [{ ...asked, addresses: [], status }] });
  assert.equal(other.lost.length, 1);
  assert.equal(other.last.type, DHCPV6_SOLICIT);
});

test('a server that advertises and then refuses is not asked all the time', () => {
  const bench = new Bench();
  bench.client.solicit();
  let asked = 0;
  for (let second = 0; second < 60; second++) {
    if (bench.sent.length > 0 && bench.last.type === DHCPV6_SOLICIT) bench.answer(DHCPV6_ADVERTISE);
    if (bench.sent.length > 0 && bench.last.type === DHCPV6_REQUEST) {
      const [association] = bench.last.associations;
      const status = { code: DHCPV6_STATUS.noAddresses, message: '' };
      bench.answer(DHCPV6_REPLY, { associations: [{ ...association!, addresses: [], status }] });
    }
    asked += bench.takeTypes().length;
    bench.clock.pass(1000);
  }
  assert.ok(asked > 20 && asked < 140, `${asked} messages in a minute`);
});

test('when nobody says whether the address is good, it is kept', () => {
  const bench = new Bench().bind();
  bench.client.reconfirm();
  bench.clock.pass(49_999);
  assert.deepEqual(new Set(bench.takeTypes()), new Set([DHCPV6_CONFIRM]));
  bench.clock.pass(1);
  assert.deepEqual(bench.takeTypes(), [DHCPV6_RENEW]);
  assert.deepEqual(bench.lost, []);
});

test('informs itself, and again when the time is over', () => {
  const bench = new Bench();
  bench.client.inform();
  assert.equal(bench.last.type, DHCPV6_INFORMATION_REQUEST);
  assert.deepEqual(bench.last.associations, []);
  bench.clock.pass(1500);
  assert.equal(bench.takeTypes().length, 2);
  bench.client.inform();
  assert.equal(bench.sent.length, 0);
  bench.clock.pass(5000);
  bench.answer(DHCPV6_REPLY, { refreshTime: 700 });
  assert.deepEqual(
    bench.informed.map(({ nameServers }) => nameServers.map(formatIp)),
    [['fd07::1']],
  );
  bench.takeTypes();
  bench.clock.pass(699_999);
  assert.deepEqual(bench.takeTypes(), []);
  bench.clock.pass(1);
  assert.deepEqual(bench.takeTypes(), [DHCPV6_INFORMATION_REQUEST]);
  bench.client.solicit();
  assert.deepEqual(bench.takeTypes(), [DHCPV6_SOLICIT]);
});

test('who asked for an address before a router was heard does not go on when the router has none', () => {
  const bench = new Bench();
  bench.client.solicit();
  bench.client.inform();
  assert.deepEqual(bench.takeTypes(), [DHCPV6_SOLICIT, DHCPV6_INFORMATION_REQUEST]);
  bench.client.solicit();
  bench.client.stopAsking();
  assert.equal(bench.clock.alarms, 0);
  const bound = new Bench().bind();
  bound.client.inform();
  bound.client.stopAsking();
  assert.deepEqual(bound.takeTypes(), []);
  assert.ok(bound.clock.alarms > 0);
});

test('gives the address back, and is silent from then on', () => {
  const bench = new Bench().bind();
  bench.client.release();
  assert.equal(bench.last.type, DHCPV6_RELEASE);
  assert.deepEqual(bench.last.serverId, SERVER);
  assert.equal(bench.clock.alarms, 0);
  assert.equal(bench.client.isIdle, true);
});
