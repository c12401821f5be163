/** Two `vdens` of ours on one `switch://`, beside two originals on their switch, and beside the kernel alone. */
import { interleave } from '../harness.ts';
import { leastPingRuns } from '../ping.ts';
import { type Row, ratioAtLeast, ratioAtMost } from '../row.ts';
import { onVdeSwitch, oursOnSwitch, pairCommands, roundTripOf, throughputOf } from '../segment-pair.ts';
import { vethCommands, vethThroughput } from '../veth.ts';

const peers = ['vdens', 'vde_switch', ...pairCommands];

export const switchOurs: Row = {
  name: 'switch-ours',
  title: 'TCP, two vdens on switch://, beside vde_switch',
  unit: 'Gbit/s',
  goal: ratioAtLeast(10),
  peers,
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', oursOnSwitch(bench)),
      original: await throughputOf(bench, 'original', onVdeSwitch(bench.originalVdens)),
    }),
};

export const switchOursSockets: Row = {
  name: 'switch-ours-sockets',
  title: 'TCP, two vdens on switch://, no handover, beside vde_switch',
  unit: 'Gbit/s',
  goal: ratioAtLeast(3),
  peers,
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', oursOnSwitch(bench, { VDENS_HANDOVER: '0' })),
      original: await throughputOf(bench, 'original', onVdeSwitch(bench.originalVdens)),
    }),
};

export const switchOursVeth: Row = {
  name: 'switch-ours-veth',
  title: 'TCP, two vdens on switch://, beside a veth pair',
  unit: 'Gbit/s',
  goal: ratioAtLeast(0.6),
  peers: vethCommands,
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await throughputOf(bench, 'ours', oursOnSwitch(bench)),
      original: vethThroughput(bench),
    }),
};

export const switchOursRoundTrip: Row = {
  name: 'switch-ours-round-trip',
  title: 'ping, two vdens on switch://, beside vde_switch',
  unit: 'ms',
  goal: ratioAtMost(1),
  peers: [...peers, 'ping'],
  measure: async (bench) =>
    await interleave(bench, Math.max(leastPingRuns, bench.options.runs), {
      ours: await roundTripOf(bench, 'ours', oursOnSwitch(bench)),
      original: await roundTripOf(bench, 'original', onVdeSwitch(bench.originalVdens)),
    }),
};
