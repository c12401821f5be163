/**
 * `vde exec`: a command in a namespace that is there already.
 *
 * This process becomes the helper that joins the namespaces and supervises the command, as `vdens no` becomes the one
 * that makes them: nothing of Node.js is left beside it.
 */
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
    '-j',
    String(pid),
    ...commandArguments(capabilities, 0n, command ?? [await userShell()]),
  ]);
  const { helperError } = await import('../system/launch-error.ts');
  throw helperError(launchPath, errnoName(result));
}

async function findEntrance(name: string): Promise<Entrance> {
  const { entranceBy } = await import('../namespace/entrance.ts');
  if (/^\d+$/.test(name)) return entranceBy(Number(name));
  throw new Error('TODO');
}
