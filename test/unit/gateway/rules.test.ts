/** Where packets of guests lead, as a table; and the bytes of the rules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { GatewayConfig } from '../../../src/gateway/gateway-config.ts';
import {
  emitRules,
  findRule,
  gatewayRules,
  hostLoopbackAddresses,
  RULE_BYTES,
  RULE_ECHO,
  RULE_TCP,
  RULE_UDP,
  type Rule,
} from '../../../src/gateway/rules.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { gatewayConfig } from '../../../src/locator/slirp-locator.ts';
import { formatIp, isLoopbackIp, parseIp } from '../../../src/net/ip.ts';
import { parseSocketAddress } from '../../../src/net/socket-address.ts';

const RESOLVER = { address: parseIp('127.0.0.53'), port: 53 };
const PROTOCOLS = { tcp: RULE_TCP, udp: RULE_UDP, ping: RULE_ECHO } as const;

function configOf(options: string): GatewayConfig {
  return gatewayConfig(parseLocator(`slirp://${options}`));
}

function rulesOf(options: string, resolver = RESOLVER): Rule[] {
  return gatewayRules(configOf(options), resolver, [parseIp('10.255.0.1')]);
}

/** What becomes of a packet: `tcp 10.0.2.2 80` is, for example, `127.0.0.1:0`. */
function fate(rules: readonly Rule[], packet: string): string {
  const [protocol = '', address = '', port = '0'] = packet.split(' ');
  const rule = findRule(rules, PROTOCOLS[protocol as keyof typeof PROTOCOLS], parseIp(address), Number(port));
  if (rule === undefined) return 'pass';
  return rule.to === undefined ? rule.action : `${formatIp(rule.to.address)}:${rule.to.port}`;
}

