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
import { inNamespace } from '../test/interop/original-vdens.ts';
import { startOurSwitch } from '../test/interop/our-switch.ts';
import { type Bench, findIperfResult, iperfClient, iperfTimeoutMs, openSide, readFrom } from './harness.ts';
import { findMedianRoundTrip, PING_TIMEOUT_MS, pingCommand } from './ping.ts';

/** A running pair: the server is there, a client comes for every run. */
export interface SegmentPair {
  /** Process id of the server's `vdens`. */
  readonly serverPid: number;
  /** Runs a command at the client's end until `find` finds what it looks for in its output. */
  read<T>(command: readonly string[], find: (output: string) => T | undefined, timeoutMs: number): Promise<T>;
}

/** Who is on which segment. */
export interface SegmentPairOptions {
  readonly vdens: string;
  /** The network of both ends, such as a directory or `switch://PATH`. */
  readonly network: string;
  /** Variables on top of the benchmark's environment, for both ends. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Address of the server of a pair. */
export const SERVER = '10.98.0.2';

/** Commands that a pair needs, besides `vdens`. */
export const pairCommands: readonly string[] = ['ip', 'iperf3'];

/** Starts the server's end. */
export async function openPair(
  bench: Bench,
  { vdens, network, env = {} }: SegmentPairOptions,
  owner: Owner = bench,
): Promise<SegmentPair> {
  const command = ['iperf3', '--server', '--forceflush'];
  const address = `${SERVER}/24`;
  const server = await spawnBackground(owner, inNamespace({ vdens, network, address, command, isQuiet: true }), {
    env,
  });
  await server.waitForOutput(/Server listening/);
  return {
    serverPid: server.pid,
    read: async (command, find, timeoutMs) => {
      const argv = inNamespace({ vdens, network, address: '10.98.0.1/24', command, isQuiet: true });
      return await readFrom(bench, argv, find, timeoutMs, { env });
    },
  };
}

/** What makes a pair, for the two sides of a row. */
export type PairOpener = () => Promise<SegmentPair>;

/** Two of ours on one `switch://`, which the pair's server serves. Undefined when `vdens` is not built. */
export function oursOnSwitch(bench: Bench, env: Readonly<Record<string, string>> = {}): PairOpener | undefined {
  const vdens = bench.oursVdens;
  if (!isPossible(vdens)) return undefined;
  return () => openPair(bench, { vdens, network: `switch://${freshPath(bench)}`, env });
}

/** Two on an original `vde_switch` of their own. Undefined when `vdens` or the switch is not there. */
export function onVdeSwitch(bench: Bench, vdens: string | undefined): PairOpener | undefined {
  if (!isPossible(vdens, 'vde_switch')) return undefined;
  return async () => await openPair(bench, { vdens, network: (await startSwitch(bench)).path });
}

/** Two originals on the original `switch://` plug, which a program of its own serves. */
export function originalsOnSwitchPlug(bench: Bench): PairOpener | undefined {
  const vdens = bench.originalVdens;
  const plug = original('vde_plug');
  if (!isPossible(vdens, 'vde_plug') || plug === undefined) return undefined;
  return async () => {
    const path = freshPath(bench);
    await spawnBackground(bench, [plug, 'null://', `switch://${path}`]);
    await waitFor(() => existsSync(join(path, 'ctl')), 5000, 'the socket of the original switch://');
    return await openPair(bench, { vdens, network: path });
  };
}

/** Two originals on a `switch://` of ours, which a `vdens` of ours serves that takes no part itself. */
export function originalsOnOurs(bench: Bench): PairOpener | undefined {
  const vdens = bench.originalVdens;
  const serving = bench.oursVdens;
  if (!isPossible(vdens) || serving === undefined) return undefined;
  return async () => {
    const { path } = await startOurSwitch(bench, { vdens: serving });
    return await openPair(bench, { vdens, network: path });
  };
}

/** Opens a pair and answers the measurement of its TCP throughput, in Gbit/s; undefined when there is no pair. */
export async function throughputOf(
  bench: Bench,
  side: string,
  open: PairOpener | undefined,
): Promise<(() => Promise<number>) | undefined> {
  const pair = open === undefined ? undefined : await openSide(bench, side, open);
  if (pair === undefined) return undefined;
  return () => pair.read(iperfClient(bench, SERVER), findIperfResult, iperfTimeoutMs(bench));
}

/** As {@link throughputOf}, for the median round trip of many pings, in milliseconds. */
export async function roundTripOf(
  bench: Bench,
  side: string,
  open: PairOpener | undefined,
): Promise<(() => Promise<number>) | undefined> {
  const pair = open === undefined ? undefined : await openSide(bench, side, open);
  return pair && (() => pair.read(pingCommand(SERVER), findMedianRoundTrip, PING_TIMEOUT_MS));
}

/** A path where a segment may be made. */
export function freshPath(owner: Owner): string {
  return join(makeTemporaryDirectory(owner), 's');
}

/** Whether a pair of this `vdens` can be made, with these commands besides its own. */
export function isPossible(vdens: string | undefined, ...commands: readonly string[]): vdens is string {
  return vdens !== undefined && [...pairCommands, ...commands].every((command) => original(command) !== undefined);
}
