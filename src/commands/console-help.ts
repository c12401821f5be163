/** What a console says of its own commands, for completing them. */
import type { ConsoleEvent } from './console-reader.ts';

/** A command of a console. */
export interface OfferedCommand {
  /** `port/create` */
  readonly path: string;
  /** `N`; empty when it takes nothing. */
  readonly syntax: string;
}

/** What `help` lists. */
export interface ConsoleHelp {
  readonly commands: readonly OfferedCommand[];
  /** `port`, a heading in the list; `help` takes it. */
  readonly menus: readonly string[];
}

/** More commands than any console has. */
const MAX_COMMANDS = 1000;
/** `port/create        N               create the port N` */
const ROW = /^(\S+) +(?:(\S.*?)(?: {2,}|$)|$)/;
/** Where the second column begins, in what all consoles print. */
const SYNTAX_COLUMN = 19;
const HEADING = /^=+$/;
const RULE = /^-+$/;

/** Reads the answer to `help`. */
export function readHelp(answer: readonly ConsoleEvent[]): ConsoleHelp {
  const lines = answer.flatMap((event) => (event.kind === 'line' && event.line === 'data' ? [event.text] : []));
  const rows = lines.slice(lines.findIndex((line) => RULE.test(line.split(' ')[0] ?? '')) + 1).map(readRow);
  const known = rows.filter(({ path }) => path !== '').slice(0, MAX_COMMANDS);
  return {
    commands: known.filter(({ syntax }) => !HEADING.test(syntax)),
    menus: known.filter(({ syntax }) => HEADING.test(syntax)).map(({ path }) => path),
  };
}

function readRow(line: string): OfferedCommand {
  const [, path = '', word = ''] = ROW.exec(line) ?? [];
  return { path, syntax: line.charAt(SYNTAX_COLUMN) === ' ' ? '' : word };
}

/**
 * What may stand where the cursor is, as readline asks for it.
 *
 * @param line - what is to the left of the cursor
 * @returns the candidates, and the part of the line that each of them replaces
 */
export function completeCommand({ commands, menus }: ConsoleHelp, line: string): [string[], string] {
  const [, first = '', blanks = '', rest = ''] = /^\s*(\S*)(\s*)(.*)$/.exec(line) ?? [];
  if (blanks === '') {
    const known = commands.filter(({ path }) => path.startsWith(first));
    return [known.map(({ path, syntax }) => (syntax === '' ? path : `${path} `)), first];
  }
  if (first !== 'help') return [[], rest];
  return [[...menus, ...commands.map(({ path }) => path)].filter((path) => path.startsWith(rest)), rest];
}
