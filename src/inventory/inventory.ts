/**
 * What this process runs, as others may look at it: namespaces, switches, gateways, cables.
 */
import type { Operations } from '../control/operation.ts';
import type { PlugCounters } from '../plugs/counters.ts';
import type { Plug } from '../plugs/plug.ts';
import { RateMeter } from './rates.ts';
import { servedItems } from './served-items.ts';
import type { ItemStatus, ProcessStatus } from './status.ts';

/** A plug that can be made worse on purpose, and cut, while frames pass it. */
export interface Impairable {
  /** What is set, in canonical words. */
  readonly impairment: readonly string[];
  /** Likewise what its network has set by itself: that is changed at the network only. */
  readonly innerImpairment: readonly string[];
  readonly isCut: boolean;
  /**
   * @param words such as `delay=20`, `loss=1%`; none, or `none`, clears it
   * @throws VdensError `ERR_USAGE`
   */
  impair(words: readonly string[]): Promise<void>;
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
  /** What it is plugged into, as a plug; for those who look. Not of a switch's ports. */
  readonly end?: Plug;
  /** Of the end that this process's user thinks of: the TAP, the client's port. */
  readonly counters: PlugCounters;
  /**
   * Whether what the counters call `sent` is what the thing received: so it is with an interface, whose TAP is its other
   * side, and with a switch, whose port is.
   */
  readonly isReversed: boolean;
  /** The other end of its cable, where frames are dropped as well; what is `sent` there is `received` in {@link counters}. */
  readonly otherEnds: readonly PlugCounters[];
  /** Who is behind it, for people. */
  readonly description: string;
}

/** One thing that runs here. */
export interface InventoryItem {
  readonly kind: ItemStatus['kind'];
  /** It has ended, though nobody removed it: it is left out. */
  readonly isOver?: boolean;
  /** The places at which its frames pass, at present. */
  links(): readonly Link[];
  /** @param rates of the process, so that all who look find the same */
  describe(rates: RateMeter): Promise<ItemStatus>;
  /** What it can be asked besides what all can. */
  readonly operations?: Operations;
}

/** All that runs in a process. */
export class Inventory {
  /** What was started, for people: `vdens`, `vde switch`. */
  readonly command: string;
  /** By which others find it: the name of its control socket. */
  name = '';
  readonly #items = new Set<InventoryItem>();
  readonly #rates = new RateMeter();

  constructor(command: string) {
    this.command = command;
  }

  /** What all of it is and does at present. An item that cannot be described any more is left out. */
  async describe(): Promise<ProcessStatus> {
    const described = await Promise.allSettled(this.items.map((item) => item.describe(this.#rates)));
    return {
      name: this.name,
      pid: process.pid,
      command: this.command,
      uptimeSeconds: process.uptime(),
      items: described.filter((each) => each.status === 'fulfilled').map(({ value }) => value),
    };
  }

  /** Adds something that runs from now on. Returns what removes it, which may be called again. */
  add(item: InventoryItem): () => void {
    this.#items.add(item);
    return () => void this.#items.delete(item);
  }

  /** In the order in which they were added; then what this process serves by the way. */
  get items(): readonly InventoryItem[] {
    return [...this.#items, ...servedItems()].filter(({ isOver }) => isOver !== true);
  }

  /** All places at which frames pass. */
  links(): readonly Link[] {
    return this.items.flatMap((item) => item.links());
  }
}
