/** What runs: every command says on its control socket what it is and does, and is found by name, pid and directory. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectControl } from '../../src/control/client.ts';
import { runtimeDirectory } from '../../src/control/runtime-directory.ts';
import { connectToProcess, findProcess, type ListedProcess, listProcesses } from '../../src/inventory/find-process.ts';
import type { ItemStatus, ProcessStatus } from '../../src/inventory/status.ts';
import { AGAIN, native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../../src/system/unix-address.ts';
import { useOwnDirectory } from '../fixtures/own-runtime-directory.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';

const WAIT_MS = 20_000;
const KIND_PREFIX = /^(vdens|switch|plug)-\d+$/;

/** What a process says when it is as the test wants it. */
function statusWhen(
  isMeant: (process: ListedProcess) => boolean,
  what: string,
  holds: (status: ProcessStatus) => boolean = () => true,
): Promise<ProcessStatus> {
  return waitFor(
    async () => {
      const found = (await listProcesses({ timeoutMs: WAIT_MS })).find(isMeant);
      const status = found !== undefined && 'items' in found.answer ? found.answer : undefined;
      return status !== undefined && holds(status) ? status : undefined;
    },
    WAIT_MS,
    what,
  );
}

function itemOf<K extends ItemStatus['kind']>(status: ProcessStatus, kind: K): Extract<ItemStatus, { kind: K }> {
  const item = status.items.find((each) => each.kind === kind);
  assert.ok(item !== undefined, `there is a ${kind}`);
  return item as Extract<ItemStatus, { kind: K }>;
}

/** A vdens whose command says that it runs. */
async function startVdens(t: TestContext, ...words: readonly string[]): Promise<BackgroundCommand> {
  const started = await spawnBackground(t, [ours('vdens'), ...words, 'sh', '-c', 'echo ready; exec sleep 60']);
  await started.waitForOutput(/^ready$/m, WAIT_MS);
  return started;
}

test('two namespaces on a switch that one of them serves, with addresses, peers, stations and counters', async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const directory = useOwnDirectory(t);
  const lan = join(makeTemporaryDirectory(t), 'lan');
  const web = await startVdens(
    t,
    '--name',
    'web',
    '--mac',
    '02:00:00:00:00:01',
    '--address',
    '10.0.0.1/24',
    `switch://${lan}`,
  );
  // With a name it is there before the command runs.
  assert.deepEqual(readdirSync(directory), ['web']);
  const client = await spawnBackground(t, [
    ours('vdens'),
    ...['--mac', '02:00:00:00:00:02', '--mtu', '1400', '--address', '10.0.0.2/24', '--gateway', '10.0.0.1'],
    ...[`switch://${lan}`, 'ping', '-c', '3', '-i', '0.2', '-W', '5', '10.0.0.1'],
  ]);
  await client.waitForOutput(/3 received/, WAIT_MS);
  const served = await statusWhen(
    ({ name }) => name === 'web',
    'the switch and its stations',
    (status) => {
      const item = status.items.find(({ kind }) => kind === 'switch');
      return item?.kind === 'switch' && item.ports.length >= 1 && item.stations.some(({ mac }) => mac.endsWith(':01'));
    },
  );
  assert.equal(served.command, 'vdens');
  assert.equal(served.pid, web.pid);
  const namespace = itemOf(served, 'namespace');
  assert.deepEqual(namespace.command, ['sh', '-c', 'echo ready; exec sleep 60']);
  const [vde0] = namespace.interfaces;
  assert.equal(vde0?.mac, '02:00:00:00:00:01');
  assert.ok(vde0.addresses.includes('10.0.0.1/24'));
  assert.deepEqual([vde0.isUp, vde0.hasCarrier, vde0.isServedHere, vde0.mtu], [true, true, true, 1500]);
  // Three requests came to the interface, and it sent three answers; ARP besides.
  assert.ok(vde0.link.received.frames >= 4, JSON.stringify(vde0.link));
  assert.ok(vde0.link.sent.frames >= 4 && vde0.link.sent.bytes >= 3 * 98);
  assert.deepEqual([vde0.link.id, vde0.link.network], ['vde0', `switch://${lan}`]);
  const segment = itemOf(served, 'switch');
  assert.deepEqual([segment.path, segment.isHub], [lan, false]);
  const local = segment.ports.find(({ kind }) => kind === 'local');
  // What the interface sent came into the switch at its port.
  assert.ok(local !== undefined && local.link.received.frames >= 4);
});

