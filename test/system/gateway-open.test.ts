/**
 * What the options of `slirp://` change for a guest, and a gateway that several guests share: on a switch of ours and
 * on an original one, with `vde_plug`.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GATEWAY, GatewayLab, GUEST, type Guest, gatewayCommands, HOST, NAME_SERVER } from '../fixtures/gateway-lab.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  waitFor,
} from '../interop/harness.ts';

const MEBIBYTE = 1024 * 1024;
/** On a busy machine an original switch loses many frames. */
const TRANSFER_MS = 90_000;

async function openLab(t: TestContext, ...commands: readonly string[]): Promise<GatewayLab | undefined> {
  if (!requireCommands(t, ...gatewayCommands, ...commands)) return undefined;
  return await GatewayLab.start(t);
}

async function isReachable(guest: Guest, address: string): Promise<boolean> {
  const { stdout } = await guest.run(['ping', '-c', '2', '-i', '0.2', '-W', '2', address]);
  return /\b[12] received/.test(stdout);
}

/** A transfer from the guest to the host, and one back. */
async function assertTransfers(lab: GatewayLab, guest: Guest, listen: string, address: string): Promise<void> {
  const outside = await lab.host.tcp();
  const port = await outside.listen(listen);
  const near = await (await guest.tcp()).connect(address, port);
  const far = await outside.accept(port);
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    const sending = from.send(2 * MEBIBYTE, 65_536, TRANSFER_MS);
    const { bytes, sum } = await to.receive({ bytes: 2 * MEBIBYTE, timeoutMs: TRANSFER_MS });
    assert.equal(bytes, 2 * MEBIBYTE);
    assert.equal(sum, (await sending).sum);
  }
}

test('mtu and mru: the interface gets it, and what is larger is said to be too big', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  for (const [option, mtu] of [
    ['mtu=1300', 1300],
    ['mru=1300', 1300],
    ['mtu=9000', 9000],
    ['mtu=65520', 65_520],
  ] as const) {
    const guest = await lab.guest(`slirp:///${option}`);
    if (option.startsWith('mtu')) {
      assert.match(await guest.must('ip link show vde0'), new RegExp(`mtu ${mtu} `), option);
    }
    await assertTransfers(lab, guest, '127.0.0.1', GATEWAY.v4);
    await assertTransfers(lab, guest, '::1', GATEWAY.v6);
    await guest.end();
  }
});

test('a guest with an MTU of its own, smaller or larger than that of the gateway, gets everything', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  for (const mtu of [1280, 4000]) {
    const guest = await lab.guest('slirp://', { mtu });
    await assertTransfers(lab, guest, '127.0.0.1', GATEWAY.v4);
    await assertTransfers(lab, guest, '::1', GATEWAY.v6);
    await guest.end();
  }
});

test('addr and addr6: another network, in which the name server keeps its place', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest("slirp:///addr='10.7.0.1/16'/addr6='fd07::1/64'", {
    addresses: ['10.7.9.9/16', 'fd07::9/64'],
    routes: ['default via 10.7.0.1', 'default via fd07::1'],
  });
  for (const address of ['10.7.0.1', '10.7.2.3', 'fd07::1', 'fd07::3', HOST.v4, HOST.v6]) {
    assert.ok(await isReachable(guest, address), address);
  }
  await assertTransfers(lab, guest, '127.0.0.1', '10.7.0.1');
  await assertTransfers(lab, guest, '::1', 'fd07::1');
});

test('v4, v6: one family alone', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  for (const [only, is, isNot] of [
    ['v4', GATEWAY.v4, GATEWAY.v6],
    ['v6', GATEWAY.v6, GATEWAY.v4],
  ] as const) {
    const guest = await lab.guest(`slirp:///${only}`);
    assert.ok(await isReachable(guest, is), `${only}: ${is}`);
    assert.ok(!(await isReachable(guest, isNot)), `${only}: ${isNot}`);
    await guest.end();
  }
});

test('restricted: no way out but what is forwarded', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest(`slirp:///restricted/tcpfwd=2201:${GUEST.v4}:22/cmdfwd='10.0.2.9:80:cat'`);
  const outside = await lab.host.tcp();
  const inside = await guest.tcp();
  for (const [listen, address] of [
    ['127.0.0.1', GATEWAY.v4],
    ['::1', GATEWAY.v6],
    [HOST.v4, HOST.v4],
    [HOST.v6, HOST.v6],
  ] as const) {
    const port = await outside.listen(listen);
    assert.notEqual(await inside.tryConnect(address, port, 3000), 'connected', address);
  }
  assert.ok(!(await isReachable(guest, HOST.v4)));
  await inside.listen('0.0.0.0', 22);
  const near = await outside.connect('127.0.0.1', 2201);
  const far = await inside.accept(22);
  await near.say('come in');
  assert.equal((await far.receive({ bytes: 7 })).bytes, 7);
  const echo = await inside.connect('10.0.2.9', 80);
  await echo.say('cat');
  assert.equal((await echo.receive({ bytes: 3 })).bytes, 3);
});

