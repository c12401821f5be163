/** The prose of vde_switch(1). */
import { CONTROL_ENVIRONMENT } from './control-manual.ts';
import type { Manual } from './option-table.ts';

export const VDE_SWITCH_MANUAL: Manual = {
  date: 'November 22, 2026',
  description: [
    '`vde_switch` is an Ethernet switch in a directory: `vdens(1)`, `vde_plug(1)`, QEMU, User-Mode Linux and everything else that speaks the protocol of VDE 2 joins it by the name of the directory. It has numbered ports with owners, VLANs, counters and a fast spanning tree, and a console that changes all of them while it runs. Programs and scripts that were written for the `vde_switch` of VDE 2 find its options, commands, answers and numbers here.',
    'Frames may have up to 64 KiB. Between processes of one user that are from this package, segmentation and checksums are left undone as far as possible, and their TAP interfaces are served by the switch itself.',
  ],
  sections: [
    {
      title: 'CONSOLE',
      text: [
        'Commands are read from standard input, and from whoever connects to the socket of `--mgmt`: `vde console PATH`, `unixterm`, `vdeterm` or a script. `help` lists them. An answer may have data, between `0000 DATA END WITH` and a line that is a dot; it ends with `1000 Success`, or with 1 and the number of an error of the system, and a prompt that no newline follows. The prompt of the console on standard input is written to standard input, so that a pipe at standard output has answers alone.',
        'A command is known by its beginning: what follows its name is its argument. It has 128 bytes at most, of which `vde console` and the originals send 127. Lines that are empty or begin with `#`, which may have any length, have no answer but a prompt. When there are 64 sessions, one that does not read makes room for another, or one of the user who has most of them.',
      ],
    },
    {
      title: 'COMMANDS OF THE CONSOLE',
      text: ['`N` is the number of a port or a VLAN; `[N]` stands for all when it is left out.'],
      items: [
        {
          term: '`help [PREFIX]`, `showinfo`, `ds/showinfo`',
          text: [
            'List the commands; show the version, process, address, age and management socket; show the directory.',
          ],
        },
        {
          term: '`load FILE`, `logout`, `shutdown`',
          text: [
            'Run the commands of a file, each of which is shown before its answer; end the session; end the switch. `logout` and `shutdown` in a file do nothing. Every line is shown of any file that the switch may read: whoever may use the console reads with the rights of the switch.',
          ],
        },
        {
          term: '`debug/list [PREFIX]`, `debug/add PREFIX`, `debug/del PREFIX`',
          text: [
            'Choose what this session is told of while it happens, in lines that begin with 3: `hash` (stations that are learnt or forgotten), `fstp` (the spanning tree), `port` (who comes and leaves).',
          ],
        },
        {
          term: '`port/showinfo`, `port/setnumports N`, `port/sethub 0/1`',
          text: ['Show and set the highest port number, and whether it is a hub.'],
        },
        {
          term: '`port/create N`, `port/createauto`, `port/remove N`, `port/allocatable N 0/1`',
          text: [
            'Make a port before anybody is at it, or remove one. It is given to those who ask for any port only after `port/allocatable N 1`.',
          ],
        },
        {
          term: '`port/setuser N USER`, `port/setgroup N GROUP`',
          text: ['Keep a port for a user or the members of a group (and root); `NONE` opens it to everybody.'],
        },
        {
          term: '`port/print [N]`, `port/allprint [N]`, `port/resetcounter [N]`, `port/epclose N ID`',
          text: [
            'Show the ports where somebody is, or all of them, with their counters and endpoints; count from zero; disconnect an endpoint.',
          ],
        },
        {
          term: '`port/setvlan N VLAN`, `vlan/create N`, `vlan/remove N`, `vlan/addport N PORT`, `vlan/delport N PORT`',
          text: [
            'Make VLANs, from 1 to 4093. A port is in one VLAN without a tag (0 at first; 4095 is none), and in any number with the tag `N`. As long as there is only VLAN 0, tags pass untouched.',
          ],
        },
        {
          term: '`vlan/print [N]`, `vlan/allprint [N]`',
          text: ['Show VLANs and their ports, where somebody is or all.'],
        },
        {
          term: '`hash/print`, `hash/find MAC [VLAN]`',
          text: ['Show the stations that are known, or one of them, with the port behind which it is.'],
        },
        {
          term: '`hash/showinfo`, `hash/setsize N`, `hash/setgcint N`, `hash/setexpire N`, `hash/setminper N`',
          text: [
            'Show and set the size of their table, how long a silent station stays in it, and how long it stays at its port; times are in seconds. `hash/setgcint` has no effect: a silent station is forgotten as soon as its time is over.',
          ],
        },
        {
          term: '`fstp/showinfo`, `fstp/setfstp 0/1`, `fstp/print [N]`',
          text: ['Show and set whether there is a spanning tree; show it.'],
        },
        {
          term: '`fstp/setedge VLAN PORT 1/0`, `fstp/bonus VLAN PORT COST`',
          text: ['Say that no switch is behind a port, so that it forwards at once; make the way by a port cheaper.'],
        },
        {
          term: '`plugin/list`, `plugin/add`, `plugin/del`',
          text: ['There are no plugins.'],
        },
      ],
    },
  ],
  options: {
    sock: [
      'Serves the switch in this directory, which is made and, at the end, removed. A directory whose switch is gone is taken over, one whose switch runs is refused.',
    ],
    mode: ['Lets those join whom this mode of the sockets lets read and write.'],
    dirmode: ['Sets the mode of the directory. Without `--mode`, the sockets have the same, without execution.'],
    group: ['Gives the directory and the sockets to this group.'],
    numports: ['Has ports from 1 to this number, 4095 at most.'],
    hub: ['Sends every frame to every port.'],
    fstp: ['Speaks the fast spanning tree protocol of VDE 2, so that cables between switches may form loops.'],
    macaddr: ['Sets the address of the switch, in the spanning tree.'],
    priority: ['Sets the priority in the spanning tree: of all switches, the one with the lowest becomes the root.'],
    hashsize: ['Sets the size of the table of stations, which is rounded up to a power of two.'],
    tap: [
      'Gives a port to this TAP interface, which is made when it is not there. It takes the right to: as root, inside `vdens`, or with an interface that root has made for the user.',
    ],
    daemon: [
      'Goes into the background when everything is open; until then, errors are seen, and the status says whether it worked. There is no console on standard input then.',
    ],
    pidfile: [
      'Writes the process id to this file, which must not be there yet, and is removed at the end. One that another process has left has to be removed by hand.',
    ],
    nostdin: ['Reads no commands from standard input, and runs until a signal or `shutdown` ends it.'],
    rcfile: [
      'Runs the commands of this file at the start. Without it, those of `.vde2/vde_switch.rc` in the home directory are run, or, when that is not there, of `/etc/vde2/vde_switch.rc`. What fails is told on standard error; `logout` and `shutdown` do nothing there.',
    ],
    mgmt: ['Makes the console available at this socket. One whose switch is gone is taken over.'],
    mgmtmode: [
      'Sets the mode of that socket. Whoever may write to it manages the switch, and sees, by `load`, the lines of every file that the switch may read.',
    ],
    mgmtgroup: ['Gives that socket to this group. What `--mgmtmode` lets its members do holds for all of them.'],
    help: ['Prints a summary of the options.'],
    version: ['Prints the version.'],
  },
  environment: [
    { term: '`$HOME`', text: ['Where `.vde2/vde_switch.rc` is looked for.'] },
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
        'It was ended by the end of standard input, by `shutdown` or by `SIGTERM`; with `--daemon`, it is in the background. `SIGINT` ends it as it ends other programs, `SIGHUP` does not end it.',
      ],
    },
    { term: '1', text: ['The command line was wrong, the switch could not be served, or its directory was lost.'] },
  ],
  examples: [
    { text: 'A switch, and a namespace on it:', command: 'vde_switch -d -s /tmp/sw -M /tmp/sw.mgmt\nvdens /tmp/sw' },
    { text: 'What is on it:', command: 'vde console /tmp/sw.mgmt port/print' },
  ],
  seeAlso: ['vde(1)', 'vde_plug(1)', 'vdens(1)'],
};
