/**
 * TAP handover between real processes: who moves the frames, what is counted, and that nothing is left behind when
 * either side leaves, dies, or lies.
 *
 * ```
 * namespace A  vde0 ──TAP── vdens ─ ─ offer ─ ─▶ server ──TAP── vde0  namespace B
 *                             └── its data socket, idle ──┘
 * ```
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  batchOf,
  cable,
  createSwitch,
  MemoryPlug,
  type Namespace,
  openNamespace,
  openPlug,
  type Switch,
  type SwitchPort,
} from '../../src/index.ts';
import { COUNTER_VALUES } from '../../src/plugs/counters.ts';
import { HandoverChannel } from '../../src/plugs/handover.ts';
import { HealingPlug } from '../../src/plugs/healing.ts';
import { openSwitchNetwork } from '../../src/switch/switch-network.ts';
import type { SwitchService } from '../../src/switch/switch-service.ts';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_SEQPACKET, unixAddress } from '../../src/system/unix-address.ts';
import { emitHandover, type HandoverMessage, parseHandover } from '../../src/wire/handover.ts';
import { type Count, LanHost, type PlugCount, tapsOf } from '../fixtures/lan-host.ts';
import { makeSharedDirectory, requireOtherUser } from '../fixtures/other-user.ts';
import { RawClient } from '../fixtures/raw-client.ts';
import { serveDirectory } from '../fixtures/served-directory.ts';
import {
  makeTemporaryDirectory,
  original,
  requireCommands,
  runCommand,
  waitFor,
  waitWithin,
} from '../interop/harness.ts';

const { EBUSY, EINVAL } = constants.errno;
const fixtures = join(import.meta.dirname, '..', 'fixtures');
const TIMEOUT = { timeout: 60_000 };
const A = '10.81.0.1';
const B = '10.81.0.2';
const PROMPT_MS = 1000;
/** Memory for counters, as large as it has to be. */
const COUNTER_BYTES = COUNTER_VALUES * Float64Array.BYTES_PER_ELEMENT;

/** A switch of the library, served in a directory by the test's own process. */
interface Lan {
  readonly path: string;
  readonly lan: Switch;
  readonly service: SwitchService;
}

async function serve(t: TestContext, path = join(realpathSync(makeTemporaryDirectory(t)), 'sw'), mode = 0o600) {
  const lan = createSwitch();
  t.after(() => lan.close());
  return { path, lan, service: await lan.serve(path, { mode }) };
}

function host(t: TestContext, network: string, address: string, env: Record<string, string> = {}): Promise<LanHost> {
  return LanHost.start(t, network, `${address}/24`, { env });
}

/** Waits until the ports are of these kinds. */
async function waitForKinds({ lan }: Pick<Lan, 'lan'>, ...kinds: readonly SwitchPort['kind'][]): Promise<void> {
  const now = (): string => lan.ports.map(({ kind }) => kind).join(' ');
  await waitFor(() => now() === kinds.join(' '), 3000, `ports ${kinds.join(' ')}`).catch((error: Error) => {
    throw new Error(`${error.message}: they are ${now()}`);
  });
}

function sameCount(a: Count | undefined, b: Count | undefined): boolean {
  return a !== undefined && b !== undefined && a.frames === b.frames && a.bytes === b.bytes;
}

function total(drops: Readonly<Record<string, number>>, direction: string): number {
  const own = Object.entries(drops).filter(([name]) => name.startsWith(direction));
  return own.reduce((sum, [, frames]) => sum + frames, 0);
}

/** What came out of one end went into the other, or was dropped there. */
function flows(from: PlugCount | undefined, to: PlugCount | undefined): boolean {
  return from !== undefined && to !== undefined && from.in.frames === to.out.frames + total(to.drops, 'out');
}

/**
 * Waits until all who count agree; between two looks frames may come and go (neighbour discovery). Where frames crossed a
 * socket, the kernel of the namespace counts fewer than we do: they are joined on their way in.
 */
