/** The prose of dpipe(1). */
import type { Manual } from './option-table.ts';

export const DPIPE_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`dpipe` starts commands and joins them by pipes in both directions, as the `|` of a shell does in one: what the first command writes to its standard output is the standard input of the second, and the other way round. It was made for networks, where both are a `vde_plug(1)`.',
    'Words that begin with `=` separate the commands. All other words, options too, belong to the command that they are in; a word of a command cannot begin with `=`.',
    'No byte passes through `dpipe` itself. It waits for all commands to end. `SIGTERM` and `SIGHUP` are passed on to them; the keys of the terminal reach them by themselves.',
    'The commands and `dpipe` are a process group of their own. Only where a script in the foreground of a terminal waits for them, and no `-P` asks for their group, they stay in the one of the script, so that its terminal is theirs too. The process group of the caller is never signalled.',
  ],
  sections: [
    {
      title: 'NOTATION',
      text: [],
      items: [
        {
          term: '`a = b`',
          text: ['The standard output of each is the standard input of the other.'],
        },
        {
          term: '`a = b = c`',
          text: [
            'The command in the middle speaks to `a` on its standard input and output, and to `c` on two more descriptors, 3 for input and 4 for output. The variables `$ALTERNATE_STDIN` and `$ALTERNATE_STDOUT` say so, in the environment of every command. It goes on like this with more commands. Of the descriptors of `dpipe` itself, they have the standard error, 3 to 9 as far as these are not the two above, and those above 15; and its limits.',
          ],
        },
        {
          term: '`a =} f }= b`',
          text: ['What `a` sends to `b` passes through `f`. What `b` sends to `a` does not.'],
        },
        {
          term: '`a ={ f {= b`',
          text: ['What `b` sends to `a` passes through `f`. What `a` sends to `b` does not.'],
        },
        {
          term: '`a =} f }={ g {= b`',
          text: [
            'Filters may follow each other, in either direction: here `f` in one, and `g` in the other. What was opened last has to be closed before the next command that speaks in both directions.',
          ],
        },
      ],
    },
  ],
  options: {
    daemon: [
      'Goes into the background, once the commands are started. Of those that cannot be, a line tells before, and the status. The names of files may be relative.',
    ],
    pidfile: [
      'Writes the process id of `dpipe` to the file, which is overwritten, and removed at the end unless somebody else has written it by then. With `-n` it is the process id of the last command.',
    ],
    pgrpfile: ['The same with the number of the process group, with a minus before it, as `kill(1)` takes it.'],
    nowrapproc: [
      'After it has started the other commands, `dpipe` becomes the last one. With `-p` or `-P` a small process stays behind to remove the files.',
    ],
    nowrapnoclean: ['As `-n`, but the files are not removed.'],
    help: ['Prints a summary of the options.'],
    version: ['Prints the version.'],
  },
  environment: [
    {
      term: '`$VDENS_DEBUG`',
      text: ['When it is set, an error is printed with the place in the program where it arose.'],
    },
  ],
  exitStatus: [
    {
      term: '0-255',
      text: ['The status of the last command: 127 when there is no such command, 128 + n when signal n ended it.'],
    },
    {
      term: '1',
      text: ['The command line was wrong, or a file could not be written. No command was started then.'],
    },
  ],
  examples: [
    { text: 'Join two switches:', command: 'dpipe vde_plug /run/sw1 = vde_plug /run/sw2' },
    { text: 'One of them on another host:', command: 'dpipe vde_plug /run/sw = ssh host vde_plug /run/sw' },
    {
      text: 'With a line between them that loses every hundredth frame:',
      command: 'dpipe vde_plug /run/sw1 = wirefilter -l 1 = vde_plug /run/sw2',
    },
  ],
  seeAlso: ['vde(1)', 'vde_plug(1)', 'vde_switch(1)', 'vdens(1)', 'wirefilter(1)'],
};
