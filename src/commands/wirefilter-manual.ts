/** The prose of wirefilter(1). */
import type { Manual } from './option-table.ts';

export const WIREFILTER_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`wirefilter` is a cable between two networks that loses frames, delays them, sends them twice or disturbs them, as it is told: what a program does on a bad line can be seen on a good one. It does what the program of this name in VDE 2 does, with its options, values and console.',
    'Its ends are two networks, of all kinds that `vdens(1)` knows; `-` for one of them is the VDE stream on standard input and output. In a `dpipe(1)`, without networks, it filters what passes from the left neighbour to the right one and back; without `$ALTERNATE_STDIN` in its environment, from standard input to standard output.',
    'From left to right (`LR`) is from the first network to the second one. Commands that change it while it runs are read from standard input, where that is not the stream, and at the management socket (`vde console`). The end of standard input ends it; so does the end of a stream. A network that goes away is waited for.',
    'A single network is made worse without a cable by `wirefilter://[delay=20]{NETWORK}`, and one that is in use by `vde tc`.',
  ],
  sections: [
    {
      title: 'Values',
      text: [
        'A `VALUE` is `[LR|RL]N[+V][K|M|G][U|N]`. `N+V` is a number between `N-V` and `N+V`, drawn for each frame: each as likely as the other (`U`), or around `N` in a normal distribution (`N`), of which 99.7 % are within. `K`, `M` and `G` multiply both by 2^10, 2^20, 2^30. `LR` and `RL` say for which direction it is. In the console, `[3]` behind it says for which state.',
        'A frame is too long (`mtu`), is lost (`loss`), comes several times (`dup`), finds no room (`chanbufsize`), is disturbed (`noise`), waits for the interface (`speed`), for the bottleneck (`bandwidth`), and for its time (`delay`), in this order. Its size counts with the two bytes that stand before it on a stream.',
      ],
    },
    {
      title: 'Console',
      text: [
        'Each option that sets a value is a command, too: `delay 20+5`, `loss LR3`. Answers are those of `vde_switch(1)`. What is no value is answered with `1022 Invalid argument`.',
      ],
      items: [
        {
          term: '`showinfo`, `showinfo 2`',
          text: ['Shows what is set, in the current state or in state 2, and what waits.'],
        },
        { term: '`fifo 0`, `fifo 1`', text: ['Lets frames overtake each other, or not.'] },
        { term: '`load` `FILE`', text: ['Runs the commands of a file.'] },
        {
          term: '`markov-numnodes` `n`, `setedge` `a,b,percent`, `markov-time` `ms`',
          text: [
            'Makes several states, each with values of its own, between which it goes by chance: every 100 ms, or as often as is said, from `a` to `b` with this probability.',
          ],
        },
        {
          term: '`markov-setnode` `n`, `markov-name` `n,name`, `showcurrent`, `showedges`, `markov-debug 1`',
          text: [
            'Goes to a state, names it, shows where it is and where it may go, and tells of each step as it happens: `3801 Node 0 "good" -> 1 "bad"`.',
          ],
        },
        {
          term: '`cut`, `join`, `clear`, `seed` `n`',
          text: [
            'Pulls the cable out, puts it back, sets everything back, begins with the random numbers of a seed. The original has not got these.',
          ],
        },
        { term: '`logout`, `shutdown`', text: ['Ends the session, or all of it.'] },
      ],
    },
    {
      title: 'Schedules',
      text: [
        'A file for `--schedule` has lines of a time and a command of the console. The time counts from the start, in seconds, or with `ms`, `min` or `h` behind it; `#` begins a comment. At the time of `repeat` it starts over. All commands are tried before the first frame passes, and a wrong one is an error with the name of the file and the line.',
      ],
    },
    {
      title: 'Seeds',
      text: [
        'With the same `--seed` and the same frames in the same order, the same frames are lost, doubled and disturbed in the same places, and delayed by the same times, however fast they come: what becomes of a frame depends on the seed, its direction and its number alone. What depends on time as well, such as who finds a full queue, and the steps of a Markov chain, does not repeat as exactly. Without the option the seed is a random one, which the first line on standard error tells.',
      ],
    },
  ],
  options: {
    loss: ['Loses this percentage of the frames.'],
    lostburst: [
      'Loses them in a row: so many on average. It is a chain of two states (Gilbert), in one of which all frames are lost; on the whole it is the percentage of `--loss`.',
    ],
    delay: ['Has each frame wait for so many milliseconds.'],
    dup: ['Sends this percentage of the frames once more, and these again as likely, up to 128 times.'],
    bandwidth: ['Has frames wait for each other, as before a bottleneck of so many bytes per second.'],
    speed: ['Likewise, and nothing is read from the side that sends while its frame is under way.'],
    chanbufsize: ['Loses what comes while so many bytes wait.'],
    noise: ['Turns over so many bits in each MiB.'],
    mtu: ['Loses what is longer.'],
    nofifo: ['Lets a frame overtake others when its delay is shorter. Otherwise it waits for them.'],
    seed: ['Repeats the random numbers of an earlier run: a number from 0 to 2^53 - 1.'],
    schedule: ['Runs commands at their times. See `Schedules`.'],
    rcfile: ['Runs the commands of a file before the first frame passes.'],
    'vde-plug': ['Names both ends, by the paths of switches with a colon between them.'],
    mgmt: ['Makes a management socket.'],
    mgmtmode: ['Sets its permissions. Without it, its owner may connect.'],
    nostdin: ['Reads no commands from standard input, and does not end with it.'],
    'no-reconnect': ['Ends when a network goes away.'],
    blink: [
      'Sends a message to a datagram socket for each frame that has passed: `ID LR 44` and a newline, with its direction and its size. Of a filter in one direction the direction is `--`.',
    ],
    blinkid: ['Sets what is `ID` in these messages; without it, the pid, with six digits.'],
    daemon: ['Goes into the background once both networks are open.'],
    pidfile: ['Writes the process id to a file, which is removed at the end.'],
    help: ['Prints a summary of the options.'],
    version: ['Prints the version.'],
  },
  environment: [
    {
      term: '`$ALTERNATE_STDIN`, `$ALTERNATE_STDOUT`',
      text: [
        'The descriptors from and to the right neighbour in a `dpipe(1)`, which sets them; the left one is at standard input and output.',
      ],
    },
    {
      term: '`$VDENS_DEBUG`',
      text: ['When it is set, an error is printed with the place in the program where it arose.'],
    },
  ],
  exitStatus: [
    { term: '0', text: ['It has ended as it was told to, or is in the background now.'] },
    { term: '1', text: ['The command line was wrong, or something could not be opened.'] },
  ],
  examples: [
    { text: 'A line by satellite between two switches:', command: 'wirefilter -d 270+10N -l 0.5 /tmp/sw1 /tmp/sw2' },
    {
      text: 'The same between two hosts:',
      command: 'dpipe vde_plug /tmp/sw = wirefilter -d 270 = ssh there vde_plug /tmp/sw',
    },
    {
      text: 'Bursts of losses, the same ones each time:',
      command: 'wirefilter -l 5 -L 8 --seed 1 --nostdin /tmp/sw1 /tmp/sw2',
    },
  ],
  seeAlso: ['dpipe(1)', 'vde(1)', 'vde_plug(1)', 'vde_switch(1)', 'vdens(1)'],
};
