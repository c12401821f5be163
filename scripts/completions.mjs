/** Writes the completions of bash, zsh and fish, completions/SHELL/*, from the command tables in dist. Build first. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { completionFiles } from '../dist/src/commands/completion-files.js';

const folder = join(import.meta.dirname, '..', 'completions');
for (const { path, text } of completionFiles()) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}
