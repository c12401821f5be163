/** Who is at the other side of a plug, as far as that is known. */
import { GatewayPlug } from '../gateway/gateway-plug.ts';
import { formatSocketAddress } from '../net/socket-address.ts';
import { TunnelPlug } from '../overlay/tunnel-plug.ts';
import type { Plug } from '../plugs/plug.ts';
import { VdePlug } from '../plugs/vde.ts';
import type { Impairable } from './inventory.ts';
import type { PeerStatus } from './status.ts';

/** Plugs around plugs are not so deep. */
const MAX_DEPTH = 64;
/** Of a network over UDP, those heard last. */
const MAX_PEERS = 256;

/** A plug, and those that it is around, from the outside in. */
export function* layersOf(plug: Plug): Generator<Plug> {
  let at: Plug | undefined = plug;
  for (let depth = 0; at !== undefined && depth < MAX_DEPTH; depth++) {
    yield at;
    at = at.interior;
  }
}

/** The plug itself, when it can be made worse on purpose. */
export function impairable(plug: Plug): Impairable | undefined {
  return 'impair' in plug ? (plug as Plug & Impairable) : undefined;
}

/** Who is there: endpoints of tunnels, the process that serves a switch. */
export function peersOf(plug: Plug): readonly PeerStatus[] {
  for (const layer of layersOf(plug)) {
    if (layer instanceof TunnelPlug) return endpointsOf(layer);
    if (layer instanceof GatewayPlug) return [{ name: 'gateway', pid: process.pid, uid: process.geteuid?.() ?? 0 }];
    if (layer instanceof VdePlug) {
      const { server } = layer;
      return server === undefined ? [] : [{ name: 'switch', ...server }];
    }
  }
  return [];
}

function endpointsOf(tunnel: TunnelPlug): readonly PeerStatus[] {
  const stations = tunnel.stations().toSorted((a, b) => a.ageSeconds - b.ageSeconds);
  const names = new Set(stations.map(({ endpoint }) => formatSocketAddress(endpoint)));
  return [...names].slice(0, MAX_PEERS).map((name) => ({ name }));
}
