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
import { makeTemporaryDirectory, original, ours, requireCommands, spawnBackground, waitFor } from './harness.ts';
import { startSwitch } from './original-switch.ts';
import { inNamespace, pingIn } from './original-vdens.ts';

/** A program that is a host on a network, and how it is told which. */
interface Host {
  readonly name: string;
  readonly vdens: string;
  readonly network: (path: string) => string;
}

const originalVdens = original('vdens') ?? '';
const vdePlug = original('vde_plug') ?? '';
const pipe = original('dpipe') ?? '';
const filter = original('wirefilter') ?? '';
const [ourPlug, ourPipe, ourSwitch] = [ours('vde_plug'), ours('dpipe'), ours('vde_switch')];

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

const ourStreamOfOurs: Host = { ...ourHost, name: 'ours over =our vde_plug', network: (path) => `=${ourPlug} ${path}` };
const originalStreamOfOurs: Host = {
  ...originalHost,
  name: 'original over =our vde_plug',
  network: ourStreamOfOurs.network,
};

/** A network, and how it is started: the paths by which the two hosts reach it. */
interface Network {
  readonly name: string;
  readonly start: (t: TestContext) => Promise<readonly [string, string]>;
}

function switchOf(name: string, program: string | undefined, isHub = false): Network {
  return {
    name,
    start: async (t) => {
      const { path } = await startSwitch(t, { isHub, ...(program === undefined ? {} : { program }) });
      return [path, path];
    },
  };
}

function servedBy(plug: string, scheme: 'switch://' | 'hub://', name: string): Network {
  return {
    name,
    start: async (t) => {
      const path = join(makeTemporaryDirectory(t), 'node');
      await spawnBackground(t, [plug, 'null://', `${scheme}${path}`]);
      await waitFor(() => existsSync(join(path, 'ctl')), 5000, `the socket of ${scheme}`);
      return [path, path];
    },
  };
}

/** Two switches that something joins: the words of its command line. */
function joined(
  name: string,
  programs: readonly [string | undefined, string | undefined],
  join: (left: string, right: string) => readonly string[],
): Network {
  return {
    name,
    start: async (t) => {
      const open = (program: string | undefined) => startSwitch(t, program === undefined ? {} : { program });
      const [left, right] = [await open(programs[0]), await open(programs[1])];
      // dpipe makes a process group, which a session leader cannot.
      await spawnBackground(t, ['sh', '-c', '"$@" & wait', 'sh', ...join(left.path, right.path)]);
      for (const { command } of [left, right]) {
        await waitFor(async () => /vde/i.test(await command('port/print')), 10_000, `the ends of ${name}`);
      }
      return [left.path, right.path];
    },
  };
}

const vdeSwitch = switchOf('vde_switch', undefined);
const ourVdeSwitch = switchOf('our vde_switch', ourSwitch);
const dpipe = joined('two switches and dpipe', [undefined, undefined], (a, b) => [pipe, vdePlug, a, '=', vdePlug, b]);

const table: readonly (readonly [Network, Host, Host])[] = [
  [vdeSwitch, ourHost, ourHost],
  [vdeSwitch, ourHost, originalHost],
  [vdeSwitch, originalHost, ourHost],
  [vdeSwitch, ourPort, originalHost],
  [vdeSwitch, ourStream, ourHost],
  [vdeSwitch, ourStream, originalHost],
  [vdeSwitch, originalHost, ourStream],
  [vdeSwitch, ourCommand, originalStream],
  [vdeSwitch, ourStream, ourCommand],
  [vdeSwitch, originalStreamOfOurs, ourStreamOfOurs],
  [switchOf('vde_switch --hub', undefined, true), ourHost, originalHost],
  [ourVdeSwitch, originalHost, originalHost],
  [ourVdeSwitch, ourPort, originalHost],
  [ourVdeSwitch, originalHost, ourHost],
  [ourVdeSwitch, originalStream, ourStreamOfOurs],
  [switchOf('our vde_switch --hub', ourSwitch, true), originalHost, ourHost],
  [servedBy(vdePlug, 'switch://', 'switch://'), ourHost, ourHost],
  [servedBy(vdePlug, 'switch://', 'switch://'), ourHost, originalHost],
  [servedBy(vdePlug, 'switch://', 'switch://'), originalHost, ourHost],
  [servedBy(vdePlug, 'hub://', 'hub://'), ourHost, originalHost],
  [servedBy(vdePlug, 'hub://', 'hub://'), ourHost, ourStream],
  [servedBy(ourPlug, 'switch://', 'switch:// of our vde_plug'), originalHost, originalStreamOfOurs],
  [dpipe, ourHost, originalHost],
  [dpipe, ourHost, ourHost],
  [
    joined('two switches and our dpipe', [undefined, ourSwitch], (a, b) => [ourPipe, ourPlug, a, '=', vdePlug, b]),
    originalHost,
    ourHost,
  ],
  [
    joined('two switches and dpipe of our vde_plug', [ourSwitch, undefined], (a, b) => [
      pipe,
      vdePlug,
      a,
      '=',
      ourPlug,
      b,
    ]),
    ourHost,
    originalHost,
  ],
  [
    joined('two switches, our dpipe and a wirefilter', [ourSwitch, undefined], (a, b) => [
      ourPipe,
      ourPlug,
      a,
      '=',
      filter,
      '-l',
      '0',
      '=',
      vdePlug,
      b,
    ]),
    originalHost,
    ourHost,
  ],
  [joined('two switches and our vde_plug', [ourSwitch, undefined], (a, b) => [ourPlug, a, b]), originalHost, ourHost],
  [
    joined('two switches of ours and vde_plug', [ourSwitch, ourSwitch], (a, b) => [vdePlug, a, b]),
    ourHost,
    originalHost,
  ],
  [
    joined('our vde_plug = vde_plug', [undefined, ourSwitch], (a, b) => [ourPlug, a, '=', vdePlug, b]),
    originalHost,
    ourHost,
  ],
  [
    joined('vde_plug = our vde_plug', [ourSwitch, undefined], (a, b) => [vdePlug, '--', a, '=', ourPlug, b]),
    ourHost,
    originalHost,
  ],
];

for (const [network, pinger, ponger] of table) {
  test(`on ${network.name}: ${pinger.name} pings ${ponger.name}`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, 'vdens', 'vde_switch', 'vde_plug', 'dpipe', 'wirefilter', 'ip', 'ping')) return;
    const [here, there] = await network.start(t);
    const b = await spawnBackground(
      t,
      inNamespace({ ...ponger, network: ponger.network(there), address: '10.77.0.2/24', command: ['sleep', '60'] }),
    );
    await b.waitForOutput(/^ready$/m);
    const command = ['ping', '-c', '3', '-i', '0.1', '-W', '2', '10.77.0.2'];
    const text = await pingIn(t, { ...pinger, network: pinger.network(here), address: '10.77.0.1/24', command });
    assert.match(text, /3 packets transmitted, 3 received/, `${text}${b.output()}`);
  });
}
