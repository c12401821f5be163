/** A cable that makes it worse on purpose, as others may look at it. */
import type { ImpairedPlug } from '../impairment/impaired-plug.ts';
import type { Plug } from '../plugs/plug.ts';
import type { InventoryItem, Link } from './inventory.ts';
import { linkStatus } from './link-status.ts';
import type { RateMeter } from './rates.ts';
import type { FilterStatus } from './status.ts';

export class FilterItem implements InventoryItem {
  readonly kind = 'filter';
  /** The other side, which is not impaired by itself. */
  readonly left: Plug;
  readonly #right: ImpairedPlug;

  /** @param right where both directions are impaired: from left to right is into it */
  constructor(left: Plug, right: ImpairedPlug) {
    this.left = left;
    this.#right = right;
  }

  links(): readonly Link[] {
    const [left, right] = [this.left, this.#right];
    return [
      {
        id: 'right',
        network: right.label,
        plug: right,
        end: right,
        counters: right.counters,
        isReversed: false,
        otherEnds: [left.counters],
        description: `from ${left.label}`,
      },
    ];
  }

  async describe(rates: RateMeter): Promise<FilterStatus> {
    const { settings, seed } = (await this.#right.manage()).wire;
    const states = settings.nodes.length === 1 ? [] : [`state ${settings.current} of ${settings.nodes.length}`];
    return {
      kind: 'filter',
      links: this.links().map((link) => linkStatus(link, rates)),
      notes: [`left: ${this.left.label}`, `seed ${seed}`, ...states],
    };
  }
}
