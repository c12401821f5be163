/**
 * What a gateway is to be: addresses, names, and what it lets through. Everything that `slirp://` can say is here
 * (src/locator/slirp-locator.ts reads it), with the same defaults.
 */
import type { IpPrefix } from '../net/prefix.ts';

/** The IPv4 side of a gateway. */
export interface GatewayIpv4 {
  /** The gateway's own address, and the network of the guests. @defaultValue 10.0.2.2/24 */
  readonly router: IpPrefix;
  /** Where guests find DNS, 4 bytes. @defaultValue 10.0.2.3 */
  readonly nameServer: Uint8Array;
  /** The first address that DHCP gives out, 4 bytes. @defaultValue 10.0.2.15 */
  readonly firstLease: Uint8Array;
}

/** The IPv6 side of a gateway. */
export interface GatewayIpv6 {
  /** The gateway's own address, and the network of the guests. @defaultValue fd00::2/64 */
  readonly router: IpPrefix;
  /** Where guests find DNS, 16 bytes. @defaultValue fd00::3 */
  readonly nameServer: Uint8Array;
}

/** A port of the host that leads to a guest. */
export interface PortForward {
  readonly protocol: 'tcp' | 'udp';
  /** Address of the host, 4 or 16 bytes; all zero for every one. */
  readonly hostAddress: Uint8Array;
  /** 0 for one that the kernel chooses. */
  readonly hostPort: number;
  /** Address of the guest, of the host address's family or not. */
  readonly guestAddress: Uint8Array;
  readonly guestPort: number;
}

/** An address and port in the guests' network behind which a program or a socket of the host is. */
export interface ServiceForward {
  /** Where guests connect to, 4 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** A Unix socket that is connected to, or a command that is run, for each connection. */
  readonly to:
    | { readonly kind: 'unix'; readonly path: string }
    | { readonly kind: 'command'; readonly words: readonly string[] };
}

/** Everything about one gateway. */
export interface GatewayConfig {
  /** Absent: no IPv4. One of the two is there. */
  readonly ipv4?: GatewayIpv4;
  readonly ipv6?: GatewayIpv6;
  /** No way out: no router and no DNS are given out, and only forwards work. @defaultValue false */
  readonly isRestricted: boolean;
  /** The name that DHCP gives to guests (option 12). @defaultValue slirp */
  readonly hostName: string;
  /** DHCP option 119. @defaultValue none */
  readonly searchDomains: readonly string[];
  /** DHCP option 15. */
  readonly domainName?: string;
  /** The largest IP packet to the guests, in bytes; told to them too. @defaultValue 1500 */
  readonly mtu: number;
  /** The directory that TFTP serves, read-only. Absent: no TFTP. */
  readonly tftpDirectory?: string;
  /** DHCP option 66. */
  readonly tftpServerName?: string;
  /** The file to boot: the `file` field of DHCP. */
  readonly bootFile?: string;
  /** Guests do not reach services of the host's loopback interface. @defaultValue false */
  readonly isHostLoopbackDisabled: boolean;
  readonly portForwards: readonly PortForward[];
  readonly serviceForwards: readonly ServiceForward[];
  /** The Unix socket on which forwards are added, listed and removed while it runs. Absent: none. */
  readonly controlPath?: string;
  /** Prints its configuration, and what happens. @defaultValue false */
  readonly isVerbose: boolean;
}
