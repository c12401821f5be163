/**
 * Switches with a spanning tree, originals and ours in any mixture, joined by more cables than they need:
 *
 * ```
 *   client ── switch A ═══ cable ═══ switch B ── client        cable: dpipe vde_plug A = vde_plug B
 *                 ╚══ cable ══ switch C ══ cable ══╝
 *                                 └── client
 * ```
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { unixPath } from '../../src/system/unix-address.ts';
import { parseBpdu } from '../../src/wire/bpdu.ts';
import { frameOf, LabClient } from '../fixtures/managed-lab.ts';
import { RawClient } from '../fixtures/raw-client.ts';
import {
  asChild,
  killGroup,
  makeTemporaryDirectory,
  original,
  ours,
  pidFrom,
  requireCommands,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { type OriginalSwitch, startSwitch } from './original-switch.ts';

/** The longest that the originals take to find another way when they are told that one is gone. */
const HEALED_MS = 12_000;
const START_MS = 15_000;
/** Long enough for a frame that goes round to come again. */
const QUIET_MS = 300;

type Kind = 'original' | 'ours';

function program(kind: Kind, name: string): string {
  return kind === 'ours' ? ours(name) : (original(name) ?? name);
}

/** A switch with a tree; the first has the least MAC address, and is the root. */
class Node {
  readonly running: OriginalSwitch;
  readonly #folder: string;
  #clients = 0;

  private constructor(running: OriginalSwitch, folder: string) {
    this.running = running;
    this.#folder = folder;
  }

  static async start(t: TestContext, kind: Kind, number: number): Promise<Node> {
    const folder = makeTemporaryDirectory(t);
    const args = ['-F', '--macaddr', `00:ff:00:00:00:0${number}`];
    const running = await startSwitch(t, { path: join(folder, 'sw'), args, program: program(kind, 'vde_switch') });
    return new Node(running, folder);
  }

