/** `vdens --auto` with the servers that people use: udhcpd, dnsmasq, the original gateway; and with none. */
import assert from 'node:assert/strict';
import { readdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cable, openNamespace, openPlug } from '../../src/index.ts';
import { formatPrefix } from '../../src/net/prefix.ts';
import { startDnsmasq, startUdhcpd } from '../fixtures/address-server.ts';
import { openTerminal } from '../fixtures/terminal.ts';
import {
  type BackgroundCommand,
  type CommandResult,
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

const LOOK = 'ip -4 -brief address show dev vde0; ip route; ip -6 route; cat /etc/resolv.conf';
const START_MS = 20_000;
/** Long enough for anything that happens every few seconds. */
const LONG_MS = 30_000;

/** A network of the test's own, which nobody serves yet. */
function network(t: TestContext): string {
  return `switch://${join(makeTemporaryDirectory(t), 'lan')}`;
}

/** Runs a line of shell on a host that learns what it needs. */
async function onHost(plug: string, script: string, ...options: string[]): Promise<CommandResult> {
  const result = await runCommand([ours('vdens'), '--auto', ...options, plug, 'sh', '-c', script], {
    timeoutMs: LONG_MS,
  });
  assert.equal(result.status, 0, result.stdout + result.stderr);
  return result;
}

/** A host that stays. */
async function startHost(t: TestContext, plug: string, ...options: string[]): Promise<BackgroundCommand> {
  const script = 'echo ready; while read -r line; do eval "$line"; echo "done"; done';
  const host = await spawnBackground(t, [ours('vdens'), '--auto', ...options, plug, 'sh', '-c', script]);
  await host.waitForOutput(/^ready$/m, START_MS);
  return host;
}

/** What a command prints on such a host. */
async function ask(host: BackgroundCommand, line: string): Promise<string> {
  const before = host.output().length;
  host.write(`${line}\n`);
  const isDone = (): boolean => /^done$/m.test(host.output().slice(before));
  await waitFor(isDone, START_MS, `the answer to ${line}`);
  return host.output().slice(before);
}

test('an address, a route, the MTU and names from udhcpd', async (t) => {
  if (!requireCommands(t, 'busybox', 'ip', 'ping')) return;
  const lan = network(t);
  const lines = ['opt router 10.7.0.1', 'opt dns 10.7.0.1 10.7.0.3', 'opt domain lan.example', 'opt mtu 1400'];
  await startUdhcpd(t, lan, { lines });
  const { stdout, stderr } = await onHost(lan, `ip link show lo; ${LOOK}; ping -c 1 -W 5 10.7.0.1; exit 0`);
  assert.equal(stderr, '');
  assert.match(stdout, /^1: lo: <LOOPBACK,UP/m);
  assert.match(stdout, /^vde0 +UNKNOWN +10\.7\.0\.[2-5]\d\/24 *$/m);
  assert.match(stdout, /^default via 10\.7\.0\.1 dev vde0 proto dhcp src 10\.7\.0\.\d+ metric 1024/m);
  assert.match(stdout, /^search lan\.example\nnameserver 10\.7\.0\.1\nnameserver 10\.7\.0\.3\n/m);
  assert.match(stdout, / 0% packet loss/);
  const mtu = await onHost(lan, 'ip link show vde0');
  assert.match(mtu.stdout, / mtu 1400 /);
});

test('what is given is kept: the MTU, the gateway, the name servers', async (t) => {
  if (!requireCommands(t, 'busybox', 'ip')) return;
  const lan = network(t);
  await startUdhcpd(t, lan, { lines: ['opt router 10.7.0.1', 'opt dns 10.7.0.1', 'opt mtu 1400'] });
  const kept = await onHost(lan, `ip link show vde0; ${LOOK}`, '--mtu', '1300', '-R', '9.9.9.9');
  assert.match(kept.stdout, / mtu 1300 /);
  assert.match(kept.stdout, /^nameserver 9\.9\.9\.9$/m);
  assert.doesNotMatch(kept.stdout, /nameserver 10\.7/);
  const given = await onHost(lan, LOOK, '--address', '10.7.0.9/24', '--gateway', '10.7.0.8');
  assert.match(given.stdout, /^vde0 +UNKNOWN +10\.7\.0\.9\/24 *$/m);
  assert.match(given.stdout, /^default via 10\.7\.0\.8 dev vde0/m);
  assert.doesNotMatch(given.stdout, /10\.7\.0\.1 /);
});

test('a lease of seconds is renewed as long as the command runs, and given back', async (t) => {
  if (!requireCommands(t, 'dnsmasq', 'ip')) return;
  const lan = network(t);
  // The least that dnsmasq leases is two minutes; what it says of the renewal is believed.
  const times = ['--dhcp-option-force=option:T1,2', '--dhcp-option-force=option:T2,4'];
  const server = await startDnsmasq(t, lan, ['10.7.0.1/24'], ['--dhcp-range=10.7.0.60,10.7.0.70,120', ...times]);
  const host = await startHost(t, lan);
  const first = /inet (10\.7\.0\.\d+)/.exec(await ask(host, 'ip -4 address show dev vde0'))?.[1];
  assert.ok(first !== undefined);
  const acknowledged = (): number => server.output().split(`DHCPACK(vde0) ${first}`).length - 1;
  await waitFor(() => acknowledged() >= 4, LONG_MS, 'three renewals');
  assert.equal(/inet (10\.7\.0\.\d+)/.exec(await ask(host, 'ip -4 address show dev vde0'))?.[1], first);
  assert.equal(server.output().split('DHCPDISCOVER').length - 1, 1);
  host.endInput();
  await host.waitForExit();
  await server.waitForOutput(new RegExp(`DHCPRELEASE\\(vde0\\) ${first} `));
  assert.doesNotMatch(host.output(), /lost/);
});

test('classless routes and a search list from dnsmasq, whose packets have unfinished checksums', async (t) => {
  if (!requireCommands(t, 'dnsmasq', 'ip')) return;
  const lan = network(t);
  await startDnsmasq(
    t,
    lan,
    ['10.7.0.1/24'],
    [
      '--dhcp-range=10.7.0.60,10.7.0.70,120',
      '--dhcp-option=option:classless-static-route,192.168.9.0/24,10.7.0.5,0.0.0.0/0,10.7.0.6',
      '--dhcp-option=option:domain-search,a.example,b.example',
      '--dhcp-option=option:dns-server,10.7.0.7',
    ],
  );
  const { stdout } = await onHost(lan, LOOK);
  assert.match(stdout, /^default via 10\.7\.0\.6 dev vde0 proto dhcp/m);
  assert.match(stdout, /^192\.168\.9\.0\/24 via 10\.7\.0\.5 dev vde0 proto dhcp/m);
  assert.match(stdout, /^search a\.example b\.example\nnameserver 10\.7\.0\.7$/m);
});

test('when the server is replaced by another, the address, the routes and the names follow', async (t) => {
  if (!requireCommands(t, 'busybox', 'dnsmasq', 'ip')) return;
  const lan = network(t);
  const lines = ['opt router 10.7.0.1', 'opt dns 10.7.0.1'];
  const first = await startUdhcpd(t, lan, { lease: 6, lines });
  const host = await startHost(t, lan);
  assert.match(await ask(host, LOOK), /^nameserver 10\.7\.0\.1$/m);
  // The one that is gone is silent, the new one refuses what it does not know.
  first.kill('SIGTERM');
  await first.waitForExit();
  await startDnsmasq(t, lan, ['10.8.0.1/24'], ['--dhcp-range=10.8.0.60,10.8.0.70,120', '--dhcp-option=6,10.8.0.9']);
  await host.waitForOutput(/^vdens: vde0 lost the address 10\.7\.0\.\d+\/24: .*; asking again$/m, LONG_MS);
  await host.waitForOutput(/^vdens: vde0 has the address 10\.8\.0\.\d+\/24 now$/m, LONG_MS);
  const after = await ask(host, LOOK);
  assert.match(after, /^default via 10\.8\.0\.1 dev vde0/m);
  assert.match(after, /^nameserver 10\.8\.0\.9$/m);
  assert.doesNotMatch(after, /10\.7\.0/);
});

test('a lease that nobody renews ends, and the host asks again until somebody is there', async (t) => {
  if (!requireCommands(t, 'busybox', 'ip')) return;
  const lan = network(t);
  const first = await startUdhcpd(t, lan, { lease: 3, lines: ['opt router 10.7.0.1', 'opt dns 10.7.0.1'] });
  const host = await startHost(t, lan);
  first.kill('SIGTERM');
  await host.waitForOutput(/^vdens: vde0 lost the address .*: it was not renewed in time; asking again$/m, LONG_MS);
  const without = await ask(host, LOOK);
  assert.doesNotMatch(without, /10\.7\.0/);
  assert.match(await ask(host, 'ip link show vde0'), /LOWER_UP/);
  await startUdhcpd(t, lan, { network: '10.9.0' });
  await host.waitForOutput(/^vdens: vde0 has the address 10\.9\.0\.\d+\/24 now$/m, LONG_MS);
});

test('a network that is back as another one is asked whether the address is good there', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'busybox', 'dnsmasq', 'ip')) return;
  const path = join(makeTemporaryDirectory(t), 'lan');
  const [old, other] = [await startSwitch(t), await startSwitch(t)];
  symlinkSync(old.path, path);
  await startUdhcpd(t, old.path, { lease: 3600, lines: ['opt dns 10.7.0.1'] });
  await startDnsmasq(t, other.path, ['10.8.0.1/24'], ['--dhcp-range=10.8.0.60,10.8.0.70,120']);
  const host = await startHost(t, path);
  assert.match(await ask(host, LOOK), /10\.7\.0\.\d+\/24/);
  unlinkSync(path);
  await old.kill();
  await host.waitForOutput(/waiting for it to come back$/m, START_MS);
  symlinkSync(other.path, path);
  await host.waitForOutput(/is back$/m, START_MS);
  await host.waitForOutput(/^vdens: vde0 has the address 10\.8\.0\.\d+\/24 now$/m, LONG_MS);
  assert.doesNotMatch(await ask(host, LOOK), /10\.7\.0/);
});

