/** Peak memory of one `vdens` on one network, while iperf3 sends through it both ways. */
import { type Bench, findIperfResult, iperfTcp, iperfTimeoutMs, openSide, peakMemoryMiB } from '../harness.ts';
import { below, type Row } from '../row.ts';
import { onVdeSwitch, type PairOpener, pairCommands, SERVER } from '../segment-pair.ts';

export const memory: Row = {
  name: 'memory',
  title: 'peak memory of one vdens under load',
  unit: 'MiB',
  goal: below(90, 'MiB'),
  peers: ['vdens', 'vde_switch', ...pairCommands],
  measure: async (bench) => ({
    original: await peak(bench, 'original', onVdeSwitch(bench.originalVdens)),
    ours: await peak(bench, 'ours', onVdeSwitch(bench.oursVdens)),
  }),
};

/** The peak of the server's `vdens` after it has received and sent for some seconds each. No sample if it fails. */
async function peak(bench: Bench, side: string, open: PairOpener | undefined): Promise<number[]> {
  const pair = open === undefined ? undefined : await openSide(bench, side, () => open(bench));
  if (pair === undefined) return [];
  bench.progress(side);
  try {
    for (const direction of [[], ['--reverse']]) {
      const command = [...iperfTcp(bench, SERVER), ...direction];
      await pair.read(command, findIperfResult, iperfTimeoutMs(bench));
    }
    return [peakMemoryMiB(pair.serverPid)];
  } catch (error) {
    bench.note(`${side} failed: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}
