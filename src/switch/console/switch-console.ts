/**
 * The management console of a switch: the commands of `vde_switch`, with its names, arguments, formats and numbers, so
 * that programs that were written for it find everything in its place. The words for people are our own.
 */
import type { ConsoleCommand } from '../../console/command.ts';
import { DEBUG_MENU, helpCommand, LOAD, LOGOUT, PLUGIN_MENU } from '../../console/common-commands.ts';
import { Interpreter } from '../../console/interpreter.ts';
import type { ConsoleService } from '../../console/session.ts';
import type { ManagedSwitchApi } from '../managed/managed-switch-api.ts';
import { hashCommands } from './hash-commands.ts';
import { portCommands } from './port-commands.ts';
import { SWITCH_CATEGORIES } from './switch-events.ts';
import { treeCommands } from './tree-commands.ts';
import { vlanCommands } from './vlan-commands.ts';

/** As the prompt has it. */
const NAME = 'vde';
const MS_PER_SECOND = 1000;

/** A socket or a directory of the switch, for `showinfo`. */
export interface ShownPath {
  readonly path: string;
  /** Permission bits of the sockets there. */
  readonly mode: number;
}

/** What the console is about. */
export interface SwitchConsoleOptions {
  readonly managed: ManagedSwitchApi;
  /** Where clients come. */
  readonly directory?: ShownPath | undefined;
  /** Where the console is. */
  readonly management?: ShownPath | undefined;
  /** Of this package. */
  readonly version: string;
  /** A session wants to be told of other things than before, or has ended. */
  selectionChanged?(): void;
  /** Ends the switch. */
  shutdown(): void;
}

/** The console, for those who let somebody in. */
export function switchConsole(options: SwitchConsoleOptions): ConsoleService {
  return {
    name: NAME,
    banner: bannerOf(options),
    interpreter: new Interpreter(NAME, switchCommands(options)),
    categories: SWITCH_CATEGORIES,
    selectionChanged: () => options.selectionChanged?.(),
    shutdown: options.shutdown,
  };
}

/** Its commands. Their order says which is meant when a line begins with several. */
export function switchCommands(options: SwitchConsoleOptions): readonly ConsoleCommand[] {
  const { managed } = options;
  const commands: readonly ConsoleCommand[] = [
    { path: 'ds', help: 'THE DIRECTORY OF SOCKETS' },
    {
      path: 'ds/showinfo',
      help: 'show where clients come',
      hasData: true,
      run: ({ print }) => {
        if (options.directory === undefined) return;
        print(`ctl dir ${options.directory.path}`);
        print(`std mode ${modeText(options.directory)}`);
      },
    },
    helpCommand(() => commands),
    LOGOUT,
    { path: 'shutdown', help: 'end the switch', run: () => 'shutdown' },
    showInfo(options),
    LOAD,
    ...DEBUG_MENU,
    ...PLUGIN_MENU,
    ...hashCommands(managed),
    ...treeCommands(managed),
    ...portCommands(managed),
    ...vlanCommands(managed),
  ];
  return commands;
}

function showInfo(options: SwitchConsoleOptions): ConsoleCommand {
  const { managed, management } = options;
  const startedAt = performance.now();
  return {
    path: 'showinfo',
    help: 'show which switch this is',
    hasData: true,
    run: ({ print }) => {
      const uptime = Math.floor((performance.now() - startedAt) / MS_PER_SECOND);
      for (const line of [...bannerOf(options), '']) print(line);
      print(`pid ${process.pid} MAC ${managed.mac} uptime ${uptime}`);
      if (management !== undefined) print(`mgmt ${management.path} perm ${modeText(management)}`);
    },
  };
}

function bannerOf({ version }: SwitchConsoleOptions): readonly string[] {
  return [`VDE switch V.${version}`, '(vdens: compatible with vde_switch of VDE 2)'];
}

function modeText({ mode }: ShownPath): string {
  return mode.toString(8).padStart(4, '0');
}
