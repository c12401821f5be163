/**
 * A switch that is managed as `vde_switch` is: numbered ports that may exist before anybody is at them, with owners
 * and endpoints; VLANs; a spanning tree; and events of all that for those who look. The console (switch/console) puts
 * words to it; whoever writes a program uses it directly.
 *
 * Whatever is asked for and cannot be is a VdensError `ERR_SWITCH` whose `errno` is what `vde_switch` answers then.
 */
import type { PlugCounters } from '../../plugs/counters.ts';
import type { Plug } from '../../plugs/plug.ts';
import type { TreeEvent } from '../spanning-tree/spanning-tree.ts';

/** No VLAN: frames without a tag do not pass the port. */
export const NO_VLAN = 4095;

export interface ManagedSwitchOptions {
  /** What people call it. */
  readonly label: string;
  /** Its MAC address, such as `00:ff:01:02:03:04`. @defaultValue 00:ff and four random bytes */
  readonly mac?: string;
  /** Of the spanning tree. @defaultValue 0x8000 */
  readonly priority?: number;
  /** The highest port number. @defaultValue 32 */
  readonly numPorts?: number;
  readonly hub?: boolean;
  /** Whether the spanning tree runs from the start. */
  readonly spanningTree?: boolean;
  /** Buckets of the hash table. @defaultValue 128 */
  readonly hashSize?: number;
}

/** What happens in a managed switch. */
export type SwitchEvent =
  | TreeEvent
  /** `port-removed`: the last endpoint is gone; the port stays, inactive, until somebody removes it. */
  | { readonly kind: 'port-added' | 'port-removed'; readonly port: number }
  | { readonly kind: 'endpoint-added' | 'endpoint-removed'; readonly port: number; readonly endpoint: number }
  | { readonly kind: 'description'; readonly port: number; readonly endpoint: number; readonly text: string }
  | {
      readonly kind: 'station-learned' | 'station-forgotten';
      readonly mac: string;
      readonly vlan: number;
      readonly port: number;
    };

/**
 * Whom a port is kept for: a uid or gid, or nobody in particular. `any` and `none` are the same to whoever sets it, and
 * it is `none` from then on, as `vde_switch` has it. Who is either the user or in the group may use the port, and root
 * may; when neither is set, everybody may.
 */
export type PortOwner = number | 'any' | 'none';

/** Who is at a port. */
export interface Endpoint {
  /** Its number in the console. */
  readonly id: number;
  /** `unix prog` for clients of the directory, `tuntap` for interfaces. */
  readonly module: string;
  readonly description: string;
}

/** A port, for those who look. */
export interface ManagedPort {
  readonly number: number;
  /** Whether somebody is at it. */
  readonly isActive: boolean;
  /** Whether it is given to whoever asks for any port. */
  readonly isAllocatable: boolean;
  /** The VLAN of frames without a tag, or NO_VLAN. */
  readonly untaggedVlan: number;
  readonly user: PortOwner;
  readonly group: PortOwner;
  /** The user of those who are at it. */
  readonly currentUser: number | undefined;
  /** Who came last is the first, as `vde_switch` lists them. */
  readonly endpoints: readonly Endpoint[];
  /** Of all who were and are at it: `sent` came into the switch here, `received` left it here. */
  readonly counters: PlugCounters;
}

/** A station that the switch knows. */
export interface Station {
  /** Its bucket in the hash table, as `vde_switch` computes it. */
  readonly bucket: number;
  readonly mac: string;
  readonly vlan: number;
  readonly port: number;
  readonly ageSeconds: number;
}

/** How the hash table behaves; times are seconds. */
export interface HashSettings {
  readonly size: number;
  /** Only remembered: who was silent for too long is forgotten at that moment. */
  readonly gcInterval: number;
  readonly expire: number;
  readonly minPersistence: number;
}

/** A VLAN and its ports. */
export interface Vlan {
  readonly number: number;
  readonly ports: readonly {
    readonly number: number;
    readonly isTagged: boolean;
    readonly isActive: boolean;
    /** `Forwarding`, `Discarding`, ...: of the spanning tree. */
    readonly status: string;
  }[];
}

/** The contract that the console is written against. */
export interface ManagedSwitchApi {
  readonly mac: string;
  readonly priority: number;
  readonly numPorts: number;
  setNumPorts(count: number): void;
  readonly isHub: boolean;
  setHub(isHub: boolean): void;

  readonly ports: readonly ManagedPort[];
  /** Creates one that is not allocatable. Without a number: the first that is free. Returns its number. */
  createPort(number?: number): number;
  removePort(number: number): void;
  setAllocatable(number: number, isAllocatable: boolean): void;
  setPortUser(number: number, user: PortOwner): void;
  setPortGroup(number: number, group: PortOwner): void;
  setPortVlan(number: number, vlan: number): void;
  closeEndpoint(number: number, id: number): void;
  resetCounters(number?: number): void;
  /**
   * Puts a plug of this process (a TAP) at a port of its own; it is closed with its endpoint, or the switch.
   *
   * @returns the number of the port
   */
  attach(plug: Plug, options: { readonly module: string; readonly description: string }): number;

  readonly vlans: readonly Vlan[];
  createVlan(vlan: number): void;
  removeVlan(vlan: number): void;
  addToVlan(vlan: number, port: number): void;
  removeFromVlan(vlan: number, port: number): void;

  readonly hash: HashSettings;
  /** Another size than before forgets all stations, as does the same. */
  setHash(settings: Partial<HashSettings>): void;
  readonly stations: readonly Station[];
  /** One of them, if it is known. Costs less than all of them. */
  findStation(mac: string, vlan: number): Station | undefined;

  readonly hasSpanningTree: boolean;
  setSpanningTree(isOn: boolean): void;
  setEdge(vlan: number, port: number, isEdge: boolean): void;
  setBonus(vlan: number, port: number, cost: number): void;
  /** What `fstp/print` says of the VLAN; all of them without one. */
  treeStatus(vlan?: number): readonly TreeStatus[];

  /**
   * Calls the listener with what happens, until the function that is returned is called.
   *
   * @param options whether that includes the stations, which is some work at large tables; they are told of up to 100 ms
   * later, or more at large tables. By default it does.
   */
  listen(listener: (event: SwitchEvent) => void, options?: { readonly stations?: boolean }): () => void;
  close(): Promise<void>;
}

/** The spanning tree of a VLAN. Bridge ids as `80:00:00:ff:44:70:c3:5e`. */
export interface TreeStatus {
  readonly vlan: number;
  readonly isRoot: boolean;
  readonly root: string;
  readonly designated: string;
  readonly rootPort: number;
  readonly cost: number;
  readonly age: number;
  readonly bonusPort: number;
  readonly bonusCost: number;
  readonly ports: readonly {
    readonly number: number;
    readonly isTagged: boolean;
    readonly cost: number;
    /** `Root`, `Designated`, `Alternate/Backup`, ... */
    readonly role: string;
  }[];
}
