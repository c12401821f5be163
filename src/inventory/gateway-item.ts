/** A gateway to the internet in this process, as others may look at it. */
import { forwardText } from '../gateway/control-message.ts';
import type { GatewayPlug } from '../gateway/gateway-plug.ts';
import { formatPrefix } from '../net/prefix.ts';
import type { InventoryItem, Link } from './inventory.ts';
import type { GatewayStatus } from './status.ts';

export class GatewayItem implements InventoryItem {
  readonly kind = 'gateway';
  readonly plug: GatewayPlug;

  constructor(plug: GatewayPlug) {
    this.plug = plug;
  }

  /** None of its own: it is at the other end of somebody else's. */
  links(): readonly Link[] {
    return [];
  }

  describe(): Promise<GatewayStatus> {
    const { plug } = this;
    const sides = [plug.config.ipv4, plug.config.ipv6].filter((side) => side !== undefined);
    return Promise.resolve({
      kind: 'gateway',
      network: plug.label,
      addresses: sides.map(({ router }) => formatPrefix(router)),
      forwards: plug.forwards.list().map(forwardText),
      flows: plug.flows,
      counters: plug.statistics,
      notes: plug.report(),
    });
  }
}
