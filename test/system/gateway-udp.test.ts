/** UDP through the gateway, and DNS at its name server's address. */
import assert from 'node:assert/strict';
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
  NAME_SERVER,
  NOWHERE,
} from '../fixtures/gateway-lab.ts';
import { LabCapture } from '../fixtures/lab-capture.ts';
import type { Received, UdpPeer } from '../fixtures/udp-peer.ts';
import { type BackgroundCommand, requireCommands, waitFor } from '../interop/harness.ts';

const fixtures = join(import.meta.dirname, '..', 'fixtures');
const families = [
  { name: 'IPv4', loopback: '127.0.0.1', any: '0.0.0.0', gateway: GATEWAY.v4, host: HOST.v4, version: 'v4' },
  { name: 'IPv6', loopback: '::1', any: '::', gateway: GATEWAY.v6, host: HOST.v6, version: 'v6' },
] as const;

interface Scene {
  readonly lab: GatewayLab;
  readonly guest: Guest;
}

async function openScene(t: TestContext, ...commands: readonly string[]): Promise<Scene | undefined> {
  if (!requireCommands(t, ...gatewayCommands, ...commands)) return undefined;
  const lab = await GatewayLab.start(t);
  return { lab, guest: await lab.guest() };
}

/** Sends a datagram and waits until it has come, then one back to where it came from, and that comes from there. */
async function exchange(near: UdpPeer, far: UdpPeer, address: string, payload: Buffer): Promise<{ port: number }> {
  await near.send(address, far.port, payload);
  const isSame = (datagram: Received): boolean => datagram.payload.equals(payload);
  const { from, port } = await far.waitFor(isSame, `a datagram of ${payload.length} bytes`);
  const answer = Buffer.concat([payload.subarray(0, payload.length - 1), Buffer.from('!')]);
  await far.send(from, port, answer);
  const isAnswer = (datagram: Received): boolean => datagram.payload.equals(answer) && datagram.port === far.port;
  const back = await near.waitFor(isAnswer, `the answer of ${answer.length} bytes`);
  assert.equal(back.from, address);
  return { port };
}

/** Type and code of the ICMP error in a frame that quotes a datagram with this payload. */
function unreachableIn(frame: Buffer, payload: string): string | undefined {
  const isIpv6 = frame.readUInt16BE(12) === 0x86dd;
  const at = isIpv6 ? 54 : 34;
  const isError = isIpv6 ? frame[20] === 58 && frame[at] === 1 : frame[23] === 1 && frame[at] === 3;
  return isError && frame.includes(payload, at) ? `${frame[at]}.${frame[at + 1]}` : undefined;
}

