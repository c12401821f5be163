/** vxvde:// and vxlan://: what each option says, what is said when it makes no sense, and which go together. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VdensError } from '../../../src/errors.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { vxlanOptions, vxvdeOptions } from '../../../src/locator/overlay-locator.ts';
import type { VxlanOptions } from '../../../src/overlay/overlay-options.ts';
import { MAX_PEERS } from '../../../src/overlay/peer-name.ts';

const egid = process.getegid?.() ?? 0;
const defaults = { port: 14789, vni: 1, tableSize: 1024, expireMs: 128_000, peers: [] };
const vxlanDefaults = { ...defaults, port: 4789 };

function read(text: string): Promise<VxlanOptions> {
  const locator = parseLocator(text);
  return locator.scheme === 'vxvde' ? vxvdeOptions(locator) : vxlanOptions(locator);
}

/** Each text says the defaults, but for what stands beside it. */
async function check(table: readonly (readonly [string, Partial<VxlanOptions>])[]): Promise<void> {
  for (const [text, others] of table) {
    const usual = text.startsWith('vxvde') ? defaults : vxlanDefaults;
    assert.deepEqual(await read(text), { ...usual, ...others }, text);
  }
}

async function refuses(table: readonly (readonly [string, string])[]): Promise<void> {
  for (const [text, message] of table) {
    await assert.rejects(read(text), { code: 'ERR_LOCATOR', message: `${text}: ${message}` }, text);
  }
}

test('nothing but the scheme means the usual group, IPv4', () =>
  check([
    ['vxvde://', {}],
    ['vxlan://', {}],
  ]));

test('numbers are taken, up to their bounds', () =>
  check([
    ['vxvde:///port=1/ttl=0', { port: 1, ttl: 0 }],
    ['vxvde:///port=65535/ttl=255/hashsize=0/expiretime=1', { port: 65535, ttl: 255, tableSize: 0, expireMs: 1000 }],
    ['vxvde:///hashsize=16777216/expiretime=2147483', { tableSize: 16777216, expireMs: 2147483000 }],
    ['vxlan:///vni=0', { vni: 0 }],
    ['vxlan:///vni=16777215/port=8472', { vni: 16777215, port: 8472 }],
    ['vxvde:///vni=0042', { vni: 42 }],
    ['vxvde:///rcvbuf=4096', { receiveBufferBytes: 4096 }],
    ['vxvde:///rcvbuf=4M', { receiveBufferBytes: 4_194_304 }],
    ['vxlan:///rcvbuf=4kk', { receiveBufferBytes: 4_194_304 }],
    ['vxvde:///rcvbuf=0x10k', { receiveBufferBytes: 16_384 }],
    ['vxvde:///rcvbuf=010', { receiveBufferBytes: 8 }],
    ['vxvde:///rcvbuf=1g', { receiveBufferBytes: 1_073_741_824 }],
  ]));

test('numbers that make no sense are refused, with one that does', () => {
  const ports = 'is not a number from 1 to 65535. Write, for example, /port=';
  const vnis = 'is not a number from 0 to 16777215. Write, for example, /';
  const sizes = 'is not a size from 1 byte to 1073741824. Write, for example, /rcvbuf=4M';
  const seconds = 'is not a number from 1 to 2147483. Write, for example, /expiretime=256';
  return refuses([
    ...['0', '65536', '', 'x', '+1', '0x50', '1.5', '-1'].flatMap((port) => [
      [`vxvde:///port=${port}`, `port "${port}" ${ports}14789`] as const,
      [`vxlan:///port=${port}`, `port "${port}" ${ports}4789`] as const,
    ]),
    ['vxlan:///vni=16777216', `vni "16777216" ${vnis}vni=42`],
    ['vxlan:///vni=', `vni "" ${vnis}vni=42`],
    ['vxlan:///vni=root', `vni "root" ${vnis}vni=42`],
    ['vxvde:///vni=16777216', `vni "16777216" ${vnis}vni=1000`],
    ['vxvde:///vni=0x10', `vni "0x10" ${vnis}vni=1000`],
    ['vxvde:///vni=-1', `vni "-1" ${vnis}vni=1000`],
    ['vxvde:///grp=1600000000', `grp "1600000000" ${vnis}grp=1000`],
    ['vxvde:///ttl=256', 'ttl "256" is not a number from 0 to 255. Write, for example, /ttl=8'],
    ['vxlan:///ttl=', 'ttl "" is not a number from 0 to 255. Write, for example, /ttl=8'],
    ...['', '0', '4MB', '1.5M', 'M', '2g', '1t', '09', '0x', '-4', '99999999999999999999'].map(
      (size) => [`vxvde:///rcvbuf=${size}`, `rcvbuf "${size}" ${sizes}`] as const,
    ),
    [
      'vxvde:///hashsize=16777217',
      'hashsize "16777217" is not a number from 0 to 16777216. Write, for example, /hashsize=256',
    ],
    ['vxvde:///expiretime=0', `expiretime "0" ${seconds}`],
    ['vxlan:///expiretime=-1', `expiretime "-1" ${seconds}`],
  ]);
});

