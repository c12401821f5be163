/** Forwards: ports of the host that lead to a guest, and addresses of the guests' network behind which programs are. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlGateway } from '../../src/gateway/control-gateway.ts';
import { GatewayLab, GUEST, type Guest, gatewayCommands, HOST } from '../fixtures/gateway-lab.ts';
import { makeTemporaryDirectory, requireCommands, waitFor } from '../interop/harness.ts';

const MEBIBYTE = 1024 * 1024;

async function openLab(t: TestContext, ...commands: readonly string[]): Promise<GatewayLab | undefined> {
  if (!requireCommands(t, ...gatewayCommands, ...commands)) return undefined;
  return await GatewayLab.start(t);
}

/** What the next descriptor of a process is going to be. */
function lowestFreeDescriptor(pid: number): number {
  const used = new Set(readdirSync(`/proc/${pid}/fd`));
  let lowest = 0;
  while (used.has(`${lowest}`)) lowest++;
  return lowest;
}

/** Connects from the host to a forwarded port, and has the guest answer. */
async function assertForwarded(
  lab: GatewayLab,
  guest: Guest,
  address: string,
  port: number,
  to: number,
): Promise<void> {
  const inside = await guest.tcp();
  await inside.listen('0.0.0.0', to);
  const outside = await lab.host.tcp();
  const near = await outside.connect(address, port);
  const far = await inside.accept(to);
  const sending = near.send(MEBIBYTE);
  assert.equal((await far.receive({ bytes: MEBIBYTE })).sum, (await sending).sum);
  const back = far.send(MEBIBYTE);
  assert.equal((await near.receive({ bytes: MEBIBYTE })).sum, (await back).sum);
  await near.end();
  assert.equal((await far.receive()).isEnded, true);
  await far.end();
  assert.equal((await near.receive()).isEnded, true);
}

test('tcpfwd: a port of the host is one of the guest', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest(`slirp:///tcpfwd='2201:${GUEST.v4}:22,127.0.0.1:2202:${GUEST.v4}:2222'`);
  await assertForwarded(lab, guest, '127.0.0.1', 2201, 22);
  await assertForwarded(lab, guest, '127.0.0.1', 2202, 2222);
  const outside = await lab.host.tcp();
  assert.equal(await outside.tryConnect(HOST.v4, 2202), 'ECONNREFUSED', 'it is at the loopback address only');
});

test('tcpfwd: another machine reaches the guest, which sees its address', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest(`slirp:///tcpfwd=2201:${GUEST.v4}:22`);
  const inside = await guest.tcp();
  await inside.listen('0.0.0.0', 22);
  const remote = await lab.remote.tcp();
  const near = await remote.connect('10.99.0.1', 2201);
  const far = await inside.accept(22);
  assert.equal((await far.state()).peer, lab.remoteAddress.v4);
  await near.say('hello');
  assert.equal((await far.receive({ bytes: 5 })).bytes, 5);
});

test('tcpfwd: a port of the guest that nobody listens on resets the connection', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  await lab.guest(`slirp:///tcpfwd=2201:${GUEST.v4}:22`);
  const outside = await lab.host.tcp();
  const near = await outside.connect('127.0.0.1', 2201).catch(() => undefined);
  if (near === undefined) return; // Refused at once is as good.
  const { error, isEnded } = await near.receive({ timeoutMs: 20_000 });
  assert.ok(isEnded || error === 'ECONNRESET', `${error}`);
});

test('tcpfwd: who comes while there are no descriptors is served when there are', async (t) => {
  const lab = await openLab(t, 'prlimit');
  if (lab === undefined) return;
  const guest = await lab.guest(`slirp:///tcpfwd=2201:${GUEST.v4}:22`);
  const inside = await guest.tcp();
  await inside.listen('0.0.0.0', 22);
  const outside = await lab.host.tcp();
  const limit = (files: number): Buffer =>
    execFileSync('prlimit', ['--pid', `${guest.vdens.pid}`, `--nofile=${files}:`]);
  limit(lowestFreeDescriptor(guest.vdens.pid));
  // The kernel answers in the gateway's place, and nobody else comes.
  const near = await outside.connect('127.0.0.1', 2201);
  await sleep(500);
  limit(1024);
  const far = await inside.accept(22);
  await near.say('hello');
  assert.equal((await far.receive({ bytes: 5 })).bytes, 5);
});

