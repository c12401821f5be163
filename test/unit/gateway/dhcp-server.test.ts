/** Conversations of DHCP clients with the gateway, frame by frame. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { formatMac } from '../../../src/net/mac.ts';
import { parsePrefix } from '../../../src/net/prefix.ts';
import { ARP_REPLY } from '../../../src/wire/arp.ts';
import {
  DHCP_ACK,
  DHCP_DECLINE,
  DHCP_DISCOVER,
  DHCP_INFORM,
  DHCP_NAK,
  DHCP_OFFER,
  DHCP_OPTION,
  DHCP_RELEASE,
  DHCP_REQUEST,
  type DhcpMessage,
  dhcpMessageType,
  numberOption,
  textOption,
  textValue,
} from '../../../src/wire/dhcp.ts';
import { parseDomainNames } from '../../../src/wire/domain-name.ts';
import { Bench, dhcpRequest, GATEWAY_MAC, guestMac, type HeardDhcp, ROUTER } from './guest-of-services.ts';

const { requestedAddress, serverId, clientId } = DHCP_OPTION;
const DAY_MS = 86_400_000;

const typeOf = (message: DhcpMessage | undefined): number | undefined => message && dhcpMessageType(message.options);
const yours = (message: DhcpMessage | undefined): string | undefined => message && formatIp(message.yourAddress);

/** Asks until it has an address; which. */
function configure(
  bench: Bench,
  n: number,
  options: readonly (readonly [number, Uint8Array])[] = [],
): string | undefined {
  const offer = bench.dhcp(dhcpRequest(guestMac(n), DHCP_DISCOVER, options));
  if (offer === undefined) return undefined;
  assert.equal(typeOf(offer), DHCP_OFFER);
  const choice = [[requestedAddress, offer.yourAddress] as const, [serverId, ROUTER] as const];
  const answer = bench.dhcp(dhcpRequest(guestMac(n), DHCP_REQUEST, [...options, ...choice]));
  assert.equal(typeOf(answer), DHCP_ACK);
  assert.equal(yours(answer), yours(offer));
  return yours(answer);
}

/** One that knows an address and says so without asking before (INIT-REBOOT). */
function reboot(bench: Bench, n: number, address: string): HeardDhcp | undefined {
  return bench.dhcp(dhcpRequest(guestMac(n), DHCP_REQUEST, [[requestedAddress, parseIp(address)]]));
}

test('a guest is offered the first address, and gets it with all there is to know', () => {
  const bench = new Bench();
  const offer = bench.dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER));
  assert.ok(offer);
  assert.deepEqual([typeOf(offer), yours(offer), formatIp(offer.serverAddress)], [DHCP_OFFER, '10.0.2.15', '10.0.2.2']);
  assert.deepEqual([...offer.options.keys()], [53, 54, 1, 3, 6, 51, 12]);
  const answer = bench.dhcp(
    dhcpRequest(guestMac(1), DHCP_REQUEST, [
      [requestedAddress, offer.yourAddress],
      [serverId, ROUTER],
    ]),
  );
  assert.ok(answer);
  const address = (code: number): string => formatIp(answer.options.get(code)!);
  assert.deepEqual([54, 1, 3, 6].map(address), ['10.0.2.2', '255.255.255.0', '10.0.2.2', '10.0.2.3']);
  assert.equal(numberOption(answer.options, 51, 4), 86_400);
  assert.equal(textOption(answer.options, 12), 'slirp');
  assert.equal(answer.transaction, 0xcafe0001);
  assert.equal(bench.learned.get('10.0.2.15'), formatMac(guestMac(1)));
});

test('what is configured is told', () => {
  const bench = new Bench({
    hostName: 'guest',
    domainName: 'lan.example',
    searchDomains: ['a.example', 'b.example'],
    tftpServerName: 'boot',
    bootFile: 'pxelinux.0',
    mtu: 1400,
  });
  const offer = bench.dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER));
  assert.ok(offer);
  assert.deepEqual([...offer.options.keys()], [53, 54, 1, 3, 6, 51, 12, 15, 66, 26, 119]);
  assert.deepEqual(
    [12, 15, 66].map((code) => textOption(offer.options, code)),
    ['guest', 'lan.example', 'boot'],
  );
  assert.equal(numberOption(offer.options, 26, 2), 1400);
  assert.deepEqual(parseDomainNames(offer.options.get(119)!), ['a.example', 'b.example']);
  assert.equal(offer.file, 'pxelinux.0');
});

test('a name of a file that is too long for its field is an option', () => {
  const bootFile = 'x'.repeat(130);
  const offer = new Bench({ bootFile }).dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER));
  assert.deepEqual([offer?.file, offer && textOption(offer.options, DHCP_OPTION.bootFile)], ['', bootFile]);
});

