/** The examples, run as they stand. */
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lab } from '../fixtures/lab.ts';
import {
  type BackgroundCommand,
  type CommandResult,
  checkout,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

function example(name: string): string {
  return join(checkout, 'dist', 'examples', `${name}.js`);
}

/** Asserts that the two namespaces found each other, and that every step of it was shown. */
function assertTwoNamespaces({ status, stdout, stderr }: CommandResult): void {
  assert.equal(stderr, '');
  assert.match(stdout, /alice ──▶ bob {2}ARP {3}who has 10\.0\.0\.2\? tell 10\.0\.0\.1\n/);
  assert.match(stdout, /alice ◀── bob {2}ARP {3}10\.0\.0\.2 is at ([0-9a-f]{2}:){5}[0-9a-f]{2}\n/);
  for (const sequence of [1, 2, 3]) {
    assert.match(stdout, new RegExp(`──▶ bob {2}ICMP {2}echo request {2}seq ${sequence} {2}10.0.0.1 -> 10.0.0.2\n`));
    assert.match(stdout, new RegExp(`◀── bob {2}ICMP {2}echo reply {2}seq ${sequence} {2}10.0.0.2 -> 10.0.0.1\n`));
  }
  assert.match(stdout, /\n3 echo requests, 3 answers\.\n/);
  assert.match(stdout, /^ {2}\.\/bin\/vdens /m, 'it says what to type next');
  assert.equal(status, 0);
}

test('npm start runs the example with two namespaces, which ping each other frame by frame', async () => {
  const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  assert.equal(scripts['start'], 'node dist/examples/two-namespaces.js');
  assertTwoNamespaces(await runCommand([process.execPath, example('two-namespaces')]));
});

test('two namespaces ping each other on a machine without ping and ip', async (t) => {
  const folder = makeTemporaryDirectory(t);
  symlinkSync(process.execPath, join(folder, 'node'));
  const result = await runCommand([process.execPath, example('two-namespaces')], { env: { PATH: folder } });
  assertTwoNamespaces(result);
  assert.match(result.stdout, /^alice\$ .*little-ping\.js 10\.0\.0\.2$/m);
});

test('where namespaces are forbidden, the example says so in one line and names vde doctor', async () => {
  const script = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"';
  const argv = ['unshare', '-Urm', 'sh', '-c', script, 'sh', process.execPath, example('two-namespaces')];
  const { status, stdout, stderr } = await runCommand(argv);
  const lines = stderr.trimEnd().split('\n');
  assert.match(lines[0]!, /^vdens: cannot create a user namespace .*max_user_namespaces is 0/);
  assert.match(lines[1]!, /: \.\/bin\/vde doctor$/);
  assert.equal(lines.length, 2, stderr);
  assert.deepEqual([status, stdout], [1, '']);
});

test('a host that consists of TypeScript alone answers a ping', async () => {
  const { status, stdout, stderr } = await runCommand([process.execPath, example('host-of-our-own')]);
  assert.equal(stderr, '');
  assert.match(stdout, /from 10\.0\.0\.9/);
  assert.match(stdout, /3 packets transmitted, 3 (packets )?received/);
  assert.equal(status, 0);
});

test('a namespace on a switch loses its carrier with the switch, and has it again when the switch is back', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip')) return;
  const lan = await startSwitch(t);
  const watch = 'echo ready; while :; do ip -br link show eth0; sleep 0.1; done';
  const argv = [process.execPath, example('join-switch'), `vde://${lan.path}`, '10.0.0.5/24', 'sh', '-c', watch];
  const host = await spawnBackground(t, argv);
  await host.waitForOutput(/^eth0 .*LOWER_UP/m);
  await lan.kill();
  await host.waitForOutput(/eth0 lost vde:\/\/.*: the switch went away\n(.*\n)*eth0 .*NO-CARRIER/);
  await lan.restart();
  await host.waitForOutput(/eth0 is back on vde:\/\/.*\n(.*\n)*eth0 .*LOWER_UP/);
  host.kill('SIGTERM');
  await host.waitForExit();
});

test('four namespaces on two hosts, each host with a switch, are on one LAN', async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 3 });
  const start = async (number: number): Promise<BackgroundCommand> => {
    const run = await lab.host(number).spawn([process.execPath, example('lan-across-hosts'), 'vxvde://', `${number}`]);
    await run.waitForOutput(new RegExp(`^10.0.${number}.1 and .* with an MTU of 1450\n`, 'm'));
    return run;
  };
  const hosts = [await start(1), await start(2)];
  const visitor = [ours('vdens'), '--address', '10.0.3.1/16', 'vxvde://', 'sh', '-ec'];
  const script = 'for i in 1.1 1.2 2.1 2.2; do ping -c 1 -W 5 10.0.$i; done';
  const { status, stdout } = await lab.host(3).run([...visitor, script]);
  assert.equal(status, 0, stdout);
  for (const run of hosts) {
    run.kill('SIGINT');
    await run.waitForOutput(/^[1-9]\d* frames from other hosts, [1-9]\d* to them$/m);
    assert.deepEqual(await run.waitForExit(), { status: 0, signal: null });
  }
});

test('the example with a switch says in one line that there is none', async (t) => {
  const nowhere = join(makeTemporaryDirectory(t), 'none');
  const { status, stderr } = await runCommand([process.execPath, example('join-switch'), nowhere]);
  assert.equal(
    stderr,
    `join-switch: ${nowhere}: there is no such switch (${nowhere}: ENOENT). Start one with: vde switch ${nowhere}\n`,
  );
  assert.equal(status, 125);
});