async function waitForTruth(at: LanHost, network: string, port?: SwitchPort, isJoined = false): Promise<void> {
  let seen: unknown;
  const agree = async (): Promise<boolean> => {
    const [counters, kernel] = [await at.counters(), await at.kernelCounters()];
    const [tap, net] = [counters.get('vde0'), counters.get(network)];
    seen = { tap, net, kernel, port: port?.counters };
    return (
      sameCount(tap?.in, kernel.in) &&
      (isJoined || sameCount(tap?.out, kernel.out)) &&
      flows(tap, net) &&
      flows(net, tap) &&
      (port === undefined || (sameCount(net?.in, port.counters.received) && sameCount(net?.out, port.counters.sent)))
    );
  };
  await waitFor(agree, 8000, 'counters that agree').catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen)}`);
  });
}

test('of two vdens on one switch:// the first moves the frames of both', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const network = `switch://${join(makeTemporaryDirectory(t), 'sw')}`;
  const a = await host(t, network, A);
  const b = await host(t, network, B);
  await waitFor(() => a.taps().length === 2, 3000, 'the other TAP');
  await b.ping(A);
  await a.receiveTransfer(5000);
  await b.sendTransfer(A, 5000, 50_000_000);
  await b.receiveTransfer(5001);
  await a.sendTransfer(B, 5001, 50_000_000);
  for (const at of [a, b]) await waitForTruth(at, network);
  const counters = await b.counters();
  assert.ok(counters.get(network)!.in.bytes > 50_000_000);
  assert.ok(counters.get(network)!.out.bytes > 50_000_000);
  assert.ok(counters.get('vde0')!.in.bytes / counters.get('vde0')!.in.frames > 2000, 'super-frames stay whole');
  b.run.kill('SIGKILL');
  await waitWithin(() => a.taps().length === 1, PROMPT_MS, 'the TAP of who was killed to be let go of');
});

test('counters of the interface, the client and the port agree, also after the server left and came back', {
  timeout: 60_000,
}, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const first = await serve(t);
  const a = await host(t, first.path, A);
  const b = await host(t, first.path, B);
  await waitForKinds(first, 'tap', 'tap');
  await b.ping(A);
  await waitForTruth(a, first.path, first.lan.ports[0]);
  await waitForTruth(b, first.path, first.lan.ports[1]);
  await first.lan.close();
  await a.run.waitForOutput(/the switch went away/);
  // Nobody is there: what is sent now is dropped, once.
  await a.tell(`ping -c 3 -i 0.05 -W 0.1 ${B}`);
  const second = await serve(t, first.path);
  await waitForKinds(second, 'tap', 'tap');
  await b.waitForPing(A, 5000);
  await b.receiveTransfer(5000);
  await a.sendTransfer(B, 5000, 20_000_000);
  for (const at of [a, b]) await waitForTruth(at, first.path);
});

test('what an interface does not take is counted once, at the interface', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping', 'ip')) return;
  const served = await serve(t);
  const a = await host(t, served.path, A);
  const b = await host(t, served.path, B);
  await waitForKinds(served, 'tap', 'tap');
  await a.ping(B);
  await waitForTruth(b, served.path);
  await b.tell('ip link set vde0 down');
  const before = await b.counters();
  await a.tell(`ip neigh replace ${B} lladdr 02:00:00:00:00:99 dev vde0; ping -c 20 -i 0.01 -W 0.1 ${B}`);
  const dropped = async (): Promise<number | undefined> => {
    const [tap, net] = [(await b.counters()).get('vde0')!, (await b.counters()).get(served.path)!];
    assert.equal(total(net.drops, 'in') + total(net.drops, 'out'), 0, 'not at the network');
    const refused = (tap.drops['out down'] ?? 0) - (before.get('vde0')!.drops['out down'] ?? 0);
    return refused >= 20 ? refused : undefined;
  };
  const count = await waitFor(dropped, 3000, 'drops');
  assert.ok(count < 40, `${count} drops of 20 frames, and some of the neighbourhood's`);
  const drops = served.service.ports.map(({ ends }) => ends.map(({ sent }) => sent.drops.down ?? 0));
  assert.ok(drops[1]![1]! >= 20 && drops[1]![0] === 0, `the server sees them, too: ${JSON.stringify(drops)}`);
});

