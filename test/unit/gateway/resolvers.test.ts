/** The host's resolvers: what resolv.conf says, its changes, and which resolver is asked. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseResolvConf, Resolvers } from '../../../src/gateway/resolvers.ts';
import { formatSocketAddress } from '../../../src/net/socket-address.ts';
import { makeTemporaryDirectory, waitFor } from '../../interop/harness.ts';

/** Changes are seen at once, or at the next look. */
const SEEN_MS = 15_000;

interface Started {
  readonly resolvers: Resolvers;
  readonly path: string;
  /** How often it was told that something is another. */
  readonly changes: () => number;
  /** The clock of its decisions. */
  readonly clock: { ms: number };
}

async function start(
  t: TestContext,
  text: string,
  path = join(makeTemporaryDirectory(t), 'resolv.conf'),
): Promise<Started> {
  if (text !== '') writeFileSync(path, text);
  let changes = 0;
  const clock = { ms: 0 };
  const resolvers = new Resolvers({ changed: () => changes++ }, { path, now: () => clock.ms });
  t.after(() => resolvers.close());
  await resolvers.start();
  return { resolvers, path, changes: () => changes, clock };
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

test('a resolver that refuses three times is left for the next one, and after the last comes the first', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, changes } = started;
  const before = changes();
  for (const expected of ['10.0.0.2:53', '10.0.0.3:53', '10.0.0.1:53']) {
    clock.ms += 2000;
    resolvers.failed('ECONNREFUSED');
    resolvers.failed('ECONNREFUSED');
    const last = current(started);
    resolvers.failed('ECONNREFUSED');
    assert.notEqual(current(started), last);
    assert.equal(current(started), expected);
  }
  assert.equal(changes(), before + 3);
});

test('an answer in between makes up for failures', async (t) => {
  const started = await start(t, THREE);
  for (let i = 0; i < 10; i++) {
    started.resolvers.failed('ECONNREFUSED', 2);
    started.resolvers.answered();
    started.clock.ms += 2000;
  }
  assert.equal(current(started), '10.0.0.1:53');
});

test('a resolver that does not answer three queries in two seconds is left', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock } = started;
  resolvers.asked(100);
  clock.ms += 1999;
  resolvers.asked();
  assert.equal(current(started), '10.0.0.1:53');
  clock.ms += 1;
  resolvers.asked();
  assert.equal(current(started), '10.0.0.2:53');
  // Few queries are no proof.
  resolvers.asked(2);
  clock.ms += 10_000;
  resolvers.asked();
  assert.equal(current(started), '10.0.0.2:53');
  resolvers.asked();
  assert.equal(current(started), '10.0.0.3:53');
});

test('what was long ago is no proof of anything', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock } = started;
  for (let i = 0; i < 10; i++) {
    resolvers.failed('ECONNREFUSED', 2);
    resolvers.asked(3);
    clock.ms += 30_000;
  }
  assert.equal(current(started), '10.0.0.1:53');
});

test('guests that ask for errors do not make us turn faster', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, changes } = started;
  clock.ms = 10_000;
  const before = changes();
  for (let i = 0; i < 1000; i++) {
    resolvers.failed('ECONNREFUSED', 3);
    clock.ms += 10;
  }
  assert.ok(changes() - before <= 6, String(changes() - before));
});

test('the only resolver stays, whatever it does', async (t) => {
  const started = await start(t, 'nameserver 10.0.0.1');
  started.resolvers.failed('ECONNREFUSED', 100);
  assert.equal(current(started), '10.0.0.1:53');
});

test('a new file begins with its first, and the first is tried again after a minute', async (t) => {
  const started = await start(t, THREE);
  const { resolvers, clock, path } = started;
  resolvers.failed('ECONNREFUSED', 3);
  assert.equal(current(started), '10.0.0.2:53');
  clock.ms += 60_000;
  await isNow(started, '10.0.0.1:53');
  resolvers.failed('ECONNREFUSED', 3);
  clock.ms += 2000;
  resolvers.failed('ECONNREFUSED', 3);
  assert.equal(current(started), '10.0.0.2:53');
  writeFileSync(path, 'nameserver 10.0.0.7\nnameserver 10.0.0.2');
  await isNow(started, '10.0.0.7:53');
});
