/** Sentences about what is between two hosts: switches, overlays, lines, gateways, cables. */
import { isMulticastMac, parseMac } from '../../net/mac.ts';
import type { Step } from './explanation.ts';
import type {
  CableFacts,
  GatewayFacts,
  GatewayRuleFacts,
  LegFacts,
  LineFacts,
  NetworkFacts,
  OverlayFacts,
  PassageFacts,
  PortFacts,
  StrangerFacts,
  SwitchFacts,
} from './facts.ts';
import { interfaceOf, isNeighbourKnown } from './host-sentences.ts';
import { impairmentStep } from './impairment-sentences.ts';
import { risenDrops } from './risen-drops.ts';

/** Step 5: what the frame meets between one host and the next. */
export function passageSteps(leg: LegFacts): Step[] {
  const steps = leg.passages.flatMap((passage) => stepsOf(leg, passage));
  return [...layerSteps(leg), ...steps];
}

/** That the two are on networks that nothing joins. */
export function apartSteps(leg: LegFacts): Step[] {
  return leg.apart === undefined ? [] : [apartStep(leg, leg.apart)];
}

function stepsOf(leg: LegFacts, passage: PassageFacts): Step[] {
  switch (passage.kind) {
    case 'switch':
      return switchSteps(leg, passage);
    case 'overlay':
      return [overlayStep(leg, passage), ...foreignSteps(passage)];
    case 'line':
      return [lineStep(passage)];
    case 'gateway':
      return gatewaySteps(leg, passage);
    case 'cable':
      return cableSteps(passage);
    case 'unknown': {
      if (passage.isEmpty === true) return [emptyStep(passage.label)];
      const text = `what is behind ${passage.label} cannot be asked: that the neighbour answers is all there is to know`;
      return [{ topic: 'network', state: 'unknown', text, lookedAt: passage.label }];
    }
  }
}

function emptyStep(label: string): Step {
  const text = `${label} is a network with nobody else on it`;
  return {
    topic: 'network',
    state: 'problem',
    text,
    lookedAt: label,
    remedy: 'Use one with others: switch:///tmp/lan',
  };
}

/** Who the next host is, in a word. */
function nextOf({ to, neighbour, destination, station }: LegFacts): string {
  return to?.host.name ?? neighbour?.address ?? destination ?? station ?? 'the other';
}

function switchSteps(leg: LegFacts, facts: SwitchFacts): Step[] {
  const { path, server, stranger, isHub, entry, exit } = facts;
  const what = isHub ? 'hub' : 'switch';
  const lookedAt = server === undefined ? `socket ${path}/ctl` : `process ${server.pid}`;
  const at = { topic: 'network', lookedAt } as const;
  if (server === undefined && stranger === undefined) {
    return [{ ...at, state: 'problem', text: `nobody serves ${path}`, remedy: `Serve it: vde switch ${path}` }];
  }
  if (server === undefined) return [{ ...at, ...strangerSentence(path, stranger!) }];
  const served = `the ${what} ${path} is served by ${server.name} (pid ${server.pid})`;
  const next = nextOf(leg);
  const places = [placeAt(leg.from.name, entry), placeAt(next, exit), heardText(leg, facts)];
  const text = [served, ...places.filter((place) => place !== undefined)].join('; ');
  const problems = separationSteps(facts).concat(
    vlanSteps(leg, facts),
    portSteps(facts, leg.from.name, entry),
    portSteps(facts, next, exit),
  );
  return [{ ...at, state: 'ok', text }, ...problems];
}

/** Of whoever serves a switch, and does not say how. */
function strangerSentence(path: string, stranger: StrangerFacts): Pick<Step, 'state' | 'text' | 'remedy'> {
  const { name, pid, isOurs, isStopped, otherUid } = stranger;
  if (otherUid !== undefined) {
    const text = `the switch ${path} is served by another user (uid ${otherUid}), whom only that user can ask; whether the neighbour answers is all there is to know`;
    return { state: 'unknown', text };
  }
  const served = `the switch ${path} is served by ${name ?? 'a process'} (pid ${pid})`;
  if (isStopped) {
    const text = `${served}, which is stopped: no frame passes`;
    return { state: 'problem', text, remedy: `Let it go on: kill -CONT ${pid}` };
  }
  if (isOurs)
    return { state: 'problem', text: `${served}, which does not answer`, remedy: `See what it does: top -p ${pid}` };
  const text = `${served}, which cannot be asked as ours can; whether the neighbour answers is all there is to know`;
  return { state: 'unknown', text };
}

