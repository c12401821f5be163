/**
 * What this process runs, as others may look at it: namespaces, switches, gateways, cables.
 */
import type { Operations } from '../control/operation.ts';
import type { PlugCounters } from '../plugs/counters.ts';
import type { ItemStatus } from './status.ts';

/** A plug that can be made worse on purpose, and cut, while frames pass it. */
export interface Impairable {
  /** What is set, in canonical words. */
  readonly impairment: readonly string[];
  readonly isCut: boolean;
  /**
   * @param words such as `delay=20`, `loss=1%`; none, or `none`, clears it
   * @throws VdensError `ERR_USAGE`
   */
  impair(words: readonly string[]): void;
  cut(): void;
  join(): void;
}

/** Where frames can be looked at, impaired, cut: an interface, a port of a switch, the end of a cable. */
export interface Link {
  /** `vde0`, `port 3`, `left`, `right`. */
  readonly id: string;
  /** What it is plugged into. */
  readonly network: string;
  /** To impair and to cut it; not all can be. */
  readonly plug: Impairable | undefined;
  /** Of the end that this process's user thinks of: the TAP, the client's port. */
  readonly counters: PlugCounters;
  /** Who is behind it, for people. */
  readonly description: string;
}

/** One thing that runs here. */
export interface InventoryItem {
  readonly kind: ItemStatus['kind'];
  /** The places at which its frames pass, at present. */
  links(): readonly Link[];
  describe(): Promise<ItemStatus>;
  /** What it can be asked besides what all can. */
  readonly operations?: Operations;
}

/** All that runs in a process. */
export class Inventory {
  /** What was started, for people: `vdens`, `vde switch`. */
  readonly command: string;
  readonly #items = new Set<InventoryItem>();

  constructor(command: string) {
    this.command = command;
  }

  /** Adds something that runs from now on. Returns what removes it, which may be called again. */
  add(item: InventoryItem): () => void {
    this.#items.add(item);
    return () => void this.#items.delete(item);
  }

  /** In the order in which they began. */
  get items(): readonly InventoryItem[] {
    return [...this.#items];
  }

  /** All places at which frames pass. */
  links(): readonly Link[] {
    return this.items.flatMap((item) => item.links());
  }
}
