/**
 * The benchmark: `npm run bench`. Prints one table, ours beside the originals, all measured in this same run.
 *
 * A new row is a file in rows/ and a line in the list below.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkout, original } from '../test/interop/harness.ts';
import { type Bench, type BenchOptions, builtVdens, createBench } from './harness.ts';
import type { Row } from './row.ts';
import { bigTable } from './rows/big-table.ts';
import { capture } from './rows/capture.ts';
import { companions } from './rows/companions.ts';
import { gatewayFlows, gatewayIntegrity, gatewayMemory, gatewayRows } from './rows/gateway.ts';
import { lsFifty } from './rows/ls-fifty.ts';
import { manyMemory, manyPingEach, manySetUp, manySetUpEach } from './rows/many.ts';
import { memory } from './rows/memory.ts';
import { nestedAgno, nestedVlan } from './rows/nested.ts';
import { originalsOnPlug, originalsOnSwitch } from './rows/originals-on-ours.ts';
import { overlayRoundTrip } from './rows/overlay-round-trip.ts';
import { overlaySmall } from './rows/overlay-small.ts';
import { overlayThroughput } from './rows/overlay-throughput.ts';
import { ptp } from './rows/ptp.ts';
import { ringFairness, ringTotal } from './rows/ring.ts';
import { startUp } from './rows/start-up.ts';
import { switchOurs, switchOursRoundTrip, switchOursSockets, switchOursVeth } from './rows/switch-ours.ts';
import { switchRoundTrip } from './rows/switch-round-trip.ts';
import { switchThroughput } from './rows/switch-throughput.ts';
import { tapToTap } from './rows/tap-to-tap.ts';
import { udpLine } from './rows/udp-line.ts';
import { formatTable, type MeasuredRow, toJson, writeBetweenMarkers } from './table.ts';

const rows: readonly Row[] = [
  switchThroughput,
  switchRoundTrip,
  switchOurs,
  switchOursSockets,
  switchOursVeth,
  switchOursRoundTrip,
  capture,
  originalsOnSwitch,
  originalsOnPlug,
  ...companions,
  nestedVlan,
  nestedAgno,
  ptp,
  ...overlayThroughput,
  overlaySmall,
  overlayRoundTrip,
  udpLine,
  ...gatewayRows,
  gatewayFlows,
  gatewayMemory,
  gatewayIntegrity,
  ringTotal,
  ringFairness,
  bigTable,
  manySetUp,
  manySetUpEach,
  manyMemory,
  manyPingEach,
  tapToTap,
  lsFifty,
  startUp,
  memory,
];

const help = `Usage: npm run bench [-- options]

Measures ours beside the originals and prints one table of medians.

  --only NAME      one row (repeatable): ${rows.map((row) => row.name).join(', ')}
  --runs N         runs per side (default: 3)
  --seconds N      seconds of each run of iperf3 (default: 3)
  --congestion CC  how iperf3's TCP controls congestion (default: cubic, as Linux does)
  --ours PATH      the vdens that is measured as ours (default: bin/vdens)
  --json FILE      write medians and samples to FILE
  --write-docs     put the table into docs/performance.md
  -h, --help       print this`;

let current: Bench | undefined;

process.exitCode = await main();

async function main(): Promise<number> {
  let values: Options;
  let options: BenchOptions;
  let chosen: readonly Row[];
  try {
    values = readOptions();
    chosen = chooseRows(values.only ?? []);
    const vdens = values.ours ?? builtVdens;
    options = {
      runs: toCount('--runs', values.runs),
      seconds: toCount('--seconds', values.seconds),
      congestion: toCongestion(values.congestion),
      vdens,
      rows: chosen.map((row) => row.name),
    };
  } catch (error) {
    console.error(`bench: ${(error as Error).message}. See: npm run bench -- --help`);
    return 2;
  }
  if (values.help === true) {
    console.log(help);
    return 0;
  }
  // Found out now rather than after all that work.
  if (values.json !== undefined && !isWritable(values.json)) {
    console.error(
      `bench: cannot write ${values.json}. Name a file where you may, for example --json /tmp/figures.json`,
    );
    return 1;
  }
  stopOnSignals();
  const notes: string[] = [];
  const measured: MeasuredRow[] = [];
  for (const row of chosen) measured.push({ row, samples: await measure(row, options, notes) });
  const report = [formatTable(measured), '', ...footer(chosen, options, notes)].join('\n');
  console.log(report);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(toJson(measured), undefined, 2)}\n`);
  if (values['write-docs'] === true) writeBetweenMarkers(join(checkout, 'docs', 'performance.md'), report);
  return 0;
}

function isWritable(file: string): boolean {
  try {
    closeSync(openSync(file, 'a'));
    return true;
  } catch {
    return false;
  }
}

interface Options {
  readonly only?: string[];
  readonly runs: string;
  readonly seconds: string;
  readonly congestion: string;
  readonly ours?: string;
  readonly json?: string;
  readonly 'write-docs'?: boolean;
  readonly help?: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
      congestion: { type: 'string', default: 'cubic' },
      ours: { type: 'string' },
      json: { type: 'string' },
      'write-docs': { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  return values;
}

function toCount(option: string, text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new Error(`${option} expects a whole number from 1, got ${JSON.stringify(text)}`);
}

function toCongestion(name: string): string {
  const known = readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8').trim().split(' ');
  if (known.includes(name)) return name;
  throw new Error(`--congestion: this kernel has no ${JSON.stringify(name)}; it has ${known.join(', ')}`);
}

function chooseRows(names: readonly string[]): readonly Row[] {
  for (const name of names) {
    if (rows.some((row) => row.name === name)) continue;
    throw new Error(`there is no row ${JSON.stringify(name)}; there are ${rows.map((row) => row.name).join(', ')}`);
  }
  return names.length === 0 ? rows : rows.filter((row) => names.includes(row.name));
}

async function measure(row: Row, options: BenchOptions, notes: string[]): Promise<MeasuredRow['samples']> {
  await using bench = createBench(options, row.name, notes);
  current = bench;
  try {
    return await row.measure(bench);
  } catch (error) {
    bench.note((error as Error).message);
    return { ours: [], original: [] };
  } finally {
    bench.progress('');
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}

/** Remarks below the table: the machine, what was not there, what failed. */
function footer(chosen: readonly Row[], options: BenchOptions, notes: readonly string[]): string[] {
  const missing = [...new Set(chosen.flatMap((row) => row.peers))].filter((peer) => original(peer) === undefined);
  const machine = `${cpus().length} CPUs (${cpus()[0]?.model.trim() ?? 'unknown'}), Node.js ${process.version}`;
  const lines = [
    `${machine}; medians of at least ${options.runs} runs, those of iperf3 of ${options.seconds} s each (TCP: ${options.congestion}), both sides in turn.`,
  ];
  lines.push(`Peers that are not installed: ${missing.length === 0 ? 'none' : missing.join(', ')}.`);
  return [...lines, ...notes.map((note) => `- ${note}`)];
}

/** Ends what the row in progress started, then this process. */
function stopOnSignals(): void {
  for (const [signal, status] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
    process.once(signal, () => {
      const exit = (): never => process.exit(status);
      Promise.resolve(current?.close()).then(exit, exit);
    });
  }
}
