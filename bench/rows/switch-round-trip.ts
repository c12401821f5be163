/** Round trip of a ping between two `vdens` on the original switch: the median of all replies. */
import { interleave, readFrom } from '../harness.ts';
import { findMedianRoundTrip, leastPingRuns, PING_TIMEOUT_MS, pingCommand } from '../ping.ts';
import { type Row, ratioAtMost } from '../row.ts';
import { openBothPairs, type SwitchPair, switchPairCommands } from '../switch-pair.ts';

export const switchRoundTrip: Row = {
  name: 'switch-round-trip',
  title: 'ping, two vdens on the original vde_switch',
  unit: 'ms',
  goal: ratioAtMost(1),
  peers: ['vdens', 'ping', ...switchPairCommands],
  measure: async (bench) => {
    const pairs = await openBothPairs(bench);
    const ping = (pair: SwitchPair | undefined): (() => Promise<number>) | undefined => {
      if (pair === undefined) return undefined;
      const argv = pair.client(...pingCommand(pair.serverAddress));
      return async () => await readFrom(bench, argv, findMedianRoundTrip, PING_TIMEOUT_MS);
    };
    const runs = Math.max(leastPingRuns, bench.options.runs);
    return await interleave(bench, runs, { ours: ping(pairs.ours), original: ping(pairs.original) });
  },
};
