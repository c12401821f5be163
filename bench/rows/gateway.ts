/**
 * The way out: `slirp://` of ours beside the original one, slirp4netns and pasta, all with a guest on the same test
 * host and the servers on its loopback address (bench/ways-out.ts).
 *
 * The rows of one measurement share its samples: all ways that they compare take turns in it.
 */
import { join } from 'node:path';
import { BadLine } from '../../test/fixtures/bad-line-transfer.ts';
import type { GatewayLab } from '../../test/fixtures/gateway-lab.ts';
import { HOST } from '../../test/fixtures/gateway-lab.ts';
import type { Owner } from '../../test/interop/harness.ts';
import { original } from '../../test/interop/harness.ts';
import {
  type Bench,
  findIperfEnd,
  findIperfResult,
  interleave,
  iperfFlood,
  iperfTcp,
  iperfTimeoutMs,
  openScope,
  openSide,
  peakMemoryMiB,
  type Sampler,
} from '../harness.ts';
import { findMedianRoundTrip, leastPingRuns, PING_TIMEOUT_MS, pingCommand } from '../ping.ts';
import { below, type Goal, type Row, ratioAtLeast, ratioAtMost, type Samples } from '../row.ts';
import {
  NAME_SERVER_ADDRESS,
  openHost,
  openWay,
  programOf,
  SERVER_ADDRESS,
  type WayKind,
  type WayOut,
  type WayServers,
  WEB_PORT,
  wayCommands,
  wayKinds,
  writeQueries,
} from '../ways-out.ts';

/** Bytes of a datagram of the row about packets. */
const DATAGRAM_BYTES = 64;
/** Connections of ab(1) at a time, and queries of dnsperf(1). */
const AT_ONCE = 50;
const FLOWS = 1000;
const FLOWS_PORT = 9000;
const FLOW_BUFFERS = `cd /proc/sys/net/ipv4; echo 4096 16384 262144 > tcp_wmem; echo 4096 131072 524288 > tcp_rmem`;
/** What a row about correctness sends each way, and how much of a thousand frames a bad cable loses, delays and repeats. */
const INTEGRITY_BYTES = 2 ** 30;
const FAULTS_PER_MILLE = 5;
/** Until a sender has found its pace over a long way, in seconds. */
const OMITTED_SECONDS = 3;

/** Something that is measured of each way. */
interface Measurement {
  /** What the table calls it. */
  readonly title: string;
  readonly unit: Row['unit'];
  readonly servers: WayServers;
  readonly commands: readonly string[];
  /** The delay between guest and gateway, each way, in milliseconds. */
  readonly delayMs?: number;
  readonly leastRuns?: number;
  sample(bench: Bench, owner: Owner, way: WayOut): Promise<number>;
}

function iperf(title: string, words: readonly string[], delayMs?: number): Measurement {
  return {
    title,
    unit: 'Gbit/s',
    servers: { iperf: true },
    commands: ['iperf3'],
    ...(delayMs === undefined ? {} : { delayMs }),
    sample: async (bench, _owner, way) => {
      const omitted = delayMs === undefined ? [] : ['--omit', `${OMITTED_SECONDS}`];
      const command = [...iperfTcp(bench, SERVER_ADDRESS), ...words, ...omitted];
      return await way.read(command, findIperfResult, iperfTimeoutMs(bench) + OMITTED_SECONDS * 1000);
    },
  };
}

function datagrams(title: string, words: readonly string[]): Measurement {
  return {
    title,
    unit: 'packets/s',
    servers: { iperf: true },
    commands: ['iperf3'],
    sample: async (bench, _owner, way) => {
      const command = [...iperfFlood(bench, SERVER_ADDRESS, DATAGRAM_BYTES), ...words];
      return await way.read(command, findArrivals, iperfTimeoutMs(bench));
    },
  };
}

