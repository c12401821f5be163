/** The host's resolvers: what resolv.conf says, its changes, and which resolver is asked. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { probeResolver, type ResolverProbe } from '../../../src/gateway/resolver-probe.ts';
import { parseResolvConf, Resolvers } from '../../../src/gateway/resolvers.ts';
import { parseIp } from '../../../src/net/ip.ts';
import { formatSocketAddress } from '../../../src/net/socket-address.ts';
import { makeTemporaryDirectory, waitFor } from '../../interop/harness.ts';

/** Changes are seen at once, or at the next look. */
const SEEN_MS = 15_000;
/** How long the resolvers of the test keep us waiting that do not answer. */
const SILENT_MS = 500;

interface Started {
  readonly resolvers: Resolvers;
  readonly path: string;
  /** How often it was told that something is another. */
  readonly changes: () => number;
  /** The clock of its decisions. */
  readonly clock: { ms: number };
  /** What answers a query of our own: a host, or nobody. */
  readonly alive: Set<string>;
  /** Whom we asked. */
  readonly probed: string[];
}

async function start(
  t: TestContext,
  text: string,
  path = join(makeTemporaryDirectory(t), 'resolv.conf'),
  answering: readonly string[] = ['10.0.0.1:53', '10.0.0.7:53'],
): Promise<Started> {
  if (text !== '') writeFileSync(path, text);
  let changes = 0;
  const clock = { ms: 0 };
  const alive = new Set(answering);
  const probed: string[] = [];
  const probe: ResolverProbe = (resolver, signal) => {
    const name = formatSocketAddress(resolver);
    probed.push(name);
    if (alive.has(name)) return Promise.resolve(true);
    // Silence.
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, SILENT_MS, false);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve(false);
      });
    });
  };
  const resolvers = new Resolvers({ changed: () => changes++ }, { path, now: () => clock.ms, probe });
  t.after(() => resolvers.close());
  await resolvers.start();
  return { resolvers, path, changes: () => changes, clock, alive, probed };
}

function current({ resolvers }: Started): string {
  return formatSocketAddress(resolvers.current);
}

async function isNow(started: Started, expected: string): Promise<void> {
  await waitFor(() => current(started) === expected, SEEN_MS, `${expected} is asked`);
}

test('what a resolv.conf says', () => {
  const table = [
    ['', [], []],
    ['nameserver 10.0.0.1\n', ['10.0.0.1'], []],
    ['nameserver\t10.0.0.1 # ours\r\nnameserver  fd00::1', ['10.0.0.1', 'fd00::1'], []],
    ['nameserver fe80::1%eth0', ['fe80::1%eth0'], []],
    ['# nameserver 10.0.0.1\n;nameserver 10.0.0.2\n nameserver 10.0.0.3', [], []],
    ['nameserver\nnameserver box\nnameserver 10.1\nnameserver 224.0.0.1\nnameserver 127.0.0.53', ['127.0.0.53'], []],
    [
      'nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4',
      ['1.1.1.1', '2.2.2.2', '3.3.3.3'],
      [],
    ],
    ['search a.example b.example', [], ['a.example', 'b.example']],
    ['search a.example\nsearch b.example', [], ['b.example']],
    ['search a.example\ndomain b.example', [], ['b.example']],
    ['search .', [], []],
    ['search a..b -c d_e.example. f/g', [], ['-c', 'd_e.example.']],
    ['options edns0 trust-ad\nfamily inet6', [], []],
  ] as const;
  for (const [text, nameServers, searchDomains] of table) {
    assert.deepEqual(parseResolvConf(text), { nameServers, searchDomains }, JSON.stringify(text));
  }
});

test('who is asked first; the host itself when nobody is named', async (t) => {
  const table = [
    ['nameserver 127.0.0.53', '127.0.0.53:53'],
    ['nameserver fd00::53', '[fd00::53]:53'],
    ['nameserver 0.0.0.0', '127.0.0.1:53'],
    ['nameserver ::', '[::1]:53'],
    ['nameserver fe80::1%lo', '[fe80::1%1]:53'],
    ['nameserver fe80::1%1', '[fe80::1%1]:53'],
    ['nameserver fe80::1%nosuch\nnameserver 10.0.0.2', '10.0.0.2:53'],
    ['nameserver fe80::1', '127.0.0.1:53'],
    ['search example.org', '127.0.0.1:53'],
    ['', '127.0.0.1:53'],
  ] as const;
  for (const [text, expected] of table) {
    const started = await start(t, text);
    assert.equal(current(started), expected, text);
    started.resolvers.close();
  }
});

