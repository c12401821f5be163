/** Sentences about hosts: which address, which route, what state an interface is in, who the neighbour is. */
import { IPV4_LENGTH, isLinkLocalIp, isUnspecifiedIp, parseIp } from '../../net/ip.ts';
import { formatPrefix, parsePrefix, prefixContains } from '../../net/prefix.ts';
import { firstAddress } from '../../net/subnet.ts';
import type { Step } from './explanation.ts';
import {
  type BackFacts,
  type HostFacts,
  type InterfaceFacts,
  isSameHost,
  type LegFacts,
  type NeighbourFacts,
  type RouteFacts,
} from './facts.ts';
import { impairmentStep } from './impairment-sentences.ts';

/** Answered just now, or set by somebody. */
const ANSWERED: ReadonlySet<string> = new Set(['reachable', 'permanent', 'noarp']);
/** Answered a while ago. */
const REMEMBERED: ReadonlySet<string> = new Set(['stale', 'delay']);

/** The interface of a host by its name. */
export function interfaceOf(host: HostFacts, name: string): InterfaceFacts | undefined {
  return host.interfaces.find((candidate) => candidate.name === name);
}

/** The interface that has an address. */
export function holderOf(host: HostFacts, address: string): InterfaceFacts | undefined {
  return host.interfaces.find(({ addresses }) => addresses.some((prefix) => prefix.split('/')[0] === address));
}

/** What `vde join` and `vde tc` call an interface. */
function linkOf({ name: host, processName = host }: HostFacts, { name, link = name }: InterfaceFacts): string {
  return `${processName}:${link}`;
}

/** Step 2: where the routing table leads. */
export function routeStep(host: HostFacts, destination: string, route: RouteFacts, target?: HostFacts): Step {
  const lookedAt = `routing table of ${host.name}`;
  const at = { topic: 'route', lookedAt } as const;
  if (isUnspecifiedIp(parseIp(destination))) {
    const text = `${destination} is the address of no host: packets for it stay in ${host.name}`;
    return { ...at, state: 'problem', text, remedy: 'Name the address of one' };
  }
  if (route.kind === 'none') return { ...at, state: 'problem', ...noRoute(host, destination, route.errno, target) };
  const { interfaceName, gateway, source, isLocal, isForMany } = route;
  if (isLocal) {
    const isOurs = target === undefined || isSameHost(target, host);
    if (isOurs) return { ...at, state: 'ok', text: `${destination} is an address of ${host.name} itself` };
    const text = `${destination} is an address of ${host.name} itself, so its packets for ${target.name}, which has the same, never leave`;
    return { ...at, state: 'problem', text, remedy: `Give one of them another: --address` };
  }
  const from = source === undefined ? '' : ` from ${source}`;
  if (isForMany) {
    const text = `${destination} stands for many stations: frames for it leave by ${interfaceName}${from}, for all of its network`;
    return { ...at, state: 'ok', text };
  }
  const via = gateway === undefined ? `${destination} is a neighbour` : `through the router ${gateway}`;
  return {
    ...at,
    state: 'ok',
    text: `${host.name} sends packets for ${destination} by ${interfaceName}${from}: ${via}`,
  };
}

/** What the kernel says of routes that lead nowhere, and what `ip route` calls these (net/ipv4/fib_semantics.c). */
const REFUSING: Readonly<Record<string, string>> = {
  EINVAL: 'blackhole',
  EHOSTUNREACH: 'unreachable',
  EACCES: 'prohibit',
};

