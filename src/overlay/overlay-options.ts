/**
 * What there is to choose about a network over UDP: VXLAN, the distributed switch, a line between two.
 *
 * Names and literals are as the user wrote them; {@link VxlanOptions} are looked up when the network is opened.
 */

/** Where a peer listens. */
export interface PeerName {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A network of VXLAN packets: `vxlan://` and `vxvde://`. */
export interface VxlanOptions {
  /** The multicast group, by name or address. Absent: the usual one, or none when there are peers. */
  readonly group?: string;
  /** Takes the place of the last three bytes of the group's address (`grp=`). */
  readonly groupNumber?: number;
  /** Whether the packets travel over IPv4 or IPv6. Absent: as the addresses given say, else IPv4. */
  readonly family?: 4 | 6;
  /** UDP port of the group; of `vxlan://` also of every station, and with peers of this one. */
  readonly port: number;
  /** VXLAN network identifier, 24 bits (RFC 7348, section 5). */
  readonly vni: number;
  /** Time to live of what is sent, 0 to 255. Absent: as far as the scheme's default reaches. */
  readonly ttl?: number;
  /** SO_RCVBUF. Absent: as large as the system lets us. */
  readonly receiveBufferBytes?: number;
  /** How many MAC addresses are remembered; 0 floods everything. */
  readonly tableSize: number;
  /** How long a MAC address that is not heard of is remembered. */
  readonly expireMs: number;
  /** The interface of the underlay. Absent: the routing table's choice. */
  readonly interfaceName?: string;
  /** The local address to send from. */
  readonly bind?: string;
  /** Who gets a copy of what is for everybody. */
  readonly peers: readonly PeerName[];
  /** A file that names more of them, one per line. */
  readonly peerFile?: string;
}

/** A line between two, one frame in each packet: `udp://`. */
export interface UdpLineOptions {
  readonly source: { readonly host?: string; readonly service: string };
  readonly destination: { readonly host: string; readonly service: string };
}
