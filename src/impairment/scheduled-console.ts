/** A schedule of commands of the console, each of which was tried before the first is run. */
import { DebugSelection } from '../console/debug.ts';
import { Interpreter } from '../console/interpreter.ts';
import { readSchedule, type Schedule } from './schedule.ts';
import type { Settings } from './settings.ts';
import { PLAIN, Wire } from './wire.ts';
import { wireCommands } from './wire-console.ts';

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
  const commands = wireCommands({ managed, isBidirectional: true, version: '', shutdown: nothing });
  const interpreter = new Interpreter('', commands);
  return readSchedule(path, (command) => answerOf(interpreter, command));
}

/** Runs one command. Returns what is wrong with it. */
export function answerOf(interpreter: Interpreter, command: string): string | undefined {
  let answer = '';
  const write = (text: string): void => {
    answer += text;
  };
  const after = interpreter.answer(command, { selection: new DebugSelection([]), write });
  if (after === 'logout') return 'there is no session that it could end';
  if (after === 'shutdown') return undefined;
  const status = answer.trimEnd().split('\n').at(-1) ?? '';
  return status.startsWith(SUCCESS) ? undefined : status;
}