for (const [name, ofServer, ofClient] of [
  ['the server', { VDENS_HANDOVER: '0' }, {}],
  ['the client', {}, { VDENS_HANDOVER: '0' }],
  ['both', { VDENS_HANDOVER: '0' }, { VDENS_HANDOVER: '0' }],
] as const) {
  test(`with VDENS_HANDOVER=0 at ${name}, frames cross sockets`, TIMEOUT, async (t) => {
    if (!requireCommands(t, 'ping')) return;
    const path = join(makeTemporaryDirectory(t), 'sw');
    const a = await host(t, `switch://${path}`, A, ofServer);
    const b = await host(t, `switch://${path}`, B, ofClient);
    await b.ping(A);
    await b.receiveTransfer(5000);
    await a.sendTransfer(B, 5000, 10_000_000);
    assert.deepEqual(a.taps(), ['vde0'], 'its own alone');
    assert.equal(existsSync(join(path, '.vdens')), !('VDENS_HANDOVER' in ofServer));
    for (const at of [a, b]) await waitForTruth(at, `switch://${path}`, undefined, true);
  });
}

test("another user's vdens gets an ordinary socket, and no way to the private one", TIMEOUT, async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'ping')) return;
  const served = await serve(t, join(makeSharedDirectory(t), 'sw'), 0o666);
  const a = await host(t, served.path, A);
  const wrap = (argv: readonly string[]): string[] => other.command(argv);
  const b = await LanHost.start(t, served.path, `${B}/24`, { wrap });
  await waitForKinds(served, 'tap', 'socket');
  await b.ping(A);
  await b.receiveTransfer(5000);
  await a.sendTransfer(B, 5000, 5_000_000);
  const private_ = join(served.path, '.vdens');
  const script = `require('node:net').connect(${JSON.stringify(private_)}).on('error', (e) => console.log(e.code))`;
  const tried = await runCommand(other.command([process.execPath, '-e', script]));
  assert.match(tried.stdout, /EACCES/);
  await a.ping(B);
});

/** A process that is on the switch, and talks to the private socket by hand. */
class Offerer {
  readonly client: RawClient;
  readonly channel: number;
  readonly #buffer = new Uint8Array(256);

  private constructor(client: RawClient, path: string) {
    this.client = client;
    this.channel = native.openSocket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert.equal(native.connectSocket(this.channel, unixAddress(join(path, '.vdens'))), 0);
  }

  static async join(t: TestContext, path: string): Promise<Offerer> {
    const client = new RawClient(path, join(makeTemporaryDirectory(t), 'c')).ownedBy(t);
    client.say(client.request());
    Offerer.answer = await client.answer();
    const offerer = new Offerer(client, path);
    t.after(() => offerer.close());
    return offerer;
  }

  /** The address of the port that the last one who joined has. */
  static answer: Uint8Array | 'closed' = 'closed';

  send(bytes: Uint8Array, descriptors: readonly number[] = []): number {
    if (descriptors.length === 0) return native.send(this.channel, bytes);
    return native.sendDescriptors(this.channel, bytes, Int32Array.from(descriptors));
  }

  /** What the server says next. */
  async hear(): Promise<HandoverMessage | 'closed'> {
    const length = await waitFor(
      () => {
        const received = native.receive(this.channel, this.#buffer);
        return received === -constants.errno.EAGAIN ? undefined : { received };
      },
      2000,
      'an answer, or the end',
    );
    if (length.received <= 0) return 'closed';
    return parseHandover(this.#buffer.subarray(0, length.received)) ?? assert.fail('a message');
  }

  #isOpen = true;
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    native.closeDescriptor(this.channel);
    this.client.close();
  }
}

function offerFor(address: Uint8Array | 'closed'): Uint8Array {
  assert.ok(address !== 'closed');
  return emitHandover({ kind: 'offer', takesSuperFrames: true, address });
}

/** A TAP of ours, lent for good. */
async function borrowTap(t: TestContext): Promise<number> {
  const namespace = await openNamespace({ interfaces: [{ name: 'eth0' }] });
  t.after(() => namespace.close());
  const { plug } = namespace.interfaces[0]!;
  plug.start(() => undefined);
  return plug.lend(() => undefined)!.fd;
}

function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length;
}

async function waitForDescriptors(most: number): Promise<void> {
  const what = `at most ${most} descriptors`;
  await waitFor(() => descriptorCount() <= most, 3000, what).catch((error: Error) => {
    throw new Error(`${error.message}: ${descriptorCount()} are open`);
  });
}

