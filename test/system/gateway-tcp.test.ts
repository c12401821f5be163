/**
 * TCP through the gateway, situation by situation: what a guest and a server see of each other, as if there were a
 * router between them.
 *
 * Both ends are programs that do what the test tells them (test/fixtures/tcp-agent.ts), on a machine that the test
 * makes (test/fixtures/gateway-lab.ts).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  countDescriptors,
  GATEWAY,
  GatewayLab,
  type Guest,
  gatewayCommands,
  HOST,
  NOWHERE,
  waitForDescriptors,
} from '../fixtures/gateway-lab.ts';
import type { Connection, TcpAgent } from '../fixtures/tcp-agent.ts';
import { requireCommands, spawnBackground, waitFor } from '../interop/harness.ts';

const MEBIBYTE = 1024 * 1024;
const CHURN = join(import.meta.dirname, '..', 'fixtures', 'tcp-churn.js');

const families = [
  { name: 'IPv4', loopback: '127.0.0.1', gateway: GATEWAY.v4, host: HOST.v4, version: 'v4' },
  { name: 'IPv6', loopback: '::1', gateway: GATEWAY.v6, host: HOST.v6, version: 'v6' },
] as const;

/** The machine, a guest, and a program on each side. */
interface Scene {
  readonly lab: GatewayLab;
  readonly guest: Guest;
  readonly inside: TcpAgent;
  readonly outside: TcpAgent;
}

async function openScene(t: TestContext): Promise<Scene | undefined> {
  if (!requireCommands(t, ...gatewayCommands)) return undefined;
  const lab = await GatewayLab.start(t);
  const guest = await lab.guest();
  return { lab, guest, inside: await guest.tcp(), outside: await lab.host.tcp() };
}

/** A connection of the guest to a server of the host, both ends. */
interface Pair {
  readonly near: Connection;
  readonly far: Connection;
}

async function connectPair({ inside, outside }: Scene, family: (typeof families)[number]): Promise<Pair> {
  const port = await outside.listen(family.loopback);
  const near = await inside.connect(family.gateway, port);
  return { near, far: await outside.accept(port) };
}

