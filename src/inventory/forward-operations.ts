/** The forwards of the gateways of a process. */
import { isObject, shown, WrongRequest } from '../control/message.ts';
import type { Operations } from '../control/operation.ts';
import { quote, VdensError } from '../errors.ts';
import { formatIp } from '../net/ip.ts';
import { prefixContains } from '../net/prefix.ts';
import { GatewayItem } from './gateway-item.ts';
import type { Inventory } from './inventory.ts';
import { NamespaceItem } from './namespace-item.ts';
import { layersOf } from './peers.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * `{"do":"forwards"}` lists those of all gateways; with `"change"` one is added or removed, as on the socket of a gateway
 * (gateway/control-message.ts), but for `"guestAddress"`, which need not be said. `"gateway"`, a network's name, says
 * which when there are several.
 */
export function forwardOperations(inventory: Inventory): Operations {
  return { forwards: (request) => doForwards(inventory, request) };
}

async function doForwards(inventory: Inventory, { gateway, change }: Fields): Promise<object> {
  const { changeForwards } = await import('../gateway/control.ts');
  const { emitForwards, forwardText, readRequest } = await import('../gateway/control-message.ts');
  const items = gatewaysCalled(inventory, gateway);
  if (change === undefined) {
    return {
      gateways: items.map(({ plug }) => ({ network: plug.label, forwards: plug.forwards.list().map(forwardText) })),
    };
  }
  const [item, other] = items;
  if (item === undefined || other !== undefined) {
    const names = items.map(({ plug }) => quote(plug.label)).join(' and ');
    throw new VdensError('ERR_USAGE', `there are several gateways, ${names}. Say which`);
  }
  if (!isObject(change)) throw new VdensError('ERR_USAGE', `"change" is an object, not ${shown(change)}`);
  const { do: action, ...fields } = change;
  if (action !== 'add' && action !== 'remove') {
    throw new VdensError('ERR_USAGE', `${shown(action)} cannot be done to forwards. Write "do":"add" or "remove"`);
  }
  const guest =
    action === 'add' && fields['guestAddress'] === undefined ? await usualGuest(inventory, item) : undefined;
  const request = asAnswer(() =>
    readRequest(action, guest === undefined ? fields : { ...fields, guestAddress: guest }),
  );
  const changed = changeForwards(item.plug.label, item.plug.forwards, request);
  return { network: item.plug.label, ...emitForwards(changed) };
}

/** What is wrong with the change is no reason to end the connection: the line around it is a request. */
function asAnswer<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WrongRequest)) throw error;
    throw new VdensError('ERR_USAGE', error.message, { cause: error });
  }
}

/** Of the namespace that is plugged into the gateway; else whoever asks for an address first. */
async function usualGuest(inventory: Inventory, { plug }: GatewayItem): Promise<string> {
  const { ipv4, ipv6 } = plug.config;
  const networks = [ipv4, ipv6].flatMap((side) => (side === undefined ? [] : [side.router]));
  for (const item of inventory.items) {
    if (!(item instanceof NamespaceItem)) continue;
    const addresses = await item.addressesAt((network) => [...layersOf(network)].includes(plug));
    const guest = addresses.find((address) => networks.some((network) => prefixContains(network, address)));
    if (guest !== undefined) return formatIp(guest);
  }
  if (ipv4 !== undefined) return formatIp(ipv4.firstLease);
  throw new VdensError(
    'ERR_USAGE',
    `${plug.label}: the guest has no address that is known. Say it: 8080:[fd00::15]:80`,
  );
}

function gatewaysCalled(inventory: Inventory, name: unknown): readonly GatewayItem[] {
  const all = inventory.items.filter((item) => item instanceof GatewayItem);
  if (all.length === 0) {
    const remedy = 'A namespace has one when it is started with a network such as slirp://';
    throw new VdensError('ERR_USAGE', `there is no gateway in process ${process.pid}. ${remedy}`);
  }
  if (name === undefined) return all;
  const found = all.filter(({ plug }) => plug.label === name);
  if (found.length > 0) return found;
  const names = all.map(({ plug }) => quote(plug.label)).join(', ');
  throw new VdensError('ERR_USAGE', `there is no gateway ${shown(name)}. There is: ${names}`);
}
