/**
 * Finds out what `vde explain A B` is about: asks the processes on the way, in the order of the way.
 */
import { quote, VdensError } from '../../errors.ts';
import { formatIp, isLinkLocalIp, isLoopbackIp, isUnspecifiedIp, parseIp } from '../../net/ip.ts';
import { formatMac, parseMac } from '../../net/mac.ts';
import { type LinkStatus, linksOf } from '../status.ts';
import { askForwarding, askNeighbour, askNeighbours, askRoute } from './ask.ts';
import {
  type BackFacts,
  type DropFacts,
  type ExplainFacts,
  type InterfaceFacts,
  isSameHost,
  type LegFacts,
  type NeighbourFacts,
  type PassageFacts,
  type SwitchFacts,
  type WayFacts,
} from './facts.ts';
import { holderOf, interfaceOf } from './host-sentences.ts';
import { lossOf } from './impairment-sentences.ts';
import { pathBetween } from './network-path.ts';
import { passagesOf, type Stretch } from './passages.ts';
import { dropsOf, type Host, type RunningProcess, silentFacts, World } from './world.ts';

/** Routers in a row; more are taken for a circle. */
const MAX_LEGS = 8;
/** How long a neighbour may take to answer, in milliseconds: it is asked twice in that time. */
const NEIGHBOUR_MS = 1500;
/** The same where frames are lost or delayed on purpose: it is asked three times, and then given up. */
const IMPAIRED_NEIGHBOUR_MS = 3500;
/** The same where it is known already what is in the way: only somebody else would answer. */
const HOPELESS_NEIGHBOUR_MS = 300;

/** A process that was named, and which of its interfaces, when that was said. */
export interface AskedProcess {
  readonly process: RunningProcess;
  readonly link?: string | undefined;
}

/** What is asked. */
export interface Question {
  /** As it was typed. */
  readonly a: string;
  readonly b: string;
  readonly from: AskedProcess;
  readonly target:
    | ({ readonly kind: 'process' } & AskedProcess)
    | { readonly kind: 'ip'; readonly address: string }
    | { readonly kind: 'mac'; readonly mac: string };
  /** Whether neighbours are asked for. */
  readonly isProbed: boolean;
  /** All that runs, A and B among them. */
  readonly processes: readonly RunningProcess[];
  /** Looks at it again. */
  look(): Promise<readonly RunningProcess[]>;
}

/**
 * What B is, as it was typed; `undefined` for the name of something that runs.
 *
 * @throws VdensError `ERR_ADDRESS` when it can only be meant as an address, and is none
 */
