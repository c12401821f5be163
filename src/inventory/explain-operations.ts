/**
 * What a process is asked by those who explain the way of a frame (explain/gather.ts): its routing table, its neighbours,
 * which networks it is plugged into and what those know, the VLANs of its switch. Nothing has to run inside a namespace.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation, Operations } from '../control/operation.ts';
import { VdensError } from '../errors.ts';
import type { Namespace } from '../namespace/namespace.ts';
import { formatIp, IPV4_LENGTH, parseIp } from '../net/ip.ts';
import { formatMac } from '../net/mac.ts';
import type { Plug } from '../plugs/plug.ts';
import type { ManagedSwitchApi } from '../switch/managed/managed-switch-api.ts';
import type { Neighbour } from '../system/neighbour-message.ts';
import type { LinkNetwork, PortVlans } from './explain/ask.ts';
import type { NeighbourFacts, RouteFacts } from './explain/facts.ts';
import type { PluggedEnd } from './explain/passage-facts.ts';
import type { Inventory, InventoryItem } from './inventory.ts';

/** How long whoever asks may have us wait for a neighbour, in milliseconds. */
const MAX_NEIGHBOUR_MS = 10_000;
/** Most answer at once; then it is looked less often. */
const FIRST_POLL_MS = 1;
const LONGEST_POLL_MS = 32;
/** How long duplicate address detection may take (RFC 4862, 5.4): before, nobody is asked by neighbour discovery. */
const LINK_LOCAL_MS = 3000;

/** What an item has that is looked at here. */
interface ExplainedItem extends InventoryItem {
  readonly namespace?: Namespace;
  /** The side of a filter that is no link. */
  readonly left?: Plug;
  readonly managedSwitch?: Pick<ManagedSwitchApi, 'ports' | 'vlans'>;
}

/** The VLAN of no VLAN, as managed switches have it. */
const NO_VLAN = 4095;

/** The operations. */
export function explainOperations(inventory: Inventory): Operations {
  return {
    'explain-networks': async () => ({ networks: await networksOf(inventory) }),
    'explain-route': async (request) => ({
      route: await routeOf(namespaceOf(inventory, request), textOf(request, 'destination'), request['interface']),
    }),
    'explain-neighbour': askNeighbour(inventory),
    'explain-forwarding': async (request) => {
      const address = parseIp(textOf(request, 'address'));
      const isForwarding = await namespaceOf(inventory, request).rtnetlink.isForwarding(address);
      return isForwarding === undefined ? {} : { isForwarding };
    },
    'explain-neighbours': async (request) => ({
      neighbours: await neighboursOf(namespaceOf(inventory, request)),
    }),
    'explain-passage': async (request) => {
      const link = textOf(request, 'link');
      const wanted = request['namespace'];
      const found = endsOf(inventory).find(
        ({ id, namespace }) => id === link && (wanted === undefined || namespace?.pid === wanted),
      );
      // Loaded when it is asked for: most processes never are.
      const { passageOf } = await import('./explain/passage-facts.ts');
      const facts = found === undefined ? undefined : await passageOf(found, request);
      return facts === undefined ? {} : { passage: facts };
    },
    'explain-vlans': (request) => ({ ports: vlansOf(inventory, textOf(request, 'path')) }),
  };
}

function textOf(request: Readonly<Record<string, unknown>>, field: string): string {
  const value = request[field];
  if (typeof value === 'string') return value;
  throw new VdensError('ERR_USAGE', `the request has no text "${field}"`, { value: field });
}

/** The one that the request's `namespace` means, by the process by which it is joined; without it, the first. */
function namespaceOf(inventory: Inventory, { namespace: wanted }: Readonly<Record<string, unknown>>): Namespace {
  for (const { namespace } of inventory.items as readonly ExplainedItem[])
    if (namespace !== undefined && (wanted === undefined || namespace.pid === wanted)) return namespace;
  throw new VdensError('ERR_USAGE', 'no namespace runs in this process');
}

/** The end of a cable, and the namespace in which it is. */
interface InnerEnd extends PluggedEnd {
  readonly namespace?: Namespace | undefined;
}

/** The ends that are plugged into a network; the ports of a switch are the switch's own. */
function endsOf(inventory: Inventory): InnerEnd[] {
  const items: readonly ExplainedItem[] = inventory.items;
  return items
    .filter(({ kind }) => kind !== 'switch')
    .flatMap((item) => [
      ...(item.left === undefined ? [] : [{ id: 'left', network: item.left.label, end: item.left }]),
      ...item.links().map((link) => ({ ...link, namespace: item.namespace })),
    ]);
}

async function networksOf(inventory: Inventory): Promise<LinkNetwork[]> {
  const { identifyNetwork } = await import('./explain/network-identity.ts');
  return Promise.all(
    endsOf(inventory).map(async ({ id, network, end, namespace }) => {
      const place = namespace === undefined ? '' : ` in namespace ${namespace.pid}`;
      const own = `of process ${process.pid}, ${id}${place}`;
      return {
        link: id,
        ...(await identifyNetwork(network, own, end)),
        ...(namespace === undefined ? {} : { namespace: namespace.pid }),
        ...((await isArpOff(namespace, id)) ? { isArpOff: true } : {}),
      };
    }),
  );
}

/** A namespace that ends just now has no interfaces any more. */
async function isArpOff(namespace: Namespace | undefined, name: string): Promise<boolean> {
  if (namespace === undefined) return false;
  const links = await namespace.rtnetlink.links().catch(() => []);
  const index = namespace.indexOf(name);
  return links.some((link) => link.index === index && link.isArpOff === true);
}