/** Why there is none, and the option that gives one. */
function noRoute(
  host: HostFacts,
  destination: string,
  errno: string,
  target: HostFacts | undefined,
): Pick<Step, 'text' | 'remedy'> {
  const address = parseIp(destination);
  if (errno !== 'ENETUNREACH') {
    const type = REFUSING[errno];
    const family = address.length === IPV4_LENGTH ? '' : ' -6';
    if (type === undefined) {
      const text = `${host.name} has a route that refuses packets for ${destination} (${errno})`;
      return { text, remedy: `See it with: vde exec ${host.name} ip${family} route` };
    }
    const text = `${host.name} has ${type.startsWith('u') ? 'an' : 'a'} ${type} route for ${destination}: packets for it end there`;
    return { text, remedy: `See it with: vde exec ${host.name} ip${family} route show type ${type}` };
  }
  const family = address.length === IPV4_LENGTH ? 'IPv4' : 'IPv6';
  const plugged = host.interfaces.filter(({ name }) => name !== 'lo');
  const own = plugged.flatMap((each) =>
    each.addresses
      .map((text) => ({ each, prefix: parsePrefix(text) }))
      .filter(({ prefix }) => prefix.address.length === address.length && !isLinkLocalIp(prefix.address)),
  );
  const holder = own.find(({ prefix }) => prefixContains(prefix, address));
  if (holder !== undefined && !holder.each.isUp) {
    const { name } = holder.each;
    const text = `${host.name} has no route to ${destination}: ${name}, which has ${formatPrefix(holder.prefix)}, is down`;
    return { text, remedy: `Set it up: vde exec ${host.name} ip link set ${name} up, or start it with --up` };
  }
  const network = networkOf(target, destination);
  if (own.length === 0) {
    const text = `${host.name} has no route to ${destination}: it has no ${family} address`;
    const example = network === undefined ? '--address CIDR' : `--address with an address of ${network}`;
    return { text, remedy: `Give it one: ${example}, or --auto where a server gives addresses` };
  }
  const names = own.map(({ prefix }) => formatPrefix(prefix)).join(', ');
  const text = `${host.name} has no route to ${destination}: that is in the network of none of its addresses (${names}), and it has no default gateway`;
  const place = network === undefined ? 'an address of that network' : `an address of ${network}`;
  return { text, remedy: `Give it ${place} with --address, or a router with --gateway` };
}

/** The network, as `10.0.0.0/24`, that the target has the address in. */
function networkOf(target: HostFacts | undefined, address: string): string | undefined {
  const text = target?.interfaces
    .flatMap(({ addresses }) => addresses)
    .find((prefix) => prefix.split('/')[0] === address);
  if (text === undefined) return undefined;
  const prefix = parsePrefix(text);
  return formatPrefix({ ...prefix, address: firstAddress(prefix) });
}

/** Steps 3 and 7: whether frames get in and out of an interface. */
export function interfaceSteps(host: HostFacts, facts: InterfaceFacts, isArrival: boolean): Step[] {
  const { name } = facts;
  const topic = isArrival ? 'arrival' : 'interface';
  const lookedAt = `interface ${name} of ${host.name}`;
  const at = { topic, lookedAt } as const;
  const { network, isUp, isCut, hasCarrier, mtu, impairment } = facts;
  const link = linkOf(host, facts);
  if (!isUp) {
    const remedy = `Set it up: vde exec ${host.name} ip link set ${name} up, or start it with --up`;
    return [{ ...at, state: 'problem', text: `${name} of ${host.name} is down`, remedy }];
  }
  if (isCut) {
    const text = `${name} of ${host.name} was cut from ${network?.label ?? 'its network'}`;
    return [{ ...at, state: 'problem', text, remedy: `Put the cable back: vde join ${link}` }];
  }
  if (!hasCarrier) {
    const text = `${name} of ${host.name} has no carrier: ${network === undefined ? 'nothing is at its other end' : `its network ${network.label} is away`}`;
    return [{ ...at, state: 'problem', text, ...remedyOfAway(facts) }];
  }
  const where = network === undefined ? 'not plugged in by a vdens' : `plugged into ${network.label}`;
  const text = `${name} of ${host.name} is up and has a carrier, with an MTU of ${mtu}, ${where}`;
  const impaired = impairmentStep(`${name} of ${host.name}`, link, impairment, at);
  return [{ ...at, state: 'ok', text }, ...(impaired === undefined ? [] : [impaired])];
}

/** Of an interface that asks nobody, and answers nobody; whoever has a fixed entry needs neither. */
export function arpSteps(
  host: HostFacts,
  { name, isArpOff = false }: InterfaceFacts,
  leg: LegFacts | undefined,
): Step[] {
  if (!isArpOff || leg?.neighbour?.state === 'permanent') return [];
  const isArrival = leg?.from !== host;
  const lost = isArrival ? 'it does not answer who asks for its address' : 'it sends without asking where to';
  return [
    {
      topic: isArrival ? 'arrival' : 'interface',
      state: 'problem',
      text: `${name} of ${host.name} has ARP turned off: ${lost}`,
      lookedAt: `interface ${name} of ${host.name}`,
      remedy: `Turn it on: vde exec ${host.name} ip link set ${name} arp on`,
    },
  ];
}