function placeAt(who: string, port: PortFacts | undefined): string | undefined {
  if (port === undefined) return undefined;
  const through = port.cablePid === undefined ? '' : ` (by the cable of process ${port.cablePid})`;
  const vlans = vlansText(port);
  const owner = port.owner === undefined ? '' : `, kept for ${port.owner}`;
  return `${who} is at port ${port.number}${through}${vlans === '' ? '' : `, ${vlans}`}${owner}`;
}

function vlansText({ untaggedVlan, taggedVlans }: PortFacts): string {
  if (taggedVlans === undefined) return '';
  const plain = untaggedVlan === undefined ? 'in no VLAN without a tag' : `in VLAN ${untaggedVlan}`;
  return taggedVlans.length === 0 ? plain : `${plain}, with a tag in ${taggedVlans.join(', ')}`;
}

function heardText(leg: LegFacts, { stations, isHub }: SwitchFacts): string | undefined {
  if (isHub) return 'a hub gives every frame to every port';
  const mac = stationOf(leg);
  if (mac === undefined || isGroup(mac)) return undefined;
  const found = stations.filter((station) => station.mac === mac);
  if (found.length === 0) return `it has not heard ${mac} yet, so frames for it go to every port`;
  const places = found.map(({ port, vlan, ageSeconds }) => {
    const when = ageSeconds < 1 ? 'just now' : `${Math.round(ageSeconds)} s ago`;
    return `at port ${port}${vlan === 0 ? '' : ` in VLAN ${vlan}`} ${when}`;
  });
  return `it heard ${mac} ${places.join(' and ')}`;
}

/** Whether a MAC address stands for many stations. */
export function isGroup(mac: string): boolean {
  return isMulticastMac(parseMac(mac));
}

/** The MAC address that the frame goes to. */
function stationOf({ to, neighbour, station }: LegFacts): string | undefined {
  return station ?? neighbour?.mac ?? (to === undefined ? undefined : interfaceOf(to.host, to.interfaceName)?.mac);
}

/** Clients of `multi://` and `bonding://` exchange frames with whoever opened it, not with each other. */
function separationSteps({ path, server, separates, entry, exit }: SwitchFacts): Step[] {
  const isHost = [entry, exit].some((port) => port === undefined || port.pid === server?.pid);
  if (separates === undefined || isHost) return [];
  const text = `clients of ${separates}://${path} exchange frames with ${server?.name} alone, and not with each other`;
  const remedy = `Let all reach all: open it with switch://${path}`;
  return [{ topic: 'network', state: 'problem', text, lookedAt: `network of ${server?.name}`, remedy }];
}

/** Whether the switch lets a frame from the one port out at the other (IEEE 802.1Q, 8.6). */
function vlanSteps(leg: LegFacts, { path, server, hasVlans, entry, exit }: SwitchFacts): Step[] {
  if (!hasVlans || entry === undefined) return [];
  const at = { topic: 'network', state: 'problem', lookedAt: `VLANs of ${path}` } as const;
  const from = leg.from.name;
  const next = nextOf(leg);
  const mgmt = `at the console of ${server?.name ?? path}`;
  if (layersOf(leg).mine.length > 0 || layersOf(leg).theirs.length > 0) {
    const text = `frames come with tags of ${[...layersOf(leg).mine, ...layersOf(leg).theirs].join(', ')}, which the switch sorts by itself`;
    return [{ ...at, state: 'unknown', text }];
  }
  const vlan = entry.untaggedVlan;
  if (vlan === undefined) {
    const text = `frames of ${from} have no tag, and port ${entry.number} takes none without one`;
    return [{ ...at, text, remedy: `Put it into a VLAN, ${mgmt}: port/setvlan ${entry.number} VLAN` }];
  }
  if (entry.blockedVlans?.includes(vlan)) return [blockedStep(at, entry, from, vlan)];
  if (exit === undefined) return [];
  if (exit.untaggedVlan !== vlan && exit.taggedVlans?.includes(vlan)) {
    const text = `frames of ${from} belong to VLAN ${vlan}, which leaves port ${exit.number} with a tag that ${next} does not expect`;
    return [
      { ...at, text, remedy: `Give it VLAN ${vlan} without a tag, ${mgmt}: port/setvlan ${exit.number} ${vlan}` },
    ];
  }
  if (exit.untaggedVlan !== vlan) {
    const other = exit.untaggedVlan === undefined ? 'in no VLAN without a tag' : `in VLAN ${exit.untaggedVlan}`;
    const text = `frames of ${from} belong to VLAN ${vlan} (port ${entry.number}), and ${next} is ${other} (port ${exit.number})`;
    return [{ ...at, text, remedy: `Put both into one VLAN, ${mgmt}: port/setvlan ${exit.number} ${vlan}` }];
  }
  return exit.blockedVlans?.includes(vlan) ? [blockedStep(at, exit, next, vlan)] : [];
}

