/** The spanning tree: single bridges against what originals answer, and networks in simulated time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseMac } from '../../../src/net/mac.ts';
import { SpanningTree, type TreeEvent } from '../../../src/switch/spanning-tree/spanning-tree.ts';
import { type Bpdu, emitBpdu, parseBpdu } from '../../../src/wire/bpdu.ts';
import { OriginalBridge } from '../../fixtures/original-bridge.ts';
import { TestClock } from '../../fixtures/test-clock.ts';
import { type Bridge, type LinkQuality, TreeNetwork, type TreeNode, VLAN } from '../../fixtures/tree-network.ts';

/** After it, everything is as it stays; when a bridge was not told that another one is gone; when it was. */
const SETTLED_MS = 20_000;
const SILENCE_MS = 17_000;
const HEALED_MS = 5000;

/** A bridge 00:ff:00:00:00:50 by itself, as the original was that was listened to. */
class Lone {
  readonly clock: TestClock = new TestClock();
  readonly sent: { readonly port: number; readonly vlan: number; readonly hex: string }[] = [];
  readonly events: TreeEvent[] = [];
  readonly closed: Set<number> = new Set();
  readonly forgotten: Set<number> = new Set();
  readonly tree: SpanningTree;

  constructor(ports: readonly number[] = [], isOn = true) {
    this.tree = new SpanningTree(
      {
        send: (port, vlan, bpdu) => this.sent.push({ port, vlan, hex: Buffer.from(bpdu).toString('hex') }),
        setForwarding: (port, _vlan, isForwarding) => {
          if (isForwarding) this.closed.delete(port);
          else this.closed.add(port);
        },
        forget: (port) => this.forgotten.add(port),
        event: (event) => this.events.push(event),
      },
      { mac: parseMac('00:ff:00:00:00:50'), priority: 0x8000, clock: this.clock, isOn },
    );
    this.tree.addVlan(VLAN);
    for (const port of ports) this.tree.addPort(VLAN, port);
    this.take();
  }

  /** What was sent since it was asked last, by port. */
  take(): Map<number, Bpdu> {
    const sent = this.sent.splice(0);
    return new Map(sent.map(({ port, hex }) => [port, bpduOf(hex)]));
  }

  hear(port: number, hex: string): void {
    this.tree.receive(VLAN, port, Buffer.from(hex, 'hex'));
  }

  say(port: number, bpdu: Partial<Bpdu>): void {
    this.tree.receive(VLAN, port, emitBpdu({ ...OFFER, ...bpdu }));
  }

  roles(): readonly string[] {
    return (
      this.tree.status(VLAN)?.ports.map(({ role, isForwarding }) => `${role}${isForwarding ? '' : ' closed'}`) ?? []
    );
  }
}

function bpduOf(hex: string): Bpdu {
  const bpdu = parseBpdu(Buffer.from(hex, 'hex'));
  assert.ok(bpdu !== undefined, hex);
  return bpdu;
}

/** Ids: a better root, ourselves, a worse bridge. */
const ROOT = '80:00:00:ff:00:00:00:10';
const OWN = '80:00:00:ff:00:00:00:50';
const WORSE = '80:00:00:ff:00:00:00:90';
const COST = 20_000_000;
/** The root says what it offers. */
const OFFER: Bpdu = {
  isTopologyChange: false,
  isProposal: false,
  role: 'designated',
  isLearning: true,
  isForwarding: true,
  isAgreement: false,
  root: ROOT,
  cost: 0,
  bridge: ROOT,
  port: 0x8001,
  ageSeconds: 0,
  maxAgeSeconds: 40,
  helloSeconds: 4,
  delaySeconds: 0,
};

/** What {@link Lone} sends when somebody comes to port 1, as recorded of the original. */
const FIRST =
  '0180c200000000ff000000500027424203000002023c800000ff0000005000000000800000ff000000508001000028000400000000';

