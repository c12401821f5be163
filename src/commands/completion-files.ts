/** The files of completions/: one for each command and shell, and one for what those of a shell share. */
import { COMMANDS } from './command-tables.ts';
import { bashCommon, bashCompletion } from './completion-bash.ts';
import { fishCommon, fishCompletion } from './completion-fish.ts';
import { zshCommon, zshCompletion } from './completion-zsh.ts';

/** A file below completions/. */
export interface CompletionFile {
  readonly path: string;
  readonly text: string;
}

/** Where each shell looks for them by itself: bash by the command's name, zsh after `_`, fish before `.fish`. */
export function completionFiles(): readonly CompletionFile[] {
  const common = [
    { path: 'bash/_vdens_common', text: bashCommon() },
    { path: 'zsh/_vdens_common', text: zshCommon() },
    { path: 'fish/_vdens_common.fish', text: fishCommon() },
  ];
  const own = COMMANDS.flatMap(({ table }) => [
    { path: `bash/${table.name}`, text: bashCompletion(table) },
    { path: `zsh/_${table.name}`, text: zshCompletion(table) },
    { path: `fish/${table.name}.fish`, text: fishCompletion(table) },
  ]);
  return [...common, ...own];
}
