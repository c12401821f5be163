/** What follows from facts about the way of a frame: each sentence once, from facts that are made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKnownDrop, meaningOfDrop } from '../../../src/inventory/explain/drop-meanings.ts';
import { type Explanation, formatExplanation, type Step } from '../../../src/inventory/explain/explanation.ts';
import type {
  CableFacts,
  ExplainFacts,
  HostFacts,
  InterfaceFacts,
  LegFacts,
  NeighbourFacts,
  NetworkFacts,
  OverlayFacts,
  PortFacts,
  RouteFacts,
  SwitchFacts,
} from '../../../src/inventory/explain/facts.ts';
import { addressOf } from '../../../src/inventory/explain/gather.ts';
import { lossOf } from '../../../src/inventory/explain/impairment-sentences.ts';
import { pathBetween } from '../../../src/inventory/explain/network-path.ts';
import { explain } from '../../../src/inventory/explain/reasoning.ts';
import type { Cable } from '../../../src/inventory/explain/world.ts';
import { DROP_REASONS } from '../../../src/plugs/counters.ts';

const A_MAC = '02:00:00:00:00:0a';
const B_MAC = '02:00:00:00:00:0b';

function network(place: string, layers: readonly string[] = []): NetworkFacts {
  return { label: `switch://${place}`, kind: 'switch', identity: `switch ${place}`, layers, place };
}

const LAN = network('/tmp/lan');

function vde0(changes: Partial<InterfaceFacts> = {}): InterfaceFacts {
  return {
    name: 'vde0',
    mac: A_MAC,
    mtu: 1500,
    isUp: true,
    hasCarrier: true,
    addresses: ['10.0.0.1/24'],
    network: LAN,
    isCut: false,
    impairment: [],
    ...changes,
  };
}

function hostA(changes: Partial<InterfaceFacts> = {}): HostFacts {
  return { name: 'a', pid: 101, interfaces: [vde0(changes)] };
}

function hostB(changes: Partial<InterfaceFacts> = {}): HostFacts {
  return { name: 'b', pid: 102, interfaces: [vde0({ mac: B_MAC, addresses: ['10.0.0.2/24'], ...changes })] };
}

const ROUTE: Extract<RouteFacts, { kind: 'route' }> = {
  kind: 'route',
  interfaceName: 'vde0',
  isLocal: false,
  isForMany: false,
  source: '10.0.0.1',
};
const ANSWER: NeighbourFacts = {
  address: '10.0.0.2',
  isAsked: true,
  before: 'none',
  state: 'reachable',
  mac: B_MAC,
  waitedMs: 2,
};
const NO_ANSWER: NeighbourFacts = {
  address: '10.0.0.2',
  isAsked: true,
  before: 'none',
  state: 'incomplete',
  waitedMs: 1500,
};

function port(number: number, changes: Partial<PortFacts> = {}): PortFacts {
  return { number, pid: 100 + number, description: '', isCut: false, impairment: [], ...changes };
}

function segment(changes: Partial<SwitchFacts> = {}): SwitchFacts {
  return {
    kind: 'switch',
    path: '/tmp/lan',
    server: { name: 'b', pid: 102 },
    isHub: false,
    hasVlans: false,
    entry: port(2),
    exit: port(1),
    stations: [{ mac: B_MAC, vlan: 0, port: 1, ageSeconds: 3 }],
    ...changes,
  };
}

/** A switch that looks at tags, with the VLANs of its two ports. */
function managed(entry: Partial<PortFacts>, exit: Partial<PortFacts>): SwitchFacts {
  const none = { taggedVlans: [], blockedVlans: [] };
  return segment({ hasVlans: true, entry: port(2, { ...none, ...entry }), exit: port(1, { ...none, ...exit }) });
}

interface Changes {
  readonly a?: HostFacts;
  readonly b?: HostFacts;
  readonly leg?: Partial<LegFacts>;
  readonly back?: RouteFacts;
  readonly facts?: Partial<ExplainFacts>;
}

/** All is well between a and b, but for what is said. */
function explainLan({ a = hostA(), b = hostB(), leg = {}, back, facts = {} }: Changes = {}): Explanation {
  const only: LegFacts = {
    from: a,
    destination: '10.0.0.2',
    route: ROUTE,
    neighbour: ANSWER,
    to: { host: b, interfaceName: 'vde0' },
    passages: [segment()],
    drops: [],
    ...leg,
  };
  const route: RouteFacts = back ?? { ...ROUTE, source: '10.0.0.2' };
  const way = { destination: '10.0.0.2', legs: [only], back: { host: b, source: '10.0.0.1', route } };
  return explain({ a: 'a', b: 'b', from: a, target: b, isProbed: true, silent: [], ways: [way], ...facts });
}

function steps({ ways }: Explanation): readonly Step[] {
  return ways.flatMap((way) => way.steps);
}