test('where packets lead', () => {
  const table: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    [
      '',
      {
        'tcp 93.184.216.34 443': 'pass',
        'udp 93.184.216.34 53': 'pass',
        'ping 93.184.216.34': 'pass',
        'tcp 2001:db8::1 443': 'pass',
        'ping 2001:db8::1': 'pass',
        'tcp 192.168.1.1 80': 'pass',
        'tcp 10.0.3.1 80': 'pass',
        'udp 8.8.8.8 67': 'pass',
        // The name server is the host's resolver, on every port unless the host's loopback interface is out of reach.
        'udp 10.0.2.3 53': '127.0.0.53:0',
        'tcp 10.0.2.3 53': '127.0.0.53:0',
        'udp 10.0.2.3 8053': '127.0.0.53:0',
        'udp fd00::3 53': '127.0.0.53:0',
        'tcp fd00::3 853': '127.0.0.53:0',
        // The router is the host's loopback interface, but for what it serves itself.
        'tcp 10.0.2.2 80': '127.0.0.1:0',
        'udp 10.0.2.2 69': '127.0.0.1:0',
        'udp 10.0.2.2 53': '127.0.0.1:0',
        'tcp fd00::2 80': '::1:0',
        'udp fd00::2 1': '::1:0',
        'udp 10.0.2.2 67': 'script',
        'tcp 10.0.2.2 67': '127.0.0.1:0',
        'udp 255.255.255.255 67': 'script',
        'udp 255.255.255.255 68': 'drop',
        'udp fd00::2 547': 'script',
        'udp ff02::1:2 547': 'script',
        'udp ff02::1:2 546': 'drop',
        'udp fe80::2 547': 'script',
        // Nobody else in the guests' network.
        'tcp 10.0.2.4 80': 'refuse',
        'tcp 10.0.2.15 22': 'refuse',
        'ping 10.0.2.77': 'refuse',
        'udp 10.0.2.255 137': 'drop',
        'udp 10.0.2.0 137': 'drop',
        'tcp fd00::15 22': 'refuse',
        'tcp fd00:0:0:1::15 22': 'pass',
        // The host by other names.
        'tcp 127.0.0.1 80': 'drop',
        'udp 127.255.255.254 53': 'drop',
        'tcp 0.0.0.0 80': 'drop',
        'tcp 0.1.2.3 80': 'drop',
        'tcp ::1 80': 'drop',
        'tcp :: 80': 'drop',
        'tcp ::7f00:1 80': 'drop',
        'tcp 10.255.0.1 80': 'pass',
        // What no router forwards.
        'udp 224.0.0.251 5353': 'drop',
        'udp 239.1.2.3 1': 'drop',
        'tcp 240.0.0.1 1': 'drop',
        'tcp 255.255.255.255 1': 'drop',
        'udp ff02::fb 5353': 'drop',
        'udp ff0e::1 1': 'drop',
        'tcp 169.254.169.254 80': 'refuse',
        'tcp fe80::1 80': 'refuse',
        'udp febf::1 80': 'refuse',
      },
    ],
    [
      '/disable_host_loopback',
      {
        'tcp 10.0.2.2 80': 'refuse',
        'udp fd00::2 80': 'refuse',
        'udp 10.0.2.2 67': 'script',
        'udp 10.0.2.3 53': '127.0.0.53:0',
        'tcp fd00::3 53': '127.0.0.53:0',
        'tcp 10.0.2.3 80': 'refuse',
        'udp 10.0.2.3 52': 'refuse',
        'udp 10.0.2.3 54': 'refuse',
        'tcp fd00::3 853': 'refuse',
        'tcp 10.255.0.1 80': 'refuse',
        'tcp 93.184.216.34 443': 'pass',
      },
    ],
    [
      '/restricted/tcpfwd=1:10.0.2.15:2/cmdfwd=7:cat,10.0.2.2:8:cat',
      {
        'tcp 10.0.2.4 7': 'script',
        'tcp 10.0.2.2 8': 'script',
        'udp 10.0.2.4 7': 'refuse',
        'udp 10.0.2.2 67': 'script',
        'udp 255.255.255.255 67': 'script',
        'udp 10.0.2.3 53': 'refuse',
        'tcp fd00::3 53': 'refuse',
        'tcp 10.0.2.2 80': 'refuse',
        'tcp 93.184.216.34 443': 'refuse',
        'tcp 2001:db8::1 443': 'refuse',
        'ping 2001:db8::1': 'refuse',
        'ping 8.8.8.8': 'refuse',
        'udp 224.0.0.251 5353': 'drop',
      },
    ],
    [
      '/tftp_path=./unixfwd=80:x',
      {
        'udp 10.0.2.2 69': 'script',
        'udp fd00::2 69': 'script',
        'tcp 10.0.2.2 69': '127.0.0.1:0',
        'udp 10.0.2.3 69': '127.0.0.53:0',
        'tcp 10.0.2.4 80': 'script',
        'tcp 10.0.2.4 81': 'refuse',
      },
    ],
    ['/restricted/tftp_path=.', { 'udp 10.0.2.2 69': 'script' }],
    ['/v4', { 'tcp 8.8.8.8 1': 'pass', 'tcp 2001:db8::1 1': 'drop', 'tcp 10.0.2.2 1': '127.0.0.1:0' }],
    [
      '/v6',
      { 'tcp 8.8.8.8 1': 'drop', 'tcp 2001:db8::1 1': 'pass', 'tcp 10.0.2.2 1': 'drop', 'tcp fd00::2 1': '::1:0' },
    ],
    [
      '/addr=10.1.0.2%2f16',
      {
        'tcp 10.0.2.2 1': 'pass',
        'tcp 10.1.99.99 1': 'refuse',
        'udp 10.1.255.255 1': 'drop',
        'udp 10.1.2.3 53': '127.0.0.53:0',
      },
    ],
    // A network that others have, too: what the guests call theirs is theirs.
    ['/addr=192.168.1.1', { 'tcp 192.168.1.77 80': 'refuse' }],
  ];
  for (const [options, fates] of table) {
    const rules = rulesOf(options);
    for (const [packet, expected] of Object.entries(fates)) {
      assert.equal(fate(rules, packet), expected, `slirp://${options}: ${packet}`);
    }
  }
});

test('the name server is no way to the loopback interface of the host when that is out of reach', () => {
  const table = [
    ['127.0.0.1', 'refuse'],
    ['127.9.9.9', 'refuse'],
    ['::1', 'refuse'],
    ['::ffff:127.0.0.1', 'refuse'],
    ['::ffff:10.255.0.1', 'refuse'],
    ['10.255.0.1', 'refuse'],
    ['fe80::1', 'refuse', 1],
    ['fe80::1', 'fe80::1:0', 2],
    ['10.0.0.1', '10.0.0.1:0'],
    ['2001:db8::1', '2001:db8::1:0'],
  ] as const;
  for (const [address, expected, scope] of table) {
    const resolver = { address: parseIp(address), port: 53, ...(scope && { scope }) };
    const rules = rulesOf('/disable_host_loopback', resolver);
    assert.equal(fate(rules, 'udp 10.0.2.3 53'), `${address}:0`);
    assert.equal(fate(rules, 'tcp fd00::3 53'), `${address}:0`);
    for (const packet of ['tcp 10.0.2.3 80', 'udp 10.0.2.3 80', 'tcp fd00::3 80', 'udp fd00::3 853']) {
      assert.equal(fate(rules, packet), expected, `${packet}, ${address}`);
      assert.equal(fate(rulesOf('', resolver), packet), `${address}:0`);
      assert.equal(fate(rulesOf('/restricted', resolver), packet), 'refuse');
    }
  }
});

