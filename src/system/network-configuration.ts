/**
 * Brings the interfaces of a namespace into the state that was asked for.
 *
 * The order matters: a MAC address before the interface is up, so that no frame and no IPv6 link-local
 * address is made of the old one; the MTU before IPv6 addresses, which need 1280 bytes; routes last,
 * when every network they go through is there.
 */
import { isLinkLocalIp } from '../net/ip.ts';
import type { IpPrefix } from '../net/prefix.ts';
import type { Rtnetlink } from './rtnetlink.ts';

/** What one interface is to be like; what is absent stays as it is. */
export interface InterfaceConfiguration {
  readonly name: string;
  /** Six bytes. */
  readonly mac?: Uint8Array | undefined;
  /** In bytes of IP packet. */
  readonly mtu?: number | undefined;
  /** Addresses to add. */
  readonly addresses?: readonly IpPrefix[];
  /** Whether to set the interface up. */
  readonly up?: boolean;
}

/** What the network of a namespace is to be like. */
export interface NetworkConfiguration {
  /** Whether to set `lo` up; the kernel then gives it 127.0.0.1 and ::1. */
  readonly loopbackUp?: boolean;
  readonly interfaces?: readonly InterfaceConfiguration[];
  /** Default gateways, 4 or 16 bytes each; at most one of each family. */
  readonly gateways?: readonly Uint8Array[];
}

/**
 * Configures the namespace that the rtnetlink socket belongs to.
 *
 * @throws {VdensError} `ERR_NETLINK` at the first thing the kernel refuses; what was done before stays done
 */
export async function configureInterfaces(rtnetlink: Rtnetlink, configuration: NetworkConfiguration): Promise<void> {
  const { loopbackUp = false, interfaces = [], gateways = [] } = configuration;
  if (loopbackUp) await rtnetlink.setUp('lo', true);
  for (const { name, mac, mtu, addresses = [], up = false } of interfaces) {
    if (mac !== undefined) await rtnetlink.setMac(name, mac);
    if (mtu !== undefined) await rtnetlink.setMtu(name, mtu);
    for (const address of addresses) await rtnetlink.addAddress(name, address);
    if (up) await rtnetlink.setUp(name, true);
  }
  for (const gateway of gateways) {
    // fe80::1 is on every link; the first interface is the one people mean.
    await rtnetlink.addDefaultRoute(gateway, isLinkLocalIp(gateway) ? interfaces[0]?.name : undefined);
  }
}
