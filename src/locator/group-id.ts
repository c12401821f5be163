/** Groups by their names in group(5). */
import { VdensError } from '../errors.ts';

/**
 * The number of a group, from its name or as a number.
 *
 * @param label what people call the network
 * @throws VdensError `ERR_LOCATOR` when there is no such group
 */
export async function groupId(label: string, group: string): Promise<number> {
  if (/^\d+$/.test(group)) return Number(group);
  const { readFileSync } = await import('node:fs');
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${group}:`));
  if (line !== undefined) return Number(line.split(':')[2]);
  throw new VdensError('ERR_LOCATOR', `${label}: there is no group "${group}". See: getent group`, { value: group });
}
