/** The list of peers: real files, a resolver that does what the test says. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VdensError } from '../../../src/errors.ts';
import { parseIp } from '../../../src/net/ip.ts';
import { formatSocketAddress, type SocketAddress } from '../../../src/net/socket-address.ts';
import { PeerList, type PeerListOptions } from '../../../src/overlay/peer-list.ts';
import { MAX_PEERS } from '../../../src/overlay/peer-name.ts';
import { makeTemporaryDirectory, waitFor } from '../../interop/harness.ts';

const PORT = 14789;
const PROMPTLY_MS = 10_000;

/** Names and their addresses; those without fail with `EAI_AGAIN`, unknown ones with `ENOTFOUND`. */
class Resolver {
  readonly names: Record<string, readonly string[] | Promise<readonly string[]> | string> = {};
  readonly asked: string[] = [];
  running = 0;
  mostRunning = 0;

  readonly lookUp = async (host: string): Promise<readonly string[]> => {
    this.asked.push(host);
    this.running++;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await sleep(1);
      const answer = await (this.names[host] ?? 'ENOTFOUND');
      if (typeof answer === 'string') throw Object.assign(new Error(answer), { code: answer });
      return answer;
    } finally {
      this.running--;
    }
  };
}

/** A list, and what it told. */
class Listener {
  readonly told: string[][] = [];
  readonly troubles: VdensError[] = [];
  readonly list: PeerList;

  constructor(t: TestContext, options: Partial<PeerListOptions>) {
    const all = { label: 'vxvde://', peers: [], defaultPort: PORT, family: 4, ...options } as const;
    this.list = new PeerList(all, {
      changed: (addresses) => void this.told.push(textsOf(addresses)),
      trouble: (error) => void this.troubles.push(error),
    });
    t.after(() => this.list.close());
  }

  async start(): Promise<string[]> {
    return textsOf(await this.list.start());
  }

  /** Waits for the next list that is told. */
  async next(): Promise<string[]> {
    await waitFor(() => this.told.length > 0, PROMPTLY_MS, 'other peers');
    return this.told.shift()!;
  }

  async nextTrouble(): Promise<string> {
    await waitFor(() => this.troubles.length > 0, PROMPTLY_MS, 'trouble');
    return this.troubles.shift()!.message;
  }

  assertQuiet(): void {
    assert.deepEqual([this.told, this.troubles.map(({ message }) => message)], [[], []]);
  }
}

function textsOf(addresses: readonly SocketAddress[]): string[] {
  return addresses.map((address) => formatSocketAddress(address));
}

function peer(host: string, port = PORT): { host: string; port: number } {
  return { host, port };
}

test('addresses are sorted, and each is there once', async (t) => {
  const hosts = ['192.0.2.10', '192.0.2.9', '192.0.2.10', '10.9.0.1'].map((host) => peer(host));
  const listener = new Listener(t, { peers: [...hosts, peer('192.0.2.9', 5)] });
  assert.deepEqual(await listener.start(), ['10.9.0.1:14789', '192.0.2.9:5', '192.0.2.9:14789', '192.0.2.10:14789']);
  await sleep(50);
  listener.assertQuiet();
});

test('addresses of the other family are left out, and that is said once', async (t) => {
  const listener = new Listener(t, { peers: [peer('192.0.2.1'), peer('2001:db8::1')], family: 6 });
  assert.deepEqual(await listener.start(), ['[2001:db8::1]:14789']);
  listener.list.refresh();
  assert.deepEqual(
    listener.troubles.map(({ message }) => message),
    ['vxvde://: the peer 192.0.2.1 is left out: this network is one of IPv6. Name it by its IPv6 address'],
  );
});

test('a link-local address is on the link of the underlay', async (t) => {
  const peers = [peer('fe80::1'), peer('fd00::1')];
  const without = new Listener(t, { peers, family: 6 });
  assert.deepEqual(await without.start(), ['[fd00::1]:14789']);
  assert.equal(
    without.troubles[0]!.message,
    'vxvde://: the peer fe80::1 is left out: it is link-local. Name the interface: if=eth0',
  );
  let index = 3;
  const listener = new Listener(t, { peers, family: 6, interfaceIndex: () => index });
  assert.deepEqual(await listener.start(), ['[fd00::1]:14789', '[fe80::1%3]:14789']);
  index = 4;
  listener.list.refresh();
  assert.deepEqual(await listener.next(), ['[fd00::1]:14789', '[fe80::1%4]:14789']);
});

