/**
 * The fast spanning tree of `vde_switch`: for each VLAN, which ports forward and which wait, so that cables between
 * switches may form loops. Pure protocol: time, frames and tables are the host's.
 *
 * ```
 *  host ── addPort, removePort, receive ──▶ SpanningTree ── one VlanTree for each VLAN
 *    ◀── send, setForwarding, forget, event ──┘
 * ```
 *
 * The host tells of each port that somebody is at, in each VLAN that the port is in, and hands over what is sent to
 * 01:80:c2:00:00:00, which it does not forward.
 */
import type { Clock } from '../../system/clock.ts';
import { bridgeId, parseBpdu } from '../../wire/bpdu.ts';
import { VlanTree, type VlanTreeStatus } from './vlan-tree.ts';

/** Of a bridge of which nobody says another one (IEEE 802.1D, table 17-2). */
export const DEFAULT_PRIORITY = 0x8000;
export const MAX_PRIORITY = 0xffff;

/** What a tree needs of the switch that it runs in. None of these may call the tree. */
export interface TreeHost {
  /**
   * Sends a BPDU, an Ethernet frame without a tag, out of a port, whether that forwards or not; the host tags it where
   * the port is tagged in the VLAN. It leaves before the frames that are forwarded afterwards.
   */
  send(port: number, vlan: number, bpdu: Uint8Array): void;
  /** Whether frames of the VLAN may pass the port from now on, in and out. Called for each port that is added. */
  setForwarding(port: number, vlan: number, isForwarding: boolean): void;
  /** Forgets the stations of the VLAN that were heard at the port: they may be elsewhere now. */
  forget(port: number, vlan: number): void;
  /** What happened, for those who look (`debug/add fstp`). */
  event(event: TreeEvent): void;
}

/** What those who debug get to see; see the console's `fstp/…` categories. */
export type TreeEvent =
  | { readonly kind: 'tree-port-active' | 'tree-port-inactive'; readonly port: number; readonly vlan: number }
  | { readonly kind: 'tree-status'; readonly port: number; readonly vlan: number; readonly status: string }
  | { readonly kind: 'tree-root'; readonly vlan: number; readonly rootPort: number; readonly root: string };

export interface SpanningTreeOptions {
  /** Of the switch, 6 bytes. */
  readonly mac: Uint8Array;
  /** 0 to 65535; the least of all switches makes the root. */
  readonly priority: number;
  readonly clock: Clock;
  /** Whether it runs from the start; otherwise all ports forward. */
  readonly isOn: boolean;
}

export class SpanningTree {
  readonly #host: TreeHost;
  readonly #clock: Clock;
  readonly #bridge: string;
  readonly #trees = new Map<number, VlanTree>();
  #isOn: boolean;

  constructor(host: TreeHost, { mac, priority, clock, isOn }: SpanningTreeOptions) {
    this.#host = host;
    this.#clock = clock;
    this.#bridge = bridgeId(priority, mac);
    this.#isOn = isOn;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Off: all ports forward, and whatever is received is ignored. */
  setOn(isOn: boolean): void {
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    for (const tree of this.#trees.values()) {
      if (isOn) tree.start();
      else tree.stop();
    }
  }

  /** Begins a tree without ports. */
  addVlan(vlan: number): void {
    if (this.#trees.has(vlan)) return;
    const tree = new VlanTree(this.#host, this.#clock, { vlan, bridge: this.#bridge });
    this.#trees.set(vlan, tree);
    if (this.#isOn) tree.start();
  }

  removeVlan(vlan: number): void {
    this.#trees.get(vlan)?.close();
    this.#trees.delete(vlan);
  }

  /** Somebody is at the port, and the port is in the VLAN. Nothing happens when that was known. */
  addPort(vlan: number, port: number): void {
    this.#trees.get(vlan)?.addPort(port);
  }

  /** Nobody is at the port any more, or it has left the VLAN. */
  removePort(vlan: number, port: number): void {
    this.#trees.get(vlan)?.removePort(port);
  }

  /** A frame for bridges came in at a port, with or without its tag. */
  receive(vlan: number, port: number, frame: Uint8Array): void {
    if (!this.#isOn) return;
    const bpdu = parseBpdu(frame);
    if (bpdu !== undefined) this.#trees.get(vlan)?.receive(port, bpdu);
  }

  /** No switch is behind the port, whatever it says: it always forwards. The port need not be there yet. */
  setEdge(vlan: number, port: number, isEdge: boolean): void {
    this.#trees.get(vlan)?.setEdge(port, isEdge);
  }

  /** Makes the way by one port of the VLAN cheaper. The port need not be there yet. */
  setBonus(vlan: number, port: number, cost: number): void {
    this.#trees.get(vlan)?.setBonus(port, cost);
  }

  isForwarding(vlan: number, port: number): boolean {
    return this.#trees.get(vlan)?.isForwarding(port) ?? true;
  }

  /** The tree of a VLAN, for those who look; `undefined` without such a VLAN. */
  status(vlan: number): VlanTreeStatus | undefined {
    return this.#trees.get(vlan)?.status();
  }

  /** Stops all of them; nothing is sent any more. */
  close(): void {
    for (const tree of this.#trees.values()) tree.close();
    this.#trees.clear();
  }
}
