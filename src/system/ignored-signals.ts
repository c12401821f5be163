/**
 * Signals that this process ignores and that the processes it starts are to ignore, too. Node.js resets them for
 * those, so they have to be handed on.
 *
 * Those that Node.js was started with, as after nohup(1), are not among them: it resets them at its own start. The
 * command `vdens` looks them up before (bin/vdens) and hands them on in its environment.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/** A bit mask: signal n is bit n - 1, as in proc(5). What Node.js ignores for itself is left out. */
export function ignoredSignals(): bigint {
  const line = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  const mask = BigInt(`0x${line?.[1] ?? '0'}`);
  return mask & ~signalBit(constants.signals.SIGPIPE) & ~signalBit(constants.signals.SIGXFSZ);
}

/**
 * Whether this process was started with the signal ignored, as by nohup(1) or in the background of a script: it shall
 * not act on it. The files in bin/ look it up.
 */
export function wasIgnored(signal: NodeJS.Signals): boolean {
  return (initiallyIgnoredSignals() & signalBit(constants.signals[signal])) !== 0n;
}

/** Every signal that this process was started with as ignored, as a bit mask like the above. */
export function initiallyIgnoredSignals(): bigint {
  const { VDENS_IGNORED_SIGNALS: mask = '' } = process.env;
  return /^[0-9a-f]{1,16}$/i.test(mask) ? BigInt(`0x${mask}`) : 0n;
}

function signalBit(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}
