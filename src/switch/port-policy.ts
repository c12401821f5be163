/** Who gets which port of a switch that is served in a directory. */
import type { PeerCredentials } from './listener.ts';
import type { ManagedSwitchApi } from './managed/managed-switch-api.ts';
import type { Switch } from './switch.ts';
import type { SwitchPort } from './switch-port.ts';
import type { Admission, VdeClient } from './vde-server.ts';

/** A port that somebody has. */
export interface PortLease {
  readonly port: SwitchPort;
  /** Called once: the client is gone, and the port closed. */
  ended(): void;
}

/** What decides about the ports of a switch. */
export interface PortPolicy {
  readonly segment: Switch;
  /** When it is managed. */
  readonly managed?: ManagedSwitchApi;
  /** Says how a client is served, or in a clause why it is not. 0 is a port of its own kind in `vde_switch`. */
  admit(wantedPort: number | undefined, peer: PeerCredentials): Admission | string;
  /**
   * Gives a client that was just admitted its port.
   *
   * @param leave lets go of the client
   * @throws VdensError when there is no port for it after all
   */
  open(client: VdeClient, leave: () => void): PortLease;
}

/** Every client gets a port of its own: the one that it asks for if that is free, and any if it does not care. */
export class OrdinaryPorts implements PortPolicy {
  readonly segment: Switch;
  readonly #areApart: boolean;

  /** @param areApart whether clients exchange no frames with each other */
  constructor(segment: Switch, areApart = false) {
    this.segment = segment;
    this.#areApart = areApart;
  }

  /** Port 0 is as good as any. */
  admit(wantedPort: number | undefined): Admission | string {
    if (this.segment.isFull) return 'all ports are in use';
    const isFree = wantedPort === undefined || wantedPort === 0 || this.segment.isFree(wantedPort);
    return isFree ? {} : `port ${wantedPort} is taken, or higher than there are ports`;
  }

  open({ wantedPort, description }: VdeClient): PortLease {
    return {
      port: this.segment.port({ number: wantedPort, description, isApart: this.#areApart }),
      ended: () => undefined,
    };
  }
}