function states(explanation: Explanation): string {
  return steps(explanation)
    .map(({ topic, state }) => `${topic} ${state}`)
    .join(', ');
}

/** It does not reach, for this reason, and this helps. */
function refuses(explanation: Explanation, reason: RegExp, remedy: RegExp): void {
  assert.equal(explanation.reaches, false, formatExplanation(explanation, { colour: false }));
  assert.match(explanation.verdict, /^a does not reach /);
  assert.match(explanation.verdict, reason);
  assert.match(explanation.verdict, remedy);
}

test('when all is well, the steps stand in the order of the way, and the verdict says so', () => {
  const explanation = explainLan();
  const order = 'address ok, route ok, interface ok, neighbour ok, network ok, arrival ok, return ok';
  assert.equal(states(explanation), order);
  assert.equal(explanation.verdict, 'a reaches b (10.0.0.2).');
  const texts = steps(explanation).map(({ text }) => text);
  assert.match(texts[3]!, /^10\.0\.0\.2 answers at 02:00:00:00:00:0b, after 2 ms$/);
  assert.match(texts[4]!, /served by b \(pid 102\); a is at port 2; b is at port 1; it heard .* at port 1 3 s ago/);
  assert.ok(steps(explanation).every(({ lookedAt }) => lookedAt !== ''));
});

test('without asking, it is said that nobody was asked', () => {
  const looked = { ...ANSWER, isAsked: false, state: 'stale' };
  const explanation = explainLan({ leg: { neighbour: looked }, facts: { isProbed: false } });
  assert.match(explanation.verdict, /^a should reach b \(10\.0\.0\.2\), as far as can be seen without asking\.$/);
  const nothing = { address: '10.0.0.2', isAsked: false, before: 'none', state: 'none', waitedMs: 0 };
  const unknown = explainLan({ leg: { neighbour: nothing }, facts: { isProbed: false } });
  assert.equal(unknown.reaches, true);
  assert.match(states(unknown), /neighbour unknown/);
});

test('no route: because there is no address, none of that network, or its interface is down', () => {
  const none: RouteFacts = { kind: 'none', errno: 'ENETUNREACH' };
  const legOf = (from: HostFacts): Partial<LegFacts> => ({ from, route: none, passages: [] });
  const bare = hostA({ addresses: [] });
  refuses(
    explainLan({ a: bare, leg: legOf(bare) }),
    /it has no IPv4 address/,
    /--address with an address of 10\.0\.0\.0\/24/,
  );
  const other = hostA({ addresses: ['10.9.0.1/24'] });
  refuses(explainLan({ a: other, leg: legOf(other) }), /none of its addresses \(10\.9\.0\.1\/24\)/, /--gateway/);
  const down = hostA({ isUp: false });
  refuses(explainLan({ a: down, leg: legOf(down) }), /vde0, which has 10\.0\.0\.1\/24, is down/, /ip link set vde0 up/);
  const refusing = (errno: string) => explainLan({ leg: { route: { kind: 'none', errno }, passages: [] } });
  refuses(refusing('EINVAL'), /a has a blackhole route for 10\.0\.0\.2/, /exec a ip route show type blackhole/);
  refuses(refusing('EHOSTUNREACH'), /a has an unreachable route/, /type unreachable/);
  refuses(refusing('EOPNOTSUPP'), /a route that refuses .* \(EOPNOTSUPP\)/, /exec a ip route\.$/);
});

test('an address that is A’s own: it is A that is meant, or two have it', () => {
  const local: RouteFacts = { ...ROUTE, isLocal: true };
  const itself = hostA({ addresses: ['10.0.0.2/24'] });
  const same = explainLan({ a: itself, b: itself, leg: { from: itself, route: local, passages: [] } });
  assert.match(steps(same)[1]!.text, /is an address of a itself$/);
  refuses(
    explainLan({ leg: { route: local, passages: [] } }),
    /packets for b, which has the same, never leave/,
    /another/,
  );
});

test('the interface: down, cut, without carrier, made worse on purpose', () => {
  const on = (changes: Partial<InterfaceFacts>): Explanation => {
    const from = hostA(changes);
    return explainLan({ a: from, leg: { from, neighbour: NO_ANSWER } });
  };
  refuses(on({ isUp: false }), /vde0 of a is down/, /vde exec a ip link set vde0 up/);
  refuses(on({ isCut: true, hasCarrier: false }), /vde0 of a was cut/, /vde join a:vde0/);
  refuses(on({ hasCarrier: false }), /no carrier: its network .* is away/, /vde switch \/tmp\/lan/);
  refuses(on({ impairment: ['loss=100%'] }), /loses every frame, on purpose/, /vde tc a:vde0 none/);
  const slow = explainLan({
    a: hostA({ impairment: ['delay=20'] }),
    leg: { from: hostA({ impairment: ['delay=20'] }) },
  });
  assert.equal(slow.reaches, true);
  assert.match(slow.verdict, /with one thing worth knowing/);
  assert.match(states(slow), /interface warning/);
  refuses(
    on({ impairment: ['delay=2000'] }),
    /within 1\.5 s; vde0 of a is made worse on purpose: delay=2000\. /,
    /vde tc a:vde0 none\.$/,
  );
});