test('a search list for which a client has no room is left out, and not cut', () => {
  const searchDomains = Array.from({ length: 40 }, (_, i) => `part${i}.example`);
  const bench = new Bench({ searchDomains });
  assert.equal(bench.dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER))?.options.has(119), false);
  const roomy = bench.dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER, [[57, Uint8Array.of(5, 220)]]));
  assert.deepEqual(parseDomainNames(roomy!.options.get(119)!), searchDomains);
});

test('a gateway without a way out gives neither router nor resolver', () => {
  const offer = new Bench({ isRestricted: true }).dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER));
  assert.deepEqual([...offer!.options.keys()], [53, 54, 1, 51, 12]);
});

test('the answer goes to the new address, to everybody when the client wants that, or to the address that it has', () => {
  const bench = new Bench();
  const discover = dhcpRequest(guestMac(1), DHCP_DISCOVER);
  const quiet = bench.dhcp(discover)!;
  assert.deepEqual([quiet.to, quiet.toMac, quiet.from], ['10.0.2.15', formatMac(guestMac(1)), '10.0.2.2']);
  const loud = bench.dhcp({ ...discover, isBroadcast: true })!;
  assert.deepEqual([loud.to, loud.toMac, loud.isBroadcast], ['255.255.255.255', 'ff:ff:ff:ff:ff:ff', true]);
  const renewal = { ...dhcpRequest(guestMac(1), DHCP_REQUEST), clientAddress: parseIp('10.0.2.15'), isBroadcast: true };
  const renewed = bench.dhcp(renewal)!;
  assert.deepEqual([renewed.to, typeOf(renewed), yours(renewed)], ['10.0.2.15', DHCP_ACK, '10.0.2.15']);
});

test('each guest has its own address, the same one each time', () => {
  const bench = new Bench();
  assert.equal(configure(bench, 1), '10.0.2.15');
  assert.equal(configure(bench, 2), '10.0.2.16');
  assert.equal(configure(bench, 1), '10.0.2.15');
  bench.now += 2 * DAY_MS;
  assert.equal(configure(bench, 2), '10.0.2.16');
  assert.equal(configure(bench, 3), '10.0.2.17');
});

test('the client identifier counts, not the interface', () => {
  const bench = new Bench();
  const id = [[clientId, Uint8Array.of(255, 1, 2, 3)]] as const;
  assert.equal(configure(bench, 1, id), '10.0.2.15');
  assert.equal(configure(bench, 1), '10.0.2.16');
  assert.equal(configure(bench, 2, id), '10.0.2.15');
});

test('the address that a client asks for is given when it is free', () => {
  const bench = new Bench();
  const wish = [[requestedAddress, parseIp('10.0.2.77')]] as const;
  assert.equal(yours(bench.dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER, wish))), '10.0.2.77');
  assert.equal(yours(bench.dhcp(dhcpRequest(guestMac(2), DHCP_DISCOVER, wish))), '10.0.2.15');
  assert.equal(typeOf(reboot(bench, 3, '10.0.2.100')), DHCP_ACK);
  // The client that comes back gets what it had, whatever it would like.
  assert.equal(configure(bench, 1, [[requestedAddress, parseIp('10.0.2.78')]]), '10.0.2.77');
});

test('an address of others, of elsewhere, or of the gateway, is refused with a reason, before everybody', () => {
  const bench = new Bench();
  configure(bench, 1);
  const taken = reboot(bench, 2, '10.0.2.15')!;
  assert.deepEqual([typeOf(taken), taken.to, yours(taken)], [DHCP_NAK, '255.255.255.255', '0.0.0.0']);
  assert.deepEqual([...taken.options.keys()], [53, 54, 56]);
  assert.equal(textOption(taken.options, 56), '10.0.2.15 is not free');
  assert.equal(textOption(reboot(bench, 2, '192.168.1.5')!.options, 56), '192.168.1.5 is not of this network');
  for (const address of ['10.0.2.2', '10.0.2.3', '10.0.2.255', '10.0.2.0', '10.0.2.5']) {
    assert.equal(typeOf(reboot(bench, 2, address)), DHCP_NAK, address);
  }
});

test('an address that a guest was heard with is given to nobody else', () => {
  const bench = new Bench();
  const senderMac = guestMac(9);
  const announce = (address: string): unknown =>
    bench.arp({
      operation: ARP_REPLY,
      senderMac,
      senderIp: parseIp(address),
      targetMac: GATEWAY_MAC,
      targetIp: ROUTER,
    });
  announce('10.0.2.15');
  const offer = bench.dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER));
  assert.equal(yours(offer), '10.0.2.16');
  // Its holder answers what it is asked when the address is offered.
  announce('10.0.2.16');
  assert.equal(typeOf(reboot(bench, 1, '10.0.2.16')), DHCP_NAK);
  assert.equal(configure(bench, 9), '10.0.2.15');
  bench.now += 700_000;
  assert.equal(configure(bench, 1), '10.0.2.16');
});