for (const family of families) {
  test(`${family.name}: datagrams go to the host's loopback, its addresses, another machine, and back`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const near = await scene.guest.udp(family.any);
    const remoteAddress = scene.lab.remoteAddress[family.version];
    for (const [space, listen, destination] of [
      [scene.lab.host, family.loopback, family.gateway],
      [scene.lab.host, family.host, family.host],
      [scene.lab.remote, remoteAddress, remoteAddress],
    ] as const) {
      const far = await space.udp(listen);
      for (const size of [1, 100, 1472]) await exchange(near, far, destination, Buffer.alloc(size, size));
    }
  });

  test(`${family.name}: datagrams that need fragments arrive whole, both ways`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const near = await scene.guest.udp(family.any);
    const far = await scene.lab.host.udp(family.loopback);
    for (const size of [1473, 4000, 9000, 20_000, 60_000]) {
      await exchange(near, far, family.gateway, Buffer.from(Array.from({ length: size }, (_, index) => index * 7)));
    }
  });

  test(`${family.name}: a port that nobody has is said to be unreachable`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    for (const address of [family.gateway, family.host, scene.lab.remoteAddress[family.version]]) {
      const { stdout } = await scene.guest.run([process.execPath, join(fixtures, 'udp-errors.js'), address, '9']);
      assert.equal(stdout, 'ECONNREFUSED\n', address);
    }
  });

  test(`${family.name}: what the host cannot reach is said to be unreachable`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const near = await scene.guest.udp(family.any);
    const frames = await LabCapture.start(scene.guest, 'vde0', () => true);
    // Type and code of ICMP (RFC 792, RFC 1812) and of ICMPv6 (RFC 4443).
    const expected = [
      ['unreachable', family.version === 'v4' ? ['3.1'] : ['1.3', '1.0']],
      ['prohibited', family.version === 'v4' ? ['3.13', '3.10', '3.9'] : ['1.1']],
      ['noRoute', family.version === 'v4' ? ['3.0'] : ['1.0']],
    ] as const;
    for (const [name, codes] of expected) {
      const destination = NOWHERE[name][family.version];
      await near.send(destination, 9, Buffer.from(name));
      const told = (): string | undefined =>
        frames
          .packets()
          .map(({ frame }) => unreachableIn(frame, name))
          .find((code) => code !== undefined);
      const code = await waitFor(told, 5000, `word that ${destination} is ${name}`);
      assert.ok((codes as readonly string[]).includes(code), `${name}: ${code}`);
    }
  });

  test(`${family.name}: one port of a guest is one port of the host to everybody, who may answer from another`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const near = await scene.guest.udp(family.any);
    const ports = new Set<number>();
    for (let index = 0; index < 10; index++) {
      const space = index % 2 === 0 ? scene.lab.host : scene.lab.remote;
      const address = index % 2 === 0 ? family.host : scene.lab.remoteAddress[family.version];
      const far = await space.udp(address);
      ports.add((await exchange(near, far, address, Buffer.from(`number ${index}`))).port);
    }
    assert.equal(ports.size, 1, `${[...ports]}`);
    // Somebody whom the guest has never written to.
    const stranger = await scene.lab.remote.udp(scene.lab.remoteAddress[family.version]);
    const [port = 0] = ports;
    await stranger.send(family.version === 'v4' ? '10.99.0.1' : 'fd99::1', port, Buffer.from('hello'));
    const heard = await near.waitFor(({ payload }) => payload.toString() === 'hello', 'the stranger');
    assert.deepEqual([heard.from, heard.port], [scene.lab.remoteAddress[family.version], stranger.port]);
  });

  test(`${family.name}: many ports of a guest are told apart`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const far = await scene.lab.host.udp(family.loopback);
    const nears = await Promise.all(Array.from({ length: 12 }, () => scene.guest.udp(family.any)));
    await Promise.all(nears.map((near, index) => near.send(family.gateway, far.port, Buffer.from(`from ${index}`))));
    await waitFor(() => far.received().length === nears.length, 5000, 'all datagrams');
    const heard = far.received();
    assert.equal(new Set(heard.map(({ port }) => port)).size, nears.length);
    for (const { from, port, payload } of heard) await far.send(from, port, payload);
    for (const [index, near] of nears.entries()) {
      await near.waitFor(({ payload }) => payload.toString() === `from ${index}`, `the answer to ${index}`);
      assert.equal(near.received().length, 1);
    }
  });
}

test('5,000 ports of a guest, one after the other, do not use up the descriptors of the host', async (t) => {
  const scene = await openScene(t);
  if (scene === undefined) return;
  const far = await scene.lab.host.udp('127.0.0.1');
  const burst = `
    const { createSocket } = require('node:dgram');
    let left = 5000;
    const next = () => {
      if (left-- <= 0) return;
      const socket = createSocket('udp4');
      socket.send('x', ${far.port}, '${GATEWAY.v4}', () => { socket.close(); setTimeout(next, 1); });
    };
    for (let i = 0; i < 20; i++) next();`;
  await scene.guest.run([process.execPath, '-e', burst], { timeoutMs: 60_000 });
  const count = countDescriptors(scene.guest.vdens.pid);
  assert.ok(count <= 5200, `${count} descriptors`);
  // Somebody new still gets through.
  const near = await scene.guest.udp('0.0.0.0');
  await exchange(near, far, GATEWAY.v4, Buffer.from('and me'));
});