test('an offer is taken once all of it is right', TIMEOUT, async (t) => {
  const served = await serve(t);
  const tap = await borrowTap(t);
  const memory = native.memoryOpen(COUNTER_BYTES);
  const before = descriptorCount();
  const offerer = await Offerer.join(t, served.path);
  offerer.send(offerFor(Offerer.answer), [tap, memory]);
  assert.deepEqual(await offerer.hear(), { kind: 'answer', errno: 0 });
  await waitForKinds(served, 'tap');
  // Another on the same channel takes its place; two at once are two answers.
  for (let i = 0; i < 2; i++) offerer.send(offerFor(Offerer.answer), [tap, memory]);
  for (let i = 0; i < 2; i++) assert.deepEqual(await offerer.hear(), { kind: 'answer', errno: 0 });
  offerer.send(emitHandover({ kind: 'take-back' }));
  assert.deepEqual(await offerer.hear(), { kind: 'given-back' });
  await waitForKinds(served, 'socket');
  offerer.close();
  await waitForDescriptors(before);
  native.closeDescriptor(memory);
});

test('offers that are wrong are refused, and their descriptors closed', TIMEOUT, async (t) => {
  const served = await serve(t);
  const victim = await host(t, served.path, A);
  await waitForKinds(served, 'tap');
  const tap = await borrowTap(t);
  const memory = native.memoryOpen(COUNTER_BYTES);
  const small = native.memoryOpen(8);
  const file = join(makeTemporaryDirectory(t), 'file');
  writeFileSync(file, new Uint8Array(COUNTER_BYTES));
  const { openSync, closeSync } = await import('node:fs');
  const unsealed = openSync(file, 'r+');
  const plainTap = openSync('/dev/net/tun', 'r+');
  const before = descriptorCount();
  const offerer = await Offerer.join(t, served.path);
  const mine = offerFor(Offerer.answer);
  for (const [what, bytes, descriptors, errno] of [
    ['no descriptors', mine, [], EINVAL],
    ['one descriptor', mine, [tap], EINVAL],
    ['a file in place of the TAP', mine, [unsealed, memory], EINVAL],
    ['a TAP without an interface', mine, [plainTap, memory], EINVAL],
    ['memory that is not sealed', mine, [tap, unsealed], EINVAL],
    ['memory that is too small', mine, [tap, small], EINVAL],
    ['a socket in place of both', mine, [offerer.channel, offerer.channel], EINVAL],
    ['an address that no port has', offerFor(unixAddress('/nowhere')), [tap, memory], EBUSY],
    ['an address of nothing', offerFor(new Uint8Array(110)), [tap, memory], EBUSY],
    ["somebody else's port", offerFor(unixAddress(join(served.path, 'fd1'))), [tap, memory], EBUSY],
  ] as const) {
    assert.ok(offerer.send(bytes, descriptors) > 0, what);
    assert.deepEqual(await offerer.hear(), { kind: 'answer', errno }, what);
  }
  await waitForKinds(served, 'tap', 'socket');
  offerer.close();
  await waitForDescriptors(before);
  for (const fd of [memory, small]) native.closeDescriptor(fd);
  for (const fd of [unsealed, plainTap]) closeSync(fd);
  const b = await host(t, served.path, B);
  await b.ping(A);
  assert.ok(!victim.run.hasExited());
});

