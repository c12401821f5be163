/** The ports of a managed switch, by number: which there are, and which of them somebody gets. */
import type { PeerCredentials } from '../listener.ts';
import { PortRecord } from './port-record.ts';
import { refusal } from './refusal.ts';

/** The highest port number when nobody says another one, as `vde_switch` has it. */
export const DEFAULT_PORTS = 32;
/** The highest port number that may be said: the ports of a bridge have 12 bits for theirs in the spanning tree (IEEE 802.1D, 9.2.7). */
export const MAX_PORT_NUMBER = 4095;

export class PortTable {
  readonly #ports = new Map<number, PortRecord>();
  readonly #added: (port: PortRecord) => void;
  #count: number;

  /**
   * @param count the highest number
   * @param added called for every port that is new
   */
  constructor(count: number, added: (port: PortRecord) => void) {
    this.#count = checkCount(count);
    this.#added = added;
  }

  /** The highest number that a port may have. */
  get count(): number {
    return this.#count;
  }

  set count(count: number) {
    checkCount(count);
    const higher = this.all.find(({ number }) => number > count);
    if (higher !== undefined) {
      throw refusal('EADDRINUSE', `there is a port ${higher.number}, above ${count}`, 'Remove it first');
    }
    this.#count = count;
  }

  /** In the order of their numbers. */
  get all(): readonly PortRecord[] {
    return [...this.#ports.values()].sort((a, b) => a.number - b.number);
  }

  /** The port with this number. */
  find(number: number): PortRecord | undefined {
    return this.#ports.get(number);
  }

  /** @throws VdensError `EINVAL` for a number that no port can have; `ENXIO` when there is no such port */
  get(number: number): PortRecord {
    this.check(number);
    const port = this.#ports.get(number);
    if (port === undefined) throw refusal('ENXIO', `there is no port ${number}`, 'See which there are: port/allprint');
    return port;
  }

  /** @throws VdensError `EINVAL` for a number that no port can have */
  check(number: number): void {
    if (Number.isInteger(number) && number >= 0 && number <= this.#count) return;
    throw refusal('EINVAL', `there can be no port ${number}`, `Ports have numbers from 1 to ${this.#count}`);
  }

  /** Makes a port; without a number (or with 0) the first that is not there yet. */
  create(number = 0): PortRecord {
    this.check(number);
    const free = number === 0 ? this.#firstMissing() : number;
    if (free === undefined) throw refusal('ENOSPC', `there are ${this.#count} ports`, 'Allow more: port/setnumports');
    if (this.#ports.has(free)) throw refusal('EEXIST', `there is a port ${free}`, 'Choose another number');
    return this.#add(free, false);
  }

  remove(number: number): void {
    const port = this.get(number);
    if (port.isActive) throw refusal('EADDRINUSE', `somebody is at port ${number}`, 'Close its endpoints first');
    this.#ports.delete(number);
  }

  /**
   * Which port somebody gets.
   *
   * @param wanted its number; `undefined` for any
   * @returns the number of a port that may have to be made ({@link take}), or a clause that says why there is none
   */
  choose(wanted: number | undefined, visitor: PeerCredentials): number | string {
    if (wanted === undefined) return this.#anyFor(visitor);
    if (wanted > this.#count) return `port ${wanted} is higher than there are ports`;
    return this.#ports.get(wanted)?.whyNot(visitor) ?? wanted;
  }

  /** The port, which is made when it is not there. */
  take(number: number): PortRecord {
    return this.#ports.get(number) ?? this.#add(number, true);
  }

  #anyFor(visitor: PeerCredentials): number | string {
    for (let number = 1; number <= this.#count; number++) {
      const port = this.#ports.get(number);
      if (port === undefined) return number;
      if (port.isAllocatable && !port.isActive && port.whyNot(visitor) === undefined) return number;
    }
    return 'all ports are in use';
  }

  #firstMissing(): number | undefined {
    for (let number = 1; number <= this.#count; number++) if (!this.#ports.has(number)) return number;
    return undefined;
  }

  #add(number: number, isAllocatable: boolean): PortRecord {
    const port = new PortRecord(number, isAllocatable);
    this.#ports.set(number, port);
    this.#added(port);
    return port;
  }
}

function checkCount(count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= MAX_PORT_NUMBER) return count;
  throw refusal('EINVAL', `a switch cannot have ${count} ports`, `Name a number from 1 to ${MAX_PORT_NUMBER}`);
}
