/**
 * From facts to sentences: does a frame from A reach B? Pure; facts.ts says what is known, gather.ts asks for it.
 *
 * Steps stand in the order in which the frame takes them. What is wrong is found at the first of them that is in the
 * way; that a neighbour does not answer is a symptom, for which the steps that follow may have the reason. When it
 * does answer, what looked wrong on the way was not: those steps are worth knowing, no more.
 */
import { meaningOfDrop } from './drop-meanings.ts';
import type { Explanation, Step, Way } from './explanation.ts';
import {
  type ExplainFacts,
  type HostFacts,
  type InterfaceFacts,
  isSameHost,
  isSilent,
  type LegFacts,
  type SilentFacts,
  type WayFacts,
} from './facts.ts';
import {
  arpSteps,
  backStep,
  holderOf,
  interfaceOf,
  interfaceSteps,
  isNeighbourKnown,
  isSetByHand,
  isStationOf,
  neighbourStep,
  routeStep,
} from './host-sentences.ts';
import { apartSteps, isGroup, passageSteps } from './passage-sentences.ts';
import { risenDrops } from './risen-drops.ts';

const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** What the facts say. */
export function explain(facts: ExplainFacts): Explanation {
  const { a, b, isProbed, from, target } = facts;
  const silent = [from, target].filter(isSilent);
  if (silent.length > 0) return explainSilence(facts, silent);
  const ways = facts.ways.map((way) => explainWay(facts, way));
  const reaches = ways.some((way) => way.reaches);
  return { a, b, isProbed, reaches, ways, verdict: verdictOf(facts, ways) };
}

/** Its process moves the frames; while that stands still, so do they. */
function explainSilence({ a, b, isProbed }: ExplainFacts, silent: readonly SilentFacts[]): Explanation {
  const steps = silent.map(silenceStep);
  const [first] = steps;
  const verdict = `${a} does not reach ${b}: ${first!.text}. ${first!.remedy}.`;
  return { a, b, isProbed, reaches: false, ways: [{ destination: b, arrives: false, reaches: false, steps }], verdict };
}

function silenceStep({ name, pid, isStopped }: SilentFacts): Step {
  const lookedAt = `process ${pid}`;
  const at = { topic: 'interface', state: 'problem', lookedAt } as const;
  const what = isStopped ? 'is stopped' : 'does not answer';
  const text = `${name} (pid ${pid}) ${what}, and with it whatever it moves`;
  return { ...at, text, remedy: isStopped ? `Let it go on: kill -CONT ${pid}` : `See what it does: top -p ${pid}` };
}

function explainWay(facts: ExplainFacts, way: WayFacts): Way {
  const { destination, legs, back } = way;
  const target = isSilent(facts.target) ? undefined : facts.target;
  const legSteps = legs.map((leg) => [...explainLeg(leg, destination, target), ...nextHostSteps(leg, target)]);
  const arrival = arrivalSteps(way, target);
  const backSteps = back === undefined ? [] : [backStep(back)];
  const there = [...addressSteps(facts, way, target), ...legSteps.flat(), ...arrival];
  const arrives = there.every(({ state }) => state !== 'problem');
  const reaches = arrives && backSteps.every(({ state }) => state !== 'problem');
  return { destination, arrives, reaches, steps: [...there, ...backSteps] };
}

function isMacAddress(text: string): boolean {
  return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text);
}

/** Step 1: which address of B, and who has it. */
function addressSteps(facts: ExplainFacts, { destination }: WayFacts, target: HostFacts | undefined): Step[] {
  const at = { topic: 'address', state: 'ok' } as const;
  if (isMacAddress(destination) && isGroup(destination)) {
    const whom = destination === BROADCAST ? 'all stations' : 'a group of stations';
    return [{ ...at, text: `${destination} stands for ${whom}`, lookedAt: 'its lowest bits' }];
  }
  if (target === undefined) {
    const others = facts.silent.length === 0 ? '' : ` (${facts.silent.join(', ')} cannot be asked)`;
    const text = `${destination} is the address of no namespace of yours${others}`;
    return [{ ...at, state: 'unknown', text, lookedAt: 'namespaces of this user' }];
  }
  const holder = holderOf(target, destination);
  const lookedAt = `addresses of ${target.name}`;
  if (holder === undefined) {
    const stations = target.interfaces.filter(({ mac }) => mac === destination);
    const text =
      stations.length > 0
        ? `${destination} is ${stations[0]!.name} of ${target.name}`
        : `${target.name} has no address`;
    const isFound = stations.length > 0;
    return [{ ...at, ...(isFound ? {} : { state: 'problem', remedy: 'Give it one: --address CIDR' }), text, lookedAt }];
  }
  const isNamed = facts.b !== destination;
  const text = `${target.name} has ${destination} on ${holder.name}${isNamed ? ', which is asked about' : ''}`;
  return [{ ...at, text, lookedAt }];
}

