/** Asking a gateway that runs, over its control socket. */
import { connectControl } from '../control/client.ts';
import { printable, VdensError } from '../errors.ts';
import { type ControlForward, type ControlRequest, parseForwards } from './control-message.ts';

/** How to ask. */
export interface ControlGatewayOptions {
  /** How long the gateway may take to answer, in milliseconds. @defaultValue 5000 */
  readonly timeoutMs?: number;
}

/**
 * Adds, lists or removes forwards of a gateway.
 *
 * @param path of its control socket, as in `slirp:///control=PATH`
 * @returns the forward that was added or removed, or all there are
 * @throws VdensError `ERR_NETWORK_OPEN` when there is no gateway, or we may not control it; `ERR_NETWORK_TIMEOUT` when it
 * does not answer; what the gateway says, with its code, when it cannot do that
 */
export async function controlGateway(
  path: string,
  request: ControlRequest,
  options: ControlGatewayOptions = {},
): Promise<readonly ControlForward[]> {
  const what = `the gateway at ${printable(path)}`;
  const otherwise = 'who listens there is no gateway';
  const control = await connectControl(path, { ...options, what, otherwise });
  try {
    const { do: action, ...fields } = request;
    const forwards = parseForwards(await control.request(action, fields));
    if (forwards !== undefined) return forwards;
    throw new VdensError('ERR_NETWORK_OPEN', `cannot control ${what}: ${otherwise}`, { value: path, errno: 'EPROTO' });
  } finally {
    control.close();
  }
}