async function routeOf(namespace: Namespace, destination: string, interfaceName: unknown): Promise<RouteFacts> {
  const { rtnetlink } = namespace;
  const links = await rtnetlink.links();
  const index = links.find(({ name }) => name === interfaceName)?.index;
  const route = await rtnetlink.findRoute(parseIp(destination), index);
  if (typeof route === 'string') return { kind: 'none', errno: route };
  const { interfaceIndex, isLocal, isForMany, gateway, source } = route;
  return {
    kind: 'route',
    interfaceName: links.find(({ index }) => index === interfaceIndex)?.name ?? String(interfaceIndex),
    isLocal,
    isForMany,
    ...(gateway === undefined ? {} : { gateway: formatIp(gateway) }),
    ...(source === undefined ? {} : { source: formatIp(source) }),
  };
}

/** What the kernel remembers: IP address, MAC address, interface. */
async function neighboursOf({ rtnetlink }: Namespace): Promise<object[]> {
  const links = await rtnetlink.links();
  return (await rtnetlink.neighbours()).map(({ address, mac, state, interfaceIndex }) => ({
    address: formatIp(address),
    state,
    interfaceName: links.find(({ index }) => index === interfaceIndex)?.name ?? String(interfaceIndex),
    ...(mac === undefined ? {} : { mac: formatMac(mac) }),
  }));
}

function askNeighbour(inventory: Inventory): Operation {
  return async (request, { signal }) => {
    const { rtnetlink } = namespaceOf(inventory, request);
    const name = textOf(request, 'interface');
    const address = parseIp(textOf(request, 'address'));
    const isAsked = request['ask'] === true;
    const wanted = request['timeoutMs'];
    const timeoutMs = Math.min(typeof wanted === 'number' && wanted > 0 ? wanted : 0, MAX_NEIGHBOUR_MS);
    const { index } = await rtnetlink.link(name);
    const look = async (): Promise<Neighbour | undefined> => {
      const text = formatIp(address);
      const all = await rtnetlink.neighbours();
      return all.find((each) => each.interfaceIndex === index && formatIp(each.address) === text);
    };
    const before = await look();
    const told = (found: Neighbour | undefined, waitedMs: number): { neighbour: NeighbourFacts } => ({
      neighbour: {
        address: formatIp(address),
        isAsked,
        before: before?.state ?? 'none',
        state: found?.state ?? 'none',
        waitedMs,
        ...macOf(found ?? before),
      },
    });
    if (!isAsked || isSet(before)) return told(before, 0);
    if (address.length !== IPV4_LENGTH) await waitForLinkLocal(rtnetlink, name, signal);
    const startedAt = performance.now();
    const ask = (known?: Uint8Array): Promise<void> => rtnetlink.askNeighbour(index, address, known);
    await ask(isValid(before) ? before?.mac : undefined);
    // Somebody else began to ask, and we only hear of the end of it.
    let isLate = before?.state === 'incomplete';
    for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_POLL_MS)) {
      const found = await look();
      const waitedMs = performance.now() - startedAt;
      const isLateFailure = isLate && found?.state === 'failed';
      if (isLateFailure) {
        isLate = false;
        await ask();
      }
      const isOver = found?.state === 'reachable' || (found?.state === 'failed' && !isLateFailure) || isSet(found);
      if (isOver || waitedMs > timeoutMs || signal.aborted) return told(found, waitedMs);
      await sleep(pauseMs);
    }
  };
}

function macOf(neighbour: Neighbour | undefined): { mac?: string } {
  return neighbour?.mac === undefined ? {} : { mac: formatMac(neighbour.mac) };
}

/** Somebody said where it is: it is never asked for. */
function isSet(neighbour: Neighbour | undefined): boolean {
  return neighbour?.state === 'permanent' || neighbour?.state === 'noarp';
}

/** What is known of it would be used. */
function isValid(neighbour: Neighbour | undefined): boolean {
  return neighbour !== undefined && ['reachable', 'stale', 'delay', 'probe'].includes(neighbour.state);
}

/** The kernel asks from the link-local address, and not at all while that is not sure to be ours alone. */
async function waitForLinkLocal(rtnetlink: Namespace['rtnetlink'], name: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + LINK_LOCAL_MS;
  while (performance.now() < deadline && !signal.aborted) {
    const usable = await rtnetlink.usableAddresses(name);
    if (usable.some(({ address }) => address[0] === 0xfe && (address[1]! & 0xc0) === 0x80)) return;
    await sleep(LONGEST_POLL_MS);
  }
}

/** The VLANs of a managed switch; none when it leaves tags alone. */
function vlansOf(inventory: Inventory, path: string): PortVlans[] {
  for (const item of inventory.items as readonly ExplainedItem[]) {
    const { managedSwitch } = item;
    if (managedSwitch === undefined || !item.links().some(({ network }) => network === path)) continue;
    return portVlans(managedSwitch);
  }
  return [];
}

function portVlans({ ports, vlans }: Pick<ManagedSwitchApi, 'ports' | 'vlans'>): PortVlans[] {
  return ports.map(({ number, untaggedVlan, user, group }) => {
    const own = vlans.flatMap((vlan) =>
      vlan.ports.filter((port) => port.number === number).map((port) => ({ vlan: vlan.number, ...port })),
    );
    const owners = [
      ...(typeof user === 'number' ? [`user ${user}`] : []),
      ...(typeof group === 'number' ? [`group ${group}`] : []),
    ];
    return {
      number,
      ...(untaggedVlan === NO_VLAN ? {} : { untaggedVlan }),
      taggedVlans: own.filter(({ isTagged }) => isTagged).map(({ vlan }) => vlan),
      blockedVlans: own.filter(({ status }) => status !== 'Forwarding').map(({ vlan }) => vlan),
      ...(owners.length === 0 ? {} : { owner: owners.join(' and ') }),
    };
  });
}
