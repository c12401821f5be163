/** slirp://: every option, what follows from others, and what is said when one makes no sense. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { VdensError } from '../../../src/errors.ts';
import type { GatewayConfig } from '../../../src/gateway/gateway-config.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { SCHEMES } from '../../../src/locator/schemes.ts';
import { gatewayConfig } from '../../../src/locator/slirp-locator.ts';
import { formatIp } from '../../../src/net/ip.ts';
import { formatPrefix } from '../../../src/net/prefix.ts';

function configOf(options: string): GatewayConfig {
  return gatewayConfig(parseLocator(`slirp://${options}`));
}

/** The addresses of a gateway, as people write them: router, name server, first lease; router, name server. */
function addressesOf(options: string): string {
  const { ipv4, ipv6 } = configOf(options);
  const v4 = ipv4 && [formatPrefix(ipv4.router), formatIp(ipv4.nameServer), formatIp(ipv4.firstLease)];
  const v6 = ipv6 && [formatPrefix(ipv6.router), formatIp(ipv6.nameServer)];
  return [...(v4 ?? ['-']), ...(v6 ?? ['-'])].join(' ');
}

function forwardsOf(options: string): string[] {
  return configOf(options).portForwards.map(
    ({ protocol, hostAddress, hostPort, guestAddress, guestPort }) =>
      `${protocol} ${formatIp(hostAddress)} ${hostPort} ${formatIp(guestAddress)} ${guestPort}`,
  );
}

function servicesOf(options: string): string[] {
  return configOf(options).serviceForwards.map(
    ({ address, port, to }) =>
      `${formatIp(address)} ${port} ${to.kind === 'unix' ? `socket ${to.path}` : to.words.join('|')}`,
  );
}

test('nothing said: the addresses of the originals, and the way out', () => {
  assert.equal(addressesOf(''), '10.0.2.2/24 10.0.2.3 10.0.2.15 fd00::2/64 fd00::3');
  const { ipv4: _, ipv6: __, ...rest } = configOf('');
  assert.deepEqual(rest, {
    isRestricted: false,
    hostName: 'slirp',
    searchDomains: [],
    mtu: 1500,
    isHostLoopbackDisabled: false,
    portForwards: [],
    serviceForwards: [],
    isVerbose: false,
  });
});

test('families and addresses: what is not said keeps its place in the network', () => {
  const usual6 = 'fd00::2/64 fd00::3';
  const usual4 = '10.0.2.2/24 10.0.2.3 10.0.2.15';
  const table = [
    ['/v4', `${usual4} -`],
    ['/v6', `- ${usual6}`],
    ['/v4/v6', `${usual4} ${usual6}`],
    ['/v4=1', `${usual4} -`],
    ['[v6]', `- ${usual6}`],
    ['/addr=10.0.2.9', `10.0.2.9/24 10.0.2.3 10.0.2.15 ${usual6}`],
    ['/host=10.0.2.9', `10.0.2.9/24 10.0.2.3 10.0.2.15 ${usual6}`],
    ['/host=10.0.2.9/addr=10.0.2.9', `10.0.2.9/24 10.0.2.3 10.0.2.15 ${usual6}`],
    ['/addr=10.1.0.2%2f16', `10.1.0.2/16 10.1.2.3 10.1.2.15 ${usual6}`],
    ["/addr='10.1.0.2/16'", `10.1.0.2/16 10.1.2.3 10.1.2.15 ${usual6}`],
    ['/addr=10.1.0.2%2f24', `10.1.0.2/24 10.1.0.3 10.1.0.15 ${usual6}`],
    ['/addr=192.168.7.1', `192.168.7.1/24 192.168.7.3 192.168.7.15 ${usual6}`],
    ['/addr=10.9.8.254%2f8', `10.9.8.254/8 10.0.2.3 10.0.2.15 ${usual6}`],
    ['/addr=192.168.7.1%2f28/dhcp=192.168.7.4', `192.168.7.1/28 192.168.7.3 192.168.7.4 ${usual6}`],
    ['/dhcp=10.0.2.100', `10.0.2.2/24 10.0.2.3 10.0.2.100 ${usual6}`],
    ['/vnameserver=10.0.2.53', `10.0.2.2/24 10.0.2.53 10.0.2.15 ${usual6}`],
    ['/addr6=fd11::1', `${usual4} fd11::1/64 fd11::3`],
    ['/host6=fd11:0:0:2::1%2f48', `${usual4} fd11:0:0:2::1/48 fd11::3`],
    ['/vnameserver6=fd00::53', `${usual4} fd00::2/64 fd00::53`],
  ] as const;
  for (const [options, expected] of table) assert.equal(addressesOf(options), expected, options);
});