/** What an original with three ports was told, in this order, and what it answered at once; by port. */
const RECORDED: readonly {
  readonly what: string;
  readonly port: number;
  readonly hex: string;
  readonly answers: Readonly<Record<number, string>>;
  /** Where we answer. */
  readonly ours: readonly number[];
}[] = [
  {
    what: 'a worse root is told of the better one',
    port: 1,
    hex: '0180c200000000ff000000900027424203000002023c800000ff0000009000000000800000ff000000908001000028000400000000',
    answers: {
      1: '0180c200000000ff000000500027424203000002023c800000ff0000005000000000800000ff000000508001000028000400000000',
    },
    ours: [1],
  },
  {
    // But told of a port that forwards now.
    what: 'its agreement is not answered',
    port: 1,
    hex: '0180c200000000ff0000009000274242030000020274800000ff0000005001312d00800000ff000000908001000028000400000000',
    answers: {},
    ours: [1],
  },
  {
    what: 'a better root is agreed to, and proposed to the one behind us',
    port: 2,
    hex: '0180c200000000ff000000100027424203000002023c800000ff0000001000000000800000ff000000108001000028000400000000',
    answers: {
      1: '0180c200000000ff000000500027424203000002020a800000ff0000001001312d00800000ff000000508001000028000400000000',
      2: '0180c200000000ff0000005000274242030000020274800000ff0000001001312d00800000ff000000508002000028000400000000',
    },
    ours: [1, 2],
  },
  {
    what: 'a second way to the root is closed',
    port: 3,
    hex: '0180c200000000ff000000100027424203000002023c800000ff0000001000000000800000ff000000108002000028000400000000',
    // The original tells its root port that the topology changed. We do when a port opens.
    answers: {},
    ours: [],
  },
  {
    what: 'who agrees gets frames again',
    port: 1,
    hex: '0180c200000000ff0000009000274242030000020274800000ff0000001002625a00800000ff000000908001000028000400000000',
    answers: {
      2: '0180c200000000ff0000005000274242030000020235800000ff0000001001312d00800000ff000000508002000028000400000000',
    },
    ours: [1, 2],
  },
];

test('the VLANs say what they offer one after the other, each at its own time', () => {
  const lone = new Lone();
  const vlans = Array.from({ length: 400 }, (_, index) => VLAN + 1 + index);
  for (const vlan of vlans) lone.tree.addVlan(vlan);
  for (const vlan of vlans) lone.tree.addPort(vlan, 1);
  lone.sent.length = 0;
  const rounds: number[][] = [];
  for (let ms = 0; ms < 8000; ms += 100) {
    lone.clock.pass(100);
    rounds.push(lone.sent.splice(0).map(({ vlan }) => vlan));
  }
  assert.ok(Math.max(...rounds.map(({ length }) => length)) <= 15, '10 of 400 in a tenth of a second, or some more');
  const [first, second] = [rounds.slice(0, 40).flat(), rounds.slice(40).flat()];
  assert.deepEqual(new Set(first), new Set(vlans));
  assert.deepEqual(second, first, 'again after 4 s, in the same order');
});

test('answers what it hears as the original does', () => {
  const lone = new Lone([1, 2, 3]);
  lone.clock.pass(100);
  for (const { what, port, hex, answers, ours } of RECORDED) {
    lone.hear(port, hex);
    const sent = lone.take();
    assert.deepEqual([...sent.keys()].sort(), ours, what);
    for (const [number, answer] of Object.entries(answers)) {
      if (!sent.has(Number(number))) continue;
      const [own, theirs] = [sent.get(Number(number)), bpduOf(answer)];
      for (const key of ['root', 'cost', 'bridge', 'port'] as const) assert.equal(own?.[key], theirs[key], what);
      assert.equal(own?.role === 'root', theirs.role === 'root', `${what}: who follows whom`);
    }
    lone.clock.pass(100);
  }
  assert.deepEqual(lone.roles(), ['Designated', 'Root', 'Alternate/Backup closed']);
  assert.deepEqual([...lone.closed], [3]);
});

test('whoever comes gets a BPDU, the very bytes of the original, and may send at once', () => {
  const lone = new Lone();
  lone.tree.addPort(VLAN, 1);
  assert.deepEqual(lone.sent, [{ port: 1, vlan: VLAN, hex: FIRST }]);
  assert.equal(lone.tree.isForwarding(VLAN, 1), true);
  lone.take();
  lone.clock.pass(12_000);
  const hellos = lone.sent.map(({ hex }) => hex);
  assert.deepEqual(hellos, Array(3).fill(FIRST.replace('02023c', '02027c')), 'one each 4 s, as the original');
  assert.deepEqual(
    lone.events.filter(({ kind }) => kind !== 'tree-root'),
    [],
  );
});