test('what commands call an interface that was renamed, of one of several namespaces', () => {
  const from: HostFacts = {
    ...hostA({ isCut: true, link: 'tap0' }),
    name: 'lab:tap0',
    processName: 'lab',
  };
  refuses(explainLan({ a: from, leg: { from } }), /vde0 of lab:tap0 was cut/, /vde join lab:tap0\.$/);
});

test('ARP that is turned off, at A and at B; fixed entries do without', () => {
  const off = hostB({ isArpOff: true });
  const to = { host: off, interfaceName: 'vde0' };
  const deaf = explainLan({ b: off, leg: { to, neighbour: NO_ANSWER } });
  refuses(deaf, /vde0 of b has ARP turned off: it does not answer/, /vde exec b ip link set vde0 arp on\.$/);
  const fixed = explainLan({ b: off, leg: { to, neighbour: { ...ANSWER, state: 'permanent' } } });
  assert.match(fixed.verdict, /^a should reach b .*, as far as can be seen without asking\.$/);
  const from = hostA({ isArpOff: true });
  const own = { ...ANSWER, state: 'noarp', mac: A_MAC };
  const mute = explainLan({ a: from, leg: { from, neighbour: own } });
  refuses(mute, /vde0 of a has ARP turned off: it sends without asking/, /vde exec a ip link set vde0 arp on\.$/);
  assert.match(states(mute), /neighbour unknown/);
});

test('a fixed entry: of another station, and that it proves nothing', () => {
  const wrong = { ...ANSWER, state: 'permanent', mac: '02:00:00:00:00:0c' };
  refuses(
    explainLan({ leg: { neighbour: wrong } }),
    /a has a fixed entry for 10\.0\.0\.2, .*:0c, which is not b's/,
    /vde exec a ip neigh del 10\.0\.0\.2 dev vde0\.$/,
  );
  const right = { ...ANSWER, state: 'permanent' };
  const vlans = managed({ untaggedVlan: 1 }, { untaggedVlan: 2 });
  refuses(explainLan({ leg: { neighbour: right, passages: [vlans] } }), /belong to VLAN 1/, /setvlan/);
});

test('an address that stands for none, or for many', () => {
  const local: RouteFacts = { ...ROUTE, isLocal: true };
  const leg: LegFacts = { ...baseLeg(), destination: '0.0.0.0', route: local };
  const none = explain({ ...baseFacts(), b: '0.0.0.0', ways: [{ destination: '0.0.0.0', legs: [leg] }] });
  refuses(none, /0\.0\.0\.0 is the address of no host/, /Name the address/);
  for (const [station, whom] of [
    ['ff:ff:ff:ff:ff:ff', /stands for all stations$/],
    ['01:00:5e:00:00:01', /stands for a group of stations$/],
  ] as const) {
    const { exit: _, ...passage } = segment({ stations: [] });
    const all: LegFacts = { from: hostA(), interfaceName: 'vde0', station, passages: [passage], drops: [] };
    const many = explain({ ...baseFacts(), b: station, ways: [{ destination: station, legs: [all] }] });
    assert.equal(many.verdict, `a reaches ${station}.`);
    assert.match(steps(many)[0]!.text, whom);
    assert.match(steps(many)[2]!.text, /leave by vde0, for all of switch:/);
    assert.doesNotMatch(steps(many)[3]!.text, /not heard/);
  }
});

test('loss is read from the words in every form', () => {
  for (const [word, loss] of [
    ['loss=100%', 100],
    ['loss=RL5', 5],
    ['LR.loss=2.5%', 2.5],
    ['delay=100', 0],
    ['lossy=3', 0],
  ] as const) {
    assert.equal(lossOf([word]), loss, word);
  }
});

test('no answer alone is a symptom, and said so when nothing explains it', () => {
  const silent = explainLan({ leg: { neighbour: NO_ANSWER } });
  refuses(silent, /nobody answers for 10\.0\.0\.2 within 1\.5 s; nothing that could be asked says why/, /./);
  const nobody = explain({
    ...baseFacts(),
    ways: [
      {
        destination: '10.0.0.9',
        legs: [{ ...baseLeg(), destination: '10.0.0.9', neighbour: { ...NO_ANSWER, address: '10.0.0.9' } }],
      },
    ],
  });
  refuses(nobody, /no namespace of yours on its network has that address/, /./);
  assert.match(states(nobody), /^address unknown/);
});

