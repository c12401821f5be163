/** Who serves a directory, with what permissions, and which directories are left alone. */
import assert from 'node:assert/strict';
import { on } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { VdensError } from '../../src/errors.ts';
import { claimDirectory, directoryModeFor, type RendezvousOptions } from '../../src/switch/rendezvous.ts';
import { listenerOwner } from '../../src/system/listener-owner.ts';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_STREAM, unixAddress } from '../../src/system/unix-address.ts';
import { RawClient } from '../fixtures/raw-client.ts';
import { serveDirectory } from '../fixtures/served-directory.ts';
import { type BackgroundCommand, makeTemporaryDirectory, spawnBackground, waitFor } from '../interop/harness.ts';

const fixture = join(import.meta.dirname, '..', 'fixtures', 'claim.js');

function claimer(t: TestContext, path: string, startAt = 0): Promise<BackgroundCommand> {
  return spawnBackground(t, [process.execPath, fixture, path, String(startAt)]);
}

function freshPath(t: TestContext): string {
  return join(realpathSync(makeTemporaryDirectory(t)), 'sw');
}

function modeOf(path: string): string {
  return (lstatSync(path).mode & 0o7777).toString(8);
}

/** Leaves a socket behind, as a process that was killed does. */
function leaveSocket(path: string, type = SOCK_DGRAM): void {
  const socket = native.openSocket(AF_UNIX, type, 0);
  assert.equal(native.bindSocket(socket, unixAddress(path)), 0);
  native.closeDescriptor(socket);
}

function replace(path: string): void {
  renameSync(path, `${path}.old`);
  mkdirSync(path);
}

async function refusal(path: string, options?: RendezvousOptions): Promise<VdensError> {
  const error = await claimDirectory('switch://x', path, options).then(
    (claim) => {
      if (claim.kind === 'claimed') claim.release();
      return undefined;
    },
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof VdensError, `an error for people, not ${String(error)}`);
  assert.match(error.message, /^switch:\/\/x: cannot serve a switch in .+: .+\. [A-Z].+$/);
  return error;
}

const MODES: readonly (readonly [string, RendezvousOptions, string, string])[] = [
  ['nothing', {}, '2700', '600'],
  ['mode=0666', { mode: 0o666 }, '2777', '666'],
  ['mode=0660', { mode: 0o660 }, '2770', '660'],
  ['mode=0700, without its x', { mode: 0o700 }, '2700', '600'],
  ['mode=0640', { mode: 0o640 }, '2750', '640'],
  ['dirmode=0755', { dirmode: 0o755 }, '755', '600'],
  ['mode=0666 and dirmode=0711', { mode: 0o666, dirmode: 0o711 }, '711', '666'],
];
for (const umask of [0o022, 0o077, 0]) {
  for (const [name, options, directory, socket] of MODES) {
    test(`${name} with umask ${umask.toString(8)}: directory ${directory}, sockets ${socket}`, async (t) => {
      const before = process.umask(umask);
      t.after(() => void process.umask(before));
      const path = freshPath(t);
      const served = await serveDirectory(t, options, path);
      assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], [directory, socket]);
      const client = new RawClient(path, join(makeTemporaryDirectory(t), 'a')).ownedBy(t);
      client.say(client.request());
      await client.answer();
      assert.equal(modeOf(join(path, 'fd1')), socket);
      client.close();
      served.close();
      assert.equal(existsSync(path), false, 'nothing is left');
    });
  }
}

test('the mode of the directory lets in whoever the mode of the sockets does', () => {
  const modes = [0o600, 0o666, 0o660, 0o640, 0o606, 0o604].map((mode) => directoryModeFor(mode).toString(8));
  assert.deepEqual(modes, ['2700', '2777', '2770', '2750', '2707', '2705']);
});

test('directory and sockets are given to the group', async (t) => {
  const group = process.getgroups?.().find((gid) => gid !== process.getegid?.());
  if (group === undefined) return t.skip('this user is in one group only');
  const path = freshPath(t);
  await serveDirectory(t, { mode: 0o660, group }, path);
  const groups = [path, join(path, 'ctl')].map((file) => statSync(file).gid);
  assert.deepEqual(groups, [group, group]);
  assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], ['2770', '660']);
});

test('a group that we are not in is an error that says so, and nothing is left', async (t) => {
  if (process.geteuid?.() === 0) return t.skip('root may give to any group');
  const path = freshPath(t);
  const error = await refusal(path, { group: 0 });
  assert.match(error.message, /permissions .*EPERM.*group that you are in/);
  assert.equal(existsSync(path), false);
});

test('what a killed server left is taken over', async (t) => {
  const path = freshPath(t);
  const first = await claimer(t, path);
  await first.waitForOutput(/^claimed$/m);
  const client = new RawClient(path, join(makeTemporaryDirectory(t), 'a')).ownedBy(t);
  client.say(client.request());
  await client.answer();
  process.kill(first.pid, 'SIGKILL');
  await waitFor(() => client.isClosed(), 2000, 'the death of the server');
  for (const name of ['007.12', '.00099-00000', '.vdens', 'fd99', '.0-0']) leaveSocket(join(path, name));
  assert.ok(existsSync(join(path, 'ctl')), 'it left its socket');
  await serveDirectory(t, { mode: 0o666 }, path);
  assert.deepEqual(readdirSync(path), ['ctl']);
  assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], ['2777', '666']);
});

