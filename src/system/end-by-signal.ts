/** Ending by a signal: whoever waits for us, such as a script, sees that we were interrupted. */
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a signal that we send to ourselves may take, in milliseconds. */
const SELF_SIGNAL_MS = 1000;

/**
 * Ends this process by a signal.
 *
 * @returns the exit status to end with when that did not end us: as a shell has it
 */
export async function endBySignal(signal: NodeJS.Signals): Promise<number> {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  await sleep(SELF_SIGNAL_MS);
  return 128 + constants.signals[signal];
}
