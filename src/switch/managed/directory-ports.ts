/** How clients of a directory get ports of a managed switch. */
import type { PeerCredentials } from '../listener.ts';
import type { PortLease, PortPolicy } from '../port-policy.ts';
import type { Switch } from '../switch.ts';
import type { Admission, VdeClient } from '../vde-server.ts';
import type { ManagedSwitchApi } from './managed-switch-api.ts';

/** What is called `unix prog` in the console: a program that came by a unix socket. */
const MODULE = 'unix prog';
const OWNER_BITS = 0o700;
const NUMBER_DIGITS = 3;

/** Who comes to a port. */
export interface Newcomer {
  readonly module: string;
  readonly description: string;
  readonly user: number;
}

/** What is needed of the switch. */
export interface PortGiver {
  /** The number of the port that somebody gets, or a clause that says why there is none. */
  choose(wanted: number | undefined, visitor: PeerCredentials): number | string;
  /** Puts somebody there. `leave` lets go of it. */
  join(number: number, newcomer: Newcomer, leave: () => void): PortLease;
}

/** Permissions of the sockets by which clients know their ports. */
export interface DataSocketOptions {
  /** Permission bits. */
  readonly mode: number;
  /** Those of port 0, from which switches are managed. */
  readonly managementMode: number;
  readonly managementGroup?: number | undefined;
}

export class DirectoryPorts implements PortPolicy {
  readonly segment: Switch;
  readonly managed: ManagedSwitchApi;
  readonly #giver: PortGiver;
  readonly #options: DataSocketOptions;

  constructor(
    { segment, managed }: { readonly segment: Switch; readonly managed: ManagedSwitchApi },
    giver: PortGiver,
    options: DataSocketOptions,
  ) {
    this.segment = segment;
    this.managed = managed;
    this.#giver = giver;
    this.#options = options;
  }

  admit(wantedPort: number | undefined, peer: PeerCredentials): Admission | string {
    const number = this.#giver.choose(wantedPort, peer);
    if (typeof number === 'string') return number;
    const prefix = `${String(number).padStart(NUMBER_DIGITS, '0')}.`;
    const { mode, managementMode, managementGroup } = this.#options;
    // Root's switch gives the socket to the client, and to nobody else.
    const owned = process.geteuid?.() === 0 ? { owner: peer.uid, mode: mode & OWNER_BITS } : {};
    const managed = wantedPort === 0 ? { mode: managementMode, group: managementGroup } : {};
    return { prefix, permissions: { ...owned, ...managed } };
  }

  open(client: VdeClient, leave: () => void): PortLease {
    const { wantedPort, description, uid } = client;
    const number = this.#giver.choose(wantedPort, client);
    if (typeof number === 'string') throw new Error(number);
    return this.#giver.join(number, { module: MODULE, description, user: uid }, leave);
  }
}
