/** Round trip of a ping between two `vdens` on the original switch: the median of all replies. */
import { interleave } from '../harness.ts';
import { leastPingRuns } from '../ping.ts';
import { type Row, ratioAtMost } from '../row.ts';
import { onVdeSwitch, pairCommands, roundTripOf } from '../segment-pair.ts';

export const switchRoundTrip: Row = {
  name: 'switch-round-trip',
  title: 'ping, two vdens on the original vde_switch',
  unit: 'ms',
  goal: ratioAtMost(1),
  peers: ['vdens', 'vde_switch', 'ping', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, Math.max(leastPingRuns, bench.options.runs), {
      ours: await roundTripOf(bench, 'ours', onVdeSwitch(bench.oursVdens)),
      original: await roundTripOf(bench, 'original', onVdeSwitch(bench.originalVdens)),
    }),
};
