/**
 * Interfaces that are configured from outside: `--up`, `--address`, `--gateway`, `--mac`, `--mtu`; ip(8) inside is the
 * oracle, and is not needed.
 */
import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

/** What `ip -json address` and `ip -json route` print, as far as it matters here. */
interface IpInterface {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address: string;
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number; readonly scope: string }[];
}
interface IpRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
}

interface Seen {
  readonly interfaces: readonly IpInterface[];
  readonly routes: readonly IpRoute[];
}

/** What ip(8) sees in a namespace made with these options and networks. */
async function look(...args: readonly string[]): Promise<Seen> {
  const script = 'ip -json address; echo; ip -json -4 route; echo; ip -json -6 route';
  const { status, stdout, stderr } = await runCommand([ours('vdens'), ...args, 'sh', '-c', script]);
  assert.deepEqual([status, stderr], [0, ''], args.join(' '));
  const [interfaces, ...routes] = stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as unknown);
  return { interfaces: interfaces as IpInterface[], routes: (routes as IpRoute[][]).flat() };
}

/** `name UP|DOWN address/length...`, global addresses only, one line for each interface. */
function summary({ interfaces }: Seen): string[] {
  return interfaces.map(({ ifname, flags, addr_info }) => {
    const addresses = addr_info
      .filter(({ scope }) => scope === 'global' || scope === 'host')
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    return [ifname, flags.includes('UP') ? 'UP' : 'DOWN', ...addresses].join(' ');
  });
}

const LO = 'lo UP 127.0.0.1/8 ::1/128';

test('everything is down without an option', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  assert.deepEqual(summary(await look('null://')), ['lo DOWN', 'vde0 DOWN']);
});

test('--up sets lo and every interface up, lo alone when there is no network', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  assert.deepEqual(summary(await look('--up', '-m', 'null://', 'null://', '--')), [LO, 'vde0 UP', 'vde1 UP']);
  assert.deepEqual(summary(await look('--up', 'no')), [LO]);
});

test('--address takes addresses of both families, and sets everything up', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  assert.deepEqual(summary(await look('--address', '10.0.0.1/24,fd00::1/64', 'null://')), [
    LO,
    'vde0 UP 10.0.0.1/24 fd00::1/64',
  ]);
});

test('--address IFACE= is for one of several interfaces', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const options = ['-i', 'eth', '--address', '10.0.0.1/24', '--address=eth1=10.1.0.1/16,fd01::1/64'];
  const more = ['--address', 'eth1=10.2.0.1/16', '--address', 'eth0=fd00::1/64'];
  assert.deepEqual(summary(await look(...options, ...more, '-m', 'null://', 'null://', 'null://', '--')), [
    LO,
    'eth0 UP 10.0.0.1/24 fd00::1/64',
    'eth1 UP 10.1.0.1/16 10.2.0.1/16 fd01::1/64',
    'eth2 UP',
  ]);
});

test('--gateway makes a default route of each family', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const options = ['--address', '10.0.0.1/24', '--address', 'vde1=fd00::1/64'];
  const gateways = ['--gateway', '10.0.0.254', '--gateway', 'fd00::fe'];
  const { routes } = await look(...options, ...gateways, '-m', 'null://', 'null://', '--');
  const defaults = routes.filter(({ dst }) => dst === 'default');
  assert.deepEqual(
    defaults.map(({ gateway, dev }) => `${gateway} ${dev}`),
    ['10.0.0.254 vde0', 'fd00::fe vde1'],
  );
});

test('--mac and --mtu, for one interface or for each', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const options = ['--mac', '02:00:00:00:00:07', '--mtu', 'vde1=1400', '--mtu', '9000', '--mac=vde1=02-00-00-00-00-08'];
  const { interfaces } = await look(...options, '-m', 'null://', 'null://', '--');
  assert.deepEqual(
    interfaces.slice(1).map(({ ifname, address, mtu, flags }) => [ifname, address, mtu, flags.includes('UP')]),
    [
      ['vde0', '02:00:00:00:00:07', 9000, false],
      ['vde1', '02:00:00:00:00:08', 1400, false],
    ],
  );
  for (const mtu of [68, 65521]) assert.equal((await look('--mtu', `${mtu}`, 'null://')).interfaces[1]?.mtu, mtu);
});

test('MAC addresses are random, of one station, and locally administered without --mac', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const { interfaces } = await look('-m', 'null://', 'null://', '--');
  const [first, second] = interfaces.slice(1).map(({ address }) => address);
  assert.notEqual(first, second);
  for (const address of [first, second]) assert.equal(Number.parseInt(address!.slice(0, 2), 16) & 3, 2);
});

test('addresses are usable at once: no duplicate address detection keeps IPv6 waiting', async () => {
  const script = 'cat /proc/net/if_inet6';
  const { stdout } = await runCommand([ours('vdens'), '--address', 'fd00::1/64', 'null://', 'sh', '-c', script]);
  // Flags are the fifth column; 0x40 is IFA_F_TENTATIVE.
  const flags = /^fd0{29}1 .*? ([0-9a-f]{2}) +vde0$/m.exec(stdout)?.[1];
  assert.equal(Number.parseInt(flags ?? '', 16) & 0x40, 0, stdout);
});

test('works where ip(8) is not installed', async (t) => {
  const bare = bareFolder(t);
  const options = ['--address', '10.0.0.1/24,fd00::1/64', '--gateway', '10.0.0.2', '--mtu', '1400'];
  const script = 'command -v ip; cat /proc/net/route /proc/net/if_inet6 /proc/net/fib_trie /sys/class/net/vde0/mtu';
  const result = await runCommand([ours('vdens'), ...options, 'null://', 'sh', '-c', script], { env: { PATH: bare } });
  assert.match(result.stdout, /^vde0\t00000000\t0200000A\t0003/m);
  assert.match(result.stdout, /^fd0{29}1 \S+ 40 00 .* vde0$/m);
  assert.match(result.stdout, /10\.0\.0\.1\n.*\/32 host LOCAL/);
});

test('two namespaces on a switch ping each other by what --address gave them', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ping')) return;
  const lan = await startSwitch(t);
  const peer = [ours('vdens'), '--address', '10.0.0.2/24,fd00::2/64', lan.path, 'sh', '-c', 'echo ready; sleep 60'];
  const running = await spawnBackground(t, peer);
  await running.waitForOutput(/ready/);
  const script = 'ping -c 1 -W 3 10.0.0.2 && ping -c 1 -W 3 fd00::2';
  const result = await runCommand([ours('vdens'), '--address', '10.0.0.1/24,fd00::1/64', lan.path, 'sh', '-c', script]);
  assert.equal(result.status, 0, result.stdout + result.stderr);
});

/** A folder for PATH with no more in it than the tests above need. */
function bareFolder(t: TestContext): string {
  const folder = makeTemporaryDirectory(t);
  for (const name of ['sh', 'cat']) symlinkSync(original(name)!, join(folder, name));
  symlinkSync(process.execPath, join(folder, 'node'));
  return folder;
}