test('udpfwd: datagrams to a port of the host come to the guest, and its answers go back', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest(`slirp:///udpfwd=5353:${GUEST.v4}:53`);
  const inside = await guest.udp('0.0.0.0', 53);
  for (const [space, address] of [
    [lab.host, '127.0.0.1'],
    [lab.remote, '10.99.0.1'],
  ] as const) {
    const outside = await space.udp('0.0.0.0');
    const payload = Buffer.from(`by ${address}`);
    const isIt = (datagram: { payload: Buffer }): boolean => datagram.payload.equals(payload);
    const hasCome = async (): Promise<boolean> => {
      await outside.send(address, 5353, payload);
      return inside.received().some(isIt);
    };
    await waitFor(hasCome, 5000, 'the datagram');
    const { from, port } = await inside.waitFor(isIt, 'the datagram');
    await inside.send(from, port, Buffer.from('yes'));
    const answer = await outside.waitFor((datagram) => datagram.payload.toString() === 'yes', 'the answer');
    assert.deepEqual([answer.from, answer.port], [address, 5353]);
  }
});

test('unixfwd: an address of the guests leads to a Unix socket of the host', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const path = join(makeTemporaryDirectory(t), 'socket');
  const program = `require('node:net').createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen('${path}')`;
  await lab.host.spawn([process.execPath, '-e', program]);
  await waitFor(() => existsSync(path), 5000, 'the socket');
  chmodSync(path, 0o777);
  const guest = await lab.guest(`slirp:///unixfwd='10.0.2.9:80:${path}'`);
  const inside = await guest.tcp();
  for (let round = 0; round < 2; round++) {
    const near = await inside.connect('10.0.2.9', 80);
    const sending = near.send(MEBIBYTE);
    assert.equal((await near.receive({ bytes: MEBIBYTE })).sum, (await sending).sum);
    await near.end();
    assert.equal((await near.receive()).isEnded, true);
  }
  assert.match(await inside.tryConnect('10.0.2.9', 81, 20_000), /^ECONNREFUSED$|^E(HOST|NET)UNREACH$/);
});

test('cmdfwd: an address of the guests leads to a command, one for each connection', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const guest = await lab.guest(`slirp:///cmdfwd='10.0.2.9:80:tr a-z A-Z,81:cat'`);
  const inside = await guest.tcp();
  for (const [address, port, expected] of [
    ['10.0.2.9', 80, 'LOUDER'],
    ['10.0.2.4', 81, 'louder'],
  ] as const) {
    const near = await inside.connect(address, port);
    const text = await near.say('louder');
    await near.end();
    const { bytes, sum, isEnded } = await near.receive();
    assert.deepEqual([bytes, isEnded], [6, true], `${address}:${port}`);
    assert.equal(sum === text.sum, expected === 'louder');
  }
});

test('forwards are added, listed and removed while the gateway runs', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const path = join(makeTemporaryDirectory(t), 'control');
  const guest = await lab.guest(`slirp:///tcpfwd=2201:${GUEST.v4}:22/control='${path}'`);
  const outside = await lab.host.tcp();
  assert.equal(await outside.tryConnect('127.0.0.1', 2202), 'ECONNREFUSED');
  const request = { protocol: 'tcp', hostPort: 2202, guestAddress: GUEST.v4, guestPort: 2222 } as const;
  const [added] = await controlGateway(path, { do: 'add', ...request });
  assert.equal(added?.hostPort, 2202);
  assert.equal((await controlGateway(path, { do: 'list' })).length, 2);
  await assertForwarded(lab, guest, '127.0.0.1', 2202, 2222);
  await assertForwarded(lab, guest, '127.0.0.1', 2201, 22);
  // Over IPv6, to a port that the kernel chooses.
  const [six] = await controlGateway(path, {
    do: 'add',
    protocol: 'tcp',
    hostAddress: '::1',
    hostPort: 0,
    guestAddress: GUEST.v6,
    guestPort: 80,
  });
  const inside = await guest.tcp();
  await inside.listen('::', 80);
  const near = await outside.connect('::1', six?.hostPort ?? 0);
  const far = await inside.accept(80);
  await near.say('six');
  assert.equal((await far.receive({ bytes: 3 })).bytes, 3);
  await controlGateway(path, { do: 'remove', id: added?.id ?? 0 });
  assert.equal(await outside.tryConnect('127.0.0.1', 2202), 'ECONNREFUSED');
  // What was connected, stays.
  await controlGateway(path, { do: 'remove', id: six?.id ?? 0 });
  await far.say('bye');
  assert.equal((await near.receive({ bytes: 3 })).bytes, 3);
  assert.deepEqual(
    (await controlGateway(path, { do: 'list' })).map(({ hostPort }) => hostPort),
    [2201],
  );
});

test('a port of the guest that has a forward of UDP cannot get a second one', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const path = join(makeTemporaryDirectory(t), 'control');
  await lab.guest(`slirp:///control='${path}'`);
  const request = { do: 'add', protocol: 'udp', guestAddress: GUEST.v4, guestPort: 53 } as const;
  await controlGateway(path, { ...request, hostPort: 2253 });
  await assert.rejects(controlGateway(path, { ...request, hostPort: 2254 }), /EADDRINUSE/);
  assert.equal((await controlGateway(path, { do: 'list' })).length, 1);
});
