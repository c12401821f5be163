/**
 * The checks as a screen of text: a mark, a name, how it stands; below it the command that helps.
 */
import { styleText } from 'node:util';
import type { Check, CheckState } from './check.ts';
import { canRun } from './obstacles.ts';

const marks: Readonly<Record<CheckState, string>> = { ok: 'ok', problem: '!!', warning: '??' };
const colours = { ok: 'green', problem: 'red', warning: 'yellow' } as const;

/** How to write a report. */
export interface ReportOptions {
  /** Whether marks are coloured. */
  readonly colour: boolean;
}

/** The report; its last line is the verdict. No newline at the end. */
export function formatReport(checks: readonly Check[], { colour }: ReportOptions): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, state, detail, remedy }) => {
    // The caller has decided, so styleText is not to look at the stream itself.
    const mark = colour ? styleText(colours[state], marks[state], { validateStream: false }) : marks[state];
    const line = `${mark}  ${name.padEnd(width)}  ${detail}`;
    return remedy === undefined || state === 'ok' ? [line] : [line, `      ${remedy}`];
  });
  return [...lines, '', verdict(checks)].join('\n');
}

function verdict(checks: readonly Check[]): string {
  if (canRun(checks)) return 'vdens can run on this machine.';
  const remedies = checks.filter(({ state, remedy }) => state === 'problem' && remedy !== undefined);
  const advice =
    remedies.length === 0
      ? ''
      : remedies.length === 1
        ? ' The command below the !! line helps.'
        : ' The commands below the !! lines help, from the top.';
  return `vdens cannot run on this machine.${advice}`;
}
