/**
 * Frames of 64 bytes between two hosts over `vxvde://`: how many UDP datagrams arrive in a second.
 *
 * iperf3 sends as fast as it can, several times what either side carries, and both sides face the same sender. What
 * is counted is what its receiver got.
 */
import { type Bench, findIperfEnd, interleave, iperfFlood, iperfTimeoutMs, type Sampler } from '../harness.ts';
import { hostCommands, onTwoHosts, vdensOn } from '../hosts.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import { freshSamplerOf, SERVER } from '../segment-pair.ts';

/** What makes 64 bytes with the headers of Ethernet (14 bytes), IPv4 (20) and UDP (8). */
const payloadBytes = 22;

export const overlaySmall: Row = {
  name: 'vxvde-small',
  title: 'UDP in frames of 64 bytes between hosts, two vdens on vxvde://',
  unit: 'frames/s',
  goal: ratioAtLeast(1.5),
  peers: ['vdens', ...hostCommands],
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: arrivals(bench, bench.oursVdens),
      original: arrivals(bench, bench.originalVdens),
    }),
};

/** A new pair for every run, because an original's server may not hear that it is over. */
function arrivals(bench: Bench, vdens: string | undefined): Sampler {
  const end = vdensOn(vdens, () => ({ network: 'vxvde://' }));
  return freshSamplerOf(bench, onTwoHosts(end, end), {
    command: iperfFlood(bench, SERVER, payloadBytes),
    find: findArrivals,
    timeoutMs: iperfTimeoutMs(bench),
  });
}

/** Datagrams received in each second that was sent: what still arrives when the sender has ended counts too. */
function findArrivals(output: string): number | undefined {
  const { sum_sent: sent, sum_received: received } = findIperfEnd(output) ?? {};
  return sent && received && received.bytes / payloadBytes / sent.seconds;
}
