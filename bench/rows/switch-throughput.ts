/** TCP throughput between two `vdens` on the original switch. */
import { interleave } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { onVdeSwitch, pairCommands, throughputOf } from '../segment-pair.ts';

export const switchThroughput: Row = {
  name: 'switch-throughput',
  title: 'TCP, two vdens on the original vde_switch',
  unit: 'Gbit/s',
  goal: ratioAtLeast(1),
  peers: ['vdens', 'vde_switch', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', onVdeSwitch(bench.oursVdens)),
      original: await throughputOf(bench, 'original', onVdeSwitch(bench.originalVdens)),
    }),
};