test('a Unix group is a number in the address of the multicast group, and the network', async () => {
  await check([
    ['vxvde:///grp=1000', { groupNumber: 1000, vni: 1000 }],
    ['vxvde:///grp=root', { groupNumber: 0, vni: 0 }],
    ['vxvde:///grp=', { groupNumber: egid, vni: egid }],
    ['vxvde:///grp=1000/vni=7', { groupNumber: 1000, vni: 7 }],
    ['vxvde:///vni=daemon', { vni: 1 }],
    ['vxvde:///vni=bin', { vni: 2 }],
    ['vxvde:///vni=', { vni: egid }],
    ['vxvde:///vni', { vni: egid }],
    ['vxvde://239.1.2.3/grp=5', { group: '239.1.2.3', family: 4, groupNumber: 5, vni: 5 }],
    ['vxlan:///grp=1000', { groupNumber: 1000, vni: 1000 }],
    ['vxlan:///grp=1000/vni=7', { groupNumber: 1000, vni: 7 }],
    // Where there is no multicast group, its address has no number.
    ['vxvde:///grp=1000/peer=box', { vni: 1000, peers: [{ host: 'box', port: 14789 }] }],
  ]);
  const missing = 'there is no group "no-such-group". See: getent group';
  await refuses([
    ['vxvde:///grp=no-such-group', missing],
    ['vxvde:///vni=no-such-group', missing],
    ['vxvde:///grp=root:x', 'there is no group "root:x". See: getent group'],
  ]);
});

test('the multicast group is a name or an address, and says IPv4 or IPv6', async () => {
  await check([
    ['vxvde://239.1.2.3', { group: '239.1.2.3', family: 4 }],
    ['vxvde://224.0.0.251', { group: '224.0.0.251', family: 4 }],
    ['vxvde://ff15::3/port=12345/vni=42', { group: 'ff15::3', family: 6, port: 12345, vni: 42 }],
    ['vxvde://[ff15::3]', { group: 'ff15::3', family: 6 }],
    ['vxlan://FF05:56DE::1', { group: 'FF05:56DE::1', family: 6 }],
    ['vxlan://lan.example.org', { group: 'lan.example.org' }],
    ['vxvde://ff02::3/if=eth0', { group: 'ff02::3', family: 6, interfaceName: 'eth0' }],
  ]);
  const example = 'Write, for example, vxvde://239.0.0.1';
  await refuses([
    [
      'vxvde://10.0.0.1',
      `"10.0.0.1" is not a multicast group. ${example}, or vxvde:///peer=10.0.0.1 where there is no multicast`,
    ],
    [
      'vxlan://fd00::1',
      '"fd00::1" is not a multicast group. Write, for example, vxlan://239.0.0.1, or vxlan:///peer=fd00::1 where there is no multicast',
    ],
    ['vxvde://239.1.2.3:5000', 'the port is an option. Write vxvde://239.1.2.3/port=5000'],
    ['vxlan://[ff05::42]:5000/vni=7', 'the port is an option. Write vxlan://ff05::42/port=5000'],
    ['vxvde://[ff15::3]5000', `"[ff15::3]5000" is not a multicast group. ${example}`],
    ['vxvde://239.1.2', `"239.1.2" is not a multicast group. ${example}`],
    ['vxvde://239.1.2.300', `"239.1.2.300" is not a multicast group. ${example}`],
    ['vxvde://a b', `"a b" is not a multicast group. ${example}`],
    ['vxvde://ff15:::1', `"ff15:::1" is not a multicast group. ${example}`],
    ['vxvde://ff02::3', '"ff02::3" is on every link. Say on which. Write, for example, /if=eth0'],
    ['vxvde://ff12::3', '"ff12::3" is on every link. Say on which. Write, for example, /if=eth0'],
    ['vxvde://ff02::3%eth1', 'the zone of ff02::3 is an option, for all addresses. Write, for example, /if=eth1'],
  ]);
});

