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
/** The longest pause that can be asked for, in seconds, as the original has it. */
export const LONGEST_RESTART_SECONDS = 604_800;
/** Some networks can be opened although nobody is there: one that is back is still there after so long, in milliseconds. */
const RESTART_SETTLE_MS = 1000;

/** How a network is opened. */
export interface RestartOptions {
  /** The longest pause between two tries, in seconds, from 1 to 604800. @defaultValue 20 */
  readonly seconds?: number | undefined;
  /** Gives up the first opening. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a network that is opened again when it goes away.
 *
 * @param label what people call it
 * @param open opens it; one that does not heal itself
 * @throws RangeError when there can be no such pause; whatever opening it throws, the first time
 */
export async function openRestarting(
  label: string,
  open: (signal: AbortSignal) => Promise<Plug>,
  { seconds = RESTART_SECONDS, signal }: RestartOptions = {},
): Promise<HealingPlug> {
  if (!(seconds >= 1 && seconds <= LONGEST_RESTART_SECONDS))
    throw new RangeError(`seconds is ${seconds}, and not from 1 to ${LONGEST_RESTART_SECONDS}`);
  let endLast = (): void => undefined;
  return HealingPlug.open(
    label,
    async (counters, aborted) => {
      const plug = await open(aborted);
      endLast();
      endLast = counters.follow(plug.counters);
      return plug;
    },
    { settleMs: RESTART_SETTLE_MS, longestPauseMs: seconds * 1000, signal },
  );
}
