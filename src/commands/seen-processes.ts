/** What runs, for those who show it. */
import { listProcesses } from '../inventory/list-processes.ts';
import type { SeenProcess } from './running-report.ts';

/** A process that has said nothing for so long was stopped, or has much to do. */
const ANSWER_MS = 500;

/** What was asked before it was wanted. */
let ahead: Promise<readonly SeenProcess[]> | undefined;

/** Asks now, for the next {@link seeProcesses}. */
export function askAhead(): void {
  ahead = ask();
  // Perhaps nobody wants to know.
  ahead.catch(() => undefined);
}

/**
 * All processes of this user, by name, and what they say of themselves.
 *
 * @throws VdensError `ERR_CONTROL` when the directory of control sockets is not to be trusted
 */
export function seeProcesses(): Promise<readonly SeenProcess[]> {
  const asked = ahead ?? ask();
  ahead = undefined;
  return asked;
}

async function ask(): Promise<readonly SeenProcess[]> {
  const listed = await listProcesses({ timeoutMs: ANSWER_MS });
  return listed.map(({ name, pid, answer }) => ({
    name,
    pid,
    answer: 'items' in answer ? answer : problemOf(name, answer),
  }));
}

function problemOf(name: string, { code, message }: { readonly code: string; readonly message: string }): string {
  if (code !== 'ERR_NETWORK_TIMEOUT') return message.replace(`${name}: `, '');
  return message.includes('stopped') ? 'does not answer (stopped)' : 'does not answer';
}
