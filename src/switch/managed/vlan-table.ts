/**
 * The VLANs of a managed switch and the ports in them (IEEE 802.1Q, 8.8.10 "The VLAN member set").
 *
 * VLAN 0 is there from the start, and every port is in it without a tag until it is put elsewhere.
 */
import { NO_VLAN } from './managed-switch-api.ts';
import { refusal } from './refusal.ts';

/** The highest number of a VLAN that can be made, as `vde_switch` has it. */
export const MAX_VLAN = 4093;

const NONE: ReadonlySet<number> = new Set();

/** What the table knows of a port. */
export interface VlanPort {
  readonly number: number;
  untaggedVlan: number;
}

export class VlanTable {
  /** Numbers of the ports that are in a VLAN with a tag. */
  readonly #tagged = new Map<number, Set<number>>([[0, new Set()]]);
  /** The same by port: the VLANs that it is in with a tag. */
  readonly #taggedOf = new Map<number, Set<number>>();
  #numbers: readonly number[] | undefined;

  /** In order. */
  get numbers(): readonly number[] {
    this.#numbers ??= [...this.#tagged.keys()].sort((a, b) => a - b);
    return this.#numbers;
  }

  /** Whether there are others than VLAN 0. */
  get hasOthers(): boolean {
    return this.#tagged.size > 1;
  }

  create(vlan: number): void {
    if (!Number.isInteger(vlan) || vlan < 1 || vlan > MAX_VLAN) throw noSuchNumber(vlan);
    if (this.#tagged.has(vlan)) throw refusal('EEXIST', `there is a VLAN ${vlan}`, 'Choose another number');
    this.#tagged.set(vlan, new Set());
    this.#numbers = undefined;
  }

  /** @param ports all that there are */
  remove(vlan: number, ports: readonly VlanPort[]): void {
    const tagged = this.#get(vlan);
    if (vlan === 0) throw refusal('EADDRINUSE', 'VLAN 0 is always there', 'Remove another one');
    if (tagged.size > 0 || ports.some((port) => port.untaggedVlan === vlan)) {
      throw refusal('EADDRINUSE', `there are ports in VLAN ${vlan}`, 'Take them out first: vlan/delport, port/setvlan');
    }
    this.#tagged.delete(vlan);
    this.#numbers = undefined;
  }

  /** Puts a port into a VLAN, with a tag; one that is in it without a tag stays so. */
  add(vlan: number, port: VlanPort): void {
    const tagged = this.#get(vlan);
    if (port.untaggedVlan === vlan) return;
    tagged.add(port.number);
    const own = this.#taggedOf.get(port.number);
    if (own === undefined) this.#taggedOf.set(port.number, new Set([vlan]));
    else own.add(vlan);
  }

  /** Takes a port out of a VLAN that it is in with a tag. */
  delete(vlan: number, port: VlanPort): void {
    const tagged = this.#get(vlan);
    if (port.untaggedVlan === vlan) {
      const remedy = `Put it elsewhere: port/setvlan ${port.number} ${NO_VLAN}`;
      throw refusal('EADDRINUSE', `frames of port ${port.number} without a tag belong to VLAN ${vlan}`, remedy);
    }
    this.#take(tagged, vlan, port);
  }

  /** Says to which VLAN a port's frames without a tag belong; to none with {@link NO_VLAN}. */
  setUntagged(vlan: number, port: VlanPort): void {
    if (vlan !== NO_VLAN) this.#take(this.#get(vlan), vlan, port);
    port.untaggedVlan = vlan;
  }

  /** The VLANs that a port is in with a tag. */
  taggedOf(port: VlanPort): ReadonlySet<number> {
    return this.#taggedOf.get(port.number) ?? NONE;
  }

  /** All VLANs that a port is in. */
  of(port: VlanPort): Set<number> {
    const all = new Set(this.taggedOf(port));
    if (port.untaggedVlan !== NO_VLAN) all.add(port.untaggedVlan);
    return all;
  }

  isTagged(vlan: number, port: VlanPort): boolean {
    return this.taggedOf(port).has(vlan);
  }

  isIn(vlan: number, port: VlanPort): boolean {
    return port.untaggedVlan === vlan || this.isTagged(vlan, port);
  }

  /** The port is gone. */
  forget(port: VlanPort): void {
    for (const vlan of this.taggedOf(port)) this.#tagged.get(vlan)?.delete(port.number);
    this.#taggedOf.delete(port.number);
  }

  /** @throws VdensError `EINVAL` for a number that no VLAN can have; `ENXIO` when there is no such VLAN */
  check(vlan: number): void {
    this.#get(vlan);
  }

  #take(tagged: Set<number>, vlan: number, port: VlanPort): void {
    tagged.delete(port.number);
    this.#taggedOf.get(port.number)?.delete(vlan);
  }

  #get(vlan: number): Set<number> {
    if (!Number.isInteger(vlan) || vlan < 0 || vlan >= NO_VLAN) throw noSuchNumber(vlan);
    const tagged = this.#tagged.get(vlan);
    if (tagged === undefined) throw refusal('ENXIO', `there is no VLAN ${vlan}`, `Make it first: vlan/create ${vlan}`);
    return tagged;
  }
}

function noSuchNumber(vlan: number): Error {
  return refusal('EINVAL', `there can be no VLAN ${vlan}`, `Name a number from 1 to ${MAX_VLAN}`);
}
