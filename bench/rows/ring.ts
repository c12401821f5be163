/**
 * Eight namespaces on one `switch://`, every one sending to the next, all at once: what the switch carries in all,
 * and whether everybody gets a share.
 *
 *     [10.98.0.1] ──▶ [10.98.0.2] ──▶ … ──▶ [10.98.0.8] ──▶ [10.98.0.1]
 */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BackgroundCommand, type Owner, spawnBackground, waitFor } from '../../test/interop/harness.ts';
import { inNamespace } from '../../test/interop/original-vdens.ts';
import { type Bench, findIperfResult, interleave, iperfTcp, iperfTimeoutMs, openScope } from '../harness.ts';
import { type Row, ratioAtLeast, type Samples } from '../row.ts';
import { freshPath, isPossible } from '../segment-pair.ts';

const nodes = 8;

/** A host with a server, which runs the words behind $0, if any, when the file $0 is there. It stays for its peers. */
const nodeScript = `
iperf3 --server > /dev/null &
# 1451 is port 5201 of iperf3, 0A the state LISTEN.
until grep -qs ':1451 0*:0000 0A' /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done
echo ready
until [ -e "$0" ]; do sleep 0.02; done
[ $# -eq 0 ] || "$@"
exec sleep 600
`;

export const ringTotal: Row = {
  name: 'ring',
  title: `TCP, ${nodes} vdens in a ring on switch://, beside one pair`,
  unit: 'Gbit/s',
  goal: ratioAtLeast(0.8),
  peers: [],
  measure: async (bench) => {
    const vdens = bench.oursVdens;
    if (!isPossible(vdens)) return { ours: [], original: [] };
    return await interleave(bench, bench.options.runs, {
      ours: async () => sum(await transfer(bench, vdens, nodes, nodes)),
      original: async () => sum(await transfer(bench, vdens, 2, 1)),
    });
  },
};

export const ringFairness: Row = {
  name: 'ring-fairness',
  title: 'TCP, the slowest transfer of that ring, beside their mean',
  unit: 'Gbit/s',
  goal: ratioAtLeast(0.5),
  peers: [],
  measure: async (bench) => {
    const vdens = bench.oursVdens;
    const samples = { ours: [] as number[], original: [] as number[] } satisfies Samples;
    for (let run = 0; isPossible(vdens) && run < bench.options.runs; run++) {
      bench.progress(`run ${run + 1} of ${bench.options.runs}`);
      const rates = await transfer(bench, vdens, nodes, nodes);
      samples.ours.push(Math.min(...rates));
      samples.original.push(sum(rates) / rates.length);
    }
    return samples;
  },
};

/** Lets the first `senders` of `count` hosts send, at the same time; answers what each receiver got, in Gbit/s. */
async function transfer(bench: Bench, vdens: string, count: number, senders: number): Promise<number[]> {
  await using run = openScope(bench);
  const path = freshPath(run);
  const gate = join(dirname(path), 'go');
  const hosts: BackgroundCommand[] = [];
  for (let index = 0; index < count; index++) {
    const sending = index < senders ? iperfTcp(bench, addressOf((index + 1) % count)) : [];
    const command = ['sh', '-c', nodeScript, gate, ...sending];
    hosts.push(await startHost(run, vdens, path, index, command));
  }
  writeFileSync(gate, '');
  const rates = hosts.slice(0, senders).map((host) => {
    const find = (): number | undefined => findIperfResult(host.output());
    return waitFor(find, iperfTimeoutMs(bench), 'the end of a transfer');
  });
  return await Promise.all(rates);
}

/** The first host serves the switch: the others wait for it. */
async function startHost(
  owner: Owner,
  vdens: string,
  path: string,
  index: number,
  command: readonly string[],
): Promise<BackgroundCommand> {
  const address = `${addressOf(index)}/24`;
  const host = await spawnBackground(
    owner,
    inNamespace({ vdens, network: `switch://${path}`, address, command, isQuiet: true }),
  );
  await host.waitForOutput(/^ready$/m, 20_000);
  if (!existsSync(path)) throw new Error(`nobody serves ${path}`);
  return host;
}

function addressOf(index: number): string {
  return `10.98.0.${index + 1}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
