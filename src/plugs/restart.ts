/**
 * `restart://`: another network, opened again when it goes away, whatever kind it is.
 *
 * Many networks here do that by themselves; this does it for the others (an interface that was deleted, a wire, a
 * gateway), and for the whole of what is inside each other. The original sends a frame of one byte when it had none
 * to send for some time, to learn whether anybody is there: that is not needed here, where the end of a network is told.
 */
import { HealingPlug } from './healing.ts';
import type { Plug } from './plug.ts';

/** As the original has it, in seconds. */
const RESTART_SECONDS = 20;

/** How a network is opened. */
export interface RestartOptions {
  /** The longest pause between two tries, in seconds. @defaultValue 20 */
  readonly seconds?: number | undefined;
  /** Gives up the first opening. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a network that is opened again when it goes away.
 *
 * @param label what people call it
 * @param open opens it; one that does not heal itself
 * @throws whatever opening it throws, the first time
 */
export function openRestarting(
  label: string,
  open: (signal: AbortSignal) => Promise<Plug>,
  { seconds = RESTART_SECONDS, signal }: RestartOptions = {},
): Promise<HealingPlug> {
  let endLast = (): void => undefined;
  return HealingPlug.open(
    label,
    async (counters, aborted) => {
      const plug = await open(aborted);
      endLast();
      endLast = counters.follow(plug.counters);
      return plug;
    },
    { longestPauseMs: seconds * 1000, signal },
  );
}