test('addresses by SLAAC, names from the router', async (t) => {
  if (!requireCommands(t, 'dnsmasq', 'ip', 'ping')) return;
  const lan = network(t);
  await startDnsmasq(
    t,
    lan,
    ['fd07::1/64'],
    [
      '--enable-ra',
      '--dhcp-range=fd07::,ra-only,64,120',
      '--dhcp-option=option6:dns-server,[fd07::9]',
      '--dhcp-option=option6:domain-search,v6.example',
    ],
  );
  const { stdout } = await onHost(lan, `ip -6 address show dev vde0; ${LOOK}; ping -c 1 -W 5 fd07::1`);
  assert.match(stdout, /inet6 fd07::[0-9a-f:]+\/64 scope global/);
  assert.match(stdout, /^default via fe80::\S+ dev vde0 proto ra metric 1024/m);
  assert.match(stdout, /^search v6\.example\nnameserver fd07::9$/m);
  assert.match(stdout, / 0% packet loss/);
});

test('addresses by DHCPv6 where the router says so, given back at the end', async (t) => {
  if (!requireCommands(t, 'dnsmasq', 'ip', 'ping')) return;
  const lan = network(t);
  const range = '--dhcp-range=fd07::100,fd07::200,64,120';
  const server = await startDnsmasq(
    t,
    lan,
    ['fd07::1/64'],
    [...['--enable-ra', range, '--dhcp-option=option6:dns-server,[fd07::9]']],
  );
  const { stdout } = await onHost(lan, `ip -6 address show dev vde0; ${LOOK}; ping -c 1 -W 5 fd07::1`);
  assert.match(stdout, /inet6 fd07::1[0-9a-f]{2}\/128 scope global/);
  assert.match(stdout, /^default via fe80::/m);
  assert.match(stdout, /^nameserver fd07::9$/m);
  assert.match(stdout, / 0% packet loss/);
  await server.waitForOutput(/DHCPRELEASE\(vde0\)/);
});