test('disable_host_loopback: only the addresses that others reach, too', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest('slirp:///disable_host_loopback');
  const outside = await lab.host.tcp();
  const inside = await guest.tcp();
  for (const [listen, address] of [
    ['127.0.0.1', GATEWAY.v4],
    ['::1', GATEWAY.v6],
  ] as const) {
    const port = await outside.listen(listen);
    assert.notEqual(await inside.tryConnect(address, port, 5000), 'connected', address);
  }
  const remote = await lab.remote.tcp();
  const port = await remote.listen(lab.remoteAddress.v4);
  assert.equal(await inside.tryConnect(lab.remoteAddress.v4, port), 'connected');
});

test('verbose: says what it is, and its forwards', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest(`slirp:///verbose/tcpfwd=2201:${GUEST.v4}:22`);
  await guest.vdens.waitForOutput(/10\.0\.2\.2/);
  await guest.vdens.waitForOutput(/2201.*10\.0\.2\.15.*22/);
  if (process.env['VDENS_GATEWAY_PROGRAM'] !== undefined) return;
  assert.equal(guest.vdens.output().match(/^slirp: DNS by /gm)?.length, 1);
  assert.match(guest.vdens.output(), /^slirp: forward tcp /m);
});

test('what makes no sense is one line, and status 125', async () => {
  for (const options of [
    'mtu=5',
    'mtu=99999',
    'mtu=many',
    'adr=10.0.0.1',
    'addr=300.1.1.1',
    "addr='10.0.2.2/31'",
    'dhcp=10.9.9.9',
    'vnameserver=10.9.9.9',
    'vnameserver6=10.0.2.3',
    'tcpfwd=22',
    'tcpfwd=99999:10.0.2.15:22',
    'udpfwd=53:somewhere:53',
    'cmdfwd=80',
    'tftp_path=%2fnowhere',
    'vdomainname=..',
    'restricted=perhaps',
  ]) {
    const { status, stderr } = await runCommand([ours('vdens'), `slirp:///${options}`, 'true']);
    assert.equal(status, 125, options);
    assert.match(stderr, /^vdens: [^\n]+\n$/, options);
  }
});

test('a port of the host that is taken is one line, and status 125', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const port = await (await lab.host.tcp()).listen('127.0.0.1');
  const words = [ours('vdens'), `slirp:///tcpfwd=127.0.0.1:${port}:${GUEST.v4}:22`, 'true'];
  const { status, stderr } = await lab.host.run(words);
  assert.equal(status, 125);
  assert.match(stderr, new RegExp(`^vdens: [^\\n]*\\b${port}\\b[^\\n]*\\n$`));
});

test('packets from addresses of others get no answer, and those of guests still do', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest('slirp://', {
    addresses: [`${GUEST.v4}/24`, `${GUEST.v6}/64`, '203.0.113.5/32', '10.0.2.99/24'],
  });
  const from = async (address: string, to: string): Promise<boolean> =>
    / [12] received/.test((await guest.run(['ping', '-c', '2', '-i', '0.2', '-W', '1', '-I', address, to])).stdout);
  assert.ok(!(await from('203.0.113.5', lab.remoteAddress.v4)));
  assert.ok(await from('10.0.2.99', lab.remoteAddress.v4));
  assert.ok(await from(GUEST.v4, lab.remoteAddress.v4));
});

/** Starts `vde_plug slirp:// NETWORK` on the host. */
async function startUplink(lab: GatewayLab, network: string): Promise<BackgroundCommand> {
  return await lab.host.spawn([ours('vde_plug'), 'slirp://', network]);
}

