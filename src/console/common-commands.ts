/** The commands that every management console has. */
import { type ConsoleCommand, commandError, helpLines } from './command.ts';

/** `help`, for a table that it is part of itself. */
export function helpCommand(commands: () => readonly ConsoleCommand[]): ConsoleCommand {
  return {
    path: 'help',
    syntax: '[arg]',
    help: 'list commands, all or those that begin with arg',
    hasData: true,
    run: ({ argument, print }) => {
      for (const line of helpLines(commands(), argument)) print(line);
    },
  };
}

export const LOGOUT: ConsoleCommand = { path: 'logout', help: 'end this session', run: () => 'logout' };

export const LOAD: ConsoleCommand = {
  path: 'load',
  syntax: 'path',
  help: 'run the commands of a file',
  run: ({ argument, load }) => {
    if (argument === '') throw commandError('ENOENT', 'the path is missing');
    load(argument);
  },
};

/** What a session may ask to be told of. */
export const DEBUG_MENU: readonly ConsoleCommand[] = [
  { path: 'debug', help: 'WHAT HAPPENS, AS IT HAPPENS' },
  {
    path: 'debug/list',
    help: 'list what this session can be told of',
    hasData: true,
    run: ({ argument, selection, print }) => {
      print(`${'CATEGORY'.padEnd(22)} TAG STATUS HELP`);
      print(`${'------------'.padEnd(22)} --- ------ ----`);
      const lines = selection.list(argument);
      for (const line of lines) print(line);
      if (lines.length === 0) throw commandError('ENOENT', 'there is no such category', argument);
    },
  },
  {
    path: 'debug/add',
    syntax: 'dbgpath',
    help: 'be told of a category, or of all below it',
    run: ({ argument, selection }) => selection.add(argument),
  },
  {
    path: 'debug/del',
    syntax: 'dbgpath',
    help: 'be told of it no more',
    run: ({ argument, selection }) => selection.remove(argument),
  },
];

/** There are no plugins to load: a library of the originals' would not fit into this process. */
export const PLUGIN_MENU: readonly ConsoleCommand[] = [
  { path: 'plugin', help: 'PLUGINS' },
  {
    path: 'plugin/list',
    help: 'list plugins: there are none',
    hasData: true,
    run: ({ print }) => {
      print(`${'NAME'.padEnd(22)} HELP`);
      print(`${'------------'.padEnd(22)} ----`);
      throw commandError('ENOENT', 'there are no plugins');
    },
  },
  {
    path: 'plugin/add',
    syntax: 'library',
    help: 'not possible here',
    run: ({ argument, print }) => {
      if (argument === '') throw commandError('EINVAL', 'the name of the library is missing');
      print('plugins of the original vde_switch do not fit into this one');
      throw commandError('ENOENT', 'there are no plugins', argument);
    },
  },
  {
    path: 'plugin/del',
    syntax: 'name',
    help: 'not possible here',
    run: () => {
      throw commandError('ENOENT', 'there are no plugins');
    },
  },
];