test('whoever connects as soon as the name is there is let in', async (t) => {
  const paths = Array.from({ length: 20 }, () => freshPath(t));
  const hasty = new Worker(new URL('../fixtures/connect-at-once.js', import.meta.url), { workerData: paths });
  t.after(() => hasty.terminate());
  const outcomes = on(hasty, 'message');
  const next = async (): Promise<unknown> => (await outcomes.next()).value[0];
  assert.equal(await next(), 'ready');
  for (const path of paths) {
    const served = await serveDirectory(t, { mode: 0o666 }, path);
    assert.equal(await next(), 'connected');
    assert.deepEqual(readdirSync(path), ['ctl']);
    assert.equal(listenerOwner(join(path, 'ctl'))?.pid, process.pid);
    served.close();
  }
});

test('a name that somebody has already is not taken, nor any other left', async (t) => {
  const path = freshPath(t);
  const { directory } = await serveDirectory(t, {}, path);
  writeFileSync(join(path, '.vdens'), 'theirs');
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  t.after(() => native.closeDescriptor(socket));
  assert.equal(directory.listen(socket, '.vdens', 1), false);
  assert.deepEqual(readdirSync(path).sort(), ['.vdens', 'ctl']);
  assert.equal(readFileSync(join(path, '.vdens'), 'utf8'), 'theirs');
});

test('a live directory is served, and not touched: ours, or an original one that takes no lock', async (t) => {
  const path = freshPath(t);
  const served = await serveDirectory(t, {}, path);
  const ours = await claimDirectory('x', path, { mode: 0o666 });
  assert.deepEqual(ours, { kind: 'served', path });
  served.close();

  mkdirSync(path, { mode: 0o755 });
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  t.after(() => native.closeDescriptor(socket));
  native.bindSocket(socket, unixAddress(join(path, 'ctl')));
  native.listen(socket, 1);
  writeFileSync(join(path, 'notes'), 'mine');
  const before = [modeOf(path), modeOf(join(path, 'ctl'))];
  assert.deepEqual(await claimDirectory('x', path, { mode: 0o666 }), { kind: 'served', path });
  assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], before);
  assert.equal(native.accept(socket), -11, 'nobody has knocked to find that out');
  rmSync(path, { recursive: true });
});

test('an original that binds a moment before it listens is waited for', async (t) => {
  const path = freshPath(t);
  mkdirSync(path);
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  t.after(() => native.closeDescriptor(socket));
  native.bindSocket(socket, unixAddress(join(path, 'ctl')));
  setTimeout(() => native.listen(socket, 1), 30);
  assert.equal((await claimDirectory('x', path)).kind, 'served');
  rmSync(path, { recursive: true });
});

for (const [what, make] of [
  ['a file', (path: string) => writeFileSync(join(path, 'thesis.tex'), 'x')],
  ['a file with the name of a socket', (path: string) => writeFileSync(join(path, 'ctl'), 'x')],
  ['a folder', (path: string) => mkdirSync(join(path, 'fd1'))],
  ['a link', (path: string) => symlinkSync('/etc/passwd', join(path, 'fd1'))],
  ['a socket of another program', (path: string) => leaveSocket(join(path, 'agent'))],
] as const) {
  test(`a directory that holds ${what} is left as it is`, async (t) => {
    const path = freshPath(t);
    mkdirSync(path, { mode: 0o755 });
    chmodSync(path, 0o755);
    leaveSocket(join(path, 'fd7'));
    make(path);
    const before = readdirSync(path);
    assert.match((await refusal(path, { mode: 0o666 })).message, /holds something else than a switch \(".+"\)/);
    assert.deepEqual(readdirSync(path), before);
    assert.equal(modeOf(path), '755');
  });
}

test('where the ctl of a killed switch shows what a directory of ours is for, other things are left alone', async (t) => {
  const path = freshPath(t);
  mkdirSync(path);
  const mine = ['agent', 'fd1', 'notes.txt'];
  writeFileSync(join(path, 'notes.txt'), 'mine');
  mkdirSync(join(path, 'fd1'));
  leaveSocket(join(path, 'agent'));
  assert.match((await refusal(path)).message, /holds something else/);
  leaveSocket(join(path, 'ctl'), SOCK_STREAM);
  leaveSocket(join(path, 'fd7'));
  for (let round = 0; round < 2; round++) {
    const served = await serveDirectory(t, {}, path);
    assert.deepEqual([modeOf(path), readdirSync(path).sort()], ['2700', ['agent', 'ctl', 'fd1', 'notes.txt']]);
    served.close();
    // So that it can be claimed again.
    assert.deepEqual(readdirSync(path).sort(), ['agent', 'ctl', 'fd1', 'notes.txt']);
  }
  const last = await serveDirectory(t, {}, path);
  for (const name of mine) rmSync(join(path, name), { recursive: true });
  last.close();
  assert.equal(existsSync(path), false, 'without them nothing is left');
});