test('IPv4 or IPv6: as the flags say, else as the addresses do', async () => {
  await check([
    ['vxvde:///v4', { family: 4 }],
    ['vxvde:///v6', { family: 6 }],
    ['vxlan:///v6=1', { family: 6 }],
    ['vxvde:///v4/v6', { family: 6 }],
    ['vxvde://239.1.2.3/v4/v6', { group: '239.1.2.3', family: 4 }],
    ['vxvde://lan.example.org/v4/v6', { group: 'lan.example.org' }],
    ['vxvde://lan.example.org/v6', { group: 'lan.example.org', family: 6 }],
    ['vxvde:///bind=fd00::1', { bind: 'fd00::1', family: 6 }],
    ['vxvde:///peer=box/peer=10.0.0.1', { family: 4, peers: [peer('box'), peer('10.0.0.1')] }],
    ['vxvde:///peer=box', { peers: [peer('box')] }],
    ['vxvde:///peer=box/v6', { family: 6, peers: [peer('box')] }],
  ]);
  const end = ', and a network is either. Leave one of them out';
  await refuses([
    ['vxvde://ff15::3/v4', `"v4" is IPv4, "ff15::3" is IPv6${end}`],
    ['vxlan://239.1.2.3/v6', `"v6" is IPv6, "239.1.2.3" is IPv4${end}`],
    ['vxvde:///bind=10.0.0.1/v6', `"v6" is IPv6, "10.0.0.1" is IPv4${end}`],
    ['vxvde://239.1.2.3/bind=fd00::1', `"239.1.2.3" is IPv4, "fd00::1" is IPv6${end}`],
    ['vxvde://239.1.2.3/peer=[fd00::1]:5', `"239.1.2.3" is IPv4, "[fd00::1]:5" is IPv6${end}`],
    ['vxlan:///peer=fd00::1/peer=10.0.0.1', `"fd00::1" is IPv6, "10.0.0.1" is IPv4${end}`],
    ['vxvde:///v6=no', '"v6" takes no value. Write, for example, /v6'],
  ]);
});

function peer(host: string, port = 14789): { host: string; port: number } {
  return { host, port };
}

test('peers have the port of the network, or their own, and take the place of the group', async () => {
  await check([
    ['vxvde:///peer=a/peer=a:5', { peers: [peer('a'), peer('a', 5)] }],
    ['vxvde:///peer=a/port=7', { port: 7, peers: [peer('a', 7)] }],
    ['vxlan:///peer=10.0.0.1', { family: 4, peers: [peer('10.0.0.1', 4789)] }],
    ['vxvde:///peer=[fd00::1]/peer=fd00::2', { family: 6, peers: [peer('fd00::1'), peer('fd00::2')] }],
    ['vxvde:///peer=fe80::1/if=eth0', { family: 6, interfaceName: 'eth0', peers: [peer('fe80::1')] }],
    ['vxvde://239.0.0.1/peer=a', { group: '239.0.0.1', family: 4, peers: [peer('a')] }],
    ['vxvde:///peers=lan.txt', { peerFile: 'lan.txt' }],
    ["vxlan:///peers='/etc/lan'/peer=a", { peerFile: '/etc/lan', peers: [peer('a', 4789)] }],
  ]);
  const value = 'Write, for example, 192.0.2.7:4789, [2001:db8::7]:4789 or a name';
  await refuses([
    ['vxvde:///peer=', 'the option "peer" needs a value. Write, for example, /peer=192.0.2.7'],
    ['vxvde:///peer=a/peer', 'the option "peer" needs a value. Write, for example, /peer=192.0.2.7'],
    ['vxvde:///peers=', 'the option "peers" needs a value. Write, for example, /peers=lan.txt'],
    ['vxvde:///peer=a,b', '"peer" names one. Write /peer=a/peer=b'],
    ['vxvde:///peer=a:0', `"a:0" has no port from 1 to 65535 after its colon. ${value}`],
    ['vxvde:///peer=239.0.0.1', `"239.0.0.1" is not the address of one host. ${value}`],
    ['vxvde:///peer=10.0.0.300', '"10.0.0.300" is not an IP address. Write, for example, 10.0.0.1 or fd00::1'],
    ['vxvde:///peer=fe80::1', '"fe80::1" is on every link. Say on which. Write, for example, /if=eth0'],
    [
      'vxvde:///peer=[fe80::1%wlan0]:5',
      'the zone of fe80::1 is an option, for all addresses. Write, for example, /if=wlan0',
    ],
  ]);
});

