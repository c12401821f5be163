/** What a management console understands, as data: a table of these makes the answers, and `help`. */
import { VdensError } from '../errors.ts';
import type { DebugSelection } from './debug.ts';

/** One command that is being run. */
export interface CommandCall {
  /** What follows the name, without blanks around it. */
  readonly argument: string;
  /** What the session that asks wants to be told. */
  readonly selection: DebugSelection;
  /** Adds a line to the data of the answer. */
  print(line: string): void;
  /** Runs the commands of a file within this one. */
  load(path: string): void;
}

/** What becomes of the session after a command. */
export type AfterCommand = 'logout' | 'shutdown' | undefined;

/** A command, or the heading of a menu. */
export interface ConsoleCommand {
  /** What is typed: `port/print`. */
  readonly path: string;
  /** Its arguments, for `help`. */
  readonly syntax?: string;
  /** A few words for `help`. */
  readonly help: string;
  /** Whether the answer always has data, even none. Otherwise it has when there are lines. */
  readonly hasData?: boolean;
  /**
   * Does it; without it, this is a heading.
   *
   * @throws VdensError whose `errno` becomes the status of the answer
   */
  run?(call: CommandCall): AfterCommand | void;
}

/** The error of a command that was asked for something that it cannot do. */
export function commandError(errno: string, message: string, value = ''): VdensError {
  return new VdensError('ERR_USAGE', message, { errno, value });
}

const COLUMNS = [18, 15] as const;
const MENU = '============';

/** The lines of `help`: those whose path begins with the argument. */
export function helpLines(commands: readonly ConsoleCommand[], argument: string): readonly string[] {
  const rows = commands
    .filter(({ path }) => path.startsWith(argument))
    .map(({ path, syntax, help, run }) => row(path, run === undefined ? MENU : (syntax ?? ''), help));
  return [row('COMMAND PATH', 'SYNTAX', 'HELP'), row('------------', '--------------', '------------'), ...rows];
}

function row(path: string, syntax: string, help: string): string {
  return `${path.padEnd(COLUMNS[0])} ${syntax.padEnd(COLUMNS[1])} ${help}`;
}