test('an offer is kept for a minute', () => {
  const bench = new Bench();
  for (let n = 1; n <= 240; n++) assert.ok(bench.dhcp(dhcpRequest(guestMac(n), DHCP_DISCOVER)));
  assert.equal(bench.dhcp(dhcpRequest(guestMac(241), DHCP_DISCOVER)), undefined);
  assert.match(bench.lines.at(-1)!, /no address is free/);
  bench.now += 60_000;
  assert.equal(configure(bench, 241), '10.0.2.15');
});

test('who takes another server frees what it was offered', () => {
  const bench = new Bench();
  bench.dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER));
  const elsewhere = [
    [requestedAddress, parseIp('10.0.2.15')],
    [serverId, parseIp('10.0.2.9')],
  ] as const;
  assert.equal(bench.dhcp(dhcpRequest(guestMac(1), DHCP_REQUEST, elsewhere)), undefined);
  assert.equal(typeOf(reboot(bench, 2, '10.0.2.15')), DHCP_ACK);
});

test('an address that is given back is free, one that is declined is left alone for a while', () => {
  const bench = new Bench();
  configure(bench, 1);
  const release = { ...dhcpRequest(guestMac(1), DHCP_RELEASE), clientAddress: parseIp('10.0.2.15') };
  assert.equal(bench.dhcp({ ...release, hardwareAddress: guestMac(2) }), undefined);
  assert.equal(typeOf(reboot(bench, 2, '10.0.2.15')), DHCP_NAK);
  assert.equal(bench.dhcp(release), undefined);
  assert.equal(typeOf(reboot(bench, 2, '10.0.2.15')), DHCP_ACK);
  const decline = dhcpRequest(guestMac(2), DHCP_DECLINE, [[requestedAddress, parseIp('10.0.2.15')]]);
  assert.equal(bench.dhcp({ ...decline, hardwareAddress: guestMac(3) }), undefined);
  assert.equal(typeOf(reboot(bench, 2, '10.0.2.15')), DHCP_ACK);
  assert.equal(bench.dhcp(decline), undefined);
  assert.equal(typeOf(reboot(bench, 2, '10.0.2.15')), DHCP_NAK);
  bench.now += 600_000;
  assert.equal(typeOf(reboot(bench, 2, '10.0.2.15')), DHCP_ACK);
});

test('a guest with an address of its own is told the rest, and no lease', () => {
  const inform = { ...dhcpRequest(guestMac(1), DHCP_INFORM), clientAddress: parseIp('10.0.2.50') };
  const answer = new Bench().dhcp(inform)!;
  assert.deepEqual([answer.to, typeOf(answer), yours(answer)], ['10.0.2.50', DHCP_ACK, '0.0.0.0']);
  assert.deepEqual([...answer.options.keys()], [53, 54, 1, 3, 6, 12]);
});

test('a machine that boots by BOOTP gets an address for ever', () => {
  const bench = new Bench({ bootFile: 'kernel' });
  const answer = bench.dhcp(dhcpRequest(guestMac(1), undefined))!;
  assert.deepEqual([yours(answer), answer.file, [...answer.options.keys()]], ['10.0.2.15', 'kernel', [1, 3, 6, 12]]);
  bench.now += 400 * DAY_MS;
  assert.equal(typeOf(reboot(bench, 2, '10.0.2.15')), DHCP_NAK);
});

test('a network in which there is no room for a guest offers nothing', () => {
  const ipv4 = { router: parsePrefix('10.0.2.2/30'), nameServer: parseIp('10.0.2.1'), firstLease: parseIp('10.0.2.3') };
  assert.equal(new Bench({ ipv4 }).dhcp(dhcpRequest(guestMac(1), DHCP_DISCOVER)), undefined);
});

test('replies, messages of relays, and to others, are passed over', () => {
  const bench = new Bench();
  const discover = dhcpRequest(guestMac(1), DHCP_DISCOVER);
  assert.equal(bench.dhcp({ ...discover, operation: 2 }), undefined);
  assert.equal(bench.dhcp({ ...discover, relayAddress: parseIp('10.0.2.9') }), undefined);
  assert.equal(bench.dhcp(dhcpRequest(guestMac(1), DHCP_OFFER)), undefined);
  assert.equal(bench.dhcp(discover, parseIp('10.0.2.2')), undefined);
});

test('the name that a guest gives itself stays on its line', () => {
  const bench = new Bench();
  configure(bench, 1, [[DHCP_OPTION.hostName, textValue('a\nb')]]);
  assert.equal(bench.lines.at(-1), 'DHCP: 10.0.2.15 is for 02:00:00:00:00:01 (a\\x0ab)');
});

test('ten thousand clients are no more than the table', () => {
  const ipv4 = { router: parsePrefix('10.0.0.1/8'), nameServer: parseIp('10.0.0.2'), firstLease: parseIp('10.0.0.3') };
  const bench = new Bench({ ipv4 });
  let answered = 0;
  for (let n = 0; n < 10_000; n++) if (bench.dhcp(dhcpRequest(guestMac(n), DHCP_DISCOVER)) !== undefined) answered++;
  assert.equal(answered, 4096);
});
