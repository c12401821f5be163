/** Being in a multicast group, at the interface that leads to it at the time. */
import { isMember } from '../system/memberships.ts';
import type { Underlay } from './underlay.ts';

export class Membership {
  readonly #underlay: Underlay;
  readonly #group: Uint8Array;
  #index: number | undefined;

  constructor(underlay: Underlay, group: Uint8Array) {
    this.#underlay = underlay;
    this.#group = group;
  }

  /**
   * Is a member at this interface, and nowhere else. Nothing is said on the wire when it is already.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when the kernel refuses it
   */
  follow(interfaceIndex: number): void {
    const before = this.#index;
    if (interfaceIndex === before) {
      // An interface that went and came back, or lost its addresses, has forgotten it.
      if (!isMember(this.#group, interfaceIndex)) this.#underlay.rejoin(this.#group, interfaceIndex);
      return;
    }
    this.#underlay.join(this.#group, interfaceIndex);
    this.#index = interfaceIndex;
    if (before !== undefined) this.#underlay.leave(this.#group, before);
  }

  /** Is no member any more. Idempotent. */
  end(): void {
    if (this.#index !== undefined) this.#underlay.leave(this.#group, this.#index);
    this.#index = undefined;
  }
}