  async join(t: TestContext): Promise<LabClient> {
    const raw = new RawClient(this.running.path, join(this.#folder, `client${this.#clients++}`)).ownedBy(t);
    raw.say(raw.request('client'));
    return new LabClient(raw, unixPath((await raw.answer(5000)) as Uint8Array));
  }

  /** What each port does in a VLAN, by number. */
  async ports(vlan = 0): Promise<Map<number, string>> {
    const text = await this.running.command(`vlan/print ${vlan}`);
    return new Map(
      [...text.matchAll(/Port (\d+) .*active=1 status=(\w+)/g)].map((found) => [Number(found[1]), found[2] ?? '']),
    );
  }

  /** Frames that came in at all ports so far. */
  async received(): Promise<number> {
    const text = await this.running.command('port/print');
    return [...text.matchAll(/IN: +pkts +(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  }
}

/** A cable, and where its ends are. */
class Cable {
  readonly ends: readonly (readonly [Node, number])[];
  readonly #pid: number;

  private constructor(ends: readonly (readonly [Node, number])[], pid: number) {
    this.ends = ends;
    this.#pid = pid;
  }

  static async connect(t: TestContext, from: Node, to: Node, kind: Kind): Promise<Cable> {
    const nodes = [from, to];
    const before = await Promise.all(nodes.map((node) => node.ports()));
    const pidFile = join(makeTemporaryDirectory(t), 'pid');
    const plugs = nodes.map(({ running }) => [program(kind, 'vde_plug'), running.path]);
    // The original dpipe must not lead a session.
    const line = asChild(program(kind, 'dpipe'), '-p', pidFile);
    await spawnBackground(t, [...line, ...(plugs[0] ?? []), '=', ...(plugs[1] ?? [])]);
    const pid = await waitFor(() => pidFrom(pidFile), START_MS, 'dpipe');
    t.after(() => killGroup(pid, 'SIGTERM'));
    const isSelf = from === to;
    const ends = await waitFor(
      async () => {
        const found = await Promise.all(
          nodes.map(async (node, index) =>
            [...(await node.ports()).keys()].filter((port) => !before[index]?.has(port)),
          ),
        );
        if (found.some((ports) => ports.length < (isSelf ? 2 : 1))) return undefined;
        return nodes.map((node, index) => [node, found[index]?.[isSelf ? index : 0] ?? 0] as const);
      },
      START_MS,
      'both ends of a cable',
    );
    return new Cable(ends, pid);
  }

  /** Whether frames pass in a VLAN: both ends forward. */
  async isForwarding(vlan = 0): Promise<boolean> {
    const states = await Promise.all(this.ends.map(async ([node, port]) => (await node.ports(vlan)).get(port)));
    return states.every((state) => state === 'Forwarding');
  }

  cut(): void {
    // dpipe leads a process group.
    killGroup(this.#pid, 'SIGTERM');
  }
}

let frames = 0;

/** A frame for everybody that nobody else sends. */
function broadcast(client: number): Uint8Array {
  return frameOf(
    'ffffffffffff',
    `02000000000${client + 1}`,
    '88b5',
    (frames++).toString(16).padStart(8, '0'),
    '00'.repeat(46),
  );
}

/** How often each client gets a frame that each client sends: by sender. They have a second, and QUIET_MS after that. */
async function exchange(clients: readonly LabClient[]): Promise<number[][]> {
  for (const client of clients) client.take();
  const sent = clients.map((_, index) => broadcast(index));
  for (const [index, client] of clients.entries()) client.raw.send(sent[index] ?? new Uint8Array());
  const arrived = clients.map((): string[] => []);
  const count = (): number[][] => {
    for (const [index, client] of clients.entries()) arrived[index]?.push(...client.take());
    return sent.map((frame) => {
      const hex = Buffer.from(frame).toString('hex');
      return arrived.map((list) => list.filter((each) => each === hex).length);
    });
  };
  for (const end = performance.now() + 1000; !isEach(count()) && performance.now() < end; ) await sleep(20);
  await sleep(QUIET_MS);
  return count();
}

/** Each frame once to everybody but its sender. */
function isEach(counts: readonly (readonly number[])[]): boolean {
  return counts.every((row, from) => row.every((count, to) => count === (from === to ? 0 : 1)));
}

async function waitUntilEach(clients: readonly LabClient[], timeoutMs: number): Promise<void> {
  let last: number[][] = [];
  const reaches = async (): Promise<boolean> => {
    last = await exchange(clients);
    return isEach(last);
  };
  await waitFor(reaches, timeoutMs, 'everyone to reach everyone, once').catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last)}`);
  });
}

/** Sends frames for all from each client for as long as something lasts; answers how many, and how many arrived. */
async function during<T>(
  clients: readonly LabClient[],
  work: Promise<T>,
): Promise<{ sent: number; arrived: number; result: T }> {
  let isOver = false;
  let sent = 0;
  const done = work.finally(() => {
    isOver = true;
  });
  for (const client of clients) client.take();
  let arrived = 0;
  while (!isOver) {
    for (const [index, client] of clients.entries()) {
      client.raw.send(broadcast(index));
      sent++;
      arrived += client.take().length;
    }
    await sleep(5);
  }
  await sleep(QUIET_MS);
  for (const client of clients) arrived += client.take().length;
  return { sent, arrived, result: await done };
}

const MIXTURES: readonly (readonly [cable: Kind, ...switches: Kind[]])[] = [
  ['ours', 'ours', 'ours', 'ours'],
  ['original', 'original', 'ours', 'ours'],
  ['original', 'ours', 'original', 'ours'],
  ['original', 'ours', 'ours', 'original'],
  ['original', 'original', 'ours', 'original'],
  ['original', 'ours', 'original', 'original'],
];

/** Joins three switches in a triangle, under traffic, and cuts a link that forwards. */
async function triangle(t: TestContext, cable: Kind, kinds: readonly Kind[]): Promise<void> {
  const [a, b, c] = await Promise.all(kinds.map((kind, index) => Node.start(t, kind, index + 1)));
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  const nodes = [a, b, c];
  const clients = await Promise.all(nodes.map((node) => node.join(t)));
  const cables = [await Cable.connect(t, a, b, cable), await Cable.connect(t, b, c, cable)];
  await waitUntilEach(clients, HEALED_MS);

  // The ring is closed while everybody talks.
  const { sent, arrived, result } = await during(clients, Cable.connect(t, c, a, cable));
  cables.push(result);
  assert.ok(arrived < 4 * sent, `${arrived} frames of ${sent} arrived`);
  await waitUntilEach(clients, HEALED_MS);
  const states = await Promise.all(cables.map((each) => each.isForwarding()));
  assert.deepEqual([...states].sort(), [false, true, true]);

  const before = await Promise.all(nodes.map((node) => node.received()));
  for (let i = 0; i < 10; i++) for (const [index, client] of clients.entries()) client.raw.send(broadcast(index));
  const more = async (): Promise<number[]> =>
    await Promise.all(nodes.map(async (node, index) => (await node.received()) - (before[index] ?? 0)));
  await waitFor(async () => (await more()).every((count) => count >= 30), HEALED_MS, '30 frames at each');
  await sleep(QUIET_MS);
  const counts = await more();
  assert.ok(
    counts.every((count) => count < 100),
    `${counts} frames of 30, and few BPDUs`,
  );

  cables[states.indexOf(true)]?.cut();
  await waitUntilEach(clients, HEALED_MS);
}

test('triangles: no storm, one link closed, and a cut heals', { timeout: 240_000, concurrency: 2 }, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'dpipe')) return;
  const all = MIXTURES.map(([cable, ...kinds]) => {
    return t.test(kinds.join(', '), { timeout: 120_000 }, (t) => triangle(t, cable, kinds));
  });
  await Promise.all(all);
});

test('two cables and two VLANs between an original and one of ours: each VLAN has its own tree', {
  timeout: 60_000,
}, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'dpipe')) return;
  const [root, node] = [await Node.start(t, 'original', 1), await Node.start(t, 'ours', 2)];
  const cables = [await Cable.connect(t, root, node, 'original'), await Cable.connect(t, root, node, 'original')];
  const second = cables[1]?.ends[1]?.[1];
  for (const [index, { running }] of [root, node].entries()) {
    await running.command('vlan/create 5');
    for (const { ends } of cables) await running.command(`vlan/addport 5 ${ends[index]?.[1]}`);
  }
  await node.running.command(`fstp/bonus 5 ${second} 10`);
  const forwarding = async (vlan: number): Promise<boolean[]> => {
    return await Promise.all(cables.map((cable) => cable.isForwarding(vlan)));
  };
  for (const [vlan, wanted] of [
    [0, '[true,false]'],
    [5, '[false,true]'],
  ] as const) {
    const isSo = async (): Promise<boolean> => JSON.stringify(await forwarding(vlan)) === wanted;
    await waitFor(isSo, HEALED_MS, `VLAN ${vlan} to pass ${wanted}`);
  }
  const status = await node.running.command('fstp/print 5');
  assert.match(status, /root 80:00:00:ff:00:00:00:01\n .*\n .*rootport 0002 cost 19999990 /);
});

test('a cable from one of our switches to itself is closed', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_plug', 'dpipe')) return;
  const node = await Node.start(t, 'ours', 1);
  const clients = [await node.join(t), await node.join(t)];
  const { sent, arrived, result } = await during(clients, Cable.connect(t, node, node, 'original'));
  assert.ok(arrived < 4 * sent, `${arrived} frames of ${sent} arrived`);
  await waitFor(async () => !(await result.isForwarding()), HEALED_MS, 'it to be closed');
  await waitUntilEach(clients, HEALED_MS);
});

for (const kind of ['original', 'ours'] as const) {
  test(`whoever joins gets a BPDU first, and may send at once (${kind})`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, 'vde_switch')) return;
    const node = await Node.start(t, kind, 1);
    const first = await node.join(t);
    const second = await node.join(t);
    second.raw.send(broadcast(1));
    const arrived: string[] = [];
    await waitFor(() => arrived.push(...first.take()) >= 2, 2000, 'the frame');
    const [bpdu, frame] = arrived;
    assert.equal(parseBpdu(Buffer.from(bpdu ?? '', 'hex'))?.bridge, '80:00:00:ff:00:00:00:01');
    assert.match(frame ?? '', /^f{12}/);
  });
}
