/** The prose of vde(1). */
import type { Manual } from './option-table.ts';

export const VDE_MANUAL: Manual = {
  date: 'November 21, 2026',
  description: [
    '`vde` looks after what `vdens(1)` needs. The first word that is not an option says what to do, and has options of its own; `--help` after it lists them.',
  ],
  options: {
    doctor: [
      'Says whether this machine can run `vdens(1)`. For each obstacle there is a line that says what it is, and one with the command that removes it: namespaces that the kernel, a setting, AppArmor or a container does not allow, a `/dev/net/tun` that is missing or closed, a program that was not built for this machine. Nothing is changed.',
    ],
    'doctor --json': ['Prints the findings as JSON, for programs.'],
    'doctor --print-apparmor': [
      'Prints an AppArmor profile that lets the helper program of this installation, and nothing else, make namespaces. Ubuntu 24.04 and later need one.',
    ],
    help: ['Prints a summary of the commands and options.'],
    version: ['Prints the version.'],
  },
  environment: [
    {
      term: '`$VDENS_DEBUG`',
      text: ['When it is set, an error is printed with the place in the program where it arose.'],
    },
  ],
  exitStatus: [
    { term: '0', text: ['All is well: with `doctor`, this machine can run `vdens(1)`.'] },
    { term: '1', text: ['With `doctor`: there is an obstacle.'] },
    { term: '125', text: ['The options were wrong, or `vde` itself failed.'] },
  ],
  examples: [
    { text: 'Find out why `vdens` does not run:', command: 'vde doctor' },
    {
      text: 'Allow it on a system where AppArmor restricts namespaces:',
      command:
        'vde doctor --print-apparmor | sudo tee /etc/apparmor.d/vdens-launch\nsudo apparmor_parser -r /etc/apparmor.d/vdens-launch',
    },
  ],
  seeAlso: ['vdens(1)', 'user_namespaces(7)'],
};
