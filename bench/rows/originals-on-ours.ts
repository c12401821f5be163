/** Two *original* `vdens` on a `switch://` of ours: what whoever comes with the original tools gets from us. */
import { interleave } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { onVdeSwitch, originalsOnOurs, originalsOnSwitchPlug, pairCommands, throughputOf } from '../segment-pair.ts';

export const originalsOnSwitch: Row = {
  name: 'originals-on-ours',
  title: 'TCP, two originals on our switch://, beside vde_switch',
  unit: 'Gbit/s',
  goal: ratioAtLeast(1),
  peers: ['vdens', 'vde_switch', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', originalsOnOurs(bench)),
      original: await throughputOf(bench, 'original', onVdeSwitch(bench.originalVdens)),
    }),
};

export const originalsOnPlug: Row = {
  name: 'originals-on-ours-plug',
  title: 'TCP, two originals on our switch://, beside their switch://',
  unit: 'Gbit/s',
  goal: ratioAtLeast(1),
  peers: ['vdens', 'vde_plug', ...pairCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', originalsOnOurs(bench)),
      original: await throughputOf(bench, 'original', originalsOnSwitchPlug(bench)),
    }),
};
