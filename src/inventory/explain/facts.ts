/**
 * What is known of the way of a frame from one host to another, as processes told it: data without an opinion, which
 * can be written by hand in a test. What follows from it is in reasoning.ts.
 */
import type { InterfaceStatus, LinkStatus, StationStatus } from '../status.ts';

/** A network that an interface, or the end of a cable, is plugged into. */
export interface NetworkFacts {
  /** As its user wrote it. */
  readonly label: string;
  readonly kind: NetworkKind;
  /** Two that have the same are plugged into the same. */
  readonly identity: string;
  /** What is around it and changes its frames, from the outside to the inside: `vlan://5`, `agno:///key`. */
  readonly layers: readonly string[];
  /** Of a switch its directory, of a line its path, of an overlay what its members have in common, in words. */
  readonly place: string;
}

export type NetworkKind = 'switch' | 'overlay' | 'line' | 'gateway' | 'interface' | 'stream' | 'nothing' | 'other';

/** An interface in a namespace. */
export interface InterfaceFacts
  extends Pick<InterfaceStatus, 'name' | 'mac' | 'mtu' | 'isUp' | 'hasCarrier' | 'addresses'>,
    Pick<LinkStatus, 'isCut' | 'impairment'> {
  /** Absent for one that is not plugged in by a vdens: `lo`, or one that somebody made inside. */
  readonly network?: NetworkFacts;
  /** What `vde join` and `vde tc` call it, when that is not its name. */
  readonly link?: string;
  /** Whether it neither asks for neighbours nor answers for itself (IFF_NOARP). */
  readonly isArpOff?: boolean;
}

/** A namespace. */
export interface HostFacts {
  /** What people call it, and `vde exec`: its name. */
  readonly name: string;
  /** Of the process that moves its frames. */
  readonly pid: number;
  /** The process by which it is joined: what tells it from others of the same process. */
  readonly namespace?: number;
  /** The name of its process, when it has a name of its own because there are several. */
  readonly processName?: string;
  readonly interfaces: readonly InterfaceFacts[];
}

/** Where packets to a destination go, as the kernel says it (RTM_GETROUTE). */
export type RouteFacts =
  | { readonly kind: 'none'; readonly errno: string }
  | {
      readonly kind: 'route';
      readonly interfaceName: string;
      /** The destination is an address of this host. */
      readonly isLocal: boolean;
      /** The destination stands for many. */
      readonly isForMany: boolean;
      readonly gateway?: string;
      readonly source?: string;
    };

/** What asking for a neighbour found out (RTM_GETNEIGH, RTM_NEWNEIGH). */
export interface NeighbourFacts {
  readonly address: string;
  /** Whether it was asked for, and how long ago that was decided. */
  readonly isAsked: boolean;
  readonly before: string;
  readonly state: string;
  readonly mac?: string;
  /** Until there was an answer, or we gave up. */
  readonly waitedMs: number;
}

/** A port of a switch, as its server knows it. */
export interface PortFacts {
  readonly number: number;
  /** The process behind it, and what it says of itself. */
  readonly pid?: number;
  readonly description: string;
  /** Whether it is an end of a cable, and not of a host that is asked about. Its cable's process then. */
  readonly cablePid?: number;
  /** Of a switch that looks at tags: the VLAN of frames without one; absent: none such pass. */
  readonly untaggedVlan?: number;
  readonly taggedVlans?: readonly number[];
  /** VLANs that the spanning tree keeps closed here. */
  readonly blockedVlans?: readonly number[];
  /** Whom the port is kept for, when it is. */
  readonly owner?: string;
  readonly isCut: boolean;
  readonly impairment: readonly string[];
}

/** A process that serves a switch, and cannot be asked. */
export interface StrangerFacts {
  /** What it is called: the name of a process of ours, or the program. */
  readonly name?: string;
  readonly pid?: number;
  /** It could be asked, if it answered. */
  readonly isOurs: boolean;
  readonly isStopped: boolean;
  /** Another user's, by number. */
  readonly otherUid?: number;
}

/** A switch on the way. */
export interface SwitchFacts {
  readonly kind: 'switch';
  readonly path: string;
  /** Who serves it, and can be asked. */
  readonly server?: { readonly name: string; readonly pid: number };
  /** Who serves it, and cannot be asked: a process of ours that does not answer, an original `vde_switch`, another's. */
  readonly stranger?: StrangerFacts;
  readonly isHub: boolean;
  /** Whether its clients exchange frames with its host alone: `multi`, `bonding`. */
  readonly separates?: string;
  /** Whether it looks at tags. */
  readonly hasVlans: boolean;
  /** The port through which the frame comes in, and the one through which it is to leave. */
  readonly entry?: PortFacts;
  readonly exit?: PortFacts;
  /** Where the next host's station was heard last, in any VLAN. */
  readonly stations: readonly StationStatus[];
}

