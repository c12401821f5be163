/** The forwards of the gateways of a process. */
import { isObject, shown } from '../control/message.ts';
import type { Operations } from '../control/operation.ts';
import { quote, VdensError } from '../errors.ts';
import { GatewayItem } from './gateway-item.ts';
import type { Inventory } from './inventory.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * `{"do":"forwards"}` lists those of all gateways; with `"change"` one is added or removed, as on the socket of a gateway
 * (gateway/control-message.ts). `"gateway"`, a network's name, says which when there are several.
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
  const changed = changeForwards(item.plug.label, item.plug.forwards, readRequest(action, fields));
  return { network: item.plug.label, ...emitForwards(changed) };
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
