/**
 * TCP between two `vdens` on one `switch://` while every frame of one of them is captured, beside two that are left
 * alone. The capture is written to /dev/null: the disk is not what is measured.
 */
import { dirname, join } from 'node:path';
import { makeTemporaryDirectory, spawnBackground } from '../../test/interop/harness.ts';
import { type Bench, interleave, openScope, type Sampler } from '../harness.ts';
import { type Row, ratioAtLeast } from '../row.ts';
import {
  END_ADDRESSES,
  freshPath,
  isPossible,
  openPair,
  oursOnSwitch,
  pairCommands,
  throughput,
  throughputOf,
  vdensEnd,
} from '../segment-pair.ts';

const name = 'server';

export const capture: Row = {
  name: 'capture',
  title: 'TCP, two vdens on switch://, one of them captured, beside two that are not',
  unit: 'Gbit/s',
  goal: ratioAtLeast(0.8),
  peers: pairCommands,
  measure: async (bench) =>
    await interleave(bench, bench.options.runs, {
      ours: await capturedThroughput(bench),
      original: await throughputOf(bench, 'original', oursOnSwitch(bench)),
    }),
};

async function capturedThroughput(bench: Bench): Promise<Sampler> {
  const vdens = bench.oursVdens;
  if (!isPossible(vdens)) return undefined;
  const env = { VDENS_RUNTIME_DIR: join(makeTemporaryDirectory(bench), 'run') };
  const network = `switch://${freshPath(bench)}`;
  const server = vdensEnd({ vdens, options: ['--name', name], network, address: END_ADDRESSES.server });
  const client = vdensEnd({ vdens, network, address: END_ADDRESSES.client });
  const pair = await openPair(bench, { server, client, env });
  const { command, find, timeoutMs } = throughput(bench);
  return async () => {
    await using run = openScope(bench);
    const argv = [join(dirname(vdens), 'vde'), 'capture', name, '-w', '/dev/null'];
    const capturing = await spawnBackground(run, argv, { env });
    await capturing.waitForOutput(/listening at/);
    const sample = await pair.read(command, find, timeoutMs);
    capturing.kill('SIGINT');
    await capturing.waitForExit();
    const [counts] = /\d+ frames.*/.exec(capturing.output()) ?? ['no frames'];
    bench.note(`captured in one run: ${counts}`);
    return sample;
  };
}