/** Guests with addresses .21, .22, ... each with its own vdens. */
async function assertShared(lab: GatewayLab, network: string, programs: readonly string[]): Promise<void> {
  const guests = await Promise.all(
    programs.map((vdens, index) =>
      lab.guest(network, { vdens, addresses: [`10.0.2.2${index + 1}/24`, `fd00::2${index + 1}/64`] }),
    ),
  );
  for (const [index, guest] of guests.entries()) {
    for (const address of [GATEWAY.v4, GATEWAY.v6, NAME_SERVER.v4, lab.remoteAddress.v4, lab.remoteAddress.v6]) {
      await waitFor(() => isReachable(guest, address), 15_000, `guest ${index + 1} to reach ${address}`);
    }
    const neighbour = `10.0.2.2${((index + 1) % guests.length) + 1}`;
    await waitFor(() => isReachable(guest, neighbour), 15_000, `guest ${index + 1} to reach ${neighbour}`);
  }
  await Promise.all(guests.map((guest) => assertTransfers(lab, guest, '127.0.0.1', GATEWAY.v4)));
  await Promise.all(guests.map((guest) => assertTransfers(lab, guest, '::1', GATEWAY.v6)));
}

test('three guests share a gateway on a switch of ours', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const path = join(makeTemporaryDirectory(t), 'lan');
  await startUplink(lab, `switch://${path}`);
  await waitFor(() => existsSync(join(path, 'ctl')), 10_000, 'the switch');
  await assertShared(lab, `switch://${path}`, [ours('vdens'), ours('vdens'), ours('vdens')]);
});

test('our guests and original ones share a gateway on a switch of ours', async (t) => {
  const lab = await openLab(t, 'vdens');
  if (lab === undefined) return;
  const path = join(makeTemporaryDirectory(t), 'lan');
  await startUplink(lab, `switch://${path}`);
  await waitFor(() => existsSync(join(path, 'ctl')), 10_000, 'the switch');
  await assertShared(lab, path, [original('vdens') ?? '', ours('vdens'), original('vdens') ?? '']);
});

test('our guests and original ones share a gateway on an original switch', async (t) => {
  const lab = await openLab(t, 'vdens', 'vde_switch');
  if (lab === undefined) return;
  const path = join(makeTemporaryDirectory(t), 'lan');
  const running = await lab.host.spawn([original('vde_switch') ?? '', '--sock', path]);
  await waitFor(() => existsSync(join(path, 'ctl')), 10_000, `the switch ${running.pid}`);
  await startUplink(lab, path);
  await assertShared(lab, path, [original('vdens') ?? '', ours('vdens')]);
});

test('a guest that is killed does not disturb another, nor the gateway', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const path = join(makeTemporaryDirectory(t), 'lan');
  const uplink = await startUplink(lab, `switch://${path}`);
  await waitFor(() => existsSync(join(path, 'ctl')), 10_000, 'the switch');
  const [first, second] = [
    await lab.guest(path, { addresses: ['10.0.2.21/24', 'fd00::21/64'] }),
    await lab.guest(path, { addresses: ['10.0.2.22/24', 'fd00::22/64'] }),
  ];
  const outside = await lab.host.tcp();
  const port = await outside.listen('127.0.0.1');
  const doomed = await (await first.tcp()).connect(GATEWAY.v4, port);
  const doomedFar = await outside.accept(port);
  const kept = await (await second.tcp()).connect(GATEWAY.v4, port);
  const keptFar = await outside.accept(port);
  const lost = doomed.send(64 * MEBIBYTE).catch(() => undefined);
  await doomedFar.receive({ bytes: MEBIBYTE });
  first.vdens.kill('SIGKILL');
  await first.vdens.waitForExit();
  const sending = kept.send(8 * MEBIBYTE);
  assert.equal((await keptFar.receive({ bytes: 8 * MEBIBYTE })).sum, (await sending).sum);
  assert.ok(!uplink.hasExited());
  await Promise.race([lost, Promise.resolve()]);
  uplink.kill('SIGINT');
  assert.deepEqual(await uplink.waitForExit(), { status: null, signal: 'SIGINT' });
  // With the gateway, its connections end.
  const { error, isEnded } = await keptFar.receive({ timeoutMs: 10_000 });
  assert.ok(isEnded || error === 'ECONNRESET', `${error}`);
});

test('a guest that floods the services with long packets does not silence them', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest('slirp:///mtu=65520');
  assert.ok(await isReachable(guest, GATEWAY.v4));
  // To the port of DHCP, which JavaScript serves: more bytes at once than it takes at a time.
  const flood = `
    const socket = require('node:dgram').createSocket('udp4').bind(() => {
      let left = 200;
      for (let i = 0; i < 200; i++)
        socket.send(Buffer.alloc(60000), 67, '${GATEWAY.v4}', () => --left === 0 && socket.close());
    });`;
  const { status, stderr } = await guest.run([process.execPath, '-e', flood]);
  assert.equal(status, 0, stderr);
  await guest.must('ip neigh flush all');
  assert.ok(await isReachable(guest, GATEWAY.v4));
});
