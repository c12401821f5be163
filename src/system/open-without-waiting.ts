/** Standard streams that are written without waiting for whoever reads them. */
import { constants, fstatSync, openSync } from 'node:fs';

/**
 * A pipe or a terminal opened once more: O_NONBLOCK on the one that we inherited would hold for everyone who has it. Of a
 * file, that would have a position of its own.
 *
 * @returns a descriptor that is the caller's; `undefined` for everything else, and where we may not open it, as somebody
 * else's pipe or terminal
 */
export function openWithoutWaiting(fd: number): number | undefined {
  try {
    const status = fstatSync(fd);
    if (!status.isFIFO() && !status.isCharacterDevice()) return undefined;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}
