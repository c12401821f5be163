/** A program that uses the library: what it runs comes and goes, and what it ended touches nothing that goes on. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectControl } from '../../src/control/client.ts';
import { NamespaceItem } from '../../src/inventory/namespace-item.ts';
import { RateMeter } from '../../src/inventory/rates.ts';
import { ProcessControl } from '../../src/inventory/serve-control.ts';
import type { NamespaceStatus, ProcessStatus } from '../../src/inventory/status.ts';
import { openPlug } from '../../src/locator/open-plug.ts';
import { type Namespace, openNamespace } from '../../src/namespace/namespace.ts';
import { AGAIN, native } from '../../src/system/native.ts';
import { SOCK_SEQPACKET } from '../../src/system/unix-address.ts';
import { useOwnDirectory } from '../fixtures/own-runtime-directory.ts';
import { makeTemporaryDirectory, requireCommands, waitFor } from '../interop/harness.ts';

const WAIT_MS = 20_000;

async function makeItem(t: TestContext, name: string, locator = 'null://'): Promise<NamespaceItem> {
  const namespace = await openNamespace({ interfaces: [{ name, addresses: ['10.0.0.1/24'] }] });
  t.after(() => namespace.close());
  const network = await openPlug(locator);
  t.after(() => network.close());
  return new NamespaceItem(namespace, [{ tap: namespace.interfaces[0]!.plug, network }], []);
}

async function statusOf(path: string): Promise<ProcessStatus> {
  using control = await connectControl(path);
  return (await control.request('status')) as unknown as ProcessStatus;
}

async function run(namespace: Namespace, ...command: readonly string[]): Promise<void> {
  assert.equal(await namespace.run(command, { stdio: 'inherit' }).exit, 0);
}

test('a namespace that was closed is not asked any more: what has the number of its socket now receives nothing', async (t) => {
  const item = await makeItem(t, 'eth0');
  const { rtnetlink } = item.namespace;
  await item.describe(new RateMeter());
  await item.namespace.close();
  // The lowest numbers that are free: those that the namespace had are among them.
  const ends = Array.from({ length: 8 }, () => new Int32Array(2));
  for (const pair of ends) assert.equal(native.openSocketPair(SOCK_SEQPACKET, pair), 0);
  t.after(() => {
    for (const fd of ends.flatMap((pair) => [...pair])) native.closeDescriptor(fd);
  });
  await assert.rejects(item.describe(new RateMeter()), { code: 'ERR_CLOSED' });
  await assert.rejects(rtnetlink.links(), { code: 'ERR_CLOSED' });
  const buffer = new Uint8Array(4096);
  for (const fd of ends.flatMap((pair) => [...pair])) assert.equal(native.receive(fd, buffer), AGAIN);
});

test('names stay when a namespace is closed and the process goes on, and what is closed is left out', async (t) => {
  const directory = useOwnDirectory(t);
  const [first, second] = [await makeItem(t, 'one'), await makeItem(t, 'two')];
  const control = new ProcessControl({ command: 'program', prefix: 'program', name: 'lab' });
  t.after(() => control.close());
  control.add(async () => first);
  control.add(async () => second);
  await control.ready;
  const path = join(directory, 'lab');
  assert.equal((await statusOf(path)).items.length, 2);
  await first.namespace.close();
  // Its helper has ended by now.
  assert.ok(existsSync(path));
  assert.deepEqual(
    (await statusOf(path)).items.map((item) => item.kind === 'namespace' && item.interfaces[0]?.name),
    ['two'],
  );
  // Of two, one is left, and need not be chosen.
  using client = await connectControl(path);
  assert.equal((await client.request('enter'))['pid'], second.namespace.pid);
  await second.namespace.close();
  assert.ok(existsSync(path));
  control.close();
  assert.equal(existsSync(path), false);
});

test('a name that is older than a namespace is removed with a process that is killed', async (t) => {
  const directory = useOwnDirectory(t);
  const source = (name: string): string => JSON.stringify(join(import.meta.dirname, '../../src', name));
  const program = `
    const { ProcessControl } = await import(${source('inventory/serve-control.js')});
    const { openNamespace } = await import(${source('namespace/namespace.js')});
    await new ProcessControl({ command: 'program', prefix: 'program', name: 'lab' }).ready;
    await openNamespace();
    process.kill(process.pid, 'SIGKILL');`;
  const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.deepEqual([signal, stderr], ['SIGKILL', '']);
  await waitFor(() => !existsSync(join(directory, 'lab')), WAIT_MS, 'the name to be removed');
});

test('what is added can be removed, also before it was loaded; what cannot be loaded ends nobody', async (t) => {
  const directory = useOwnDirectory(t);
  const item = await makeItem(t, 'eth0');
  const control = new ProcessControl({ command: 'program', prefix: 'program', name: 'lab' });
  t.after(() => control.close());
  const never = control.add(() => Promise.reject(new Error('this is not to be loaded')));
  never();
  const remove = control.add(async () => item);
  control.add(() => Promise.reject(new Error('it cannot be looked at')));
  await control.ready;
  control.add(() => Promise.reject(new Error('nor this')));
  const path = join(directory, 'lab');
  assert.equal((await statusOf(path)).items.length, 1);
  remove();
  remove();
  assert.deepEqual((await statusOf(path)).items, []);
  let loaded: (item: NamespaceItem) => void = () => undefined;
  const late = control.add(() => new Promise((resolve) => (loaded = resolve)));
  late();
  loaded(item);
  await sleep(0);
  assert.deepEqual((await statusOf(path)).items, []);
});

test('who waits until it can be asked waits for that, and not for ever', async (t) => {
  const directory = useOwnDirectory(t);
  const control = new ProcessControl({ command: 'program', prefix: 'program' });
  await control.ready;
  assert.ok(existsSync(join(directory, `program-${process.pid}`)));
  control.close();
  await control.ready;
  const closed = new ProcessControl({ command: 'program', prefix: 'program' });
  closed.close();
  await closed.ready;
  assert.equal(existsSync(join(directory, `program-${process.pid}`)), false);
  // In a program that has nothing else to do: with an await that is never over, Node.js exits with 13.
  const source = JSON.stringify(join(import.meta.dirname, '../../src/inventory/serve-control.js'));
  const program = `
    const { ProcessControl } = await import(${source});
    const control = new ProcessControl({ command: 'program', prefix: 'program' });
    await control.ready;
    console.log('ready');
    control.close();`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.deepEqual([status, stdout], [0, 'ready\n']);
});

test('at a switch that is served here the others are counted', async (t) => {
  const lan = join(makeTemporaryDirectory(t), 'lan');
  const item = await makeItem(t, 'eth0', `switch://${lan}`);
  const peers = async (): Promise<NamespaceStatus['interfaces'][number]['peers']> =>
    (await item.describe(new RateMeter())).interfaces[0]?.peers ?? [];
  assert.deepEqual(await peers(), []);
  const client = await openPlug(lan);
  t.after(() => client.close());
  await waitFor(async () => (await peers()).length === 1, WAIT_MS, 'the client');
  assert.equal((await peers())[0]?.pid, process.pid);
});

test('an interface that was renamed inside has its addresses, and one that was removed is gone', async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const item = await makeItem(t, 'eth0');
  const look = async (): Promise<NamespaceStatus['interfaces'][number]> => {
    const [found] = (await item.describe(new RateMeter())).interfaces;
    assert.ok(found !== undefined);
    return found;
  };
  const before = await look();
  await run(item.namespace, 'sh', '-c', 'ip link set eth0 down && ip link set eth0 name lan0 && ip link set lan0 up');
  const renamed = await look();
  assert.deepEqual([renamed.name, renamed.link.id, renamed.mac], ['lan0', 'eth0', before.mac]);
  assert.ok(renamed.addresses.includes('10.0.0.1/24'));
  assert.deepEqual(renamed.notes, ['the interface eth0 was renamed lan0']);
  await run(item.namespace, 'ip', 'link', 'delete', 'lan0');
  const gone = await look();
  assert.deepEqual([gone.name, gone.mac, gone.notes], ['eth0', '', ['the interface eth0 is gone']]);
});