test('everything else, one by one', () => {
  const directory = tmpdir();
  const quoted = directory.replaceAll('/', '%2f');
  const table: readonly (readonly [string, Partial<GatewayConfig>])[] = [
    ['/restricted', { isRestricted: true }],
    ['/hostname=box', { hostName: 'box' }],
    ['/hostname=box.example.org', { hostName: 'box.example.org' }],
    ['/tftp_server_name=10.0.2.2', { tftpServerName: '10.0.2.2' }],
    [`/tftp_path=${quoted}`, { tftpDirectory: directory }],
    ['/tftp_path=.', { tftpDirectory: resolve('.') }],
    ['/bootfile=pxe%2flinux.0', { bootFile: 'pxe/linux.0' }],
    ['/vdnssearch=example.org,a_b.example.com.', { searchDomains: ['example.org', 'a_b.example.com'] }],
    ['/vdomainname=example.org', { domainName: 'example.org' }],
    ['/mtu=0', { mtu: 1500 }],
    ['/mtu=9000', { mtu: 9000 }],
    ['/mtu=9000/mru=0', { mtu: 9000 }],
    ['/mru=4000', { mtu: 4000 }],
    ['/mtu=4000/mru=2000', { mtu: 2000 }],
    ['/mtu=65521', { mtu: 65_521 }],
    ['/mtu=576/v4', { mtu: 576 }],
    ['/mtu=1280', { mtu: 1280 }],
    ['/disable_host_loopback', { isHostLoopbackDisabled: true }],
    ['/verbose', { isVerbose: true }],
    ['/control=run%2fg', { controlPath: resolve('run/g') }],
  ];
  for (const [options, expected] of table) {
    const config = configOf(options);
    for (const [key, value] of Object.entries(expected)) {
      assert.deepEqual(config[key as keyof GatewayConfig], value, options);
    }
  }
});

test('forwards of ports', () => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ['/tcpfwd=8080:10.0.2.15:80', ['tcp 0.0.0.0 8080 10.0.2.15 80']],
    ['/tcpfwd=:8080:10.0.2.15:80', ['tcp 0.0.0.0 8080 10.0.2.15 80']],
    ['/tcpfwd=127.0.0.1:8080:10.0.2.15:80', ['tcp 127.0.0.1 8080 10.0.2.15 80']],
    ['/tcpfwd=0:10.0.2.15:80,0:10.0.2.15:81', ['tcp 0.0.0.0 0 10.0.2.15 80', 'tcp 0.0.0.0 0 10.0.2.15 81']],
    ['/tcpfwd=[::1]:8080:[fd00::15]:80', ['tcp ::1 8080 fd00::15 80']],
    ['/tcpfwd=8080:[fd00::15]:80', ['tcp :: 8080 fd00::15 80']],
    ['/tcpfwd=[::]:8080:10.0.2.15:80', ['tcp :: 8080 10.0.2.15 80']],
    ['/udpfwd=127.0.0.1:5:[fd00::15]:6', ['udp 127.0.0.1 5 fd00::15 6']],
    [
      '/udpfwd=5:10.0.2.15:6,7:10.0.2.16:8/tcpfwd=5:10.0.2.15:6',
      ['tcp 0.0.0.0 5 10.0.2.15 6', 'udp 0.0.0.0 5 10.0.2.15 6', 'udp 0.0.0.0 7 10.0.2.16 8'],
    ],
    ['/addr=10.1.0.2%2f16/tcpfwd=5:10.1.99.1:6', ['tcp 0.0.0.0 5 10.1.99.1 6']],
  ];
  for (const [options, expected] of table) assert.deepEqual(forwardsOf(options), expected, options);
});

