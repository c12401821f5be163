/** `vde_plug -d`: what is seen of it, what becomes of relative names, and who ends with whom. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { FakeSwitch } from '../fixtures/fake-switch.ts';
import {
  makeTemporaryDirectory,
  type Owner,
  ours,
  pidFrom,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { startSwitch } from './original-switch.ts';

const PLUG = ours('vde_plug');
const IGNORES_NOTHING = { VDENS_IGNORED_SIGNALS: undefined };

/** The daemon whose pid is in the file. It is ended when the test is over. */
function daemonOf(t: Owner, pidFile: string): number {
  const pid = pidFrom(pidFile);
  assert.ok(pid !== undefined, `no process in ${pidFile}`);
  t.after(() => end(pid, 'SIGKILL'));
  return pid;
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

function isAlive(pid: number): boolean {
  const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'latin1') : '';
  return state !== '' && !/\) Z /.test(state);
}

test('opens first, with relative names, then lives on in silence', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const cwd = join(lan.path, '..');
  const words = ['-p', 'plug.pid', `./${basename(lan.path)}`, 'switch://own'];
  const first = await runCommand([PLUG, '-d', ...words], { cwd });
  assert.deepEqual([first.status, first.stdout, first.stderr], [0, '', '']);
  const pid = daemonOf(t, join(cwd, 'plug.pid'));
  // When the command is back, everything is there.
  assert.match(await lan.command('port/allprint'), new RegExp(`vdeplug: user=\\S+ pid=${pid}`));
  assert.ok(existsSync(join(cwd, 'own', 'ctl')));
  for (const fd of [0, 1, 2]) assert.equal(readlinkSync(`/proc/${pid}/fd/${fd}`), '/dev/null');
  assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
  const session = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')[3];
  assert.equal(Number(session), pid);
  await lan.restart();
  const isBack = async (): Promise<boolean> => (await lan.command('port/allprint')).includes(`pid=${pid}`);
  await waitFor(isBack, 10_000, 'the cable');
  end(pid, 'SIGTERM');
  await waitFor(() => !isAlive(pid), 10_000, 'its end');
  assert.equal(existsSync(join(cwd, 'plug.pid')), false);
  assert.equal(existsSync(join(cwd, 'own')), false);
});

test('restart:// opens relative names again where it was started', async (t) => {
  const lan = await FakeSwitch.start();
  t.after(() => lan.close());
  const folder = makeTemporaryDirectory(t);
  const pidFile = join(folder, 'pid');
  const network = `restart://{./${basename(lan.path)}}`;
  const run = await runCommand([PLUG, '-d', '-p', pidFile, network, 'null://'], { cwd: join(lan.path, '..') });
  assert.deepEqual([run.status, run.stderr], [0, '']);
  daemonOf(t, pidFile);
  lan.connections[0]?.destroy();
  await waitFor(() => lan.requests.length === 2, 20_000, 'the second time');
});

test('what cannot be opened is seen, and nothing stays', async (t) => {
  const cwd = makeTemporaryDirectory(t);
  writeFileSync(join(cwd, 'is-there'), 'of somebody\n');
  const table: readonly (readonly [string[], number, RegExp])[] = [
    [['-p', 'is-there', 'null://', 'nowhere'], 1, /^vde_plug: nowhere: there is no such switch[^\n]+\n$/],
    [['-p', 'no/such/folder', 'null://', 'switch://own'], 1, /^vde_plug: cannot write the pid file no\/such[^\n]+\n$/],
    [['null://', '=', 'no-such-program'], 127, /^vde_plug: = no-such-program: [^\n]+\n$/],
    [['-p', 'is-there', 'null://'], 255, /^vde_plug: --daemon leaves no standard input[^\n]+\n$/],
  ];
  for (const [words, status, line] of table) {
    const run = await runCommand([PLUG, '-d', ...words], { cwd });
    assert.equal(run.status, status, run.stderr);
    assert.match(run.stderr, line);
  }
  assert.equal(readFileSync(join(cwd, 'is-there'), 'utf8'), 'of somebody\n');
  assert.equal(existsSync(join(cwd, 'own')), false);
});

