/**
 * TCP throughput between two namespaces of one process whose TAPs are joined by a cable, beside a veth pair between
 * two network namespaces: what the kernel alone would do.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../../test/interop/harness.ts';
import { findIperfResult, interleave, iperfTcp, iperfTimeoutMs, readFrom } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { SERVER } from '../transfer.ts';
import { vethCommands, vethThroughput } from '../veth.ts';

const cableHost = join(checkout, 'dist', 'bench', 'cable-host.js');

export const tapToTap: Row = {
  name: 'tap-to-tap',
  title: 'TCP, two namespaces of one process, beside a veth pair',
  unit: 'Gbit/s',
  goal: ratioAtLeast(0.6),
  peers: vethCommands,
  measure: async (bench) => {
    const cable = [process.execPath, cableHost, ...iperfTcp(bench, SERVER)];
    return await interleave(bench, bench.options.runs, {
      ours: existsSync(cableHost)
        ? async () => await readFrom(bench, cable, findIperfResult, iperfTimeoutMs(bench))
        : undefined,
      original: vethThroughput(bench),
    });
  },
};
