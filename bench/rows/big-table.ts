/** TCP throughput through a switch of ours that knows a hundred thousand stations, beside one that knows two. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../../test/interop/harness.ts';
import { findIperfResult, interleave, iperfTcp, iperfTimeoutMs, readFrom } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { SERVER } from '../transfer.ts';

const stations = 100_000;
const host = join(checkout, 'dist', 'bench', 'table-host.js');

export const bigTable: Row = {
  name: 'big-table',
  title: 'TCP, a switch that knows 100,000 stations, beside two',
  unit: 'Gbit/s',
  goal: ratioAtLeast(0.8),
  peers: ['iperf3'],
  measure: async (bench) => {
    const run = (count: number): (() => Promise<number>) | undefined => {
      if (!existsSync(host)) return undefined;
      const argv = [process.execPath, host, `${count}`, ...iperfTcp(bench, SERVER)];
      return async () => await readFrom(bench, argv, findIperfResult, iperfTimeoutMs(bench));
    };
    return await interleave(bench, bench.options.runs, { ours: run(stations), original: run(2) });
  },
};