test('what leads to ourselves is left out: all addresses of this host, at our port', async (t) => {
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => peer(address));
  assert.ok(own.length > 0);
  const peers = [...own, peer('127.0.1.1'), peer('127.0.0.1', 5), peer('192.0.2.1')];
  const listener = new Listener(t, { peers, ownPort: PORT });
  assert.deepEqual(await listener.start(), ['127.0.0.1:5', '192.0.2.1:14789']);
  const bound = new Listener(t, {
    peers: [peer('192.0.2.1'), peer('192.0.2.2'), peer('127.0.1.1')],
    ownPort: PORT,
    ownAddress: parseIp('192.0.2.2'),
  });
  assert.deepEqual(await bound.start(), ['192.0.2.1:14789']);
  const local = new Listener(t, {
    peers: [peer('127.0.0.2'), peer('127.0.0.3')],
    ownPort: PORT,
    ownAddress: parseIp('127.0.0.3'),
  });
  assert.deepEqual(await local.start(), ['127.0.0.2:14789']);
});

test('a name stands for all of its addresses, and is looked up again', async (t) => {
  const { names, lookUp } = new Resolver();
  names['a'] = ['192.0.2.2', '192.0.2.1'];
  const listener = new Listener(t, {
    peers: [peer('a'), peer('a', 7), peer('192.0.2.1')],
    lookUp,
    resolveIntervalMs: 30,
  });
  assert.deepEqual(await listener.start(), ['192.0.2.1:7', '192.0.2.1:14789', '192.0.2.2:7', '192.0.2.2:14789']);
  names['a'] = ['192.0.2.1', '192.0.2.2'];
  await sleep(150);
  listener.assertQuiet();
  names['a'] = ['192.0.2.3'];
  assert.deepEqual(await listener.next(), ['192.0.2.1:14789', '192.0.2.3:7', '192.0.2.3:14789']);
});

test('a name that cannot be looked up any more keeps its addresses; said once, until it can', async (t) => {
  const { names, lookUp } = new Resolver();
  names['a'] = ['192.0.2.1'];
  const listener = new Listener(t, { peers: [peer('a')], lookUp, resolveIntervalMs: 20 });
  await listener.start();
  names['a'] = 'EAI_AGAIN';
  const message = 'vxvde://: cannot look up the peer a (EAI_AGAIN): no name server answers. It is tried again';
  assert.equal(await listener.nextTrouble(), message);
  await sleep(150);
  listener.assertQuiet();
  assert.deepEqual(textsOf(listener.list.addresses), ['192.0.2.1:14789']);
  names['a'] = ['192.0.2.2'];
  assert.deepEqual(await listener.next(), ['192.0.2.2:14789']);
  names['a'] = 'EAI_AGAIN';
  assert.equal(await listener.nextTrouble(), message);
});

test('a name that is not known at the start is no failure, and comes later', async (t) => {
  const { names, lookUp } = new Resolver();
  const listener = new Listener(t, { peers: [peer('late'), peer('192.0.2.1')], lookUp, resolveIntervalMs: 20 });
  assert.deepEqual(await listener.start(), ['192.0.2.1:14789']);
  assert.equal(
    await listener.nextTrouble(),
    'vxvde://: cannot look up the peer late (ENOTFOUND): no IPv4 address of that name is known. Is it spelt right? It is tried again',
  );
  names['late'] = ['192.0.2.7'];
  assert.deepEqual(await listener.next(), ['192.0.2.1:14789', '192.0.2.7:14789']);
});

test('what a resolver answers to hide a name is no address', async (t) => {
  const { names, lookUp } = new Resolver();
  names['blocked'] = ['0.0.0.0'];
  names['odd'] = ['224.0.0.1', '2001:db8::1', '192.0.2.1'];
  const listener = new Listener(t, { peers: [peer('blocked'), peer('odd')], lookUp });
  assert.deepEqual(await listener.start(), ['192.0.2.1:14789']);
  assert.match(await listener.nextTrouble(), /the peer blocked \(ENOTFOUND\)/);
});

