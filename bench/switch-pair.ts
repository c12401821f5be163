/**
 * Two `vdens` on one original switch, the set-up of several rows:
 *
 *     [client 10.98.0.1] ── vde_switch ── [server 10.98.0.2, iperf3 -s]
 *
 * Both are the same `vdens`, ours or the original; addresses are set from inside for both alike.
 */

import { original, spawnBackground } from '../test/interop/harness.ts';
import { startSwitch } from '../test/interop/original-switch.ts';
import { inNamespace } from '../test/interop/original-vdens.ts';
import type { Bench } from './harness.ts';

/** A running pair: the server is there, a client comes for every run. */
export interface SwitchPair {
  /** Process id of the server's `vdens`. */
  readonly serverPid: number;
  /** Address of the server. */
  readonly serverAddress: string;
  /** Arguments that run a command at the client's end. */
  client(...command: readonly string[]): string[];
}

/** Commands that the pair needs, besides `vdens`. */
export const switchPairCommands: readonly string[] = ['vde_switch', 'ip', 'iperf3'];

/** Starts the switch and the server; undefined when `vdens` or another command of the pair is not there. */
export async function openSwitchPair(bench: Bench, vdens: string | undefined): Promise<SwitchPair | undefined> {
  if (vdens === undefined || switchPairCommands.some((command) => original(command) === undefined)) return undefined;
  const lan = await startSwitch(bench);
  const server = ['iperf3', '--server', '--forceflush'];
  const argv = inNamespace({ vdens, network: lan.path, address: '10.98.0.2/24', command: server, isQuiet: true });
  const running = await spawnBackground(bench, argv);
  await running.waitForOutput(/Server listening/);
  return {
    serverPid: running.pid,
    serverAddress: '10.98.0.2',
    client: (...command) => inNamespace({ vdens, network: lan.path, address: '10.98.0.1/24', command, isQuiet: true }),
  };
}

/** {@link openSwitchPair} for both sides; one that does not start is noted and left out. */
export async function openBothPairs(
  bench: Bench,
): Promise<{ readonly ours: SwitchPair | undefined; readonly original: SwitchPair | undefined }> {
  const open = async (side: string, vdens: string | undefined): Promise<SwitchPair | undefined> =>
    await openSwitchPair(bench, vdens).catch((error: Error) => {
      bench.note(`${side} did not start: ${error.message}`);
      return undefined;
    });
  return { ours: await open('ours', bench.oursVdens), original: await open('original', bench.originalVdens) };
}
