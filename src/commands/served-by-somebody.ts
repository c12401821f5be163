/** What is said of a directory in which a switch is served already. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { VdensError } from '../errors.ts';
import { CONTROL_NAME } from '../switch/claimed-directory.ts';
import { listenerOwner } from '../system/listener-owner.ts';

/**
 * The error, which names who serves there as far as that can be seen.
 *
 * @param word what the user calls the directory
 */
export function servedBySomebody(word: string, path: string): VdensError {
  const owner = listenerOwner(join(realpathSync(path), CONTROL_NAME));
  const pid = owner?.pid;
  const who = pid !== undefined ? `, process ${pid}` : owner === undefined ? '' : `, a process of uid ${owner.uid}`;
  const end = pid === undefined ? '' : `, or end that one with: kill ${pid}`;
  const message = `${word}: somebody serves a switch there already${who}. Join it with: vdens ${path}${end}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'EADDRINUSE' });
}
