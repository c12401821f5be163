import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseIp } from '../../../src/net/ip.ts';
import { parseMac } from '../../../src/net/mac.ts';
import { parsePrefix } from '../../../src/net/prefix.ts';
import type { Link } from '../../../src/system/link-message.ts';
import {
  type ConfiguredLink,
  hintForAddress,
  hintForGateway,
  hintForLinkChange,
} from '../../../src/system/rtnetlink-hint.ts';

const link: Link = {
  index: 2,
  name: 'eth0',
  mac: parseMac('02:00:00:00:00:01'),
  mtu: 1500,
  minMtu: 68,
  maxMtu: 65521,
  isUp: true,
  hasCarrier: true,
  operationalState: 'up',
};
const configured = (...addresses: string[]): ConfiguredLink[] => [{ link, addresses: addresses.map(parsePrefix) }];

describe('hint for a link change', () => {
  const cases = [
    ['EINVAL', { mtu: 70000 }, 'this interface takes an MTU from 68 to 65521'],
    [
      'EADDRNOTAVAIL',
      { mac: parseMac('01:00:5e:00:00:01') },
      "that is the address of a group. A station's first byte is even, as in 02:00:00:00:00:01",
    ],
    ['EADDRNOTAVAIL', { mac: new Uint8Array(6) }, 'zero is no address. Take, for example, 02:00:00:00:00:01'],
    ['EINVAL', { mac: new Uint8Array(5) }, 'a MAC address has 6 bytes, this one has 5'],
    ['EBUSY', { mac: parseMac('02:00:00:00:00:02') }, 'set the interface down first'],
    ['EPERM', { up: true }, 'the socket has no right (CAP_NET_ADMIN) to this network namespace'],
    ['EIO', { up: true }, undefined],
  ] as const;
  for (const [errno, change, hint] of cases) {
    test(`of ${Object.keys(change)[0]} refused with ${errno} is: ${hint ?? 'none'}`, () => {
      assert.equal(hintForLinkChange(errno, change, link), hint);
    });
  }

  test('gives no upper bound for an interface without one', () => {
    const hint = hintForLinkChange('EINVAL', { mtu: 1 }, { ...link, maxMtu: 0 });
    assert.equal(hint, 'this interface takes an MTU from 68 on');
  });
});

describe('hint for an address', () => {
  const cases = [
    ['EEXIST', '10.0.0.1/24', link, 'the interface has this address already'],
    ['EINVAL', '224.0.0.1/24', link, 'that is the address of a group; an interface needs one of its own'],
    ['EADDRNOTAVAIL', '0.0.0.0/24', link, 'that stands for no address. Give, for example, 10.0.0.1/24 or fd00::1/64'],
    ['EINVAL', 'fd00::1/64', { ...link, mtu: 1000 }, 'IPv6 needs an MTU of at least 1280, and the interface has 1000'],
    ['EACCES', 'fd00::1/64', link, 'IPv6 is switched off here (sysctl net.ipv6.conf.eth0.disable_ipv6)'],
    ['EOPNOTSUPP', 'fd00::1/64', link, 'this kernel has no IPv6'],
    ['EINVAL', '10.0.0.1/24', link, undefined],
  ] as const;
  for (const [errno, address, on, hint] of cases) {
    test(`${address} refused with ${errno} is: ${hint ?? 'none'}`, () => {
      assert.equal(hintForAddress(errno, parsePrefix(address), on), hint);
    });
  }
});

describe('hint for a gateway', () => {
  const cases = [
    ['EEXIST', '10.0.0.1', ['10.0.0.2/24'], 'there is a default gateway for IPv4 already'],
    [
      'ENETUNREACH',
      '10.9.0.1',
      ['10.0.0.2/24'],
      'it is not in the network of any address (10.0.0.2/24). Take, for example, 10.0.0.1',
    ],
    [
      'ENETUNREACH',
      '10.9.0.1',
      ['10.0.0.1/24'],
      'it is not in the network of any address (10.0.0.1/24). Take, for example, 10.0.0.2',
    ],
    [
      'ENETUNREACH',
      '10.9.0.1',
      ['10.0.0.5/31'],
      'it is not in the network of any address (10.0.0.5/31). Take, for example, 10.0.0.4',
    ],
    ['ENETUNREACH', '10.9.0.1', ['10.0.0.5/32'], 'it is not in the network of any address (10.0.0.5/32)'],
    [
      'ENETUNREACH',
      '10.9.0.1',
      ['10.77.3.2/10'],
      'it is not in the network of any address (10.77.3.2/10). Take, for example, 10.64.0.1',
    ],
    [
      'EHOSTUNREACH',
      'fd01::1',
      ['10.0.0.2/24', 'fd00::2/64', 'fe80::2/64'],
      'it is not in the network of any address (fd00::2/64). Take, for example, fd00::1',
    ],
    ['ENETUNREACH', '10.0.0.1', [], 'no interface has an IPv4 address from whose network it could be reached'],
    [
      'EHOSTUNREACH',
      'fd00::1',
      ['10.0.0.2/24', 'fe80::2/64'],
      'no interface has an IPv6 address from whose network it could be reached',
    ],
    [
      'EINVAL',
      '10.0.0.2',
      ['10.0.0.2/24'],
      "that is the interface's own address, the gateway is another station. Take, for example, 10.0.0.1",
    ],
    ['EINVAL', 'fe80::1', ['fd00::2/64'], 'say on which interface this link-local gateway is'],
    [
      'ENETUNREACH',
      '169.254.9.1',
      ['169.254.1.1/24'],
      'it is not in the network of any address (169.254.1.1/24). Take, for example, 169.254.1.2',
    ],
    ['EIO', '10.0.0.1', ['10.0.0.2/24'], undefined],
    ['EINVAL', '10.0.0.255', ['10.0.0.2/24'], 'that is not the address of a station. Take, for example, 10.0.0.1'],
    ['ENODEV', '0.0.0.0', ['10.0.0.2/24'], 'that is not the address of a station. Take, for example, 10.0.0.1'],
  ] as const;
  for (const [errno, gateway, addresses, hint] of cases) {
    test(`${gateway} with ${addresses.join(' and ') || 'no address'} refused with ${errno} is: ${hint ?? 'none'}`, () => {
      assert.equal(hintForGateway(errno, parseIp(gateway), configured(...addresses)), hint);
    });
  }

  test('says that the interface is down when only that is wrong', () => {
    const down = configured('10.0.0.2/24').map(({ addresses }) => ({ link: { ...link, isUp: false }, addresses }));
    assert.equal(hintForGateway('ENETUNREACH', parseIp('10.0.0.1'), down), 'eth0 is down. Set it up first');
  });
});
