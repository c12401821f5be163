/** The prose of vde_plug(1). */
import type { Manual } from './option-table.ts';

export const VDE_PLUG_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`vde_plug` is a cable. With two networks, it joins them: what comes out of one goes into the other, until a signal ends it. A network is what `vdens(1)` takes: `slirp://`, `switch:///tmp/lan`, `/run/sw[3]`, `tap://tap0`, `vxvde://` and all others.',
    'With one network or none (the default network of `vdens(1)`), the other end is the VDE stream on standard input and output: two bytes of length, the higher one first, and the frame. Over `ssh(1)` it joins networks of two hosts. After a word that is `=` comes a command that speaks this stream on its own standard input and output. When the stream or the network ends, so does `vde_plug`, so that the other side learns of it.',
    'Two networks are not left alone when one of them goes away: a line says so, it is waited for, and another line says when it is back. `SIGUSR1` prints the counters of both ends on the standard error.',
    'Of the options of the original, those for logins, logs, the background (`-d`, `-p`), and for ports and permissions (`-g`, `-m`, `--port`) are not here yet; the last can be written into the name of a network.',
  ],
  options: {
    descr: ['Says what the operator of a switch sees of us, before the user and the pid.'],
    'no-reconnect': ['Ends when one of two networks goes away.'],
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
      term: '0',
      text: [
        'It was ended by `SIGTERM`, or an end of the cable is gone. `SIGINT` and `SIGHUP` end it as they end other programs.',
      ],
    },
    { term: '1', text: ['A network or the command could not be opened.'] },
    { term: '255', text: ['The command line was wrong.'] },
  ],
  examples: [
    { text: 'A way to the internet for all on a switch:', command: 'vde_plug slirp:// switch:///tmp/lan' },
    { text: 'Join the switches of two hosts:', command: 'vde_plug /run/sw = ssh host vde_plug /run/sw' },
  ],
  seeAlso: ['vde(1)', 'vde_switch(1)', 'vdens(1)'],
};