test('what a guest asked a name server is forgotten after some seconds, and what it said to others is not', async (t) => {
  const scene = await openScene(t, 'dig');
  if (scene === undefined) return;
  const before = countDescriptors(scene.guest.vdens.pid);
  await startAnswerer(scene.lab, 'first', '127.0.0.53');
  scene.lab.setNameServers('127.0.0.53');
  const [near, far] = [await scene.guest.udp('0.0.0.0'), await scene.lab.host.udp('127.0.0.1')];
  await exchange(near, far, GATEWAY.v4, Buffer.from('stay'));
  const answers = async (): Promise<boolean> => (await dig(scene, NAME_SERVER.v4, '+short', 'who.test', 'TXT')) !== '';
  await waitFor(answers, 10_000, 'an answer of the name server');
  assert.ok(countDescriptors(scene.guest.vdens.pid) >= before + 2);
  await waitFor(() => countDescriptors(scene.guest.vdens.pid) === before + 1, 20_000, 'the query to be forgotten');
});

/** Asks with dig(1); what it prints with `+short` unless there are other options. */
async function dig({ guest }: Scene, server: string, ...words: readonly string[]): Promise<string> {
  const { stdout } = await guest.run(['dig', '+time=2', '+tries=1', `@${server}`, ...words], { timeoutMs: 30_000 });
  return stdout.trim();
}

async function startAnswerer(lab: GatewayLab, name: string, address: string, port = 53): Promise<BackgroundCommand> {
  const run = await lab.host.spawn([process.execPath, join(fixtures, 'dns-answerer.js'), name, address, `${port}`]);
  await run.waitForOutput(/^answering$/m);
  return run;
}

/** Two name servers, the first of which is asked until something happens to it. */
async function openWithTwo(t: TestContext): Promise<{ scene: Scene; first: BackgroundCommand } | undefined> {
  const scene = await openScene(t, 'dig');
  if (scene === undefined) return undefined;
  const first = await startAnswerer(scene.lab, 'first', '127.0.0.1');
  await startAnswerer(scene.lab, 'second', HOST.v4);
  scene.lab.setNameServers('127.0.0.1', HOST.v4);
  await waitForAnswerer(scene, 'first');
  await sleep(1500); // Both were asked by then who answers.
  return { scene, first };
}

/** The name server that answers a single query. */
async function whoAnswers(scene: Scene, ...options: readonly string[]): Promise<string> {
  return await dig(scene, NAME_SERVER.v4, '+short', ...options, 'who.test', 'TXT');
}

async function waitForAnswerer(scene: Scene, name: string): Promise<void> {
  await waitFor(async () => (await whoAnswers(scene)) === `"${name}"`, 20_000, `the answer of the ${name}`);
}

test('the name server of the gateway is that of the host, over UDP and TCP, for both families', async (t) => {
  const scene = await openScene(t, 'dig');
  if (scene === undefined) return;
  await startAnswerer(scene.lab, 'first', '127.0.0.53');
  scene.lab.setNameServers('127.0.0.53');
  await waitForAnswerer(scene, 'first');
  for (const server of [NAME_SERVER.v4, NAME_SERVER.v6]) {
    for (const way of ['+notcp', '+tcp']) {
      assert.equal(await dig(scene, server, way, '+short', 'www.test', 'A'), '192.0.2.7', `${server} ${way}`);
      assert.equal(await dig(scene, server, way, '+short', 'who.test', 'TXT'), '"first"', `${server} ${way}`);
      assert.match(await dig(scene, server, way, 'nothing.test', 'A'), /status: NXDOMAIN/, `${server} ${way}`);
    }
  }
});

