/** Groups by their names in group(5). */
import { wrongLocator } from './option-values.ts';

/**
 * The number of a group, from its name or as a number.
 *
 * @param label what people call the network
 * @throws VdensError `ERR_LOCATOR` when there is no such group
 */
export async function groupId(label: string, group: string): Promise<number> {
  if (/^\d+$/.test(group)) return Number(group);
  const { readFileSync } = await import('node:fs');
  const [, , id = ''] =
    readFileSync('/etc/group', 'utf8')
      .split('\n')
      .map((entry) => entry.split(':'))
      .find(([name]) => name === group && group !== '') ?? [];
  if (/^\d+$/.test(id)) return Number(id);
  throw wrongLocator(label, `there is no group "${group}". See: getent group`, group);
}