function baseLeg(): LegFacts {
  return { from: hostA(), destination: '10.0.0.2', route: ROUTE, passages: [], drops: [] };
}

function baseFacts(): Omit<ExplainFacts, 'ways'> {
  return { a: 'a', b: '10.0.0.9', from: hostA(), isProbed: true, silent: [] };
}

test('somebody else answers: two have the address, or B is elsewhere', () => {
  const other = { ...ANSWER, mac: '02:00:00:00:00:0c' };
  refuses(
    explainLan({ leg: { neighbour: other } }),
    /:0c, which is not b's .* two stations have this address/,
    /another/,
  );
  const theirs = network('/tmp/other');
  const elsewhere = explainLan({
    b: hostB({ network: theirs }),
    leg: { neighbour: other, apart: { mine: LAN, theirs } },
  });
  refuses(elsewhere, /a is plugged into the switch \/tmp\/lan, and b into the switch \/tmp\/other/, /vde_plug/);
});

test('networks that nothing joins, and what is around them', () => {
  const theirs = network('/tmp/other');
  const apart = explainLan({ leg: { neighbour: NO_ANSWER, apart: { mine: LAN, theirs } } });
  refuses(apart, /no cable of yours joins the two/, /vde_plug 'switch:\/\/\/tmp\/lan' 'switch:\/\/\/tmp\/other'/);
  const tagged = hostB({ network: network('/tmp/lan', ['vlan://5']) });
  const layers = explainLan({ b: tagged, leg: { to: { host: tagged, interfaceName: 'vde0' }, neighbour: NO_ANSWER } });
  refuses(layers, /a has nothing around the network, and b has vlan:\/\/5/, /the same on both sides/);
  const both = { b: tagged, leg: { to: { host: tagged, interfaceName: 'vde0' }, neighbour: NO_ANSWER } };
  const elsewhere = explainLan({ ...both, leg: { ...both.leg, apart: { mine: LAN, theirs } } });
  refuses(elsewhere, /no cable of yours joins the two/, /vde_plug/);
  const [one, other] = [
    hostA({ network: network('/tmp/lan', ['agno:///a']) }),
    hostB({ network: network('/tmp/lan', ['agno:///b']) }),
  ];
  const keys = explainLan({ a: one, b: other, leg: { from: one, to: { host: other, interfaceName: 'vde0' } } });
  assert.match(steps(keys).find(({ state }) => state === 'warning')!.text, /these have to be the same key$/);
  const drops = [{ place: 'vde0 of b', before: {}, after: { undeciphered: 3 } }];
  const to = { host: other, interfaceName: 'vde0' };
  for (const seen of [drops, []]) {
    const closed = explainLan({ a: one, b: other, leg: { from: one, to, neighbour: NO_ANSWER, drops: seen } });
    refuses(closed, /these have to be the same key\. /, /Give both the same key\.$/);
  }
  const sorted = { ...segment(), hasVlans: true };
  const leg = { to: { host: tagged, interfaceName: 'vde0' }, neighbour: NO_ANSWER, passages: [sorted] };
  assert.match(states(explainLan({ b: tagged, leg })), /network ok, network unknown/);
});

test('what looks wrong on the way is only worth knowing when the neighbour answers', () => {
  const wrong = managed({ untaggedVlan: 1 }, { untaggedVlan: 2 });
  const explanation = explainLan({ leg: { passages: [wrong] } });
  assert.equal(explanation.reaches, true);
  assert.match(steps(explanation).find(({ state }) => state === 'warning')!.text, /; yet the neighbour answers$/);
});

test('VLANs: other ones, only with a tag, none without one, closed by the spanning tree', () => {
  const on = (facts: SwitchFacts): Explanation => explainLan({ leg: { passages: [facts], neighbour: NO_ANSWER } });
  refuses(
    on(managed({ untaggedVlan: 1 }, { untaggedVlan: 2 })),
    /VLAN 1 \(port 2\), and b is in VLAN 2 \(port 1\)/,
    /port\/setvlan 1 1/,
  );
  refuses(
    on(managed({ untaggedVlan: 1 }, { untaggedVlan: 2, taggedVlans: [1] })),
    /leaves port 1 with a tag/,
    /setvlan 1 1/,
  );
  refuses(on(managed({}, { untaggedVlan: 2 })), /port 2 takes none without one/, /port\/setvlan 2 VLAN/);
  const closed = { untaggedVlan: 1, blockedVlans: [1] };
  refuses(on(managed(closed, { untaggedVlan: 1 })), /keeps port 2 of a closed in VLAN 1/, /fstp\/print 1/);
  refuses(on(managed({ untaggedVlan: 1 }, closed)), /keeps port 1 of b closed in VLAN 1/, /fstp\/print 1/);
  refuses(on(managed({ untaggedVlan: 1 }, {})), /b is in no VLAN without a tag/, /setvlan 1 1/);
});