function blockedStep(at: Pick<Step, 'topic' | 'state' | 'lookedAt'>, port: PortFacts, who: string, vlan: number): Step {
  const text = `the spanning tree keeps port ${port.number} of ${who} closed in VLAN ${vlan}: frames would go round in circles, or it is not sure yet`;
  return { ...at, text, remedy: `Look again in 30 s; then see the tree at the console: fstp/print ${vlan}` };
}

function portSteps({ path, server }: SwitchFacts, who: string, port: PortFacts | undefined): Step[] {
  if (port === undefined) return [];
  const place = `port ${port.number} of ${path}, at which ${who} is,`;
  const name = `${server?.name ?? path}:port${port.number}`;
  const at = { topic: 'network', lookedAt: `port ${port.number} of ${path}` } as const;
  const cut: Step = { ...at, state: 'problem', text: `${place} was cut`, remedy: `Put it back: vde join ${name}` };
  const impaired = impairmentStep(place.slice(0, -1), name, port.impairment, at);
  return [...(port.isCut ? [cut] : []), ...(impaired === undefined ? [] : [impaired])];
}

function overlayStep(leg: LegFacts, facts: OverlayFacts): Step {
  const { label, place, endpoint, stationCount, isOtherKnown } = facts;
  const at = { topic: 'network', lookedAt: `stations of ${label}` } as const;
  const next = nextOf(leg);
  if (endpoint !== undefined) {
    return { ...at, state: 'ok', text: `on ${label} (${place}), ${next} was heard behind ${endpoint}` };
  }
  const some = stationCount === 1 ? 'one other station was heard' : `${stationCount} other stations were heard`;
  const others = stationCount === 0 ? 'nobody else was heard' : some;
  if (leg.station !== undefined && isGroup(leg.station)) {
    return { ...at, state: 'ok', text: `it is for all of ${label} (${place}); ${others}` };
  }
  const text = `on ${label} (${place}), nothing was heard of ${next}; ${others}`;
  const hasAnswered = leg.neighbour !== undefined && leg.neighbour.state === 'reachable';
  // That they are on two networks is said elsewhere.
  if (hasAnswered || leg.neighbour?.isAsked !== true || leg.apart !== undefined)
    return { ...at, state: 'unknown', text };
  const remedy = isOtherKnown
    ? 'Look at what is between them: firewalls (nft list ruleset), multicast (name the hosts: /peer=HOST)'
    : `Is ${next} on the same one, with the same group, port and VNI? Do firewalls let its packets in?`;
  return {
    ...at,
    state: 'problem',
    text: isOtherKnown ? `${text}; ${next} is on it, so its packets are lost between the hosts` : text,
    remedy,
  };
}

function foreignSteps({ label, foreignPackets }: OverlayFacts): Step[] {
  if (foreignPackets === 0) return [];
  const text = `${foreignPackets} packets of other networks came to ${label}: somebody is on it with another VNI`;
  const lookedAt = `counter foreign-vni of ${label}`;
  return [{ topic: 'network', state: 'warning', text, lookedAt, remedy: 'Give all the same: /vni=N' }];
}

function lineStep({ label, hasOtherEnd }: LineFacts): Step {
  const at = { topic: 'network', lookedAt: label } as const;
  if (hasOtherEnd) return { ...at, state: 'ok', text: `${label} is a line, and somebody is at its other end` };
  return {
    ...at,
    state: 'problem',
    text: `nobody is at the other end of ${label}`,
    remedy: `Plug somebody in: vdens ${label}`,
  };
}

