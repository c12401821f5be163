/** How guests are configured by a gateway, with the clients that people use: DHCP, DHCPv6, SLAAC and TFTP. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GATEWAY, GatewayLab, type Guest, gatewayCommands, NAME_SERVER } from '../fixtures/gateway-lab.ts';
import { makeTemporaryDirectory, requireCommands, waitFor } from '../interop/harness.ts';

const CLIENT_TIMEOUT_MS = 60_000;

/** A guest whose interface is up and has nothing else. */
async function bareGuest(t: TestContext, network: string, ...commands: readonly string[]): Promise<Guest | undefined> {
  if (!requireCommands(t, ...gatewayCommands, ...commands)) return undefined;
  const lab = await GatewayLab.start(t);
  return await lab.guest(network, { addresses: [], routes: [] });
}

/** A script for a DHCP client: it sets addresses, and notes what it was called with. */
function clientScript(folder: string, lines: readonly string[]): { script: string; log: string } {
  const [script, log] = [join(folder, 'script'), join(folder, 'log')];
  writeFileSync(log, '');
  writeFileSync(script, ['#!/bin/sh', `{ echo "--"; env; } >> ${log}`, ...lines, ''].join('\n'));
  chmodSync(script, 0o755);
  return { script, log };
}

/** What the client's script was told in the last of its calls that fits. */
function toldIn(log: string, isWanted: (variables: Map<string, string>) => boolean): Map<string, string> | undefined {
  const calls = readFileSync(log, 'utf8').split(/^--$/m);
  const read = (call: string): Map<string, string> =>
    new Map(Array.from(call.matchAll(/^(\w+)=(.*)$/gm), ([, name = '', value = '']) => [name, value]));
  return calls.map(read).findLast(isWanted);
}

const UDHCPC_LINES = [
  '[ "$1" = bound ] || [ "$1" = renew ] || exit 0',
  'ip address replace "$ip/$mask" dev "$interface"',
  'if [ -n "$router" ]; then ip route replace default via "$router"; fi',
];

/** Runs BusyBox's client until it has an address; what it was told. */
async function udhcpc(t: TestContext, guest: Guest, ...words: readonly string[]): Promise<Map<string, string>> {
  const { script, log } = clientScript(makeTemporaryDirectory(t), UDHCPC_LINES);
  const argv = ['busybox', 'udhcpc', '-i', 'vde0', '-f', '-q', '-n', '-t', '10', '-s', script, ...words];
  const { status, stderr } = await guest.run(argv, { timeoutMs: CLIENT_TIMEOUT_MS });
  assert.equal(status, 0, stderr);
  const told = toldIn(log, (variables) => variables.has('ip'));
  assert.ok(told);
  return told;
}

test('udhcpc gets an address that works, the same one again, and what is configured', async (t) => {
  const network =
    'slirp:///hostname=box/vdomainname=lan.example/vdnssearch=a.example,b.example/tftp_server_name=boot/bootfile=kernel';
  const guest = await bareGuest(t, network, 'busybox');
  if (guest === undefined) return;
  const asked = ['hostname', 'domain', 'search', 'tftp', 'dns', 'router', 'subnet'].flatMap((option) => ['-O', option]);
  const told = await udhcpc(t, guest, ...asked);
  const of = (...names: readonly string[]): (string | undefined)[] => names.map((name) => told.get(name));
  assert.deepEqual(of('ip', 'mask', 'router', 'dns'), ['10.0.2.15', '24', GATEWAY.v4, NAME_SERVER.v4]);
  assert.deepEqual(of('hostname', 'domain', 'tftp', 'boot_file'), ['box', 'lan.example', 'boot', 'kernel']);
  assert.deepEqual(of('search', 'lease', 'serverid', 'siaddr'), [
    'a.example b.example',
    '86400',
    GATEWAY.v4,
    GATEWAY.v4,
  ]);
  await guest.must(`ping -c 1 -W 10 ${GATEWAY.v4}`);
  assert.equal((await udhcpc(t, guest)).get('ip'), '10.0.2.15');
});

test('udhcpc gets the address that it asks for, and it is told of another MTU', async (t) => {
  const guest = await bareGuest(t, 'slirp:///mtu=1400', 'busybox');
  if (guest === undefined) return;
  const told = await udhcpc(t, guest, '-r', '10.0.2.99', '-O', 'mtu');
  assert.deepEqual([told.get('ip'), told.get('mtu')], ['10.0.2.99', '1400']);
});

test('behind a gateway without a way out, udhcpc gets an address and no router', async (t) => {
  const guest = await bareGuest(t, 'slirp:///restricted', 'busybox');
  if (guest === undefined) return;
  const told = await udhcpc(t, guest);
  assert.deepEqual([told.get('ip'), told.get('router'), told.get('dns')], ['10.0.2.15', undefined, undefined]);
});