function peakKibibytes(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

for (const family of families) {
  test(`${family.name}: a guest reaches the host's loopback at the gateway, and other addresses as they are`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const remote = await scene.lab.remote.tcp();
    for (const [server, listen, destination] of [
      [scene.outside, family.loopback, family.gateway],
      [scene.outside, family.host, family.host],
      [remote, scene.lab.remoteAddress[family.version], scene.lab.remoteAddress[family.version]],
    ] as const) {
      const port = await server.listen(listen);
      const near = await scene.inside.connect(destination, port);
      const far = await server.accept(port);
      await near.say('who is there');
      assert.equal((await far.receive({ bytes: 12 })).bytes, 12, destination);
      await far.say('me');
      assert.equal((await near.receive({ bytes: 2 })).bytes, 2, destination);
    }
  });

  test(`${family.name}: a port that nobody listens on is refused at once`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    for (const address of [family.gateway, family.host, scene.lab.remoteAddress[family.version]]) {
      assert.equal(await scene.inside.tryConnect(address, 9), 'ECONNREFUSED', address);
    }
  });

  test(`${family.name}: what the host cannot reach, a guest hears as from a router`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const is = (name: keyof typeof NOWHERE): string => NOWHERE[name][family.version];
    const prohibited = family.version === 'v4' ? /^EHOSTUNREACH$/ : /^EACCES$/;
    const expected: readonly (readonly [keyof typeof NOWHERE, RegExp])[] = [
      ['unreachable', /^EHOSTUNREACH$/],
      ['prohibited', prohibited],
      ['noRoute', /^ENETUNREACH$/],
      // No word of a router fits: that it fails at once is what counts.
      ['blackhole', /^E(HOST|NET)UNREACH$|^ECONNREFUSED$|^EACCES$/],
    ];
    for (const [name, error] of expected) assert.match(await scene.inside.tryConnect(is(name), 80), error, name);
    // Who is not there does not answer neighbour discovery, which takes the kernel three seconds.
    const absent = family.version === 'v4' ? '10.99.0.77' : 'fd99::77';
    assert.equal(await scene.inside.tryConnect(absent, 80, 20_000), 'EHOSTUNREACH');
  });

  test(`${family.name}: either end can be done with sending, and still receive`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    for (const first of ['near', 'far'] as const) {
      const pair = await connectPair(scene, family);
      const second = first === 'near' ? 'far' : 'near';
      const sent = await pair[first].send(100_000);
      await pair[first].end();
      const got = await pair[second].receive();
      assert.deepEqual([got.bytes, got.isEnded, got.sum], [100_000, true, sent.sum], `${first} ends first`);
      const reading = pair[first].receive();
      await sleep(300);
      const back = await pair[second].send(3 * MEBIBYTE);
      await pair[second].end();
      const { bytes, sum, isEnded, error } = await reading;
      assert.deepEqual([bytes, sum, isEnded, error], [3 * MEBIBYTE, back.sum, true, undefined], `${first} ended first`);
    }
  });

  test(`${family.name}: a reset in the middle of a stream reaches the other end, from either`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    for (const first of ['near', 'far'] as const) {
      const pair = await connectPair(scene, family);
      const second = first === 'near' ? 'far' : 'near';
      await pair[first].send(100_000);
      await pair[second].receive({ bytes: 50_000 });
      const reading = pair[second].receive();
      await pair[first].reset();
      assert.equal((await reading).error, 'ECONNRESET', `${first} resets`);
    }
  });

  test(`${family.name}: both ends close at once`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    await connectPair(scene, family);
    const before = countDescriptors(scene.guest.vdens.pid);
    for (let round = 0; round < 10; round++) {
      const { near, far } = await connectPair(scene, family);
      await Promise.all([near.end(), far.end()]);
      for (const end of [near, far]) {
        const { isEnded, error } = await end.receive();
        assert.deepEqual([isEnded, error], [true, undefined]);
      }
    }
    await waitForDescriptors(scene.guest.vdens.pid, before, 10_000);
  });

  test(`${family.name}: bytes that come one by one arrive, both ways at once`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const { near, far } = await connectPair(scene, family);
    const [there, back, gotThere, gotBack] = await Promise.all([
      near.send(3000, 1),
      far.send(3000, 1),
      far.receive({ bytes: 3000 }),
      near.receive({ bytes: 3000 }),
    ]);
    assert.equal(gotThere.sum, there.sum);
    assert.equal(gotBack.sum, back.sum);
  });

  test(`${family.name}: 64 MiB arrive unharmed, each way and both at once`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const { near, far } = await connectPair(scene, family);
    const size = 64 * MEBIBYTE;
    const move = async (from: Connection, to: Connection): Promise<void> => {
      const wait = 120_000;
      const [sent, got] = await Promise.all([
        from.send(size, MEBIBYTE, wait),
        to.receive({ bytes: size, timeoutMs: wait }),
      ]);
      assert.deepEqual([got.bytes, got.sum], [size, sent.sum]);
    };
    await move(near, far);
    await move(far, near);
    await Promise.all([move(near, far), move(far, near)]);
  });

  for (const [who, seconds] of [
    ['server', 5],
    ['guest', 10],
  ] as const) {
    test(`${family.name}: a ${who} that does not read for ${seconds} s stops the sender, and loses nothing`, async (t) => {
      const scene = await openScene(t);
      if (scene === undefined) return;
      const { near, far } = await connectPair(scene, family);
      const [from, to] = who === 'server' ? [near, far] : [far, near];
      const size = 64 * MEBIBYTE;
      const before = peakKibibytes(scene.guest.vdens.pid);
      const sending = from.send(size, MEBIBYTE, 120_000);
      await sleep((seconds - 1) * 1000);
      const stopped = (await from.state()).sent;
      assert.ok(stopped < size / 2, `${stopped} of ${size} bytes left while nobody read`);
      await sleep(1000);
      assert.equal((await from.state()).sent, stopped, 'the sender stands still');
      const got = await to.receive({ bytes: size, timeoutMs: 120_000 });
      assert.equal(got.sum, (await sending).sum);
      const grown = peakKibibytes(scene.guest.vdens.pid) - before;
      assert.ok(grown < 24 * 1024, `the gateway grew by ${grown} KiB`);
    });
  }

  test(`${family.name}: one who reads slowly gets everything`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    for (const [from, to] of [
      ['near', 'far'],
      ['far', 'near'],
    ] as const) {
      const pair = await connectPair(scene, family);
      const size = 6 * MEBIBYTE;
      const sending = pair[from].send(size);
      const got = await pair[to].receive({ bytes: size, pace: 10, timeoutMs: 60_000 });
      assert.equal(got.sum, (await sending).sum);
    }
  });
}

test('a server forgets the connection while the cable is pulled: the next byte is answered with a reset', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const remote = await scene.lab.remote.tcp();
  const port = await remote.listen(scene.lab.remoteAddress.v4);
  const near = await scene.inside.connect(scene.lab.remoteAddress.v4, port);
  const far = await remote.accept(port);
  await far.say('x');
  await near.receive({ bytes: 1 });
  await scene.lab.cable.unplug();
  // A reset is not sent again.
  await far.reset();
  await sleep(500);
  await scene.lab.cable.plug();
  await near.say('is there anybody');
  assert.equal((await near.receive({ timeoutMs: 60_000 })).error, 'ECONNRESET');
});

test('keep-alive of a guest is answered while the other end is there', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { near, far } = await connectPair(scene, families[0]);
  await near.keepAlive(1000);
  await sleep(4000);
  await far.say('still here');
  const { bytes, error } = await near.receive({ bytes: 10 });
  assert.deepEqual([bytes, error], [10, undefined]);
});

