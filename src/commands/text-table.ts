/**
 * Tables for people: columns as wide as their widest cell, those that matter least left out where there is no room; and
 * numbers and times in a few characters.
 */

/** A column of a table. */
export interface TableColumn<Row> {
  readonly title: string;
  /** Numbers are set to the right, texts to the left. */
  readonly isText?: boolean;
  /** Those with the highest rank are left out first; those with 0 never. @defaultValue 0 */
  readonly rank?: number;
  /** A text that is safe to print. */
  value(row: Row): string;
}

const GAP = '  ';
/** A text at the end of lines is cut to no less than so many columns before another column is left out. */
const LEAST_LAST_COLUMNS = 24;

/**
 * The lines of a table, the heading first.
 *
 * @param room columns of the terminal; `undefined` where nobody has to see it all at once
 */
export function formatColumns<Row>(
  columns: readonly TableColumn<Row>[],
  rows: readonly Row[],
  room: number | undefined,
): string[] {
  const filled = columns.map((column) => fill(column, rows));
  const shown = room === undefined ? filled : fitting(filled, room);
  const lines = [undefined, ...rows.keys()].map((index) => {
    const cells = shown.map(({ column, cells, width }) => {
      const cell = index === undefined ? column.title : cells[index]!;
      const blanks = ' '.repeat(width - widthOfLine(cell));
      return column.isText === true ? cell + blanks : blanks + cell;
    });
    return cells.join(GAP).trimEnd();
  });
  return room === undefined ? lines : lines.map((line) => cutToWidth(line, room));
}

/** A column with its cells. */
interface Filled<Row> {
  readonly column: TableColumn<Row>;
  readonly cells: readonly string[];
  readonly width: number;
}

function fill<Row>(column: TableColumn<Row>, rows: readonly Row[]): Filled<Row> {
  const cells = rows.map((row) => column.value(row));
  const width = cells.reduce((widest, cell) => Math.max(widest, widthOfLine(cell)), column.title.length);
  return { column, cells, width };
}

function fitting<Row>(columns: readonly Filled<Row>[], room: number): readonly Filled<Row>[] {
  const last = columns.at(-1);
  const spared = last?.column.isText === true ? Math.max(0, last.width - LEAST_LAST_COLUMNS) : 0;
  const needed = columns.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length - spared);
  const least = Math.max(...columns.map(({ column }) => column.rank ?? 0));
  if (needed <= room || least === 0) return columns;
  return fitting(
    columns.filter(({ column }) => (column.rank ?? 0) < least),
    room,
  );
}

const UNITS = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** A number in at most five characters: `0`, `999`, `1.00k`, `12.3M`, `456G`. Units are powers of 1000. */
export function formatQuantity(value: number): string {
  if (value < 1000) return String(value);
  let scaled = value;
  let steps = 0;
  for (; scaled >= 999.5 && steps < UNITS.length - 1; steps++) scaled /= 1000;
  const digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return `${scaled.toFixed(digits)}${UNITS[steps]}`;
}

/** Such as `7 s`, `3 min 05 s`, `1 h 02 min`, `2 d 03 h`. */
export function formatDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${two(Math.floor((whole % 86_400) / 3600))} h`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** Letters from here on may take two columns (Hangul, CJK, emoji). */
const FIRST_WIDE = 0x1100;

/** As much of a line as surely fits. */
export function cutToWidth(line: string, columns: number): string {
  let used = 0;
  let kept = '';
  for (const character of line) {
    used += columnsOf(character);
    if (used > columns) return kept;
    kept += character;
  }
  return kept;
}

/** How many columns a line takes at most. */
export function widthOfLine(line: string): number {
  return [...line].reduce((sum, character) => sum + columnsOf(character), 0);
}

function columnsOf(character: string): number {
  return character.codePointAt(0)! < FIRST_WIDE || character === '…' ? 1 : 2;
}
