/** The commands around vdens beside the original ones: the switch, the cable, and the cable over a pipe. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkout, type Owner, original, spawnBackground, waitFor } from '../../test/interop/harness.ts';
import { startSwitch } from '../../test/interop/original-switch.ts';
import { startOurSwitch } from '../../test/interop/our-switch.ts';
import type { AllToAllResult } from '../all-to-all.ts';
import { type Bench, interleave, openScope, readFrom } from '../harness.ts';
import { below, type Row, ratioAtLeast, type Samples } from '../row.ts';
import {
  END_ADDRESSES,
  isPossible,
  onVdeSwitch,
  openPair,
  type PairOpener,
  pairCommands,
  throughputOf,
  twoOf,
  vdensEnd,
} from '../segment-pair.ts';

const CLIENTS = 64;
/** More than there are clients: the original's highest port is one less than it is told. */
const PORTS = 128;
const ALL_TO_ALL_TIMEOUT_MS = 60_000;
const SETTLE_MS = 10_000;
/** What a filter is told to delay frames by. */
const FILTER_DELAY_MS = 20;
const DELAY_PROBE_TIMEOUT_MS = 30_000;
const delayProbe = join(checkout, 'dist', 'bench', 'delay-probe.js');
const allToAll = join(checkout, 'dist', 'bench', 'all-to-all.js');

/** A command of ours, from where our `vdens` is. */
function ourCommand(bench: Bench, name: string): string | undefined {
  const path = bench.oursVdens === undefined ? undefined : join(dirname(bench.oursVdens), name);
  return path !== undefined && existsSync(path) ? path : undefined;
}

/** Two of a `vdens` on our `vde_switch`. */
function onOurVdeSwitch(bench: Bench, vdens: string | undefined): PairOpener | undefined {
  const program = ourCommand(bench, 'vde_switch');
  if (!isPossible(vdens) || program === undefined) return undefined;
  return async (owner) => await openPair(owner, twoOf(vdens, (await startSwitch(owner, { program })).path));
}

const vdeSwitchOriginals: Row = {
  name: 'vde-switch-originals',
  title: 'TCP, two original vdens on our vde_switch, beside the original one',
  unit: 'Gbit/s',
  goal: ratioAtLeast(1.5),
  peers: ['vdens', 'vde_switch', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', onOurVdeSwitch(bench, bench.originalVdens)),
      original: await throughputOf(bench, 'original', onVdeSwitch(bench.originalVdens)),
    }),
};

const vdeSwitchOurs: Row = {
  name: 'vde-switch-ours',
  title: 'TCP, two vdens on our vde_switch, beside two originals on the original one',
  unit: 'Gbit/s',
  goal: ratioAtLeast(10),
  peers: ['vdens', 'vde_switch', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', onOurVdeSwitch(bench, bench.oursVdens)),
      original: await throughputOf(bench, 'original', onVdeSwitch(bench.originalVdens)),
    }),
};

/** Two original `vdens` on two original switches, which a cable joins: the arguments of what lays it. */
function overCable(
  bench: Bench,
  lay: ((a: string, b: string) => readonly string[]) | undefined,
): PairOpener | undefined {
  const vdens = bench.originalVdens;
  if (!isPossible(vdens, 'vde_switch') || lay === undefined) return undefined;
  return async (owner) => {
    const [a, b] = [await startSwitch(owner), await startSwitch(owner)];
    await spawnBackground(owner, lay(a.path, b.path));
    for (const { command } of [a, b]) {
      const isThere = async (): Promise<boolean> => (await command('port/print')).includes(' ACTIVE');
      await waitFor(isThere, SETTLE_MS, 'the cable between the switches');
    }
    return await openPair(owner, {
      server: vdensEnd({ vdens, network: b.path, address: END_ADDRESSES.server }),
      client: vdensEnd({ vdens, network: a.path, address: END_ADDRESSES.client }),
    });
  };
}

/** The cable `PLUG A B`. */
function plugCable(plug: string | undefined): ((a: string, b: string) => readonly string[]) | undefined {
  return plug === undefined ? undefined : (a, b) => [plug, a, b];
}

/** The cable `WIREFILTER -d 20 -v A:B`. Without a word on its standard input it goes on as long as that is open. */
function filterCable(filter: string | undefined): ((a: string, b: string) => readonly string[]) | undefined {
  return filter === undefined ? undefined : (a, b) => [filter, '-d', `${FILTER_DELAY_MS}`, '-v', `${a}:${b}`];
}

/** The cable `DPIPE PLUG A = PLUG B`. */
function pipeCable(
  dpipe: string | undefined,
  plug: string | undefined,
): ((a: string, b: string) => readonly string[]) | undefined {
  if (dpipe === undefined || plug === undefined) return undefined;
  // The original does not start as the leader of a session.
  return (a, b) => ['sh', '-c', '"$@" & wait', 'sh', dpipe, plug, a, '=', plug, b];
}

const plugRow: Row = {
  name: 'plug-cable',
  title: 'TCP, two originals on two original switches joined by vde_plug',
  unit: 'Gbit/s',
  goal: ratioAtLeast(1),
  peers: ['vdens', 'vde_switch', 'vde_plug', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', overCable(bench, plugCable(ourCommand(bench, 'vde_plug')))),
      original: await throughputOf(bench, 'original', overCable(bench, plugCable(original('vde_plug')))),
    }),
};