test('many names are looked up few at a time, each once, and failures are told together', async (t) => {
  const resolver = new Resolver();
  const peers = Array.from({ length: 60 }, (_, i) => peer(`host${i}`));
  for (let i = 0; i < 30; i++) resolver.names[`host${i}`] = [`192.0.2.${i + 1}`];
  const listener = new Listener(t, { peers: [...peers, ...peers], lookUp: resolver.lookUp });
  assert.equal((await listener.start()).length, 30);
  assert.ok(resolver.mostRunning <= 2, `${resolver.mostRunning} at a time`);
  assert.equal(resolver.asked.length, 60);
  assert.match(await listener.nextTrouble(), /the peers host30, host31, host32 and 27 more \(ENOTFOUND\): /);
  await sleep(20);
  listener.assertQuiet();
});

test('a resolver that does not answer is given up, and heard when it does', { timeout: 30_000 }, async (t) => {
  const { names, lookUp } = new Resolver();
  let answer: (addresses: readonly string[]) => void = () => undefined;
  names['slow'] = new Promise((resolve) => {
    answer = resolve;
  });
  names['quick'] = ['192.0.2.1'];
  const listener = new Listener(t, { peers: [peer('slow'), peer('quick')], lookUp });
  const start = performance.now();
  assert.deepEqual(await listener.start(), ['192.0.2.1:14789']);
  assert.ok(performance.now() - start < 15_000);
  const message = 'vxvde://: cannot look up the peer slow (ETIMEDOUT): no name server answers. It is tried again';
  assert.equal(await listener.nextTrouble(), message);
  answer(['192.0.2.2']);
  assert.deepEqual(await listener.next(), ['192.0.2.1:14789', '192.0.2.2:14789']);
});

test('a refresh looks everything up at once', async (t) => {
  const { names, lookUp } = new Resolver();
  names['a'] = ['192.0.2.1'];
  const listener = new Listener(t, { peers: [peer('a')], lookUp });
  await listener.start();
  names['a'] = ['192.0.2.2'];
  listener.list.refresh();
  listener.list.refresh();
  assert.deepEqual(await listener.next(), ['192.0.2.2:14789']);
});

test('nothing is told after the end, whatever is under way', async (t) => {
  const { names, lookUp } = new Resolver();
  names['a'] = ['192.0.2.1'];
  const path = join(makeTemporaryDirectory(t), 'lan');
  writeFileSync(path, '192.0.2.3\n');
  const listener = new Listener(t, { peers: [peer('a')], peerFile: path, lookUp, resolveIntervalMs: 10 });
  await listener.start();
  names['a'] = ['192.0.2.2'];
  writeFileSync(path, '192.0.2.4\n');
  listener.list.close();
  listener.list.close();
  listener.list.refresh();
  await sleep(250);
  listener.assertQuiet();
  const early = new Listener(t, { peers: [peer('a'), peer('b')], peerFile: path, lookUp });
  const started = early.start();
  early.list.close();
  await started;
  await sleep(150);
  early.assertQuiet();
});

test('the resolver of the system knows the names of /etc/hosts', async (t) => {
  const listener = new Listener(t, { peers: [peer('localhost')] });
  assert.deepEqual(await listener.start(), ['127.0.0.1:14789']);
});

test('a file is read, and read again when it is written, appended to, emptied, replaced', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const path = join(directory, 'lan');
  writeFileSync(path, '# our LAN\n192.0.2.1\n192.0.2.2:5\n');
  const listener = new Listener(t, { peers: [peer('192.0.2.9')], peerFile: path });
  assert.deepEqual(await listener.start(), ['192.0.2.1:14789', '192.0.2.2:5', '192.0.2.9:14789']);
  writeFileSync(path, '192.0.2.3\n');
  assert.deepEqual(await listener.next(), ['192.0.2.3:14789', '192.0.2.9:14789']);
  appendFileSync(path, '192.0.2.4\n');
  assert.deepEqual(await listener.next(), ['192.0.2.3:14789', '192.0.2.4:14789', '192.0.2.9:14789']);
  writeFileSync(join(directory, 'new'), '192.0.2.5\n');
  renameSync(join(directory, 'new'), path);
  assert.deepEqual(await listener.next(), ['192.0.2.5:14789', '192.0.2.9:14789']);
  truncateSync(path);
  assert.deepEqual(await listener.next(), ['192.0.2.9:14789']);
  appendFileSync(path, '# only a comment\n');
  writeFileSync(join(directory, 'other'), '192.0.2.77\n');
  await sleep(300);
  listener.assertQuiet();
});

