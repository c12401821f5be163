/** TCP throughput between two `vdens` on `ptp://`, with nothing between them. */
import { type Bench, interleave, type Sampler } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import {
  freshPath,
  freshSamplerOf,
  isPossible,
  openPair,
  type PairOpener,
  pairCommands,
  throughput,
  twoOf,
} from '../segment-pair.ts';

export const ptp: Row = {
  name: 'ptp',
  title: 'TCP, two vdens on ptp://',
  unit: 'Gbit/s',
  goal: ratioAtLeast(5),
  peers: ['vdens', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: freshPairs(bench, bench.oursVdens),
      original: freshPairs(bench, bench.originalVdens),
    }),
};

/** A new pair for every run: the original's first end takes no second peer after the one that it had. */
function freshPairs(bench: Bench, vdens: string | undefined): Sampler {
  if (!isPossible(vdens)) return undefined;
  const open: PairOpener = (owner) => openPair(owner, twoOf(vdens, `ptp://${freshPath(owner)}`));
  return freshSamplerOf(bench, open, throughput(bench));
}
