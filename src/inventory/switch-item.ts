/** A switch that this process serves in a directory, as others may look at it. */
import type { ManagedSwitchApi } from '../switch/managed/managed-switch-api.ts';
import type { Switch } from '../switch/switch.ts';
import type { SwitchPort } from '../switch/switch-port.ts';
import type { ServedPort, SwitchService } from '../switch/switch-service.ts';
import type { InventoryItem, Link } from './inventory.ts';
import { linkStatus } from './link-status.ts';
import { impairable } from './peers.ts';
import type { RateMeter } from './rates.ts';
import type { PeerStatus, PortStatus, SwitchStatus } from './status.ts';

/** Of a switch, those heard last. */
const MAX_STATIONS = 4096;

/** A port, and the client that has it. */
interface OccupiedPort {
  readonly port: SwitchPort;
  readonly client: ServedPort | undefined;
}

export class SwitchItem implements InventoryItem {
  readonly kind = 'switch';
  readonly service: SwitchService;

  constructor(service: SwitchService) {
    this.service = service;
  }

  get segment(): Switch {
    return this.service.segment;
  }

  /** When it is a managed one. */
  get managedSwitch(): ManagedSwitchApi | undefined {
    return this.service.managed;
  }

  links(): readonly Link[] {
    return this.#ports().map((occupied) => this.#link(occupied));
  }

  describe(rates: RateMeter): Promise<SwitchStatus> {
    const ports = this.#ports().map((occupied): PortStatus => {
      const { port, client } = occupied;
      return {
        number: port.number,
        kind: client === undefined ? 'local' : port.kind,
        peer: client === undefined ? undefined : peerOf(client),
        link: linkStatus(this.#link(occupied), rates),
      };
    });
    const stations = this.segment.forwardingTable
      .toSorted((a, b) => a.ageSeconds - b.ageSeconds)
      .slice(0, MAX_STATIONS);
    return Promise.resolve({ kind: 'switch', path: this.service.path, isHub: this.segment.isHub, ports, stations });
  }

  /** The clients' ports, and those of this process. */
  #ports(): readonly OccupiedPort[] {
    const clients = new Map(this.service.ports.map((client) => [client.port, client]));
    return this.segment.ports.map((port) => ({ port, client: clients.get(port) }));
  }

  #link({ port, client }: OccupiedPort): Link {
    return {
      id: `port ${port.number}`,
      network: this.service.path,
      plug: client === undefined ? undefined : impairable(client.plug),
      counters: port.counters,
      isReversed: true,
      otherEnds: client?.ends ?? [],
      description: port.description,
    };
  }
}

function peerOf({ port, pid, uid }: ServedPort): PeerStatus {
  return { name: port.description, pid, uid };
}
