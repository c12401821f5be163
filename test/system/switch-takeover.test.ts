/**
 * `switch://` outlives whoever serves it: real `vdens` processes, the one that serves ended in every way, and those who
 * are left on one segment again within 3 s.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LanHost } from '../fixtures/lan-host.ts';
import { makeSharedDirectory, requireOtherUser } from '../fixtures/other-user.ts';
import { HEALING_MS, type Member, Segment, startSegment } from '../fixtures/segment.ts';
import {
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';
import { inNamespace } from '../interop/original-vdens.ts';

const TIMEOUT = { timeout: 60_000 };
const ROUNDS = 10;

const ENDS: Readonly<Record<string, (member: Member) => void>> = {
  'its own exit': ({ host }) => host.run.write('exit 0\n'),
  SIGTERM: ({ host }) => host.run.kill('SIGTERM'),
  SIGHUP: ({ host }) => host.run.kill('SIGHUP'),
  SIGKILL: ({ host }) => host.run.kill('SIGKILL'),
};

function serverOf(segment: Segment): Member {
  return segment.server() ?? assert.fail('one serves');
}

/** How often a host said that the network went, that it is back, and that it is back because we serve it. */
function messages({ host }: Member): { readonly gone: number; readonly back: number; readonly here: number } {
  const count = (pattern: RegExp): number => host.run.output().match(pattern)?.length ?? 0;
  return {
    gone: count(/^vdens: vde0: switch:\/\/.*; waiting for it to come back$/gm),
    back: count(/^vdens: vde0: switch:\/\/\S+: is back$/gm),
    here: count(/^vdens: vde0: switch:\/\/\S+: is back, served from here now$/gm),
  };
}

for (const [how, left] of [
  ['its own exit', 2],
  ['SIGTERM', 2],
  ['SIGHUP', 3],
  ['SIGKILL', 2],
  ['SIGKILL', 8],
] as const) {
  test(`when who serves is ended by ${how}, one of ${left} takes over and all are told once`, TIMEOUT, async (t) => {
    if (!requireCommands(t, 'ping')) return;
    const segment = await startSegment(t, left + 1);
    await segment.pingAll();
    segment.kill([serverOf(segment)], ENDS[how]);
    await segment.settle();
    await segment.pingAll();
    const server = serverOf(segment);
    for (const member of segment.members) {
      const isServer = member === server;
      await member.host.run.waitForOutput(/^vdens: vde0: switch:\/\/\S+: is back/m);
      assert.deepEqual(messages(member), { gone: 1, back: isServer ? 0 : 1, here: isServer ? 1 : 0 });
    }
  });
}

test(`who serves is killed ${ROUNDS} times in a row, and the pings of two others go on`, TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const segment = await startSegment(t, 3);
  for (let round = 0; round < ROUNDS; round++) {
    segment.kill([serverOf(segment)]);
    const [newcomer] = await Promise.all([segment.start(1), segment.settle().catch(() => undefined)]);
    await segment.settle();
    const [a, b] = segment.members;
    await a!.host.waitForPings(b!.address, HEALING_MS);
    await a!.host.waitForPings(newcomer[0]!.address, HEALING_MS);
  }
  await segment.pingAll();
});

test('original clients can join again after a takeover', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping', 'ip', 'vdens')) return;
  const segment = await startSegment(t, 2);
  const join_ = async (): Promise<void> => {
    const command = ['ping', '-c', '2', '-W', '3', segment.members[0]!.address];
    const client = inNamespace({ vdens: original('vdens')!, network: segment.path, address: '10.83.0.99/24', command });
    // The original does not always end; it is ended with the test.
    await (await spawnBackground(t, client)).waitForOutput(/ 2 received/);
  };
  await join_();
  segment.kill([serverOf(segment)]);
  await segment.settle();
  await join_();
});

test('who serves and a client are killed at once; then all but one; then all', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const segment = await startSegment(t, 5);
  const another = (): Member => segment.members.find((member) => member !== segment.server())!;
  segment.kill([serverOf(segment), another()]);
  await segment.settle();
  await segment.pingAll();
  segment.kill([serverOf(segment), another()]);
  await segment.settle();
  assert.equal(segment.members.length, 1);
  segment.kill([...segment.members]);
  await waitFor(() => existsSync(join(segment.path, 'ctl')), 1000, 'what is left of it');
  await segment.start(2);
  await segment.settle();
  await segment.pingAll();
});

test('ten who start in the same instant are on one segment, also on a stale directory', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const segment = new Segment(t);
  for (let round = 0; round < 2; round++) {
    await segment.start(10);
    await segment.settle();
    await segment.pingAll();
    segment.kill([...segment.members]);
  }
});