test('a client of a switch, in its own words and in those of the switch', async (t) => {
  useOwnDirectory(t);
  const lan = join(makeTemporaryDirectory(t), 'lan');
  const service = await spawnBackground(t, [ours('vde'), 'switch', '--quiet', lan]);
  await waitFor(() => existsSync(join(lan, 'ctl')), WAIT_MS, 'the switch');
  const guest = await startVdens(t, '--name', 'guest', '--address', '10.0.0.2/24', '--gateway', '10.0.0.1', lan);
  const inside = await statusWhen(
    ({ name }) => name === 'guest',
    'the guest',
    ({ items }) => items.length > 0,
  );
  const { interfaces, gateways } = itemOf(inside, 'namespace');
  assert.deepEqual(interfaces[0]?.peers, [{ name: 'switch', pid: service.pid, uid: process.geteuid?.() }]);
  assert.deepEqual(gateways, ['10.0.0.1']);
  assert.equal(interfaces[0]?.isServedHere, false);
  const outside = await statusWhen(({ pid }) => pid === service.pid, 'the switch');
  assert.match(outside.name, /^switch-\d+$/);
  assert.equal(outside.command, 'vde switch');
  const [port] = itemOf(outside, 'switch').ports;
  assert.deepEqual([port?.peer?.pid, port?.peer?.uid], [guest.pid, process.geteuid?.()]);
  assert.match(port?.peer?.name ?? '', /^vdens user=\d+ pid=\d+$/);
  assert.equal(port?.link.id, `port ${port?.number}`);
  // By its directory it is found, by its pid and by its name.
  for (const word of [lan, `${lan}/`, `${service.pid}`, outside.name]) {
    assert.equal(findProcess(word).pid, service.pid, word);
  }
  assert.equal(findProcess('guest').pid, guest.pid);
  assert.equal(findProcess(join(runtimeDirectory(), 'guest')).pid, guest.pid);
});

test('a managed switch, a cable and a gateway', async (t) => {
  useOwnDirectory(t);
  const folder = makeTemporaryDirectory(t);
  const [managed, hub] = [join(folder, 'managed'), join(folder, 'hub')];
  const service = await spawnBackground(t, [ours('vde_switch'), '--sock', managed]);
  await waitFor(() => existsSync(join(managed, 'ctl')), WAIT_MS, 'the switch');
  const cable = await spawnBackground(t, [ours('vde_plug'), `hub://${hub}`, managed]);
  const way = await spawnBackground(t, [ours('vde_plug'), 'slirp:///tcpfwd=127.0.0.1:0:10.0.2.15:80', managed]);
  const seen = await statusWhen(
    ({ pid }) => pid === service.pid,
    'both clients of the managed switch',
    (status) => {
      const item = status.items.find(({ kind }) => kind === 'switch');
      return item?.kind === 'switch' && item.ports.length === 2;
    },
  );
  assert.equal(seen.command, 'vde_switch');
  assert.deepEqual(new Set(itemOf(seen, 'switch').ports.map(({ peer }) => peer?.pid)), new Set([cable.pid, way.pid]));
  const joined = await statusWhen(({ pid }) => pid === cable.pid, 'the cable');
  assert.match(joined.name, /^plug-\d+$/);
  assert.equal(joined.command, 'vde_plug');
  assert.deepEqual(
    itemOf(joined, 'cable').links.map(({ id, network }) => [id, network]),
    [
      ['left', `hub://${hub}`],
      ['right', managed],
    ],
  );
  assert.equal(itemOf(joined, 'switch').isHub, true);
  const gateway = itemOf(await statusWhen(({ pid }) => pid === way.pid, 'the gateway'), 'gateway');
  assert.deepEqual(gateway.addresses, ['10.0.2.2/24', 'fd00::2/64']);
  assert.deepEqual(
    gateway.forwards.map(({ protocol, guestAddress, guestPort }) => [protocol, guestAddress, guestPort]),
    [['tcp', '10.0.2.15', 80]],
  );
});

