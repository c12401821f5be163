/**
 * The spanning tree of a managed switch: tells it which ports are in which VLANs, sends and receives for it, and keeps
 * what it closes.
 */
import { batchOf } from '../../frames/batch.ts';
import { parseMac } from '../../net/mac.ts';
import { systemClock } from '../../system/clock.ts';
import { ETHERTYPE_CVLAN, emitEthernet, parseEthernet } from '../../wire/ethernet.ts';
import { SpanningTree, type TreeEvent } from '../spanning-tree/spanning-tree.ts';
import type { Switch } from '../switch.ts';
import type { SwitchPort } from '../switch-port.ts';
import type { TreeStatus } from './managed-switch-api.ts';
import type { PortRecord } from './port-record.ts';
import { refusal } from './refusal.ts';

/** What `vde_switch` calls a port that nobody is at. */
const INACTIVE = 'Learning';
const FORWARDING = 'Forwarding';
const CLOSED = 'Discarding';
const NOWHERE: ReadonlySet<number> = new Set();

/** What is around it. */
export interface TreeSurroundings {
  readonly segment: Switch;
  readonly mac: string;
  readonly priority: number;
  readonly isOn: boolean;
  port(number: number): PortRecord | undefined;
  /** The VLAN of a frame that came in at a port with a tag, or without one; `undefined` when the port is not in it. */
  vlanOf(port: number, tag: number | undefined): number | undefined;
  isTagged(vlan: number, port: PortRecord): boolean;
  /** Whether tags matter. */
  hasVlans(): boolean;
  /** Other VLANs than before are closed at the port. */
  changed(port: PortRecord): void;
  event(event: TreeEvent): void;
}

export class TreeControl {
  readonly #around: TreeSurroundings;
  readonly #tree: SpanningTree;
  /** VLANs that are closed, by the number of the port. */
  readonly #closed = new Map<number, Set<number>>();
  /** VLANs that the tree knows the port in. */
  readonly #placed = new Map<number, Set<number>>();

