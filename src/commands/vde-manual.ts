/** The prose of vde(1). */
import type { Manual } from './option-table.ts';

export const VDE_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`vde` looks after virtual networks: it says what this machine lacks, lists what runs, goes into it, shows what passes and why something does not arrive, makes networks worse and cuts them, adds forwards, serves switches, and speaks with their consoles. The first word that is not an option says what to do, and has options of its own; `--help` after it lists them.',
  ],
  options: {
    capture: [
      'Shows the frames that pass the interfaces of a namespace, the ports of a switch or the ends of a cable, a line for each, or writes them to a file that Wireshark and tshark read while it grows. `NAME` is what `vde ls` shows, a pid, or the directory of a switch; behind a colon may stand which interface or port: `web:vde1`, `/tmp/lan:"port 2"`. Of a process that has namespaces, these are captured, otherwise all that it has; ports that come later are captured from their first frame on.',
      'Each frame has the time in nanoseconds, its interface, and its direction: `out` is what a namespace sends, or what leaves a switch at a port. Frames that were dropped are told at the next one, with their number, direction and reason, such as `3 frames dropped outbound: peer-slow`. A super-frame, which the kernel has not cut yet, is one frame of up to 64 KiB, and its checksum is still to be done.',
      'Nothing waits for a capture. What comes faster than it is written is left out; the file says where and how many, and so does the last line on the standard error. Whoever captures runs at a lower priority. Up to 8 may do so at a time in one process. While nobody does, nothing is spent.',
      'A `FILTER` chooses frames, in the words of `pcap-filter(7)`: `host`, `net`, `port`, `portrange` and `proto`, with `src` and `dst`; `ether`, `ip`, `ip6`, `arp`, `rarp`, `tcp`, `udp`, `sctp`, `icmp`, `icmp6`, `igmp`, `vlan`; `broadcast`, `multicast`, `less`, `greater`; `and`, `or`, `not`, parentheses; bytes, such as `tcp[tcpflags] & tcp-syn != 0`; and besides, `inbound` and `outbound`. Names of hosts are not looked up.',
      'It ends by `^C`, after `--count` frames or `--seconds`, when nobody reads its output any more, and when the process that is looked at ends; then it says how many frames there were.',
    ],
    'capture --write': [
      'Writes a capture file (pcapng) instead of lines; a file that is there is written over. `-` is the standard output: a pipe, but no terminal.',
    ],
    'capture --count': ['Ends after so many frames, of those that the filter lets pass.'],
    'capture --seconds': ['Ends after so many seconds. With `--last`: takes only what was recorded in so many.'],
    'capture --snap': ['Keeps so many bytes of each frame, and how long it was. The default is 262144, which is all.'],
    'capture --link': [
      'Captures the interface or port with this name, as behind the colon; `any` for all that the process has.',
    ],
    'capture --buffer-size': ['Room for frames that are not written yet, in MiB, from 1 to 1024. The default is 16.'],
    'capture --ring': [
      'Has the process record its frames from now on, and returns: the last so many `SECONDS` are kept, as far as there is room, and can be taken with `--last` at any time, after a failure for example. 0 ends it. The recording goes with the process.',
    ],
    'capture --ring-size': [
      'Room for the recording, in MiB, from 1 to 1024. The default is 64. The oldest frames make room for new ones.',
    ],
    'capture --last': ['Shows or writes what was recorded until now, and returns. The recording goes on.'],
    console: [
      'Speaks with the management console that `vde_switch(1)`, `wirefilter(1)` and others of the family have at a `SOCKET`, which is what their `-M` was given.',
      'On a terminal, lines are edited behind the prompt `vde[SOCKET]`, and earlier ones are found again, those of other sessions too: the last 500 are kept. The tabulator completes what the `help` of this console lists. What the console says by itself, after `debug/add`, appears above the line that is edited. It ends with `logout`, `^D`, `^C`, or the switch.',
      'Where standard input or output is no terminal, lines are passed on one by one, each after the answer to the one before, and all that the console says comes out as it is; only to a terminal are control characters in it written as `\\x1b`. The end of the input ends it, after the last answer.',
      'With a `COMMAND`, that one is run: its data goes to standard output. When it fails, the status of the console, such as `1017 File exists`, goes to standard error. A command may have 127 bytes; an answer may pause for 10 seconds, and be 16 megabytes long.',
    ],
    cut: [
      'Pulls the cable out of the interfaces of a namespace, the ports of a switch, the end of a cable, or the one behind the colon (`web:vde0`, `/tmp/lan:port3`): no frame passes any more, and an interface of a namespace loses its carrier. `NAME` is as for `vde tc`.',
    ],
    'cut --json': ['Prints what is set, as `vde tc --json` does.'],
    doctor: [
      'Says whether this machine can run `vdens(1)`. For each obstacle there is a line that says what it is, and one with the command that removes it: namespaces that the kernel, a setting, AppArmor or a container does not allow, a `/dev/net/tun` that is missing or closed, a program that was not built for this machine. Nothing is changed.',
    ],
    'doctor --json': ['Prints the findings as JSON, for programs.'],
    'doctor --print-apparmor': [
      'Prints an AppArmor profile that lets the helper program of this installation, and nothing else, make namespaces. Ubuntu 24.04 and later need one.',
    ],
    exec: [
      'Runs a `COMMAND` in the namespace of a `vdens(1)` that is there already, or the shell of `$SHELL` when there is none. `NAME` is what `vdens --name` was given, the pid of a `vdens`, or the pid of any process in such a namespace; for a program of the library that has several, `NAME:INTERFACE`.',
      "The command has the namespaces of those that run there (user, network, host name, mounts), and so sees their interfaces, their `/etc/resolv.conf` and their host name; it has their capabilities, your environment, the working directory that you are in, and your terminal. Only the user whose `vdens` it is can do this, and needs no other rights. The exit status is the command's own, as with `vdens(1)`. What the command leaves in the background is ended when it ends.",
      'When that `vdens` ends, its interfaces go, and its name; a command that was started by `vde exec` stays.',
    ],
    explain: [
      'Says whether a frame gets from the namespace `A` to `B`, and an answer back: one sentence for each step of the way, in the order in which the frame takes it, with what was looked at in brackets; a command below a step that is in the way; and a verdict as the last line. `A` is what `vdens --name` was given, or the pid of a `vdens(1)`; for a program of the library that has several namespaces, `NAME:INTERFACE`; `B` is such a namespace, an IP address, or a MAC address. Everything is asked from outside: no program has to be in a namespace.',
      'The steps are: which address of `B`; the route to it; the interface (up, carrier, cut, made worse on purpose, MTU); the neighbour, which the kernel in `A` asks for by ARP or neighbour discovery, and waits 1.5 seconds for (3.5 where something is made worse on purpose, 0.3 where an interface is down or cut); the networks on the way (who serves the switch, ports, VLANs, the spanning tree; peers of a network over UDP; where a gateway leads; cables that join networks); what was dropped at each place, and why; the interface of `B`, and its route back. Through routers that are namespaces, all that is said of each part of the way.',
      'Marks are `ok`; `!!` for what is in the way; `??` for what is worth knowing; `--` for what cannot be found out, such as what an original switch knows. When the neighbour answers, what looks wrong on the way is not in it, and only worth knowing.',
      'The exit status is 0 when it gets there and an answer back, and 1 when it does not. Of a namespace with addresses of both families, both are looked at; one that gets there is enough.',
    ],
    'explain --json': [
      'Prints the same as JSON: `reaches`, `verdict`, and `ways`, one for each address, with `destination`, `arrives`, `reaches` and `steps`; a step has `topic`, `state` (`ok`, `problem`, `warning`, `unknown`), `text`, `lookedAt` and perhaps `remedy`.',
    ],
    'explain --no-probe': [
      'Only looks: nobody is asked for by ARP or neighbour discovery, so nothing is sent on any network.',
    ],
    forward: [
      'Lists, adds and removes the ports of the host that lead to guests of a gateway (`slirp://`), while it runs. `NAME` is what `vdens --name` was given, its pid, that of a `vde_plug(1)` with a gateway, or the directory of a switch that such a process serves.',
      'A `FORWARD` is [[`HOST-ADDRESS`:]`HOST-PORT`:][`GUEST-ADDRESS`:]`GUEST-PORT`[/`PROTOCOL`]. Without an address of the host it is every one; without a port of the host the kernel chooses one; without an address of the guest it is that of the namespace, or for other guests the first that the gateway gives out. IPv6 addresses stand in brackets. The protocol is `tcp` or `udp`.',
      'Without a `FORWARD` they are listed, as by `list`: numbers, both places, and the network of the gateway. What is added or removed is printed in the same way. `remove` takes the number of a forward, its port of the host, or what was written to add it. They last until the gateway ends; those that shall be there from the start stand in `tcpfwd` and `udpfwd` of `slirp://`.',
    ],
    'forward --remove': ['Removes the forwards, as the word `remove` does.'],
    'forward --udp': ['Forwards that do not say their protocol are of UDP.'],
    'forward --gateway': ['Which gateway is meant, by its `NETWORK` as it was opened, when a process has several.'],
    'forward --json': [
      'Prints an array with an object for each forward: `id`, `protocol`, `hostAddress`, `hostPort`, `guestAddress`, `guestPort`, `gateway`.',
    ],
    join: ['Puts the cable back that `vde cut` has pulled out.'],
    'join --json': ['Prints what is set, as `vde tc --json` does.'],
    ls: [
      'Lists what runs for this user: namespaces of `vdens(1)` with their interfaces and addresses, switches, gateways, cables of `vde_plug(1)`. There is a line for each interface, switch, gateway and cable: who it is (`NAME` or, where it was given none, the command and its pid), addresses, how many peers are known, what comes in and goes out per second since the previous look, and frames that were dropped since the start. `in` is what comes to an interface, and into a switch. On a terminal, columns that have no room are left out.',
      'A `KIND` is `namespaces`, `switches`, `gateways`, `cables` or `filters`: then only those are listed. A process that does not answer within half a second because it was stopped, or within two for another reason, is listed with `does not answer`. A `vdens` without a network, `--up` and `--name` is not listed, as nothing of it stays that could answer; its pid will do for `exec`. When nothing runs, that is said on the standard error, and the exit status is 0.',
    ],
    'ls --json': [
      'Prints an array with an object for each process: `name`, `pid`, `command`, `uptimeSeconds` and `items`, each of which has its `kind`, and what there is to know of it: addresses, peers, ports, stations, forwards, counters, drops by reason. One that does not answer has `answers` false and a `problem`. What is there stays; later versions may add to it.',
    ],
    tc: [
      'Makes the network of something that runs worse, while it runs: what its words say is set, and the rest stays; `none` takes everything away. Without words it shows what is set. `NAME` is what `vdens --name` was given, a pid (of a `vde_plug(1)` for example), or the directory of a switch, whose ports of clients are meant then; `:LINK` behind it means one interface or port.',
      'The words are `delay=20` (milliseconds; `20+5` varies by up to 5, `20+5N` normally distributed), `loss=1%`, `burst=4` (they are lost in a row, so many on average), `dup=1%`, `rate=10mbit` or `bandwidth=1M` (a bottleneck, in bits or bytes per second), `speed=1M` (likewise, and who sends has to wait), `capacity=64K` (bytes that may wait), `noise=5` (wrong bits in a MiB), `mtu=1400` (the largest packet), `nofifo` (frames may overtake each other) and `seed=1` (the same random numbers each time). `delay=out:20` is for what leaves by this interface or port, `delay=in:20` for what comes; otherwise it is for both. Those of `tc-netem(8)` are understood as well: `delay 20ms 5ms distribution normal loss 1%`.',
      'As long as something is set, frames pass the process one by one, and offload ends there; afterwards they move as before.',
    ],
    'tc --json': [
      'Prints an array of objects: `id`, `network`, `impairment` (words that set it), `innerImpairment` (what `wirefilter://` within the network has set), `isCut`.',
    ],
    top: [
      'Shows what passes at each interface, port of a switch and end of a cable, anew each second: frames and bytes per second, totals, and drops by reason and direction. With a `NAME` or a pid, only that process. On a terminal the arrows and `s` sort by something else, `r` the other way round, `q` ends. Elsewhere, tables are printed one after the other.',
    ],
    'top --count': ['Ends after so many tables.'],
    'top --interval': ['Shows a table each so many seconds, from 0.1 to 3600. The default is 1.'],
    'top --sort': ['Sorts by `rate` (bytes both ways, the default), `in`, `out`, `dropped` or `name`.'],
    'top --reverse': ['Sorts the other way round.'],
    switch: [
      'Serves a switch in the directory `PATH`, for clients alone: there is no namespace and no command. It stays in the foreground until it is ended, removes what it made, and leaves nothing behind, unless something else was put into the directory: then that stays, with `ctl`. Clients are `vdens(1)`, `vde_plug(1)`, QEMU and all others that know the directory of a VDE switch; our own, of the same user, hand over their TAP interfaces, so that frames move without passing a socket.',
      '`PATH` is made, and its parent must exist; `switch://PATH` and `hub://PATH`, with the options of `vdens(1)` in brackets, are understood as well. The default is the directory in which the originals meet, `/tmp/vdenode_` and the name of the user, which has to belong to the user. Options of the command line go before those in brackets. When somebody else serves there already, that is an error; the sockets of a switch that was killed are removed.',
      'On a terminal it shows the ports, anew each second: what the frames come from (`tap`: handed over, `socket`), frames and bytes per second and in total, frames that were dropped and why, and what the client says of itself. `in` is what came into the switch at a port, `out` is what left it there. Where there is no room, totals are left out first, and then ports. In the background, and where the standard output is no terminal, nothing is shown: one line on the standard error says that clients can come. Scripts may wait for that line, or for the socket `ctl` in the directory.',
      '`SIGUSR1` prints all ports, and the stations with their VLAN, port and age, to the standard error. Lines begin with `port`, `station` or `#`; fields are separated by spaces, and the description of a client is the last.',
      'When the directory is removed, or another one is put in its place, nobody finds the switch any more: it lets go of its clients, says so, and ends.',
    ],
    'switch --hub': ['Sends every frame to every port, as on a shared wire.'],
    'switch --mode': [
      'Gives the sockets these permission bits, in octal. Who may read and write them may join. The default is 0600: only the user.',
    ],
    'switch --dirmode': [
      'Gives the directory these permission bits, in octal. The default is what `--mode` needs, with the set-group-ID bit: 02700, or 02770 with `--mode 0660`.',
    ],
    'switch --group': ['Gives the directory and the sockets this group, by name or by number; the user must be in it.'],
    'switch --ports': ['Lets in so many clients at a time, and refuses the next one. The default is 4096.'],
    'switch --table-size': [
      'Remembers so many stations (address and VLAN), rounded up to a power of two. Of more, the one that was silent longest is forgotten; frames for a station that is not known go to every port. The default is 256.',
    ],
    'switch --table-seed': ['Changes which stations share a place in the table. The default is 0.'],
    'switch --expire': [
      'Forgets a station that was silent for so many seconds, from 1 to 2147483. The default is 120.',
    ],
    'switch --quiet': ['Shows nothing, and says nothing but problems. `SIGUSR1` is answered all the same.'],
    help: ['Prints a summary of the commands and options.'],
    version: ['Prints the version.'],
  },
  environment: [
    {
      term: '`$VDENS_RUNTIME_DIR`',
      text: [
        'The directory of the control sockets, by which the commands find what runs. By default, it is `vdens` in `$XDG_RUNTIME_DIR`, or `/tmp/vdens-` and the number of the user. It belongs to the user and is closed to others; otherwise it is not trusted.',
      ],
    },
    {
      term: '`$XDG_STATE_HOME`',
      text: ['Where the history of `console` is kept; by default, `.local/state` in the home directory.'],
    },
    {
      term: '`$VDENS_DEBUG`',
      text: ['When it is set, an error is printed with the place in the program where it arose.'],
    },
  ],
  files: [{ term: '`~/.local/state/vdens/console-history`', text: ['What was typed at consoles.'] }],
  exitStatus: [
    {
      term: '0',
      text: [
        'All is well: with `doctor`, this machine can run `vdens(1)`; with `switch`, it was ended by `SIGINT`, `SIGTERM` or `SIGHUP`; with `console`, the command succeeded, or there was none.',
      ],
    },
    {
      term: '1',
      text: [
        'With `explain`: it does not get there, or no answer comes back. With `doctor`: there is an obstacle. With `console`: the command failed there. With `capture --ring 0`: nothing was recorded.',
      ],
    },
    {
      term: 'others',
      text: [
        'With `exec`: the status of the command; 128+n when the signal n ended it, 126 when it cannot be executed, 127 when there is none.',
      ],
    },
    {
      term: '125',
      text: [
        'The options were wrong, or `vde` itself failed: with `switch`, also when somebody else serves there, or the directory was removed; with `console`, when there is no console, or no answer.',
      ],
    },
  ],
  examples: [
    { text: 'Find out why `vdens` does not run:', command: 'vde doctor' },
    {
      text: 'Allow it on a system where AppArmor restricts namespaces:',
      command:
        'vde doctor --print-apparmor | sudo tee /etc/apparmor.d/vdens-launch\nsudo apparmor_parser -r /etc/apparmor.d/vdens-launch',
    },
    {
      text: 'Two hosts on a switch, what runs, and a shell in one of them:',
      command:
        'vdens --name a --address 10.0.0.1/24 switch:///tmp/lan sleep 60 &\nvdens --name b --address 10.0.0.2/24 switch:///tmp/lan sleep 60 &\nsleep 1; vde ls\nvde exec a ping -c 1 10.0.0.2',
    },
    {
      text: 'The addresses of all namespaces, for a program:',
      command: "vde ls --json namespaces | jq -r '.[] | select(.answers) | .items[].interfaces[].addresses[]'",
    },
    {
      text: 'The traffic of a namespace to a file, and live in Wireshark:',
      command: 'vde capture web -w web.pcapng tcp port 80\nvde capture web -w - | wireshark -k -i -',
    },
    { text: 'Why a namespace does not reach another one:', command: 'vde explain web db' },
    {
      text: 'A bad line for a while, and a pulled cable:',
      command: 'vde tc web delay=20+5 loss=1%\nvde tc web none\nvde cut web; sleep 5; vde join web',
    },
    { text: 'A port of this machine that leads to port 80 of a namespace:', command: 'vde forward web 8080:80' },
    {
      text: 'The last 30 seconds before a failure:',
      command: 'vde capture web --ring 30\n# … and when it has happened:\nvde capture web --last -w failure.pcapng',
    },
    { text: 'A switch for a group, and who is on it:', command: 'vde switch --mode 0660 --group lab /tmp/lan' },
    {
      text: 'The stations of a switch and their ports, from another terminal:',
      command:
        'vde switch /tmp/lan 2>/tmp/log & sleep 1\nkill -USR1 $!; sleep 1\nawk \'$1 == "station" { print $2, $4 }\' /tmp/log',
    },
    {
      text: 'A switch with a console, and what its console says of its ports:',
      command: 'vde_switch -d -s /tmp/sw -M /tmp/sw.mgmt\nvde console /tmp/sw.mgmt port/print',
    },
  ],
  seeAlso: ['vde_plug(1)', 'vde_switch(1)', 'vdens(1)', 'vdeterm(1)', 'wirefilter(1)', 'user_namespaces(7)'],
};
