/** A managed switch: ports, who is at them, VLANs, stations and events, with clients that are real sockets. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { batchOf } from '../../src/frames/batch.ts';
import { openPlug } from '../../src/index.ts';
import { MemoryPlug } from '../../src/plugs/memory.ts';
import { ManagedSwitch, NO_VLAN } from '../../src/switch/managed/managed-switch.ts';
import { bucketOf } from '../../src/switch/managed/station-table.ts';
import { unixPath } from '../../src/system/unix-address.ts';
import { errnoOf, frameOf, ManagedLab } from '../fixtures/managed-lab.ts';
import { abstractAddress, RawClient } from '../fixtures/raw-client.ts';
import { makeTemporaryDirectory, waitFor } from '../interop/harness.ts';

const ALL = 'ffffffffffff';
const A = '020000000001';
const B = '020000000002';
const BODY = `0800${'aa'.repeat(46)}`;
const VLAN_10 = '8100000a';

async function withoutClients(options: { readonly numPorts?: number } = {}): Promise<ManagedSwitch> {
  return new ManagedSwitch({ label: 'alone', ...options });
}

test('ports are made and removed by number, and refused with the numbers of vde_switch', async () => {
  await using managed = await withoutClients({ numPorts: 5 });
  assert.equal(managed.createPort(3), 3);
  assert.equal(managed.createPort(), 1);
  assert.equal(managed.createPort(0), 2, 'as no number');
  assert.equal(managed.createPort(5), 5, 'the highest, too');
  const shown = managed.ports.map(({ number, isActive, isAllocatable }) => [number, isActive, isAllocatable]);
  assert.deepEqual(
    shown,
    [1, 2, 3, 5].map((number) => [number, false, false]),
  );
  assert.equal(
    errnoOf(() => managed.createPort(3)),
    'EEXIST',
  );
  assert.equal(
    errnoOf(() => managed.createPort(6)),
    'EINVAL',
  );
  assert.equal(
    errnoOf(() => managed.createPort(-1)),
    'EINVAL',
  );
  assert.equal(managed.createPort(), 4);
  assert.equal(
    errnoOf(() => managed.createPort()),
    'ENOSPC',
  );
  assert.equal(
    errnoOf(() => managed.setNumPorts(4)),
    'EADDRINUSE',
  );
  managed.removePort(5);
  assert.equal(
    errnoOf(() => managed.removePort(5)),
    'ENXIO',
  );
  assert.equal(
    errnoOf(() => managed.removePort(6)),
    'EINVAL',
  );
  managed.setNumPorts(4);
  for (const count of [0, -1, 1.5, 1e6])
    assert.equal(
      errnoOf(() => managed.setNumPorts(count)),
      'EINVAL',
    );
  assert.equal(managed.numPorts, 4);
  assert.equal(
    errnoOf(() => managed.setAllocatable(0, true)),
    'ENXIO',
  );
  assert.equal(
    errnoOf(() => managed.setPortUser(77, 0)),
    'EINVAL',
  );
  assert.equal(
    errnoOf(() => managed.closeEndpoint(1, 1)),
    'ENXIO',
  );
  assert.equal(
    errnoOf(() => managed.resetCounters(77)),
    'EINVAL',
  );
  managed.removePort(1);
  managed.resetCounters(1);
  managed.setPortUser(2, 'any');
  managed.setPortGroup(2, 42);
  const [second] = managed.ports;
  assert.deepEqual([second?.user, second?.group], ['none', 42]);
});

test('VLANs are made, joined, left and removed, and refused with the numbers of vde_switch', async () => {
  await using managed = await withoutClients({ numPorts: 9 });
  for (const port of [1, 2]) managed.createPort(port);
  const members = (vlan: number): (string | number)[][] =>
    managed.vlans
      .find(({ number }) => number === vlan)!
      .ports.map(({ number, isTagged, isActive, status }) => [number, Number(isTagged), Number(isActive), status]);
  for (const vlan of [10, 20, 1, 4093]) managed.createVlan(vlan);
  assert.deepEqual(
    managed.vlans.map(({ number }) => number),
    [0, 1, 10, 20, 4093],
  );
  for (const vlan of [0, -1, 4094, 4095])
    assert.equal(
      errnoOf(() => managed.createVlan(vlan)),
      'EINVAL',
      `${vlan}`,
    );
  assert.equal(
    errnoOf(() => managed.createVlan(10)),
    'EEXIST',
  );
  assert.deepEqual(members(0), [
    [1, 0, 0, 'Learning'],
    [2, 0, 0, 'Learning'],
  ]);
  managed.addToVlan(10, 1);
  managed.addToVlan(10, 1);
  managed.addToVlan(0, 1);
  assert.deepEqual(members(0)[0], [1, 0, 0, 'Learning'], 'who is in it without a tag stays so');
  assert.deepEqual(members(10), [[1, 1, 0, 'Learning']]);
  assert.equal(
    errnoOf(() => managed.addToVlan(10, 4)),
    'ENXIO',
  );
  assert.equal(
    errnoOf(() => managed.addToVlan(7, 1)),
    'ENXIO',
  );
  assert.equal(
    errnoOf(() => managed.addToVlan(10, 99)),
    'EINVAL',
  );
  assert.equal(
    errnoOf(() => managed.addToVlan(4095, 1)),
    'EINVAL',
  );
  assert.equal(
    errnoOf(() => managed.removeVlan(10)),
    'EADDRINUSE',
  );
  managed.setPortVlan(1, 10);
  assert.deepEqual([members(0), members(10)], [[[2, 0, 0, 'Learning']], [[1, 0, 0, 'Learning']]]);
  assert.equal(
    errnoOf(() => managed.removeVlan(10)),
    'EADDRINUSE',
  );
  assert.equal(
    errnoOf(() => managed.removeFromVlan(10, 1)),
    'EADDRINUSE',
  );
  managed.removeFromVlan(20, 1);
  assert.equal(
    errnoOf(() => managed.setPortVlan(1, 30)),
    'ENXIO',
  );
  assert.equal(
    errnoOf(() => managed.setPortVlan(1, 4096)),
    'EINVAL',
  );
  assert.equal(
    errnoOf(() => managed.setPortVlan(4, 10)),
    'ENXIO',
  );
  managed.setPortVlan(1, NO_VLAN);
  assert.equal(managed.ports[0]?.untaggedVlan, NO_VLAN);
  managed.removeVlan(10);
  assert.equal(
    errnoOf(() => managed.removeVlan(10)),
    'ENXIO',
  );
  assert.equal(
    errnoOf(() => managed.removeVlan(0)),
    'EADDRINUSE',
  );
  managed.addToVlan(20, 2);
  managed.removePort(2);
  assert.deepEqual(members(20), [], 'with the port goes what it was in');
});

test('ports are given in order from 1 to the last one, and who comes then is told at once', async (t) => {
  const lab = await ManagedLab.start(t, { numPorts: 3 });
  lab.managed.createPort(2);
  const [third, first] = [await lab.client(3), await lab.client()];
  assert.equal(basename(third.dataPath).slice(0, 4), '003.');
  assert.match(basename(first.dataPath), /^001\.\d+$/);
  assert.equal(await lab.ask(), 'closed', 'port 2 is not given to whoever asks for any');
  assert.equal(await lab.ask(4), 'closed');
  await lab.client(2);
  lab.managed.setNumPorts(4);
  assert.equal((await lab.client()).port, 4);
  first.raw.close();
  await waitFor(() => !lab.managed.ports[0]?.isActive, 5000, 'port 1 to be left');
  assert.equal((await lab.client()).port, 1);
});

test('a port outlives who was at it: VLAN, counters and all', async (t) => {
  const lab = await ManagedLab.start(t);
  const [client, other] = [await lab.client(5, 'me'), await lab.client(6)];
  lab.managed.createVlan(7);
  lab.managed.setPortVlan(5, 7);
  await lab.send(client, ALL, A, BODY);
  assert.deepEqual(other.take(), []);
  assert.deepEqual(lab.counted(5), [1, 0]);
  const [active] = lab.managed.ports;
  assert.equal(active?.currentUser, process.geteuid?.());
  assert.equal(
    errnoOf(() => lab.managed.removePort(5)),
    'EADDRINUSE',
  );
  const id = active?.endpoints[0]?.id ?? 0;
  assert.deepEqual(
    active?.endpoints.map(({ module, description }) => [module, description]),
    [['unix prog', 'me']],
  );
  assert.equal(
    errnoOf(() => lab.managed.closeEndpoint(5, id + 77)),
    'ENXIO',
  );
  lab.managed.closeEndpoint(5, id);
  await client.letGo();
  const [left] = lab.managed.ports;
  assert.deepEqual(
    [left?.number, left?.isActive, left?.isAllocatable, left?.untaggedVlan, left?.currentUser, left?.endpoints],
    [5, false, true, 7, undefined, []],
  );
  assert.equal(existsSync(client.dataPath), false);
  const again = await lab.client(5);
  await lab.send(again, ALL, A, BODY);
  assert.deepEqual(lab.counted(5), [2, 0], 'goes on counting');
  lab.managed.resetCounters(5);
  assert.deepEqual(lab.counted(5), [0, 0]);
  again.raw.close();
  await waitFor(() => !lab.managed.ports[0]?.isActive, 5000, 'port 5 to be left');
  lab.managed.removePort(5);
  lab.managed.removeVlan(7);
  const endpoints = lab.events.filter((event) => 'port' in event && event.port === 5);
  assert.deepEqual(
    endpoints.map(({ kind }) => kind),
    [
      ...['port-added', 'endpoint-added', 'description', 'endpoint-removed', 'port-removed'],
      ...['endpoint-added', 'description', 'endpoint-removed', 'port-removed'],
    ],
  );
});

test('endpoints of one port get what is for it, and exchange nothing', async (t) => {
  const lab = await ManagedLab.start(t);
  const [one, two, other] = [await lab.client(3), await lab.client(3), await lab.client()];
  await lab.send(one, ALL, A, BODY);
  assert.deepEqual([one.take(), two.take(), other.take()], [[], [], [ALL + A + BODY]]);
  await lab.send(other, A, B, BODY);
  assert.deepEqual([one.take(), two.take(), other.take()], [[A + B + BODY], [A + B + BODY], []]);
  await lab.send(two, A, '020000000003', BODY);
  assert.deepEqual([one.take(), two.take(), other.take()], [[], [], []], 'not even to a station that is known there');
  assert.deepEqual(lab.counted(3), [2, 1], 'what leaves the port is one frame');
  const [first, second] = [lab.managed.ports[1]?.endpoints[1], lab.managed.ports[1]?.endpoints[0]];
  assert.ok((first?.id ?? 0) < (second?.id ?? 0), 'the newest is the first');
  one.raw.close();
  await waitFor(() => lab.managed.ports[1]?.endpoints.length === 1, 5000, 'one to leave');
  await lab.send(two, ALL, A, BODY);
  await lab.send(other, A, B, BODY);
  assert.deepEqual(two.take(), [A + B + BODY]);
  assert.deepEqual(lab.counted(3), [3, 2]);
});

test('tags are left alone until VLANs are set up, and say to which one a frame belongs from then on', async (t) => {
  const lab = await ManagedLab.start(t);
  const { managed } = lab;
  const [a, b, trunk] = [await lab.client(1), await lab.client(2), await lab.client(3)];
  const arrives = async (from: typeof a, tag: string, expected: (string | undefined)[]): Promise<void> => {
    await lab.send(from, ALL, A, tag, BODY);
    const frames = expected.map((form) => (form === undefined ? [] : [ALL + A + form + BODY]));
    assert.deepEqual([a.take(), b.take(), trunk.take()], frames, `${from.port} with tag ${tag}`);
  };
  await arrives(a, '', [undefined, '', '']);
  await arrives(a, VLAN_10, [undefined, VLAN_10, VLAN_10]);
  managed.createVlan(10);
  await arrives(a, VLAN_10, [undefined, undefined, undefined]);
  await arrives(a, '', [undefined, '', '']);
  managed.setPortVlan(1, 10);
  managed.addToVlan(10, 3);
  await arrives(a, '', [undefined, undefined, VLAN_10]);
  await arrives(trunk, '', [undefined, '', undefined]);
  await arrives(trunk, VLAN_10, ['', undefined, undefined]);
  await arrives(trunk, '8100600a', ['', undefined, undefined]);
  await arrives(trunk, '81000014', [undefined, undefined, undefined]);
  await arrives(b, VLAN_10, [undefined, undefined, undefined]);
  // A tag that says a priority alone.
  await arrives(trunk, '81006000', [undefined, '', undefined]);
  await arrives(a, '8100200a', [undefined, undefined, '8100200a']);
  managed.setPortVlan(3, NO_VLAN);
  await arrives(trunk, '', [undefined, undefined, undefined]);
  await arrives(b, '', [undefined, undefined, undefined]);
  await arrives(a, '', [undefined, undefined, VLAN_10]);
  assert.deepEqual(
    managed.stations.map(({ vlan, port, bucket }) => [vlan, port, bucket]),
    [
      [10, 1, 9],
      [0, 2, 43],
    ],
    'a station is one for each VLAN',
  );
  for (const port of [1, 3]) managed.setPortVlan(port, 0);
  managed.removeFromVlan(10, 3);
  managed.removeVlan(10);
  await arrives(a, VLAN_10, [undefined, VLAN_10, VLAN_10]);
});

test('what was heard before there were VLANs is forgotten: it may have been heard where the VLAN is not', async (t) => {
  const lab = await ManagedLab.start(t);
  const { managed } = lab;
  const [one, two, three] = [await lab.client(1), await lab.client(2), await lab.client(3)];
  await lab.send(two, ALL, A, VLAN_10, BODY);
  assert.deepEqual(one.take(), [ALL + A + VLAN_10 + BODY]);
  three.take();
  managed.createVlan(10);
  for (const port of [1, 3]) managed.addToVlan(10, port);
  await lab.send(one, A, B, VLAN_10, BODY);
  assert.deepEqual([two.take(), three.take()], [[], [A + B + VLAN_10 + BODY]]);
  for (const port of [1, 3]) managed.removeFromVlan(10, port);
  managed.removeVlan(10);
  assert.deepEqual(managed.stations, [], 'as is what was heard while there were some');
  await lab.send(two, ALL, A, VLAN_10, BODY);
  managed.setPortVlan(3, NO_VLAN);
  assert.deepEqual(managed.stations, [], 'also when no VLAN is made');
});

test('stations are known by the buckets of vde_switch, come and go as events, and are forgotten at another size', async (t) => {
  const lab = await ManagedLab.start(t);
  const seen: string[] = [];
  const end = lab.managed.listen((event) => {
    if ('mac' in event) seen.push(`${event.kind} ${event.mac} ${event.vlan} ${event.port}`);
  });
  const [a, b] = [await lab.client(1), await lab.client(2)];
  await lab.send(a, ALL, A, BODY);
  await lab.send(b, A, B, BODY);
  assert.deepEqual(
    lab.managed.stations.map(({ bucket, mac, port, ageSeconds }) => [bucket, mac, port, ageSeconds < 60]),
    [
      [43, '02:00:00:00:00:01', 1, true],
      [60, '02:00:00:00:00:02', 2, true],
    ],
  );
  assert.equal(bucketOf('02:00:00:00:00:01', 0, 32), 11);
  assert.equal(bucketOf('02:00:00:00:00:01', 20, 128), 63);
  await waitFor(() => seen.length >= 2, 5000, 'the news of stations');
  assert.deepEqual(seen.sort(), ['station-learned 02:00:00:00:00:01 0 1', 'station-learned 02:00:00:00:00:02 0 2']);
  seen.length = 0;
  b.raw.close();
  await waitFor(() => seen.length >= 1, 5000, 'the news that one went');
  assert.deepEqual(seen, ['station-forgotten 02:00:00:00:00:02 0 2']);
  end();
  lab.managed.setHash({ size: 100, expire: 5, gcInterval: 3, minPersistence: 0 });
  assert.deepEqual(lab.managed.hash, { size: 128, gcInterval: 3, expire: 5, minPersistence: 0 });
  assert.deepEqual(lab.managed.stations, []);
  for (const size of [0, -5, 2 ** 30])
    assert.equal(
      errnoOf(() => lab.managed.setHash({ size })),
      'EINVAL',
    );
  assert.equal(
    errnoOf(() => lab.managed.setHash({ expire: -1 })),
    'EINVAL',
  );
  assert.equal(seen.length, 1, 'nobody listens');
});

test('a station stays where it was heard for a while, and is elsewhere at once when that is not wanted', async (t) => {
  const lab = await ManagedLab.start(t);
  const [a, b] = [await lab.client(1), await lab.client(2)];
  const where = (): number | undefined => lab.managed.stations[0]?.port;
  await lab.send(a, ALL, A, BODY);
  await lab.send(b, ALL, A, BODY);
  assert.equal(where(), 1);
  lab.managed.setHash({ minPersistence: 0 });
  await lab.send(b, ALL, A, BODY);
  assert.equal(where(), 2);
});

test('a switch becomes a hub, and a switch again', async (t) => {
  const lab = await ManagedLab.start(t, { hub: true });
  const [a, b, c] = [await lab.client(), await lab.client(), await lab.client()];
  assert.equal(lab.managed.isHub, true);
  await lab.send(b, ALL, B, BODY);
  await lab.send(a, B, A, BODY);
  assert.equal(c.take().length, 2);
  lab.managed.setHub(false);
  await lab.send(b, ALL, B, BODY);
  await lab.send(a, B, A, BODY);
  assert.equal(c.take().length, 1);
  assert.equal(lab.managed.isHub, false);
});

test('port 0 is a port of its own, whose socket is for those who manage', async (t) => {
  const lab = await ManagedLab.start(t, {}, { mode: 0o666, managementMode: 0o640 });
  const [ordinary, zero] = [await lab.client(), await lab.client(0)];
  assert.equal(basename(zero.dataPath).slice(0, 4), '000.');
  const modeOf = (path: string): number => statSync(path).mode & 0o777;
  assert.deepEqual([modeOf(ordinary.dataPath), modeOf(zero.dataPath)], [0o666, 0o640]);
  await lab.send(zero, ALL, A, BODY);
  assert.deepEqual(ordinary.take(), [ALL + A + BODY]);
  assert.equal(
    errnoOf(() => lab.managed.createPort(0)),
    undefined,
  );
  assert.deepEqual(
    lab.managed.ports.map(({ number }) => number),
    [0, 1, 2],
  );
});

test('a directory whose path is as long as any may be is served, too', async (t) => {
  const short = makeTemporaryDirectory(t);
  const folder = join(short, 'x'.repeat(99 - short.length - '//sw'.length));
  mkdirSync(folder);
  const managed = new ManagedSwitch({ label: 'lab', numPorts: 4095 });
  t.after(() => managed.close());
  const { path } = await managed.serve(join(folder, 'sw'));
  assert.equal(path.length, 99);
  let names = 0;
  for (const port of [1, 4095, 4095]) {
    const raw = new RawClient(path, join(short, `c${names++}`)).ownedBy(t);
    raw.say(raw.request('', port));
    assert.notEqual(await raw.answer(5000), 'closed');
    raw.send(frameOf(ALL, A, BODY));
  }
});

test('requests in two pieces, and with an abstract address as UML has it, are served', async (t) => {
  const lab = await ManagedLab.start(t);
  const pieces = new RawClient(lab.path, join(makeTemporaryDirectory(t), 'c')).ownedBy(t);
  const request = pieces.request('');
  pieces.say(request.subarray(0, 50));
  pieces.say(request.subarray(50));
  assert.match(unixPath((await pieces.answer()) as Uint8Array), /\/001\.\d+$/);
  const abstract = new RawClient(lab.path, abstractAddress('managed')).ownedBy(t);
  abstract.say(Buffer.concat([abstract.request(''), Uint8Array.of(1, 2)]));
  const answer = await abstract.answer();
  assert.equal(answer.length, 110);
  abstract.send(frameOf(ALL, A, BODY));
  assert.deepEqual(Buffer.from(await pieces.receive()).toString('hex'), ALL + A + BODY);
  pieces.send(frameOf(A, B, BODY));
  assert.deepEqual(Buffer.from(await abstract.receive()).toString('hex'), A + B + BODY);
});

test('our own plugs get ports by number, and those of this process are attached, and closed with their endpoint', async (t) => {
  const lab = await ManagedLab.start(t);
  const plug = await openPlug(`vde://${lab.path}[7]`);
  t.after(() => plug.close());
  const arrived: string[] = [];
  plug.start((batch) => {
    for (let i = 0; i < batch.count; i++) arrived.push(Buffer.from(batch.frame(i)).toString('hex'));
  });
  const [inside, outside] = MemoryPlug.pair();
  let isDown = false;
  outside.start(() => undefined, { down: () => (isDown = true) });
  const number = lab.managed.attach(inside, { module: 'tuntap', description: 'tap0' });
  assert.equal(number, 1);
  outside.send(batchOf([frameOf(ALL, A, BODY)]));
  await waitFor(() => arrived.length > 0, 5000, 'the frame');
  assert.deepEqual(arrived, [ALL + A + BODY]);
  const [port] = lab.managed.ports;
  assert.deepEqual(
    port?.endpoints.map(({ module, description }) => [module, description]),
    [['tuntap', 'tap0']],
  );
  assert.deepEqual(lab.counted(1), [1, 0]);
  assert.equal(
    errnoOf(() => lab.managed.closeEndpoint(1, port?.endpoints[0]?.id ?? 0)),
    undefined,
  );
  assert.equal(isDown, true);
  assert.equal(lab.managed.ports[0]?.isActive, false);
});

test('who removes or replaces the socket in the directory ends nothing; who serves there instead does', async (t) => {
  const news: string[] = [];
  let reason: string | undefined;
  const lost = (why: string): void => {
    reason = why;
  };
  const lab = await ManagedLab.start(t, {}, { lost, restored: (what) => news.push(what) });
  const control = join(lab.path, 'ctl');
  const [a, b] = [await lab.client(), await lab.client()];
  renameSync(control, join(lab.path, '.1-1'));
  await waitFor(() => news.length === 1, 5000, 'a new socket');
  assert.deepEqual(news, ['ctl was removed or replaced, and has been made again']);
  rmSync(control);
  writeFileSync(control, '');
  await waitFor(() => news.length === 2, 5000, 'another one');
  const c = await lab.client();
  await lab.send(a, ALL, A, BODY);
  assert.deepEqual([b.take(), c.take()], [[ALL + A + BODY], [ALL + A + BODY]]);
  assert.equal(reason, undefined);
  rmSync(control);
  const other = createServer();
  t.after(() => other.close());
  await new Promise<void>((done) => other.listen(control, done));
  await a.letGo();
  assert.match(reason ?? '', /removed or replaced/);
  assert.equal(news.length, 2);
});

test('closing it lets everybody go, and leaves nothing behind', async (t) => {
  const lab = await ManagedLab.start(t);
  const client = await lab.client();
  const [inside, outside] = MemoryPlug.pair();
  let isDown = false;
  outside.start(() => undefined, { down: () => (isDown = true) });
  lab.managed.attach(inside, { module: 'tuntap', description: 'tap0' });
  await lab.managed.close();
  await client.letGo();
  assert.equal(isDown, true);
  assert.equal(existsSync(lab.path), false);
  await assert.rejects(lab.managed.serve(lab.path), { code: 'ERR_CLOSED' });
});
