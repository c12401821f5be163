/** Groups by their names in group(5). */
import { wrongLocator } from './wrong-locator.ts';

/**
 * The number of a group, from its name or as a number.
 *
 * @param label what people call the network
 * @throws VdensError `ERR_LOCATOR` when there is no such group, or no such number
 */
export async function requireGroupId(label: string, group: string): Promise<number> {
  const { groupId } = await import('../system/accounts.ts');
  const id = groupId(group);
  if (id !== undefined) return id;
  throw wrongLocator(label, `there is no group "${group}". See: getent group`, group);
}
