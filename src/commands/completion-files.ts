/** The files of completions/: one for each command and shell. */
import { COMMANDS } from './command-tables.ts';
import { bashCompletion } from './completion-bash.ts';
import { fishCompletion } from './completion-fish.ts';
import { zshCompletion } from './completion-zsh.ts';

/** A file below completions/. */
export interface CompletionFile {
  readonly path: string;
  readonly text: string;
}

/** Where each shell looks for them by itself: bash by the command's name, zsh after `_`, fish before `.fish`. */
export function completionFiles(): readonly CompletionFile[] {
  return COMMANDS.flatMap(({ table }) => [
    { path: `bash/${table.name}`, text: bashCompletion(table) },
    { path: `zsh/_${table.name}`, text: zshCompletion(table) },
    { path: `fish/${table.name}.fish`, text: fishCompletion(table) },
  ]);
}
