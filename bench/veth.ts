/** TCP through a veth pair between two network namespaces: what the kernel alone would do. */
import { original } from '../test/interop/harness.ts';
import { type Bench, findIperfResult, iperfTcp, iperfTimeoutMs, readFrom } from './harness.ts';
import { CLIENT_ADDRESS, SERVER, SERVER_ADDRESS } from './transfer.ts';

/** Needs no privilege: both network namespaces belong to one user namespace of ours. */
const vethScript = `
set -e
unshare --net sh -c '
  until ip link show inner > /dev/null 2>&1; do sleep 0.02; done
  ip link set lo up
  ip addr add ${SERVER_ADDRESS} dev inner
  ip link set inner up
  exec iperf3 --server --one-off > /dev/null' &
server=$!
trap 'kill $server 2> /dev/null || true' EXIT
while [ "$(readlink /proc/$server/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
ip link set lo up
ip link add outer type veth peer name inner netns $server
ip addr add ${CLIENT_ADDRESS} dev outer
ip link set outer up
# 1451 is port 5201 of iperf3, 0A the state LISTEN.
until grep -qs ':1451 0*:0000 0A' /proc/$server/net/tcp /proc/$server/net/tcp6; do sleep 0.02; done
"$@"
`;

/** Commands that it needs. */
export const vethCommands: readonly string[] = ['unshare', 'ip', 'iperf3'];

/** The measurement, in Gbit/s; undefined when a command is missing. */
export function vethThroughput(bench: Bench): (() => Promise<number>) | undefined {
  if (vethCommands.some((command) => original(command) === undefined)) return undefined;
  const argv = [
    'unshare',
    '--user',
    '--map-root-user',
    '--net',
    'sh',
    '-c',
    vethScript,
    'veth',
    ...iperfTcp(bench, SERVER),
  ];
  return async () => await readFrom(bench, argv, findIperfResult, iperfTimeoutMs(bench));
}
