/** Who is at the other side of a plug, as far as that is known. */
import type { GatewayPlug } from '../gateway/gateway-plug.ts';
import { formatSocketAddress } from '../net/socket-address.ts';
import type { TunnelPlug } from '../overlay/tunnel-plug.ts';
import type { Plug } from '../plugs/plug.ts';
import type { VdePlug } from '../plugs/vde.ts';
import { openServices } from '../switch/open-services.ts';
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

/** Who is there: endpoints of tunnels, the process that serves a switch; of one that is served here, its clients. */
export function peersOf(plug: Plug): readonly PeerStatus[] {
  for (const layer of layersOf(plug)) {
    if (isTunnel(layer)) return endpointsOf(layer);
    if (isGateway(layer)) return [{ name: 'gateway', pid: process.pid, uid: process.geteuid?.() ?? 0 }];
    if (layer.isServedHere === true && layer.interior === undefined) return clientsAround(layer);
    if (isSwitchPort(layer)) return layer.server === undefined ? [] : [{ name: 'switch', ...layer.server }];
  }
  return [];
}

/** The others at a switch of this process, of which this is a port. */
function clientsAround({ counters }: Plug): readonly PeerStatus[] {
  const service = [...openServices].find(({ segment }) => segment.ports.some((port) => port.counters === counters));
  const clients = service?.ports.slice(0, MAX_PEERS) ?? [];
  return clients.map(({ port, pid, uid }) => ({ name: port.description, pid, uid }));
}

// By what they have: to load the classes of all kinds of networks would cost each process more than it asks for.
function isTunnel(plug: Plug): plug is TunnelPlug {
  return 'tunnel' in plug;
}

function isGateway(plug: Plug): plug is GatewayPlug {
  return 'forwards' in plug;
}

function isSwitchPort(plug: Plug): plug is VdePlug {
  return 'server' in plug;
}

function endpointsOf(tunnel: TunnelPlug): readonly PeerStatus[] {
  const stations = tunnel.stations().toSorted((a, b) => a.ageSeconds - b.ageSeconds);
  const names = new Set(stations.map(({ endpoint }) => formatSocketAddress(endpoint)));
  return [...names].slice(0, MAX_PEERS).map((name) => ({ name }));
}
