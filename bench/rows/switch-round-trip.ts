/** Round trip of a ping between two `vdens` on the original switch: the median of all replies. */
import { interleave, readFrom } from '../harness.ts';
import { median, type Row, ratioAtMost } from '../row.ts';
import { openBothPairs, type SwitchPair, switchPairCommands } from '../switch-pair.ts';

const pings = 200;
const leastRuns = 5; // A fifth of a millisecond needs more samples than a transfer of seconds does.

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
      const argv = pair.client('ping', '-c', `${pings}`, '-i', '0.01', '-W', '2', pair.serverAddress);
      return async () => await readFrom(bench, argv, findMedian, 30_000);
    };
    const runs = Math.max(leastRuns, bench.options.runs);
    return await interleave(bench, runs, { ours: ping(pairs.ours), original: ping(pairs.original) });
  },
};

/** Median of the round trips in the output of ping(8), once its summary is there. The first one resolves addresses. */
function findMedian(output: string): number | undefined {
  if (!/^rtt /m.test(output)) return undefined;
  const times = Array.from(output.matchAll(/ time=([\d.]+) ms/g), ([, time]) => Number(time)).slice(1);
  if (times.length < pings * 0.9) throw new Error(`${times.length + 1} of ${pings} pings came back`);
  return median(times);
}
