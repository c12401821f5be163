/** `vde_plug`, ours: a cable between switches of ours and the originals', streams to them, and how it ends. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LanHost } from '../fixtures/lan-host.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  type Owner,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { startSwitch } from './original-switch.ts';
import { startStreamClient } from './stream-client.ts';

const PLUG = ours('vde_plug');

/** A cable, which has to be there when frames pass: the switches do not tell. */
async function startCable(t: Owner, ...words: readonly string[]): Promise<BackgroundCommand> {
  return await spawnBackground(t, [PLUG, ...words]);
}

/** Two hosts on networks of their own, joined: they ping each other, and move bytes unharmed. */
async function assertJoined(t: TestContext, left: string, right: string): Promise<void> {
  const a = await LanHost.start(t, left, '10.84.0.1/24');
  const b = await LanHost.start(t, right, '10.84.0.2/24');
  await a.waitForPing('10.84.0.2', 10_000);
  await b.receiveTransfer(5000);
  await a.sendTransfer('10.84.0.2', 5000, 5_000_000);
}

test('joins a switch of ours and an original one', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const theirs = await startSwitch(t);
  const lan = join(makeTemporaryDirectory(t), 'lan');
  const cable = await startCable(t, `switch://${lan}`, theirs.path);
  await assertJoined(t, `switch://${lan}`, theirs.path);
  cable.kill('SIGUSR1');
  await cable.waitForOutput(/^vde_plug: \S+: in \d{3,} frames/m);
  cable.kill('SIGTERM');
  assert.deepEqual(await cable.waitForExit(), { status: 0, signal: null });
});

test('joins two original switches, and is told to them as it was asked', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  await startCable(t, '-D', 'the uplink', left.path, right.path);
  await assertJoined(t, left.path, right.path);
  assert.match(await left.command('port/allprint'), /the uplink user=/);
});

test('waits for a switch that goes away, and says so', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  const cable = await startCable(t, left.path, right.path);
  const a = await LanHost.start(t, left.path, '10.84.0.1/24');
  await LanHost.start(t, right.path, '10.84.0.2/24');
  await a.waitForPing('10.84.0.2', 10_000);
  await right.restart();
  await cable.waitForOutput(/^vde_plug: \S+: .*; waiting for it$/m);
  await cable.waitForOutput(/^vde_plug: \S+: is up$/m);
  await a.waitForPing('10.84.0.2', 10_000);
});

test('with --no-reconnect it ends when a switch does', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  const cable = await startCable(t, '--no-reconnect', left.path, right.path);
  await waitFor(async () => /vde_plug user=/.test(await right.command('port/allprint')), 10_000, 'the cable');
  await right.kill();
  assert.deepEqual(await cable.waitForExit(), { status: 0, signal: null });
});

test('^C and the end of a terminal end it as they end other programs', async (t) => {
  for (const signal of ['SIGINT', 'SIGHUP'] as const) {
    const lan = join(makeTemporaryDirectory(t), 'lan');
    const cable = await startCable(t, `switch://${lan}`, 'null://');
    const client = await runCommand([ours('vdens'), '--up', lan, 'true']);
    // It may have come before the cable: then it failed, and comes again.
    if (client.status !== 0) await waitFor(() => joins(lan), 10_000, 'the switch');
    cable.kill(signal);
    assert.deepEqual(await cable.waitForExit(), { status: null, signal });
  }
});

async function joins(lan: string): Promise<boolean> {
  return (await runCommand([ours('vdens'), '--up', lan, 'true'])).status === 0;
}

test('as the stream of vdens, and of a command, it reaches an original switch', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'ip', 'ping')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  const a = await LanHost.start(t, `=${PLUG} ${left.path}`, '10.84.0.1/24');
  await startCable(t, left.path, '=', original('vde_plug') ?? '', right.path);
  await LanHost.start(t, `=${PLUG} ${right.path}`, '10.84.0.2/24');
  await a.waitForPing('10.84.0.2', 10_000);
});

test('a stream ends it, and so does its network, or its command', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const first = await startStreamClient(t, [PLUG, lan.path]);
  first.endInput();
  await first.waitForExit();
  assert.equal(first.errors(), '');
  const second = await startStreamClient(t, [PLUG, lan.path]);
  await waitFor(async () => /vde_plug user=/.test(await lan.command('port/allprint')), 10_000, 'the plug');
  await lan.kill();
  await second.waitForExit();
  const third = await runCommand([PLUG, 'null://', '=', 'true']);
  assert.deepEqual([third.status, third.isTimedOut], [0, false]);
  assert.match(third.stderr, /^vde_plug: = true: the command ended with status 0\n$/);
});

test('what cannot be opened is status 1 and one line, what is wrong is 255', async () => {
  const table: readonly (readonly [string[], number, RegExp])[] = [
    [['/nowhere/lan', 'null://'], 1, /^vde_plug: \/nowhere\/lan: [^\n]+\n$/],
    [['null://', '/nowhere/lan'], 1, /^vde_plug: \/nowhere\/lan: [^\n]+\n$/],
    [['null://', '=', '/nowhere/program'], 1, /^vde_plug: = \/nowhere\/program: [^\n]+\n$/],
    [['nul://', 'null://'], 1, /^vde_plug: [^\n]*null[^\n]*\n$/],
    [['a', 'b', 'c'], 255, /^vde_plug: "c" is one word too many[^\n]+\n$/],
    [['-d', 'a', 'b'], 255, /^vde_plug: [^\n]*the original's -d[^\n]+\n$/],
  ];
  for (const [argv, status, line] of table) {
    const run = await runCommand([PLUG, ...argv]);
    assert.equal(run.status, status, `${argv.join(' ')}: ${run.stderr}`);
    assert.match(run.stderr, line);
  }
  const alone = await runCommand(['sh', '-c', `exec ${PLUG} null:// </dev/null`]);
  assert.equal(alone.status, 255);
  assert.match(alone.stderr, /^vde_plug: a stream takes pipes[^\n]+\n$/);
  const help = await runCommand([PLUG, '--help']);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /^Usage: vde_plug /);
});
