/**
 * The control socket of a gateway: forwards are added, listed and removed there while it runs.
 *
 * It is a control socket like others (control/server.ts); what is said on it is in control-message.ts.
 */
import { ControlServer } from '../control/server.ts';
import { VdensError } from '../errors.ts';
import { type ControlRequest, emitForwards, forwardOf, readRequest } from './control-message.ts';
import type { ForwardInfo, Forwards } from './forwards.ts';

/** Programs that are connected at a time. */
export const MAX_GATEWAY_CLIENTS = 16;
/** The longest request, in bytes, its end of line included. */
const MAX_GATEWAY_REQUEST_BYTES = 4096;

/** What can be done with the forwards. */
export type ForwardsInUse = Pick<Forwards, 'add' | 'list' | 'remove'>;

/**
 * Serves the control socket from now on.
 *
 * @param label what errors begin with: the network that it is
 * @throws VdensError `ERR_NETWORK_OPEN` when somebody listens at the path, something else is there, or the directory
 * does not take a socket
 */
export function serveForwards(label: string, path: string, forwards: ForwardsInUse): ControlServer {
  const does =
    (action: ControlRequest['do']) =>
    (fields: Readonly<Record<string, unknown>>): object =>
      emitForwards(changeForwards(label, forwards, readRequest(action, fields)));
  return new ControlServer({
    path,
    label,
    what: 'the gateway',
    operations: { add: does('add'), list: does('list'), remove: does('remove') },
    maxClients: MAX_GATEWAY_CLIENTS,
    maxRequestBytes: MAX_GATEWAY_REQUEST_BYTES,
  });
}

/**
 * Does what a request asks for.
 *
 * @param label what errors begin with
 * @returns the forward that was added or removed, or all there are
 * @throws VdensError when that cannot be
 */
export function changeForwards(
  label: string,
  forwards: ForwardsInUse,
  request: ControlRequest,
): readonly ForwardInfo[] {
  switch (request.do) {
    case 'add':
      return [forwards.add(forwardOf(request))];
    case 'list':
      return forwards.list();
    case 'remove':
      return [removeForward(label, forwards, request.id)];
  }
}

function removeForward(label: string, forwards: ForwardsInUse, id: number): ForwardInfo {
  const found = forwards.list().find((forward) => forward.id === id);
  if (found === undefined) {
    throw new VdensError('ERR_USAGE', `${label}: there is no forward ${id}`, { value: String(id) });
  }
  forwards.remove(id);
  return found;
}
