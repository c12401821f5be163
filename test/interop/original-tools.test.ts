/**
 * The original tools among themselves, which shows that the harness and this machine can be trusted: when these fail,
 * failures of ours against them mean nothing.
 *
 *     vdens A 10.77.0.1 ── vde_switch ── vdens B 10.77.0.2
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { original, requireCommands, runCommand, spawnBackground, waitFor } from './harness.ts';
import { startSwitch } from './original-switch.ts';
import { inNamespace, pingIn } from './original-vdens.ts';

test('two original vdens ping each other through the original switch', async (t) => {
  if (!requireCommands(t, 'vdens', 'vde_switch', 'ip', 'ping')) return;
  const vdens = original('vdens') ?? '';
  const lan = await startSwitch(t);
  const peer = { vdens, network: lan.path, address: '10.77.0.2/24', command: ['sleep', '60'] };
  const b = await spawnBackground(t, inNamespace(peer));
  await b.waitForOutput(/^ready$/m);
  const command = ['ping', '-c', '3', '-i', '0.1', '-W', '2', '10.77.0.2'];
  assert.match(await pingIn(t, { ...peer, address: '10.77.0.1/24', command }), /3 packets transmitted, 3 received/);
});

test('the original switch answers at its console and names its clients', async (t) => {
  if (!requireCommands(t, 'vdens', 'vde_switch')) return;
  const lan = await startSwitch(t);
  assert.match(await lan.command('port/showinfo'), /Numports=32/);
  await spawnBackground(t, [original('vdens') ?? '', lan.path, 'sleep', '60']);
  await waitFor(async () => /vdens/.test(await lan.command('port/print')), 5000, 'the port of vdens');
});

test('the original switch comes back at its path after it was killed', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const first = lan.pid;
  await lan.kill('SIGKILL');
  assert.ok(existsSync(join(lan.path, 'ctl')), 'a killed switch leaves its socket behind');
  await lan.restart();
  assert.notEqual(lan.pid, first);
  assert.match(await lan.command('showinfo'), /VDE/);
});

test('a command that does not end is killed with all its descendants when its time is over', async () => {
  const result = await runCommand(['sh', '-c', 'sleep 77 & echo $!; wait'], { timeoutMs: 300 });
  assert.equal(result.isTimedOut, true);
  assert.equal(result.signal, 'SIGKILL');
  const pid = Number(result.stdout);
  await waitFor(() => isGone(pid), 2000, `the end of process ${pid}`);
});

test('the output that a command printed before it ended is complete', async () => {
  const result = await runCommand(['sh', '-c', 'cat; echo oops >&2; exit 3'], { input: 'x'.repeat(300_000) });
  assert.deepEqual([result.status, result.stdout.length, result.stderr], [3, 300_000, 'oops\n']);
});

/** Ended; that init has not fetched its status yet does not count. */
function isGone(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || isZombie(stat);
}

function isZombie(stat: string): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(stat, 'latin1'));
  } catch {
    return true; // Gone meanwhile.
  }
}
