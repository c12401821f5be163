/** What `--help` prints: a command's table, in one screen. */
import { type CommandTable, type OptionSpec, shownOptions } from './option-table.ts';

/** Columns before a description begins; a longer option pushes it to the next line. */
const MAX_LEFT = 34;
/** The narrowest terminal that is written for. */
const MIN_WIDTH = 40;

/**
 * The help text of a command.
 *
 * @param width - columns of the terminal
 */
export function formatHelp(table: CommandTable, width: number): string {
  const [first = '', ...more] = table.synopsis;
  const usage = (before: string, text: string): readonly string[] =>
    hang(`${before} ${table.name} ${text}`.trimEnd(), width, before.length + 2 + table.name.length);
  const lines = [...usage('Usage:', first), ...more.flatMap((text) => usage('      ', text))];
  lines.push(...fold(`${table.summary}.`, width, ''));
  if (table.subcommands !== undefined) {
    const rows = table.subcommands.map(({ name, summary }): Row => [`  ${name}`, summary]);
    lines.push('', 'Commands:', ...formatRows(rows, width));
  }
  lines.push('', 'Options:', ...formatRows(shownOptions(table).map(optionRow), width));
  if (table.notes !== undefined) lines.push('', ...table.notes.flatMap((note) => fold(note, width, '')));
  return `${lines.join('\n')}\n`;
}

type Row = readonly [left: string, right: string];

function optionRow({ long, short, argument, repeatable, aliases = [], help }: OptionSpec): Row {
  const names = `${short === undefined ? '   ' : `-${short},`} --${long}${argument === undefined ? '' : ` ${argument}`}`;
  const remarks = [
    ...(aliases.length === 0 ? [] : [`also ${aliases.map((alias) => `--${alias}`).join(', ')}`]),
    ...(repeatable === true ? ['repeatable'] : []),
  ];
  return [`  ${names}`, remarks.length === 0 ? help : `${help} (${remarks.join('; ')})`];
}

function formatRows(rows: readonly Row[], width: number): string[] {
  const fitting = rows.map(([left]) => left.length).filter((length) => length <= MAX_LEFT);
  const indent = ' '.repeat(Math.max(0, ...fitting) + 2);
  return rows.flatMap(([left, right]) => {
    const folded = fold(right, width, indent);
    if (left.length > MAX_LEFT) return [left, ...folded];
    return [left.padEnd(indent.length) + folded[0]!.slice(indent.length), ...folded.slice(1)];
  });
}

/** Breaks a line at its spaces; those that follow begin at a column. A line that is not too wide stays as it is. */
function hang(line: string, width: number, column: number): readonly string[] {
  if (line.length <= Math.max(width, MIN_WIDTH)) return [line];
  const [first = '', ...more] = fold(line.slice(column), width, ' '.repeat(column));
  return [line.slice(0, column) + first.slice(column), ...more];
}

/** Breaks a text at its spaces, so that no line is wider than the terminal; a longer word stays whole. */
function fold(text: string, width: number, indent: string): string[] {
  const limit = Math.max(width, MIN_WIDTH);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > limit) {
      lines.push(indent + line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}
