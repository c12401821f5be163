/**
 * The fast spanning tree of `vde_switch`: for each VLAN, which ports forward and which wait, so that cables between
 * switches may form loops. Pure protocol: time, frames and tables are the host's.
 */

/** What a tree needs of the switch that it runs in. */
export interface TreeHost {
  /** Sends a BPDU, an Ethernet frame without a tag, out of a port; the host tags it where the port is tagged in the VLAN. */
  send(port: number, vlan: number, bpdu: Uint8Array): void;
  /** Whether frames of the VLAN may pass the port from now on. */
  setForwarding(port: number, vlan: number, isForwarding: boolean): void;
  /** Forgets the stations of the VLAN that were heard at the port: they may be elsewhere now. */
  forget(port: number, vlan: number): void;
  /** What happened, for those who look (`debug/add fstp`). */
  event(event: TreeEvent): void;
}

/** What those who debug get to see; see the console's `fstp/…` categories. */
export type TreeEvent =
  | { readonly kind: 'tree-port-active' | 'tree-port-inactive'; readonly port: number; readonly vlan: number }
  | { readonly kind: 'tree-status'; readonly port: number; readonly vlan: number; readonly status: string }
  | { readonly kind: 'tree-root'; readonly vlan: number; readonly rootPort: number; readonly root: string };