test('names by DHCPv6 where the router has addresses only', async (t) => {
  if (!requireCommands(t, 'dnsmasq', 'ip')) return;
  const lan = network(t);
  const server = await startDnsmasq(
    t,
    lan,
    ['fd07::1/64'],
    [...['--enable-ra', '--dhcp-range=fd07::,ra-stateless,64,120', '--dhcp-option=option6:dns-server,[fd07::9]']],
  );
  const { stdout } = await onHost(lan, `ip -6 address show dev vde0; ${LOOK}`);
  assert.match(stdout, /inet6 fd07::[0-9a-f:]+\/64 scope global/);
  assert.match(stdout, /^nameserver fd07::9$/m);
  await server.waitForOutput(/DHCPINFORMATION-REQUEST\(vde0\)/);
});

test('both families, when both are there', async (t) => {
  if (!requireCommands(t, 'dnsmasq', 'ip')) return;
  const lan = network(t);
  await startDnsmasq(
    t,
    lan,
    ['10.7.0.1/24', 'fd07::1/64'],
    [...['--enable-ra', '--dhcp-range=fd07::,ra-only,64,120', '--dhcp-range=10.7.0.60,10.7.0.70,120']],
  );
  const { stdout } = await onHost(lan, `ip -6 address show dev vde0; ${LOOK}`);
  assert.match(stdout, /inet6 fd07::/);
  assert.match(stdout, /10\.7\.0\.\d+\/24/);
});