test('a TAP without the virtio-net header is refused', TIMEOUT, async (t) => {
  const served = await serve(t);
  if (!requireCommands(t, 'perl')) return;
  const namespace = await openNamespace();
  t.after(() => namespace.close());
  // Made inside, where that is allowed (TUNSETIFF with IFF_TAP and IFF_NO_PI alone), as the input of who offers it.
  const perl = `open(STDIN, '+<', '/dev/net/tun') && ioctl(STDIN, 0x400454ca, $r = pack('a16 s x22', 'plain0', 0x1002)) or die $!; exec @ARGV`;
  const argv = [process.execPath, join(fixtures, 'offer-plain-tap.js'), served.path];
  const name = join(makeTemporaryDirectory(t), 'c');
  const run = namespace.run([original('perl')!, '-e', perl, ...argv, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  run.process.stdout!.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  assert.equal(await run.exit, 0);
  await waitFor(() => said.includes('\n'), 1000, 'what it said');
  assert.deepEqual(JSON.parse(said), { plain: { kind: 'answer', errno: EINVAL }, whole: { kind: 'answer', errno: 0 } });
  await waitWithin(() => served.lan.ports.length === 0, PROMPT_MS, 'its port to be closed');
  assert.deepEqual(tapsOf(process.pid), []);
});

test('garbage on the private socket ends the connection, and leaves nothing open', TIMEOUT, async (t) => {
  const served = await serve(t);
  const tap = await borrowTap(t);
  const memory = native.memoryOpen(COUNTER_BYTES);
  const before = descriptorCount();
  const many = Array.from({ length: 253 }, () => memory);
  const garbage: readonly (readonly [Uint8Array, readonly number[]])[] = [
    [Buffer.from('GET / HTTP/1.0\r\n\r\n'), []],
    [new Uint8Array(4096), []],
    [new Uint8Array(0), []],
    [Buffer.from('x'), many],
    [new Uint8Array(0), many],
    [emitHandover({ kind: 'take-back' }).fill(9, 4, 5), [tap, memory]],
    [
      Buffer.concat([
        emitHandover({ kind: 'offer', takesSuperFrames: true, address: unixAddress('/x') }),
        Buffer.of(1),
      ]),
      [],
    ],
  ];
  for (const [bytes, descriptors] of garbage) {
    const offerer = await Offerer.join(t, served.path);
    offerer.send(bytes, descriptors);
    assert.equal(await offerer.hear(), 'closed');
    offerer.close();
  }
  // More than an offer has: taken for what it is, and the rest closed.
  const offerer = await Offerer.join(t, served.path);
  offerer.send(offerFor(Offerer.answer), [tap, ...many.slice(1)]);
  assert.deepEqual(await offerer.hear(), { kind: 'answer', errno: 0 });
  for (const kind of ['given-back', 'invite', 'take-back'] as const) offerer.send(emitHandover({ kind }));
  offerer.send(emitHandover({ kind: 'answer', errno: 7 }));
  assert.deepEqual(await offerer.hear(), { kind: 'given-back' });
  offerer.close();
  await waitForDescriptors(before);
  native.closeDescriptor(memory);
});

test('thousands of connections, and offers by who leaves at once, cost nothing that lasts', TIMEOUT, async (t) => {
  const served = await serve(t);
  const tap = await borrowTap(t);
  const memory = native.memoryOpen(COUNTER_BYTES);
  const a = await host(t, served.path, A);
  await waitForKinds(served, 'tap');
  const before = descriptorCount();
  const address = unixAddress(join(served.path, '.vdens'));
  const open = (): number => {
    const fd = native.openSocket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (native.connectSocket(fd, address) === 0) return fd;
    native.closeDescriptor(fd);
    return -1;
  };
  // Without a port there is no channel, however often one asks.
  for (let round = 0; round < 50; round++) {
    const fds = Array.from({ length: 60 }, open).filter((fd) => fd >= 0);
    assert.ok(fds.length > 0);
    await sleep(1);
    for (const fd of fds) native.closeDescriptor(fd);
  }
  await waitForDescriptors(before);
  for (let round = 0; round < 50; round++) {
    const offerer = await Offerer.join(t, served.path);
    offerer.send(offerFor(Offerer.answer), [tap, memory]);
    offerer.close();
  }
  await waitForKinds(served, 'tap');
  await waitForDescriptors(before);
  // With a port there are no more than two.
  const offerer = await Offerer.join(t, served.path);
  const more = Array.from({ length: 20 }, open).filter((fd) => fd >= 0);
  await waitForDescriptors(before + 3 + more.length + 4);
  for (const fd of more) native.closeDescriptor(fd);
  offerer.close();
  await waitForDescriptors(before);
  native.closeDescriptor(memory);
  const b = await host(t, served.path, B);
  await b.ping(A);
  await a.ping(B);
});

for (const [how, end] of [
  ['ends', (client: LanHost) => client.run.write('exit 0\n')],
  ['is ended by SIGTERM', (client: LanHost) => client.run.kill('SIGTERM')],
  ['is killed', (client: LanHost) => client.run.kill('SIGKILL')],
] as const) {
  test(`a client that ${how} leaves neither its TAP nor its port behind`, TIMEOUT, async (t) => {
    if (!requireCommands(t, 'ping')) return;
    const served = await serve(t);
    const a = await host(t, served.path, A);
    const b = await host(t, served.path, B);
    await waitForKinds(served, 'tap', 'tap');
    assert.deepEqual(tapsOf(process.pid), ['vde0', 'vde0']);
    const flood = b.tell(`ping -f -c 100000 -W 1 ${A} >/dev/null`).catch(() => undefined);
    await sleep(100);
    end(b);
    if (how === 'ends') b.run.kill('SIGTERM');
    await waitFor(() => b.run.hasExited(), 5000, 'its end');
    await waitWithin(() => tapsOf(process.pid).length === 1, PROMPT_MS, 'its TAP to be let go of');
    await waitForKinds(served, 'tap');
    const c = await host(t, served.path, '10.81.0.3');
    await c.ping(A);
    assert.ok(!a.run.hasExited());
    await Promise.race([flood, sleep(10)]);
  });
}

test('a client that is stopped goes on answering: somebody else moves its frames', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const served = await serve(t);
  const a = await host(t, served.path, A);
  const b = await host(t, served.path, B);
  await waitForKinds(served, 'tap', 'tap');
  b.run.kill('SIGSTOP');
  t.after(() => b.run.kill('SIGCONT'));
  await a.ping(B);
  b.run.kill('SIGCONT');
  await b.ping(A);
  await waitForTruth(b, served.path, served.lan.ports[1]);
});

test('while the server is stopped a client can end at once; afterwards its TAP is let go of', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const network = `switch://${join(makeTemporaryDirectory(t), 'sw')}`;
  const server = await host(t, network, A);
  const b = await host(t, network, B);
  await waitFor(() => server.taps().length === 2, 3000, 'the handover');
  server.run.kill('SIGSTOP');
  t.after(() => server.run.kill('SIGCONT'));
  const start = performance.now();
  b.run.write('exit 7\n');
  assert.equal((await b.run.waitForExit()).status, 7);
  assert.ok(performance.now() - start < PROMPT_MS, `${performance.now() - start} ms`);
  server.run.kill('SIGCONT');
  await waitWithin(() => server.taps().length === 1, PROMPT_MS, 'the TAP to be let go of');
  const c = await host(t, network, '10.81.0.3');
  await c.ping(A);
});