test('a file that vanishes keeps the last list, which is said once, and is read when it is back', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'lan');
  writeFileSync(path, '192.0.2.1\n');
  const listener = new Listener(t, { peerFile: path });
  await listener.start();
  rmSync(path);
  const message = `vxvde://: cannot read the list of peers ${path}: there is no such file (ENOENT). The peers that it named are kept`;
  assert.equal(await listener.nextTrouble(), message);
  writeFileSync(`${path}.other`, '');
  await sleep(250);
  listener.assertQuiet();
  assert.deepEqual(textsOf(listener.list.addresses), ['192.0.2.1:14789']);
  writeFileSync(path, '192.0.2.2\n');
  assert.deepEqual(await listener.next(), ['192.0.2.2:14789']);
  rmSync(path);
  assert.equal(await listener.nextTrouble(), message);
  writeFileSync(path, '192.0.2.2\n');
  await sleep(250);
  listener.assertQuiet();
});

test('a file that cannot be read at the start is an error that names it', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const refused = async (path: string, message: string): Promise<void> => {
    const { list } = new Listener(t, { peerFile: path });
    await assert.rejects(list.start(), { name: 'VdensError', code: 'ERR_NETWORK_OPEN', value: path, message });
  };
  const what = 'vxvde://: cannot read the list of peers';
  const path = join(directory, 'no', 'lan');
  await refused(path, `${what} ${path}: there is no such file (ENOENT)`);
  await refused(directory, `${what} ${directory}: it is not a regular file`);
  const large = join(directory, 'large');
  writeFileSync(large, '');
  truncateSync(large, 2 ** 30);
  await refused(large, `${what} ${large}: it has more than 1048576 bytes`);
  const secret = join(directory, 'secret');
  writeFileSync(secret, '', { mode: 0o000 });
  if (process.getuid?.() !== 0) await refused(secret, `${what} ${secret}: we have no permission (EACCES)`);
});

test('wrong lines are told with their numbers, and the right ones hold', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'lan');
  writeFileSync(path, '192.0.2.1\n192.0.2.2 192.0.2.3\n192.0.2.4:99999\n192.0.2.5\n');
  const listener = new Listener(t, { peerFile: path });
  assert.deepEqual(await listener.start(), ['192.0.2.1:14789', '192.0.2.5:14789']);
  assert.equal(listener.troubles.length, 2);
  for (const [i, { message }] of listener.troubles.entries()) {
    assert.ok(message.startsWith(`vxvde://: ${path}: line ${i + 2}: `), message);
    assert.doesNotMatch(message, /\n/);
  }
});

test('an empty file is a list of nobody, and may fill later', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'lan');
  writeFileSync(path, '');
  const listener = new Listener(t, { peerFile: path });
  assert.deepEqual(await listener.start(), []);
  writeFileSync(path, '192.0.2.1');
  assert.deepEqual(await listener.next(), ['192.0.2.1:14789']);
});

test('names come and go with the file; those that stay are not looked up for that', async (t) => {
  const resolver = new Resolver();
  resolver.names['a'] = ['192.0.2.1'];
  resolver.names['b'] = ['192.0.2.2'];
  const path = join(makeTemporaryDirectory(t), 'lan');
  writeFileSync(path, 'a\n');
  const listener = new Listener(t, { peerFile: path, lookUp: resolver.lookUp });
  assert.deepEqual(await listener.start(), ['192.0.2.1:14789']);
  writeFileSync(path, 'a\nb\n');
  assert.deepEqual(await listener.next(), ['192.0.2.1:14789', '192.0.2.2:14789']);
  assert.deepEqual(resolver.asked, ['a', 'b']);
  writeFileSync(path, 'b\n');
  assert.deepEqual(await listener.next(), ['192.0.2.2:14789']);
});

test('a file that names nobody is told, each time that it comes to that', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'lan');
  writeFileSync(path, '# nobody yet\n');
  const listener = new Listener(t, { peerFile: path });
  assert.deepEqual(await listener.start(), []);
  const message = `vxvde://: ${path} names no peers. Write one on each line`;
  assert.equal(await listener.nextTrouble(), message);
  listener.list.refresh();
  writeFileSync(path, '192.0.2.1\n');
  assert.deepEqual(await listener.next(), ['192.0.2.1:14789']);
  listener.assertQuiet();
  writeFileSync(path, '');
  assert.equal(await listener.nextTrouble(), message);
});