/** Datagrams received in each second that was sent. */
function findArrivals(output: string): number | undefined {
  const { sum_sent: sent, sum_received: received } = findIperfEnd(output) ?? {};
  return sent && received && received.bytes / DATAGRAM_BYTES / sent.seconds;
}

function findNumber(pattern: RegExp): (output: string) => number | undefined {
  return (output) => {
    const found = pattern.exec(output)?.[1];
    return found === undefined ? undefined : Number(found);
  };
}

const measurements = {
  out: iperf('TCP, guest to host through slirp://', []),
  in: iperf('TCP, host to guest through slirp://', ['--reverse']),
  'out-20ms': iperf('TCP, guest to host, 20 ms away', [], 10),
  'in-20ms': iperf('TCP, host to guest, 20 ms away', ['--reverse'], 10),
  'out-100ms': iperf('TCP, guest to host, 100 ms away', [], 50),
  'in-100ms': iperf('TCP, host to guest, 100 ms away', ['--reverse'], 50),
  packets: datagrams('UDP of 64 bytes, guest to host', []),
  'packets-in': datagrams('UDP of 64 bytes, host to guest', ['--reverse']),
  connections: {
    title: 'short HTTP connections through slirp://',
    unit: 'connections/s',
    servers: { web: true },
    commands: ['ab', 'nginx'],
    sample: async ({ options }, _owner, way) => {
      const words = ['-q', '-r', '-t', `${options.seconds}`, '-n', '1000000', '-c', `${AT_ONCE}`];
      const command = ['ab', ...words, `http://${SERVER_ADDRESS}:${WEB_PORT}/`];
      return await way.read(command, findConnections, options.seconds * 1000 + 30_000);
    },
  },
  queries: {
    title: 'DNS queries through slirp://',
    unit: 'queries/s',
    servers: { names: true },
    commands: ['dnsperf', 'dnsmasq'],
    sample: async ({ options }, owner, way) => {
      const words = [
        '-s',
        NAME_SERVER_ADDRESS,
        '-d',
        writeQueries(owner),
        '-l',
        `${options.seconds}`,
        '-q',
        `${AT_ONCE}`,
      ];
      return await way.read(['dnsperf', ...words], findQueries, options.seconds * 1000 + 30_000);
    },
  },
  ping: {
    title: 'ping of the host through slirp://',
    unit: 'ms',
    servers: {},
    commands: ['ping'],
    leastRuns: leastPingRuns,
    sample: async (_bench, _owner, way) => await way.read(pingCommand(HOST.v4), findMedianRoundTrip, PING_TIMEOUT_MS),
  },
} satisfies Record<string, Measurement>;

type MeasurementName = keyof typeof measurements;

/** Requests in a second; when some failed, that is no figure. */
function findConnections(output: string): number | undefined {
  const failed = /^Failed requests:\s+([1-9]\d*)$/m.exec(output)?.[1];
  if (failed !== undefined) throw new Error(`${failed} HTTP requests failed`);
  return findNumber(/^Requests per second:\s+([\d.]+)/m)(output);
}

function findQueries(output: string): number | undefined {
  const lost = Number(/Queries lost:\s+\d+ \(([\d.]+)%\)/.exec(output)?.[1] ?? 0);
  if (lost > 5) throw new Error(`${lost} % of the queries had no answer`);
  return findNumber(/Queries per second:\s+([\d.]+)/)(output);
}

/** What a row compares. */
interface Comparison {
  readonly measurement: MeasurementName;
  readonly beside: WayKind;
  readonly goal: Goal;
}