test('an interface that is deleted inside is let go of, and the client told', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping', 'ip')) return;
  const served = await serve(t);
  const a = await host(t, served.path, A);
  const b = await host(t, served.path, B);
  await waitForKinds(served, 'tap', 'tap');
  await b.tell('ip link del vde0');
  await b.run.waitForOutput(/^vdens: vde0: the interface is gone/m, PROMPT_MS);
  await waitForKinds(served, 'tap', 'socket');
  assert.deepEqual(tapsOf(process.pid), ['vde0']);
  const c = await host(t, served.path, '10.81.0.3');
  await c.ping(A);
  assert.ok(!a.run.hasExited());
});

test('a larger MTU is used as soon as both interfaces have it', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping', 'ip')) return;
  const served = await serve(t);
  const a = await host(t, served.path, A);
  const b = await host(t, served.path, B);
  await waitForKinds(served, 'tap', 'tap');
  for (const at of [a, b]) await at.tell('ip link set vde0 mtu 9000');
  await b.ping(A, '-s 8900 -M do');
  for (const at of [a, b]) await at.tell('ip link set vde0 mtu 1000');
  await b.ping(A, '-s 3000');
});

test('with --no-reconnect the client takes its TAP back, and stays alone', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const served = await serve(t);
  const a = await LanHost.start(t, served.path, `${A}/24`, { options: ['--no-reconnect'] });
  await waitForKinds(served, 'tap');
  await served.lan.close();
  await a.run.waitForOutput(/^vdens: vde0: .*: the switch went away$/m, PROMPT_MS);
  assert.deepEqual(tapsOf(process.pid), []);
  await waitFor(async () => (await a.tell('ip link show vde0')).includes('NO-CARRIER'), 3000, 'the carrier to go');
});

