/** A hundred namespaces of one process on one switch, all pinging: what they cost, and whether ten cost less each. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../../test/interop/harness.ts';
import { type Bench, readFrom } from '../harness.ts';
import type { ManyResult } from '../many-host.ts';
import { below, type Goal, type Row, ratioAtMost, type Samples } from '../row.ts';

const few = 10;
const many = 100;
const timeoutMs = 120_000;
/** Each costs the same, within the noise of short times. */
const flat: Goal = ratioAtMost(1.25);

const host = join(checkout, 'dist', 'bench', 'many-host.js');
/** By the number of namespaces: all the rows below are made of the same runs. */
const results = new Map<number, Promise<ManyResult>>();

export const manySetUp: Row = {
  name: 'many-set-up',
  title: `set-up of ${many} namespaces on one switch`,
  unit: 's',
  goal: below(20, 's'),
  peers: [],
  measure: async (bench) => await alone(bench, ({ setUpMs }) => setUpMs / 1000),
};

export const manyMemory: Row = {
  name: 'many-memory',
  title: `peak memory of the process of ${many} namespaces, all pinging`,
  unit: 'MiB',
  goal: below(400, 'MiB'),
  peers: [],
  measure: async (bench) => await alone(bench, ({ peakMiB }) => peakMiB),
};

export const manySetUpEach: Row = {
  name: 'many-set-up-each',
  title: `set-up of one of ${many} namespaces, beside one of ${few}`,
  unit: 'ms',
  goal: flat,
  peers: [],
  measure: async (bench) => await both(bench, ({ setUpMs, count }) => setUpMs / count),
};

export const manyPingEach: Row = {
  name: 'many-ping-each',
  title: `processor time of one ping among ${many}, beside ${few}`,
  unit: 'µs',
  goal: flat,
  peers: [],
  measure: async (bench) => await both(bench, ({ processorMsPerPing }) => processorMsPerPing * 1000),
};

async function alone(bench: Bench, figure: (result: ManyResult) => number): Promise<Samples> {
  return { ours: [figure(await run(bench, many))], original: [] };
}

async function both(bench: Bench, figure: (result: ManyResult) => number): Promise<Samples> {
  return { ours: [figure(await run(bench, many))], original: [figure(await run(bench, few))] };
}

async function run(bench: Bench, count: number): Promise<ManyResult> {
  let result = results.get(count);
  if (result === undefined) {
    if (!existsSync(host)) throw new Error(`${host} is not built: npm run build`);
    bench.progress(`${count} namespaces`);
    result = readFrom(bench, [process.execPath, host, `${count}`], findResult, timeoutMs);
    results.set(count, result);
  }
  return await result;
}

function findResult(output: string): ManyResult | undefined {
  const line = /^\{.*\}$/m.exec(output)?.[0];
  return line === undefined ? undefined : (JSON.parse(line) as ManyResult);
}