test('a port where a bridge is forwards only once that one agrees, or says nothing for 4 s', () => {
  const lone = new Lone([1, 2]);
  lone.say(1, { root: WORSE, bridge: WORSE, isForwarding: false });
  assert.deepEqual(lone.roles(), ['Designated closed', 'Designated']);
  assert.equal(lone.take().get(1)?.isProposal, true);
  lone.say(1, { role: 'root', root: OWN, cost: COST, bridge: WORSE, isAgreement: true });
  assert.deepEqual(lone.roles(), ['Designated', 'Designated']);
  lone.say(2, { root: WORSE, bridge: WORSE, isForwarding: false });
  lone.clock.pass(3900);
  assert.deepEqual(lone.roles(), ['Designated', 'Designated closed']);
  assert.ok(lone.sent.filter(({ port }) => port === 2).length >= 3, 'it is proposed again and again');
  lone.clock.pass(200);
  assert.deepEqual(lone.roles(), ['Designated', 'Designated']);
  lone.clock.pass(60_000);
  assert.deepEqual(lone.roles(), ['Designated', 'Designated']);
});

test('a bridge that sends and does not hear gets no frames', () => {
  const lone = new Lone([1]);
  for (let i = 0; i < 10; i++) {
    lone.say(1, { root: WORSE, bridge: WORSE });
    lone.clock.pass(4000);
    assert.deepEqual(lone.roles(), ['Designated closed'], `after ${4 * i} s`);
  }
});

test('the root is lost when its port is gone, or after 12 s of silence', () => {
  const lone = new Lone([1, 2]);
  lone.say(1, {});
  lone.say(2, { port: 0x8002 });
  assert.deepEqual(lone.roles(), ['Root', 'Alternate/Backup closed']);
  lone.tree.removePort(VLAN, 1);
  assert.deepEqual(lone.roles(), ['Root'], 'the other way at once');
  assert.deepEqual([...lone.closed], []);
  lone.clock.pass(11_900);
  assert.equal(lone.tree.status(VLAN)?.isRoot, false);
  lone.clock.pass(200);
  const { isRoot, root, designated, rootPort, cost } = lone.tree.status(VLAN) ?? {};
  assert.deepEqual([isRoot, root, designated, rootPort, cost], [true, OWN, 'ff:ff:ff:ff:ff:ff:ff:ff', 0, 0]);
});

test('status and events are those of the console', () => {
  const lone = new Lone([1, 2]);
  lone.events.length = 0;
  lone.say(1, {});
  lone.say(2, { port: 0x8002 });
  lone.clock.pass(3000);
  lone.tree.removePort(VLAN, 1);
  assert.deepEqual(lone.events, [
    { kind: 'tree-port-active', port: 1, vlan: VLAN },
    { kind: 'tree-root', vlan: VLAN, rootPort: 1, root: ROOT },
    { kind: 'tree-status', port: 1, vlan: VLAN, status: 'learning+forwarding' },
    { kind: 'tree-port-active', port: 2, vlan: VLAN },
    { kind: 'tree-status', port: 2, vlan: VLAN, status: 'discarding' },
    { kind: 'tree-port-inactive', port: 1, vlan: VLAN },
    { kind: 'tree-root', vlan: VLAN, rootPort: 2, root: ROOT },
    { kind: 'tree-status', port: 2, vlan: VLAN, status: 'learning+forwarding' },
  ]);
  assert.deepEqual(lone.tree.status(VLAN), {
    isRoot: false,
    root: ROOT,
    designated: ROOT,
    rootPort: 2,
    cost: COST,
    age: 0,
    bonusPort: 0,
    bonusCost: 0,
    ports: [{ number: 2, cost: COST, role: 'Root', isForwarding: true }],
  });
});