test('a switch that is too busy to answer an offer is asked again', TIMEOUT, async (t) => {
  const taken: HandoverChannel[] = [];
  let connections = 0;
  const { path } = await serveDirectory(t, {}, undefined, {
    privateConnection: (fd) => {
      // The first is accepted and then left alone, as by a process that hangs.
      if (connections++ === 0) t.after(() => native.closeDescriptor(fd));
      else taken.push(new HandoverChannel(fd, { offered: () => ({ close: () => undefined }) }));
    },
  });
  t.after(() => {
    for (const channel of taken) channel.close();
  });
  const inside = await openNamespace({ interfaces: [{ name: 'vde0', addresses: [`${A}/24`] }] });
  t.after(() => inside.close());
  // It sends all the time: on a busy machine a process that is started now may be late for the next offer.
  const sendAlways = `const s = require('dgram').createSocket('udp4');
    s.bind(() => { s.setBroadcast(true); setInterval(() => s.send('x', 9, '${A}'.replace(/\\d+$/, '255'), () => {}), 20); });`;
  inside.run([process.execPath, '-e', sendAlways], { stdio: 'ignore' });
  const network = await openPlug(path);
  t.after(() => network.close());
  const tap = inside.interfaces[0]!.plug;
  cable(tap, network);
  await waitFor(() => connections === 1, 10_000, 'the first offer');
  const before = network.counters.sent.frames;
  let isSentMeanwhile = false;
  const isAskedAgain = (): boolean => {
    isSentMeanwhile ||= connections === 1 && network.counters.sent.frames > before;
    return connections === 2;
  };
  await waitFor(isAskedAgain, 30_000, 'the second offer');
  assert.ok(isSentMeanwhile, 'frames went over the socket meanwhile');
});

test('a port that is taken, or too high, is refused, and not another given in its place', TIMEOUT, async (t) => {
  const lan = createSwitch({ maxPorts: 8 });
  t.after(() => lan.close());
  const path = join(makeTemporaryDirectory(t), 'sw');
  await lan.serve(path);
  const seventh = await openPlug(`vde://${path}[7]`);
  t.after(() => seventh.close());
  await waitFor(() => lan.ports[0]?.number === 7, 2000, 'port 7');
  for (const port of [7, 9]) await assert.rejects(openPlug(`vde://${path}[${port}]`), /refused us port/);
  const any = await openPlug(`vde://${path}[0]`);
  t.after(() => any.close());
  await waitFor(() => lan.ports.length === 2, 2000, 'any port');
  assert.deepEqual(
    lan.ports.map(({ number }) => number),
    [1, 7],
  );
});

test('a cable whose other end is no TAP stays on its socket', TIMEOUT, async (t) => {
  const served = await serve(t);
  const far = served.lan.port();
  const arrived: number[] = [];
  far.start((batch) => void arrived.push(batch.count));
  const [memory, program] = MemoryPlug.pair();
  const network = await openPlug(served.path);
  t.after(() => network.close());
  cable(memory, network);
  await waitForKinds(served, 'program', 'socket');
  program.send(batchOf([new Uint8Array(60).fill(0xff)]));
  await waitFor(() => arrived.length > 0, 2000, 'the frame');
  const other = createSwitch();
  t.after(() => other.close());
  const uplink = await openPlug(served.path);
  t.after(() => uplink.close());
  other.attach(uplink);
  await waitForKinds(served, 'program', 'socket', 'socket');
  assert.equal(other.ports[0]?.kind, 'socket');
});

async function namespaceAt(t: TestContext, address: string): Promise<Namespace> {
  const namespace = await openNamespace({ interfaces: [{ name: 'eth0', addresses: [`${address}/24`] }] });
  t.after(() => namespace.close());
  return namespace;
}

