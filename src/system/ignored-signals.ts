/**
 * Signals that this process ignores since it was started, as after nohup(1). Node.js resets them for the
 * processes it starts, so they have to be handed on.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/** A bit mask: signal n is bit n - 1, as in proc(5). SIGPIPE, which Node.js ignores for itself, is left out. */
export function ignoredSignals(): bigint {
  const line = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  const mask = BigInt(`0x${line?.[1] ?? '0'}`);
  return mask & ~bit(constants.signals.SIGPIPE);
}

/** Whether this process ignores the signal since it was started. */
export function isIgnored(signal: NodeJS.Signals): boolean {
  return (ignoredSignals() & bit(constants.signals[signal])) !== 0n;
}

function bit(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}