test('switches: nobody serves, a stranger, one who is stopped, a hub, ports that are cut', () => {
  const { server: _, ...unserved } = segment();
  const on = (facts: SwitchFacts): Explanation => explainLan({ leg: { passages: [facts], neighbour: NO_ANSWER } });
  refuses(on(unserved), /nobody serves \/tmp\/lan/, /vde switch \/tmp\/lan/);
  const original = { name: 'vde_switch', pid: 9, isOurs: false, isStopped: false };
  const foreign = explainLan({ leg: { passages: [{ ...unserved, stranger: original }] } });
  assert.equal(foreign.reaches, true);
  assert.match(steps(foreign)[4]!.text, /served by vde_switch \(pid 9\), which cannot be asked as ours can/);
  const theirs = { isOurs: false, isStopped: false, otherUid: 1234 };
  assert.match(steps(on({ ...unserved, stranger: theirs }))[4]!.text, /another user \(uid 1234\)/);
  refuses(
    on({ ...unserved, stranger: { ...original, isStopped: true } }),
    /which is stopped: no frame passes/,
    /kill -CONT 9/,
  );
  refuses(on({ ...unserved, stranger: { ...original, isOurs: true } }), /which does not answer/, /top -p 9/);
  refuses(
    on(segment({ entry: port(2, { isCut: true }) })),
    /port 2 of \/tmp\/lan, at which a is, was cut/,
    /vde join b:port2/,
  );
  const lossy = segment({ exit: port(1, { impairment: ['loss=100%'] }) });
  refuses(on(lossy), /at which b is loses every frame/, /vde tc b:port1 none/);
  const apart = segment({ separates: 'multi', entry: port(2, { pid: 106 }), exit: port(1, { pid: 107 }) });
  refuses(on(apart), /clients of multi:\/\/\/tmp\/lan exchange frames with b alone/, /switch:\/\/\/tmp\/lan/);
  const withHost = segment({ separates: 'multi', exit: port(1, { pid: 102 }) });
  assert.doesNotMatch(states(on(withHost)), /network problem/);
  assert.match(steps(on(segment({ isHub: true })))[4]!.text, /a hub gives every frame to every port/);
  assert.match(
    steps(on(segment({ stations: [] })))[4]!.text,
    /b is at port 1; it has not heard .*, so frames for it go to every port/,
  );
  const kept = segment({ entry: port(2, { owner: 'user 7', cablePid: 55 }) });
  assert.match(steps(on(kept))[4]!.text, /port 2 \(by the cable of process 55\), kept for user 7/);
});

test('networks over UDP: behind which endpoint, nothing heard, packets of others', () => {
  const overlay: OverlayFacts = {
    kind: 'overlay',
    label: 'vxvde://',
    place: 'vxvde, the usual group, port 14789, VNI 1',
    stationCount: 0,
    isOtherKnown: false,
    foreignPackets: 0,
  };
  const found = explainLan({ leg: { passages: [{ ...overlay, endpoint: '10.99.0.2:4000' }] } });
  assert.match(steps(found)[4]!.text, /b was heard behind 10\.99\.0\.2:4000/);
  const lost = explainLan({ leg: { passages: [overlay], neighbour: NO_ANSWER } });
  refuses(lost, /nothing was heard of b; nobody else was heard/, /same group, port and VNI/);
  const firewall = { ...overlay, isOtherKnown: true, stationCount: 2 };
  const between = explainLan({ leg: { passages: [firewall], neighbour: NO_ANSWER } });
  refuses(between, /2 other stations were heard; b is on it, so its packets are lost/, /nft list ruleset/);
  const foreign = explainLan({ leg: { passages: [{ ...overlay, endpoint: 'x:1', foreignPackets: 7 }] } });
  assert.match(states(foreign), /network warning/);
  assert.match(steps(foreign)[5]!.text, /7 packets of other networks .* another VNI/);
});