function remedyOfAway({ network }: Pick<InterfaceFacts, 'network'>): Pick<Step, 'remedy'> {
  if (network?.kind === 'switch') return { remedy: `Serve it again: vde switch ${network.place}` };
  if (network?.kind === 'line') return { remedy: `Somebody has to be at the other end: vdens ptp://${network.place}` };
  return {};
}

/** Step 4: what asking for the neighbour found out. */
export function neighbourStep(leg: LegFacts, neighbour: NeighbourFacts): Step {
  const { from, to } = leg;
  const { address, state, mac, isAsked, waitedMs } = neighbour;
  const protocol = address.includes(':') ? 'neighbour discovery' : 'ARP';
  const lookedAt = isAsked ? `${protocol} by ${from.name}` : `neighbours of ${from.name}`;
  const at = { topic: 'neighbour', lookedAt } as const;
  const expected = to === undefined ? undefined : interfaceOf(to.host, to.interfaceName)?.mac;
  if (state === 'noarp') {
    return { ...at, state: 'unknown', text: `${address} is not asked for: ${from.name} does not do that there` };
  }
  if (isNeighbourKnown(neighbour)) {
    if (!isStationOf(to?.host, neighbour) && to !== undefined) {
      if (state === 'permanent') {
        const text = `${from.name} has a fixed entry for ${address}, ${mac}, which is not ${to.host.name}'s (${expected})`;
        const device = leg.route?.kind === 'route' ? ` dev ${leg.route.interfaceName}` : '';
        return {
          ...at,
          state: 'problem',
          text,
          remedy: `Remove it: vde exec ${from.name} ip neigh del ${address}${device}`,
        };
      }
      if (leg.apart !== undefined) {
        const text = `somebody else answers for ${address} there, ${mac}: ${to.host.name} (${expected}) is not on that network`;
        return { ...at, state: 'problem', text, isSymptom: true };
      }
      const text = `${address} is answered for by ${mac}, which is not ${to.host.name}'s (${expected}): two stations have this address`;
      return { ...at, state: 'problem', text, remedy: `Give one of them another: --address` };
    }
    const how = !isAsked || !ANSWERED.has(state) ? 'is known' : state === 'reachable' ? 'answers' : 'is set by hand';
    const after = isAsked && state === 'reachable' ? `, after ${Math.max(1, Math.round(waitedMs))} ms` : '';
    return { ...at, state: 'ok', text: `${address} ${how} at ${mac ?? 'no address of its own'}${after}` };
  }
  if (!isAsked) {
    const text = `nothing is known of ${address} yet, and it was not asked for (--no-probe)`;
    return { ...at, state: 'unknown', text };
  }
  const before = mac === undefined ? '' : `, where ${mac} once answered`;
  const unknown = to === undefined ? ', and no namespace of yours on its network has that address' : '';
  const text = `nobody answers for ${address} within ${(waitedMs / 1000).toFixed(1)} s${before}${unknown}`;
  return { ...at, state: 'problem', text, isSymptom: true };
}

/** Whether it is the host who answers, as far as that is known. */
export function isStationOf(host: HostFacts | undefined, { mac }: NeighbourFacts): boolean {
  return host === undefined || mac === undefined || host.interfaces.some((each) => each.mac === mac);
}

/** Whether it was not asked for, because somebody said where it is. */
export function isSetByHand(neighbour: NeighbourFacts | undefined): boolean {
  return neighbour?.state === 'permanent' || neighbour?.state === 'noarp';
}

/** Whether a frame would have an address to go to. */
export function isNeighbourKnown({ state, isAsked, mac }: NeighbourFacts): boolean {
  return ANSWERED.has(state) || (!isAsked && REMEMBERED.has(state) && mac !== undefined);
}

/** Step 7: whether an answer finds back. */
export function backStep({ host, source, route }: BackFacts): Step {
  const at = { topic: 'return', lookedAt: `routing table of ${host.name}` } as const;
  if (route.kind === 'none') {
    const { text, remedy } = noRoute(host, source, route.errno, undefined);
    return {
      ...at,
      state: 'problem',
      text: `the answer does not come back: ${text}`,
      ...(remedy === undefined ? {} : { remedy }),
    };
  }
  if (route.isLocal) {
    const text = `the answer does not come back: ${host.name} has the address ${source} itself`;
    return { ...at, state: 'problem', text, remedy: 'Give one of them another: --address' };
  }
  const via = route.gateway === undefined ? '' : `, through the router ${route.gateway}`;
  return { ...at, state: 'ok', text: `${host.name} answers to ${source} by ${route.interfaceName}${via}` };
}
