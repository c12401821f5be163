/** Command lines of vdens: networks and command, every option, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpretVdensArguments, type VdensRequest } from '../../../src/commands/vdens-options.ts';
import { formatIp } from '../../../src/net/ip.ts';
import { formatMac } from '../../../src/net/mac.ts';
import { formatPrefix } from '../../../src/net/prefix.ts';

function run(...argv: string[]): Promise<VdensRequest> {
  return runWith({}, ...argv);
}

async function runWith(env: Record<string, string>, ...argv: string[]): Promise<VdensRequest> {
  const request = await interpretVdensArguments(argv, env);
  assert.ok(request.action === 'run');
  return request;
}

test('asks for nothing but a shell without a word', async () => {
  assert.deepEqual(await run(), {
    action: 'run',
    networks: [],
    interfaces: [],
    command: undefined,
    up: false,
    autoTimeoutMs: undefined,
    gateways: [],
    resolvConf: undefined,
    hostname: undefined,
    name: undefined,
    sysAdmin: false,
    root: false,
    reconnect: true,
  });
});

test('takes the first word for the network and the rest for the command', async () => {
  const table: readonly (readonly [string[], string[], string[] | undefined])[] = [
    [['vde:///s'], ['vde:///s'], undefined],
    [['-i', 'eth', 'vde:///s', 'ip', '-br', 'addr'], ['vde:///s'], ['ip', '-br', 'addr']],
    [['no', 'true'], [], ['true']],
    [['-', 'true'], [], ['true']],
    [['', 'true'], [], ['true']],
    [['no'], [], undefined],
    [['--', 'vde:///s', 'ls', '--', '-l'], ['vde:///s'], ['ls', '--', '-l']],
    [['vde:///s', '--', 'ls', '-l'], ['vde:///s'], ['ls', '-l']],
    [['vde:///s', '--'], ['vde:///s'], undefined],
    [['=ssh host vde_plug', 'ls'], ['=ssh host vde_plug'], ['ls']],
    [['./no'], ['./no'], undefined],
  ];
  for (const [argv, networks, command] of table) {
    const request = await run(...argv);
    assert.deepEqual([request.networks, request.command], [networks, command], argv.join(' '));
  }
});

test('with -m takes all words up to two hyphens for networks', async () => {
  const table: readonly (readonly [string[], string[], string[] | undefined])[] = [
    [['-m', 'a', 'b'], ['a', 'b'], undefined],
    [
      ['-m', 'a', 'b', '--', 'ls', '-l', '--', 'x'],
      ['a', 'b'],
      ['ls', '-l', '--', 'x'],
    ],
    [['-m', '--', 'a', 'b', '--', 'ls'], ['a', 'b'], ['ls']],
    [['-m', '--', 'a', 'ls'], ['a', 'ls'], undefined],
    [['-m', 'a', '--'], ['a'], undefined],
    [['-m', '=cat', 'a'], ['=cat', 'a'], undefined],
  ];
  for (const [argv, networks, command] of table) {
    const request = await run(...argv);
    assert.deepEqual([request.networks, request.command], [networks, command], argv.join(' '));
  }
});

test('names an interface for each network', async () => {
  assert.deepEqual(
    (await run('-m', 'a', '=cat')).interfaces.map(({ name, network }) => [name, network]),
    [
      ['vde0', 'a'],
      ['vde1', '=cat'],
    ],
  );
  assert.equal((await run('-i', 'fourteen-bytes', 'a')).interfaces[0]!.name, 'fourteen-bytes0');
  assert.deepEqual((await run('-i', 'é', 'a')).interfaces[0]!.name, 'é0');
});

test('gives addresses, MAC and MTU to the first interface or to the one that is named', async () => {
  const { interfaces, up, gateways } = await run(
    ...['-m', '--address', '10.0.0.1/24,fd00::1/64', '--address=vde1=10.0.1.1/24', '--address', 'vde0=10.9.0.1/16'],
    ...['--mac', '02-00-00-00-00-AA', '--mac=vde1=02:00:00:00:00:bb', '--mtu', 'vde1=9000', '--mtu=1280'],
    ...['--gateway', '10.0.1.254', '--gateway', 'fe80::1', 'a', 'b'],
  );
  assert.deepEqual(
    interfaces.map(({ name, addresses, mac, mtu }) => [name, addresses.map(formatPrefix), mac && formatMac(mac), mtu]),
    [
      ['vde0', ['10.0.0.1/24', 'fd00::1/64', '10.9.0.1/16'], '02:00:00:00:00:aa', 1280],
      ['vde1', ['10.0.1.1/24'], '02:00:00:00:00:bb', 9000],
    ],
  );
  assert.equal(up, true);
  assert.deepEqual(
    gateways.map(({ address, iface }) => [formatIp(address), iface]),
    [
      ['10.0.1.254', 'vde1'],
      ['fe80::1', 'vde0'],
    ],
  );
});

test('brings interfaces up only when asked to', async () => {
  assert.equal((await run('--up', 'no')).up, true);
  assert.equal((await run('--mtu', '1400', 'a')).up, false);
  assert.equal((await run('--gateway', 'fe80::1', 'a')).up, true);
});

test('reads flags in both of their names', async () => {
  assert.deepEqual(
    [(await run('-s')).sysAdmin, (await run('--sysadm')).sysAdmin, (await run('--root')).root],
    [true, true, true],
  );
  assert.equal((await run('--no-reconnect')).reconnect, false);
  assert.deepEqual(await run('-c', '-u', '--clone', '--unshare'), await run());
  for (const word of ['-h', '--help'])
    assert.deepEqual(await interpretVdensArguments([word, '--mtu', 'x'], {}), { action: 'help' });
  for (const word of ['-V', '--version'])
    assert.deepEqual(await interpretVdensArguments([word], {}), { action: 'version' });
});

test('reads a name, which is no option, no number and no path', async () => {
  for (const name of ['web', 'a', '_1', '10.0.0.1', '4x', 'Web-1.example_2', 'x'.repeat(63)]) {
    assert.equal((await run('--name', name)).name, name);
  }
  for (const name of ['', '.', '..', '.web', '-web', '42', 'a/b', 'a b', 'ä', 'a\n', 'a\0', 'x'.repeat(64)]) {
    await assert.rejects(run('--name', name), {
      code: 'ERR_USAGE',
      message: /^--name: .* is not a name, .*--name web$/s,
    });
  }
});

test('chooses resolv.conf: -R, then -r, then the variables in the same order', async () => {
  const addresses = (...list: string[]): unknown => ({ kind: 'addresses', addresses: list });
  const file = (path: string): unknown => ({ kind: 'file', path });
  const table: readonly (readonly [Record<string, string>, string[], unknown])[] = [
    [{}, [], undefined],
    [{}, ['-R', '9.9.9.9,2620:FE::fe'], addresses('9.9.9.9', '2620:fe::fe')],
    [{}, ['-R', ',9.9.9.9,,1.1.1.1,'], addresses('9.9.9.9', '1.1.1.1')],
    [{}, ['-R', ''], addresses()],
    [{}, ['-r', 'f', '-R', '9.9.9.9'], addresses('9.9.9.9')],
    [{}, ['-r', 'f'], file('f')],
    [{}, ['-r', ''], addresses()],
    [{ VDE_RESOLVADDR: '1.1.1.1', VDE_RESOLVCONF: 'g' }, [], addresses('1.1.1.1')],
    [{ VDE_RESOLVADDR: '1.1.1.1', VDE_RESOLVCONF: 'g' }, ['-r', 'f'], file('f')],
    [{ VDE_RESOLVADDR: '1.1.1.1' }, ['-R', '9.9.9.9'], addresses('9.9.9.9')],
    [{ VDE_RESOLVADDR: '' }, [], addresses()],
    [{ VDE_RESOLVCONF: 'g' }, [], file('g')],
    [{ VDE_RESOLVCONF: '' }, [], addresses()],
  ];
  for (const [env, argv, expected] of table)
    assert.deepEqual((await runWith(env, ...argv)).resolvConf, expected, argv.join(' '));
  await assert.rejects(runWith({ VDE_RESOLVADDR: 'dns' }), {
    code: 'ERR_ADDRESS',
    message: 'VDE_RESOLVADDR: "dns" is not an IP address. Write, for example, 10.0.0.1 or fd00::1',
  });
});

test('takes host names of hostname(7), up to 64 bytes', async () => {
  const longest = `${'a'.repeat(60)}.b-1`;
  for (const name of ['a', '1', 'Web-1.Example', longest]) assert.equal((await run('-H', name)).hostname, name);
  for (const name of ['', '-a', 'a-', 'a..b', '.a', 'a.', 'a_b', 'a b', 'é', 'a/b', 'a'.repeat(64)]) {
    await assert.rejects(run('-H', name), {
      code: 'ERR_USAGE',
      message: `--hostname: "${name}" is not a host name. Use letters, digits and hyphens, with dots between parts, for example web1.example`,
    });
  }
  await assert.rejects(run('-H', `${longest}2`), {
    message: `--hostname: "${longest}2" has 65 bytes, the kernel takes at most 64. Shorten it`,
  });
});

test('names the wrong value and a right one', async () => {
  const table: readonly (readonly [string, string[], string])[] = [
    [
      'ERR_USAGE',
      ['-m'],
      '-m needs at least one network, for example: vdens -m vde:///run/sw null://. Options are listed by: vdens --help',
    ],
    [
      'ERR_USAGE',
      ['-m', '--', '--', 'ls'],
      '-m needs at least one network, for example: vdens -m vde:///run/sw null://. Options are listed by: vdens --help',
    ],
    [
      'ERR_USAGE',
      ['-m', 'a', '-i', 'eth'],
      '"-i" stands among the networks. Options go before the first network, a command after --. Options are listed by: vdens --help',
    ],
    [
      'ERR_USAGE',
      ['-m', 'a', '-'],
      '"-" means no network, which makes no sense among several: leave it out, or write vde:// for the default switch',
    ],
    [
      'ERR_COMMAND',
      ['=a;b'],
      `the command "a;b" holds a bare ";", but one command is all that can be run. To use a shell, write: sh -c 'one; two'`,
    ],
    ['ERR_USAGE', ['--bogus'], 'unknown option --bogus. Options are listed by: vdens --help'],
    [
      'ERR_USAGE',
      ['-i', 'fifteen--bytes-', 'a'],
      '--iface: interface name too long: "fifteen--bytes-0" has 16 bytes, the kernel takes at most 15. Write, for example, -i eth',
    ],
    [
      'ERR_USAGE',
      ['-i', 'sixteen--bytes--', 'no'],
      '--iface: interface name too long: "sixteen--bytes--0" has 17 bytes, the kernel takes at most 15. Write, for example, -i eth',
    ],
    [
      'ERR_USAGE',
      ['-i', '', 'a'],
      '--iface: the prefix is empty, which no interface name may have. Write, for example, -i eth',
    ],
    [
      'ERR_USAGE',
      ['-i', 'a/b', 'a'],
      '--iface: "a/b" has a "/" in it, which no interface name may have. Write, for example, -i eth',
    ],
    [
      'ERR_USAGE',
      ['-i', 'a b', 'a'],
      '--iface: "a b" has a " " in it, which no interface name may have. Write, for example, -i eth',
    ],
    [
      'ERR_ADDRESS',
      ['--address', '10.0.0.1', 'a'],
      '--address: "10.0.0.1" has no prefix length. Write, for example, 10.0.0.1/24',
    ],
    [
      'ERR_ADDRESS',
      ['--address', '10.0.0.1/24,', 'a'],
      '--address: "" is not an IP address. Write, for example, 10.0.0.1 or fd00::1',
    ],
    [
      'ERR_ADDRESS',
      ['--address', '224.0.0.1/24', 'a'],
      '--address: "224.0.0.1/24" is not the address of one host. Write, for example, 10.0.0.1/24',
    ],
    [
      'ERR_ADDRESS',
      ['--address', '::/64', 'a'],
      '--address: "::/64" is not the address of one host. Write, for example, fd00::1/64',
    ],
    [
      'ERR_USAGE',
      ['--address', '10.0.0.1/24,10.0.0.1/16', 'a'],
      '--address: 10.0.0.1 is given to vde0 twice. Give it once',
    ],
    [
      'ERR_USAGE',
      ['--address', 'eth0=10.0.0.1/24', '-m', 'a', 'b'],
      '--address: there will be no interface "eth0", but vde0, vde1',
    ],
    [
      'ERR_USAGE',
      ['--address', '10.0.0.1/24', 'no'],
      '--address: there is no interface for "10.0.0.1/24", as no network was named. Name a network, for example: vdens --address 10.0.0.1/24 vde:///run/sw',
    ],
    [
      'ERR_USAGE',
      ['--gateway', '10.0.0.1', 'no'],
      '--gateway: there is no interface for "10.0.0.1", as no network was named. Name a network, for example: vdens --gateway 10.0.0.1 vde:///run/sw',
    ],
    [
      'ERR_USAGE',
      ['--mtu', '1400'],
      '--mtu: there is no interface for "1400", as no network was named. Name a network, for example: vdens --mtu 1400 vde:///run/sw',
    ],
    [
      'ERR_USAGE',
      ['--gateway', '10.0.0.1', 'a'],
      '--gateway: 10.0.0.1 is in the network of no --address. Add an address of its network, for example: --address 10.0.0.2/24',
    ],
    [
      'ERR_USAGE',
      ['--gateway', 'fd00::2', '--address', '10.0.0.1/8', 'a'],
      '--gateway: fd00::2 is in the network of no --address. Add an address of its network, for example: --address fd00::3/64',
    ],
    [
      'ERR_USAGE',
      ['--gateway', '10.0.0.1', '--address', '10.0.0.1/24', 'a'],
      "--gateway: 10.0.0.1 is the address of vde0 itself. Name the router's address",
    ],
    [
      'ERR_USAGE',
      ['--gateway', '10.0.0.2', '--gateway', '10.0.0.3', '--address', '10.0.0.1/24', 'a'],
      '--gateway: 10.0.0.3 is the second of its family. Give one for IPv4 and one for IPv6',
    ],
    [
      'ERR_ADDRESS',
      ['--gateway', 'router', 'a'],
      '--gateway: "router" is not an IP address. Write, for example, 10.0.0.1 or fd00::1',
    ],
    [
      'ERR_ADDRESS',
      ['--mac', 'x', 'a'],
      '--mac: "x" is not a MAC address. Write six bytes in hex, for example 02:00:00:00:00:01',
    ],
    [
      'ERR_ADDRESS',
      ['--mac', '01:00:00:00:00:01', 'a'],
      '--mac: 01:00:00:00:00:01 is not the address of one station. Write, for example, 02:00:00:00:00:01',
    ],
    [
      'ERR_ADDRESS',
      ['--mac', '00:00:00:00:00:00', 'a'],
      '--mac: 00:00:00:00:00:00 is not the address of one station. Write, for example, 02:00:00:00:00:01',
    ],
    [
      'ERR_USAGE',
      ['--mtu', '1', '--mtu', '2', 'a'],
      '--mtu: "1" is not a number from 68 to 65521. Write, for example, --mtu 1500',
    ],
    [
      'ERR_USAGE',
      ['--mtu', '1400', '--mtu', 'vde0=1500', 'a'],
      '--mtu: "1500" is the second one for vde0. Give one, or name another interface: --mtu IFACE=1500',
    ],
    [
      'ERR_USAGE',
      ['--mtu', '1279', '--address', 'fd00::1/64', 'a'],
      '--mtu: 1279 is too small for fd00::1/64 on vde0: IPv6 needs at least 1280',
    ],
  ];
  for (const [code, argv, message] of table) await assert.rejects(run(...argv), { code, message }, argv.join(' '));
});

test('takes an MTU from 68 to 65521', async () => {
  for (const mtu of [68, 1500, 65521]) assert.equal((await run('--mtu', String(mtu), 'a')).interfaces[0]!.mtu, mtu);
  for (const mtu of ['67', '65522', '', 'big', '1e3', '-1', '1500.0', '0x5dc']) {
    await assert.rejects(run('--mtu', mtu, 'a'), {
      message: `--mtu: "${mtu}" is not a number from 68 to 65521. Write, for example, --mtu 1500`,
    });
  }
});

test('--auto asks the servers of all networks, for a time', async () => {
  assert.equal((await run('--up', 'vde:///s')).autoTimeoutMs, undefined);
  const request = await run('--auto', 'vde:///s');
  assert.deepEqual([request.autoTimeoutMs, request.up], [15_000, true]);
  for (const [text, ms] of [
    ['2', 2000],
    ['0.5', 500],
    ['3600', 3_600_000],
  ] as const) {
    assert.equal((await run('--auto', '--auto-timeout', text, 'vde:///s')).autoTimeoutMs, ms);
  }
  for (const text of ['', '0', '-1', 'soon', '3601', '1e3', '5s']) {
    await assert.rejects(run('--auto', `--auto-timeout=${text}`, 'vde:///s'), {
      code: 'ERR_USAGE',
      message: /^--auto-timeout: ".*" is not a number of seconds above 0, up to 3600\./,
    });
  }
});

test('--auto without a network, and --auto-timeout without --auto, are refused', async () => {
  for (const argv of [['--auto'], ['--auto', 'no', 'true'], ['--auto', '-']]) {
    await assert.rejects(run(...argv), { code: 'ERR_USAGE', message: /^--auto: no network was named/ });
  }
  const message = /^--auto-timeout: 5 is for --auto, which was not given/;
  await assert.rejects(run('--auto-timeout', '5', 'vde:///s'), { code: 'ERR_USAGE', message });
});