test('of two ways that cost the same, the one of the lesser bridge, then of its lesser port, is taken', () => {
  const lone = new Lone([1, 2, 3]);
  lone.say(1, { cost: COST, bridge: WORSE, port: 0x8001 });
  lone.say(2, { cost: COST, bridge: '80:00:00:ff:00:00:00:20', port: 0x8007 });
  lone.say(3, { cost: COST, bridge: '80:00:00:ff:00:00:00:20', port: 0x8006 });
  assert.equal(lone.tree.status(VLAN)?.rootPort, 3);
  // A worse way than ours is no way: its bridge is behind us, or asks for another one.
  lone.say(1, { cost: 3 * COST, bridge: WORSE, port: 0x8001 });
  assert.deepEqual(lone.roles(), ['Designated closed', 'Alternate/Backup closed', 'Root']);
});

test('a bonus makes a way cheaper, but never free; an edge is neither sent BPDUs nor listened to', () => {
  const lone = new Lone([1, 2]);
  lone.say(1, {});
  lone.say(2, { port: 0x8002 });
  lone.tree.setBonus(VLAN, 2, COST - 5);
  assert.deepEqual([lone.tree.status(VLAN)?.rootPort, lone.tree.status(VLAN)?.cost], [2, 5]);
  lone.tree.setBonus(VLAN, 2, 2 * COST);
  assert.deepEqual([lone.tree.status(VLAN)?.rootPort, lone.tree.status(VLAN)?.cost], [2, 1]);
  lone.tree.setEdge(VLAN, 2, true);
  assert.deepEqual(lone.roles(), ['Root', 'Edge']);
  lone.take();
  lone.say(2, { root: '00:00:00:00:00:00:00:01' });
  lone.clock.pass(4000);
  assert.deepEqual([...lone.take().keys()], [1]);
  lone.tree.setEdge(VLAN, 2, false);
  assert.deepEqual([...lone.take().keys()], [2]);
  assert.deepEqual(lone.roles(), ['Root', 'Designated']);
});

test('switched off, all ports forward and nothing is said; switched on, it begins anew', () => {
  const lone = new Lone([1, 2]);
  lone.say(1, {});
  lone.say(2, { port: 0x8002 });
  lone.tree.setOn(false);
  assert.deepEqual([...lone.closed], []);
  assert.equal(lone.tree.status(VLAN)?.isRoot, true);
  assert.equal(lone.clock.alarms, 0);
  lone.take();
  lone.say(2, {});
  lone.clock.pass(20_000);
  assert.equal(lone.sent.length, 0);
  lone.tree.setOn(true);
  assert.deepEqual([...lone.take().keys()], [1, 2]);
  lone.tree.close();
  assert.equal(lone.clock.alarms, 0);
});

test('VLANs have trees of their own; what is not known is ignored', () => {
  const lone = new Lone([1]);
  lone.tree.addVlan(5);
  lone.tree.addPort(5, 1);
  lone.tree.addPort(6, 1);
  lone.tree.receive(5, 1, emitBpdu(OFFER));
  lone.tree.receive(6, 1, emitBpdu(OFFER));
  lone.tree.receive(5, 9, emitBpdu(OFFER));
  lone.tree.receive(5, 1, Buffer.from('no BPDU'));
  assert.deepEqual(
    [VLAN, 5, 6].map((vlan) => lone.tree.status(vlan)?.isRoot),
    [true, false, undefined],
  );
  assert.ok(lone.sent.some(({ vlan }) => vlan === 5));
  lone.tree.removeVlan(5);
  assert.equal(lone.tree.isForwarding(5, 1), true);
});

test('who changes its mind a thousand times a second is answered 20 times, and with the last of it', () => {
  const lone = new Lone([1, 2]);
  lone.clock.pass(1000);
  lone.take();
  for (let i = 0; i < 1000; i++) {
    lone.say(1, { cost: i % 2 });
    lone.clock.pass(1);
  }
  for (const port of [1, 2]) assert.ok(lone.sent.filter((each) => each.port === port).length <= 21);
  assert.equal(lone.clock.alarms, 1);
  lone.clock.pass(1000);
  lone.take();
  lone.say(1, { cost: 7 });
  assert.equal(lone.take().get(1)?.cost, COST + 7);
});