test('several networks, each with its server; the first is the way out', async (t) => {
  if (!requireCommands(t, 'busybox', 'ip')) return;
  const [left, right, quiet] = [network(t), network(t), network(t)];
  await startUdhcpd(t, left, { lines: ['opt router 10.7.0.1', 'opt dns 10.7.0.1'] });
  await startUdhcpd(t, right, { network: '10.8.0', lines: ['opt router 10.8.0.1', 'opt dns 10.8.0.1'] });
  const words = ['--auto', '--address', 'vde2=10.9.0.1/24', '-m', left, right, quiet, '--'];
  const { stdout, stderr, status } = await runCommand([
    ours('vdens'),
    ...words,
    'sh',
    '-c',
    `ip -4 -brief address; ${LOOK}`,
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^vde1 +UNKNOWN +10\.8\.0\.\d+\/24 *$/m);
  assert.match(stdout, /^vde2 +UNKNOWN +10\.9\.0\.1\/24 *$/m);
  assert.match(
    stdout,
    /^default via 10\.7\.0\.1 dev vde0 .*metric 1024 *\ndefault via 10\.8\.0\.1 dev vde1 .*metric 1025/m,
  );
  assert.match(stdout, /^nameserver 10\.7\.0\.1\nnameserver 10\.8\.0\.1$/m);
});

test('the original gateway on an original switch', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'ip', 'ping')) return;
  const lan = await startSwitch(t);
  await spawnBackground(t, [original('vde_plug') ?? '', 'slirp://', `vde://${lan.path}`]);
  const { stdout } = await onHost(lan.path, `${LOOK}; ping -c 1 -W 5 10.0.2.2`);
  assert.match(stdout, /^vde0 +UNKNOWN +10\.0\.2\.15\/24 *$/m);
  assert.match(stdout, /^default via 10\.0\.2\.2 dev vde0/m);
  assert.match(stdout, /^nameserver 10\.0\.2\.3$/m);
  assert.match(stdout, / 0% packet loss/);
});

