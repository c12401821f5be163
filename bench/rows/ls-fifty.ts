/** Wall time of `vde ls` with fifty namespaces of as many processes, each with an address, on one switch. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { spawnBackground } from '../../test/interop/harness.ts';
import type { Bench } from '../harness.ts';
import { below, type Row, type Samples } from '../row.ts';

const namespaces = 50;
/** How many are started at a time. */
const atOnce = 4;
const leastRuns = 11;
const timeoutMs = 60_000;

export const lsFifty: Row = {
  name: 'ls-fifty',
  title: `vde ls with ${namespaces} namespaces`,
  unit: 'ms',
  goal: below(150, 'ms'),
  peers: [],
  measure: async (bench) => {
    const vdens = bench.oursVdens;
    if (vdens === undefined) return { ours: [], original: [] };
    const folder = mkdtempSync(join(tmpdir(), 'vdens-bench-'));
    bench.after(() => rmSync(folder, { recursive: true, force: true }));
    const env = { VDENS_RUNTIME_DIR: join(folder, 'run') };
    await startAll(bench, vdens, folder, env);
    return list(bench, join(dirname(vdens), 'vde'), env);
  },
};

type Environment = Readonly<Record<string, string>>;

async function startAll(bench: Bench, vdens: string, folder: string, env: Environment): Promise<void> {
  let started = 0;
  const startSome = async (): Promise<void> => {
    while (started < namespaces) {
      started += 1;
      bench.progress(`namespace ${started} of ${namespaces}`);
      const words = ['--name', `n${started}`, '--address', `10.0.0.${started}/24`, `switch://${folder}/lan`];
      const running = await spawnBackground(bench, [vdens, ...words, 'sh', '-c', 'echo ready; exec sleep 3600'], {
        env,
      });
      await running.waitForOutput(/^ready$/m, timeoutMs);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, startSome));
}

function list(bench: Bench, vde: string, env: Environment): Samples {
  const runs = Math.max(leastRuns, bench.options.runs);
  const ours: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const timeMs = wallTimeMs(vde, env);
    // The first one finds processes that have not been asked anything before.
    if (run > 0) ours.push(timeMs);
  }
  return { ours, original: [] };
}

function wallTimeMs(vde: string, own: Environment): number {
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`;
  const start = performance.now();
  const run = spawnSync(vde, ['ls'], {
    env: { ...process.env, ...own, PATH: path },
    encoding: 'utf8',
    timeout: 20_000,
  });
  const durationMs = performance.now() - start;
  const lines = run.stdout.split('\n').filter((line) => /\bnamespace\b.*\b10\.0\.0\.\d+\/24\b/.test(line)).length;
  if (run.status === 0 && lines === namespaces) return durationMs;
  throw new Error(`vde ls: exit status ${run.status}, ${lines} of ${namespaces} namespaces: ${run.stderr}`);
}
