/** Round trips as ping(8) measures them: the median of all replies of a run. */
import { median } from './row.ts';

const pings = 200;

/** A fifth of a millisecond needs more samples than a transfer of seconds does. */
export const leastPingRuns = 5;

/** How long a run may take. */
export const PING_TIMEOUT_MS = 30_000;

/** The arguments that ping an address. */
export function pingCommand(address: string): string[] {
  return ['ping', '-c', `${pings}`, '-i', '0.01', '-W', '2', address];
}

/** Median of the round trips in the output of ping(8), once its summary is there. The first one resolves addresses. */
export function findMedianRoundTrip(output: string): number | undefined {
  if (!/^rtt /m.test(output)) return undefined;
  const times = Array.from(output.matchAll(/ time=([\d.]+) ms/g), ([, time]) => Number(time)).slice(1);
  if (times.length < pings * 0.9) throw new Error(`${times.length + 1} of ${pings} pings came back`);
  return median(times);
}
