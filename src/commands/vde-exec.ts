/**
 * `vde exec`: a command in a namespace that is there already.
 *
 * This process becomes the helper that joins the namespaces and supervises the command, as `vdens no` becomes the one
 * that makes them: nothing of Node.js is left beside it.
 */
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VdensError } from '../errors.ts';
import type { EnterAnswer } from '../inventory/enter-operations.ts';
import type { Entrance } from '../namespace/entrance.ts';
import { commandArguments } from '../system/launch-arguments.ts';
import { userShell } from './user-shell.ts';
import type { ExecAction } from './vde-exec-options.ts';

/**
 * Runs the command. Never returns, unless it fails.
 *
 * @throws VdensError when there is no such namespace, it does not answer, or it cannot be joined
 */
export async function execInside({ name, command }: Extract<ExecAction, { action: 'exec' }>): Promise<number> {
  const { errnoName, launchPath, native } = await import('../system/native.ts');
  const { pid, capabilities } = await findEntrance(name);
  // Who explains what went wrong stands beside us.
  const explain = join(dirname(realpathSync(process.argv[1]!)), 'vdens');
  const result = native.becomeProgram(launchPath, [
    launchPath,
    '-g',
    '-x',
    explain,
    '-e',
    'vde',
    '-j',
    String(pid),
    ...commandArguments(capabilities, 0n, command ?? [await userShell()]),
  ]);
  const { helperError } = await import('../system/launch-error.ts');
  throw helperError(launchPath, errnoName(result));
}

/** After this time we look whether the process was stopped; then it is looked at from outside. */
const ANSWER_MS = 500;
const LATE_ANSWER_MS = 10_000;

/** @param word a name or a pid; behind a colon, an interface of the namespace that is meant, where there are several */
async function findEntrance(word: string): Promise<Entrance> {
  if (/^\d+$/.test(word)) {
    const { entranceBy } = await import('../namespace/entrance.ts');
    return entranceBy(Number(word));
  }
  const { findPlace } = await import('../inventory/find-process.ts');
  const { found, name, link } = findPlace(word);
  try {
    return await askEntrance(found.path, name, link, ANSWER_MS);
  } catch (error) {
    if (!(error instanceof VdensError) || error.code !== 'ERR_NETWORK_TIMEOUT') throw error;
    const { isStopped } = await import('../inventory/list-processes.ts');
    const { pid } = found;
    if (pid === undefined) throw error;
    // Otherwise it has much to do, and will answer.
    if (!isStopped(pid)) return await askEntrance(found.path, name, link, LATE_ANSWER_MS);
    if (link !== undefined) throw error;
    const { entranceBy } = await import('../namespace/entrance.ts');
    return entranceBy(pid);
  }
}

async function askEntrance(path: string, name: string, link: string | undefined, timeoutMs: number): Promise<Entrance> {
  const [{ connectControl }, { networkNamespaceOf }] = await Promise.all([
    import('../control/client.ts'),
    import('../namespace/leftovers.ts'),
  ]);
  using control = await connectControl(path, { what: name, timeoutMs });
  const answer = await control.request('enter', link === undefined ? {} : { link });
  const { pid, capabilities, identity } = answer as Partial<EnterAnswer>;
  if (typeof pid !== 'number' || typeof capabilities !== 'string' || !/^[0-9a-f]{1,16}$/.test(capabilities)) {
    throw new VdensError('ERR_NAMESPACE', `${name} does not say how to enter it: it is of another version`);
  }
  const mask = BigInt(`0x${capabilities}`);
  // From within, that process may not be looked at; and we are there already.
  if (identity !== undefined && identity === networkNamespaceOf('self'))
    return { pid: process.pid, capabilities: mask };
  const { entranceBy } = await import('../namespace/entrance.ts');
  if (networkNamespaceOf(pid) === identity) return { ...entranceBy(pid), capabilities: mask };
  const why = 'its process cannot be seen from here: it has just ended, or is in another container or namespace';
  throw new VdensError('ERR_NAMESPACE', `${name} cannot be entered: ${why}`, { value: name });
}