const throughputs: readonly Comparison[] = [
  { measurement: 'out', beside: 'original', goal: ratioAtLeast(8) },
  { measurement: 'in', beside: 'original', goal: ratioAtLeast(6) },
  ...(['out', 'in'] as const).flatMap((measurement): Comparison[] => [
    { measurement, beside: 'slirp4netns-1500', goal: ratioAtLeast(2) },
    { measurement, beside: 'slirp4netns-65520', goal: ratioAtLeast(2) },
    { measurement, beside: 'pasta-1500', goal: ratioAtLeast(1) },
    { measurement, beside: 'pasta-65520', goal: ratioAtLeast(1) },
  ]),
  ...(['out-20ms', 'in-20ms'] as const).map(
    (measurement): Comparison => ({ measurement, beside: 'original', goal: ratioAtLeast(1) }),
  ),
  ...(['out-100ms', 'in-100ms'] as const).map(
    (measurement): Comparison => ({ measurement, beside: 'original', goal: ratioAtLeast(10) }),
  ),
];

const others = (['connections', 'queries', 'packets', 'packets-in', 'ping'] as const).flatMap((measurement) =>
  (['original', 'slirp4netns-65520', 'pasta-65520'] as const).map(
    (beside): Comparison => ({
      measurement,
      beside,
      goal: measurement === 'ping' ? ratioAtMost(1) : ratioAtLeast(1),
    }),
  ),
);

const comparisons: readonly Comparison[] = [...throughputs, ...others];

function nameOf({ measurement, beside }: Comparison): string {
  return beside === 'original' ? `gateway-${measurement}` : `gateway-${measurement}-${beside}`;
}

export const gatewayRows: readonly Row[] = comparisons.map((comparison) => {
  const { measurement, beside, goal } = comparison;
  const { title, unit, commands }: Measurement = measurements[measurement];
  const program = beside === 'original' ? ['vdens', 'vde_plug'] : [beside.replace(/-\d+$/, '')];
  return {
    name: nameOf(comparison),
    title: beside === 'original' ? title : `${title}, beside ${beside.replace('-', ', MTU ')}`,
    unit,
    goal,
    peers: [...program, ...wayCommands, ...commands],
    measure: async (bench): Promise<Samples> => {
      const samples = await samplesOf(bench, measurement);
      return { ours: samples.ours, original: samples[beside] };
    },
  };
});

/** The samples of each measurement, once the first of its rows has been measured. */
const measured = new Map<MeasurementName, Promise<Record<WayKind, readonly number[]>>>();

function samplesOf(bench: Bench, name: MeasurementName): Promise<Record<WayKind, readonly number[]>> {
  const found = measured.get(name) ?? measureAll(bench, name);
  measured.set(name, found);
  return found;
}

/** Measures the ways that the chosen rows compare. */
async function measureAll(bench: Bench, name: MeasurementName): Promise<Record<WayKind, readonly number[]>> {
  const measurement: Measurement = measurements[name];
  const chosen = comparisons.filter((row) => row.measurement === name && bench.options.rows.includes(nameOf(row)));
  const needed = new Set<WayKind>(['ours', ...chosen.map(({ beside }) => beside)]);
  const isPossible = [...wayCommands, ...measurement.commands].every((command) => original(command) !== undefined);
  const samplerOf = (kind: WayKind): Sampler =>
    isPossible && needed.has(kind) && programOf(bench, kind) !== undefined
      ? sampler(bench, measurement, kind)
      : undefined;
  const samplers = Object.fromEntries(wayKinds.map((kind) => [kind, samplerOf(kind)])) as Record<WayKind, Sampler>;
  return await interleave(bench, Math.max(bench.options.runs, measurement.leastRuns ?? 1), samplers);
}

/** A host and a guest of its own for each sample: what one run left behind does not slow down the next. */
function sampler(bench: Bench, measurement: Measurement, kind: WayKind): Sampler {
  return async () => {
    await using run = openScope(bench);
    const lab = await openHost(run, measurement.servers);
    const { delayMs } = measurement;
    const way = await openWay(bench, run, lab, kind, delayMs === undefined ? {} : { delayMs });
    return await measurement.sample(bench, run, way);
  };
}

