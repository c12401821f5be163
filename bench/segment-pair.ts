/**
 * Two `vdens` on one segment, the set-up of most rows:
 *
 *     [client 10.98.0.1] ── segment ── [server 10.98.0.2, iperf3 -s]
 *
 * Both are the same `vdens`, ours or the original; addresses are set from inside for both alike. Who serves the
 * segment is the row's choice: a program of its own, or the server of the pair, as with `switch://` and `ptp://`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryDirectory, type Owner, original, spawnBackground, waitFor } from '../test/interop/harness.ts';
import { startSwitch } from '../test/interop/original-switch.ts';
import { inNamespace, type NamespaceCommand } from '../test/interop/original-vdens.ts';
import { startOurSwitch } from '../test/interop/our-switch.ts';
import {
  type Bench,
  findIperfResult,
  iperfTcp,
  iperfTimeoutMs,
  lastWords,
  openScope,
  openSide,
  readFrom,
  type Sampler,
} from './harness.ts';
import { findMedianRoundTrip, PING_TIMEOUT_MS, pingCommand } from './ping.ts';

/** A running pair: the server is there, a client comes for every run. */
export interface SegmentPair {
  /** Process id of the server's `vdens`. */
  readonly serverPid: number;
  /** Runs a command at the client's end until `find` finds what it looks for in its output. */
  read<T>(command: readonly string[], find: (output: string) => T | undefined, timeoutMs: number): Promise<T>;
}

/** One end of a pair: makes the arguments that run a command there, on the segment and with an address. */
export type End = (command: readonly string[]) => string[];

/** Who is on which segment. */
export interface PairEnds {
  readonly server: End;
  readonly client: End;
  /** Variables on top of the benchmark's environment, for both ends. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Address of the server of a pair. */
export const SERVER = '10.98.0.2';
/** Addresses of the ends, with prefix lengths. */
export const END_ADDRESSES: { readonly client: string; readonly server: string } = {
  client: '10.98.0.1/24',
  server: `${SERVER}/24`,
};

/** Commands that a pair needs, besides `vdens`. */
export const pairCommands: readonly string[] = ['ip', 'iperf3'];

/** An end that is a `vdens`. */
export function vdensEnd(what: Omit<NamespaceCommand, 'command' | 'isQuiet'>): End {
  return (command) => inNamespace({ ...what, command, isQuiet: true });
}

/** Two of the same `vdens` on one network, such as a directory or `switch://PATH`. */
export function twoOf(vdens: string, network: string): PairEnds {
  return {
    server: vdensEnd({ vdens, network, address: END_ADDRESSES.server }),
    client: vdensEnd({ vdens, network, address: END_ADDRESSES.client }),
  };
}

/** Starts the server's end. */
export async function openPair(owner: Owner, { server, client, env = {} }: PairEnds): Promise<SegmentPair> {
  const argv = server(['iperf3', '--server', '--forceflush']);
  const serving = await spawnBackground(owner, argv, { env });
  await waitFor(
    () => {
      if (serving.hasExited()) throw new Error(lastWords(argv, serving.output()));
      return serving.output().includes('Server listening');
    },
    10_000,
    'the server of a pair',
  );
  return {
    serverPid: serving.pid,
    read: async (command, find, timeoutMs) => await readFrom(owner, client(command), find, timeoutMs, { env }),
  };
}

/** Makes a pair, for a side of a row; it is gone when the owner is over. */
export type PairOpener = (owner: Owner) => Promise<SegmentPair>;

/** Two of ours on one `switch://`, which the pair's server serves. Undefined when `vdens` is not built. */
export function oursOnSwitch(bench: Bench, env: Readonly<Record<string, string>> = {}): PairOpener | undefined {
  const vdens = bench.oursVdens;
  if (!isPossible(vdens)) return undefined;
  return (owner) => openPair(owner, { ...twoOf(vdens, `switch://${freshPath(owner)}`), env });
}

/** Two on an original `vde_switch` of their own. Undefined when `vdens` or the switch is not there. */
export function onVdeSwitch(vdens: string | undefined): PairOpener | undefined {
  if (!isPossible(vdens, 'vde_switch')) return undefined;
  return async (owner) => await openPair(owner, twoOf(vdens, (await startSwitch(owner)).path));
}

/** Two originals on the original `switch://` plug, which a program of its own serves. */
export function originalsOnSwitchPlug(bench: Bench): PairOpener | undefined {
  const vdens = bench.originalVdens;
  const plug = original('vde_plug');
  if (!isPossible(vdens, 'vde_plug') || plug === undefined) return undefined;
  return async (owner) => {
    const path = freshPath(owner);
    await spawnBackground(owner, [plug, 'null://', `switch://${path}`]);
    await waitFor(() => existsSync(join(path, 'ctl')), 5000, 'the socket of the original switch://');
    return await openPair(owner, twoOf(vdens, path));
  };
}

/** Two originals on a `switch://` of ours, which a `vdens` of ours serves that takes no part itself. */
export function originalsOnOurs(bench: Bench): PairOpener | undefined {
  const vdens = bench.originalVdens;
  const serving = bench.oursVdens;
  if (!isPossible(vdens) || serving === undefined) return undefined;
  return async (owner) => {
    const { path } = await startOurSwitch(owner, { vdens: serving });
    return await openPair(owner, twoOf(vdens, path));
  };
}

/** What is measured of a pair: a command at the client's end, and the figure in its output. */
export interface Reading {
  readonly command: readonly string[];
  readonly find: (output: string) => number | undefined;
  readonly timeoutMs: number;
}

/** TCP throughput, in Gbit/s. */
export function throughput(bench: Bench): Reading {
  return { command: iperfTcp(bench, SERVER), find: findIperfResult, timeoutMs: iperfTimeoutMs(bench) };
}

/** The median round trip of many pings, in milliseconds. */
export const roundTrip: Reading = {
  command: pingCommand(SERVER),
  find: findMedianRoundTrip,
  timeoutMs: PING_TIMEOUT_MS,
};

/** Opens a pair and answers what takes its samples; undefined when there is no pair. */
export async function samplerOf(
  bench: Bench,
  side: string,
  open: PairOpener | undefined,
  { command, find, timeoutMs }: Reading,
): Promise<Sampler> {
  const pair = open === undefined ? undefined : await openSide(bench, side, () => open(bench));
  return pair && (() => pair.read(command, find, timeoutMs));
}

/** As {@link samplerOf}, with a new pair for every sample. */
export function freshSamplerOf(
  bench: Bench,
  open: PairOpener | undefined,
  { command, find, timeoutMs }: Reading,
): Sampler {
  if (open === undefined) return undefined;
  return async () => {
    await using run = openScope(bench);
    const pair = await open(run);
    return await pair.read(command, find, timeoutMs);
  };
}

/** As {@link samplerOf}, of {@link throughput}. */
export async function throughputOf(bench: Bench, side: string, open: PairOpener | undefined): Promise<Sampler> {
  return await samplerOf(bench, side, open, throughput(bench));
}

/** As {@link samplerOf}, of {@link roundTrip}. */
export async function roundTripOf(bench: Bench, side: string, open: PairOpener | undefined): Promise<Sampler> {
  return await samplerOf(bench, side, open, roundTrip);
}

/** A path where a segment may be made. */
export function freshPath(owner: Owner): string {
  return join(makeTemporaryDirectory(owner), 's');
}

/** Whether a pair of this `vdens` can be made, with these commands besides its own. */
export function isPossible(vdens: string | undefined, ...commands: readonly string[]): vdens is string {
  return vdens !== undefined && [...pairCommands, ...commands].every((command) => original(command) !== undefined);
}
