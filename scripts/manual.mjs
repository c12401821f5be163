/** Writes the manual pages, man/*.1, one for each command, from the command tables in dist. Build first. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../dist/src/commands/command-tables.js';
import { formatManualPage } from '../dist/src/commands/manual-page.js';

const folder = join(import.meta.dirname, '..', 'man');
mkdirSync(folder, { recursive: true });
for (const { table, manual } of COMMANDS) {
  writeFileSync(join(folder, `${table.name}.1`), formatManualPage(table, manual));
}
