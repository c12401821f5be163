/** TCP through `vlan://` and `agno://` around a switch of ours: two `vdens` of ours, beside two originals. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryDirectory } from '../../test/interop/harness.ts';
import { startOurSwitch } from '../../test/interop/our-switch.ts';
import type { Bench } from '../harness.ts';
import { interleave } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { isPossible, openPair, type PairOpener, pairCommands, throughputOf, twoOf } from '../segment-pair.ts';

/** Names the network around a path, in a directory where files can be made. */
type Around = (path: string, directory: string) => string;

const vlan: Around = (path) => `vlan://4{${path}}`;

const agno: Around = (path, directory) => {
  const key = join(directory, 'key');
  writeFileSync(key, '00112233445566778899aabbccddeeff\n', { mode: 0o600 });
  return `agno://${key}{${path}}`;
};

function pairAround(bench: Bench, vdens: string | undefined, around: Around): PairOpener | undefined {
  const serving = bench.oursVdens;
  if (!isPossible(vdens) || serving === undefined) return undefined;
  return async (owner) => {
    const { path } = await startOurSwitch(owner, { vdens: serving });
    return await openPair(owner, twoOf(vdens, around(path, makeTemporaryDirectory(owner))));
  };
}

function row(name: string, around: Around): Row {
  return {
    name,
    title: `TCP, two vdens on ${name}:// around our switch, beside two originals`,
    unit: 'Gbit/s',
    goal: ratioAtLeast(1.5),
    peers: ['vdens', ...pairCommands],
    measure: async (bench) =>
      await interleave(bench, bench.options.runs, {
        ours: await throughputOf(bench, 'ours', pairAround(bench, bench.oursVdens, around)),
        original: await throughputOf(bench, 'original', pairAround(bench, bench.originalVdens, around)),
      }),
  };
}

export const nestedVlan: Row = row('vlan', vlan);
export const nestedAgno: Row = row('agno', agno);
