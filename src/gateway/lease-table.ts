/**
 * Which client has which place of a pool of addresses, and until when. Places are numbers from 0; what address each
 * one is, the servers know.
 *
 * A client that comes back finds its old place as long as nobody else needed it.
 */

/** Leases of one server, of those that ended those that are remembered among them. */
export const MAX_LEASES = 4096;
/** How long a place is left alone after a client found somebody else there. */
export const DECLINED_MS = 600_000;

/** A place, and who has it. */
export interface Lease {
  /** What the client is known by. */
  readonly owner: string;
  readonly slot: number;
  /** On the clock of the table, in milliseconds. */
  readonly until: number;
}

/** How long a place is kept for a client that was offered it. */
export const OFFER_MS = 60_000;

/** Whether a place may be given out at all. */
export type SlotCheck = (slot: number) => boolean;

/** The places of one pool. */
export class LeaseTable {
  readonly #size: number;
  readonly #now: () => number;
  readonly #byOwner = new Map<string, Lease>();
  readonly #bySlot = new Map<number, Lease>();
  readonly #declined = new Map<number, number>();

  /**
   * @param size places of the pool; only the first {@link MAX_LEASES} are given to who does not ask for another
   * @param now milliseconds of a monotonic clock
   */
  constructor(size: number, now: () => number) {
    this.#size = size;
    this.#now = now;
  }

  /** The lease of a client; one that has ended is not told. */
  of(owner: string): Lease | undefined {
    const lease = this.#byOwner.get(owner);
    return lease !== undefined && lease.until > this.#now() ? lease : undefined;
  }

  /** Whether a place was not only offered to a client, but taken by it. */
  isTaken(owner: string, slot: number): boolean {
    const lease = this.of(owner);
    return lease !== undefined && lease.slot === slot && lease.until > this.#now() + OFFER_MS;
  }

  /**
   * A place for a client, for at least so long: the one it had, the one it would like, or any; undefined when there is
   * none (RFC 2131, 4.3.1).
   */
  take(owner: string, until: number, isUsable: SlotCheck, wanted?: number): Lease | undefined {
    const had = this.#byOwner.get(owner)?.slot;
    for (const slot of [had, wanted]) {
      if (slot !== undefined && this.#isFree(slot, owner) && isUsable(slot)) return this.#give(owner, slot, until);
    }
    const slot = this.#neverGiven(isUsable) ?? this.#longestOver(isUsable);
    return slot === undefined ? undefined : this.#give(owner, slot, until);
  }

  /** Exactly this place for a client; undefined when it cannot have it. */
  claim(owner: string, slot: number, until: number, isUsable: SlotCheck): Lease | undefined {
    return this.#isFree(slot, owner) && isUsable(slot) ? this.#give(owner, slot, until) : undefined;
  }

  /** The client does not need its place any more. */
  release(owner: string): void {
    const lease = this.#byOwner.get(owner);
    if (lease !== undefined) this.#set({ ...lease, until: this.#now() });
  }

  /** The client found somebody else at its place. */
  decline(owner: string): void {
    const lease = this.#byOwner.get(owner);
    if (lease === undefined) return;
    this.#remove(lease);
    if (this.#declined.size === MAX_LEASES) this.#forgetDeclined();
    this.#declined.set(lease.slot, this.#now() + DECLINED_MS);
  }

  #isFree(slot: number, owner: string): boolean {
    if (slot < 0 || slot >= this.#size || this.#isDeclined(slot)) return false;
    const lease = this.#bySlot.get(slot);
    return lease === undefined || lease.owner === owner || lease.until <= this.#now();
  }

  #isDeclined(slot: number): boolean {
    const until = this.#declined.get(slot);
    if (until === undefined) return false;
    if (until > this.#now()) return true;
    this.#declined.delete(slot);
    return false;
  }

  /** Makes room among places that were declined: the oldest is forgotten. */
  #forgetDeclined(): void {
    const [oldest] = this.#declined.keys();
    if (oldest !== undefined) this.#declined.delete(oldest);
  }

  #neverGiven(isUsable: SlotCheck): number | undefined {
    const last = Math.min(this.#size, MAX_LEASES);
    for (let slot = 0; slot < last; slot++) {
      if (!this.#bySlot.has(slot) && !this.#isDeclined(slot) && isUsable(slot)) return slot;
    }
    return undefined;
  }

  #longestOver(isUsable: SlotCheck): number | undefined {
    let found: Lease | undefined;
    for (const lease of this.#bySlot.values()) {
      if (lease.until > this.#now() || (found !== undefined && found.until <= lease.until)) continue;
      if (isUsable(lease.slot)) found = lease;
    }
    return found?.slot;
  }

  /** Gives the place, for no less than it was given already; undefined when the table is full. */
  #give(owner: string, slot: number, until: number): Lease | undefined {
    const had = this.#byOwner.get(owner);
    const before = this.#bySlot.get(slot);
    if (had === undefined && before === undefined && !this.#makeRoom()) return undefined;
    if (had !== undefined && had.slot !== slot) this.#remove(had);
    if (before !== undefined && before.owner !== owner) this.#remove(before);
    const lease = { owner, slot, until: had?.slot === slot ? Math.max(had.until, until) : until };
    this.#set(lease);
    return lease;
  }

  #makeRoom(): boolean {
    if (this.#byOwner.size < MAX_LEASES) return true;
    const slot = this.#longestOver(() => true);
    const lease = slot === undefined ? undefined : this.#bySlot.get(slot);
    if (lease !== undefined) this.#remove(lease);
    return lease !== undefined;
  }

  #set(lease: Lease): void {
    this.#byOwner.set(lease.owner, lease);
    this.#bySlot.set(lease.slot, lease);
  }

  #remove(lease: Lease): void {
    this.#byOwner.delete(lease.owner);
    this.#bySlot.delete(lease.slot);
  }
}