test('stations are forgotten when the topology changes, and that is passed on', () => {
  const lone = new Lone([1, 2, 3]);
  lone.say(1, {});
  lone.say(2, { role: 'root', cost: COST * 2, bridge: WORSE, isAgreement: true });
  lone.clock.pass(6000);
  lone.take();
  lone.forgotten.clear();
  lone.say(2, { role: 'root', cost: COST * 2, bridge: WORSE, isAgreement: true, isTopologyChange: true });
  assert.deepEqual([...lone.forgotten], [1], 'not those of a port where no bridge is');
  assert.deepEqual(
    [...lone.take()].map(([port, { isTopologyChange }]) => [port, isTopologyChange]),
    [[1, true]],
  );
  lone.say(2, { role: 'root', cost: COST * 2, bridge: WORSE, isAgreement: true, isTopologyChange: true });
  assert.equal(lone.sent.length, 0, 'told already');
});

function assertHealthy(network: TreeNetwork, when: string): void {
  assert.equal(network.fault(), undefined, when);
}

/** How many bridges and hubs get a frame that a station at one of them sends to everybody. */
function reach(network: TreeNetwork, from: TreeNode): number {
  const id = network.broadcast(from);
  network.clock.pass(2000);
  return network.receptions.get(id) ?? 0;
}

test('a triangle: one link is closed, no frame comes twice, and a cut heals at once', () => {
  const network = new TreeNetwork();
  const [a, b, c] = [1, 2, 3].map((number) => network.addBridge(number)) as [Bridge, Bridge, Bridge];
  const root = network.connect(a, b);
  network.connect(a, c);
  network.connect(b, c);
  // From the first moment: the last cable is a few BPDUs old.
  assert.ok(reach(network, b) <= 4);
  assertHealthy(network, 'at first');
  assert.equal(network.links.filter(({ isForwarding }) => !isForwarding).length, 1);
  assert.equal(reach(network, b), 2);
  root.unplug();
  network.clock.pass(50);
  assertHealthy(network, 'after 50 ms');
  assert.equal(reach(network, b), 2);
});

test('a link that falls silent is lost after 16 s at most, as with the originals', () => {
  const network = new TreeNetwork();
  const [a, b, c] = [1, 2, 3].map((number) => network.addBridge(number)) as [Bridge, Bridge, Bridge];
  const silent = network.connect(a, b);
  network.connect(a, c);
  network.connect(b, c);
  network.clock.pass(SETTLED_MS);
  silent.isCut = true;
  network.clock.pass(16_100);
  assertHealthy(network, 'after 16 s');
});

test('what a switch sends to itself does not go round: a cable between two of its ports, two cables, a hub, an echo', () => {
  const network = new TreeNetwork();
  const [a, b] = [network.addBridge(1), network.addBridge(2)];
  network.connect(a, a);
  network.connect(a, b);
  network.connect(a, b);
  const hub = network.addHub();
  for (const bridge of [a, a, b, b]) network.connect(bridge, hub);
  network.clock.pass(SETTLED_MS);
  assertHealthy(network, 'settled');
  assert.equal(reach(network, a), 2);

  const lone = new Lone([1]);
  lone.say(1, { root: OWN, bridge: OWN });
  assert.deepEqual(lone.roles(), ['Alternate/Backup closed']);
});

/** A network to be: who is connected to whom, what is cut, and how. */
interface Plan {
  readonly seed: number;
  readonly bridges: readonly number[];
  readonly hubs: number;
  readonly links: readonly {
    readonly ends: readonly [number, number];
    readonly delayMs: number;
    readonly pauseMs: number;
  }[];
  readonly cuts: readonly { readonly link: number; readonly isSilent: boolean }[];
}

const anyPlan: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(),
  bridges: fc.uniqueArray(fc.integer({ min: 1, max: 254 }), { minLength: 2, maxLength: 8 }),
  hubs: fc.nat(1),
  links: fc.array(
    fc.record({
      ends: fc.tuple(fc.nat(100), fc.nat(100)),
      delayMs: fc.integer({ min: 1, max: 30 }),
      pauseMs: fc.oneof(fc.constant(0), fc.nat(5000)),
    }),
    { minLength: 1, maxLength: 14 },
  ),
  cuts: fc.array(fc.record({ link: fc.nat(100), isSilent: fc.boolean() }), { maxLength: 3 }),
});

