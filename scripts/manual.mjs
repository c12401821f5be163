/** Writes the manual pages, man/vdens.1, man/vde.1 and man/vde_plug.1, from the command tables in dist. Build first. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatManualPage } from '../dist/src/commands/manual-page.js';
import { VDE_MANUAL } from '../dist/src/commands/vde-manual.js';
import { VDE_TABLE } from '../dist/src/commands/vde-options.js';
import { VDE_PLUG_MANUAL } from '../dist/src/commands/vde-plug-manual.js';
import { VDE_PLUG_TABLE } from '../dist/src/commands/vde-plug-options.js';
import { VDENS_MANUAL } from '../dist/src/commands/vdens-manual.js';
import { VDENS_TABLE } from '../dist/src/commands/vdens-options.js';

const folder = join(import.meta.dirname, '..', 'man');
mkdirSync(folder, { recursive: true });
for (const [table, manual] of [
  [VDENS_TABLE, VDENS_MANUAL],
  [VDE_TABLE, VDE_MANUAL],
  [VDE_PLUG_TABLE, VDE_PLUG_MANUAL],
]) {
  writeFileSync(join(folder, `${table.name}.1`), formatManualPage(table, manual));
}