export function addressOf(word: string): Question['target'] | undefined {
  const mac = attempt(() => formatMac(parseMac(word)));
  if (mac !== undefined) return { kind: 'mac', mac };
  const read = (): string => formatIp(parseIp(word));
  const address = /^\d+(\.\d+){3}$/.test(word) ? read() : attempt(read);
  return address === undefined ? undefined : { kind: 'ip', address };
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * Asks everybody.
 *
 * @throws VdensError `ERR_USAGE` when A, or B, runs no namespace
 */
export async function gatherFacts(question: Question): Promise<ExplainFacts> {
  const { a, b, target, isProbed } = question;
  const from = question.from.process;
  const silentTarget = target.kind === 'process' && target.process.status === undefined ? target.process : undefined;
  if (from.status === undefined || silentTarget !== undefined) {
    // Who is silent is all that matters.
    const silent = from.status === undefined ? from : silentTarget!;
    const facts = silentFacts(silent);
    const both = from.status === undefined && silentTarget !== undefined && silentTarget.pid !== from.pid;
    return {
      a,
      b,
      isProbed,
      ways: [],
      silent: [],
      from: facts,
      ...(both ? { target: silentFacts(silentTarget) } : {}),
    };
  }
  const gatherer = new Gatherer(question, await World.look(question.processes));
  return gatherer.gather();
}

class Gatherer {
  readonly #question: Question;
  #world: World;

  constructor(question: Question, world: World) {
    this.#question = question;
    this.#world = world;
  }

  async gather(): Promise<ExplainFacts> {
    const { a, b, isProbed, target } = this.#question;
    const from = this.#requireHost(this.#question.from, a);
    const targetHost = this.#findTarget();
    const ways: WayFacts[] = [];
    const destinations = await this.#destinations(from, targetHost);
    for (const destination of destinations) ways.push(await this.#way(from, targetHost, destination));
    if (destinations.length === 0 && target.kind === 'mac') ways.push(await this.#wayToStation(from, target.mac));
    const found = this.#named(targetHost, ways);
    const { silent } = this.#world;
    return { a, b, from: from.facts, silent, isProbed, ways, ...(found === undefined ? {} : { target: found.facts }) };
  }

  /** @throws VdensError `ERR_USAGE` when there is none, or it could be several */
  #requireHost({ process, link }: AskedProcess, word: string): Host {
    const all = this.#world.hostsOf(process);
    const [host, other] =
      link === undefined
        ? all
        : all.filter(({ facts: { interfaces } }) => interfaces.some((each) => isCalled(each, link)));
    if (host !== undefined && (other === undefined || link !== undefined)) return host;
    if (host !== undefined) {
      const message = `${word} has ${all.length} namespaces. Say which by an interface, as in ${host.facts.name}`;
      throw new VdensError('ERR_USAGE', message, { value: word });
    }
    if (link !== undefined && all.length > 0) {
      const names = all.flatMap(({ facts: { interfaces } }) => interfaces.map(({ name }) => name)).join(', ');
      const message = `${word}: ${process.name} has no interface ${quote(link)}; there are ${names}`;
      throw new VdensError('ERR_USAGE', message, { value: word });
    }
    const what = process.status?.items.map(({ kind }) => kind).join(', ') ?? '';
    const message = `${word} is no namespace${what === '' ? '' : ` (${what})`}. Name one of those in: vde ls namespaces`;
    throw new VdensError('ERR_USAGE', message, { value: word });
  }

  #findTarget(): Host | undefined {
    const { b, target } = this.#question;
    if (target.kind === 'process') return this.#requireHost(target, b);
    if (target.kind === 'ip') return undefined;
    return this.#world.hosts.find(({ facts }) => facts.interfaces.some(({ mac }) => mac === target.mac));
  }

  /** The host that is B in the end: the one that was named, or who has the address that was. */
  #named(target: Host | undefined, ways: readonly WayFacts[]): Host | undefined {
    if (target !== undefined) return target;
    const [way] = ways;
    if (way === undefined) return undefined;
    const { destination, legs } = way;
    const holders = this.#world.hosts.filter(({ facts }) => holderOf(facts, destination) !== undefined);
    const last = legs.at(-1)?.to?.host;
    // Without a way there, only who alone has that address can be meant.
    return holders.find(({ facts }) => isSameHost(facts, last)) ?? (holders.length === 1 ? holders[0] : undefined);
  }

  /** Which addresses of B are asked about: of each family one, that A has a route to if there is such. */
  async #destinations(from: Host, target: Host | undefined): Promise<string[]> {
    const { target: asked } = this.#question;
    if (asked.kind === 'ip') return [asked.address];
    if (target === undefined) return this.#addressesOfStation(from);
    const all = candidates(target, (each) => {
      if (asked.kind === 'mac') return each.mac === asked.mac;
      return asked.link === undefined || isCalled(each, asked.link);
    });
    const families = [false, true].map((isIpv6) => all.filter((address) => address.includes(':') === isIpv6));
    const chosen: string[] = [];
    for (const addresses of families) {
      const best = await this.#best(from, addresses);
      if (best !== undefined) chosen.push(best);
    }
    // A family that A has nothing of is not what is meant, as long as there is another.
    const own = candidates(from, () => true);
    const common = chosen.filter((address) => own.some((each) => each.includes(':') === address.includes(':')));
    return common.length > 0 ? common : chosen.slice(0, 1);
  }

  /** What A's kernel remembers of a MAC address that is nobody's who can be asked. */
  async #addressesOfStation(from: Host): Promise<string[]> {
    const { target } = this.#question;
    if (target.kind !== 'mac') return [];
    const known = (await askNeighbours(from.process)).find(({ mac }) => mac === target.mac);
    return known === undefined ? [] : [known.address];
  }

  async #best(from: Host, addresses: readonly string[]): Promise<string | undefined> {
    let routed: string | undefined;
    for (const address of addresses) {
      if (this.#deviceFor(from, address) !== undefined) return address;
      const route = await askRoute(from.process, address);
      if (route.kind === 'none') continue;
      if (route.gateway === undefined) return address;
      routed ??= address;
    }
    return routed ?? addresses[0];
  }

  async #way(from: Host, target: Host | undefined, destination: string): Promise<WayFacts> {
    const legs: LegFacts[] = [];
    let host = from;
    for (let count = 0; count < MAX_LEGS; count++) {
      const { leg, next } = await this.#leg(host, target, destination);
      legs.push(leg);
      if (next === undefined || leg.isForwarding === false) break;
      host = next;
    }
    const back = await this.#back(from, legs, destination);
    return { destination, legs, ...(back === undefined ? {} : { back }) };
  }

  /** From a host to the next; `next` is a router of which the way goes on. */
  async #leg(
    from: Host,
    target: Host | undefined,
    destination: string,
  ): Promise<{ readonly leg: LegFacts; readonly next?: Host }> {
    const route = await askRoute(from.process, destination, this.#deviceFor(from, destination));
    const facts = { from: from.facts, destination, route, passages: [], drops: [] } as const;
    if (route.kind === 'none' || route.isLocal || isUnspecifiedIp(parseIp(destination))) return { leg: facts };
    const out = interfaceOf(from.facts, route.interfaceName);
    if (out === undefined) return { leg: facts };
    const address = route.gateway ?? destination;
    const owner = this.#ownerOf(address, out, target);
    const to = owner === undefined ? undefined : { host: owner.host.facts, interfaceName: owner.into.name };
    const before = this.#world;
    const neighbour = route.isForMany ? undefined : await this.#neighbour(from, out, address, owner?.into);
    if (neighbour?.isAsked === true) this.#world = await World.look(await this.#question.look());
    const stretch: Stretch = { from, out, to: owner, mac: neighbour?.mac, destination };
    const { passages, apart } = await passagesOf(this.#world, stretch);
    const beyond = apart ?? this.#beyond(out, passages, target, destination);
    const isRouter = owner !== undefined && holderOf(owner.host.facts, destination) === undefined;
    const isForwarding = isRouter ? await askForwarding(owner.host.process, destination) : undefined;
    const leg: LegFacts = {
      ...facts,
      passages,
      drops: this.#drops(before, stretch, passages),
      ...(neighbour === undefined ? {} : { neighbour }),
      ...(to === undefined ? {} : { to }),
      ...(beyond === undefined ? {} : { apart: beyond }),
      ...(isForwarding === undefined ? {} : { isForwarding }),
    };
    return isRouter ? { leg, next: owner.host } : { leg };
  }

  /** What is for a host of ours does not leave by a gateway to the internet. */
  #beyond(
    { network }: InterfaceFacts,
    passages: readonly PassageFacts[],
    target: Host | undefined,
    destination: string,
  ): LegFacts['apart'] {
    const theirs = target === undefined ? undefined : holderOf(target.facts, destination)?.network;
    const isGateway = passages.some(({ kind }) => kind === 'gateway');
    return isGateway && network !== undefined && theirs !== undefined ? { mine: network, theirs } : undefined;
  }

  /** Who has an address, of those on the same network, or B; the same address may be in use on many networks. */
  #ownerOf(
    address: string,
    out: InterfaceFacts,
    target: Host | undefined,
  ): { readonly host: Host; readonly into: InterfaceFacts } | undefined {
    const owners = this.#world.hosts.flatMap((host) => {
      const into = holderOf(host.facts, address);
      return into === undefined ? [] : [{ host, into }];
    });
    const named = owners.find(({ host }) => isSameHost(host.facts, target?.facts));
    if (named !== undefined) return named;
    const joined = owners.find(({ into }) => this.#areJoined(out, into) === true);
    if (joined !== undefined) return joined;
    const isAsked = this.#question.target.kind === 'ip' && this.#question.target.address === address;
    return isAsked && owners.length === 1 ? owners[0] : undefined;
  }

  /** The interface that leads to an address of one link, which the routing table cannot tell; of others `undefined`. */
  #deviceFor({ facts: { interfaces } }: Host, address: string): string | undefined {
    if (!isLinkLocalIp(parseIp(address))) return undefined;
    const holders = this.#world.hosts.flatMap(({ facts }) => holderOf(facts, address) ?? []);
    return interfaces.find((out) => holders.some((into) => this.#areJoined(out, into) === true))?.name;
  }

  /** Whether cables join the networks of both, or they are one; `undefined` when one of them is unknown. */
  #areJoined({ network: mine }: InterfaceFacts, { network: theirs }: InterfaceFacts): boolean | undefined {
    if (mine === undefined || theirs === undefined) return undefined;
    return pathBetween(mine, theirs, this.#world.cables) !== undefined;
  }

  async #neighbour(
    from: Host,
    out: InterfaceFacts,
    address: string,
    into: InterfaceFacts | undefined,
  ): Promise<NeighbourFacts | undefined> {
    const isOpen = out.isUp && out.hasCarrier && !out.isCut;
    if (!isOpen) return undefined;
    const isImpaired = this.#world.processes.some(({ status }) =>
      status?.items.some((item) => linksOf(item).some(({ impairment }) => impairment.length > 0)),
    );
    const isHopeless = [out, into].some((end) => end !== undefined && isDeaf(end));
    const timeoutMs = isHopeless ? HOPELESS_NEIGHBOUR_MS : isImpaired ? IMPAIRED_NEIGHBOUR_MS : NEIGHBOUR_MS;
    return askNeighbour(from.process, { interface: out.name, address, ask: this.#question.isProbed, timeoutMs });
  }

  /** What was dropped at each place on the way, before and after. */
  #drops(before: World, { from, out, to }: Stretch, passages: readonly PassageFacts[]): DropFacts[] {
    const places: { place: string; find: (world: World) => LinkStatus | undefined }[] = [
      { place: `${out.name} of ${from.facts.name}`, find: (world) => linkOf(world.hostOf(from.facts), out.name) },
      ...passages.flatMap((passage) => placesIn(passage)),
    ];
    if (to !== undefined) {
      const { host, into } = to;
      places.push({
        place: `${into.name} of ${host.facts.name}`,
        find: (world) => linkOf(world.hostOf(host.facts), into.name),
      });
    }
    return places.flatMap(({ place, find }) => {
      const [one, other] = [find(before), find(this.#world)];
      return one === undefined || other === undefined ? [] : [{ place, before: dropsOf(one), after: dropsOf(other) }];
    });
  }

  async #back(from: Host, legs: readonly LegFacts[], destination: string): Promise<BackFacts | undefined> {
    const last = legs.at(-1);
    const first = legs[0]?.route;
    if (last?.to === undefined || first?.kind !== 'route' || first.source === undefined) return undefined;
    const host = this.#world.hostOf(last.to.host);
    if (host === undefined || holderOf(host.facts, destination) === undefined) return undefined;
    if (isSameHost(host.facts, from.facts)) return undefined;
    const { source } = first;
    const device = isLinkLocalIp(parseIp(source)) ? last.to.interfaceName : undefined;
    return { host: host.facts, source, route: await askRoute(host.process, source, device) };
  }

  /** To a MAC address: the interface of A on whose network it was heard, or the first. */
  async #wayToStation(from: Host, mac: string): Promise<WayFacts> {
    const legs: LegFacts[] = [];
    for (const out of from.facts.interfaces) {
      if (out.network === undefined) continue;
      const stretch: Stretch = { from, out, to: undefined, mac, destination: undefined };
      const { passages } = await passagesOf(this.#world, stretch);
      const leg: LegFacts = { from: from.facts, interfaceName: out.name, station: mac, passages, drops: [] };
      const isHeard = passages.some(
        (passage) =>
          (passage.kind === 'switch' && passage.stations.length > 0) ||
          (passage.kind === 'overlay' && passage.endpoint !== undefined),
      );
      if (isHeard) return { destination: mac, legs: [leg] };
      legs.push(leg);
    }
    return { destination: mac, legs: legs.slice(0, 1) };
  }
}

