/** What a process knows of the network that one of its links is plugged into. */
import type { GatewayPlug } from '../../gateway/gateway-plug.ts';
import { RULE_ECHO, RULE_TCP, RULE_UDP } from '../../gateway/rules.ts';
import { formatIp, parseIp } from '../../net/ip.ts';
import { formatMac } from '../../net/mac.ts';
import { formatPrefix } from '../../net/prefix.ts';
import { formatSocketAddress, type SocketAddress } from '../../net/socket-address.ts';
import type { TunnelPlug } from '../../overlay/tunnel-plug.ts';
import type { Plug } from '../../plugs/plug.ts';
import type { Link } from '../inventory.ts';
import { layersOf } from '../peers.ts';
import type { GatewayFacts, GatewayRuleFacts, OverlayFacts } from './facts.ts';

/** One end of a cable: what it is called, and what is there. */
export type PluggedEnd = Pick<Link, 'id' | 'network' | 'end'>;

/** What is asked, beside the link. */
export interface PassageQuery {
  /** The station that the frame goes to. */
  readonly mac?: unknown;
  /** Where the packet goes. */
  readonly destination?: unknown;
}

/** What there is to know; nothing of networks that tell nothing of their other side. */
export async function passageOf(
  link: PluggedEnd,
  query: PassageQuery,
): Promise<OverlayFacts | GatewayFacts | undefined> {
  const plug = innermost(link);
  if (plug === undefined) return undefined;
  const overlay = await import('../../overlay/tunnel-plug.ts');
  if (plug instanceof overlay.TunnelPlug) return overlayFacts(plug, query);
  const gateway = await import('../../gateway/gateway-plug.ts');
  return plug instanceof gateway.GatewayPlug ? gatewayFacts(plug, query) : undefined;
}

/** The plug that moves the frames, inside of what is around it. */
function innermost({ end }: PluggedEnd): Plug | undefined {
  return end === undefined ? undefined : [...layersOf(end)].at(-1);
}

function overlayFacts(plug: TunnelPlug, { mac }: PassageQuery): OverlayFacts {
  const stations = plug.stations();
  const found = stations.find((station) => formatMac(station.mac) === mac);
  return {
    kind: 'overlay',
    label: plug.label,
    place: '',
    ...(found === undefined ? {} : { endpoint: formatSocketAddress(found.endpoint) }),
    stationCount: stations.length,
    isOtherKnown: false,
    foreignPackets: plug.counters.received.drops['foreign-vni'] ?? 0,
  };
}

/** Without a port, when that stays what it is. */
function placeOf(to: SocketAddress): string {
  return to.port === 0 ? formatIp(to.address) : formatSocketAddress(to);
}

/** Of each protocol, what a connection is taken for that is for no port in particular. */
const PROTOCOLS = [
  ['tcp', RULE_TCP],
  ['udp', RULE_UDP],
  ['echo', RULE_ECHO],
] as const;
/** A port of which no rule is about in particular (RFC 6335, 8.1.2: the last of those that are nobody's). */
const SOME_PORT = 65_535;

async function gatewayFacts(plug: GatewayPlug, { destination }: PassageQuery): Promise<GatewayFacts> {
  const { findRule } = await import('../../gateway/rules.ts');
  const { ipv4, ipv6 } = plug.config;
  const sides = [ipv4, ipv6].filter((side) => side !== undefined);
  const rules: GatewayRuleFacts[] = [];
  for (const [protocol, bit] of typeof destination === 'string' ? PROTOCOLS : []) {
    const rule = findRule(plug.rules, bit, parseIp(destination as string), SOME_PORT);
    const isRouter = sides.some(({ router }) => formatPrefix(router).split('/')[0] === destination);
    // The gateway answers to echo by itself.
    if (protocol === 'echo' && isRouter) continue;
    rules.push({
      protocol,
      purpose: rule?.purpose ?? 'way-out',
      action: rule?.action ?? 'pass',
      ...(rule?.to === undefined ? {} : { to: placeOf(rule.to) }),
    });
  }
  return {
    kind: 'gateway',
    label: plug.label,
    addresses: sides.map(({ router }) => formatPrefix(router)),
    rules,
  };
}
