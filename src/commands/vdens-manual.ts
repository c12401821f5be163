/** The prose of vdens(1). */
import { CONTROL_ENVIRONMENT } from './control-manual.ts';
import type { Manual } from './option-table.ts';

export const VDENS_MANUAL: Manual = {
  date: 'November 21, 2026',
  description: [
    '`vdens` runs a command in a network namespace of its own, for which it needs neither root nor anything set up beforehand. For each `NETWORK` that is named, there is an Ethernet interface in the namespace (`vde0`, `vde1` and so on) that is plugged into that network: a switch, a line to another host, a stream that another program carries. Without one there is only the loopback interface.',
    'The command is `$SHELL` when there is none, or the shell of the password file when that is unset. It keeps the user and the group that it was started by, its files, its terminal and its environment. In its own namespace it may do with the network what root does elsewhere: it has `CAP_NET_ADMIN`, `CAP_NET_RAW`, `CAP_NET_BIND_SERVICE` and `CAP_NET_BROADCAST` as ambient capabilities, which what it starts inherits. These are worth nothing outside.',
    'Options end at the first word that is not one. Long names may be shortened as long as one option alone is meant. With `-m` all words up to `--` are networks; without it the first word is the network, the second the command, and everything after that is its arguments.',
    'Networks are opened outside the namespace, with the rights and from the place of the caller: a path or an address means what it means outside. In the namespace the interfaces are down and have no addresses, unless `--up`, `--address` or `--auto` say otherwise.',
  ],
  sections: [
    {
      title: 'NETWORKS',
      text: ['A network is one of these words.'],
      items: [
        {
          term: '`-`, `no`, or an empty word',
          text: ['No network. Not with `-m`, where every word makes an interface.'],
        },
        {
          term: '`PATH`, `vde://PATH`',
          text: [
            'The VDE switch whose directory is `PATH`, such as one that was started by `vde_switch(1)`. `vde://` alone looks for a switch at `/var/run/vde.ctl`, then at `/tmp/vde.ctl`. A leading `~/` is the home directory.',
            'Options may follow in brackets, separated by slashes: `[7]` asks for port 7, `[staff]` for the port group of that name, which has to exist; `group=NAME` and `mode=660` say who else may use the socket of this connection.',
            'When the word is a path alone, and that of a regular file, it is an alias: the network is what its first line says.',
          ],
        },
        {
          term: '`switch://PATH`, `hub://PATH`',
          text: [
            'A switch, or a hub, for all who name the directory `PATH`. Whoever comes first makes the directory and serves it, whoever comes later joins. When the one who serves goes away, however, one of those left takes over, and the others find it. Others join with `PATH` alone: original tools, QEMU, `vdens PATH`. Without a path it is the directory in which the originals meet, `/tmp/vdenode_` and the name of the user; it has to belong to the user. To serve without a namespace there is `vde switch`, see `vde(1)`.',
            'Options in brackets, separated by slashes, are for whoever serves: `mode=660` and `dirmode=2770` are permission bits of the sockets and the directory (the default is for the user alone), `grp=NAME` is the group of both; `hashsize=N` is how many stations are remembered (256; 0 makes a hub), `hashseed=N` changes which share a place, `expiretime=N` is after how many seconds a silent one is forgotten (120; from 1 to 2147483).',
            'The options, and whether it is a switch or a hub, are those of whoever serves: who comes later with others joins all the same, and they hold when it takes over. In a directory of another user one joins what is served there, which is in the hands of whoever made the directory.',
            'When somebody else has put something into the directory, it is left alone, and so is the directory when the segment ends, with its socket `ctl` as a sign that a switch may be served there again.',
            'Among processes of one user, the one that serves is handed the interfaces of the others, and moves their frames without a socket between them.',
          ],
        },
        {
          term: '`multi://PATH`, `bonding://PATH`',
          text: [
            'As `hub://`, but those who join exchange frames with whoever serves, and not with each other. What whoever serves sends goes to all of them with `multi://`, and with `bonding://` each frame to one of them, in turn. When it goes away, one of those left is in its place.',
          ],
        },
        {
          term: '`ptp://PATH`',
          text: [
            'A line between two who name the same path, ours or originals of either protocol. Whoever comes first waits, with an interface that has no carrier; so does whoever is left. A third one is refused.',
            'There are no options: everything after `ptp://` is the path, of at most 101 bytes. A path that ends as options do, as in `[mode=600]`, is taken for a mistake. The two meet at sockets: `PATH` or `PATH.vdens`, at times `PATH+`, and for moments others such as `PATH.3f0a1`. What is no socket is never touched.',
            'Of two processes of one user, one is handed the interface of the other, and moves the frames of both without a socket between them.',
          ],
        },
        {
          term: '`vxvde://[GROUP]`',
          text: [
            'One Ethernet for everybody on the LAN who names it, ours or originals, any number of them on one host. They find each other by multicast: at 239.0.0.1, or with `/v6` at ff05:56de::1, port 14789, unless another `GROUP` is named. Who is not known yet is looked for in the group; who is known is sent to alone.',
            'Where multicast does not reach, `peer=HOST` names who else is on it, as in `vxvde:///peer=box.example.org/peer=192.0.2.7`. Everybody names everybody; oneself may be among them. Names are looked up again and again.',
            'Options follow behind slashes: see OPTIONS OF NETWORKS OVER UDP.',
          ],
        },
        {
          term: '`vxlan://[GROUP]`',
          text: [
            'A VXLAN (RFC 7348), as the devices of the Linux kernel, Open vSwitch and others speak it: `vxlan:///vni=42/if=eth0` by multicast, `vxlan:///vni=42/peer=192.0.2.1` without. All have the same port, 4789, so an address has room for one program, or for the kernel; several of one `vdens -m` share it.',
          ],
        },
        {
          term: '`udp://[ADDRESS:]PORT->HOST:PORT`',
          text: [
            "A line between two, a frame in each UDP packet: one's own port, and where the other one listens. It has to be quoted for the shell, which takes a bare `>` for itself. What comes from anybody else is dropped. It has no options.",
          ],
        },
        {
          term: '`slirp://`',
          text: [
            'A way out: a router with DHCP, router advertisements and DNS, whose connections are sockets of the user. `vdens --auto slirp:// curl https://example.org` needs nothing else. Options follow behind slashes: see OPTIONS OF SLIRP.',
          ],
        },
        {
          term: '`tap://NAME`',
          text: ['A TAP interface of the machine itself, which has to belong to the user.'],
        },
        {
          term: '`macvtap://NAME`',
          text: [
            'A macvtap interface that somebody has made (`ip link add link eth0 name NAME type macvtap`), by its device `/dev/tap` and the number of the interface, which has to belong to the user.',
          ],
        },
        {
          term: '`pcap://NAME`',
          text: [
            'The wire behind an interface: what the interface receives from there, with its VLAN tags, and a way to send there. The interface goes on being used as before, and is to hear everything (promiscuous). What this machine sends there itself is not heard. It takes the right to (CAP_NET_RAW), which everybody has inside `vdens`. An interface that is set down is waited for.',
          ],
        },
        {
          term: '`vdesl://DEVICE[[speed=N]]`',
          text: [
            'A serial line between two, such as `/dev/ttyUSB0`, with N bit/s (38400; from 50 to 4000000, as far as the device knows it). A frame that is damaged is lost, or arrives damaged: nothing but IP protects it. Behind a byte that was lost, frames come again after a pause of 100 ms. Nobody else can have the device meanwhile; its settings are put back at the end.',
          ],
        },
        {
          term: '`seqpacket://N`',
          text: [
            'A connected socket of packets, one frame each, that whoever starts `vdens` has open as descriptor N (`socketpair(2)` with `SOCK_SEQPACKET`, or of datagrams). It does not come back when its other end is closed. The command does not get it.',
          ],
        },
        { term: '`null://`', text: ['A network with nobody else on it.'] },
        {
          term: '`cmd://COMMAND`, `=COMMAND`',
          text: [
            'A command that speaks the VDE stream on its standard input and output, such as `ssh host vde_plug`. Quotes and backslashes group words; nothing else of a shell is understood.',
          ],
        },
        {
          term: '`vlan://[VLAN][/OPTIONS]{NETWORK}`',
          text: [
            'Some VLANs of another network, whose name stands in the braces; without one it is the default network. Frames of the VLAN have no tag on our side; without a VLAN, those pass that have none on the network either. `u=VLAN` is the VLAN that the frames without a tag of the network have on our side. `t=LIST` are VLANs that have a tag on both sides, separated by `.` or `:`; `10-20` is VLAN 20 of the network as 10 of ours. `x` passes all others with their tags, but 0, 1 and 4095. `q` is about service tags (IEEE 802.1ad) instead of the usual ones: `vlan://4{vlan://5/q{/tmp/sw}}` is VLAN 4 within the service VLAN 5. Priorities are kept.',
          ],
        },
        {
          term: '`agno://[KEY][[ethtype=TYPE]]{NETWORK}`',
          text: [
            'Another network, enciphered with AES-128. The file KEY, `~/.vde_agno_key` when none is named, has 32 hexadecimal digits, the same ones for all; nobody but its owner and group may read it, and nobody but its owner may change it. `ethtype` is what the frames say that they are outside: a number (0xA6DE when it is left out), `copy`, `ipv4`, `ipv6` or `rand`. All clocks have to be right: a frame is taken when its time is at most 2 seconds behind ours and 1 ahead, and once. Nothing signs frames, so that they cannot be read, but damaged. A frame gets longer by up to 31 bytes; an interface of `vdens` has an MTU that fits.',
          ],
        },
        {
          term: '`restart://[SECONDS]{NETWORK}`',
          text: [
            'Another network, opened again when it goes away, also of a kind that does not come back by itself; pauses get longer, up to so many seconds (20).',
          ],
        },
        {
          term: '`wirefilter://[[OPTIONS]]{NETWORK}`',
          text: [
            'The network within the braces, made worse: `delay=20` (milliseconds), `loss=1` and `dup=1` (percent), `lostburst=4`, `bandwidth=1M` and `speed=1M` (bytes per second), `bufsize=64K`, `noise=5` (wrong bits in a MiB), `mtu=1400`, `nofifo`. Values are those of `wirefilter(1)`, such as `20+5N` or `LR20`. `mgmt=PATH` and `mgmtmode=MODE` make a console, `rc=FILE` has commands of it to begin with, `schedule=FILE` commands and their times; `seed=N` repeats the random numbers of another run; `blink=PATH`, `blinkid=TEXT` and `pidfile=FILE` are as there. What runs already is made worse by `vde tc`.',
          ],
        },
        {
          term: '`SCHEME://`...',
          text: [
            'Any other kind of network for which the library of the originals, `libvdeplug.so.2`, has a plugin, when it is installed. The library runs in a process of its own: when a plugin crashes, ends or does nothing for 10 seconds, the network is down, and is opened again. What the plugin prints is passed on. Only letters in lower case, digits and underscores make a scheme.',
          ],
        },
      ],
    },
    {
      title: 'OPTIONS OF NETWORKS OVER UDP',
      text: [
        'Those of `vxvde://` and `vxlan://` stand behind the group, each behind a slash: `vxvde://239.1.2.3/port=5000/ttl=4`, `vxlan:///vni=42`. A slash within a value is written `%2f`, or the value is quoted.',
      ],
      items: [
        { term: '`port=N`', text: ['The UDP port: 14789, or 4789 for `vxlan://`.'] },
        {
          term: '`vni=N`',
          text: [
            'The number of the network, from 0 to 16777215: that of `grp=`, or else 1. With `vxvde://` it may be the name of a Unix group.',
          ],
        },
        {
          term: '`grp=GROUP`',
          text: [
            "A Unix group, or one's own when there is no value. Its number takes the place of the last three bytes of the multicast group's address, and is the VNI unless there is a `vni=`.",
          ],
        },
        {
          term: '`peer=HOST[:PORT]`',
          text: [
            'Who gets a copy of what is for everybody; may be repeated. There is no multicast then, unless a group is named. An IPv6 address with a port has brackets.',
          ],
        },
        {
          term: '`peers=FILE`',
          text: ['A file with one such peer on each line; `#` begins a comment. It is read again when it changes.'],
        },
        {
          term: '`if=NAME`',
          text: ["The interface of the machine to send by. The default is the routing table's choice."],
        },
        { term: '`bind=ADDRESS`', text: ['The address to send from, and to be reached at.'] },
        {
          term: '`v4`, `v6`',
          text: ['Whether the packets are of IPv4 or of IPv6. The default is what the addresses are.'],
        },
        {
          term: '`ttl=N`',
          text: [
            'How many routers multicast may pass: 1. With `vxvde://` over IPv4 it is for all packets. With peers alone the default is that of the system.',
          ],
        },
        {
          term: '`rcvbuf=SIZE`',
          text: ['The receive buffer of a socket, such as `512k`: 8 MiB, or what the system allows.'],
        },
        {
          term: '`hashsize=N`',
          text: ['How many stations are remembered: 1024. With 0, everything goes to everybody.'],
        },
        { term: '`expiretime=SECONDS`', text: ['How long a silent station is remembered: 128.'] },
      ],
    },
    {
      title: 'OPTIONS OF SLIRP',
      text: [
        'They stand behind `slirp:///`, each behind a slash: `slirp:///v4/tcpfwd=8080:10.0.2.15:80`. A slash within a value is written `%2f`, or the value is quoted.',
      ],
      items: [
        {
          term: '`addr=IPV4[/LEN]`, `host=IPV4[/LEN]`',
          text: [
            'The gateway and the network of its guests, 10.0.2.2/24. The name server and the first lease keep their place in another network.',
          ],
        },
        { term: '`addr6=IPV6[/LEN]`, `host6=IPV6[/LEN]`', text: ['The same for IPv6, fd00::2/64.'] },
        { term: '`v4`, `v6`', text: ['One family alone.'] },
        { term: '`dhcp=IPV4`', text: ['The first address that DHCP gives out, 10.0.2.15.'] },
        {
          term: '`vnameserver=IPV4`, `vnameserver6=IPV6`',
          text: ['Where guests find DNS, 10.0.2.3 and fd00::3: the resolver of the host as it is now.'],
        },
        {
          term: '`vdnssearch=NAME,...`, `vdomainname=NAME`',
          text: ['The search list and the domain that guests are told.'],
        },
        { term: '`hostname=NAME`', text: ['What DHCP tells guests to be called: slirp.'] },
        {
          term: '`mtu=BYTES`, `mru=BYTES`',
          text: ['The largest IP packet, 1500, told to guests too; the smaller of the two.'],
        },
        { term: '`restricted`', text: ['No way out but by forwards.'] },
        {
          term: '`disable_host_loopback`',
          text: ['The address of the gateway does not lead to the loopback interface of the host.'],
        },
        {
          term: '`tcpfwd=[HOST:]PORT:GUEST:PORT,...`, `udpfwd=`',
          text: ['Ports of the host that lead to guests. IPv6 addresses stand in brackets.'],
        },
        {
          term: '`unixfwd=[ADDR:]PORT:PATH,...`, `cmdfwd=[ADDR:]PORT:COMMAND,...`',
          text: [
            'Connections of guests to ADDR, 10.0.2.4 unless given, lead to a Unix socket, or to a command of their own.',
          ],
        },
        { term: '`tftp_path=DIRECTORY`', text: ['Served by TFTP, read-only.'] },
        {
          term: '`tftp_server_name=NAME`, `bootfile=NAME`',
          text: ['What DHCP tells machines that boot from the network.'],
        },
        {
          term: '`control=PATH`',
          text: ['A socket on which forwards are added, listed and removed; docs/gateway.md says how.'],
        },
        { term: '`verbose`', text: ['Prints what the gateway is set to, and what happens.'] },
      ],
    },
    {
      title: 'PROTECTION OF NETWORKS OVER UDP',
      text: [
        'There is none. Whoever can send to the port can speak on the network, and whoever sees the packets can read them. Use addresses within a tunnel such as WireGuard where that matters.',
      ],
    },
    {
      title: 'WHEN A NETWORK FAILS',
      text: [
        'A switch or a stream that ends does not end the command. The interface loses its carrier, as if its cable had been pulled, and `vdens` tries to come back, at first soon and then with longer pauses; when it succeeds the carrier is back. One line on the standard error tells of each.',
        'Networks over UDP follow the interfaces, addresses and routes of the machine: they lose the carrier when no route leads to the group or to any peer, and have it again when one does, with `--no-reconnect` as well. That a host does not answer goes unnoticed.',
        'With `--no-reconnect` the interface stays without its carrier. When the network is a stream (`=COMMAND`), the command is sent `SIGTERM`, because the original, too, ends with its stream.',
        'A network that cannot be opened in the first place is an error, and so is a switch that does not answer: the command is not run.',
      ],
    },
    {
      title: 'WHEN THE COMMAND ENDS',
      text: [
        'The namespace ends with the command. Background processes that it left there are sent `SIGTERM`, and after a short while `SIGKILL`. When `vdens` itself is killed, the command and all that is in the namespace are killed too.',
        '`SIGTERM` and `SIGHUP` are passed on to the command. `SIGINT` and `SIGQUIT`, which a terminal sends to both, are left to the command alone. When there is a network, `SIGUSR1` makes `vdens` print how many frames and bytes went through each interface, and how many were dropped and why. Of networks over UDP, `echo` is what one sent to the group oneself, `foreign-vni` is for another network, `foreign-sender` is from somebody who is not at the other end of the line, and `bad-header` is no VXLAN; then follow the stations that were heard last, with the host that each is behind.',
      ],
    },
  ],
  options: {
    iface: [
      'Names the interfaces `PREFIX` and a number from 0. The default is `vde`. The kernel takes names of up to 15 bytes.',
    ],
    multi: ['Takes any number of networks, and makes an interface for each, in order. A command follows after `--`.'],
    resolvconf: [
      'Puts `FILE` in the place of `/etc/resolv.conf`, for the command only: it sees an `/etc` of its own, laid over that of the machine. An empty name puts an empty file there. Ignored when `-R` is given.',
    ],
    resolvaddr: [
      'Puts a file with these name servers, IPv4 or IPv6, in the place of `/etc/resolv.conf`, for the command only.',
    ],
    name: [
      'Gives the namespace a name, by which the other commands of `vde(1)` find it: `vde ls` lists it, `vde exec NAME` runs one more command in it. A name has 1 to 63 letters and digits of ASCII, `_`, `.` and `-`, begins with a letter, a digit or `_`, and is not a number. Two that run at the same time cannot have the same one. Without `--name` it is `vdens-` and the pid.',
    ],
    hostname: [
      'Gives the namespace a host name of its own, and an entry for it in `/etc/hosts`, for the command only. Without this option the name is that of the machine.',
    ],
    sysadm: [
      'Grants `CAP_SYS_ADMIN` too, so that the command can mount file systems and make more namespaces. The command gets its own mount namespace.',
    ],
    up: [
      'Brings the loopback interface and every other interface up. With no network it is the loopback interface alone.',
    ],
    auto: [
      'Lets the servers of each network configure its interface: addresses, routes, the MTU, and who resolves names, by DHCP, DHCPv6 and router advertisements (SLAAC). The command starts when each interface has an address of either family, after a short wait for the other one. While it runs, leases are renewed, a network that was away and is back is asked again, and the addresses are given back at the end.',
      '`/etc/resolv.conf` is what was learnt, for the command only, and follows when that changes; not with `-r` or `-R`. What is given by `--address`, `--gateway` or `--mtu` is kept: an interface with an address of its own asks for no other of IPv4, and is not waited for. Of several default routes that of the first interface is taken. Implies `--up`.',
    ],
    'auto-timeout': [
      'How long `--auto` waits until each interface has an address, in seconds, up to 3600. When one has none by then, the command is not run.',
    ],
    address: [
      'Gives addresses to an interface, each with the length of its prefix: `10.0.0.1/24`, `fd00::1/64`. Without a name they are for the first interface. May be repeated, and implies `--up`.',
    ],
    gateway: [
      'Sends what is for other networks to this router. It has to be in the network of one of the addresses, or to be an IPv6 link-local address, which is looked for on the first interface. May be given once for IPv4 and once for IPv6, and implies `--up`.',
    ],
    mac: [
      'Sets the Ethernet address of an interface, for example `02:00:00:00:00:01`. The default is a random one. May be repeated, once for each interface.',
    ],
    mtu: [
      'Sets the largest packet that an interface sends, in bytes, from 68 to 65521. The default is 1500, and on a network over UDP what fits its packets: 1450 with `vxvde://` and `vxlan://` over IPv4 on an ordinary Ethernet, 1430 over IPv6; 1458 and 1438 with `udp://`. Larger frames are sent in fragments, and that is told once. May be repeated, once for each interface.',
    ],
    root: [
      'Lets the command see itself as user and group 0. Outside the namespace it still is the user who started it.',
    ],
    'no-reconnect': [
      'Does not try to come back to a network that fails. The end of a stream (`=COMMAND`) is then the end of the command.',
    ],
    clone: [
      'Accepted for compatibility, and changes nothing. Namespaces are always made by a small program of their own.',
    ],
    unshare: ['Accepted for compatibility, and changes nothing.'],
    help: ['Prints a summary of the options.'],
    version: ['Prints the version.'],
  },
  environment: [
    { term: '`$SHELL`', text: ['The command when none is given.'] },
    {
      term: '`$VDE_RESOLVADDR`, `$VDE_RESOLVCONF`',
      text: ['Defaults for `-R` and `-r`. A variable that is set but empty asks for an empty `/etc/resolv.conf`.'],
    },
    ...CONTROL_ENVIRONMENT,
    {
      term: '`$VDENS_OFFLOAD`',
      text: [
        'When it is 0, the kernel hands over single frames, none larger than the MTU, and UDP packets pass one by one. This is slower, and a help in looking for faults.',
      ],
    },
    {
      term: '`$VDENS_LINE`',
      text: [
        'When it is 0, frames between an interface and a switch do not move on a thread of their own. This is slower, and a help in looking for faults.',
      ],
    },
    {
      term: '`$VDENS_HANDOVER`',
      text: [
        'With the value `0`, interfaces are not handed over to the process that serves a `switch://` or that is at the other end of a `ptp://`, and none is taken there: frames pass sockets. It counts at either end.',
      ],
    },
    {
      term: '`$VDENS_ORIGINAL`',
      text: [
        'Kinds of networks, separated by commas, that the library of the originals is to open although `vdens` knows them: `agno,vlan`. A help in looking for faults.',
      ],
    },
    {
      term: '`$VDENS_DEBUG`',
      text: ['When it is set, an error is printed with the place in the program where it arose.'],
    },
    { term: '`$HOME`', text: ['The directory that a leading `~/` in a network means.'] },
  ],
  exitStatus: [
    { term: '0 to 255', text: ["The command's own exit status."] },
    {
      term: '125',
      text: [
        '`vdens` itself failed: the options were wrong, a network could not be opened, nobody on one gave an address (`--auto`), or the machine does not allow namespaces. `vde doctor` says what to do about the last.',
      ],
    },
    { term: '126', text: ['The command was found, but could not be run.'] },
    { term: '127', text: ['The command was not found.'] },
    { term: '128 + `N`', text: ['The command was ended by signal number `N`.'] },
  ],
  examples: [
    { text: 'A shell that cannot reach any network:', command: 'vdens' },
    {
      text: 'Two namespaces on one switch, where the second pings the first:',
      command:
        'vde_switch -s /tmp/sw -d\nvdens --address 10.0.0.1/24 /tmp/sw sleep 60 &\nvdens --address 10.0.0.2/24 /tmp/sw ping -c 3 10.0.0.1',
    },
    {
      text: 'A router between two switches, with interfaces eth0 and eth1:',
      command: 'vdens -m -i eth --address eth0=10.0.0.1/24 --address eth1=10.0.1.1/24 /tmp/sw0 /tmp/sw1',
    },
    {
      text: 'One LAN across hosts, the same on each with another address:',
      command: 'vdens --address 10.0.0.1/24 vxvde://',
    },
    {
      text: 'The same without multicast, and as a member of a VXLAN of the Linux kernel at 192.0.2.1:',
      command:
        'vdens --address 10.0.0.1/24 vxvde:///peer=192.0.2.2/peer=192.0.2.3\nvdens --address 10.0.0.2/24 vxlan:///vni=42/peer=192.0.2.1',
    },
    { text: 'A switch on another host:', command: "vdens '=ssh host vde_plug /run/sw' ip -brief link" },
    {
      text: 'A web server that only this namespace can reach, on port 80, without root:',
      command: 'vdens --up no python3 -m http.server 80',
    },
    {
      text: 'Addresses, routes and name servers from whoever serves them on that network:',
      command: 'vdens --auto vde:///run/sw',
    },
    {
      text: 'A default route and a name server:',
      command: 'vdens --address 10.0.0.5/24 --gateway 10.0.0.1 -R 9.9.9.9 vde:///run/sw',
    },
  ],
  closing: [
    {
      title: 'DIFFERENCES',
      text: ['The original `vdens` of VirtualSquare differs in this:'],
      items: [
        {
          term: 'Exit status',
          text: [
            'It was 0 whenever there was a network, even when the command failed or did not exist, and 1 for its own errors.',
          ],
        },
        {
          term: 'Signals',
          text: ['`SIGTERM` ended `vdens` alone, and left the command running without its interfaces.'],
        },
        { term: 'Leftover processes', text: ['They lived on in a namespace whose interfaces were gone.'] },
        {
          term: 'Failing networks',
          text: [
            'The end of a switch went unnoticed, and the end of a stream ended `vdens`. With `--no-reconnect` the end of a stream still ends the command.',
          ],
        },
        {
          term: 'Port groups',
          text: ['One that does not exist was silently replaced by any free port. It is an error here.'],
        },
        { term: 'Silent switches', text: ['One that did not answer was waited for without an end.'] },
        {
          term: 'resolv.conf',
          text: [
            'It may be a symbolic link here, or missing, and nothing stays behind in `/tmp`. What is given to `-R` is checked. An option comes before both variables; in the original `$VDE_RESOLVADDR` came before `-r`.',
          ],
        },
        {
          term: 'Open files',
          text: [
            'The command got all that were open. Here it does so only without options and without a network; otherwise those from 3 to 15 are closed.',
          ],
        },
        { term: 'Hosts', text: ['The name that `-H` gives could not be resolved.'] },
        { term: 'Interface names', text: ['Those that were too long lost their number. They are an error here.'] },
        {
          term: '`--`',
          text: [
            'It may stand between a network and its command even without `-m`, and directly after the options with it.',
          ],
        },
        { term: '`-m`', text: ['A stream (`=COMMAND`) may be one of several networks.'] },
        { term: '`-h`', text: ['Prints to the standard output, with exit status 0.'] },
        { term: '`-c`, `-u`', text: ['They chose between two ways of making the namespace. There is one here.'] },
      ],
    },
  ],
  seeAlso: [
    'vde(1)',
    'vde_plug(1)',
    'vde_switch(1)',
    'capabilities(7)',
    'network_namespaces(7)',
    'user_namespaces(7)',
    'ip(8)',
  ],
};