test('200 connections at once, both ways, do not get mixed up', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const port = await scene.outside.listen('127.0.0.1');
  const numbers = Array.from({ length: 200 }, (_, index) => index);
  const nears = await Promise.all(numbers.map(() => scene.inside.connect(GATEWAY.v4, port)));
  const fars = await Promise.all(numbers.map(() => scene.outside.accept(port)));
  // Which is whose shows by how much each sends: the guest's end tells by a length of its own.
  await Promise.all(nears.map((near, index) => near.send(1000 + index).then(() => near.end())));
  const got = await Promise.all(fars.map((far) => far.receive()));
  assert.deepEqual(
    got.map(({ bytes }) => bytes).toSorted((a, b) => a - b),
    numbers.map((number) => 1000 + number),
  );
  await Promise.all(fars.map((far, index) => far.send(got[index]?.bytes ?? 0).then(() => far.end())));
  const back = await Promise.all(nears.map((near) => near.receive()));
  assert.deepEqual(
    back.map(({ bytes, isEnded }) => (isEnded ? bytes : -1)),
    numbers.map((number) => 1000 + number),
  );
});

test('20,000 short connections leave no descriptor and no memory behind', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { lab, guest } = scene;
  const server = await lab.host.spawn([process.execPath, CHURN, 'serve', '127.0.0.1', '8000', '::1', '8000']);
  await server.waitForOutput(/^listening$/m);
  const churn = async (address: string, count: number): Promise<void> => {
    const words = ['run', address, '8000', `${count}`, '50'];
    const { stdout, stderr } = await guest.run([process.execPath, CHURN, ...words], { timeoutMs: 120_000 });
    assert.equal(stdout, `right ${count} {}\n`, stderr);
  };
  await churn(GATEWAY.v4, 200);
  await sleep(200);
  const before = countDescriptors(guest.vdens.pid);
  const memory = peakKibibytes(guest.vdens.pid);
  await churn(GATEWAY.v4, 15_000);
  await churn(GATEWAY.v6, 5000);
  await waitForDescriptors(guest.vdens.pid, before + 2, 30_000);
  const grown = peakKibibytes(guest.vdens.pid) - memory;
  assert.ok(grown < 24 * 1024, `the gateway grew by ${grown} KiB`);
  await churn(GATEWAY.v4, 200);
});

test('a flood of connections that nobody answers, more than there are descriptors, keeps nobody out', async (t) => {
  if (!requireCommands(t, 'prlimit')) return;
  const scene = await openScene(t);
  if (scene === undefined) return;
  const { lab, guest } = scene;
  const server = await lab.host.spawn([process.execPath, CHURN, 'serve', '127.0.0.1', '8000']);
  await server.waitForOutput(/^listening$/m);
  const before = countDescriptors(guest.vdens.pid);
  const room = 100;
  execFileSync('prlimit', ['--pid', `${guest.vdens.pid}`, `--nofile=${before + room}:`]);
  // The remote is gone: who connects to it waits.
  await lab.cable.unplug();
  const flood = `
    const { connect } = require('node:net');
    for (let port = 1; port <= 1000; port++) connect(port, '${lab.remoteAddress.v4}').on('error', () => undefined);
    setTimeout(() => process.exit(), 4000);`;
  const flooding = guest.run([process.execPath, '-e', flood], { timeoutMs: 30_000 });
  await waitFor(() => countDescriptors(guest.vdens.pid) >= before + room - 2, 4000, 'the flood to use all descriptors');
  const words = ['run', GATEWAY.v4, '8000', '20', '1'];
  const { stdout, stderr } = await guest.run([process.execPath, CHURN, ...words], { timeoutMs: 30_000 });
  assert.equal(stdout, 'right 20 {}\n', stderr);
  await flooding;
  // Back again, it refuses; then nothing of the flood is left.
  await lab.cable.plug();
  await waitForDescriptors(guest.vdens.pid, before + 2, 30_000);
});

test('urgent data does not end what a server sends', async (t) => {
  if (!requireCommands(t, 'perl')) return;
  const scene = await openScene(t);
  if (scene === undefined) return;
  // A reader of the socket stops before urgent data, as if there were no more; behind it is the end of the stream.
  const script = `use Socket; $| = 1;
    socket(S, PF_INET, SOCK_STREAM, 0) && bind(S, sockaddr_in(4747, INADDR_LOOPBACK)) && listen(S, 1) or die $!;
    print "ready\\n"; accept(C, S);
    syswrite(C, "a" x 100000); send(C, "!", MSG_OOB); syswrite(C, "b" x 3000); shutdown(C, 1); sleep 30;`;
  const server = await spawnBackground(t, scene.lab.host.command(['perl', '-e', script]));
  await server.waitForOutput(/ready/, 10_000);
  const near = await scene.inside.connect(GATEWAY.v4, 4747);
  // More than the guest has room for waits in the socket, all of it.
  await sleep(1000);
  const { bytes, isEnded } = await near.receive();
  assert.deepEqual([bytes, isEnded], [103_001, true]);
});
