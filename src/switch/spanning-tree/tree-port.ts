/** What a VLAN's tree knows of one of its ports, and how many BPDUs it lets pass. */
import type { BridgeId } from '../../wire/bpdu.ts';
import type { Vector } from './vector.ts';

/** As the console prints them. */
export type TreeRole = 'Root' | 'Designated' | 'Alternate/Backup' | 'Edge';

/** What another bridge offers at a port. */
export interface Claim extends Vector {
  /** How old the news is: seconds, and some for each bridge that it passed. */
  readonly ageSeconds: number;
  /** When it is forgotten unless it is repeated. */
  readonly until: number;
}

/**
 * BPDUs that leave a port in a second, at most; others wait (IEEE 802.1D, 17.14 "Transmit Hold Count", and more than
 * there: as long as news of a root that is gone goes round in circles, this is what slows it down).
 */
const MAX_SENT_PER_SECOND = 20;
/** BPDUs that are listened to at a port in a second, at most. */
const MAX_HEARD_PER_SECOND = 64;
const SECOND_MS = 1000;
/** How long a bridge that was heard is taken to be still there, in milliseconds. */
const PEER_MS = 12_000;

export class TreePort {
  readonly number: number;
  role: TreeRole = 'Designated';
  /** Whether frames pass. */
  isOpen = true;
  /** Whether a bridge was heard here: then it takes more than silence for frames to pass. */
  isActive = false;
  /** Whether the bridge at the other end knows what we offer and has nothing better, or has long said nothing. */
  isAgreed = false;
  /** The best that is offered here, if it is better than what we offer. */
  claim: Claim | undefined;
  /** When frames may pass although nobody agreed. */
  opensAt: number | undefined;
  /** When that is proposed again. */
  proposesAt: number | undefined;
  /** Until when it is told that the topology changed. */
  changedUntil = 0;
  /** Whether a BPDU is to be sent, and whether as one of those that are sent regularly. */
  isSendWanted = false;
  isHello = false;
  readonly #sent = new Rate(MAX_SENT_PER_SECOND);
  readonly #heard = new Rate(MAX_HEARD_PER_SECOND);
  #peer: BridgeId | undefined;
  #peerAt = 0;
  #sharedUntil = 0;

  constructor(number: number) {
    this.number = number;
  }

  /** Begins anew, as a port at which nobody was heard. */
  reset(): void {
    this.role = 'Designated';
    this.isActive = false;
    this.isAgreed = false;
    this.claim = undefined;
    this.changedUntil = 0;
    this.isSendWanted = false;
    this.#peer = undefined;
    this.#sharedUntil = 0;
    this.clearWaits();
  }

  /** Nothing is proposed any more. */
  clearWaits(): void {
    this.opensAt = undefined;
    this.proposesAt = undefined;
  }

  /** Notes who was heard. Returns whether it is to be listened to. */
  hear(bridge: BridgeId, now: number): boolean {
    if (!this.#heard.take(now)) return false;
    const isOther = this.#peer !== undefined && this.#peer !== bridge && now - this.#peerAt < PEER_MS;
    if (isOther) this.#sharedUntil = now + PEER_MS;
    this.#peer = bridge;
    this.#peerAt = now;
    return true;
  }

  /** Whether several bridges are at the other end (a hub): what one of them agrees to, another need not. */
  isShared(now: number): boolean {
    return now < this.#sharedUntil;
  }

  /** Whether a BPDU may leave now; counted as sent then. */
  maySend(now: number): boolean {
    return this.#sent.take(now);
  }

  /** The next moment at which something is due here. */
  nextDue(): number {
    const due = [this.claim?.until, this.opensAt, this.proposesAt, this.isSendWanted ? this.#sent.nextAt : undefined];
    return Math.min(...due.map((at) => at ?? Number.POSITIVE_INFINITY));
  }
}

/** So many in a second. */
class Rate {
  readonly #most: number;
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** When it begins to count anew. */
  get nextAt(): number {
    return this.#since + SECOND_MS;
  }

  /** Counts one, unless it is one too many. */
  take(now: number): boolean {
    if (now >= this.nextAt) {
      this.#since = now;
      this.#count = 0;
    }
    if (this.#count >= this.#most) return false;
    this.#count++;
    return true;
  }
}
