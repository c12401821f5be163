/** What a process answers to those who want to look at its frames. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { OperationContext, Operations } from '../../../src/control/operation.ts';
import { captureOperations } from '../../../src/inventory/capture-operations.ts';
import { Inventory, type InventoryItem, type Link } from '../../../src/inventory/inventory.ts';
import { PlugCounters } from '../../../src/plugs/counters.ts';

const RECORDING = { seconds: 30, bytes: 262_144, snap: 96 };

function linkCalled(id: string, network: string): Link {
  const counters = new PlugCounters();
  return { id, network, plug: undefined, counters, isReversed: false, otherEnds: [], description: 'somebody' };
}

type Running = Pick<InventoryItem, 'kind' | 'links'>;

/** A switch with three ports. */
function lan(): Running {
  const links = [linkCalled('port 1', '/tmp/lan'), linkCalled('port 2', '/tmp/lan'), linkCalled('port 12', '/tmp/lan')];
  return { kind: 'switch', links: () => links };
}

/** Asks; what it has begun ends with the test. */
function operations(
  t: TestContext,
  running: readonly Running[] = [lan()],
): (action: string, fields?: object, signal?: AbortSignal) => Readonly<Record<string, unknown>> {
  const inventory = new Inventory('test');
  for (const item of running) inventory.add({ ...item, describe: () => Promise.reject(new Error('not asked')) });
  const all: Operations = captureOperations(inventory);
  t.after(() => void all['record']?.({ seconds: 0 }, contextOf()));
  return (action, fields = {}, signal) => all[action]?.({ ...fields }, contextOf(signal)) as Record<string, unknown>;
}

function contextOf(signal: AbortSignal = new AbortController().signal): OperationContext {
  return { signal, send: () => undefined } as unknown as OperationContext;
}

test('a recording is not thrown away for another one', (t) => {
  const ask = operations(t);
  ask('record', { ...RECORDING, link: 'port 1' });
  for (const other of [{}, { link: 'port 2' }, { link: 'port 1', bytes: 1_048_576 }, { link: 'port 1', snap: 60 }])
    assert.throws(
      () => ask('record', { ...RECORDING, ...other }),
      /there is a recording of port 1 already \(30 s, 0.25 MiB/,
    );
  // The same for longer is no other.
  assert.equal(ask('record', { ...RECORDING, seconds: 60, link: 'port 1' })['isOn'], true);
  assert.equal(ask('record-take')['seconds'], 60);
  assert.throws(() => ask('record', { seconds: 0, link: 'port 2' }), /what is recorded here is port 1, and not/);
  assert.deepEqual(ask('record', { seconds: 0 }), { isOn: false, wasOn: true });
});

test('what is taken is what was asked for', (t) => {
  const ask = operations(t);
  ask('record', RECORDING);
  assert.deepEqual(ask('record-take')['chosen'], [0, 1, 2]);
  for (const [link, chosen] of [
    ['any', [0, 1, 2]],
    ['port 2', [1]],
    ['port2', [1]],
    ['2', [1]],
    ['12', [2]],
    ['/tmp/lan', [0, 1, 2]],
  ] as const)
    assert.deepEqual(ask('record-take', { link })['chosen'], chosen, link);
  assert.throws(
    () => ask('record-take', { link: 'port 7' }),
    /nothing was recorded of "port 7"; there are: port 1, port 2/,
  );
  ask('record', { seconds: 0 });
  ask('record', { ...RECORDING, kind: 'switch', network: '/tmp/lan' });
  assert.throws(() => ask('record-take', { kind: 'namespace' }), /what is recorded here is the switch \/tmp\/lan/);
});

test('who asks for a switch does not get, or end, the recording of a namespace beside it', (t) => {
  const vde0 = linkCalled('vde0', 'switch:///tmp/lan');
  const ask = operations(t, [lan(), { kind: 'namespace', links: () => [vde0] }]);
  ask('record', RECORDING);
  const switched = { kind: 'switch', network: '/tmp/lan' };
  for (const [action, fields] of [
    ['record-take', switched],
    ['record', { ...switched, seconds: 0 }],
  ] as const)
    assert.throws(() => ask(action, fields), /what is recorded here is vde0, and not what was asked for/);
  assert.equal(ask('record', { ...RECORDING, seconds: 60 })['seconds'], 60);
  const { interfaces, end } = ask('record-take');
  assert.deepEqual([interfaces, end], [[{ name: 'vde0', description: 'switch:///tmp/lan, somebody' }], 0]);
});

test('where nothing can ever pass, that is said', (t) => {
  const ring = { bytes: 262_144, snap: 96 };
  const alone = operations(t, [{ kind: 'namespace', links: () => [] }]);
  for (const action of ['capture-start', 'record'])
    assert.throws(() => alone(action, { ...ring, seconds: 3 }), /the namespace has no network\. Start it with one/);
  const waiting = operations(t, [{ kind: 'switch', links: () => [] }]);
  assert.deepEqual(waiting('capture-start', ring), { interfaces: [], missed: [] });
});

test('eight capture at a time; who is the ninth waits until the connection of one ends', (t) => {
  const ask = operations(t);
  const connections = Array.from({ length: 9 }, () => new AbortController());
  t.after(() => {
    for (const each of connections) each.abort();
  });
  const start = ({ signal }: AbortController) => ask('capture-start', { bytes: 262_144, snap: 96 }, signal);
  for (const each of connections.slice(0, 8)) start(each);
  assert.throws(() => start(connections[8]!), /8 captures look here already.*End one of them/);
  connections[3]!.abort();
  assert.deepEqual(start(connections[8]!)['missed'], []);
});

test('a port may be called as where it is impaired', (t) => {
  const ask = operations(t);
  for (const link of ['port 2', 'port2', '2']) {
    const { interfaces, missed } = ask('capture-start', { bytes: 262_144, snap: 96, link });
    assert.deepEqual([interfaces, missed], [[{ name: 'port 2', description: '/tmp/lan, somebody' }], []]);
  }
});
