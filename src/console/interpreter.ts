/**
 * Answers commands by their table: a command is the first entry whose path the line begins with, and its argument is what
 * follows, so that `showinfoXX` is `showinfo` (as the originals have it; scripts of theirs depend on the table's order).
 */
import { VdensError } from '../errors.ts';
import { type AfterCommand, type ConsoleCommand, commandError } from './command.ts';
import { DebugSelection } from './debug.ts';
import { LineBuffer, TOO_LONG } from './line-buffer.ts';
import { readScriptFile } from './script-file.ts';
import { errnoOf, statusLine } from './status.ts';

/** How deep files of commands may load each other. */
export const MAX_LOAD_DEPTH = 8;
/** Commands that one file may lead to, with those that it loads. */
export const MAX_SCRIPT_COMMANDS = 10_000;
/** What their answers may have in all, in characters. */
const MAX_SCRIPT_OUTPUT = 4_194_304;

/** Where an answer goes. */
export interface Answering {
  readonly selection: DebugSelection;
  write(text: string): void;
}

/** What the commands of a file may still do. */
interface Budget {
  readonly depth: number;
  readonly spent: { commands: number; output: number };
}

export class Interpreter {
  readonly #commands: readonly ConsoleCommand[];
  readonly #echo: (path: string, command: string) => string;

  /**
   * @param name of what is managed, as it is in the prompt: `vde`
   * @param echo how a command of a file is written before its answer. @defaultValue `vde[PATH]: COMMAND`
   */
  constructor(
    name: string,
    commands: readonly ConsoleCommand[],
    echo: (path: string, command: string) => string = (path, command) => `${name}[${path}]: ${command}`,
  ) {
    this.#commands = commands;
    this.#echo = echo;
  }

  /** Answers one line; a comment and an empty line have no answer. Never throws. */
  answer(line: string | typeof TOO_LONG, { selection, write }: Answering): AfterCommand {
    const budget = { depth: 0, spent: { commands: 0, output: 0 } };
    return this.#answer(line, { selection, write }, budget).after;
  }

  /**
   * Runs the commands of a file, for nobody.
   *
   * @returns a line for people about each that failed
   * @throws VdensError `ERR_USAGE` when it cannot be read
   */
  run(path: string): readonly string[] {
    const answering = { selection: new DebugSelection([]), write: () => undefined };
    try {
      return this.#load(path, answering, { depth: 0, spent: { commands: 0, output: 0 } });
    } catch (cause) {
      const message = `${path}: cannot run the commands in it: ${statusLine(errnoOf(cause))}`;
      throw new VdensError('ERR_USAGE', message, { value: path, cause });
    }
  }

  #answer(
    line: string | typeof TOO_LONG,
    { selection, write }: Answering,
    budget: Budget,
  ): { readonly status?: string | undefined; readonly after: AfterCommand } {
    if (line === TOO_LONG) {
      write(`${statusLine('E2BIG')}\n`);
      return { status: statusLine('E2BIG'), after: undefined };
    }
    const text = line.trim();
    if (text === '' || text.startsWith('#')) return { after: undefined };
    const command = this.#commands.find(({ path, run }) => run !== undefined && text.startsWith(path));
    const lines: string[] = [];
    let errno: string | undefined;
    let after: AfterCommand;
    try {
      if (command?.run === undefined) throw commandError('ENOSYS', 'there is no such command', text);
      const argument = text.slice(command.path.length).trim();
      const load = (path: string): void => {
        this.#load(path, { selection, write }, { ...budget, depth: budget.depth + 1 });
      };
      const print = (each: string): void => void lines.push(each);
      after = command.run({ argument, selection, print, load }) ?? undefined;
    } catch (error) {
      errno = errnoOf(error);
    }
    if (command?.hasData === true || lines.length > 0) {
      write(["0000 DATA END WITH '.'", ...lines, '.', ''].join('\n'));
    }
    if (after !== undefined) return { after };
    const status = statusLine(errno);
    write(`${status}\n`);
    return { status: errno === undefined ? undefined : status, after };
  }

  /** Each command is written before its answer; none of them ends a session. */
  #load(path: string, { selection, write }: Answering, budget: Budget): readonly string[] {
    if (budget.depth > MAX_LOAD_DEPTH) throw commandError('ELOOP', 'files load each other too deep', path);
    const failures: string[] = [];
    const { spent } = budget;
    const counted = (text: string): void => {
      spent.output += text.length;
      write(text);
    };
    for (const [index, line] of readScript(path).entries()) {
      spent.commands += 1;
      if (spent.commands > MAX_SCRIPT_COMMANDS || spent.output > MAX_SCRIPT_OUTPUT) {
        throw commandError('EFBIG', 'there are too many commands', path);
      }
      const command = line === TOO_LONG ? '...' : line.trimEnd();
      counted(`${this.#echo(path, command)}\n`);
      const nested = { selection, write: budget.depth === 0 ? counted : write };
      const { status } = this.#answer(line, nested, budget);
      if (status !== undefined) failures.push(`${path}, line ${index + 1}: ${command}: ${status}`);
    }
    return failures;
  }
}

function readScript(path: string): readonly (string | typeof TOO_LONG)[] {
  const buffer = new LineBuffer();
  const lines = buffer.add(readScriptFile(path));
  return buffer.hasRest ? [...lines, buffer.takeRest()] : lines;
}
