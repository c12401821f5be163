/** Frames that were dropped while it was looked. */
import { isHarmlessDrop } from './drop-meanings.ts';
import type { LegFacts } from './facts.ts';

/** How many, where, and why. */
export interface RisenDrops {
  readonly place: string;
  readonly reason: string;
  readonly frames: number;
}

/** Those on one leg that are a sign of trouble. */
export function risenDrops({ drops }: Pick<LegFacts, 'drops'>): RisenDrops[] {
  return drops.flatMap(({ place, before, after }) =>
    Object.entries(after)
      .map(([reason, frames]) => ({ place, reason, frames: frames - (before[reason] ?? 0) }))
      .filter(({ reason, frames }) => frames > 0 && !isHarmlessDrop(reason)),
  );
}