test('one process can be both, lay its cable again and again, and leave again and again', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const served = await serve(t);
  const [a, b] = [await namespaceAt(t, A), await namespaceAt(t, B)];
  served.lan.attach(a.interfaces[0]!.plug);
  const first = await openPlug(served.path);
  const joined = cable(b.interfaces[0]!.plug, first);
  await waitForKinds(served, 'tap', 'tap');
  const ping = (): Promise<number> => b.run(['ping', '-c', '2', '-i', '0.05', '-W', '2', A], { stdio: 'ignore' }).exit;
  assert.equal(await ping(), 0);
  const before = descriptorCount();
  for (let round = 0; round < 100; round++) {
    joined.releaseLine();
    // Some are taken back before the answer to the offer is there.
    if (round % 3 === 0) await sleep(1);
    joined.layLine();
    if (round % 2 === 0) await waitForKinds(served, 'tap', 'tap');
  }
  await waitForKinds(served, 'tap', 'tap');
  assert.equal(await ping(), 0);
  await waitForDescriptors(before);
  await first.close();
  for (let round = 0; round < 100; round++) {
    const network = await openPlug(served.path);
    cable(b.interfaces[0]!.plug, network);
    if (round % 2 === 0) await waitForKinds(served, 'tap', 'tap');
    await network.close();
  }
  await waitForKinds(served, 'tap');
  await waitForDescriptors(before);
  const last = await openPlug(served.path);
  t.after(() => last.close());
  cable(b.interfaces[0]!.plug, last);
  await waitForKinds(served, 'tap', 'tap');
  assert.equal(await ping(), 0);
  const { received, sent } = b.interfaces[0]!.plug.counters;
  await waitFor(
    () => last.counters.received.frames <= sent.frames && last.counters.sent.frames <= received.frames,
    1000,
    'counters that are possible',
  );
});

test('two networks of one vdens are handed to two servers', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const [left, right] = [await serve(t), await serve(t)];
  const a = await host(t, left.path, A);
  const c = await host(t, right.path, '10.82.0.1');
  const router = await LanHost.start(t, left.path, `vde0=${B}/24`, {
    networks: [right.path],
    options: ['--address', 'vde1=10.82.0.2/24'],
  });
  await waitForKinds(left, 'tap', 'tap');
  await waitForKinds(right, 'tap', 'tap');
  await router.ping(A);
  await router.ping('10.82.0.1');
  await a.ping(B);
  await c.ping('10.82.0.2');
});

test('a program that cables two switches joins who is on them', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const folder = makeTemporaryDirectory(t);
  const a = await host(t, `switch://${folder}/a`, A);
  const b = await host(t, `switch://${folder}/b`, B);
  const open = async (path: string) => {
    const plug = await openPlug(`switch://${path}`);
    t.after(() => plug.close());
    return plug;
  };
  cable(await open(`${folder}/a`), await open(`${folder}/b`));
  await b.ping(A);
  await b.receiveTransfer(5000);
  await a.sendTransfer(B, 5000, 10_000_000);
});

test('a served segment that is lost is healed by its own process, and its TAP goes along', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const path = join(realpathSync(makeTemporaryDirectory(t)), 'sw');
  const a = await namespaceAt(t, A);
  const open = (label: string) =>
    HealingPlug.open(label, (counters, signal) =>
      openSwitchNetwork(label, path, { switch: {}, description: 'test', counters, signal }),
    );
  const network = await open('here');
  t.after(() => network.close());
  let ups = 0;
  cable(a.interfaces[0]!.plug, network, { up: () => ups++ });
  assert.equal(network.isServedHere, true);
  const b = await host(t, `switch://${path}`, B);
  await b.ping(A);
  const { rmSync } = await import('node:fs');
  rmSync(path, { recursive: true });
  await waitFor(() => ups === 1, 3000, 'the segment to be back');
  await b.waitForPing(A, 3000);
});

test(
  'of two at a ptp:// one moves the frames of both; with VDENS_HANDOVER=0 at either, neither does',
  TIMEOUT,
  async (t) => {
    if (!requireCommands(t, 'ping')) return;
    const folder = makeTemporaryDirectory(t);
    for (const [index, env, taps] of [
      [0, [{}, {}], 3],
      [1, [{ VDENS_HANDOVER: '0' }, {}], 2],
      [2, [{}, { VDENS_HANDOVER: '0' }], 2],
    ] as const) {
      const network = `ptp://${folder}/${index}`;
      const a = await host(t, network, A, env[0]);
      const b = await host(t, network, B, env[1]);
      const count = (): number => a.taps().length + b.taps().length;
      await waitFor(() => count() === taps, 3000, `${taps} TAPs`);
      await b.waitForPing(A, 5000);
      await b.receiveTransfer(5000);
      await a.sendTransfer(B, 5000, 10_000_000);
      assert.equal(count(), taps);
      // On a socket super-frames are cut, and so are more than those of the interface.
      if (taps === 3) for (const at of [a, b]) await waitForTruth(at, network);
      b.run.kill('SIGKILL');
      await waitWithin(() => a.taps().length === 1, PROMPT_MS, 'only its own TAP to be left');
    }
  },
);