test('a way out with nothing configured: --auto slirp://', async (t) => {
  if (!requireCommands(t, 'ip', 'curl')) return;
  const server = createServer((_request, response) => response.end('from the host\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { stdout, stderr } = await onHost('slirp://', `${LOOK}; curl -sS --max-time 10 http://10.0.2.2:${port}/`);
  assert.equal(stderr, '');
  assert.match(stdout, /^vde0 +UNKNOWN +10\.0\.2\.15\/24 *$/m);
  assert.match(stdout, /^default via fe80::2 dev vde0 proto ra/m);
  assert.match(stdout, /^nameserver 10\.0\.2\.3$/m);
  assert.match(stdout, /^from the host$/m);
});

test('the library: an interface that learns is configured once it is plugged in', async (t) => {
  if (!requireCommands(t, 'busybox')) return;
  const lan = network(t);
  await startUdhcpd(t, lan, { lines: ['opt dns 10.7.0.1'] });
  await using namespace = await openNamespace({ interfaces: [{ name: 'eth0', auto: true }] });
  await using plug = await openPlug(lan);
  cable(namespace.interfaces[0]!.plug, plug);
  await namespace.autoconfigure({ timeoutMs: START_MS });
  const [address] = await namespace.rtnetlink.addresses('eth0');
  assert.match(address === undefined ? '' : formatPrefix(address), /^10\.7\.0\.\d+\/24$/);
  const command = namespace.run(['cat', '/etc/resolv.conf'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  command.process.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  assert.equal(await command.exit, 0);
  await waitFor(() => text !== '', START_MS, 'resolv.conf');
  assert.equal(text, 'nameserver 10.7.0.1\n');
});

test('the library: one that is never configured leaves nothing open', async () => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  const close = async (): Promise<void> => {
    const namespace = await openNamespace({ interfaces: [{ name: 'eth0', auto: true }] });
    await namespace.close();
  };
  await close();
  const before = open();
  for (let i = 0; i < 3; i++) await close();
  const namespace = await openNamespace({ interfaces: [{ name: 'eth0', auto: true }] });
  await assert.rejects(namespace.autoconfigure({ timeoutMs: 100 }), { code: 'ERR_NETWORK_TIMEOUT' });
  await namespace.close();
  assert.equal(open(), before);
});

test('when nobody answers, one line says so after the time that was given, and the command is not run', async (t) => {
  const lan = network(t);
  const result = await runCommand([ours('vdens'), '--auto', '--auto-timeout', '1.5', lan, 'echo', 'ran']);
  assert.deepEqual([result.status, result.stdout], [125, '']);
  const heard = 'nobody answered (DHCP, DHCPv6, router solicitations)';
  const remedy =
    'Start a server there, wait longer with --auto-timeout 4, or give an address: --address vde0=10.0.0.2/24';
  assert.equal(result.stderr, `vdens: no address after 1.5 s on vde0, ${lan}: ${heard}. ${remedy}\n`);
});

test('a signal ends the wait', async (t) => {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const host = await spawnBackground(t, [ours('vdens'), '--auto', network(t), 'echo', 'ran']);
    // It waits when its helper has been told to hold the interface, which is soon; the signal may come at any time.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    host.kill(signal);
    assert.equal((await host.waitForExit()).status, status);
    assert.equal(host.output(), '');
  }
});

test('on a terminal a line says what is waited for, and ^C ends the wait', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash')) return;
  const terminal = await openTerminal(t, { SHELL: '/bin/sh' });
  await terminal.type(`${ours('vdens')} --auto --auto-timeout 60 null:// echo ran; echo "status $?"`);
  await terminal.waitFor(/^vdens: waiting for addresses on vde0, 60 s at most$/m, START_MS);
  await terminal.press('C-c');
  await terminal.waitFor(/status 130$/m, START_MS);
  assert.doesNotMatch(await terminal.screen(), /^ran$/m);
});

test('where settings of the kernel may not be written, it works all the same', async (t) => {
  if (!requireCommands(t, 'dnsmasq', 'ip', 'unshare')) return;
  const lan = network(t);
  await startDnsmasq(
    t,
    lan,
    ['10.7.0.1/24', 'fd07::1/64'],
    [...['--enable-ra', '--dhcp-range=fd07::,ra-only,64,120', '--dhcp-range=10.7.0.60,10.7.0.70,120']],
  );
  const readOnly = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';
  const argv = ['unshare', '--user', '--map-current-user', '--keep-caps', '--mount', 'sh', '-c', readOnly, 'sh'];
  // An address of IPv6 takes longer then: others are asked whether they have it.
  const script = 'for i in $(seq 100); do ip -6 address show dev vde0 | grep fd07:: && break; sleep 0.1; done';
  const words = [ours('vdens'), '--auto', lan, 'sh', '-c', `${script}; ip -4 -brief address`];
  const { status, stdout, stderr } = await runCommand([...argv, ...words], { timeoutMs: LONG_MS });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /inet6 fd07::/);
  assert.match(stdout, /10\.7\.0\.\d+\/24/);
});

test('without a network, --auto is refused', async () => {
  const result = await runCommand([ours('vdens'), '--auto', 'no', 'true']);
  assert.equal(result.status, 125);
  assert.match(result.stderr, /^vdens: --auto: no network was named, so nobody can be asked for addresses\. .*\n$/);
});
