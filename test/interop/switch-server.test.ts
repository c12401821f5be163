/** The original clients at a directory that we serve: they get ports, and frames go both ways. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimDirectory } from '../../src/switch/rendezvous.ts';
import { type ServedDirectory, serveDirectory } from '../fixtures/served-directory.ts';
import { makeTemporaryDirectory, original, requireCommands, spawnBackground, waitFor } from './harness.ts';
import { startSwitch } from './original-switch.ts';
import { startStreamClient } from './stream-client.ts';

const FRAME = Uint8Array.from({ length: 100 }, (_, i) => (i === 0 ? 2 : i));

async function hasClients(served: ServedDirectory, count: number): Promise<void> {
  await waitFor(() => served.clients.length === count, 5000, `${count} clients`);
}

/** Hundredths of a second that a process has computed (proc_pid_stat(5)). */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

test('the original vde_plug gets a port, and what it sends comes back', async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  const served = await serveDirectory(t);
  const client = await startStreamClient(t, [original('vde_plug')!, served.path]);
  await hasClients(served, 1);
  const [{ description, pid } = { description: '', pid: 0 }] = served.clients;
  assert.match(description, /^vdeplug: user=\S+ pid=\d+/);
  assert.equal(pid, client.pid);
  client.send([FRAME, FRAME]);
  const arrived: Uint8Array[] = [];
  await waitFor(() => arrived.push(...client.take()) === 2, 5000, 'the frames');
  assert.deepEqual(arrived, [FRAME, FRAME]);
  assert.deepEqual(readdirSync(served.path).sort(), ['ctl', 'fd1'], "the client's own name is gone");
  client.kill('SIGKILL');
  await hasClients(served, 0);
  assert.deepEqual(readdirSync(served.path), ['ctl']);
});

test('the original vde_plug ends when its port is closed', async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  const served = await serveDirectory(t);
  const client = await startStreamClient(t, [original('vde_plug')!, served.path]);
  await hasClients(served, 1);
  served.close();
  await client.waitForExit();
  assert.equal(existsSync(served.path), false);
});

test('the original vdens gets a port, by number too, and its frames arrive', async (t) => {
  if (!requireCommands(t, 'vdens', 'ip')) return;
  const served = await serveDirectory(t);
  const script = 'ip link set vde0 up; sleep 60';
  await spawnBackground(t, [original('vdens')!, `vde://${served.path}[5]`, 'sh', '-c', script]);
  await hasClients(served, 1);
  assert.equal(served.clients[0]?.wantedPort, 5);
  // An interface that is set up looks for neighbours; the echo is counted both ways.
  const counted = (): boolean => {
    const { received, sent } = served.plugs[0]?.counters ?? {};
    return (received?.frames ?? 0) > 0 && (sent?.frames ?? 0) > 0;
  };
  await waitFor(counted, 10_000, 'a frame of the namespace, and its echo');
});

test('the directory of an original vde_switch is left alone while it lives, and ours when it was killed', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const names = readdirSync(lan.path);
  assert.deepEqual(await claimDirectory('x', lan.path), { kind: 'served', path: realpathSync(lan.path) });
  assert.deepEqual(readdirSync(lan.path), names);
  await lan.kill('SIGKILL');
  await serveDirectory(t, {}, lan.path);
  const client = await startStreamClient(t, [original('vde_plug')!, lan.path]);
  client.send([FRAME]);
  await waitFor(() => client.take().length === 1, 5000, 'the frame');
});

test('the original switch:// is found without knocking, after which it would never rest', async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  const path = `${makeTemporaryDirectory(t)}/sw`;
  const server = await startStreamClient(t, [original('vde_plug')!, 'null://', `switch://${path}`]);
  await waitFor(() => existsSync(`${path}/ctl`), 5000, 'the original switch://');
  for (let i = 0; i < 3; i++) assert.equal((await claimDirectory('x', path)).kind, 'served');
  const before = cpuTicks(server.pid);
  await sleep(500);
  assert.ok(cpuTicks(server.pid) - before < 10, 'it rests');
  server.kill('SIGKILL');
  await server.waitForExit();
  const claim = await claimDirectory('x', path);
  assert.equal(claim.kind, 'claimed', 'when it is dead, the directory is ours');
  if (claim.kind === 'claimed') claim.release();
});
