/** `vde_plug2tap`, ours: an interface on switches of ours and the originals', as a stream, and how it ends. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LanHost } from '../fixtures/lan-host.ts';
import { makeTemporaryDirectory, original, ours, requireCommands, runCommand, waitFor } from './harness.ts';
import { startSwitch } from './original-switch.ts';

const PLUG = ours('vde_plug2tap');
/** Runs a command inside, which must end with 0. */
async function run(host: LanHost, command: string): Promise<void> {
  assert.match(await host.tell(command), /^done 0$/m, command);
}

const GONE =
  'for i in $(seq 100); do ip link show tap0 >/dev/null 2>&1 || break; sleep 0.1; done; ! ip link show tap0 2>/dev/null';
const UP = 'ip link set tap0 up && ip address add 10.87.0.1/24 dev tap0';

test('in a shell of vdens, in the background, it joins an interface to switches of both kinds', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const theirs = await startSwitch(t);
  const own = join(makeTemporaryDirectory(t), 'lan');
  for (const [network, path] of [
    [theirs.path, theirs.path],
    [`switch://${own}`, own],
  ] as const) {
    const host = await LanHost.start(t, network, '10.87.0.2/24');
    const tap = await LanHost.start(t, 'null://', '10.99.0.1/24');
    await run(
      tap,
      `${PLUG} -s ${path} tap0 & plug=$!; while ! ip link show tap0 >/dev/null 2>&1; do sleep 0.1; done; ${UP}`,
    );
    await tap.waitForPing('10.87.0.2', 15_000);
    // Frames of full size, offload and all.
    await host.receiveTransfer(5000);
    await tap.sendTransfer('10.87.0.2', 5000, 5_000_000);
    if (network === theirs.path) assert.match(await theirs.command('port/allprint'), /vde_plug2tap: user=/);
    await run(tap, 'kill $plug; wait $plug; test $? = 0');
    // A switch of ours may hold it a moment longer.
    await run(tap, GONE);
  }
});

test('goes into the background, with a pid file that must be new', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const lan = await startSwitch(t);
  await LanHost.start(t, lan.path, '10.87.0.2/24');
  const folder = makeTemporaryDirectory(t);
  writeFileSync(join(folder, 'old'), 'of somebody\n');
  const script = [
    `cd ${folder}; ${PLUG} -d -P old -s ${lan.path} tap0; test $? = 1 || exit 3`,
    `${PLUG} -d -P pid -p 9 -m 770 -s ${lan.path} tap0 || exit 4`,
    `${UP}; ping -q -c 1 -i 0.2 -w 15 10.87.0.2 || exit 5`,
    'cp pid copy; ip link delete tap0; for i in $(seq 100); do test -e pid || exit 6; sleep 0.1; done',
    'exit 7',
  ];
  const result = await runCommand([ours('vdens'), 'no', 'sh', '-c', script.join('\n')], { timeoutMs: 40_000 });
  // With its interface it ends, and removes its file.
  assert.equal(result.status, 6, result.stderr);
  assert.match(result.stderr, /^vde_plug2tap: cannot write the pid file old \(EEXIST\)[^\n]+\n$/m);
  assert.equal(readFileSync(join(folder, 'old'), 'utf8'), 'of somebody\n');
  assert.ok(existsSync(join(folder, 'copy')));
});

test('as a stream it carries what an original plug carries', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'dpipe', 'ip', 'ping')) return;
  const lan = await startSwitch(t);
  await LanHost.start(t, lan.path, '10.87.0.2/24');
  const tap = await LanHost.start(t, 'null://', '10.99.0.1/24');
  // A session leader it must not be, so there is a shell in between.
  const cable = `sh -c '${original('dpipe')} ${original('vde_plug')} ${lan.path} = ${PLUG} -s - tap0; :' &`;
  await run(tap, `${cable} while ! ip link show tap0 >/dev/null 2>&1; do sleep 0.1; done; ${UP}`);
  await tap.waitForPing('10.87.0.2', 15_000);
  await lan.kill();
  // The stream ends, and with it the interface.
  await run(tap, GONE);
});

test('what cannot be opened is status 1 and one line, what is wrong is 255; nobody is signalled', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const table: readonly (readonly [string, number, RegExp])[] = [
    ['-s nowhere/lan tap0', 1, /^vde_plug2tap: nowhere\/lan: [^\n]+\n$/],
    ['-s null:// tap0', 1, /^vde_plug2tap: tap0: cannot attach to the interface[^\n]+\n$/],
    ['-s null:// a-name-that-is-too-long', 1, /^vde_plug2tap: [^\n]+ is no name for an interface[^\n]+\n$/],
    ['-g no-such-group -s nowhere/lan tap0', 1, /^vde_plug2tap: [^\n]*there is no group[^\n]+\n$/],
    ['', 255, /^vde_plug2tap: the name of a TAP interface is missing[^\n]+\n$/],
    ['tap0 tap1', 255, /^vde_plug2tap: "tap1" is one word too many[^\n]+\n$/],
    ['-d -s - tap0', 255, /^vde_plug2tap: --daemon leaves no standard input[^\n]+\n$/],
    ['-p 0 tap0', 255, /^vde_plug2tap: --port takes [^\n]+\n$/],
    ['-m 8 tap0', 255, /^vde_plug2tap: --mode takes [^\n]+\n$/],
    ['-x tap0', 255, /^vde_plug2tap: unknown option -x[^\n]+\n$/],
  ];
  writeFileSync(join(folder, 'pid'), '1\n');
  await Promise.all(
    table.map(async ([words, status, line]) => {
      const script = `sleep 60 & ${PLUG} ${words} -P pid; status=$?; kill $! && exit $status`;
      const result = await runCommand(['sh', '-c', script], { cwd: folder });
      assert.equal(result.status, status, `${words}: ${result.stderr}`);
      assert.match(result.stderr, line);
    }),
  );
  assert.equal(readFileSync(join(folder, 'pid'), 'utf8'), '1\n');
  const help = await runCommand([PLUG, '-h']);
  assert.deepEqual([help.status, help.stderr], [0, '']);
  assert.match(help.stdout, /^Usage: vde_plug2tap /);
});

test('with --no-reconnect it ends with its switch, else it waits', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip')) return;
  const lan = await startSwitch(t);
  const folder = makeTemporaryDirectory(t);
  const script = `${PLUG} -s ${lan.path} tap1 & ${PLUG} --no-reconnect -s ${lan.path} tap0; echo $? >${folder}/status; kill $!; wait $!`;
  const running = runCommand([ours('vdens'), 'no', 'sh', '-c', script]);
  await waitFor(async () => (await lan.command('port/allprint')).match(/vde_plug2tap/g)?.length === 2, 15_000, 'both');
  await lan.kill();
  const result = await running;
  assert.deepEqual([result.status, readFileSync(join(folder, 'status'), 'utf8')], [0, '0\n'], result.stderr);
  assert.match(result.stderr, /^vde_plug2tap: [^\n]+; waiting for it$/m);
});

test('an interface that is no TAP is called that', async () => {
  const run = await runCommand([ours('vdens'), 'no', PLUG, '-s', 'null://', 'lo']);
  assert.equal(run.status, 1);
  assert.match(
    run.stderr,
    /^vde_plug2tap: lo: [^\n]+EINVAL\)\. An interface of that name is there and is no TAP: [^\n]+\n$/,
  );
});
