/** Wall time of `vdens no true`, beside that of Node.js doing nothing: what is not needed is not to be loaded. */
import { spawnSync } from 'node:child_process';
import { delimiter, dirname } from 'node:path';
import { interleave } from '../harness.ts';
import { type Row, ratioAtMost } from '../row.ts';

const leastRuns = 21;

export const startUp: Row = {
  name: 'start-up',
  title: 'start-up: vdens no true, beside node -e 0',
  unit: 'ms',
  goal: ratioAtMost(1.25),
  peers: [],
  measure: async (bench) => {
    const vdens = bench.oursVdens;
    const runs = Math.max(leastRuns, bench.options.runs);
    return await interleave(bench, runs, {
      ours: vdens === undefined ? undefined : async () => wallTimeMs([vdens, 'no', 'true']),
      original: async () => wallTimeMs([process.execPath, '-e', '0']),
    });
  },
};

/** Time from the start of a program to its end. Both sides find the Node.js that runs the benchmark. */
function wallTimeMs([command = '', ...args]: readonly string[]): number {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` };
  const start = performance.now();
  const run = spawnSync(command, args, { env, stdio: ['ignore', 'ignore', 'pipe'], timeout: 20_000 });
  const durationMs = performance.now() - start;
  if (run.status === 0) return durationMs;
  throw new Error(`${command} ${args.join(' ')}: ${run.error?.message ?? `exit status ${run.status}: ${run.stderr}`}`);
}
