/** What a link counts and suffers, as it is told. */
import type { DirectionCounters } from '../plugs/counters.ts';
import type { Link } from './inventory.ts';
import type { Rate, RateMeter } from './rates.ts';
import type { DirectionStatus, LinkStatus } from './status.ts';

/** The status of a link. */
export function linkStatus(link: Link, rates: RateMeter): LinkStatus {
  const { id, network, description, plug, counters, isReversed, otherEnds } = link;
  const rate = rates.look(counters);
  // What left one end of a cable came into the other.
  const ends = (one: 'received' | 'sent', other: 'received' | 'sent'): DirectionStatus =>
    directionStatus(counters[one], rate[one], [counters[one], ...otherEnds.map((each) => each[other])]);
  const [came, left] = [ends('received', 'sent'), ends('sent', 'received')];
  return {
    id,
    network,
    description,
    received: isReversed ? left : came,
    sent: isReversed ? came : left,
    impairment: plug?.impairment ?? [],
    isCut: plug?.isCut ?? false,
  };
}

/** @param ends where frames of this direction may have been dropped */
function directionStatus({ frames, bytes }: Rateable, rate: Rate, ends: readonly DirectionCounters[]): DirectionStatus {
  return {
    frames,
    bytes,
    framesPerSecond: round(rate.framesPerSecond),
    bytesPerSecond: round(rate.bytesPerSecond),
    drops: allDrops(ends),
  };
}

type Rateable = Pick<DirectionCounters, 'frames' | 'bytes'>;

function allDrops(ends: readonly DirectionCounters[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { drops } of new Set(ends)) {
    for (const [reason, frames] of Object.entries(drops)) sum[reason] = (sum[reason] ?? 0) + frames;
  }
  return sum;
}

/** Three digits behind the point are more than anybody reads. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
