/** Who makes room when a console has as many sessions as it may. */

/** What counts of a session. */
export interface Occupant {
  /** Of the user. */
  readonly uid: number;
  /** Whether it has not taken what was said. */
  readonly isBehind: boolean;
  /** When something came from it, on a clock that goes on. */
  readonly heardAt: number;
}

/**
 * The session that makes room for one of a user more: one that does not read, else of the user who has the most, and more
 * than the one who comes, the one that has been silent for longest. So nobody keeps others out.
 *
 * @returns `undefined` when there is none that should
 */
export function whoMakesRoom<T extends Occupant>(occupants: readonly T[], uid: number): T | undefined {
  const behind = occupants.find(({ isBehind }) => isBehind);
  if (behind !== undefined) return behind;
  const counts = new Map<number, number>();
  for (const occupant of occupants) counts.set(occupant.uid, (counts.get(occupant.uid) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  if (most <= (counts.get(uid) ?? 0) + 1) return undefined;
  const crowd = occupants.filter((occupant) => counts.get(occupant.uid) === most);
  return crowd.reduce<T | undefined>(
    (found, each) => (found === undefined || each.heardAt < found.heardAt ? each : found),
    undefined,
  );
}
