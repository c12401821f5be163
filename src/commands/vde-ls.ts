/** `vde ls`: what runs, as a table for people or as JSON for programs. */
import type { SeenProcess } from './running-report.ts';
import { seeProcesses } from './seen-processes.ts';
import { writeErrorLine, writeOutput } from './standard-streams.ts';
import type { ListAction } from './vde-ls-options.ts';

const DEFAULT_COLUMNS = 80;

/**
 * Lists what runs.
 *
 * @returns the exit status, 0 also when nothing does
 * @throws VdensError when the runtime directory is another user's, or standard output does not take it
 */
export async function listRunning({ format, kinds }: Extract<ListAction, { action: 'ls' }>): Promise<number> {
  const seen = seeProcesses();
  // While the others are about to answer.
  const { formatList } = await import('./running-report.ts');
  const found = (await seen).flatMap((process) => withKinds(process, kinds));
  if (format === 'json') await writeOutput(`${JSON.stringify(found.map(listed), null, 2)}\n`);
  else if (format === 'names') await writeOutput(found.map(({ name }) => `${name}\n`).join(''));
  else if (found.length === 0) writeErrorLine(`vde ls: ${nothingRuns(kinds)}`);
  else await writeOutput(`${formatList(found, room()).join('\n')}\n`);
  return 0;
}

/** The process with these things alone; nothing when it has none of them. One that says nothing may have any. */
function withKinds(process: SeenProcess, kinds: ReadonlySet<string> | undefined): readonly SeenProcess[] {
  if (kinds === undefined || typeof process.answer === 'string') return [process];
  const items = process.answer.items.filter(({ kind }) => kinds.has(kind));
  return items.length === 0 ? [] : [{ ...process, answer: { ...process.answer, items } }];
}

/** As `--json` has it. */
function listed({ name, pid, answer }: SeenProcess): object {
  if (typeof answer === 'string') return { name, pid: pid ?? null, answers: false, problem: answer };
  const { pid: own, command, uptimeSeconds, items } = answer;
  return { name, pid: own, answers: true, command, uptimeSeconds, items };
}

function nothingRuns(kinds: ReadonlySet<string> | undefined): string {
  if (kinds === undefined) return 'nothing runs. Start something, for example: vdens --name web switch:///tmp/lan';
  return `nothing of this kind runs: ${[...kinds].join(', ')}`;
}

/** What a line may take; on no terminal, whatever it needs. */
function room(): number | undefined {
  return process.stdout.isTTY === true ? (process.stdout.columns || DEFAULT_COLUMNS) - 1 : undefined;
}
