/**
 * What every row of the benchmark needs: the options, processes and directories that are gone when the row is over,
 * and runs of two sides in turn.
 *
 * The machine is never quiet, so both sides run in the same minute, alternately, and medians are compared.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandOptions, checkout, type Owner, original, spawnBackground } from '../test/interop/harness.ts';

/** How much is measured, and what is taken for ours. */
export interface BenchOptions {
  /** Runs per side of the rows that take seconds. @defaultValue 3 */
  readonly runs: number;
  /** Seconds of a run of iperf3. @defaultValue 3 */
  readonly seconds: number;
  /** How iperf3's TCP controls congestion (tcp(7)). @defaultValue cubic, as Linux does */
  readonly congestion: string;
  /** The `vdens` that is measured as ours. @defaultValue bin/vdens of this checkout */
  readonly vdens: string;
  /** Names of the rows that are measured. */
  readonly rows: readonly string[];
}

/** One row's workshop. `close()` ends everything that was started through it. */
export interface Bench extends Owner, AsyncDisposable {
  readonly options: BenchOptions;
  /** Path of our `vdens`, or undefined when it is not built. */
  readonly oursVdens: string | undefined;
  /** Path of Debian's `vdens`, or undefined. */
  readonly originalVdens: string | undefined;
  /** Says what is going on, on a terminal only. */
  progress(text: string): void;
  /** Puts a remark below the table: its first line. */
  note(text: string): void;
  close(): Promise<void>;
}

/** Makes the workshop of a row. */
export function createBench(options: BenchOptions, name: string, notes: string[]): Bench {
  const releases: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let release = releases.pop(); release !== undefined; release = releases.pop()) await release();
  };
  return {
    options,
    oursVdens: isExecutable(options.vdens) ? options.vdens : undefined,
    originalVdens: original('vdens'),
    progress: (text) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${name}: ${text}`);
    },
    note: (text) => void notes.push(`${name}: ${text.split('\n', 1)[0]}`),
    after: (release) => void releases.push(release),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Takes one sample of a side. Undefined when the side cannot be measured here. */
export type Sampler = (() => Promise<number>) | undefined;

/**
 * Takes `runs` samples of each side in turn, in alternating order. A side without a sampler has no samples; one
 * that fails is noted and not tried again.
 */
export async function interleave<Side extends string>(
  bench: Bench,
  runs: number,
  sides: Readonly<Record<Side, Sampler>>,
): Promise<Record<Side, readonly number[]>> {
  const names = Object.keys(sides) as Side[];
  const samples = Object.fromEntries(names.map((side) => [side, []])) as unknown as Record<Side, number[]>;
  const broken = new Set<Side>();
  for (let run = 0; run < runs; run += 1) {
    for (const side of run % 2 === 0 ? names.toReversed() : names) {
      const measure = sides[side];
      if (measure === undefined || broken.has(side)) continue;
      bench.progress(`${side}, run ${run + 1} of ${runs}`);
      try {
        samples[side].push(await measure());
      } catch (error) {
        broken.add(side);
        bench.note(`${side} failed: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  return samples;
}

/** An owner that is over before its bench is: at the end of its block, or with the bench when that is interrupted. */
export function openScope(bench: Bench): Owner & AsyncDisposable {
  const releases: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let release = releases.pop(); release !== undefined; release = releases.pop()) await release();
  };
  bench.after(close);
  return { after: (release) => void releases.push(release), [Symbol.asyncDispose]: close };
}

/** Opens what a side needs. One that does not start is noted and left out. */
export async function openSide<T>(bench: Bench, side: string, open: () => Promise<T>): Promise<T | undefined> {
  try {
    return await open();
  } catch (error) {
    bench.note(`${side} did not start: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

/** An iperf3 that sends over TCP for as long as the options say; {@link findIperfResult} reads what it prints. */
export function iperfTcp(bench: Bench, address: string): string[] {
  return [...iperfClient(bench, address), '--congestion', bench.options.congestion];
}

/** The same of datagrams, as many as it can send; {@link findIperfEnd} reads what it prints. */
export function iperfFlood(bench: Bench, address: string, payloadBytes: number): string[] {
  return [...iperfClient(bench, address), '--udp', '--length', `${payloadBytes}`, '--bitrate', '0'];
}

function iperfClient(bench: Bench, address: string): string[] {
  return ['iperf3', '--client', address, '--time', `${bench.options.seconds}`, '--json'];
}

/** How long a run of iperf3 may take, in milliseconds. */
export function iperfTimeoutMs(bench: Bench): number {
  return bench.options.seconds * 1000 + 20_000;
}

/**
 * Runs a program until `find` finds what it looks for in its output, and ends it: that it prints is enough, because
 * the original `vdens` sometimes does not exit when its command has.
 */
export async function readFrom<T>(
  owner: Owner,
  argv: readonly string[],
  find: (output: string) => T | undefined,
  timeoutMs: number,
  options: CommandOptions = {},
): Promise<T> {
  const owned: { release?: () => void | Promise<void> } = {};
  const end = async (): Promise<void> => {
    const { release } = owned;
    delete owned.release; // Once: the process id may belong to somebody else later.
    await release?.();
  };
  owner.after(end); // For a benchmark that is interrupted.
  const holder: Owner = {
    after: (release) => {
      owned.release = release;
    },
  };
  const running = await spawnBackground(holder, argv, options);
  try {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const isLast = running.hasExited() || performance.now() > deadline;
      if (isLast) await sleep(50); // What it printed last may still be on its way.
      const found = find(running.output());
      if (found !== undefined) return found;
      if (isLast) throw new Error(`no result: ${lastWords(argv, running.output())}`);
      await sleep(20);
    }
  } finally {
    await end();
  }
}

/** What a program that failed printed last, or its name. */
export function lastWords(argv: readonly string[], output: string): string {
  return output.trim().split('\n').at(-1) || `${argv.join(' ')} printed nothing`;
}

/** The result in the output of `iperf3 --json`: what the receiver got, in Gbit/s. Undefined until it is complete. */
export function findIperfResult(output: string): number | undefined {
  const rate = findIperfEnd(output)?.sum_received?.bits_per_second;
  return rate === undefined ? undefined : rate / 1e9;
}

/** What iperf3 counted of a whole run, at the end of its report. */
export interface IperfEnd {
  readonly sum_sent?: { readonly seconds: number };
  readonly sum_received?: { readonly bytes: number; readonly bits_per_second: number };
}

/** The end of the report in the output of `iperf3 --json`. Undefined until it is complete. */
export function findIperfEnd(output: string): IperfEnd | undefined {
  const start = output.indexOf('{');
  const end = output.lastIndexOf('\n}');
  if (start === -1 || end === -1) return undefined;
  const report = JSON.parse(output.slice(start, end + 2)) as { readonly error?: string; readonly end?: IperfEnd };
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  return report.end;
}

/** Peak of the resident memory of a process so far, in MiB (`VmHWM` of proc(5)). */
export function peakMemoryMiB(pid: number): number {
  const kibibytes = readFileSync(`/proc/${pid}/status`, 'latin1').match(/^VmHWM:\s+(\d+) kB$/m)?.[1];
  if (kibibytes === undefined) throw new Error(`process ${pid} has no VmHWM: it has ended`);
  return Number(kibibytes) / 1024;
}

/** Our `vdens`, where the build puts it. */
export const builtVdens: string = join(checkout, 'bin', 'vdens');

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
