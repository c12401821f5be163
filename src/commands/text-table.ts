/** Tables for people: columns as wide as their widest cell, and those that matter least left out where there is no room. */
import { cutToWidth, widthOfLine } from './switch-report.ts';

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
  const needed = columns.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length);
  const least = Math.max(...columns.map(({ column }) => column.rank ?? 0));
  if (needed <= room || least === 0) return columns;
  return fitting(
    columns.filter(({ column }) => (column.rank ?? 0) < least),
    room,
  );
}
