/**
 * TCP throughput between two namespaces of one process whose TAPs are joined by a cable, beside a veth pair between
 * two network namespaces: what the kernel alone would do.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout, original } from '../../test/interop/harness.ts';
import { findIperfResult, interleave, readFrom } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';

/** Needs no privilege: both network namespaces belong to one user namespace of ours. */
const vethScript = `
set -e
unshare --net sh -c '
  until ip link show inner > /dev/null 2>&1; do sleep 0.02; done
  ip link set lo up
  ip addr add 10.97.0.2/24 dev inner
  ip link set inner up
  exec iperf3 --server --one-off > /dev/null' &
server=$!
trap 'kill $server 2> /dev/null || true' EXIT
while [ "$(readlink /proc/$server/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
ip link set lo up
ip link add outer type veth peer name inner netns $server
ip addr add 10.97.0.1/24 dev outer
ip link set outer up
# 1451 is port 5201 of iperf3, 0A the state LISTEN.
until grep -qs ':1451 0*:0000 0A' /proc/$server/net/tcp /proc/$server/net/tcp6; do sleep 0.02; done
iperf3 --client 10.97.0.2 --time "$1" --json
`;

const cableHost = join(checkout, 'dist', 'bench', 'cable-host.js');

export const tapToTap: Row = {
  name: 'tap-to-tap',
  title: 'TCP, two namespaces of one process, beside a veth pair',
  unit: 'Gbit/s',
  goal: ratioAtLeast(0.6),
  peers: ['unshare', 'ip', 'iperf3'],
  measure: async (bench) => {
    const { runs, seconds } = bench.options;
    const timeoutMs = seconds * 1000 + 20_000;
    const isVethPossible = ['unshare', 'ip', 'iperf3'].every((command) => original(command) !== undefined);
    const veth = ['unshare', '--user', '--map-root-user', '--net', 'sh', '-c', vethScript, 'veth', `${seconds}`];
    const cable = [process.execPath, cableHost, `${seconds}`];
    return await interleave(bench, runs, {
      ours: existsSync(cableHost) ? async () => await readFrom(bench, cable, findIperfResult, timeoutMs) : undefined,
      original: isVethPossible ? async () => await readFrom(bench, veth, findIperfResult, timeoutMs) : undefined,
    });
  },
};
