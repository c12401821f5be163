/**
 * rtnetlink on a real kernel: a namespace with two interfaces, configured from outside, and ip(8) inside as the
 * oracle.
 *
 *     this process ── rtnetlink socket ──▶ namespace: lo, eth0, eth1
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { type Namespace, openNamespace } from '../../src/namespace/namespace.ts';
import { parseIp } from '../../src/net/ip.ts';
import { formatMac, parseMac } from '../../src/net/mac.ts';
import { formatPrefix, parsePrefix } from '../../src/net/prefix.ts';
import { native } from '../../src/system/native.ts';
import { descriptorTransport } from '../../src/system/netlink-transport.ts';
import { configureInterfaces } from '../../src/system/network-configuration.ts';
import type { Rtnetlink } from '../../src/system/rtnetlink.ts';
import { waitFor } from '../interop/harness.ts';

const hasIp = spawnSync('ip', ['-V']).status === 0;
const skip = hasIp ? false : 'ip(8) is not installed (Debian: apt-get install iproute2)';

/** What `ip -json` prints of an interface, as far as it matters here. */
interface IpLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address: string;
  readonly operstate: string;
  readonly addr_info: readonly IpAddress[];
}

interface IpAddress {
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly broadcast?: string;
  readonly nodad?: boolean;
  readonly tentative?: boolean;
}

interface IpRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
}

