/** TCP between two hosts over a `udp://` between them. */
import type { LabHost } from '../../test/fixtures/lab.ts';
import { type Bench, interleave, type Sampler } from '../harness.ts';
import { hostCommands, onTwoHosts, vdensOn } from '../hosts.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { freshSamplerOf, throughput } from '../segment-pair.ts';

const port = 5000;

export const udpLine: Row = {
  name: 'udp-line',
  title: 'TCP between hosts, two vdens on udp://',
  unit: 'Gbit/s',
  goal: ratioAtLeast(5),
  peers: ['vdens', ...hostCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: transfers(bench, bench.oursVdens),
      original: transfers(bench, bench.originalVdens),
    }),
};

/**
 * A new pair for every run, in which nobody speaks before the other is there: an original whose packet nobody takes
 * loses its interface for good. So there is no IPv6 on it, which would look for neighbours by itself.
 */
function transfers(bench: Bench, vdens: string | undefined): Sampler {
  const end = vdensOn(vdens, (host) => ({ network: lineFrom(host), setUp: ['ip link set vde0 addrgenmode none'] }));
  return freshSamplerOf(bench, onTwoHosts(end, end), throughput(bench));
}

/** From this host to the other. */
function lineFrom({ v4, number }: LabHost): string {
  return `udp://${v4}:${port}->10.99.0.${number === 1 ? 2 : 1}:${port}`;
}