test('EDNS and truncation pass as they are', async (t) => {
  const scene = await openScene(t, 'dig');
  if (scene === undefined) return;
  await startAnswerer(scene.lab, 'first', '127.0.0.1');
  scene.lab.setNameServers('127.0.0.1');
  await waitForAnswerer(scene, 'first');
  assert.equal(await dig(scene, NAME_SERVER.v4, '+noedns', '+short', 'edns.test', 'TXT'), '"0"');
  assert.equal(await dig(scene, NAME_SERVER.v4, '+bufsize=1232', '+short', 'edns.test', 'TXT'), '"1232"');
  const truncated = await dig(scene, NAME_SERVER.v4, '+bufsize=1232', '+ignore', 'big.test', 'TXT');
  assert.match(truncated, /flags: [^;]*\btc\b/);
  // The resolver comes again over TCP.
  const whole = await dig(scene, NAME_SERVER.v4, '+bufsize=1232', '+short', 'big.test', 'TXT');
  assert.equal(
    whole
      .replace(/[" ]/g, '')
      .replace(/^;;.*$/m, '')
      .trim().length,
    3000,
  );
  const inFragments = await dig(
    scene,
    NAME_SERVER.v4,
    '+bufsize=4096',
    '+notcp',
    '+ignore',
    '+short',
    'big.test',
    'TXT',
  );
  assert.equal(inFragments.replace(/[" ]/g, '').length, 3000);
});

test('when the resolv.conf of the host changes, so does the name server', async (t) => {
  const scene = await openScene(t, 'dig');
  if (scene === undefined) return;
  await startAnswerer(scene.lab, 'first', '127.0.0.1');
  await startAnswerer(scene.lab, 'second', HOST.v4);
  for (const [address, name] of [
    ['127.0.0.1', 'first'],
    [HOST.v4, 'second'],
    ['127.0.0.1', 'first'],
  ] as const) {
    scene.lab.setNameServers(address);
    await waitForAnswerer(scene, name);
    assert.equal(await dig(scene, NAME_SERVER.v4, '+tcp', '+short', 'who.test', 'TXT'), `"${name}"`);
  }
});

test('a name server of the host that does not answer is passed over', async (t) => {
  const scene = await openScene(t, 'dig');
  if (scene === undefined) return;
  await startAnswerer(scene.lab, 'second', '127.0.0.1');
  scene.lab.setNameServers(HOST.v4, '127.0.0.1'); // Nobody listens at the first.
  await waitForAnswerer(scene, 'second');
});

test('a name server of the host that begins to refuse is left after one refusal', async (t) => {
  const found = await openWithTwo(t);
  if (found === undefined) return;
  const { scene, first } = found;
  first.kill('SIGKILL');
  await first.waitForExit();
  await whoAnswers(scene);
  await sleep(1500); // Time to ask the other one.
  assert.equal(await whoAnswers(scene), '"second"');
});

test('a name server of the host that falls silent is left before a guest asks again', async (t) => {
  const found = await openWithTwo(t);
  if (found === undefined) return;
  const { scene, first } = found;
  first.kill('SIGSTOP');
  assert.match(await whoAnswers(scene, '+time=4', '+tries=2'), /"second"$/);
});

test('a name server of the host that is silent from the start is not waited for', async (t) => {
  const scene = await openScene(t, 'dig');
  if (scene === undefined) return;
  const first = await startAnswerer(scene.lab, 'first', '127.0.0.1');
  first.kill('SIGSTOP');
  await startAnswerer(scene.lab, 'second', HOST.v4);
  scene.lab.setNameServers('127.0.0.1', HOST.v4);
  // The file is looked at every 3 s at least.
  await waitForAnswerer(scene, 'second');
});

test('disable_host_loopback: of a name server on the loopback interface, guests reach port 53 alone', async (t) => {
  if (!requireCommands(t, ...gatewayCommands, 'dig')) return;
  const lab = await GatewayLab.start(t);
  await startAnswerer(lab, 'dns', '127.0.0.1');
  await startAnswerer(lab, 'other', '127.0.0.1', 853);
  lab.setNameServers('127.0.0.1');
  const usual: Scene = { lab, guest: await lab.guest() };
  assert.equal(await whoAnswers(usual, '-p', '853'), '"other"');
  const scene: Scene = { lab, guest: await lab.guest('slirp:///disable_host_loopback') };
  for (const way of ['+notcp', '+tcp']) {
    assert.equal(await whoAnswers(scene, way), '"dns"');
    assert.doesNotMatch(await whoAnswers(scene, way, '-p', '853'), /"other"/);
  }
});
