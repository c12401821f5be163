/** Round trip of a ping between two hosts over `vxvde://`: the median of all replies. */
import { type Bench, interleave, type Sampler } from '../harness.ts';
import { hostCommands, onTwoHosts, vdensOn } from '../hosts.ts';
import { leastPingRuns } from '../ping.ts';
import { type Row, ratioAtMost } from '../row.ts';
import { roundTripOf } from '../segment-pair.ts';

export const overlayRoundTrip: Row = {
  name: 'vxvde-round-trip',
  title: 'ping between hosts, two vdens on vxvde://',
  unit: 'ms',
  goal: ratioAtMost(1),
  peers: ['vdens', 'ping', ...hostCommands],
  measure: async (bench) =>
    await interleave(bench, Math.max(leastPingRuns, bench.options.runs), {
      ours: await roundTrips(bench, 'ours', bench.oursVdens),
      original: await roundTrips(bench, 'original', bench.originalVdens),
    }),
};

async function roundTrips(bench: Bench, side: string, vdens: string | undefined): Promise<Sampler> {
  const end = vdensOn(vdens, () => ({ network: 'vxvde://' }));
  return await roundTripOf(bench, side, onTwoHosts(end, end));
}