test('lines, cables, and what cannot be looked into', () => {
  const line = { kind: 'line', label: 'ptp:///tmp/l', hasOtherEnd: false } as const;
  refuses(explainLan({ leg: { passages: [line], neighbour: NO_ANSWER } }), /nobody is at the other end/, /vdens ptp/);
  const open = explainLan({ leg: { passages: [{ ...line, hasOtherEnd: true }] } });
  assert.match(steps(open)[4]!.text, /somebody is at its other end/);
  const none = { fromLayers: [], toLayers: [], impairment: [] };
  const cable: CableFacts = { kind: 'cable', name: 'plug-7', pid: 7, from: 'x', to: 'y', isCut: false, ...none };
  assert.match(steps(explainLan({ leg: { passages: [cable] } }))[4]!.text, /plug-7 \(pid 7\) carries it from x to y/);
  const cut = explainLan({ leg: { passages: [{ ...cable, isCut: true }], neighbour: NO_ANSWER } });
  refuses(cut, /the cable plug-7 \(pid 7\) from x to y was cut/, /vde join plug-7/);
  assert.doesNotMatch(JSON.stringify(cut), /carries it/);
  const unknown = explainLan({ leg: { passages: [{ kind: 'unknown', label: 'tap://tap3' }] } });
  assert.match(states(unknown), /network unknown/);
  const empty = { kind: 'unknown', label: 'null://', isEmpty: true } as const;
  const alone = explainLan({ leg: { passages: [empty], neighbour: NO_ANSWER } });
  refuses(alone, /null:\/\/ is a network with nobody else on it/, /switch:\/\//);
});

test('a cable takes away what it has around the one network, and puts on what it has around the other', () => {
  const [vlan5, vlan6, agno] = ['vlan://5', 'vlan://6', 'agno:///key'] as const;
  const other = network('/tmp/other');
  const verdict = (mine: string[], fromLayers: string[], toLayers: string[], theirs: string[]): string => {
    const [a, b] = [hostA({ network: { ...LAN, layers: mine } }), hostB({ network: { ...other, layers: theirs } })];
    const cable = { kind: 'cable', name: 'plug-7', pid: 7, from: 'x', to: 'y', isCut: false, impairment: [] } as const;
    const leg = { from: a, to: { host: b, interfaceName: 'vde0' }, neighbour: NO_ANSWER };
    return explainLan({ a, b, leg: { ...leg, passages: [{ ...cable, fromLayers, toLayers }] } }).verdict;
  };
  for (const [mine, fromLayers, toLayers, theirs] of [
    [[], [], [], []],
    [[vlan5], [], [], [vlan5]],
    [[vlan5], [vlan5], [], []],
    [[], [], [vlan5], [vlan5]],
    [[vlan5], [vlan5], [vlan6], [vlan6]],
    [[vlan5, agno], [agno], [], [vlan5]],
  ] as const)
    assert.match(
      verdict([...mine], [...fromLayers], [...toLayers], [...theirs]),
      /nothing that could be asked says why/,
      `${[mine, fromLayers, toLayers, theirs].join(' | ')}`,
    );
  assert.match(verdict([vlan5], [], [], []), /a has vlan:\/\/5 around the network, and b has nothing/);
  assert.match(verdict([], [], [vlan6], []), /the cable plug-7 has vlan:\/\/6 around the network, and b has nothing/);
  assert.match(verdict([vlan5], [vlan6], [], []), /a has vlan:\/\/5 around .* the cable plug-7 has vlan:\/\/6/);
  assert.match(verdict([], [vlan5], [], []), /a has nothing around .* the cable plug-7 has vlan:\/\/5/);
});

test('a gateway: this machine, the internet, and what it refuses', () => {
  const route: RouteFacts = { ...ROUTE, gateway: '10.0.2.2' };
  const on = (purpose: string, action: string): Explanation => {
    const rules = (['tcp', 'udp', 'echo'] as const).map((protocol) => ({ protocol, purpose, action }));
    const gateway = { kind: 'gateway', label: 'slirp://', addresses: ['10.0.2.2/24'], rules } as const;
    const leg: LegFacts = { ...baseLeg(), destination: '10.0.0.9', route, neighbour: ANSWER, passages: [gateway] };
    return explain({ ...baseFacts(), ways: [{ destination: '10.0.0.9', legs: [leg] }] });
  };
  assert.equal(on('host-loopback', 'translate').verdict, 'a reaches 10.0.0.9.');
  assert.match(on('way-out', 'pass').verdict, /^Packets of a for 10\.0\.0\.9 leave this machine; what becomes of them/);
  refuses(on('restricted', 'refuse'), /lets nothing out \(restricted\)/, /without restricted/);
  refuses(on('link-local', 'refuse'), /addresses of one link are not let out/, /vde forward/);
});

test('a name server that does not answer to ping is reached all the same', () => {
  const rules = [
    { protocol: 'tcp', purpose: 'name-server', action: 'translate' },
    { protocol: 'udp', purpose: 'name-server', action: 'translate' },
    { protocol: 'echo', purpose: 'name-server-ports', action: 'refuse' },
  ] as const;
  const gateway = { kind: 'gateway', label: 'slirp://', addresses: ['10.0.2.2/24'], rules } as const;
  const neighbour = { ...ANSWER, address: '10.0.2.3' };
  const leg: LegFacts = { ...baseLeg(), destination: '10.0.2.3', neighbour, passages: [gateway] };
  const explanation = explain({ ...baseFacts(), b: '10.0.2.3', ways: [{ destination: '10.0.2.3', legs: [leg] }] });
  assert.equal(explanation.verdict, 'a reaches 10.0.2.3, with one thing worth knowing above.');
  assert.match(states(explanation), /network ok, network warning$/);
});

test('B is not behind a gateway that answers in its place', () => {
  const rules = [{ protocol: 'tcp', purpose: 'way-out', action: 'pass' }] as const;
  const gateway = { kind: 'gateway', label: 'slirp://', addresses: ['10.0.2.2/24'], rules } as const;
  const mine: NetworkFacts = {
    label: 'slirp://',
    kind: 'gateway',
    identity: 'gateway of 1',
    layers: [],
    place: 'slirp://',
  };
  const leg = baseLeg();
  const explanation = explain({
    ...baseFacts(),
    b: 'b',
    target: hostB(),
    ways: [
      {
        destination: '10.0.0.2',
        legs: [{ ...leg, neighbour: ANSWER, passages: [gateway], apart: { mine, theirs: LAN } }],
      },
    ],
  });
  refuses(explanation, /a is plugged into slirp:\/\/, and 10\.0\.0\.2 into the switch \/tmp\/lan/, /one network/);
});

test('drops: what rose while it was looked, what was before, and what is no sign of trouble', () => {
  const drop = (before: Record<string, number>, after: Record<string, number>) => ({
    drops: [{ place: 'port 3 of /tmp/lan', before, after }],
  });
  const rising = explainLan({ leg: { ...drop({ 'foreign-vlan': 1 }, { 'foreign-vlan': 3 }), neighbour: NO_ANSWER } });
  refuses(
    rising,
    /port 3 of \/tmp\/lan dropped 2 frames while it was looked: foreign-vlan, they belong to a VLAN/,
    /./,
  );
  const harmless = explainLan({ leg: drop({}, { echo: 5 }) });
  assert.match(states(harmless), /drops ok/);
  const earlier = explainLan({ leg: drop({ down: 3 }, { down: 3 }) });
  assert.match(steps(earlier).find(({ topic }) => topic === 'drops')!.text, /earlier: port 3 of \/tmp\/lan down 3$/);
  const lossy = explainLan({ leg: drop({}, { 'queue-full': 1 }) });
  assert.equal(lossy.reaches, true);
  assert.match(states(lossy), /drops warning/);
});

test('every reason for a drop has its meaning', () => {
  for (const reason of DROP_REASONS) assert.ok(isKnownDrop(reason), `${reason} has no meaning in drop-meanings.ts`);
  assert.equal(meaningOfDrop('of-tomorrow'), 'of-tomorrow');
});

test('a router of ours: what it hands on, and an MTU that is too small behind it', () => {
  const r: HostFacts = {
    name: 'r',
    pid: 103,
    interfaces: [vde0({ mac: B_MAC, mtu: 1400, addresses: ['10.0.0.254/24'] })],
  };
  const first: LegFacts = {
    ...baseLeg(),
    route: { ...ROUTE, gateway: '10.0.0.254' },
    neighbour: ANSWER,
    to: { host: r, interfaceName: 'vde0' },
    passages: [],
  };
  const way = (isForwarding: boolean) => ({ destination: '10.2.0.7', legs: [{ ...first, isForwarding }] });
  const facts = { ...baseFacts(), b: '10.2.0.7' };
  const closed = explain({ ...facts, ways: [way(false)] });
  refuses(closed, /r is the router, and hands no packets of others on/, /vde exec r sysctl -w net\.ipv4\.ip_forward=1/);
  assert.match(states(closed), /interface warning/);
  assert.equal(explain({ ...facts, ways: [way(true)] }).reaches, true);
  const down: HostFacts = { ...r, interfaces: r.interfaces.map((each) => ({ ...each, isUp: false })) };
  const lost = { ...first, neighbour: NO_ANSWER, to: { host: down, interfaceName: 'vde0' } };
  const unheard = explain({ ...facts, ways: [{ destination: '10.2.0.7', legs: [lost] }] });
  refuses(unheard, /vde0 of r is down/, /vde exec r ip link set vde0 up/);
});

test('the way back: none, through a router, to itself', () => {
  const none = explainLan({ back: { kind: 'none', errno: 'ENETUNREACH' } });
  refuses(
    none,
    /a frame arrives at 10\.0\.0\.2, but the answer does not come back: b has no route to 10\.0\.0\.1/,
    /--gateway/,
  );
  assert.deepEqual([none.ways[0]!.arrives, none.ways[0]!.reaches], [true, false]);
  const routed = explainLan({ back: { ...ROUTE, gateway: '10.0.0.254' } });
  assert.match(steps(routed).at(-1)!.text, /through the router 10\.0\.0\.254$/);
  refuses(explainLan({ back: { ...ROUTE, isLocal: true } }), /b has the address 10\.0\.0\.1 itself/, /another/);
});

test('the interface of B: down, cut', () => {
  for (const [changes, reason, remedy] of [
    [{ isUp: false }, /vde0 of b is down/, /vde exec b ip link set vde0 up/],
    [{ isCut: true }, /vde0 of b was cut/, /vde join b:vde0/],
  ] as const) {
    const b = hostB(changes);
    refuses(explainLan({ b, leg: { to: { host: b, interfaceName: 'vde0' }, neighbour: NO_ANSWER } }), reason, remedy);
  }
});

test('who does not answer is named, and whether it is stopped', () => {
  const silent = { name: 'b', pid: 102, isStopped: true };
  const stopped = explain({ ...baseFacts(), b: 'b', target: silent, ways: [] });
  refuses(stopped, /b \(pid 102\) is stopped/, /kill -CONT 102/);
  const busy = explain({ ...baseFacts(), from: { name: 'a', pid: 101, isStopped: false }, ways: [] });
  refuses(busy, /a \(pid 101\) does not answer/, /top -p 101/);
  const other = explain({ ...baseFacts(), silent: ['w2'], ways: [{ destination: '10.0.0.9', legs: [baseLeg()] }] });
  assert.match(steps(other)[0]!.text, /\(w2 cannot be asked\)$/);
});

test('a MAC address that is nobody’s: heard on the way, or by nobody', () => {
  const leg = (stations: SwitchFacts['stations']): LegFacts => ({
    from: hostA(),
    interfaceName: 'vde0',
    station: B_MAC,
    passages: [segment({ stations })],
    drops: [],
  });
  const on = (stations: SwitchFacts['stations']): Explanation =>
    explain({ ...baseFacts(), b: B_MAC, ways: [{ destination: B_MAC, legs: [leg(stations)] }] });
  assert.equal(on(segment().stations).reaches, true);
  refuses(on([]), /nothing that a is plugged into has heard of 02:00:00:00:00:0b/, /./);
});

test('two families: one that gets there is enough, and the other is told', () => {
  const leg = baseLeg();
  const good = { destination: '10.0.0.2', legs: [{ ...leg, neighbour: ANSWER }] };
  const bad = {
    destination: 'fd00::2',
    legs: [{ ...leg, destination: 'fd00::2', route: { kind: 'none', errno: 'ENETUNREACH' } as const }],
  };
  const b = hostB({ addresses: ['10.0.0.2/24', 'fd00::2/64'] });
  const explanation = explain({ ...baseFacts(), b: 'b', target: b, ways: [good, bad] });
  assert.equal(explanation.reaches, true);
  assert.match(
    explanation.verdict,
    /^a reaches b \(10\.0\.0\.2\); but not fd00::2: a has no route to fd00::2: it has no IPv6 address/,
  );
  const text = formatExplanation(explanation, { colour: false });
  assert.match(text, /^From a to 10\.0\.0\.2:\nok {2}address/);
  assert.match(text, /^From a to fd00::2:$/m);
  assert.equal(text.split('\n').at(-1), explanation.verdict);
  const without = explain({ ...baseFacts(), b: 'b', target: hostB({ addresses: [] }), ways: [] });
  refuses(without, /b has no address that could be asked about/, /--address/);
});

test('colours are for terminals', () => {
  const explanation = explainLan();
  assert.ok(formatExplanation(explanation, { colour: true }).includes('\x1b['));
  assert.ok(!formatExplanation(explanation, { colour: false }).includes('\x1b['));
});

test('what B is: a MAC address, an IP address in any form, or a name', () => {
  assert.deepEqual(addressOf('02-00-00-00-00-0B'), { kind: 'mac', mac: B_MAC });
  assert.deepEqual(addressOf('fd00:0::1'), { kind: 'ip', address: 'fd00::1' });
  assert.deepEqual(addressOf('10.0.0.1'), { kind: 'ip', address: '10.0.0.1' });
  assert.equal(addressOf('web'), undefined);
  assert.equal(addressOf('4711'), undefined);
  assert.throws(() => addressOf('10.0.0.300'), { code: 'ERR_ADDRESS' }, 'no name of anything');
});

test('the way from network to network is the shortest by cables, and ends where there are none', () => {
  const cable = (pid: number, ...places: readonly string[]): Cable =>
    ({ process: { pid }, networks: places.map((place) => ({ ...network(place), link: place })) }) as unknown as Cable;
  const cables = [
    cable(1, '/a', '/b'),
    cable(2, '/b', '/c'),
    cable(3, '/c', '/a'),
    cable(4, '/c', '/d'),
    cable(5, '/x', '/y'),
  ];
  const pids = (to: string): readonly (number | undefined)[] | undefined =>
    pathBetween(network('/a'), network(to), cables)?.map((step) => step.cable?.process.pid);
  assert.deepEqual(pids('/a'), [undefined]);
  assert.deepEqual(pids('/d'), [undefined, 3, 4]);
  assert.equal(pids('/y'), undefined);
});
