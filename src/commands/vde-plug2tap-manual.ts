/** The prose of vde_plug2tap(1). */
import { CONTROL_ENVIRONMENT } from './control-manual.ts';
import type { Manual } from './option-table.ts';

export const VDE_PLUG2TAP_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`vde_plug2tap` is a cable between a TAP interface and a network: what the interface sends goes there, what comes from there arrives at the interface. It is `vde_plug NETWORK tap://INTERFACE` under another name.',
    'The interface is made when there is none of that name, and goes when `vde_plug2tap` ends. That takes the right to administer the network: root has it, and everybody has it in a shell of `vdens(1)`. An interface that root has made for a user (`ip tuntap add tap0 mode tap user NAME`) can be used by this user, and stays.',
    'A network that goes away is waited for, and lines say so. `SIGUSR1` prints the counters of both ends on the standard error.',
  ],
  options: {
    sock: [
      'Names the network: the directory of a switch, or anything that `vdens(1)` takes. `-` is the VDE stream on standard input and output. Without it, the default network is meant.',
    ],
    port: [
      'Asks the switch for this port. What the name of the network says itself (`/run/sw[3]`) comes first; of a network that is not a switch it changes nothing, and a line says so.',
    ],
    group: ['Gives the socket at which the switch reaches us to this group.'],
    mode: ['Sets the permissions of that socket.'],
    daemon: [
      'Goes into the background once both ends are open. The command ends with 0 then; when something cannot be opened, with the error and its status. After that nothing is printed any more.',
    ],
    pidfile: [
      'Writes the process id to `FILE`, which must not be there. At the end it is removed, unless somebody else has written another one.',
    ],
    'no-reconnect': ['Ends when the network goes away.'],
    help: ['Prints a summary of the options.'],
    version: ['Prints the version.'],
  },
  environment: [
    ...CONTROL_ENVIRONMENT,
    {
      term: '`$VDENS_DEBUG`',
      text: ['When it is set, an error is printed with the place in the program where it arose.'],
    },
  ],
  exitStatus: [
    {
      term: '0',
      text: [
        'It was ended by `SIGTERM`, an end of the cable is gone, or it is in the background now. `SIGINT` and `SIGHUP` end it as they end other programs.',
      ],
    },
    { term: '1', text: ['The network or the interface could not be opened, or the file for the pid not be written.'] },
    { term: '255', text: ['The command line was wrong.'] },
  ],
  examples: [
    { text: 'In a shell of `vdens`, an interface on the default switch:', command: 'vde_plug2tap tap0 &' },
    { text: 'As root, this machine on a switch:', command: 'vde_plug2tap -d -s /run/sw -P /run/tap0.pid tap0' },
  ],
  seeAlso: ['vde_plug(1)', 'vde_switch(1)', 'vdens(1)'],
};