test('of two with one name the second is refused before its command runs, and says who has it', async (t) => {
  useOwnDirectory(t);
  const first = await startVdens(t, '--name', 'web', 'null://');
  const second = await runCommand([ours('vdens'), '--name', 'web', 'null://', 'echo', 'ran']);
  assert.equal(second.stdout, '');
  assert.match(second.stderr, new RegExp(`^vdens: --name web: the name is taken by process ${first.pid}\\.`));
  assert.notEqual(second.status, 0);
  mkdirSync(join(runtimeDirectory(), 'folder'));
  const third = await runCommand([ours('vdens'), '--name', 'folder', 'null://', 'echo', 'ran']);
  assert.equal(third.stdout, '');
  assert.match(
    third.stderr,
    /^vdens: --name folder: there is something else of that name in .*\. Choose another name, or/,
  );
});

test('names go with their processes, also with those that are killed; one that is stopped holds up nobody', async (t) => {
  const directory = useOwnDirectory(t);
  const [killed, ended, stopped, fine] = [
    await startVdens(t, '--name', 'killed', 'null://'),
    await startVdens(t, '--name', 'ended', 'null://'),
    await startVdens(t, '--name', 'stopped', 'null://'),
    await startVdens(t, '--name', 'fine', 'null://'),
  ];
  killed.kill('SIGKILL');
  ended.kill('SIGTERM');
  await Promise.all([killed, ended].map((each) => each.waitForExit(WAIT_MS)));
  process.kill(stopped.pid, 'SIGSTOP');
  t.after(() => stopped.kill('SIGCONT'));
  const start = performance.now();
  const listed = await listProcesses({ timeoutMs: 400 });
  const tookMs = performance.now() - start;
  assert.deepEqual(
    listed.map(({ name, pid, answer }) => [name, pid, 'code' in answer ? answer.code : 'answers']),
    [
      ['fine', fine.pid, 'answers'],
      ['stopped', stopped.pid, 'ERR_NETWORK_TIMEOUT'],
    ],
  );
  assert.ok(tookMs < 5000, `${tookMs} ms`);
  assert.deepEqual(readdirSync(directory).sort(), ['fine', 'stopped']);
  assert.throws(() => findProcess('killed'), {
    code: 'ERR_CONTROL',
    errno: 'ENOENT',
    message: /What runs: fine, stopped/,
  });
  assert.throws(() => findProcess('finne'), { message: /Did you mean: fine/ });
  assert.throws(() => findProcess(`${killed.pid}`), { code: 'ERR_CONTROL' });
  assert.throws(() => findProcess(join(directory, 'nowhere')), { message: /there is no directory of a switch/ });
  assert.throws(() => findProcess(directory), { message: /no switch is there/ });
  // A name that is free again can be had again.
  await startVdens(t, '--name', 'killed', 'null://');
});

