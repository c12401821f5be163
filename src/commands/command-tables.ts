/**
 * Every command of the package. The manual pages and the completions of shells are made from this list, and tests
 * go through it: what is not in it does not exist. No command loads it.
 */
import { CADROP_MANUAL } from './cadrop-manual.ts';
import { CADROP_TABLE } from './cadrop-options.ts';
import { CAPRINT_MANUAL } from './caprint-manual.ts';
import { CAPRINT_TABLE } from './caprint-options.ts';
import { DPIPE_MANUAL } from './dpipe-manual.ts';
import { DPIPE_TABLE } from './dpipe-options.ts';
import type { CommandTable, Manual } from './option-table.ts';
import { VDE_MANUAL } from './vde-manual.ts';
import { VDE_TABLE } from './vde-options.ts';
import { VDE_PLUG_MANUAL } from './vde-plug-manual.ts';
import { VDE_PLUG_TABLE } from './vde-plug-options.ts';
import { VDE_PLUG2TAP_MANUAL } from './vde-plug2tap-manual.ts';
import { VDE_PLUG2TAP_TABLE } from './vde-plug2tap-options.ts';
import { VDE_SWITCH_MANUAL } from './vde-switch-manual.ts';
import { VDE_SWITCH_COMMAND_TABLE } from './vde-switch-options.ts';
import { VDENS_MANUAL } from './vdens-manual.ts';
import { VDENS_TABLE } from './vdens-options.ts';
import { WIREFILTER_MANUAL } from './wirefilter-manual.ts';
import { WIREFILTER_TABLE } from './wirefilter-options.ts';

/** A program in bin/: what it takes, and what its manual page says. */
export interface Command {
  readonly table: CommandTable;
  readonly manual: Manual;
}

/** By name. */
export const COMMANDS: readonly Command[] = [
  { table: CADROP_TABLE, manual: CADROP_MANUAL },
  { table: CAPRINT_TABLE, manual: CAPRINT_MANUAL },
  { table: DPIPE_TABLE, manual: DPIPE_MANUAL },
  { table: VDE_TABLE, manual: VDE_MANUAL },
  { table: VDE_PLUG_TABLE, manual: VDE_PLUG_MANUAL },
  { table: VDE_PLUG2TAP_TABLE, manual: VDE_PLUG2TAP_MANUAL },
  { table: VDE_SWITCH_COMMAND_TABLE, manual: VDE_SWITCH_MANUAL },
  { table: VDENS_TABLE, manual: VDENS_MANUAL },
  { table: WIREFILTER_TABLE, manual: WIREFILTER_MANUAL },
];
