/** Signals that say nothing to our daemons: the originals go on, Node.js would be ended and leave its names behind. */
const MEANINGLESS_SIGNALS = ['SIGALRM', 'SIGUSR2', 'SIGVTALRM', 'SIGPROF', 'SIGIO', 'SIGPWR', 'SIGSTKFLT'] as const;

/** Lets this process go on when one of them comes. */
export function disregardMeaninglessSignals(): void {
  for (const signal of MEANINGLESS_SIGNALS) process.on(signal, () => undefined);
}