test('services in the network of the guests', () => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ['/unixfwd=80:%2frun%2fw', ['10.0.2.4 80 socket /run/w']],
    ['/unixfwd=10.0.2.9:80:%2frun%2fa:b', ['10.0.2.9 80 socket /run/a:b']],
    ['/unixfwd=80:x,81:y', ['10.0.2.4 80 socket x', '10.0.2.4 81 socket y']],
    ['/addr=10.1.0.2%2f16/unixfwd=80:x', ['10.1.0.4 80 socket x']],
    ['/cmdfwd=7:cat', ['10.0.2.4 7 cat']],
    ['/cmdfwd=7:cat -u a:b', ['10.0.2.4 7 cat|-u|a:b']],
    [String.raw`/cmdfwd=7:sh -c \'echo a,b\',10.0.2.2:8:cat`, ['10.0.2.4 7 sh|-c|echo a,b', '10.0.2.2 8 cat']],
    ['/unixfwd=80:x/cmdfwd=81:y', ['10.0.2.4 80 socket x', '10.0.2.4 81 y']],
  ];
  for (const [options, expected] of table) assert.deepEqual(servicesOf(options), expected, options);
});

test('the address of the gateway itself may stand where the originals pass over addresses', () => {
  const table = [
    ['10.0.2.2/verbose', '/verbose'],
    ['10.0.2.2', ''],
    ['10.1.0.2/addr=10.1.0.2%2f16', '/addr=10.1.0.2%2f16'],
    ['[fd00::2]/v6', '/v6'],
  ] as const;
  for (const [text, same] of table) {
    assert.deepEqual(gatewayConfig(parseLocator(`slirp://${text}`)), gatewayConfig(parseLocator(`slirp://${same}`)));
  }
});

test('the longest path of a Unix socket', () => {
  const path = 'x'.repeat(107);
  assert.deepEqual(servicesOf(`/unixfwd=80:${path}`), [`10.0.2.4 80 socket ${path}`]);
});