/** A network over UDP on the way. */
export interface OverlayFacts {
  readonly kind: 'overlay';
  readonly label: string;
  /** What its members have in common. */
  readonly place: string;
  /** The endpoint behind which the next host's station was heard. */
  readonly endpoint?: string;
  /** How many stations were heard behind it. */
  readonly stationCount: number;
  /** Whether the next host, which can be asked, is a member. */
  readonly isOtherKnown: boolean;
  /** Packets of other networks (`foreign-vni`) since it was opened. */
  readonly foreignPackets: number;
}

/** A line between two on the way. */
export interface LineFacts {
  readonly kind: 'line';
  readonly label: string;
  readonly hasOtherEnd: boolean;
}

/** A gateway to the internet, as the next host. */
export interface GatewayFacts {
  readonly kind: 'gateway';
  readonly label: string;
  /** With their prefix lengths. */
  readonly addresses: readonly string[];
  /** What it does with packets to the destination, by protocol: the purpose of the rule, what it does, and to what. */
  readonly rules: readonly GatewayRuleFacts[];
}

export interface GatewayRuleFacts {
  readonly protocol: 'tcp' | 'udp' | 'echo';
  /** `way-out` when there is no rule. */
  readonly purpose: string;
  readonly action: string;
  readonly to?: string;
}

/** Something on the way that cannot be looked into. */
export interface UnknownNetworkFacts {
  readonly kind: 'unknown';
  readonly label: string;
  /** Nobody else can be on it: `null://`. */
  readonly isEmpty?: boolean;
}

/** A cable of ours from one network to the next (`vde_plug`, `wirefilter`). */
export interface CableFacts {
  readonly kind: 'cable';
  readonly name: string;
  readonly pid: number;
  readonly from: string;
  readonly to: string;
  /** What its ends have around these networks ({@link NetworkFacts.layers}). */
  readonly fromLayers: readonly string[];
  readonly toLayers: readonly string[];
  /** Of both its ends together. */
  readonly isCut: boolean;
  readonly impairment: readonly string[];
}

export type PassageFacts = SwitchFacts | OverlayFacts | LineFacts | GatewayFacts | UnknownNetworkFacts | CableFacts;

/** Frames that were dropped at a place, by reason, before and after the question was asked. */
export interface DropFacts {
  /** Where: `a vde0`, `switch /tmp/lan port 3`. */
  readonly place: string;
  readonly before: Readonly<Record<string, number>>;
  readonly after: Readonly<Record<string, number>>;
}

/** From one host to the next that looks at the IP packet. */
export interface LegFacts {
  readonly from: HostFacts;
  /** Where the packet is to go in the end; absent when only an Ethernet address was asked about. */
  readonly destination?: string;
  readonly route?: RouteFacts;
  /** The interface by which it leaves, where no route was asked for. */
  readonly interfaceName?: string;
  /** The MAC address that it goes to, where no neighbour was asked for. */
  readonly station?: string;
  readonly neighbour?: NeighbourFacts;
  /** Who has the address that is asked for: the destination, or a router. Absent: nobody who can be asked. */
  readonly to?: { readonly host: HostFacts; readonly interfaceName: string };
  /** The networks and cables in between, in order. */
  readonly passages: readonly PassageFacts[];
  /** When the two are not on one network: what the other is plugged into. */
  readonly apart?: { readonly mine: NetworkFacts; readonly theirs: NetworkFacts };
  readonly drops: readonly DropFacts[];
  /** Whether whoever has the address hands packets of others on; only of a router that can be asked. */
  readonly isForwarding?: boolean;
}

/** The way back, from the last host that can be asked. */
export interface BackFacts {
  readonly host: HostFacts;
  /** The address that the frame comes from. */
  readonly source: string;
  readonly route: RouteFacts;
  readonly neighbour?: NeighbourFacts;
}

/** Everything about one address. */
export interface WayFacts {
  /** As it was asked for: the address of B. */
  readonly destination: string;
  readonly legs: readonly LegFacts[];
  readonly back?: BackFacts;
}

/** Somebody who was asked about, and does not answer. */
export interface SilentFacts {
  readonly name: string;
  readonly pid: number;
  readonly isStopped: boolean;
}

/** Everything. */
export interface ExplainFacts {
  /** As they were asked for. */
  readonly a: string;
  readonly b: string;
  readonly from: HostFacts | SilentFacts;
  /** Namespaces and others that run, and do not answer. */
  readonly silent: readonly string[];
  /** The namespace B, when it is one that can be asked. */
  readonly target?: HostFacts | SilentFacts;
  /** Whether neighbours were asked, or it was only looked at what is known. */
  readonly isProbed: boolean;
  /** One for each family in which there is something to say, IPv4 first. */
  readonly ways: readonly WayFacts[];
}

/** Whether two are the same namespace. */
export function isSameHost(one: HostFacts, other: HostFacts | undefined): boolean {
  return one.pid === other?.pid && one.namespace === other.namespace;
}

/** Whether it is one who does not answer. */
export function isSilent(host: HostFacts | SilentFacts | undefined): host is SilentFacts {
  return host !== undefined && 'isStopped' in host;
}