test('no umask is in the way of a directory that we make, not even when several do at once', async (t) => {
  const path = freshPath(t);
  const before = process.umask(0o777);
  t.after(() => void process.umask(before));
  const served = await serveDirectory(t, { mode: 0o660 }, path);
  assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], ['2770', '660']);
  served.close();
  assert.equal(existsSync(path), false);
  const startAt = Date.now() + 1500;
  const all = await Promise.all(Array.from({ length: 6 }, () => claimer(t, path, startAt)));
  for (const one of all) await one.waitForOutput(/\n/, 10_000);
  assert.deepEqual(all.map((one) => one.output().trim()).sort(), ['claimed', ...Array(5).fill('served')]);
});

test('a directory of ours that is closed to us is said to be that', async (t) => {
  if (process.geteuid?.() === 0) return t.skip('nothing is closed to root');
  const path = freshPath(t);
  mkdirSync(path, { mode: 0 });
  const error = await refusal(path, { ownOnly: true });
  assert.match(error.message, /it is yours, and its mode 0 keeps you out \(EACCES\)\. .*chmod u\+rwx \S+sw$/);
  assert.equal(modeOf(path), '0');
  chmodSync(path, 0o700);
});

test('directories of somebody else, files, and what has no parent are errors in words', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const dangling = join(folder, 'dangling');
  symlinkSync('/nowhere', dangling);
  assert.match((await refusal(file)).message, /no directory/);
  assert.match((await refusal(dangling)).message, /no directory/);
  assert.match((await refusal(join(folder, 'a', 'b'))).message, /ENOENT.*must exist/);
  assert.match((await refusal('/')).message, /holds something else/);
  assert.match((await refusal(join(folder, 'x'.repeat(100)))).message, /may have 99 bytes/);
  if (process.geteuid?.() === 0) return;
  assert.match((await refusal('/root')).message, /belongs to somebody else/);
  assert.match((await refusal('/etc/switch')).message, /EACCES.*such as/);
});

test('links and relative paths lead to the directory itself', async (t) => {
  const folder = realpathSync(makeTemporaryDirectory(t));
  mkdirSync(join(folder, 'real'));
  symlinkSync('real', join(folder, 'link'));
  const served = await serveDirectory(t, {}, relative(process.cwd(), join(folder, 'link', 'sw')));
  assert.equal(served.directory.path, join(folder, 'real', 'sw'));
  symlinkSync(join(folder, 'real', 'sw'), join(folder, 'to-sw'));
  const other = await claimDirectory('x', join(folder, 'to-sw'));
  assert.deepEqual(other, { kind: 'served', path: join(folder, 'real', 'sw') });
});

test('the longest path works for its sockets, too', async (t) => {
  const folder = realpathSync(makeTemporaryDirectory(t));
  const path = join(folder, 'x'.repeat(99 - folder.length - 1));
  const served = await serveDirectory(t, {}, path, { privateConnection: (fd) => void native.closeDescriptor(fd) });
  const client = new RawClient(path, join(folder, 'a')).ownedBy(t);
  client.say(client.request());
  assert.notEqual(await client.answer(), 'closed');
  served.close();
});

test('of 20 that start at the same instant one claims, 5 times over', async (t) => {
  const path = freshPath(t);
  for (let round = 0; round < 5; round++) {
    const startAt = Date.now() + 2500;
    const all = await Promise.all(Array.from({ length: 20 }, () => claimer(t, path, startAt)));
    for (const one of all) await one.waitForOutput(/\n/, 15_000);
    const outcomes = all.map((one) => one.output().trim()).sort();
    assert.deepEqual(outcomes, ['claimed', ...Array(19).fill('served')]);
    // In the next round they find what a killed one left.
    for (const one of all) process.kill(one.pid, 'SIGKILL');
    for (const one of all) await one.waitForExit();
  }
});

for (const [what, lose] of [
  ['is removed', (path: string) => rmSync(path, { recursive: true })],
  ['is replaced', (path: string) => replace(path)],
  ['loses its socket', (path: string) => unlinkSync(join(path, 'ctl'))],
] as const) {
  test(`a server whose directory ${what} finds out within two seconds, and leaves the new one alone`, async (t) => {
    const path = freshPath(t);
    const served = await serveDirectory(t, {}, path);
    lose(path);
    await waitFor(() => served.losses.length > 0, 2000, 'the loss to be told');
    assert.equal(served.losses.length, 1);
    const again = existsSync(path);
    if (again) writeFileSync(join(path, 'ctl'), 'of somebody else');
    served.close();
    if (again) assert.deepEqual(readdirSync(path), ['ctl']);
  });
}

test('a directory that was released can be claimed again', async (t) => {
  const path = freshPath(t);
  for (let i = 0; i < 20; i++) (await serveDirectory(t, {}, path)).close();
  assert.equal(existsSync(path), false);
});
