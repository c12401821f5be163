/** The prose of vde_plug(1). */
import { CONTROL_ENVIRONMENT } from './control-manual.ts';
import type { Manual } from './option-table.ts';

const IN_THE_NAME =
  'What the name of the network says itself (`/run/sw[3]`, `/run/sw[group=staff/mode=660]`) comes first. Of a network that is not a switch it changes nothing, and a line says so.';

export const VDE_PLUG_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`vde_plug` is a cable. With two networks, it joins them: what comes out of one goes into the other, until a signal ends it. A network is what `vdens(1)` takes: `slirp://`, `switch:///tmp/lan`, `/run/sw[3]`, `tap://tap0`, `vxvde://` and all others.',
    'With one network or none (the default network of `vdens(1)`), the other end is the VDE stream on standard input and output: two bytes of length, the higher one first, and the frame. Over `ssh(1)` it joins networks of two hosts. After a word that is `=` comes a command that speaks this stream on its own standard input and output; options after `=` are its own, and what it leaves running is ended with it. Nobody reads a stream from a terminal: the standard output has to be a pipe, a socket or a file; of a standard input that is a terminal nothing is read. When the stream or the network ends, so does `vde_plug`, so that the other side learns of it.',
    'Two networks are not left alone when one of them goes away: a line says so, it is waited for, and another line says when it is back. An interface that is deleted ends it. `SIGUSR1` prints the counters of both ends on the standard error.',
  ],
  sections: [
    {
      title: 'As a login shell',
      text: [
        'Users whose login shell is `vde_plug` can do one thing on this machine: plug a stream into its default network, with `ssh HOST vde_plug`. Whoever logs in without a command, or with another one, is refused. The log of the system (facility `user`) is told of each: `START`, `STOP` and `FAILED`, with the user and the first word of `$SSH_CLIENT`. Of users in the group `vdeplug_iplog` it gets the addresses, too, as with `--iplog`.',
        'What follows `-c` must be `vde_plug` and nothing else.',
      ],
    },
  ],
  options: {
    daemon: [
      'Goes into the background once both ends are open. The command ends with 0 then; when something cannot be opened, with the error and its status. After that nothing is printed any more; with `--log`, the log gets what would be. Relative names are those of the directory where it was started. A stream on standard input and output cannot go into the background.',
    ],
    pidfile: [
      'Writes the process id to `FILE` once both ends are open. A file that is there is overwritten. At the end it is removed, unless somebody else has written another one.',
    ],
    log: [
      "Tells the system's log (`/dev/log`, facility `user`) when it begins and when it ends, with the user and the address in `$SSH_CLIENT`.",
    ],
    iplog: [
      'As `--log`, and tells of every IPv4 and IPv6 address that sends something through the stream, or through the command after `=`, with its VLAN. The last 1024 addresses are told once, at most 100 in a second; how many more there were is told, too.',
    ],
    descr: ['Says what the operator of a switch sees of us, before the user and the pid.'],
    port: [`Asks the first switch for this port. ${IN_THE_NAME}`],
    group: ['Gives the socket at which the first switch reaches us to this group.'],
    mod: ['Sets the permissions of that socket.'],
    port2: ['As `--port`, of the second switch.'],
    group2: ['As `--group`, of the second switch.'],
    mod2: ['As `--mod`, of the second switch.'],
    'no-reconnect': ['Ends when one of two networks goes away.'],
    'login-command': ['See AS A LOGIN SHELL.'],
    help: ['Prints a summary of the options.'],
    version: ['Prints the version.'],
  },
  environment: [
    { term: '`$SSH_CLIENT`', text: ['Its first word is the address that is logged.'] },
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
    { term: "the command's", text: ['when the command after `=` has ended; 128+N when signal N ended it.'] },
    { term: '1', text: ['A network could not be opened, or the file for the pid not be written.'] },
    { term: '126, 127', text: ['The command after `=` cannot be run, or there is none of that name.'] },
    { term: '255', text: ['The command line was wrong, or it is not the login shell that somebody wanted.'] },
  ],
  examples: [
    { text: 'A way to the internet for all on a switch:', command: 'vde_plug slirp:// switch:///tmp/lan' },
    { text: 'Join the switches of two hosts:', command: 'vde_plug /run/sw = ssh -p 2222 host vde_plug /run/sw' },
    {
      text: 'In a shell of `vdens`, an interface on the default switch, in the background:',
      command: 'vde_plug -d vde:// tap://vde0',
    },
  ],
  seeAlso: ['dpipe(1)', 'vde(1)', 'vde_plug2tap(1)', 'vde_switch(1)', 'vdens(1)'],
};
