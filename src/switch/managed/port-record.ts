/** A port of a managed switch: who may be at it, and who is. */
import type { PlugCounters } from '../../plugs/counters.ts';
import type { PeerCredentials } from '../listener.ts';
import type { SwitchPort } from '../switch-port.ts';
import type { Endpoint, ManagedPort, PortOwner } from './managed-switch-api.ts';
import { PortCounters } from './port-counters.ts';

/** Somebody at a port. */
export interface EndpointRecord extends Endpoint {
  /** The fabric's side of it; all endpoints of a port have the same number there. */
  readonly switchPort: SwitchPort;
  /** Lets go of whoever it is. */
  readonly leave: () => void;
}

export class PortRecord implements ManagedPort {
  readonly number: number;
  isAllocatable: boolean;
  untaggedVlan = 0;
  user: PortOwner = 'none';
  group: PortOwner = 'none';
  readonly #endpoints = new Map<number, EndpointRecord>();
  readonly #counters = new PortCounters();
  #currentUser: number | undefined;

  constructor(number: number, isAllocatable: boolean) {
    this.number = number;
    this.isAllocatable = isAllocatable;
  }

  get isActive(): boolean {
    return this.#endpoints.size > 0;
  }

  get currentUser(): number | undefined {
    return this.#currentUser;
  }

  get endpoints(): readonly EndpointRecord[] {
    return [...this.#endpoints.values()].reverse();
  }

  get counters(): PlugCounters {
    return this.#counters.total;
  }

  /** Why somebody may not be at it, as a clause; `undefined` when that is fine. */
  whyNot(visitor: PeerCredentials): string | undefined {
    if (this.isActive) {
      return visitor.uid === this.#currentUser ? undefined : `another user is at port ${this.number}`;
    }
    return this.#isOpenTo(visitor) ? undefined : `port ${this.number} is kept for others`;
  }

  /** @param user the endpoint's user, who has the port from now on */
  join(endpoint: EndpointRecord, user: number): void {
    this.#currentUser = user;
    this.#endpoints.set(endpoint.id, endpoint);
    this.#counters.add(endpoint.switchPort.counters);
  }

  /** Returns the endpoint, unless there is none of that number. */
  find(id: number): EndpointRecord | undefined {
    return this.#endpoints.get(id);
  }

  /** The endpoint is gone. Returns whether it was there. */
  part(id: number): boolean {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return false;
    this.#counters.remove(endpoint.switchPort.counters);
    this.#endpoints.delete(id);
    if (!this.isActive) this.#currentUser = undefined;
    return true;
  }

  resetCounters(): void {
    this.#counters.reset();
  }

  #isOpenTo({ uid, gid, groups }: PeerCredentials): boolean {
    const { user, group } = this;
    if (uid === 0 || (typeof user !== 'number' && typeof group !== 'number')) return true;
    return user === uid || group === gid || (typeof group === 'number' && groups.includes(group));
  }
}