for (const [how, remove] of [
  ['removed', (path: string) => rmSync(path, { recursive: true })],
  ['moved away', (path: string) => renameSync(path, `${path}.old`)],
  ['robbed of its socket', (path: string) => rmSync(join(path, 'ctl'))],
] as const) {
  test(`a directory that is ${how} while it is served is made again, and all find it`, TIMEOUT, async (t) => {
    if (!requireCommands(t, 'ping')) return;
    const segment = await startSegment(t, 3);
    remove(segment.path);
    // Whoever comes meanwhile is on the same segment in the end.
    const [newcomer] = await Promise.all([segment.start(1), sleep(1100)]);
    await segment.settle();
    await segment.pingAll();
    assert.equal(newcomer.length, 1);
    const left = existsSync(`${segment.path}.old`) ? readdirSync(`${segment.path}.old`) : [];
    assert.deepEqual(left, [], 'the old one has nothing of ours');
  });
}

for (const [how, end] of Object.entries(ENDS)) {
  test(
    `a file that somebody put into the directory is not in the way of a takeover after ${how}`,
    TIMEOUT,
    async (t) => {
      if (!requireCommands(t, 'ping')) return;
      const segment = await startSegment(t, 3);
      writeFileSync(join(segment.path, 'notes.txt'), 'mine');
      segment.kill([serverOf(segment)], end);
      await segment.settle();
      await segment.pingAll();
      assert.equal(readFileSync(join(segment.path, 'notes.txt'), 'utf8'), 'mine');
    },
  );
}

for (const [what, pattern, break_, mend] of [
  [
    'closed',
    /^vdens: vde0: switch:\/\/.*: it is yours, and its mode 0 keeps you out .*chmod u\+rwx/gm,
    (path: string) => chmodSync(path, 0),
    (path: string) => chmodSync(path, 0o700),
  ],
  [
    'replaced by one with a file in it',
    /^vdens: vde0: switch:\/\/.*: it holds something else than a switch \("thesis\.tex"\)/gm,
    (path: string) => {
      renameSync(path, `${path}.old`);
      mkdirSync(path);
      writeFileSync(join(path, 'thesis.tex'), '');
    },
    (path: string) => rmSync(join(path, 'thesis.tex')),
  ],
] as const) {
  test(`when the directory is ${what}, all say why once, and are back when it is mended`, TIMEOUT, async (t) => {
    if (!requireCommands(t, 'ping')) return;
    const segment = await startSegment(t, 2);
    break_(segment.path);
    try {
      for (const { host } of segment.members) await host.run.waitForOutput(new RegExp(pattern.source, 'm'), HEALING_MS);
      await sleep(1000);
    } finally {
      mend(segment.path);
    }
    await segment.settle();
    await segment.pingAll();
    for (const { host } of segment.members) assert.equal(host.run.output().match(pattern)?.length, 1);
  });
}

test(
  'a live original vde_switch is joined and left alone; killed, it is replaced, and kept out',
  TIMEOUT,
  async (t) => {
    if (!requireCommands(t, 'vde_switch', 'ping')) return;
    const lan = await startSwitch(t);
    const before = readdirSync(lan.path);
    const inode = statSync(join(lan.path, 'ctl')).ino;
    const segment = new Segment(t, lan.path);
    await segment.start(2);
    await segment.pingAll();
    assert.equal(segment.server(), undefined);
    assert.equal(statSync(join(lan.path, 'ctl')).ino, inode);
    assert.ok(before.every((name) => existsSync(join(lan.path, name))));
    await lan.kill('SIGKILL');
    await segment.settle();
    await segment.pingAll();
    const again = await runCommand([original('vde_switch')!, '--sock', lan.path], { timeoutMs: 5000 });
    assert.notEqual(again.status, 0);
    assert.match(again.stdout + again.stderr, /Address already in use/);
    await segment.pingAll();
  },
);

test('a live original switch:// is joined, and replaced when it is killed', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'vde_plug', 'ping')) return;
  const segment = new Segment(t);
  const server = await spawnBackground(t, [original('vde_plug')!, 'null://', `switch://${segment.path}`]);
  await waitFor(() => existsSync(join(segment.path, 'ctl')), 5000, 'the original switch://');
  await segment.start(2);
  await segment.pingAll();
  assert.equal(segment.server(), undefined);
  server.kill('SIGKILL');
  await segment.settle();
  await segment.pingAll();
});

test('with --no-reconnect nobody takes over', TIMEOUT, async (t) => {
  const segment = new Segment(t);
  await segment.start(1);
  await segment.start(1, { options: ['--no-reconnect'] });
  await segment.settle();
  segment.kill([serverOf(segment)]);
  const [{ host } = assert.fail()] = segment.members;
  await host.run.waitForOutput(/^vdens: vde0: switch:\/\/.*: the switch went away$/m, HEALING_MS);
  await sleep(500);
  assert.equal(segment.server(), undefined);
  assert.doesNotMatch(host.run.output(), /is back/);
});

