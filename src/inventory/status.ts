/**
 * What a process says of itself when it is asked for its status: types of the JSON on its control socket.
 */

/** One direction of a link. */
export interface DirectionStatus {
  readonly frames: number;
  readonly bytes: number;
  /** Since the previous look, when that was a moment ago; otherwise since the start. */
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
  /** Frames that were dropped, by reason (`DropReason`); absent reasons are zero. */
  readonly drops: Readonly<Record<string, number>>;
}

/** A place where frames can be looked at, impaired, cut: an interface, a port of a switch, the end of a cable. */
export interface LinkStatus {
  /** What it is called in this process: `vde0`, `port 3`, `left`. */
  readonly id: string;
  /** What it is plugged into. */
  readonly network: string;
  /** Who is behind it, for people. */
  readonly description: string;
  /** What came to the interface, into the switch at this port, out of this end of the cable. */
  readonly received: DirectionStatus;
  /** What the interface sent, the switch sent out of this port, the cable into this end. */
  readonly sent: DirectionStatus;
  /** What makes it worse on purpose, in the words of `vde tc`. */
  readonly impairment: readonly string[];
  readonly isCut: boolean;
}

/** Somebody at the other side of a network, as far as it is known. */
export interface PeerStatus {
  /** A socket address, or the description that a client gives of itself. */
  readonly name: string;
  readonly pid?: number;
  readonly uid?: number;
}

/** An interface in a namespace. */
export interface InterfaceStatus {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly isUp: boolean;
  readonly hasCarrier: boolean;
  /** With their prefix lengths. */
  readonly addresses: readonly string[];
  readonly link: LinkStatus;
  readonly peers: readonly PeerStatus[];
  /** What else its network has to say, in lines for people. */
  readonly notes: readonly string[];
  /** Whether this process serves the network. */
  readonly isServedHere: boolean;
}

/** A namespace of `vdens`. */
export interface NamespaceStatus {
  readonly kind: 'namespace';
  /** The process by which its namespaces can be joined. */
  readonly pid: number;
  readonly interfaces: readonly InterfaceStatus[];
  /** Default gateways, of the families in which it has an address that is good for more than its own link. */
  readonly gateways: readonly string[];
  /** The command that runs in it, as far as there is one yet. */
  readonly command: readonly string[];
}

/** A port of a switch. */
export interface PortStatus {
  readonly number: number;
  /** Who is behind it: a client, or this process. */
  readonly kind: string;
  readonly peer: PeerStatus | undefined;
  readonly link: LinkStatus;
}

/** A station that a switch has heard. */
export interface StationStatus {
  readonly mac: string;
  readonly vlan: number;
  readonly port: number;
  readonly ageSeconds: number;
}

/** A switch or a hub that this process serves. */
export interface SwitchStatus {
  readonly kind: 'switch';
  readonly path: string;
  readonly isHub: boolean;
  readonly ports: readonly PortStatus[];
  readonly stations: readonly StationStatus[];
}

/** A port of the host that leads to a guest. */
export interface ForwardStatus {
  readonly id: number;
  readonly protocol: 'tcp' | 'udp';
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestAddress: string;
  readonly guestPort: number;
}

/** A gateway to the internet. */
export interface GatewayStatus {
  readonly kind: 'gateway';
  /** Its network, as it was opened. */
  readonly network: string;
  /** The addresses of the router, with their prefix lengths. */
  readonly addresses: readonly string[];
  readonly forwards: readonly ForwardStatus[];
  /** Connections and exchanges that are under way. */
  readonly flows: number;
  /** What it counts, by name. */
  readonly counters: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
}

/** A cable between two networks (`vde_plug`, `vde_plug2tap`). */
export interface CableStatus {
  readonly kind: 'cable';
  readonly links: readonly LinkStatus[];
  readonly peers: readonly PeerStatus[];
  readonly notes: readonly string[];
}

/** A cable that makes it worse on purpose (`wirefilter`). */
export interface FilterStatus {
  readonly kind: 'filter';
  readonly links: readonly LinkStatus[];
  readonly notes: readonly string[];
}

export type ItemStatus = NamespaceStatus | SwitchStatus | GatewayStatus | CableStatus | FilterStatus;

/** A process, and all that it runs. */
export interface ProcessStatus {
  /** Of its control socket: a NAME that was given, or made of the command and the pid. */
  readonly name: string;
  readonly pid: number;
  /** What was started: `vdens`, `vde switch`. */
  readonly command: string;
  /** For how long it has been running. */
  readonly uptimeSeconds: number;
  readonly items: readonly ItemStatus[];
}

/** The places at which frames of it pass. */
export function linksOf(item: ItemStatus): readonly LinkStatus[] {
  switch (item.kind) {
    case 'namespace':
      return item.interfaces.map(({ link }) => link);
    case 'switch':
      return item.ports.map(({ link }) => link);
    case 'gateway':
      return [];
    default:
      return item.links;
  }
}
