/** TCP throughput between two `vdens` on `ptp://`, with nothing between them. */
import { type Bench, findIperfResult, interleave, iperfClient, iperfTimeoutMs, openScope } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { freshPath, isPossible, openPair, pairCommands, SERVER } from '../segment-pair.ts';

export const ptp: Row = {
  name: 'ptp',
  title: 'TCP, two vdens on ptp://',
  unit: 'Gbit/s',
  goal: ratioAtLeast(5),
  peers: ['vdens', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: throughput(bench, bench.oursVdens),
      original: throughput(bench, bench.originalVdens),
    }),
};

/** A new pair for every run: the original's first end takes no second peer after the one that it had. */
function throughput(bench: Bench, vdens: string | undefined): (() => Promise<number>) | undefined {
  if (!isPossible(vdens)) return undefined;
  return async () => {
    await using run = openScope(bench);
    const pair = await openPair(bench, { vdens, network: `ptp://${freshPath(run)}` }, run);
    return await pair.read(iperfClient(bench, SERVER), findIperfResult, iperfTimeoutMs(bench));
  };
}