/** Starts ISC's client in the foreground, and waits until it has what it asks for. */
async function dhclient(
  t: TestContext,
  guest: Guest,
  family: '-4' | '-6',
  isBound: RegExp,
): Promise<Map<string, string>> {
  const folder = makeTemporaryDirectory(t);
  const { script, log } = clientScript(folder, [
    'case "$reason" in BOUND) ip address replace "$new_ip_address/24" dev "$interface";; esac',
    'case "$reason" in BOUND6) ip address replace "$new_ip6_address/128" dev "$interface";; esac',
    'exit 0',
  ]);
  const files = ['-sf', script, '-lf', join(folder, 'leases'), '-pf', join(folder, 'pid'), '-cf', '/dev/null'];
  const run = await guest.spawn(['dhclient', family, '-1', '-d', ...files, 'vde0']);
  await waitFor(
    () => toldIn(log, (told) => isBound.test(told.get('reason') ?? '')) !== undefined,
    CLIENT_TIMEOUT_MS,
    'dhclient',
  );
  run.kill('SIGTERM');
  await run.waitForExit();
  const told = toldIn(log, (variables) => isBound.test(variables.get('reason') ?? ''));
  assert.ok(told);
  return told;
}

test('dhclient gets an address that works', async (t) => {
  const guest = await bareGuest(t, 'slirp:///vdnssearch=a.example', 'dhclient');
  if (guest === undefined) return;
  const told = await dhclient(t, guest, '-4', /^BOUND$/);
  const names = ['ip_address', 'routers', 'domain_name_servers', 'host_name', 'dhcp_lease_time'];
  assert.deepEqual(
    names.map((name) => told.get(`new_${name}`)),
    ['10.0.2.15', GATEWAY.v4, NAME_SERVER.v4, 'slirp', '86400'],
  );
  await guest.must(`ping -c 1 -W 10 ${GATEWAY.v4}`);
});

test('dhclient gets an IPv6 address that works, and the resolver', async (t) => {
  const guest = await bareGuest(t, 'slirp://', 'dhclient');
  if (guest === undefined) return;
  const told = await dhclient(t, guest, '-6', /^BOUND6$/);
  assert.deepEqual([told.get('new_ip6_address'), told.get('new_dhcp6_name_servers')], ['fd00::1000', NAME_SERVER.v6]);
  await guest.must(`ip -6 route add fd00::/64 dev vde0; ping -c 1 -W 10 ${GATEWAY.v6}`);
});

/**
 * Starts a program that runs as long as its interface is up, with a /run of its own, and waits until the guest has
 * addresses and routes of both kinds.
 */
async function configuredBy(t: TestContext, guest: Guest, script: string): Promise<void> {
  await guest.must('echo 1 > /proc/sys/net/ipv6/conf/vde0/accept_dad');
  const run = await guest.spawn(['unshare', '--mount', 'sh', '-ec', `mount -t tmpfs none /run\n${script}`]);
  t.after(() => run.kill('SIGKILL'));
  const isReady = async (): Promise<boolean> => {
    const state = await guest.must('ip address show dev vde0 -tentative; ip route; ip -6 route');
    const wanted = [/inet 10\.0\.2\.15\/24/, /inet6 fd00::/, /default via 10\.0\.2\.2 /, /default via fe80::2 /];
    return wanted.every((pattern) => pattern.test(state));
  };
  await waitFor(isReady, CLIENT_TIMEOUT_MS, 'addresses and routes');
  // These programs set addresses and routes anew when the second kind comes; in between, nothing can be sent.
  const isAnswered = async (): Promise<boolean> => {
    const pings = [GATEWAY.v4, GATEWAY.v6].map((address) => guest.run(['ping', '-c', '1', '-W', '10', address]));
    return (await Promise.all(pings)).every(({ status }) => status === 0);
  };
  await waitFor(isAnswered, CLIENT_TIMEOUT_MS, 'answers of the gateway');
  run.kill('SIGTERM');
  await run.waitForExit();
}

test('dhcpcd configures everything, and DHCPv6 takes it two messages', async (t) => {
  const guest = await bareGuest(t, 'slirp:///vdnssearch=a.example', 'dhcpcd');
  if (guest === undefined) return;
  const { script, log } = clientScript(makeTemporaryDirectory(t), []);
  const settings = ['option rapid_commit, domain_name_servers, domain_search', 'ipv6rs', 'ia_na', 'slaac hwaddr'];
  await configuredBy(
    t,
    guest,
    `mkdir -p /run/dhcpcd /var/lib/dhcpcd 2>/dev/null || :
    mount -t tmpfs none /var/lib/dhcpcd
    printf '%s\\n' ${settings.map((line) => `'${line}'`).join(' ')} > /run/settings
    exec dhcpcd -B -f /run/settings -c ${script} vde0`,
  );
  const told = toldIn(log, (variables) => variables.get('reason') === 'BOUND6');
  const names = ['ia_na1_ia_addr1', 'name_servers', 'domain_search', 'rapid_commit'];
  assert.deepEqual(
    names.map((name) => told?.get(`new_dhcp6_${name}`)),
    ['fd00::1000', NAME_SERVER.v6, 'a.example', ''],
  );
});