test('a command of it holds no output open, and prints nothing any more', async (t) => {
  const cwd = makeTemporaryDirectory(t);
  // Long enough to fill a pipe that nobody reads.
  const noise =
    'echo early >&2; while ! test -e go; do sleep 0.1; done; yes | head -c 200000 >&2; echo >said; exec cat';
  writeFileSync(join(cwd, 'noise'), noise);
  const script = `got=$(${PLUG} -d -p pid null:// = sh noise 2>&1); echo "<$got>" | grep -v early`;
  const run = await runCommand(['sh', '-c', script], { cwd });
  assert.equal(run.isTimedOut, false);
  assert.match(run.stdout, /^<?>?\n?$/);
  const pid = daemonOf(t, join(cwd, 'pid'));
  writeFileSync(join(cwd, 'go'), '');
  await waitFor(() => existsSync(join(cwd, 'said')), 10_000, 'the noise to be over');
  assert.ok(isAlive(pid));
  // Where a command has its relative names, too.
  assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
  end(pid, 'SIGTERM');
  await waitFor(() => !isAlive(pid), 10_000, 'its end');
});

test('while it opens, a signal at the command ends both, and so does its death', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
    const silent = await FakeSwitch.start({ answer: () => undefined });
    t.after(() => silent.close());
    const run = await spawnBackground(t, [PLUG, '-d', silent.path, 'null://'], { env: IGNORES_NOTHING });
    const connection = await waitFor(() => silent.connections[0], 10_000, 'the connection');
    let isOver = false;
    connection.on('close', () => {
      isOver = true;
    });
    run.kill(signal);
    assert.deepEqual(await run.waitForExit(), { status: null, signal });
    await waitFor(() => isOver, 4000, 'the end of the second process');
    assert.equal(run.output(), '');
  }
});

test('it ends with the first while it opens, also where SIGTERM is ignored', async (t) => {
  const silent = await FakeSwitch.start({ answer: () => undefined });
  t.after(() => silent.close());
  const run = await spawnBackground(t, [
    'sh',
    '-c',
    'trap "" TERM; exec "$@"',
    'sh',
    PLUG,
    '-d',
    silent.path,
    'null://',
  ]);
  const connection = await waitFor(() => silent.connections[0], 10_000, 'the connection');
  let isOver = false;
  connection.on('close', () => {
    isOver = true;
  });
  run.kill('SIGKILL');
  await waitFor(() => isOver, 10_000, 'the end of the second process');
});

test('a pid file that another one has written over stays', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'pid');
  assert.equal((await runCommand([PLUG, '-d', '-p', path, 'null://', 'null://'])).status, 0);
  const first = daemonOf(t, path);
  assert.equal((await runCommand([PLUG, '-d', '-p', path, 'null://', 'null://'])).status, 0);
  const second = daemonOf(t, path);
  assert.notEqual(first, second);
  end(first, 'SIGTERM');
  await waitFor(() => !isAlive(first), 10_000, 'the end of the first');
  assert.equal(readFileSync(path, 'utf8'), `${second}\n`);
  end(second, 'SIGTERM');
  await waitFor(() => !existsSync(path), 10_000, 'the file to go');
});

test('in a shell of vdens it joins the interface that it makes, and ends with the namespace', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const lan = await startSwitch(t);
  const peer = await spawnBackground(t, [ours('vdens'), '--address', '10.86.0.2/24', lan.path, 'sleep', '60']);
  const folder = makeTemporaryDirectory(t);
  mkdirSync(join(folder, 'up'));
  const script = [
    `${PLUG} -d -p ${folder}/pid ${lan.path} tap://vde0 || exit 3`,
    'ip link set vde0 up && ip address add 10.86.0.1/24 dev vde0 || exit 4',
    'ping -q -c 1 -i 0.2 -w 15 10.86.0.2 || exit 5',
    `cp ${folder}/pid ${folder}/up/pid`,
    'exit 6',
  ];
  const run = await runCommand([ours('vdens')], { env: { SHELL: '/bin/sh' }, input: script.join('\n') });
  assert.deepEqual([run.status, run.isTimedOut], [6, false], run.stderr);
  const pid = daemonOf(t, join(folder, 'up', 'pid'));
  assert.equal(isAlive(pid), false);
  assert.equal(existsSync(join(folder, 'pid')), false);
  assert.equal(peer.hasExited(), false);
});