test('what makes no sense is refused with one line, which says what does', () => {
  const notIn = "is not in the guests' network 10.0.2.0/24";
  const fwd = 'is not [HOST-ADDRESS:]HOST-PORT:GUEST-ADDRESS:GUEST-PORT';
  const table = [
    ['10.0.2.9/verbose', 'the address of the gateway is an option. Write slirp:///addr=10.0.2.9'],
    ['10.0.2.2/addr=10.0.2.9', 'the address of the gateway is an option. Write slirp:///addr=10.0.2.2'],
    ['10.0.2.2/v6', 'the address of the gateway is an option'],
    ['host', 'the address of the gateway is an option. Write slirp:///addr=host'],
    ['[fd00::9]/verbose', 'the address of the gateway is an option. Write slirp:///addr6=fd00::9'],
    ['/v4=0', '"v4" takes no value'],
    ['/restricted=y', '"restricted" takes no value'],
    ['/addr=', 'addr "" is not an address of IPv4'],
    ['/addr=10.1', 'addr "10.1" is not an address of IPv4'],
    ['/addr=010.0.0.1', 'is not an address of IPv4'],
    ['/addr=fd00::2', 'addr "fd00::2" is not an address of IPv4'],
    ['/host6=10.0.2.2', 'host6 "10.0.2.2" is not an address of IPv6'],
    ['/addr=10.1.0.2/16', 'a slash ends the value of "addr", unless it is quoted. Write addr=10.1.0.2%2f16'],
    ['/addr=10.1.0.2%2f33', 'is not an address of IPv4'],
    ['/addr=10.1.0.2%2f7', 'has a prefix of 7 bits, which is none from 8 to 29'],
    ['/addr=10.1.0.2%2f30', 'has a prefix of 30 bits'],
    ['/addr6=fd00::2%2f126', 'has a prefix of 126 bits, which is none from 8 to 125'],
    ['/addr=10.0.2.0', 'stands for the whole network'],
    ['/addr=10.0.2.255', 'stands for the whole network'],
    ['/addr6=fd00::', 'stands for the whole network'],
    ['/addr=127.0.0.1', 'is not an address that a router can have'],
    ['/addr=224.0.0.1', 'is not an address that a router can have'],
    ['/addr=240.0.0.1', 'is not an address that a router can have'],
    ['/addr=0.0.0.1', 'is not an address that a router can have'],
    ['/addr6=::1', 'is not an address that a router can have'],
    ['/addr6=fe80::1', 'is an address of one link alone'],
    ['/addr=169.254.0.1', 'is an address of one link alone'],
    ['/addr=10.0.2.5/host=10.0.2.6', '"addr" and "host" are two names of one option, and say two things'],
    ['/addr=10.0.2.3', '"addr" and "vnameserver" are both at 10.0.2.3'],
    ['/host=10.0.2.15', '"host" and "dhcp" are both at 10.0.2.15'],
    ['/vnameserver=10.0.2.15', '"vnameserver" and "dhcp" are both at 10.0.2.15'],
    ['/addr6=fd00::3', '"addr6" and "vnameserver6" are both at fd00::3'],
    ['/addr=10.0.0.2%2f28', '"dhcp" is at 10.0.0.15, which stands for the whole network'],
    ['/dhcp=10.0.2.255', '"dhcp" is at 10.0.2.255, which stands for the whole network'],
    ['/dhcp=10.0.3.15', `dhcp 10.0.3.15 ${notIn}`],
    ['/dhcp=10.0.2.15%2f24', 'dhcp "10.0.2.15/24" is not an address of IPv4'],
    ['/dhcp=box', 'dhcp "box" is not an address of IPv4'],
    ['/vnameserver=8.8.8.8', `vnameserver 8.8.8.8 ${notIn}`],
    ['/vnameserver6=fd01::3', "vnameserver6 fd01::3 is not in the guests' network fd00::/64"],
    ['/v6/addr=10.0.2.2', '"addr" is about IPv4, and only "v6" is on'],
    ['/v6/dhcp=10.0.2.2', '"dhcp" is about IPv4, and only "v6" is on'],
    ['/v4/vnameserver6=fd00::3', '"vnameserver6" is about IPv6, and only "v4" is on'],
    ['/hostname=', 'the option "hostname" needs a value'],
    ['/hostname=a b', 'hostname "a b" is not the name of a host'],
    [`/hostname=${'a'.repeat(64)}`, 'is not the name of a host'],
    ['/vdomainname=-a', 'vdomainname "-a" is not the name of a domain'],
    ['/vdnssearch=a,,b', 'vdnssearch "" is not the name of a domain'],
    [`/vdnssearch=${Array(5).fill('a'.repeat(60)).join(',')}`, 'more domains than the 255 bytes'],
    [`/bootfile=${'a'.repeat(128)}`, 'is not a word of ASCII with up to 127 characters'],
    ['/bootfile=', 'the option "bootfile" needs a value'],
    ['/tftp_server_name=ä', 'is not a word of ASCII with up to 255 characters'],
    ['/tftp_path=%2fno%2fsuch', 'tftp_path: there is no directory /no/such'],
    ['/tftp_path=/srv/tftp', 'a slash ends the value of "tftp_path"'],
    ['/mtu=575', 'mtu "575" is not a number from 576 to 65521'],
    ['/mru=65522', 'mru "65522" is not a number from 576 to 65521'],
    ['/mtu=1e3', 'mtu "1e3" is not a number'],
    ['/mtu=1279', 'IPv6 needs an MTU of 1280 bytes or more. Write /v4'],
    ['/tcpfwd=', `tcpfwd "" ${fwd}`],
    ['/tcpfwd=80', `tcpfwd "80" ${fwd}`],
    ['/tcpfwd=80:10.0.2.15', `tcpfwd "80:10.0.2.15" ${fwd}`],
    ['/udpfwd=1:10.0.2.15:2,', `udpfwd "" ${fwd}`],
    ['/tcpfwd=8080:fd00::15:80', `${fwd}, with IPv6 addresses in brackets`],
    ['/tcpfwd=65536:10.0.2.15:80', '"65536" is not a port from 0 to 65535'],
    ['/tcpfwd=-1:10.0.2.15:80', '"-1" is not a port'],
    ['/tcpfwd=http:10.0.2.15:80', '"http" is not a port'],
    ['/tcpfwd=1:10.0.2.15:0', '"0" is not a port from 1 to 65535'],
    ['/tcpfwd=1::80', '"" is not an IPv4 address'],
    ['/tcpfwd=[10.0.0.1]:1:10.0.2.15:80', '"[10.0.0.1]" is not an IPv6 address in brackets'],
    ['/tcpfwd=224.0.0.1:1:10.0.2.15:80', '224.0.0.1 is not the address of one host'],
    ['/tcpfwd=1:10.0.3.15:80', `10.0.3.15 ${notIn}`],
    ['/tcpfwd=1:10.0.2.255:80', '10.0.2.255 stands for the whole network 10.0.2.0/24'],
    ['/tcpfwd=1:10.0.2.2:80', "10.0.2.2 is the gateway's own address"],
    ['/tcpfwd=1:10.0.2.3:80', "10.0.2.3 is the gateway's own address"],
    ['/v4/tcpfwd=1:[fd00::15]:80', 'fd00::15 is IPv6, which this gateway does not have'],
    ['/tcpfwd=1:10.0.2.15:80,1:10.0.2.16:80', "the host's port 1 is forwarded twice"],
    [`/udpfwd=${Array(129).fill('0:10.0.2.15:80').join(',')}`, '129 forwards in "udpfwd" are more than 128'],
    ['/unixfwd=80', 'unixfwd "80" is not [ADDRESS:]PORT:PATH'],
    ['/unixfwd=80:', 'unixfwd "80:" is not [ADDRESS:]PORT:PATH'],
    ['/unixfwd=80:/run/web', 'a slash ends the value of "unixfwd"'],
    [`/unixfwd=80:${'x'.repeat(108)}`, 'the path of a socket has 107 bytes at most, this one has 108'],
    [`/unixfwd=80:${'ü'.repeat(54)}`, 'this one has 108. Write, for example'],
    ['/unixfwd=0:x', '"0" is not a port from 1 to 65535'],
    ['/unixfwd=10.0.3.4:80:x', `10.0.3.4 ${notIn}`],
    ['/unixfwd=80:x,80:y', 'two services are at 10.0.2.4:80'],
    ['/unixfwd=80:x/cmdfwd=80:y', 'two services are at 10.0.2.4:80'],
    ['/v6/unixfwd=80:x', 'services need IPv4'],
    ['/cmdfwd=cat', 'cmdfwd "cat" is not [ADDRESS:]PORT:COMMAND'],
    ['/cmdfwd=7:a;b', 'holds a bare ";"'],
    ['/cmdfwd=7: ', 'names no command'],
    ['/cmdfwd=7:/bin/cat', 'a slash ends the value of "cmdfwd"'],
    ['/control=', 'the option "control" needs a value'],
    ['/control=/run/g', 'a slash ends the value of "control", unless it is quoted. Write control=%2frun%2fg'],
  ] as const;
  for (const [options, problem] of table) {
    assert.throws(
      () => configOf(options),
      (error) => {
        assert.ok(error instanceof VdensError, String(error));
        assert.equal(error.code, 'ERR_LOCATOR', options);
        assert.ok(error.message.includes(problem), `${options}: ${error.message}`);
        assert.doesNotMatch(error.message, /[\r\n]/);
        return true;
      },
      options,
    );
  }
});