test('systemd-networkd configures everything', async (t) => {
  const networkd = '/lib/systemd/systemd-networkd';
  if (!existsSync(networkd)) return t.skip(`${networkd} is not installed`);
  const guest = await bareGuest(t, 'slirp://');
  if (guest === undefined) return;
  // Its user is root here, the only one there is; without udev, which it looks for in /sys, it takes interfaces at once.
  await configuredBy(
    t,
    guest,
    `mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
    printf '[Match]\\nName=vde0\\n[Network]\\nDHCP=yes\\nIPv6AcceptRA=yes\\n' > /run/systemd/network/vde0.network
    grep -v '^systemd-network:' /etc/passwd > /run/passwd
    echo 'systemd-network:x:0:0::/:/bin/sh' >> /run/passwd
    mount --bind /run/passwd /etc/passwd
    mount -t tmpfs -o ro none /sys
    SYSTEMD_LOG_TARGET=console exec ${networkd}`,
  );
});

test('the kernel makes itself an address and a route, and takes the MTU', async (t) => {
  const guest = await bareGuest(t, 'slirp:///mtu=1400');
  if (guest === undefined) return;
  await guest.must(`
    ip link set vde0 down mtu 1500
    echo 1 > /proc/sys/net/ipv6/conf/vde0/accept_ra
    echo 1 > /proc/sys/net/ipv6/conf/vde0/accept_dad
    ip link set vde0 up`);
  const isReady = async (): Promise<boolean> => {
    const addresses = await guest.must('ip -6 address show dev vde0 scope global -tentative');
    return addresses.includes('inet6 fd00::');
  };
  await waitFor(isReady, CLIENT_TIMEOUT_MS, 'an address of fd00::/64');
  assert.match(await guest.must('ip -6 route show default'), /^default via fe80::2 dev vde0 proto ra .*mtu 1400/);
  assert.match(await guest.must('ip -6 route show fd00::/64'), /proto kernel/);
  await guest.must(`ping -c 1 -W 10 ${GATEWAY.v6}; ping -c 1 -W 10 fe80::2%vde0`);
});

test('the kernel notices that an address is the gateway’s', async (t) => {
  const guest = await bareGuest(t, 'slirp://');
  if (guest === undefined) return;
  await guest.must('echo 1 > /proc/sys/net/ipv6/conf/vde0/accept_dad; ip address add fd00::2/64 dev vde0');
  const isNoticed = async (): Promise<boolean> =>
    (await guest.must('ip -6 address show dev vde0')).includes('dadfailed');
  await waitFor(isNoticed, CLIENT_TIMEOUT_MS, 'the conflict');
});

test('files come by TFTP, and none that is outside', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const served = join(folder, 'served');
  mkdirSync(served);
  const content = Buffer.alloc(700_001, 'All that a machine needs to boot.\n');
  writeFileSync(join(served, 'kernel'), content);
  writeFileSync(join(folder, 'secret'), 'secret');
  symlinkSync('../secret', join(served, 'link'));
  const quoted = served.replaceAll('/', '%2f');
  const guest = await bareGuest(t, `slirp:///tftp_path=${quoted}`, 'busybox', 'curl');
  if (guest === undefined) return;
  await guest.must(`
    ip address add 10.0.2.15/24 dev vde0
    ip address add fd00::15/64 dev vde0 nodad`);
  const fetch = async (...words: readonly string[]): Promise<Buffer> => {
    const target = join(folder, 'got');
    const { status, stderr } = await guest.run([...words, target], { timeoutMs: CLIENT_TIMEOUT_MS });
    assert.equal(status, 0, stderr);
    return readFileSync(target);
  };
  const curl = ['curl', '-sS', '--max-time', '50'];
  assert.ok((await fetch(...curl, `tftp://${GATEWAY.v4}/kernel`, '-o')).equals(content));
  assert.ok((await fetch(...curl, '--tftp-blksize', '1400', `tftp://[${GATEWAY.v6}]/kernel`, '-o')).equals(content));
  assert.ok((await fetch('busybox', 'tftp', '-g', '-r', 'kernel', '-b', '1400', GATEWAY.v4, '-l')).equals(content));
  // CURLE_TFTP_NOTFOUND, CURLE_TFTP_PERM.
  for (const [name, problem] of [
    ['nothing', 68],
    ['link', 69],
    ['../secret', 69],
  ] as const) {
    const argv = [...curl, '--path-as-is', `tftp://${GATEWAY.v4}/${name}`];
    const { status, stderr } = await guest.run(argv, { timeoutMs: CLIENT_TIMEOUT_MS });
    assert.equal(status, problem, `${name}: ${stderr}`);
  }
});
