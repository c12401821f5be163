/** How a command tells its user about an error: one line, and the status of our own failure. */
import { VdensError } from '../errors.ts';
import { isReaderGone, writeErrorLine } from './standard-streams.ts';

/** As env(1) has it: the command itself failed, not what it was to run. */
export const STATUS_FAILURE = 125;

/**
 * Prints one line on standard error (none when the reader of standard output went away); a stack trace only when the environment has VDENS_DEBUG.
 *
 * @returns {@link STATUS_FAILURE}
 */
export async function reportError(command: string, error: unknown): Promise<number> {
  if (isReaderGone(error)) return STATUS_FAILURE;
  const known = error instanceof VdensError;
  let line = `${command}: ${known ? error.message : `unexpected: ${(error as Error)?.message ?? error}`}`;
  if (known && (error.code === 'ERR_NAMESPACE' || error.code === 'ERR_TAP') && error.syscall !== undefined) {
    line = (await explain(error)) ?? line;
  }
  writeErrorLine(line);
  if (process.env['VDENS_DEBUG']) console.error(error);
  return STATUS_FAILURE;
}

/** What stands in the way on this machine, when the helper failed. */
async function explain(error: VdensError): Promise<string | undefined> {
  const [{ explainLaunchFailure, isLaunchStep }, { gatherFacts }] = await Promise.all([
    import('../doctor/explain.ts'),
    import('../doctor/facts.ts'),
  ]);
  if (!isLaunchStep(error.syscall!)) return undefined;
  return explainLaunchFailure(error.syscall!, error.errno ?? '', gatherFacts({ outcome: 'not run' }), error.value);
}