test('^C at any time of the start leaves neither directory nor sockets', TIMEOUT, async (t) => {
  const folder = makeTemporaryDirectory(t);
  for (const delay of [20, 50, 80, 110, 140, 170, 200, 250, 300, 400]) {
    const path = join(folder, `${delay}`);
    const run = await spawnBackground(t, [ours('vdens'), `switch://${path}`, 'sleep', '60']);
    await sleep(delay);
    process.kill(-run.pid, 'SIGINT'); // As a terminal does: to all in the foreground.
    const { status, signal } = await run.waitForExit(3000);
    assert.ok(status === 130 || signal === 'SIGINT', `after ${delay} ms: ${status} ${signal} ${run.output()}`);
    assert.deepEqual(readdirSync(folder), [], `after ${delay} ms`);
  }
});

test('^C of one who joins leaves the directory as it was', TIMEOUT, async (t) => {
  const segment = await startSegment(t, 1);
  const before = readdirSync(segment.path);
  for (const delay of [80, 140, 200, 300]) {
    const run = await spawnBackground(t, [ours('vdens'), `switch://${segment.path}`, 'sleep', '60']);
    await sleep(delay);
    process.kill(-run.pid, 'SIGINT');
    await run.waitForExit(3000);
    await waitFor(() => readdirSync(segment.path).length === before.length, 1000, 'its names to be gone');
  }
  await segment.settle();
});

test('another user takes over where the mode says so, and we join', TIMEOUT, async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'ping')) return;
  const network = `switch://${join(makeSharedDirectory(t), 'sw')}[mode=0666]`;
  const start = (address: string, wrap?: (argv: readonly string[]) => string[]) =>
    LanHost.start(t, network, `${address}/24`, wrap === undefined ? {} : { wrap });
  const a = await start('10.83.0.1');
  const b = await start('10.83.0.2', (argv) => other.command(argv));
  await b.ping('10.83.0.1');
  a.run.kill('SIGKILL');
  await b.run.waitForOutput(/is back, served from here now/, HEALING_MS);
  const c = await start('10.83.0.3');
  await c.ping('10.83.0.2');
  b.run.kill('SIGTERM');
  await c.run.waitForOutput(/is back, served from here now/, HEALING_MS);
});

test('another user does not get at a private segment, and is told so', TIMEOUT, async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const segment = await startSegment(t, 1, join(makeSharedDirectory(t), 'sw'));
  const run = await runCommand(other.command([ours('vdens'), `switch://${segment.path}`, 'true']));
  assert.equal(run.status, 125);
  assert.match(run.stderr, /^vdens: switch:\/\/.*somebody else.*\n$/);
  await segment.settle();
});

test('paths that are no place for a switch are told of in one line, and nothing is touched', TIMEOUT, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, '.profile'), '');
  writeFileSync(join(folder, 'file'), 'text');
  mkdirSync(join(folder, 'closed'), { mode: 0o555 });
  symlinkSync('loop', join(folder, 'loop'));
  const before = statSync(home);
  for (const [path, pattern] of [
    [home, /holds something else than a switch \("\.profile"\)/],
    [join(folder, 'file'), /is no directory/],
    [join(folder, 'file', 'sw'), /ENOTDIR/],
    [join(folder, 'closed', 'sw'), /EACCES/],
    [join(folder, 'missing', 'sw'), /folder above it must exist/],
    [join(folder, 'loop'), /ELOOP/],
    [join(folder, 'x'.repeat(120)), /bytes in its path/],
    ['/', /holds something else|belongs to somebody else/],
    ['/proc/self', /switch:\/\//],
    ['/dev/null', /is no directory/],
  ] as const) {
    const run = await runCommand([ours('vdens'), `switch://${path}`, 'true']);
    assert.equal(run.status, 125, `${path}: ${run.stderr}`);
    assert.match(run.stderr, /^vdens: switch:\/\/[^\n]+\. [A-Z][^\n]+\n$/, path);
    assert.match(run.stderr, pattern, path);
  }
  const after = statSync(home);
  assert.deepEqual([after.mode, after.mtimeMs, readdirSync(home)], [before.mode, before.mtimeMs, ['.profile']]);
  assert.deepEqual(readdirSync(folder).sort(), ['closed', 'file', 'home', 'loop']);
});

test('a relative path and one with links lead to the same segment', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const folder = makeTemporaryDirectory(t);
  mkdirSync(join(folder, 'real'));
  symlinkSync('real', join(folder, 'link'));
  const start = (network: string, address: string): Promise<LanHost> =>
    LanHost.start(t, network, `${address}/24`, { cwd: folder });
  await start('switch://real/sw', '10.83.0.1');
  const b = await start(`switch://${folder}/link/sw`, '10.83.0.2');
  await b.ping('10.83.0.1');
  symlinkSync('real/sw', join(folder, 'direct'));
  const c = await start('switch://./direct', '10.83.0.3');
  await c.ping('10.83.0.1');
});
