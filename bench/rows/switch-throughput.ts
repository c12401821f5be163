/** TCP throughput between two `vdens` on the original switch. */
import { findIperfResult, interleave, readFrom } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { openBothPairs, type SwitchPair, switchPairCommands } from '../switch-pair.ts';

export const switchThroughput: Row = {
  name: 'switch-throughput',
  title: 'TCP, two vdens on the original vde_switch',
  unit: 'Gbit/s',
  goal: ratioAtLeast(1),
  peers: ['vdens', ...switchPairCommands],
  measure: async (bench) => {
    const pairs = await openBothPairs(bench);
    const { seconds, runs } = bench.options;
    const transfer = (pair: SwitchPair | undefined): (() => Promise<number>) | undefined => {
      if (pair === undefined) return undefined;
      const argv = pair.client('iperf3', '--client', pair.serverAddress, '--time', `${seconds}`, '--json');
      return async () => await readFrom(bench, argv, findIperfResult, seconds * 1000 + 20_000);
    };
    return await interleave(bench, runs, { ours: transfer(pairs.ours), original: transfer(pairs.original) });
  },
};