const pipeRow: Row = {
  name: 'plug-pipe',
  title: 'TCP, two originals on two original switches joined by dpipe vde_plug = vde_plug',
  unit: 'Gbit/s',
  goal: ratioAtLeast(1),
  peers: ['vdens', 'vde_switch', 'vde_plug', 'dpipe', ...pairCommands],
  measure: async (bench) => {
    const ours = pipeCable(ourCommand(bench, 'dpipe'), ourCommand(bench, 'vde_plug'));
    const theirs = pipeCable(original('dpipe'), original('vde_plug'));
    return await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', overCable(bench, ours)),
      original: await throughputOf(bench, 'original', overCable(bench, theirs)),
    });
  },
};

const filterRow: Row = {
  name: 'wirefilter',
  title: `TCP, two originals on two original switches joined by wirefilter with ${FILTER_DELAY_MS} ms`,
  unit: 'Gbit/s',
  goal: ratioAtLeast(1),
  peers: ['vdens', 'vde_switch', 'wirefilter', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', overCable(bench, filterCable(ourCommand(bench, 'wirefilter')))),
      original: await throughputOf(bench, 'original', overCable(bench, filterCable(original('wirefilter')))),
    }),
};

/** Sends frames through a filter between two switches of ours, and answers which share came in time, in percent. */
async function shareInTime(bench: Bench, filter: string): Promise<number> {
  await using run = openScope(bench);
  const vdens = bench.oursVdens;
  if (vdens === undefined) throw new Error('our vdens is not built');
  const [a, b] = [await startOurSwitch(run, { vdens }), await startOurSwitch(run, { vdens })];
  await spawnBackground(run, filterCable(filter)?.(a.path, b.path) ?? []);
  const argv = [process.execPath, delayProbe, a.path, b.path, `${FILTER_DELAY_MS}`];
  const find = (output: string): number | undefined => {
    const share = /^([\d.]+) % within 1 ms$/m.exec(output)?.[1];
    return share === undefined ? undefined : Number(share);
  };
  return await readFrom(run, argv, find, DELAY_PROBE_TIMEOUT_MS);
}

const filterDelay: Row = {
  name: 'wirefilter-delay',
  title: `frames that a wirefilter with ${FILTER_DELAY_MS} ms delays by that, within 1 ms`,
  unit: '%',
  goal: { text: '≥ 95 %', isMet: (ours) => (ours === undefined ? undefined : ours >= 95) },
  peers: ['wirefilter'],
  measure: async (bench) => {
    const sampler = (filter: string | undefined): (() => Promise<number>) | undefined =>
      filter === undefined ? undefined : () => shareInTime(bench, filter);
    return await interleave(bench, bench.options.runs, {
      ours: sampler(ourCommand(bench, 'wirefilter')),
      original: sampler(original('wirefilter')),
    });
  },
};

/** Lets 64 clients talk on a switch of their own, and answers one figure of it. @throws Error when frames were lost */
async function talk(bench: Bench, program: string, find: (result: AllToAllResult) => number): Promise<number> {
  await using run = openScope(bench);
  const { path } = await startSwitch(run as Owner, { program, ports: PORTS });
  const argv = [process.execPath, allToAll, path, `${CLIENTS}`, `${bench.options.seconds}`];
  const result = (output: string): AllToAllResult | undefined => {
    const line = /^\{.*\}$/m.exec(output)?.[0];
    return line === undefined ? undefined : (JSON.parse(line) as AllToAllResult);
  };
  return await readFrom(
    run,
    argv,
    (output) => {
      const found = result(output);
      if (found === undefined) return undefined;
      if (found.lost > 0) throw new Error(`${found.lost} frames did not arrive: no figure of ${program}`);
      return find(found);
    },
    ALL_TO_ALL_TIMEOUT_MS,
  );
}

async function talkOnBoth(bench: Bench, find: (result: AllToAllResult) => number): Promise<Samples> {
  const sampler = (program: string | undefined): (() => Promise<number>) | undefined =>
    program === undefined ? undefined : () => talk(bench, program, find);
  return await interleave(bench, bench.options.runs, {
    ours: sampler(ourCommand(bench, 'vde_switch')),
    original: sampler(original('vde_switch')),
  });
}

const longestWait: Row = {
  name: 'vde-switch-wait',
  title: `the longest that a frame waits, ${CLIENTS} clients of a vde_switch all to all`,
  unit: 'ms',
  goal: below(50, 'ms'),
  peers: ['vde_switch'],
  measure: async (bench) => await talkOnBoth(bench, ({ longestWaitMs }) => longestWaitMs),
};

const leastShare: Row = {
  name: 'vde-switch-share',
  title: 'what the port that gets least gets there, beside the mean of all',
  unit: '%',
  goal: { text: '≥ 50 %', isMet: (ours) => (ours === undefined ? undefined : ours >= 50) },
  peers: ['vde_switch'],
  measure: async (bench) => await talkOnBoth(bench, (result) => 100 * result.leastShare),
};

export const companions: readonly Row[] = [
  vdeSwitchOriginals,
  vdeSwitchOurs,
  longestWait,
  leastShare,
  plugRow,
  pipeRow,
  filterRow,
  filterDelay,
];