test('a service that is asked for is found from its rule', () => {
  const config = configOf('/unixfwd=80:x/cmdfwd=7:cat -u');
  const rules = gatewayRules(config, RESOLVER);
  assert.deepEqual(findRule(rules, RULE_TCP, parseIp('10.0.2.4'), 80)?.service?.to, { kind: 'unix', path: 'x' });
  const words = ['cat', '-u'];
  assert.deepEqual(findRule(rules, RULE_TCP, parseIp('10.0.2.4'), 7)?.service?.to, { kind: 'command', words });
});

test('no destination leads to the host unless it is the router, and nothing of IPv4 by way of IPv6 rules', () => {
  const rules = rulesOf('/disable_host_loopback');
  const byte = fc.integer({ min: 0, max: 255 });
  const v4 = fc.array(byte, { minLength: 4, maxLength: 4 }).map((bytes) => Uint8Array.from(bytes));
  fc.assert(
    fc.property(
      v4,
      fc.constantFrom(RULE_TCP, RULE_UDP),
      fc.integer({ min: 0, max: 65_535 }),
      (address, protocol, port) => {
        const rule = findRule(rules, protocol, address, port);
        if (address[0] === 127 || address[0] === 0 || address[0]! >= 224) assert.ok(rule?.action !== undefined);
        if (rule?.to !== undefined) assert.equal(formatIp(address), '10.0.2.3');
      },
    ),
  );
});

test('the bytes of rules, as the datapath takes them', () => {
  const resolver = { address: parseIp('fe80::53'), port: 53, scope: 3 };
  const rules = rulesOf('/v4', resolver);
  const index = rules.findIndex(({ purpose }) => purpose === 'name-server');
  const bytes = emitRules(rules);
  assert.equal(bytes.length, rules.length * RULE_BYTES);
  const one = bytes.subarray(index * RULE_BYTES, (index + 1) * RULE_BYTES);
  const words = new Uint32Array(one.slice().buffer, 0, 6);
  assert.deepEqual([...words], [RULE_TCP | RULE_UDP, 128, 53, 53, 1, 0]);
  assert.equal(formatIp(one.subarray(24, 40)), '::ffff:10.0.2.3');
  assert.deepEqual(parseSocketAddress(one.subarray(40, 68)), { address: resolver.address, port: 0, scope: 3 });
  assert.deepEqual([...one.subarray(68)], [0, 0, 0, 0]);
  const loopback = bytes.subarray((index + 2) * RULE_BYTES);
  assert.deepEqual([...new Uint32Array(bytes.buffer, (index + 2) * RULE_BYTES, 6)].slice(2, 4), [0, 65_535]);
  assert.deepEqual(parseSocketAddress(loopback.subarray(40, 56)), { address: parseIp('127.0.0.1'), port: 0 });
  // An IPv4 prefix counts the bits of the form that the datapath has.
  const guests = rules.findIndex(({ purpose, destination }) => purpose === 'guests' && destination.prefixLength === 24);
  assert.equal(new Uint32Array(bytes.buffer, guests * RULE_BYTES, 6)[1], 120);
  assert.equal(new Uint32Array(bytes.buffer, guests * RULE_BYTES, 6)[4], 2);
});

test('there is room for all rules of a gateway that has everything', () => {
  const services = Array.from({ length: 128 }, (_, i) => `${i + 1}:x`).join(',');
  const many = Array.from({ length: 99 }, (_, i) => parseIp(`10.255.0.${i}`));
  const rules = gatewayRules(
    configOf(`/restricted/disable_host_loopback/tftp_path=./unixfwd=${services}`),
    RESOLVER,
    many,
  );
  assert.ok(rules.length <= 256, String(rules.length));
});

test("the loopback interface's other addresses are those of the machine", () => {
  for (const address of hostLoopbackAddresses()) assert.equal(isLoopbackIp(address), false);
});
