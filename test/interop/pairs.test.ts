/**
 * A table of pairs: who pings whom over which network, ours and the originals in every place.
 *
 * ```
 * vdens 10.77.0.1 ── its way to the network ── network ── its way ── vdens 10.77.0.2
 * ```
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { startSwitch } from './original-switch.ts';
import { inNamespace } from './original-vdens.ts';

/** A program that is a host on a network, and how it is told which. */
interface Host {
  readonly name: string;
  readonly vdens: string;
  readonly network: (path: string) => string;
}

const originalVdens = original('vdens') ?? '';
const vdePlug = original('vde_plug') ?? '';

const ourHost: Host = { name: 'ours', vdens: ours('vdens'), network: (path) => path };
const originalHost: Host = { name: 'original', vdens: originalVdens, network: (path) => path };
const ourPort: Host = { name: 'ours on port 7', vdens: ours('vdens'), network: (path) => `vde://${path}[7]` };
const ourStream: Host = { name: 'ours over =vde_plug', vdens: ours('vdens'), network: (path) => `=${vdePlug} ${path}` };
const ourCommand: Host = {
  name: 'ours over cmd://vde_plug',
  vdens: ours('vdens'),
  network: (path) => `cmd://${vdePlug} ${path}`,
};
const originalStream: Host = { ...originalHost, name: 'original over =vde_plug', network: ourStream.network };

type NetworkName = 'vde_switch' | 'vde_switch --hub' | 'switch://' | 'hub://' | 'two switches and dpipe';

const table: readonly (readonly [NetworkName, Host, Host])[] = [
  ['vde_switch', ourHost, ourHost],
  ['vde_switch', ourHost, originalHost],
  ['vde_switch', originalHost, ourHost],
  ['vde_switch', ourPort, originalHost],
  ['vde_switch', ourStream, ourHost],
  ['vde_switch', ourStream, originalHost],
  ['vde_switch', originalHost, ourStream],
  ['vde_switch', ourCommand, originalStream],
  ['vde_switch', ourStream, ourCommand],
  ['vde_switch --hub', ourHost, originalHost],
  ['switch://', ourHost, ourHost],
  ['switch://', ourHost, originalHost],
  ['switch://', originalHost, ourHost],
  ['hub://', ourHost, originalHost],
  ['hub://', ourHost, ourStream],
  ['two switches and dpipe', ourHost, originalHost],
  ['two switches and dpipe', ourHost, ourHost],
];

/** Starts the network; the paths by which the two hosts reach it. */
async function start(t: TestContext, name: NetworkName): Promise<[string, string]> {
  if (name === 'two switches and dpipe') {
    const [left, right] = [await startSwitch(t), await startSwitch(t)];
    // dpipe makes a process group, which a session leader cannot.
    const line = ['dpipe', vdePlug, left.path, '=', vdePlug, right.path];
    await spawnBackground(t, ['sh', '-c', '"$@" & wait', 'sh', ...line]);
    for (const { command } of [left, right]) {
      await waitFor(async () => /vde/i.test(await command('port/print')), 5000, 'the ends of dpipe');
    }
    return [left.path, right.path];
  }
  if (name.startsWith('vde_switch')) {
    const { path } = await startSwitch(t, { isHub: name.endsWith('hub') });
    return [path, path];
  }
  const path = join(makeTemporaryDirectory(t), 'node');
  await spawnBackground(t, [vdePlug, 'null://', `${name}${path}`]);
  await waitFor(() => existsSync(join(path, 'ctl')), 5000, `the socket of ${name}`);
  return [path, path];
}

for (const [network, pinger, ponger] of table) {
  test(`on ${network}: ${pinger.name} pings ${ponger.name}`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, 'vdens', 'vde_switch', 'vde_plug', 'dpipe', 'ip', 'ping')) return;
    const [here, there] = await start(t, network);
    const b = await spawnBackground(
      t,
      inNamespace({ ...ponger, network: ponger.network(there), address: '10.77.0.2/24', command: ['sleep', '60'] }),
    );
    await b.waitForOutput(/^ready$/m);
    const command = ['ping', '-c', '3', '-i', '0.1', '-W', '2', '10.77.0.2'];
    const a = await runCommand(
      inNamespace({ ...pinger, network: pinger.network(here), address: '10.77.0.1/24', command, isQuiet: true }),
    );
    assert.match(a.stdout, /3 packets transmitted, 3 received/, `${a.stdout}${a.stderr}${b.output()}`);
  });
}