test('a process that is stopped is not worn out by those who look at it, and can be entered when it is', async (t) => {
  const directory = useOwnDirectory(t);
  const stopped = await startVdens(t, '--name', 'stopped', 'null://');
  process.kill(stopped.pid, 'SIGSTOP');
  t.after(() => stopped.kill('SIGCONT'));
  const path = join(directory, 'stopped');
  const visitors: number[] = [];
  t.after(() => visitors.splice(0).forEach((fd) => void native.closeDescriptor(fd)));
  const visit = (): number => {
    const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
    visitors.push(fd);
    return native.connectSocket(fd, unixAddress(path));
  };
  for (let look = 0; look < 200; look++) assert.equal(findProcess('stopped').pid, stopped.pid);
  assert.equal(visit(), 0, 'there is room');
  await waitFor(() => visit() === AGAIN, WAIT_MS, 'no room');
  // Who looks now finds out why; nobody waits until it is too late.
  assert.equal(findProcess(`${stopped.pid}`).name, 'stopped');
  const [listed] = await listProcesses({ timeoutMs: 200 });
  assert.equal(listed?.pid, stopped.pid);
  assert.ok('message' in listed.answer && listed.answer.message.includes(`kill -CONT ${stopped.pid}`));
  await assert.rejects(connectToProcess('stopped'), { code: 'ERR_NETWORK_TIMEOUT', message: /as it was stopped/ });
  const { stdout } = await runCommand([ours('vde'), 'ls']);
  assert.match(stdout, /does not answer \(stopped\)/);
  const entered = await runCommand([ours('vde'), 'exec', 'stopped', 'echo', 'inside']);
  assert.deepEqual([entered.stdout, entered.stderr, entered.status], ['inside\n', '', 0]);
});

test('a process that ends while it is asked is not in the list, and its socket does not stay', async (t) => {
  const directory = useOwnDirectory(t);
  const path = join(directory, 'dying');
  const source = `require('node:net').createServer((socket) => {
    socket.on('data', () => process.kill(process.pid, 'SIGKILL'));
  }).listen(process.argv[1], () => console.log('ready'));`;
  const dying = await spawnBackground(t, [process.execPath, '-e', source, path]);
  await dying.waitForOutput(/^ready$/m, WAIT_MS);
  assert.deepEqual(await listProcesses({ timeoutMs: WAIT_MS }), []);
  assert.deepEqual(readdirSync(directory), []);
});

test('a socket that a process left is no reason to be refused its name', async (t) => {
  const directory = useOwnDirectory(t);
  const left = await spawnBackground(t, [ours('vde_plug'), 'null://', 'null://']);
  const name = await waitFor(
    () => readdirSync(directory).find((each) => KIND_PREFIX.test(each)),
    WAIT_MS,
    'its socket',
  );
  left.kill('SIGKILL');
  await left.waitForExit(WAIT_MS);
  assert.deepEqual(readdirSync(directory), [name]);
  await startVdens(t, '--name', name, 'null://');
  const control = await connectControl(join(directory, name));
  assert.equal((await control.request('status'))['name'], name);
  control.close();
});

test('without control sockets there are none; a name needs one', async (t) => {
  const directory = useOwnDirectory(t);
  const env = { VDENS_CONTROL: '0' };
  const quiet = await spawnBackground(t, [ours('vdens'), 'null://', 'sh', '-c', 'echo ready; exec sleep 60'], { env });
  await quiet.waitForOutput(/^ready$/m, WAIT_MS);
  await sleep(300);
  assert.deepEqual(readdirSync(directory), []);
  const named = await runCommand([ours('vdens'), '--name', 'web', 'null://', 'echo', 'ran'], { env });
  assert.equal(named.stdout, '');
  assert.match(named.stderr, /with VDENS_CONTROL=0 nothing has a name/);
});

test('a directory that cannot be trusted ends nobody who has no name, and is said to who has one', async (t) => {
  const directory = useOwnDirectory(t);
  const env = { VDENS_RUNTIME_DIR: join(directory, 'no', 'such') };
  const run = await runCommand([ours('vdens'), 'null://', 'sh', '-c', 'sleep 0.3; echo ran'], { env });
  assert.deepEqual([run.stdout, run.stderr, run.status], ['ran\n', '', 0]);
  const debug = { ...env, VDENS_DEBUG: '1' };
  const told = await spawnBackground(t, [ours('vdens'), 'null://', 'sleep', '60'], { env: debug });
  await told.waitForOutput(/^vdens: no control socket: .*cannot make the directory/m, WAIT_MS);
  const named = await runCommand([ours('vdens'), '--name', 'web', 'null://', 'echo', 'ran'], { env });
  assert.equal(named.stdout, '');
  assert.match(named.stderr, /cannot make the directory for control sockets/);
});