test('a file that is written, replaced, removed and made again', async (t) => {
  const started = await start(t, 'nameserver 10.0.0.1\nsearch a.example');
  const { path, changes, resolvers } = started;
  assert.deepEqual(resolvers.searchDomains, ['a.example']);
  const before = changes();
  writeFileSync(path, 'nameserver 10.0.0.2\nsearch a.example');
  await isNow(started, '10.0.0.2:53');
  assert.equal(changes(), before + 1);
  writeFileSync(`${path}.new`, 'nameserver 10.0.0.3\nsearch a.example');
  renameSync(`${path}.new`, path);
  await isNow(started, '10.0.0.3:53');
  unlinkSync(path);
  await isNow(started, '127.0.0.1:53');
  writeFileSync(path, 'nameserver 10.0.0.4\nsearch b.example');
  await isNow(started, '10.0.0.4:53');
  const count = changes();
  writeFileSync(path, 'nameserver 10.0.0.4\nsearch c.example');
  await waitFor(() => resolvers.searchDomains[0] === 'c.example', SEEN_MS, 'the new search list');
  assert.equal(changes(), count + 1);
});

test('a link into a directory where the file is replaced whole, and links that come to lead elsewhere', async (t) => {
  const folder = makeTemporaryDirectory(t);
  for (const name of ['etc', 'run', 'other']) mkdirSync(join(folder, name));
  const path = join(folder, 'etc', 'resolv.conf');
  const [stub, stable, other] = ['run/stub', 'stable', 'other/stub'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(stub, 'nameserver 10.0.0.1');
  writeFileSync(other, 'nameserver 10.0.0.9');
  symlinkSync(stub, stable);
  symlinkSync('../stable', path);
  const started = await start(t, '', path);
  assert.equal(current(started), '10.0.0.1:53');
  writeFileSync(`${stub}.new`, 'nameserver 10.0.0.2');
  renameSync(`${stub}.new`, stub);
  await isNow(started, '10.0.0.2:53');
  // The link in the middle is in no directory that is watched.
  unlinkSync(stable);
  symlinkSync(other, stable);
  await isNow(started, '10.0.0.9:53');
  // Now that one is watched.
  writeFileSync(`${other}.new`, 'nameserver 10.0.0.10');
  renameSync(`${other}.new`, other);
  await isNow(started, '10.0.0.10:53');
  rmSync(join(folder, 'other'), { recursive: true });
  await isNow(started, '127.0.0.1:53');
});

test('a directory in its place, or one that is not there, says nothing', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'later', 'resolv.conf');
  const started = await start(t, '', path);
  assert.equal(current(started), '127.0.0.1:53');
  mkdirSync(path, { recursive: true });
  rmSync(path, { recursive: true });
  writeFileSync(path, 'nameserver 10.0.0.1');
  await isNow(started, '10.0.0.1:53');
});

const THREE = 'nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3';

test('a resolver that refuses is left at once, and all that refuse are tried once', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, changes } = started;
  const before = changes();
  resolvers.failed();
  assert.equal(current(started), '10.0.0.2:53');
  resolvers.failed();
  assert.equal(current(started), '10.0.0.3:53');
  // The others were just left.
  clock.ms += 1999;
  resolvers.failed();
  assert.equal(current(started), '10.0.0.3:53');
  clock.ms += 1;
  resolvers.failed();
  assert.equal(current(started), '10.0.0.1:53');
  assert.equal(changes(), before + 3);
});

test('guests that ask for errors do not make us turn faster', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, changes } = started;
  const before = changes();
  for (let i = 0; i < 1000; i++) {
    resolvers.failed();
    clock.ms += 10;
  }
  // Each of the three once in 2 s.
  assert.ok(changes() - before <= 15, String(changes() - before));
  assert.ok(changes() - before >= 5, String(changes() - before));
});

test('a resolver that is silent about a query and ours is left for one that answers', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, alive, probed } = started;
  await waitFor(() => probed.length === 3, SEEN_MS, 'those of the new file are asked');
  alive.delete('10.0.0.1:53');
  alive.add('10.0.0.3:53');
  resolvers.asked();
  clock.ms += 399;
  resolvers.tick();
  assert.equal(probed.length, 3);
  clock.ms += 1;
  resolvers.tick();
  assert.equal(probed.length, 6);
  await isNow(started, '10.0.0.3:53');
});

test('a resolver that answers us stays, although names are slow, and is not asked all the time', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, alive, probed, changes } = started;
  alive.add('10.0.0.2:53');
  const before = changes();
  for (let i = 0; i < 100; i++) {
    resolvers.asked(5);
    clock.ms += 100;
    resolvers.tick();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(changes(), before);
  assert.ok(probed.length > 3 && probed.length <= 3 + 5 * 3, String(probed.length));
});