function build({ seed, bridges, hubs, links }: Plan, quality: Partial<LinkQuality> = {}): TreeNetwork {
  const network = new TreeNetwork(seed);
  const nodes: TreeNode[] = bridges.map((number) => network.addBridge(number));
  for (let i = 0; i < hubs; i++) nodes.push(network.addHub());
  network.isLossy = true;
  for (const { ends, delayMs, pauseMs } of links) {
    const [a, b] = ends.map((index) => nodes[index % nodes.length]);
    // A hub connected to itself is a storm of its own.
    if (a === undefined || b === undefined || (a === b && bridges.length <= nodes.indexOf(a))) continue;
    network.connect(a, b, { delayMs, ...quality });
    network.clock.pass(pauseMs);
  }
  return network;
}

function cut(network: TreeNetwork, cuts: Plan['cuts'], eachMs: (ms: number) => void): void {
  for (const { link: index, isSilent } of cuts) {
    const links = network.links.filter(({ isCut }) => !isCut);
    const link = links[index % links.length];
    if (link === undefined) return;
    if (isSilent) link.isCut = true;
    else link.unplug();
    // Behind a hub nobody sees that a cable is gone.
    const hasHub = network.nodes.some(({ name }) => name === 'hub');
    eachMs(isSilent || hasHub ? 2 * SILENCE_MS : HEALED_MS);
  }
}

test('any network becomes a tree in each of its parts, and again after each cut', () => {
  fc.assert(
    fc.property(anyPlan, (plan) => {
      const network = build(plan);
      network.clock.pass(SETTLED_MS);
      assertHealthy(network, 'settled');
      const most = network.nodes.length - 1;
      for (const node of network.nodes) assert.ok(reach(network, node) <= most, 'no frame comes twice');
      cut(network, plan.cuts, (ms) => {
        network.clock.pass(ms);
        assertHealthy(network, 'healed');
      });
    }),
    { numRuns: 150 },
  );
});

test('while it heals, no circle is ever closed', () => {
  fc.assert(
    fc.property(anyPlan, (plan) => {
      const network = build({ ...plan, hubs: 0 });
      network.clock.pass(SETTLED_MS);
      cut(network, plan.cuts, (ms) => {
        for (let i = 0; i < 500; i++) {
          network.clock.pass(1);
          assert.doesNotMatch(network.fault() ?? '', /circle/);
        }
        network.clock.pass(ms);
      });
    }),
    { numRuns: 40 },
  );
});

test('where frames get lost and come twice it becomes a tree once they arrive', () => {
  fc.assert(
    fc.property(anyPlan, (plan) => {
      const network = build(plan, { loss: 0.3, duplicates: 0.2 });
      network.clock.pass(SETTLED_MS);
      network.isLossy = false;
      network.clock.pass(2 * SILENCE_MS);
      assertHealthy(network, 'settled');
    }),
    { numRuns: 60 },
  );
});

test('mixed with bridges that do as the originals do', () => {
  for (let seed = 1; seed <= 64; seed++) {
    const network = new TreeNetwork(seed);
    const count = 3 + (seed % 3);
    const nodes = Array.from({ length: count }, (_, index) => {
      const number = 1 + ((seed * 37 + index * 53) % 250);
      return ((seed >> index) & 1) === 0 ? network.addBridge(number) : network.add(new OriginalBridge(network, number));
    });
    // A ring, and now and then a cable across.
    for (const [index, node] of nodes.entries()) network.connect(node, nodes[(index + 1) % count] ?? node);
    if (seed % 2 === 0) network.connect(nodes[0]!, nodes[2]!);
    network.clock.pass(SETTLED_MS);
    assertHealthy(network, `seed ${seed}`);
    network.links[seed % count]?.unplug();
    network.clock.pass(SETTLED_MS);
    assertHealthy(network, `seed ${seed}, healed`);
  }
});