test('in a directory in which others are busy the file is still seen', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const path = join(directory, 'lan');
  writeFileSync(path, '192.0.2.1\n');
  const listener = new Listener(t, { peerFile: path });
  await listener.start();
  const noise = setInterval(() => writeFileSync(join(directory, 'noise'), String(performance.now())), 5);
  t.after(() => clearInterval(noise));
  writeFileSync(path, '192.0.2.2\n');
  assert.deepEqual(await listener.next(), ['192.0.2.2:14789']);
});

test('the target of a link is seen when it is looked at', { timeout: 30_000 }, async (t) => {
  const [target, path] = [join(makeTemporaryDirectory(t), 'target'), join(makeTemporaryDirectory(t), 'lan')];
  writeFileSync(target, '192.0.2.1\n');
  symlinkSync(target, path);
  const listener = new Listener(t, { peerFile: path });
  assert.deepEqual(await listener.start(), ['192.0.2.1:14789']);
  writeFileSync(target, '192.0.2.2\n');
  await waitFor(() => listener.told.length > 0, 15_000, 'the next look');
  assert.deepEqual(await listener.next(), ['192.0.2.2:14789']);
});

test('a directory that is replaced is watched', async (t) => {
  const folder = join(makeTemporaryDirectory(t), 'folder');
  const path = join(folder, 'lan');
  mkdirSync(folder);
  writeFileSync(path, '192.0.2.1\n');
  const listener = new Listener(t, { peerFile: path });
  await listener.start();
  renameSync(folder, `${folder}.old`);
  mkdirSync(folder);
  writeFileSync(path, '192.0.2.2\n');
  assert.deepEqual(await listener.next(), ['192.0.2.2:14789']);
  writeFileSync(path, '192.0.2.3\n');
  assert.deepEqual(await listener.next(), ['192.0.2.3:14789']);
});

test('there are at most so many peers: those named first stay, and it is said', async (t) => {
  const { names, lookUp } = new Resolver();
  names['many'] = Array.from({ length: MAX_PEERS }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const listener = new Listener(t, { peers: [peer('192.0.2.1'), peer('many')], lookUp });
  const addresses = await listener.start();
  assert.equal(addresses.length, MAX_PEERS);
  assert.ok(addresses.includes('192.0.2.1:14789'));
  assert.deepEqual(
    listener.troubles.map(({ message }) => message),
    [`vxvde://: there are more than ${MAX_PEERS} peers, and the rest is left out. Name fewer`],
  );
});

test('a peer that can be neither an address nor a name is an error at once', (t) => {
  assert.throws(() => new Listener(t, { peers: [peer('10.1')] }), { code: 'ERR_ADDRESS' });
});

test('a name can stand for one address: the one that it had, as long as it has it', async (t) => {
  const { names, lookUp } = new Resolver();
  names['there'] = ['192.0.2.9', '192.0.2.1'];
  const listener = new Listener(t, { peers: [peer('there')], lookUp, resolveIntervalMs: 20, onlyFirst: true });
  assert.deepEqual(await listener.start(), ['192.0.2.9:14789']);
  names['there'] = ['192.0.2.1', '192.0.2.7', '192.0.2.9'];
  await sleep(100);
  listener.list.refresh();
  listener.assertQuiet();
  names['there'] = ['192.0.2.7', '192.0.2.1'];
  assert.deepEqual(await listener.next(), ['192.0.2.7:14789']);
});

test('a list of ourselves alone is told, once it is sure', async (t) => {
  const { names, lookUp } = new Resolver();
  const peers = [peer('127.0.0.1'), peer('here')];
  const listener = new Listener(t, { peers, lookUp, resolveIntervalMs: 20, ownPort: PORT });
  assert.deepEqual(await listener.start(), []);
  assert.match(await listener.nextTrouble(), /cannot look up the peer here/);
  names['here'] = ['127.0.1.1'];
  assert.match(await listener.nextTrouble(), /all peers are this very host, at its own port/);
  names['here'] = ['192.0.2.1'];
  assert.deepEqual(await listener.next(), ['192.0.2.1:14789']);
  listener.assertQuiet();
});

test('a signal ends the wait of the start', async (t) => {
  const controller = new AbortController();
  const lookUp = (): Promise<never> => new Promise(() => undefined);
  const listener = new Listener(t, { peers: [peer('there')], lookUp, startSignal: controller.signal });
  const start = performance.now();
  setTimeout(() => controller.abort(), 20);
  assert.deepEqual(await listener.start(), []);
  assert.ok(performance.now() - start < 4000);
  listener.assertQuiet();
});