/** Steps 2 to 6 between one host and the next. */
function explainLeg(leg: LegFacts, destination: string, target: HostFacts | undefined): Step[] {
  const { from, route, neighbour } = leg;
  if (route === undefined) return explainStation(leg);
  const first = routeStep(from, leg.destination ?? destination, route, target);
  if (route.kind === 'none' || route.isLocal || first.state === 'problem') return [first];
  const out = interfaceOf(from, route.interfaceName);
  const atInterface = out === undefined ? [] : [...interfaceSteps(from, out, false), ...arpSteps(from, out, leg)];
  const isAsked = neighbour?.isAsked === true;
  const answered = hasAnswered(leg);
  const passage = passageSteps(leg).map((step) => (answered ? disproved(step) : step));
  // A router that answers says nothing of B, which is not behind it.
  const apart = apartSteps(leg).map((step) => (answered && leg.to !== undefined ? disproved(step) : step));
  return [
    first,
    ...atInterface,
    ...(neighbour === undefined ? [] : [neighbourStep(leg, neighbour)]),
    ...passage,
    ...apart,
    ...dropSteps(leg, isAsked && !answered && !isSetByHand(neighbour)),
  ];
}

/** Whether it is shown that frames get there and back. */
function hasAnswered({ neighbour, to }: LegFacts): boolean {
  if (neighbour?.isAsked !== true || isSetByHand(neighbour)) return false;
  return isNeighbourKnown(neighbour) && isStationOf(to?.host, neighbour);
}

/** To a MAC address, of which nobody can be asked: whether anything on the way has heard it. */
function explainStation(leg: LegFacts): Step[] {
  const { from, interfaceName = '', station, passages } = leg;
  const out = interfaceOf(from, interfaceName);
  const atInterface = out === undefined ? [] : interfaceSteps(from, out, false);
  const isHeard = passages.some((passage) => {
    if (passage.kind === 'switch') return passage.stations.some(({ mac }) => mac === station);
    return passage.kind === 'overlay' && passage.endpoint !== undefined;
  });
  const network = out?.network?.label ?? interfaceName;
  const at = { topic: 'neighbour', lookedAt: `stations of ${network}` } as const;
  if (station !== undefined && isGroup(station)) {
    const text = `frames for ${station} leave by ${interfaceName}, for all of ${network}`;
    return [...atInterface, { ...at, state: 'ok', text }, ...passageSteps(leg), ...dropSteps(leg, false)];
  }
  const heard: Step = isHeard
    ? { ...at, state: 'ok', text: `${station} was heard there` }
    : { ...at, state: 'problem', text: `nothing that ${from.name} is plugged into has heard of ${station}` };
  return [...atInterface, heard, ...passageSteps(leg), ...dropSteps(leg, false)];
}

/** The neighbour has answered, so it is not in the way; a gateway's rules are about what comes after. */
function disproved(step: Step): Step {
  if (step.state !== 'problem' || step.lookedAt.startsWith('rules of ')) return step;
  const { remedy: _, ...rest } = step;
  return { ...rest, state: 'warning', text: `${step.text}; yet the neighbour answers` };
}

/** What leaves should fit what comes after; a router has to get it, and to hand on what is not its own. */
function nextHostSteps(leg: LegFacts, target: HostFacts | undefined): Step[] {
  const { from, to, route } = leg;
  if (to === undefined || route?.kind !== 'route') return [];
  const [out, into] = [interfaceOf(from, route.interfaceName), interfaceOf(to.host, to.interfaceName)];
  const atRouter = into === undefined || isSameHost(to.host, target) ? [] : routerSteps(leg, to.host, into);
  const mtu = out === undefined || into === undefined ? [] : mtuSteps(from, out, to.host, into);
  return [...atRouter, ...mtu, ...(route.gateway === undefined ? [] : forwardingSteps(leg, to.host, route.gateway))];
}

/** What is wrong with the interface of a router. */
function routerSteps(leg: LegFacts, router: HostFacts, into: InterfaceFacts): Step[] {
  const steps = [...interfaceSteps(router, into, true), ...arpSteps(router, into, leg)];
  const noted = steps.filter(({ state }) => state !== 'ok');
  return hasAnswered(leg) ? noted.map(disproved) : noted;
}

function mtuSteps(from: HostFacts, out: InterfaceFacts, to: HostFacts, into: InterfaceFacts): Step[] {
  if (out.mtu <= into.mtu) return [];
  const text = `${out.name} of ${from.name} sends packets of up to ${out.mtu} bytes, and ${into.name} of ${to.name} takes ${into.mtu}: longer ones are lost`;
  const remedy = `Give both the same: --mtu ${into.mtu}`;
  return [{ topic: 'interface', state: 'warning', text, lookedAt: 'MTU of both', remedy }];
}

function forwardingSteps({ isForwarding }: LegFacts, router: HostFacts, gateway: string): Step[] {
  if (isForwarding === undefined) return [];
  const at = { topic: 'forwarding', lookedAt: `settings of ${router.name}` } as const;
  if (isForwarding) return [{ ...at, state: 'ok', text: `${router.name} hands packets of others on` }];
  const setting = gateway.includes(':') ? 'net.ipv6.conf.all.forwarding' : 'net.ipv4.ip_forward';
  const text = `${router.name} is the router, and hands no packets of others on`;
  const remedy = `Have it do so: vde exec ${router.name} sysctl -w ${setting}=1`;
  return [{ ...at, state: 'problem', text, remedy }];
}

