/** What networks bring into this process by the way: switches that it serves, gateways. */
import { openGateways } from '../gateway/open-gateways.ts';
import { openServices } from '../switch/open-services.ts';
import { GatewayItem } from './gateway-item.ts';
import type { InventoryItem } from './inventory.ts';
import { SwitchItem } from './switch-item.ts';

/** All of them, at present. */
export function servedItems(): readonly InventoryItem[] {
  return [
    ...Array.from(openServices, (service) => new SwitchItem(service)),
    ...Array.from(openGateways, (gateway) => new GatewayItem(gateway)),
  ];
}