describe('rtnetlink', { skip }, () => {
  let namespace: Namespace;
  let rtnetlink: Rtnetlink;

  before(async () => {
    namespace = await openNamespace({ interfaces: [{ name: 'eth0' }, { name: 'eth1' }] });
    rtnetlink = namespace.rtnetlink;
  });
  after(async () => {
    await namespace.close();
  });

  async function ip<T>(...args: string[]): Promise<T[]> {
    const { process: child, exit } = namespace.run(['ip', '-json', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    assert.equal(await exit, 0, `ip ${args.join(' ')}`);
    await closed;
    return output.trim() === '' ? [] : (JSON.parse(output) as T[]);
  }

  async function ipLink(name: string): Promise<IpLink> {
    const [link] = await ip<IpLink>('address', 'show', 'dev', name);
    return link!;
  }

  test('lists every interface as ip(8) sees it', async () => {
    const links = await rtnetlink.links();
    const expected = await ip<IpLink>('address');
    assert.deepEqual(
      links.map((link) => [link.name, formatMac(link.mac), link.mtu, link.isUp, link.operationalState]),
      expected.map((link) => [
        link.ifname,
        link.address,
        link.mtu,
        link.flags.includes('UP'),
        link.operstate.toLowerCase(),
      ]),
    );
    assert.deepEqual(
      links.map(({ name }) => name),
      ['lo', 'eth0', 'eth1'],
    );
  });

  test('sets an interface up and down', async () => {
    await rtnetlink.setUp('eth1', true);
    assert.ok((await ipLink('eth1')).flags.includes('UP'));
    assert.equal((await rtnetlink.link('eth1')).isUp, true);
    await rtnetlink.setUp('eth1', false);
    assert.ok(!(await ipLink('eth1')).flags.includes('UP'));
  });

  test('sees the carrier go and come back', async () => {
    await rtnetlink.setUp('eth1', true);
    const { plug } = namespace.interfaces[1]!;
    plug.setCarrier(false);
    assert.equal((await rtnetlink.link('eth1')).hasCarrier, false);
    // The kernel may take a second to say so.
    await waitFor(async () => (await ipLink('eth1')).flags.includes('NO-CARRIER'), 5000, 'the carrier to be gone');
    plug.setCarrier(true);
    assert.equal((await rtnetlink.link('eth1')).hasCarrier, true);
    await rtnetlink.setUp('eth1', false);
  });

  test('sets MAC address and MTU', async () => {
    await rtnetlink.setMac('eth1', parseMac('02:00:00:00:00:77'));
    await rtnetlink.setMtu('eth1', 9000);
    const link = await ipLink('eth1');
    assert.deepEqual([link.address, link.mtu], ['02:00:00:00:00:77', 9000]);
  });

  test('configures a whole namespace in an order that works', async () => {
    await configureInterfaces(rtnetlink, {
      loopbackUp: true,
      interfaces: [
        {
          name: 'eth0',
          mac: parseMac('02:00:00:00:00:01'),
          mtu: 1400,
          addresses: ['10.1.0.2/24', '10.2.0.2/16', 'fd00::2/64'].map(parsePrefix),
          up: true,
        },
      ],
      gateways: [parseIp('10.1.0.1'), parseIp('fd00::1')],
    });
    const link = await ipLink('eth0');
    assert.deepEqual([link.address, link.mtu, link.flags.includes('UP')], ['02:00:00:00:00:01', 1400, true]);
    const global = link.addr_info.filter(({ scope }) => scope === 'global');
    assert.deepEqual(
      global.map((address) => `${address.local}/${address.prefixlen}`),
      ['10.1.0.2/24', '10.2.0.2/16', 'fd00::2/64'],
    );
    assert.ok(global.every(({ broadcast, tentative }) => broadcast === undefined && tentative !== true));
    assert.equal(global[2]!.nodad, true);
    const routes = [...(await ip<IpRoute>('route')), ...(await ip<IpRoute>('-6', 'route'))];
    assert.deepEqual(
      routes.filter(({ dst }) => dst === 'default').map(({ gateway, dev }) => [gateway, dev]),
      [
        ['10.1.0.1', 'eth0'],
        ['fd00::1', 'eth0'],
      ],
    );
    assert.deepEqual(
      (await ipLink('lo')).addr_info.map(({ local }) => local),
      ['127.0.0.1', '::1'],
    );
  });

  test('lists the addresses of one interface, IPv4 first', async () => {
    const addresses = (await rtnetlink.addresses('eth0')).map(formatPrefix);
    assert.deepEqual(addresses.slice(0, 3), ['10.1.0.2/24', '10.2.0.2/16', 'fd00::2/64']);
    assert.deepEqual(await rtnetlink.addresses('eth1'), []);
  });

  test('takes requests that overlap in time one after the other', async () => {
    const answers = await Promise.all([
      rtnetlink.links(),
      rtnetlink.addresses('lo'),
      rtnetlink.setMtu('eth1', 1500).then(() => rtnetlink.link('eth1')),
      rtnetlink.links(),
    ]);
    assert.deepEqual([answers[0].length, answers[1].length, answers[2].mtu, answers[3].length], [3, 2, 1500, 3]);
  });

  // Needs what the tests above have configured: eth0 with 10.1.0.2/24, 10.2.0.2/16, fd00::2/64 and gateways.
  const refusals: readonly (readonly [what: string, attempt: () => Promise<void>, errno: string, message: string])[] = [
    [
      'an MTU that is too large',
      () => rtnetlink.setMtu('eth0', 70000),
      'EINVAL',
      'eth0: cannot set the MTU to 70000 (EINVAL): this interface takes an MTU from 68 to 65521',
    ],
    [
      'the MAC address of a group',
      () => rtnetlink.setMac('eth0', parseMac('01:00:5e:00:00:01')),
      'EADDRNOTAVAIL',
      "eth0: cannot set the MAC address to 01:00:5e:00:00:01 (EADDRNOTAVAIL): that is the address of a group. A station's first byte is even, as in 02:00:00:00:00:01",
    ],
    [
      'an interface that does not exist',
      () => rtnetlink.setUp('eth9', true),
      'ENODEV',
      'eth9: there is no such interface; there are lo, eth0, eth1',
    ],
    [
      'an address that is there already',
      () => rtnetlink.addAddress('eth0', parsePrefix('10.1.0.2/24')),
      'EEXIST',
      'eth0: cannot add the address 10.1.0.2/24 (EEXIST): the interface has this address already',
    ],
    [
      'an address of a group',
      () => rtnetlink.addAddress('eth0', parsePrefix('224.0.0.5/24')),
      'EADDRNOTAVAIL',
      'eth0: cannot add the address 224.0.0.5/24 (EADDRNOTAVAIL): that is the address of a group; an interface needs one of its own',
    ],
    [
      'an IPv6 address where the MTU is too small for it',
      async () => {
        await rtnetlink.setMtu('eth1', 1000);
        await rtnetlink.addAddress('eth1', parsePrefix('fd01::2/64'));
      },
      'EINVAL',
      'eth1: cannot add the address fd01::2/64 (EINVAL): IPv6 needs an MTU of at least 1280, and the interface has 1000',
    ],
    [
      'a second default gateway',
      () => rtnetlink.addDefaultRoute(parseIp('10.1.0.9')),
      'EEXIST',
      'cannot make 10.1.0.9 the default gateway (EEXIST): there is a default gateway for IPv4 already',
    ],
    [
      'a gateway that is on no network',
      async () => {
        await ip('route', 'delete', 'default');
        await rtnetlink.addDefaultRoute(parseIp('10.9.0.1'));
      },
      'ENETUNREACH',
      'cannot make 10.9.0.1 the default gateway (ENETUNREACH): it is not in the network of any address (10.1.0.2/24, 10.2.0.2/16). Take, for example, 10.1.0.1',
    ],
    [
      'a gateway that is the interface itself',
      () => rtnetlink.addDefaultRoute(parseIp('10.1.0.2')),
      'EINVAL',
      "cannot make 10.1.0.2 the default gateway (EINVAL): that is the interface's own address, the gateway is another station. Take, for example, 10.1.0.1",
    ],
    [
      'a gateway behind an interface that is down',
      async () => {
        await rtnetlink.setUp('eth0', false);
        await rtnetlink.addDefaultRoute(parseIp('10.1.0.1'));
      },
      'ENETUNREACH',
      'cannot make 10.1.0.1 the default gateway (ENETUNREACH): eth0 is down. Set it up first',
    ],
  ];
  for (const [what, attempt, errno, message] of refusals) {
    test(`refuses ${what}, and says what to do`, async () => {
      await assert.rejects(attempt(), { code: 'ERR_NETLINK', errno, message });
    });
  }

  test('takes a link-local gateway on the interface that it is given', async () => {
    await rtnetlink.setUp('eth0', true);
    await rtnetlink.addDefaultRoute(parseIp('fe80::1'), 'eth0');
    const routes = (await ip<IpRoute>('-6', 'route')).filter(({ dst }) => dst === 'default');
    assert.deepEqual(
      routes.map(({ gateway, dev }) => [gateway, dev]),
      [['fe80::1', 'eth0']],
    );
  });
});

describe('netlink transport', () => {
  test('gives up on a socket that never answers', async () => {
    const ends = new Int32Array(2);
    const SOCK_DGRAM = 2;
    assert.equal(native.openSocketPair(SOCK_DGRAM, ends), 0);
    const transport = descriptorTransport(ends[0]!);
    const message = 'the kernel did not answer on the rtnetlink socket within 1 s';
    await assert.rejects(transport.receive(), { code: 'ERR_NETLINK', errno: 'ETIMEDOUT', message });
    for (const end of ends) native.closeDescriptor(end);
  });

  test('names the error of a descriptor that is no socket', () => {
    const transport = descriptorTransport(-1);
    const message = 'cannot send on the rtnetlink socket (EBADF)';
    assert.throws(() => transport.send(new Uint8Array(16)), { code: 'ERR_NETLINK', errno: 'EBADF', message });
  });
});
