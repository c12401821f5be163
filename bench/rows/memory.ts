/** Peak memory of one `vdens` on one network, while iperf3 sends through it both ways. */
import { type Bench, findIperfResult, peakMemoryMiB, readFrom } from '../harness.ts';
import { below, type Row, type Samples } from '../row.ts';
import { openBothPairs, type SwitchPair, switchPairCommands } from '../switch-pair.ts';

export const memory: Row = {
  name: 'memory',
  title: 'peak memory of one vdens under load',
  unit: 'MiB',
  goal: below(90, 'MiB'),
  peers: ['vdens', ...switchPairCommands],
  measure: async (bench) => {
    const pairs = await openBothPairs(bench);
    const peak = async (side: keyof Samples): Promise<number[]> => {
      const pair = pairs[side];
      if (pair === undefined) return [];
      bench.progress(side);
      try {
        return [await loadBothWays(bench, pair)];
      } catch (error) {
        bench.note(`${side} failed: ${error instanceof Error ? error.message : error}`);
        return [];
      }
    };
    return { original: await peak('original'), ours: await peak('ours') };
  },
};

/** The peak of the server's `vdens` after it has received and sent for some seconds each. */
async function loadBothWays(bench: Bench, pair: SwitchPair): Promise<number> {
  const { seconds } = bench.options;
  const client = ['iperf3', '--client', pair.serverAddress, '--time', `${seconds}`, '--json'];
  for (const direction of [[], ['--reverse']]) {
    await readFrom(bench, pair.client(...client, ...direction), findIperfResult, seconds * 1000 + 20_000);
  }
  return peakMemoryMiB(pair.serverPid);
}
