/** Facts about what is between two hosts. */
import { VdensError } from '../../errors.ts';
import type { StationStatus, SwitchStatus } from '../status.ts';
import { askPassage, askVlans, type PortVlans } from './ask.ts';
import type {
  CableFacts,
  InterfaceFacts,
  LineFacts,
  NetworkFacts,
  PassageFacts,
  PortFacts,
  SwitchFacts,
} from './facts.ts';
import { nextNetworks, type PathNetwork, pathBetween } from './network-path.ts';
import { type Cable, type Host, portOf, type RunningProcess, type Server, strangerAt, type World } from './world.ts';

/** Cables that are followed to a station of which only the MAC address is known. */
const MAX_CABLES = 8;

/** Between whom. */
export interface Stretch {
  readonly from: Host;
  readonly out: InterfaceFacts;
  /** Who is next, when it can be asked. */
  readonly to: { readonly host: Host; readonly into: InterfaceFacts } | undefined;
  /** The MAC address that the frame goes to, when it is known. */
  readonly mac: string | undefined;
  /** Where the packet goes, for gateways. */
  readonly destination: string | undefined;
}

/** What is in between, and, when the two are on networks that nothing joins, which those are. */
export interface Passages {
  readonly passages: readonly PassageFacts[];
  readonly apart?: { readonly mine: NetworkFacts; readonly theirs: NetworkFacts };
}

/** Looks at everything on the way, in order. */
export async function passagesOf(world: World, stretch: Stretch): Promise<Passages> {
  const mine = stretch.out.network;
  if (mine === undefined) return { passages: [] };
  const theirs = stretch.to?.into.network;
  if (theirs === undefined) return { passages: await follow(world, stretch, mine) };
  const path = pathBetween(mine, theirs, world.cables);
  if (path !== undefined) return { passages: await along(world, stretch, path) };
  return { passages: await along(world, { ...stretch, to: undefined }, [{ network: mine }]), apart: { mine, theirs } };
}

/** From network to network, where it is known to whom. */
async function along(world: World, stretch: Stretch, path: readonly PathNetwork[]): Promise<PassageFacts[]> {
  const passages: PassageFacts[] = [];
  for (const [index, { network, cable }] of path.entries()) {
    if (cable !== undefined) passages.push(cableFacts(cable, path[index - 1]!.network, network));
    const entry: Visitor = cable === undefined ? visitorOf(stretch) : endOf(cable, network);
    const next = path[index + 1];
    const exit = next?.cable === undefined ? undefined : endOf(next.cable, network);
    passages.push(await networkFacts(world, stretch, network, { entry, exit, isFirst: index === 0 }));
  }
  return passages;
}

/** To a station that may be behind cables: as far as switches have heard it. */
async function follow(world: World, stretch: Stretch, first: NetworkFacts): Promise<PassageFacts[]> {
  const passages: PassageFacts[] = [];
  let network = first;
  let entry: Visitor = visitorOf(stretch);
  for (let cables = 0; cables < MAX_CABLES; cables++) {
    const facts = await networkFacts(world, stretch, network, { entry, exit: undefined, isFirst: cables === 0 });
    passages.push(facts);
    const pid = facts.kind === 'switch' ? facts.exit?.pid : undefined;
    const next = nextNetworks(network, world.cables).find(({ cable }) => cable?.process.pid === pid);
    if (next?.cable === undefined || pid === entry.process.pid) break;
    passages.push(cableFacts(next.cable, network, next.network));
    network = next.network;
    entry = endOf(next.cable, network);
  }
  return passages;
}

/** Somebody at a network: a process, and its link there. */
interface Visitor {
  readonly process: RunningProcess;
  readonly link: string;
  readonly isCable?: boolean;
}

function visitorOf({ from: { process }, out: { name, link = name } }: Stretch): Visitor {
  return { process, link };
}

function endOf({ process, networks }: Cable, network: NetworkFacts): Visitor {
  const link = networks.find(({ identity }) => identity === network.identity)?.link ?? '';
  return { process, link, isCable: true };
}

/** Where the frame comes in and goes out. */
interface Place {
  readonly entry: Visitor;
  /** The cable by which it leaves, when it does not end here. */
  readonly exit: Visitor | undefined;
  readonly isFirst: boolean;
}

async function networkFacts(
  world: World,
  stretch: Stretch,
  network: NetworkFacts,
  place: Place,
): Promise<PassageFacts> {
  switch (network.kind) {
    case 'switch':
      return switchFacts(world, stretch, network, place);
    case 'overlay':
    case 'gateway':
      return askedFacts(stretch, network, place);
    case 'line': {
      const line: LineFacts = {
        kind: 'line',
        label: network.label,
        hasOtherEnd: !place.isFirst || stretch.out.hasCarrier,
      };
      return line;
    }
    default:
      return { kind: 'unknown', label: network.label, isEmpty: network.kind === 'nothing' };
  }
}

