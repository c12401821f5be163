/** The benchmark's one table, as text that reads well on a terminal and is Markdown too. */
import { readFileSync, writeFileSync } from 'node:fs';
import { median, type Row, type Samples } from './row.ts';

/** A row with what was measured. */
export interface MeasuredRow {
  readonly row: Row;
  readonly samples: Samples;
}

const header: readonly string[] = ['measurement', 'ours', 'original', 'ratio', 'goal', 'met?'];

/** The table, one line per row, columns aligned. */
export function formatTable(measured: readonly MeasuredRow[]): string {
  const cells = [header, ...measured.map(cellsOf)];
  const widths = header.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  return lines.join('\n');
}

/** Medians and samples, for programs. */
export function toJson(measured: readonly MeasuredRow[]): unknown {
  return measured.map(({ row: { name, title, unit, goal }, samples }) => {
    const ours = median(samples.ours);
    const original = median(samples.original);
    return { name, title, unit, ours, original, goal: goal.text, isMet: goal.isMet(ours, original), samples };
  });
}

const markers = { start: '<!-- figures -->', end: '<!-- /figures -->' };

/** Puts text between the markers of a document. */
export function writeBetweenMarkers(path: string, text: string): void {
  const document = readFileSync(path, 'utf8');
  const start = document.indexOf(markers.start);
  const end = document.indexOf(markers.end);
  if (start === -1 || end < start)
    throw new Error(`${path} has no place for figures: ${markers.start} … ${markers.end}`);
  const kept = { before: document.slice(0, start + markers.start.length), after: document.slice(end) };
  writeFileSync(path, `${kept.before}\n\n${text}\n\n${kept.after}`);
}

function cellsOf({ row, samples }: MeasuredRow): readonly string[] {
  const ours = median(samples.ours);
  const original = median(samples.original);
  const number = (value: number | undefined): string => (value === undefined ? '-' : `${round(value)} ${row.unit}`);
  const ratio = ours === undefined || !original ? '-' : (ours / original).toFixed(3);
  const isMet = row.goal.isMet(ours, original);
  const verdict = isMet === undefined ? '-' : isMet ? 'yes' : 'NO';
  return [row.title, number(ours), number(original), ratio, row.goal.text, verdict];
}

/** Three significant digits, without an exponent. */
function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
