/** A cable between two networks, as others may look at it. */
import type { Plug } from '../plugs/plug.ts';
import type { InventoryItem, Link } from './inventory.ts';
import { linkStatus } from './link-status.ts';
import { impairable, peersOf } from './peers.ts';
import type { RateMeter } from './rates.ts';
import type { CableStatus } from './status.ts';

const NAMES = ['left', 'right'] as const;

export class CableItem implements InventoryItem {
  readonly kind = 'cable';
  readonly #ends: readonly [left: Plug, right: Plug];

  constructor(left: Plug, right: Plug) {
    this.#ends = [left, right];
  }

  links(): readonly Link[] {
    const [left, right] = this.#ends;
    const others = [right.counters, left.counters];
    return this.#ends.map((plug, index) => ({
      id: NAMES[index]!,
      network: plug.label,
      plug: impairable(plug),
      end: plug,
      counters: plug.counters,
      isReversed: false,
      otherEnds: [others[index]!],
      description: '',
    }));
  }

  describe(rates: RateMeter): Promise<CableStatus> {
    return Promise.resolve({
      kind: 'cable',
      links: this.links().map((link) => linkStatus(link, rates)),
      peers: this.#ends.flatMap(peersOf),
      notes: this.#ends.flatMap((plug) => (plug.report?.() ?? []).map((line) => `${plug.label}: ${line}`)),
    });
  }
}