/** What the process that is plugged into it knows of it. */
async function askedFacts(
  { to, mac, destination }: Stretch,
  network: NetworkFacts,
  { entry }: Place,
): Promise<PassageFacts> {
  const { link, process } = entry;
  const facts = await unlessGone(askPassage(process, { link, mac, destination }));
  if (facts === undefined) return { kind: 'unknown', label: network.label };
  return facts.kind === 'overlay' ? { ...facts, place: network.place, isOtherKnown: to !== undefined } : facts;
}

async function switchFacts(
  world: World,
  stretch: Stretch,
  { place: path }: NetworkFacts,
  place: Place,
): Promise<SwitchFacts> {
  const server = world.serverOf(path);
  const unknown = { kind: 'switch', path, isHub: false, hasVlans: false, stations: [] } as const;
  if (server === undefined) {
    const stranger = strangerAt(path, world.processes);
    return stranger === undefined ? unknown : { ...unknown, stranger };
  }
  const vlans = (await unlessGone(askVlans(server.process, path))) ?? [];
  const { from, out, to, mac } = stretch;
  const { entry, exit } = place;
  const macs = [mac, to?.into.mac].filter((each) => each !== undefined);
  const stations = server.status.stations.filter((station) => macs.includes(station.mac));
  const first = portOf(server, entry.process.pid, place.isFirst ? out.mac : undefined);
  const last = lastPort(server, { exit, to, stations, from });
  return {
    ...unknown,
    server: { name: server.process.name, pid: server.process.pid },
    isHub: server.status.isHub,
    ...separation(world, server),
    hasVlans: vlans.some(({ untaggedVlan, taggedVlans }) => untaggedVlan !== 0 || taggedVlans.length > 0),
    ...(first === undefined ? {} : { entry: portFacts(server, first, vlans, entry) }),
    ...(last === undefined ? {} : { exit: portFacts(server, last, vlans, exit) }),
    stations,
  };
}

/** What its host opened it as. */
function separation(world: World, { process, status }: Server): Pick<SwitchFacts, 'separates'> {
  const networks = world.hosts
    .filter((host) => host.process.pid === process.pid)
    .flatMap(({ facts }) => facts.interfaces.map(({ network }) => network));
  const own = networks.find((network) => network?.kind === 'switch' && network.place === status.path);
  const [, scheme] = /^(multi|bonding):\/\//.exec(own?.label ?? '') ?? [];
  return scheme === undefined ? {} : { separates: scheme };
}

type Port = SwitchStatus['ports'][number];

interface Leaving extends Pick<Stretch, 'to' | 'from'> {
  readonly exit: Visitor | undefined;
  readonly stations: readonly StationStatus[];
}

/** Where it leaves: by the next cable, at the next host's port, or where its station was heard. */
function lastPort(server: Server, { exit, to, stations }: Leaving): Port | undefined {
  if (exit !== undefined) return portOf(server, exit.process.pid);
  const own = to === undefined ? undefined : portOf(server, to.host.process.pid, to.into.mac);
  const [heard] = stations;
  return own ?? server.status.ports.find(({ number }) => number === heard?.port);
}

/** Whoever ends just now knows nothing more; the rest of the way can still be told. */
async function unlessGone<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof VdensError) return undefined;
    throw error;
  }
}

function portFacts(
  server: Server,
  { number, peer, link }: Port,
  vlans: readonly PortVlans[],
  visitor: Visitor | undefined,
): PortFacts {
  const found = vlans.find((candidate) => candidate.number === number);
  return {
    number,
    description: link.description,
    isCut: link.isCut,
    impairment: link.impairment,
    // A port without a client is the server's own.
    pid: peer === undefined ? server.process.pid : (peer.pid ?? 0),
    ...(visitor?.isCable === true ? { cablePid: visitor.process.pid } : {}),
    ...found,
  };
}

/** Both networks in the words of the cable's user. */
function cableFacts({ process, status, networks }: Cable, from: NetworkFacts, to: NetworkFacts): CableFacts {
  const endAt = (network: NetworkFacts): NetworkFacts =>
    networks.find(({ identity }) => identity === network.identity) ?? network;
  return {
    kind: 'cable',
    name: process.name,
    pid: process.pid,
    from: endAt(from).label,
    to: endAt(to).label,
    fromLayers: endAt(from).layers,
    toLayers: endAt(to).layers,
    isCut: status.links.some(({ isCut }) => isCut),
    impairment: [...new Set(status.links.flatMap(({ impairment }) => impairment))],
  };
}