/** Bytes per second of each of {@link FLOWS} connections, and the memory of the gateway after it. */
async function manyFlows(bench: Bench, owner: Owner): Promise<{ rates: readonly number[]; peakMiB: number }> {
  const lab: GatewayLab = await openHost(owner, {});
  // Else the buffers of so many sockets are more than the kernel has for all, and who gets none is left to chance.
  await lab.host.must(FLOW_BUFFERS);
  const program = join(import.meta.dirname, '..', 'flows.js');
  const server = await lab.host.spawn([process.execPath, program, 'serve', `${FLOWS_PORT}`]);
  await server.waitForOutput(/^listening$/m);
  const way = await openWay(bench, owner, lab, 'ours');
  const words = ['take', SERVER_ADDRESS, `${FLOWS_PORT}`, `${FLOWS}`, `${bench.options.seconds}`];
  const find = (output: string): number[] | undefined => {
    const line = /^\[.*\]$/m.exec(output)?.[0];
    return line === undefined ? undefined : (JSON.parse(line) as number[]);
  };
  const rates = await way.read([process.execPath, program, ...words], find, bench.options.seconds * 1000 + 60_000);
  return { rates, peakMiB: peakMemoryMiB(way.pid) };
}

let flowsMeasured: Promise<readonly { rates: readonly number[]; peakMiB: number }[]> | undefined;

async function measureFlows(bench: Bench): Promise<readonly { rates: readonly number[]; peakMiB: number }[]> {
  const results: { rates: readonly number[]; peakMiB: number }[] = [];
  for (let run = 0; run < bench.options.runs && bench.oursVdens !== undefined; run++) {
    bench.progress(`run ${run + 1} of ${bench.options.runs}`);
    await using scope = openScope(bench);
    const result = await openSide(bench, 'ours', () => manyFlows(bench, scope));
    if (result !== undefined) results.push(result);
  }
  return results;
}

export const gatewayFlows: Row = {
  name: 'gateway-flows',
  title: `TCP, the slowest of ${FLOWS} flows through slirp://, beside their mean`,
  unit: 'Mbit/s',
  goal: ratioAtLeast(0.2),
  peers: wayCommands,
  measure: async (bench) => {
    flowsMeasured ??= measureFlows(bench);
    const results = await flowsMeasured;
    const megabits = (rate: number): number => (rate * 8) / 1e6;
    return {
      ours: results.map(({ rates }) => megabits(Math.min(...rates))),
      original: results.map(({ rates }) => megabits(rates.reduce((sum, rate) => sum + rate, 0) / rates.length)),
    };
  },
};

export const gatewayMemory: Row = {
  name: 'gateway-memory',
  title: `peak memory of the vdens with these ${FLOWS} flows`,
  unit: 'MiB',
  goal: below(150, 'MiB'),
  peers: wayCommands,
  measure: async (bench) => {
    flowsMeasured ??= measureFlows(bench);
    return { ours: (await flowsMeasured).map(({ peakMiB }) => peakMiB), original: [] };
  },
};

/** Once, whatever the number of runs: it takes minutes, and it is the sums that count. */
export const gatewayIntegrity: Row = {
  name: 'gateway-integrity',
  title: `TCP through slirp://, 1 GiB each way, ${FAULTS_PER_MILLE} of 1000 frames lost, as many late, as many twice`,
  unit: 'Mbit/s',
  goal: { text: 'sums agree', isMet: (ours) => ours !== undefined },
  peers: [],
  measure: async (bench) => {
    await using scope = openScope(bench);
    const send = async (): Promise<number> => {
      const line = await BadLine.open(scope, FAULTS_PER_MILLE);
      bench.progress('to the host');
      const out = await line.transfer('host', INTEGRITY_BYTES);
      bench.progress('to the guest');
      return (2 * INTEGRITY_BYTES * 8) / 1e6 / (out + (await line.transfer('guest', INTEGRITY_BYTES)));
    };
    const rate = await openSide(bench, 'ours', send);
    return { ours: rate === undefined ? [] : [rate], original: [] };
  },
};