test('a locator names as many peers as there is room for', async () => {
  const many = Array.from({ length: MAX_PEERS }, (_, i) => `/peer=host${i}`).join('');
  assert.equal((await read(`vxvde://${many}`)).peers.length, MAX_PEERS);
  await assert.rejects(read(`vxvde://${many}/peer=x`), {
    code: 'ERR_LOCATOR',
    message: /1025 peers are more than 1024/,
  });
});

test('the interface and the address to send from', async () => {
  await check([
    ['vxvde:///if=eth0', { interfaceName: 'eth0' }],
    ['vxlan:///if=br-lan.7@x', { interfaceName: 'br-lan.7@x' }],
    ['vxlan:///bind=10.0.0.1', { bind: '10.0.0.1', family: 4 }],
    ['vxvde:///bind=169.254.0.1', { bind: '169.254.0.1', family: 4 }],
    ['vxvde:///bind=fe80::1/if=eth0', { bind: 'fe80::1', family: 6, interfaceName: 'eth0' }],
    ['vxvde:///bind=0.0.0.0', { family: 4 }],
    ['vxvde:///bind=::', { family: 6 }],
  ]);
  const bind = 'is not an address of this host. Write, for example, /bind=192.0.2.1';
  await refuses([
    ['vxvde:///if=', 'the option "if" needs a value. Write, for example, /if=eth0'],
    ['vxvde:///if', 'the option "if" needs a value. Write, for example, /if=eth0'],
    [
      'vxvde:///if=sixteen-letters-',
      '"sixteen-letters-" cannot be the name of an interface. Write, for example, /if=eth0',
    ],
    ['vxvde:///if=a b', '"a b" cannot be the name of an interface. Write, for example, /if=eth0'],
    ['vxlan:///bind=', 'the option "bind" needs a value. Write, for example, /bind=192.0.2.1'],
    ['vxlan:///bind=eth0', `"eth0" ${bind}`],
    ['vxvde:///bind=239.0.0.1', `"239.0.0.1" ${bind}`],
    ['vxvde:///bind=10.0.0', `"10.0.0" ${bind}`],
    ['vxvde:///bind=fe80::1', '"fe80::1" is on every link. Say on which. Write, for example, /if=eth0'],
    ['vxvde:///bind=fe80::1%eth0', 'the zone of fe80::1 is an option, for all addresses. Write, for example, /if=eth0'],
  ]);
});

const key = fc.constantFrom('port', 'vni', 'grp', 'ttl', 'rcvbuf', 'v6', 'v4', 'hashsize', 'expiretime', 'if', 'bind');
const value = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    '0',
    '1',
    '4M',
    '10.0.0.1',
    '239.0.0.1',
    'ff02::1',
    'fd00::1',
    '[fd00::1]:5',
    'box:5',
    '::',
    'root',
  ),
);
const option = fc.tuple(fc.oneof(key, fc.constantFrom('peer', 'peers')), value);

test('no values make it say anything but options within their bounds, or one line of what is wrong', () =>
  fc.assert(
    fc.asyncProperty(fc.constantFrom('vxvde', 'vxlan'), value, fc.array(option, { maxLength: 4 }), async (...parts) => {
      const [scheme, address, options] = parts;
      const text = `${scheme}://${address}${options.map(([name, its]) => `/${name}=${its}`).join('')}`;
      try {
        const { port, vni, ttl = 0, groupNumber = 0, expireMs, family, group, peers } = await read(text);
        assert.ok(port >= 1 && port <= 65535 && vni >= 0 && vni < 2 ** 24 && ttl <= 255);
        assert.ok(groupNumber < 2 ** 24 && expireMs >= 1000 && expireMs < 2 ** 31);
        assert.ok(family === undefined || family === 4 || family === 6);
        assert.notEqual(group, '');
        assert.ok(peers.every((one) => one.host !== '' && one.port >= 1 && one.port <= 65535));
      } catch (error) {
        assert.ok(error instanceof VdensError && error.code === 'ERR_LOCATOR', String(error));
        assert.doesNotMatch(error.message, /[\p{Cc}\u2028\u2029]/u);
      }
    }),
    { numRuns: 3000 },
  ));
