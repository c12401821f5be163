/** A schedule of commands of the console, each of which was tried before the first is run. */
import { DebugSelection } from '../console/debug.ts';
import type { ConsoleService } from '../console/session.ts';
import { readSchedule, type Schedule } from './schedule.ts';
import type { Settings } from './settings.ts';
import { PLAIN, Wire } from './wire.ts';
import { wireConsole } from './wire-console.ts';

const SUCCESS = '1000';
const TRIAL_SEED = 0;

/**
 * Reads a schedule, and tries its commands on a wire that is not used.
 *
 * @param settings those at the beginning, of which the number of states matters
 * @throws VdensError `ERR_USAGE`
 */
export function readConsoleSchedule(path: string, settings: Settings): Schedule {
  const wire = new Wire(PLAIN, TRIAL_SEED);
  wire.settings.resize(settings.nodes.length);
  const nothing = (): void => undefined;
  const managed = { wire, changed: nothing, cut: nothing, join: nothing };
  const service = wireConsole({ managed, isBidirectional: true, version: '', shutdown: nothing });
  return readSchedule(path, (command) => runStep(service, command));
}

/** Runs one command of a schedule. Returns what is wrong with it. */
export function runStep({ interpreter, shutdown }: ConsoleService, command: string): string | undefined {
  let answer = '';
  const write = (text: string): void => {
    answer += text;
  };
  const after = interpreter.answer(command, { selection: new DebugSelection([]), write });
  if (after === 'logout') return 'there is no session that it could end';
  if (after === 'shutdown') {
    shutdown();
    return undefined;
  }
  const status = answer.trimEnd().split('\n').at(-1) ?? '';
  return status.startsWith(SUCCESS) ? undefined : status;
}