function cableSteps({ name, pid, from, to, isCut, impairment }: CableFacts): Step[] {
  const at = { topic: 'network', lookedAt: `process ${pid}` } as const;
  const cable = `the cable ${name} (pid ${pid})`;
  const way = `from ${from} to ${to}`;
  if (isCut) {
    const text = `${cable} ${way} was cut`;
    return [{ ...at, state: 'problem', text, remedy: `Put it back: vde join ${name}` }];
  }
  const impaired = impairmentStep(`the cable ${name}`, name, impairment, at);
  return [{ ...at, state: 'ok', text: `${cable} carries it ${way}` }, ...(impaired === undefined ? [] : [impaired])];
}

/** What a rule of a gateway means for whoever sends there, by its purpose and what it does. */
const RULES: Readonly<Record<string, string>> = {
  'host-loopback translate': 'that is this machine: connections go to its loopback interface',
  'host-loopback refuse': 'that is the gateway itself, and it does not lead to this machine',
  'name-server translate': 'that is the name server: port 53 leads to the resolver of this machine',
  'name-server-ports translate': 'that is the name server, and its other ports lead to the resolver, too',
  'name-server-ports refuse': 'that is the name server, and it has no other ports',
  'guests refuse': 'that is an address in the network of the guests, and the gateway is not in charge of them',
  'guests drop': 'that stands for all guests, and the gateway hands nothing on to them',
  'link-local refuse': 'addresses of one link are not let out',
  'not-forwarded drop': 'no router hands on packets for that address',
  'restricted refuse': 'the gateway lets nothing out (restricted)',
  'way-out pass': 'it leaves this machine as it is; what becomes of it there is not known here',
};

function gatewaySteps(leg: LegFacts, { label, addresses, rules }: GatewayFacts): Step[] {
  const { destination = '' } = leg;
  const at = { topic: 'network', lookedAt: `rules of ${label}` } as const;
  const where = addresses.join(', ');
  const isAsked = leg.route?.kind === 'route' && leg.route.gateway === undefined;
  if (rules.length === 0 || (isAsked && leg.neighbour !== undefined && !isNeighbourKnown(leg.neighbour))) {
    return [{ ...at, state: 'ok', text: `the gateway ${label} (${where}) answers for its own addresses alone` }];
  }
  const groups = groupRules(rules);
  const leadsSomewhere = [...groups.values()].some(({ isOpen }) => isOpen);
  return [...groups].map(([meaning, { protocols, isOpen }]) => {
    const some = protocols.length === 3 ? '' : ` (${protocols.join(', ')})`;
    const text = `the gateway ${label} (${where}) gets what is for ${destination}${some}: ${meaning}`;
    if (meaning === RULES['way-out pass']) return { ...at, state: 'unknown', text, isOutOfSight: true };
    if (isOpen) return { ...at, state: 'ok', text };
    if (leadsSomewhere) return { ...at, state: 'warning', text };
    return { ...at, state: 'problem', text, remedy: remedyOfGateway(meaning, label) };
  });
}

interface RuleGroup {
  readonly protocols: string[];
  readonly isOpen: boolean;
}

/** The protocols to which the same happens, together. */
function groupRules(rules: readonly GatewayRuleFacts[]): Map<string, RuleGroup> {
  const groups = new Map<string, RuleGroup>();
  for (const { protocol, purpose, action, to } of rules) {
    const known = RULES[`${purpose} ${action}`] ?? `${purpose}: ${action}`;
    const meaning = to === undefined ? known : `${known} (${to})`;
    const group = groups.get(meaning) ?? { protocols: [], isOpen: action !== 'refuse' && action !== 'drop' };
    group.protocols.push(protocol === 'echo' ? 'ping' : protocol.toUpperCase());
    groups.set(meaning, group);
  }
  return groups;
}

function remedyOfGateway(meaning: string, label: string): string {
  if (meaning.includes('restricted')) return `Open it without restricted: ${label}`;
  return 'Use an address beyond the gateway; forwards lead from this machine to guests: vde forward';
}

