/**
 * The table of locator schemes: how the text of each is written, and which options it knows.
 *
 * It says nothing of what a scheme opens. Option keys may be shortened to any prefix, and the first key
 * of the list that fits is meant: the order matters, and scripts in the field rely on it.
 */

/** How a locator of one scheme is written. */
export interface Scheme {
  /**
   * `bracket`: `PATH[a=1/b=2]`, a slash belongs to the path. `slash`: `ADDRESS/a=1/b=2`, brackets work too.
   * `raw`: no options, nothing is quoted, everything after `://` is the address.
   */
  readonly style: 'bracket' | 'slash' | 'raw';
  /** Keys, in the order in which a shortened key is compared. */
  readonly optionKeys: readonly string[];
  /** Keys that are another name of a key: alias to canonical name. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Keys that may be given several times, each time for one more. */
  readonly repeatableKeys?: readonly string[];
  /** Keys whose values are paths or prefixes, with slashes that people forget to quote. */
  readonly pathKeys?: readonly string[];
  /** The key that a word without `=` sets, for the scheme that has one. */
  readonly positionalKey?: string;
  /** Whether another network follows in braces. */
  readonly nested: boolean;
  /** Whether the address is a path in the file system, so that a leading `~/` is the home directory. */
  readonly isPath: boolean;
  /** What it is, for people. */
  readonly summary: string;
}

const NODE_KEYS = ['mode', 'dirmode', 'grp', 'hashsize', 'hashseed', 'expiretime'];
const MULTICAST_KEYS = ['port', 'vni', 'grp', 'ttl', 'rcvbuf', 'v6', 'v4', 'hashsize', 'expiretime', 'if', 'bind'];
const VXLAN_KEYS = ['port', 'vni', 'ttl', 'rcvbuf', 'v6', 'v4', 'hashsize', 'expiretime', 'if'];
/** Keys that the originals do not have stand after theirs. */
const PEER_KEYS = ['peer', 'peers'];
const VLAN_KEYS = ['u', 'untag', 't', 'tag', 'x', 'trunk', 'q', 'qinq', 'ad'];
const SLIRP_KEYS = [
  ...['restricted', 'v4', 'v6', 'host', 'addr', 'host6', 'addr6', 'hostname', 'tftp_server_name', 'tftp_path'],
  ...['bootfile', 'dhcp', 'vnameserver', 'vnameserver6', 'vdnssearch', 'vdomainname', 'mtu', 'mru'],
  ...['disable_host_loopback', 'tcpfwd', 'udpfwd', 'unixfwd', 'cmdfwd', 'verbose'],
  // Ours.
  'control',
];
const SLIRP_SLASH_KEYS = ['host', 'addr', 'host6', 'addr6', 'tftp_path', 'unixfwd', 'cmdfwd', 'control'];
const WIREFILTER_KEYS = [
  ...['delay', 'dup', 'loss', 'lostburst', 'mtu', 'bufsize', 'bandwidth', 'speed', 'nofifo', 'noise', 'blink'],
  ...['blinkid', 'mgmt', 'mgmtmode', 'rc', 'pidfile'],
  // Ours.
  ...['seed', 'schedule'],
];

/** A scheme that is none of ours, and may be one of the originals' library: it gets the rest as it is. */
export const FOREIGN: Scheme = raw('what the library of the originals makes of it');

/** Whether a plugin of the originals' library can be called that: its file is looked for by the name. */
export function isForeignName(name: string): boolean {
  return /^[a-z0-9_]+$/.test(name);
}

/** The schemes that this version can open; the others are only understood. */
export const OPENABLE_SCHEMES: readonly string[] = [
  ...['vde', 'switch', 'hub', 'ptp', 'vxvde', 'vxlan', 'udp', 'slirp', 'tap', 'cmd', 'null'],
  ...['multi', 'bonding', 'pcap', 'macvtap', 'seqpacket', 'vdesl'],
  ...['vlan', 'agno', 'restart', 'wirefilter'],
];

/** Every scheme, by its name. */
export const SCHEMES: ReadonlyMap<string, Scheme> = new Map([
  [
    'vde',
    {
      ...path('a port of a VDE switch', ['port', 'portgroup', 'group', 'mode']),
      aliases: { portgroup: 'port' },
      positionalKey: 'port',
    },
  ],
  ['hub', path('a hub of your own', NODE_KEYS)],
  ['switch', path('a switch of your own', NODE_KEYS)],
  ['multi', path('many clients, one host', NODE_KEYS)],
  ['bonding', path('many clients, one host that uses them in turn', NODE_KEYS)],
  ['vdesl', path('a serial line', ['speed'])],
  ['agno', { ...path('encryption around another network', ['ethtype']), nested: true, isPath: false }],
  [
    'wirefilter',
    {
      ...slash('a faulty wire in front of another network', WIREFILTER_KEYS),
      nested: true,
      pathKeys: ['blink', 'mgmt', 'rc', 'pidfile', 'schedule'],
    },
  ],
  [
    'vlan',
    {
      ...slash('VLAN tags in front of another network', VLAN_KEYS),
      nested: true,
      aliases: { u: 'untag', t: 'tag', x: 'trunk', q: 'qinq', ad: 'qinq' },
    },
  ],
  ['restart', { ...slash('another network, opened again when it fails', []), nested: true }],
  ['vxlan', withPeers('a VXLAN, over multicast or among peers', [...VXLAN_KEYS, 'bind', 'grp'])],
  ['vxvde', withPeers('a distributed switch, over multicast or among peers', MULTICAST_KEYS)],
  ['vxvdex', slash('a distributed switch of one Unix group', MULTICAST_KEYS)],
  ['slirp', { ...slash('a gateway to the internet', SLIRP_KEYS), pathKeys: SLIRP_SLASH_KEYS }],
  ['ptp', raw('a line between two', true)],
  ['tap', raw('an interface of this machine')],
  ['macvtap', raw('a macvtap of this machine')],
  ['pcap', raw('the wire behind an interface of this machine')],
  ['udp', raw('a line between two, over UDP')],
  ['cmd', raw('a command that speaks the VDE stream')],
  ['seqpacket', raw('an inherited socket')],
  ['null', raw('a network with nobody else on it')],
]);

function path(summary: string, optionKeys: readonly string[]): Scheme {
  return { style: 'bracket', optionKeys, nested: false, isPath: true, summary };
}

function slash(summary: string, optionKeys: readonly string[]): Scheme {
  return { style: 'slash', optionKeys, nested: false, isPath: false, summary };
}

function withPeers(summary: string, optionKeys: readonly string[]): Scheme {
  return { ...slash(summary, [...optionKeys, ...PEER_KEYS]), repeatableKeys: ['peer'], pathKeys: ['peers'] };
}

function raw(summary: string, isPath = false): Scheme {
  return { style: 'raw', optionKeys: [], nested: false, isPath, summary };
}