test('shortened keys mean what they mean to the originals: ours stand last', () => {
  const keys = SCHEMES.get('slirp')?.optionKeys ?? [];
  assert.deepEqual([...parseLocator('slirp:///c=7:cat').options.keys()], ['cmdfwd']);
  assert.equal(keys.indexOf('control'), keys.indexOf('verbose') + 1);
});

test('whatever the values are: a configuration, or one line', () => {
  const keys = SCHEMES.get('slirp')?.optionKeys ?? [];
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.string({ unit: fc.constantFrom(...'0123456789.:[]fd,/ '), maxLength: 30 }),
    fc.constantFrom('', '10.0.2.15', 'fd00::15', '80:10.0.2.15:80', '10.0.2.9/24', '7:cat'),
  );
  const options = fc.array(fc.tuple(fc.constantFrom(...keys), value), { maxLength: 4 });
  fc.assert(
    fc.property(options, (chosen) => {
      const locator = { ...parseLocator('slirp://'), options: new Map(chosen) };
      try {
        const { ipv4, ipv6, mtu } = gatewayConfig(locator);
        assert.ok(ipv4 !== undefined || ipv6 !== undefined);
        assert.ok(mtu >= 576);
      } catch (error) {
        assert.ok(error instanceof VdensError, String(error));
        assert.equal(error.code, 'ERR_LOCATOR');
        assert.doesNotMatch(error.message, /[\r\n]/);
      }
    }),
  );
});