/** Step 6: what was dropped on the way, and why. */
function dropSteps(leg: LegFacts, isLost: boolean): Step[] {
  const { drops } = leg;
  if (drops.length === 0) return [];
  const lookedAt = `counters of ${drops.map(({ place }) => place).join(', ')}`;
  const rising = risenDrops(leg);
  if (rising.length > 0) {
    return rising.map(({ place, reason, frames }) => {
      const text = `${place} dropped ${countFrames(frames)} while it was looked: ${reason}, ${meaningOfDrop(reason)}`;
      const at = { topic: 'drops', lookedAt: `counters of ${place}` } as const;
      return isLost ? { ...at, state: 'problem', text, isSymptom: true } : { ...at, state: 'warning', text };
    });
  }
  const earlier = drops.flatMap(({ place, after }) => {
    return Object.entries(after).map(([reason, frames]) => `${place} ${reason} ${frames}`);
  });
  const text = earlier.length === 0 ? 'nothing was dropped' : `nothing was dropped now; earlier: ${earlier.join(', ')}`;
  return [{ topic: 'drops', state: 'ok', text, lookedAt }];
}

function countFrames(frames: number): string {
  return frames === 1 ? '1 frame' : `${frames} frames`;
}

/** Step 7: whether B's own interface takes it. */
function arrivalSteps({ destination, legs }: WayFacts, target: HostFacts | undefined): Step[] {
  const last = legs.at(-1);
  if (target === undefined || last === undefined) return [];
  const isHere = last.route === undefined || (last.route.kind === 'route' && !last.route.isLocal);
  if (!isHere || (last.to !== undefined && !isSameHost(last.to.host, target))) return [];
  const name = last.to?.interfaceName;
  const into = name === undefined ? holderOf(target, destination) : interfaceOf(target, name);
  return into === undefined ? [] : [...interfaceSteps(target, into, true), ...arpSteps(target, into, last)];
}

function verdictOf({ a, b, isProbed, from, ...facts }: ExplainFacts, ways: readonly Way[]): string {
  if (ways.length === 0) {
    const name = isSilent(from) ? a : from.name;
    return `${name} does not reach ${b}: ${b} has no address that could be asked about. Give it one: --address CIDR.`;
  }
  const good = ways.filter(({ reaches }) => reaches);
  const bad = ways.filter(({ reaches }) => !reaches);
  const named = (list: readonly Way[]): string => {
    const others = list.map(({ destination }) => destination).filter((destination) => destination !== b);
    return others.length === 0 ? b : `${b} (${others.join(', ')})`;
  };
  if (good.length === 0) return `${a} does not reach ${named(bad.slice(0, 1))}: ${reasonOf(bad[0]!)}`;
  const warnings = good[0]!.steps.filter(({ state }) => state === 'warning').length;
  const but = warnings === 0 ? '' : `, with ${warnings === 1 ? 'one thing' : `${warnings} things`} worth knowing above`;
  // Who is found by a fixed entry has not answered.
  const isSeenOnly = facts.ways.some(({ legs }) => legs.some(({ neighbour }) => isSetByHand(neighbour)));
  const yes =
    isProbed && !isSeenOnly
      ? `${a} reaches ${named(good)}${but}`
      : `${a} should reach ${named(good)}${but}, as far as can be seen without asking`;
  if (good[0]!.steps.some(({ isOutOfSight = false }) => isOutOfSight)) {
    return `Packets of ${a} for ${named(good)} leave this machine${but}; what becomes of them there is not known here.`;
  }
  if (bad.length === 0) return `${yes}.`;
  return `${yes}; but not ${bad[0]!.destination}: ${reasonOf(bad[0]!)}`;
}

/** The first thing in the way, and what to do; of a symptom, only when nothing explains it. */
function reasonOf({ steps, arrives, destination }: Way): string {
  const problems = steps.filter(({ state }) => state === 'problem');
  // Of symptoms, a drop says more than that nobody answers, and comes after it.
  const found = problems.find(({ isSymptom = false }) => !isSymptom) ?? problems.at(-1);
  if (found === undefined) return 'it could not be found out why.';
  const arrived = arrives ? `a frame arrives at ${destination}, but ` : '';
  const causes = found.isSymptom === true ? steps.filter(({ mayBeCause = false }) => mayBeCause) : [];
  const isUnexplained = found.topic === 'neighbour' && found.isSymptom === true && causes.length === 0;
  const why = isUnexplained ? ['nothing that could be asked says why'] : causes.map(({ text }) => text);
  const advice = found.remedy ?? causes[0]?.remedy;
  const remedy = advice === undefined ? '' : ` ${advice.replace(/(?<![.?])$/, '.')}`;
  return `${arrived}${[found.text, ...why].join('; ')}.${remedy}`;
}