/** What is around a network, on either side of it. */
function layersOf({ from, route, to }: LegFacts): {
  readonly mine: readonly string[];
  readonly theirs: readonly string[];
} {
  const mine = route?.kind === 'route' ? interfaceOf(from, route.interfaceName)?.network : undefined;
  const theirs = to === undefined ? undefined : interfaceOf(to.host, to.interfaceName)?.network;
  return { mine: mine?.layers ?? [], theirs: theirs?.layers ?? mine?.layers ?? [] };
}

/** What frames have around them, and what somebody on the way has around the network that they come by. */
interface Meeting {
  readonly layers: readonly string[];
  /** Who has put it there last. */
  readonly by: string;
  readonly who: string;
  readonly whose: readonly string[];
}

/** Frames and the cables on their way, and whoever they are for: each cable changes what is around them. */
function meetingsOf(leg: LegFacts): Meeting[] {
  const { to } = leg;
  const into = to === undefined ? undefined : interfaceOf(to.host, to.interfaceName)?.network;
  const meetings: Meeting[] = [];
  let by = leg.from.name;
  let layers = layersOf(leg).mine;
  for (const passage of leg.passages) {
    if (passage.kind !== 'cable') continue;
    const { name, fromLayers, toLayers } = passage;
    // What it does not look at passes.
    const rest = layers.slice(0, Math.max(0, layers.length - fromLayers.length));
    const cable = `the cable ${name}`;
    meetings.push({ layers: layers.slice(rest.length), by, who: cable, whose: fromLayers });
    layers = [...rest, ...toLayers];
    if (fromLayers.length + toLayers.length > 0) by = cable;
  }
  return into === undefined ? meetings : [...meetings, { layers, by, who: nextOf(leg), whose: into.layers }];
}

/** Who frames come to has to have the same around the network, or does not understand what is sent. */
function layerSteps(leg: LegFacts): Step[] {
  // That the two are not joined is said elsewhere.
  if (leg.apart !== undefined) return [];
  const unlike = meetingsOf(leg).find(({ layers, whose }) => layers.join() !== whose.join());
  if (unlike === undefined) return [];
  const { layers: mine, by, who, whose: theirs } = unlike;
  const isSwitchToTag = leg.passages.some((passage) => passage.kind === 'switch' && passage.hasVlans);
  const areTags = [...mine, ...theirs].every((layer) => layer.startsWith('vlan:'));
  // A switch that looks at tags puts them on and takes them off.
  if (isSwitchToTag && areTags) return [];
  const shown = (layers: readonly string[]): string => (layers.length === 0 ? 'nothing' : layers.join(' in '));
  const lookedAt = 'networks of both';
  const both = `${by} has ${shown(mine)} around the network, and ${who} has ${shown(theirs)}`;
  if (withoutKeys(mine) === withoutKeys(theirs)) {
    // Copies of a key are the same key.
    const remedy = 'Give both the same key';
    const text = `${both}: these have to be the same key`;
    const state = risenDrops(leg).some(({ reason }) => reason === 'undeciphered') ? 'problem' : 'warning';
    return [{ topic: 'network', state, text, lookedAt, remedy, mayBeCause: true }];
  }
  const text = `${both}: neither understands the other`;
  return [{ topic: 'network', state: 'problem', text, lookedAt, remedy: 'Open it with the same on both sides' }];
}

function withoutKeys(layers: readonly string[]): string {
  return layers.map((layer) => layer.replace(/^agno:.*/, 'agno:')).join();
}

function apartStep(leg: LegFacts, { mine, theirs }: NonNullable<LegFacts['apart']>): Step {
  const other = leg.to?.host.name ?? leg.destination;
  const text = `${leg.from.name} is plugged into ${nameOf(mine)}, and ${other} into ${nameOf(theirs)}; no cable of yours joins the two`;
  const remedy = `Plug both into one network${isJoinable(mine) && isJoinable(theirs) ? `, or join them: vde_plug '${mine.label}' '${theirs.label}'` : ''}`;
  return { topic: 'network', state: 'problem', text, lookedAt: 'networks of both', remedy };
}

function nameOf({ label, place, kind }: NetworkFacts): string {
  if (kind === 'switch') return `the switch ${place}`;
  if (kind === 'overlay') return `${label} (${place})`;
  return label;
}

function isJoinable({ kind }: NetworkFacts): boolean {
  return kind === 'switch' || kind === 'overlay';
}
