/** The prose of caprint(1). */
import type { Manual } from './option-table.ts';

export const CAPRINT_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`caprint` prints the ambient capabilities of a process: those that the programs it starts have, without being root. A command of `vdens(1)` has those of the network, for example. Without a process id, it prints its own ones, which are those of the shell that it is typed in.',
    'Without options there is a line for each capability, by its name. When there are none, nothing at all is printed.',
  ],
  options: {
    long: [
      'Prints the number, the mask and the name of each capability, and, if there are several, the mask of all in a last line.',
    ],
    compact: ['Prints the names in one line, without `cap_` and with commas between them, as `cadrop(1)` takes them.'],
    prompt: ['As `-c`, with `#` at the end. In the prompt of a shell, this tells that more can be done here.'],
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
    { term: '0', text: ['All went well, be there capabilities or not.'] },
    { term: '1', text: ['The command line was wrong.'] },
    { term: '2', text: ['There is no such process.'] },
  ],
  examples: [
    { text: 'What a command of vdens may do:', command: 'vdens no caprint' },
    { text: 'A prompt of `bash(1)`:', command: "PS1='\\u@\\h:\\w$(caprint -p)\\$ '" },
  ],
  seeAlso: ['cadrop(1)', 'vdens(1)', 'capabilities(7)'],
};