  constructor(around: TreeSurroundings) {
    this.#around = around;
    const { mac, priority, isOn } = around;
    this.#tree = new SpanningTree(
      {
        send: (port, vlan, bpdu) => this.#send(port, vlan, bpdu),
        setForwarding: (port, vlan, isForwarding) => this.#setForwarding(port, vlan, isForwarding),
        forget: (port, vlan) => this.#forget(port, vlan),
        event: (event) => around.event(event),
      },
      { mac: parseMac(mac), priority, clock: systemClock, isOn },
    );
    if (isOn) this.#listen();
  }

  get isOn(): boolean {
    return this.#tree.isOn;
  }

  setOn(isOn: boolean): void {
    if (isOn === this.#tree.isOn) return;
    this.#tree.setOn(isOn);
    if (isOn) this.#listen();
    else this.#around.segment.configure({ control: null });
  }

  addVlan(vlan: number): void {
    this.#tree.addVlan(vlan);
  }

  removeVlan(vlan: number): void {
    this.#tree.removeVlan(vlan);
  }

  /** Says in which VLANs a port is that somebody is at; in none when nobody is. */
  place({ number }: PortRecord, vlans: Set<number>): void {
    const before = this.#placed.get(number) ?? NOWHERE;
    if (vlans.size > 0) this.#placed.set(number, vlans);
    else this.#placed.delete(number);
    for (const vlan of before) if (!vlans.has(vlan)) this.#tree.removePort(vlan, number);
    this.#keepClosed(number, vlans);
    for (const vlan of vlans) if (!before.has(vlan)) this.#tree.addPort(vlan, number);
  }

  /** Says that a port where somebody is has come into a VLAN, or left it. */
  placeIn({ number }: PortRecord, vlan: number, isIn: boolean): void {
    const placed = this.#placed.get(number) ?? new Set();
    if (placed.has(vlan) === isIn) return;
    if (isIn) {
      this.#placed.set(number, placed.add(vlan));
      this.#tree.addPort(vlan, number);
      return;
    }
    placed.delete(vlan);
    this.#tree.removePort(vlan, number);
    this.#keepClosed(number, placed);
  }

  /** The VLANs whose frames may not pass the port. */
  closedAt(port: PortRecord): ReadonlySet<number> {
    return this.#closed.get(port.number) ?? NOWHERE;
  }

  /** What the port does in a VLAN, in a word. */
  statusOf(vlan: number, port: PortRecord): string {
    if (!port.isActive) return INACTIVE;
    return this.#tree.isForwarding(vlan, port.number) ? FORWARDING : CLOSED;
  }

  setEdge(vlan: number, port: number, isEdge: boolean): void {
    this.#tree.setEdge(vlan, port, isEdge);
  }

  setBonus(vlan: number, port: number, cost: number): void {
    this.#tree.setBonus(vlan, port, cost);
  }

  /** @throws VdensError `ENXIO` when there is no such VLAN */
  status(vlan: number): TreeStatus {
    const known = this.#tree.status(vlan);
    if (known === undefined) throw refusal('ENXIO', `there is no VLAN ${vlan}`, 'See which there are: vlan/print');
    const ports = known.ports.map((each) => {
      const port = this.#around.port(each.number);
      return { ...each, isTagged: port !== undefined && this.#around.isTagged(vlan, port) };
    });
    return { ...known, vlan, ports };
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#tree.close();
  }

  #listen(): void {
    this.#around.segment.configure({ control: (port, frame) => this.#receive(port, frame) });
  }

  #receive({ number }: SwitchPort, frame: Uint8Array): void {
    const [tag] = parseEthernet(frame)?.tags ?? [];
    const vlan = this.#around.vlanOf(number, tag?.etherType === ETHERTYPE_CVLAN ? tag.vlan : undefined);
    if (vlan !== undefined) this.#tree.receive(vlan, number, frame);
  }

  #send(number: number, vlan: number, bpdu: Uint8Array): void {
    const port = this.#around.port(number);
    if (port === undefined) return;
    const batch = batchOf([this.#around.isTagged(vlan, port) ? withTag(bpdu, vlan) : bpdu]);
    for (const { switchPort } of port.endpoints) switchPort.sendOut(batch);
  }

  #setForwarding(number: number, vlan: number, isForwarding: boolean): void {
    const closed = this.#closed.get(number) ?? new Set();
    if (closed.has(vlan) !== isForwarding) return;
    if (isForwarding) closed.delete(vlan);
    else closed.add(vlan);
    if (closed.size > 0) this.#closed.set(number, closed);
    else this.#closed.delete(number);
    const port = this.#around.port(number);
    if (port !== undefined) this.#around.changed(port);
  }

  /** A port that has left a VLAN has nothing closed there. */
  #keepClosed(number: number, vlans: ReadonlySet<number>): void {
    const closed = this.#closed.get(number);
    if (closed === undefined) return;
    for (const vlan of closed) if (!vlans.has(vlan)) closed.delete(vlan);
    if (closed.size === 0) this.#closed.delete(number);
  }

  #forget(number: number, vlan: number): void {
    const { segment } = this.#around;
    for (const { switchPort } of this.#around.port(number)?.endpoints ?? []) {
      // Without VLANs set up all frames pass alike, and their tags only tell stations apart.
      segment.forget(switchPort, this.#around.hasVlans() ? vlan : undefined);
    }
  }
}

function withTag(frame: Uint8Array, vlan: number): Uint8Array {
  const header = parseEthernet(frame);
  if (header === undefined) return frame;
  const tag = { etherType: ETHERTYPE_CVLAN, vlan, priority: 0, isDropEligible: false };
  return emitEthernet({ ...header, tags: [tag] }, frame.subarray(header.payloadOffset));
}