/** Nothing that is sent to it, or by it, gets there. */
function isDeaf({ isUp, isCut, isArpOff = false, impairment }: InterfaceFacts): boolean {
  return !isUp || isCut || isArpOff || lossOf(impairment) >= 100;
}

/** Whether a word means this interface: its name, or what `vde join` calls it. */
function isCalled({ name, link = name }: InterfaceFacts, word: string): boolean {
  return word === name || word === link;
}

/** The addresses of a host at which others find it, IPv4 first; those of one link when there are no others. */
function candidates({ facts }: Host, isMeant: (each: InterfaceFacts) => boolean): string[] {
  const all = facts.interfaces
    .filter(isMeant)
    .flatMap(({ addresses }) => addresses.map((prefix) => prefix.split('/')[0]!))
    .filter((address) => !isLoopbackIp(parseIp(address)));
  const wide = all.filter((address) => !isLinkLocalIp(parseIp(address)));
  return wide.length > 0 ? wide : all;
}

function linkOf(host: Host | undefined, name: string): LinkStatus | undefined {
  return host?.status.interfaces.find((each) => each.name === name)?.link;
}

/** Where frames can be dropped in a passage. */
function placesIn(passage: PassageFacts): { place: string; find: (world: World) => LinkStatus | undefined }[] {
  if (passage.kind === 'cable') {
    const links = (world: World) => world.cables.find(({ process }) => process.pid === passage.pid)?.status.links ?? [];
    return ['left', 'right'].map((id) => ({
      place: `the ${id} end of ${passage.name}`,
      find: (world) => links(world).find((link) => link.id === id),
    }));
  }
  if (passage.kind !== 'switch') return [];
  const { path }: SwitchFacts = passage;
  const ports = [passage.entry, passage.exit].filter((port) => port !== undefined);
  return ports.map(({ number }) => ({
    place: `port ${number} of ${path}`,
    find: (world) => world.serverOf(path)?.status.ports.find((port) => port.number === number)?.link,
  }));
}