test('where nobody answers us, a guest that asks again reaches the next one', async (t) => {
  const started = await start(t, THREE, undefined, []);
  const { resolvers, clock } = started;
  resolvers.asked();
  clock.ms += 1000;
  resolvers.tick();
  await waitFor(
    () => {
      clock.ms += 1000;
      resolvers.asked();
      return current(started) !== '10.0.0.1:53';
    },
    SEEN_MS,
    'the next one is asked',
  );
});

test('what was answered, or is long ago, is no silence', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, probed } = started;
  for (let i = 0; i < 5; i++) {
    resolvers.asked(3);
    resolvers.answered();
    clock.ms += 5000;
    resolvers.tick();
    resolvers.asked(3);
    clock.ms += 30_000;
    resolvers.tick();
  }
  assert.equal(probed.length, 3);
  assert.equal(current(started), '10.0.0.1:53');
});

test('the only resolver stays, whatever it does, and is not asked', async (t) => {
  const started = await start(t, 'nameserver 10.0.0.1');
  started.resolvers.failed();
  started.resolvers.asked(10);
  started.clock.ms += 1000;
  started.resolvers.tick();
  assert.equal(current(started), '10.0.0.1:53');
  assert.deepEqual(started.probed, []);
});

test('of a new file the first one that answers is taken, and the first of all when it does', async (t) => {
  const started = await start(t, THREE, undefined, ['10.0.0.2:53', '10.0.0.9:53']);
  assert.equal(current(started), '10.0.0.1:53');
  await isNow(started, '10.0.0.2:53');
  writeFileSync(started.path, 'nameserver 10.0.0.8\nnameserver 10.0.0.9');
  await isNow(started, '10.0.0.9:53');
  writeFileSync(started.path, 'nameserver 10.0.0.2\nnameserver 10.0.0.9');
  await isNow(started, '10.0.0.2:53');
  assert.equal((await start(t, THREE, undefined, ['10.0.0.1:53', '10.0.0.2:53'])).changes(), 1);
});

test('the first is returned to only when it answers us, after pauses that grow', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, alive, probed } = started;
  alive.delete('10.0.0.1:53');
  resolvers.failed();
  probed.length = 0;
  for (const pauseMs of [60_000, 120_000, 240_000, 480_000, 600_000, 600_000]) {
    clock.ms += pauseMs - 1;
    resolvers.tick();
    assert.deepEqual(probed, [], String(pauseMs));
    clock.ms += 1;
    resolvers.tick();
    assert.deepEqual(probed.splice(0), ['10.0.0.1:53'], String(pauseMs));
    // The answer is waited for.
    await sleep(2 * SILENT_MS);
    assert.equal(current(started), '10.0.0.2:53');
  }
  alive.add('10.0.0.1:53');
  clock.ms += 600_000;
  resolvers.tick();
  await isNow(started, '10.0.0.1:53');
  // Left soon after, it is left alone for as long as before.
  probed.length = 0;
  clock.ms += 3000;
  resolvers.failed();
  clock.ms += 599_999;
  resolvers.tick();
  assert.deepEqual(probed, []);
});

test('a new file begins with its first', async (t) => {
  const started = await start(t, THREE);
  started.resolvers.failed();
  assert.equal(current(started), '10.0.0.2:53');
  writeFileSync(started.path, 'nameserver 10.0.0.7\nnameserver 10.0.0.2');
  await isNow(started, '10.0.0.7:53');
});

test('a query of our own: answered, refused, given up', async (t) => {
  const server = createSocket('udp4');
  t.after(() => void server.close());
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const resolver = { address: parseIp('127.0.0.1'), port: server.address().port };
  let isStrange = false;
  server.on('message', (query, { port, address }) => {
    assert.equal(query.subarray(2).toString('hex'), '010000010000000000000000020001');
    const answer = Buffer.from(query);
    answer[2] = 0x81;
    if (isStrange) answer[0] = (answer[0] ?? 0) ^ 1;
    server.send(answer, port, address);
  });
  const { signal } = new AbortController();
  assert.equal(await probeResolver(resolver, signal), true);
  isStrange = true;
  assert.equal(await probeResolver(resolver, signal), false);
  const given = new AbortController();
  const waiting = probeResolver(resolver, given.signal);
  given.abort();
  assert.equal(await waiting, false);
  assert.equal(await probeResolver({ ...resolver, port: await unusedPort() }, signal), false);
});

async function unusedPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
