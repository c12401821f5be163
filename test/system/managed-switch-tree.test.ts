/** The spanning tree of managed switches that are joined by more cables than they need. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryPlug } from '../../src/plugs/memory.ts';
import { type ManagedSwitch, NO_VLAN } from '../../src/switch/managed/managed-switch.ts';
import { frameOf, type LabClient, ManagedLab } from '../fixtures/managed-lab.ts';
import { waitFor } from '../interop/harness.ts';

const ALL = 'ffffffffffff';
const BODY = `0800${'aa'.repeat(46)}`;
/** Three times what a bridge waits for one that does not answer. */
const SETTLED_MS = 12_000;

/** A cable between two switches; answers its ports. */
function join(one: ManagedSwitch, other: ManagedSwitch): [number, number] {
  const [a, b] = MemoryPlug.pair();
  const options = { module: 'tuntap', description: 'cable' };
  return [one.attach(a, options), other.attach(b, options)];
}

/** How many frames for all have arrived. */
function arrived(client: LabClient): number {
  return client.take().filter((frame) => frame.startsWith(ALL)).length;
}

/** The ports of a switch that are closed in a VLAN. */
function closedAt(managed: ManagedSwitch, vlan: number): number[] {
  const { ports } = managed.vlans.find(({ number }) => number === vlan)!;
  return ports.filter(({ status }) => status === 'Discarding').map(({ number }) => number);
}

test('of two cables between two switches one is closed, in each VLAN, and opened when the other is cut', async (t) => {
  const one = await ManagedLab.start(t, { mac: '00:ff:00:00:00:01', priority: 0x1000, spanningTree: true });
  const other = await ManagedLab.start(t, { mac: '00:ff:00:00:00:02', spanningTree: true });
  const [host, station] = [await one.client(7), await other.client(8)];
  const cables = [join(one.managed, other.managed), join(one.managed, other.managed)];
  const news: string[] = [];
  other.managed.listen((event) => news.push(event.kind), { stations: false });
  const isClosed = (vlan: number, count: number): boolean => {
    return closedAt(one.managed, vlan).length === 0 && closedAt(other.managed, vlan).length === count;
  };
  const areOpen = (vlan: number): boolean => {
    return [one, other].every(({ managed }) => managed.treeStatus(vlan)[0]!.ports.length >= 2) && isClosed(vlan, 1);
  };
  await waitFor(() => areOpen(0), SETTLED_MS, 'one end of a cable to be closed');
  assert.equal(one.managed.treeStatus(0)[0]?.isRoot, true);
  const status = other.managed.treeStatus(0)[0];
  assert.deepEqual([status?.isRoot, status?.root], [false, '10:00:00:ff:00:00:00:01']);
  await one.send(host, ALL, '020000000001', BODY);
  await waitFor(() => arrived(station) > 0, 5000, 'the frame');
  await one.send(host, ALL, '020000000001', BODY);
  await waitFor(() => arrived(station) === 1, 5000, 'one frame');
  assert.equal(arrived(host), 0, 'and none comes back');

  // The same with tags.
  for (const { managed } of [one, other]) managed.createVlan(10);
  for (const [here, there] of cables) {
    one.managed.addToVlan(10, here);
    other.managed.addToVlan(10, there);
  }
  one.managed.setPortVlan(7, 10);
  other.managed.setPortVlan(8, 10);
  await waitFor(() => areOpen(10), SETTLED_MS, 'one end of a cable to be closed in VLAN 10');
  assert.deepEqual(
    other.managed
      .treeStatus(10)[0]
      ?.ports.map(({ number, isTagged }) => [number, isTagged])
      .sort(),
    [...cables.map(([, there]) => [there, true]), [8, false]].sort(),
  );
  await one.send(host, ALL, '020000000001', BODY);
  await waitFor(() => arrived(station) === 1, 5000, 'one frame in VLAN 10');

  // The cable that is open is cut.
  const [closed] = closedAt(other.managed, 10);
  const open = cables.find(([, there]) => there !== closed)!;
  const endpoint = one.managed.ports.find(({ number }) => number === open[0])!.endpoints[0]!;
  one.managed.closeEndpoint(open[0], endpoint.id);
  await waitFor(() => isClosed(10, 0) && isClosed(0, 0), SETTLED_MS, 'the other cable to be opened');
  await one.send(host, ALL, '020000000001', BODY);
  await waitFor(() => arrived(station) === 1, 5000, 'a frame by the other cable');
  assert.ok(news.includes('tree-root') && news.includes('tree-status'), news.join(' '));

  one.managed.setPortVlan(7, NO_VLAN);
  for (const { managed } of [one, other]) managed.setSpanningTree(false);
  assert.deepEqual(closedAt(other.managed, 0), []);
});

test('frames for bridges pass while the spanning tree is off, and go no further when it is on', async (t) => {
  const lab = await ManagedLab.start(t);
  const [a, b] = [await lab.client(), await lab.client()];
  const bpdu = `0180c2000000020000000001${'0027'}${'42'.repeat(40)}`;
  await lab.send(a, bpdu);
  assert.deepEqual(b.take(), [bpdu]);
  lab.managed.setSpanningTree(true);
  await lab.send(a, bpdu);
  assert.deepEqual(
    b.take().filter((frame) => frame === bpdu),
    [],
  );
  assert.equal(lab.managed.hasSpanningTree, true);
  lab.managed.setSpanningTree(false);
  b.take();
  await lab.send(a, bpdu);
  assert.deepEqual(b.take(), [bpdu]);
});

test('what comes behind the first word of another bridge waits until it has been looked at', async (t) => {
  const lab = await ManagedLab.start(t, { spanningTree: true });
  const b = await lab.client();
  const word = `0180c2000000020000000001${'0027'}${'42'.repeat(40)}`;
  const data = `${ALL}020000000001${BODY}`;
  let a = await lab.client();
  for (let tries = 1; ; tries++) {
    // Both are there before this thread has its turn again; that the other one has had its turn by then is usual.
    for (const frame of [word, data]) a.raw.send(frameOf(frame));
    let hasArrived = false;
    const isCounted = (): boolean => {
      hasArrived ||= arrived(b) > 0;
      return hasArrived || blockedAt(lab, a.port) === 1;
    };
    await waitFor(isCounted, 5000, 'the frame to be counted');
    if (!hasArrived) break;
    assert.ok(tries < 20, 'it waits');
    a = await lab.client();
  }
  const passes = async (): Promise<boolean> => {
    await lab.send(a, data);
    return arrived(b) === 1;
  };
  await waitFor(passes, 5000, 'a frame to pass');
  for (const frame of [word, data]) a.raw.send(frameOf(frame));
  await waitFor(() => arrived(b) === 1, 5000, 'the frame behind the second word');
});

/** Frames that were not let in. */
function blockedAt({ service }: ManagedLab, number: number): number {
  const ends = service.ports.filter(({ port }) => port.number === number).flatMap((served) => served.ends);
  return ends.reduce((sum, { received }) => sum + (received.drops.blocked ?? 0), 0);
}
