/** The prose of cadrop(1). */
import type { Manual } from './option-table.ts';

export const CADROP_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`cadrop` becomes another command, which does not have the capabilities that are listed. Those that it would not have had anyway may be in the list. Without a command it is the shell that `$SHELL` names; without a list it is every capability.',
    'A list has commas between its items, each of which is the name of a capability in lower case or in upper case (`net_admin`, `cap_net_admin`, `NET_ADMIN`), or, in hexadecimal, a set of them: bit n is capability n. So `12` is the capabilities 1 and 4, and not the one with that number. No list, an empty one, `all` and `-` are every capability.',
    'Of an ordinary user, capabilities are taken from the ambient and the inheritable set: what the command starts does not have them either, unless a program on the disk brings them.',
    'uid 0 would regain them with the next program that it starts. So they are taken from its bounding set, too. Where that is not allowed, because `CAP_SETPCAP` is not there, the command runs with no_new_privs: programs such as `sudo(8)` do not work in it then.',
    'The command has the standard streams of `cadrop`, its descriptors 3 to 9 and those above 15, and its limits.',
  ],
  options: {
    help: ['Prints a summary.'],
    version: ['Prints the version.'],
  },
  environment: [
    { term: '`$SHELL`', text: ['What is run when no command is named.'] },
    {
      term: '`$VDENS_DEBUG`',
      text: ['When it is set, an error is printed with the place in the program where it arose.'],
    },
  ],
  exitStatus: [
    { term: '0-255', text: ['The status of the command.'] },
    { term: '1', text: ['`$SHELL` is not set and no command was named, or the kernel refused.'] },
    { term: '2', text: ['The list was wrong, or the command could not be run.'] },
  ],
  examples: [
    {
      text: 'A shell in a private network that cannot change it:',
      command: 'vdens switch:///tmp/lan cadrop net_admin,net_raw',
    },
    { text: 'What is left after that:', command: 'vdens no cadrop net_admin,net_raw caprint -c' },
  ],
  seeAlso: ['caprint(1)', 'vdens(1)', 'capabilities(7)'],
};
