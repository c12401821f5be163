/**
 * The managed switch and the original clients; and the same frames through the original switch and through ours, which
 * come out at the same ports, in the same form.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { unixPath } from '../../src/system/unix-address.ts';
import { LanHost } from '../fixtures/lan-host.ts';
import { frameOf, LabClient, ManagedLab } from '../fixtures/managed-lab.ts';
import { makeSharedDirectory, requireOtherUser } from '../fixtures/other-user.ts';
import { RawClient } from '../fixtures/raw-client.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { inNamespace } from './original-vdens.ts';
import { type StreamClient, startStreamClient } from './stream-client.ts';

const ALL = 'ffffffffffff';
const BODY = `0800${'aa'.repeat(46)}`;
const [A, B, C, D] = ['020000000001', '020000000002', '020000000003', '020000000004'] as const;
const CLIENTS = ['a', 'b', 'b2', 'c', 'd'] as const;
/** Two are at port 2. */
const PORTS = [1, 2, 2, 3, 4] as const;

/** A `vde_switch`, its console, and clients at its ports. */
class Bench {
  readonly #switch: BackgroundCommand;
  readonly #clients: readonly LabClient[];

  private constructor(running: BackgroundCommand, clients: readonly LabClient[]) {
    this.#switch = running;
    this.#clients = clients;
  }

  static async start(t: TestContext, program: string): Promise<Bench> {
    const folder = makeTemporaryDirectory(t);
    const path = join(folder, 'sw');
    const running = await spawnBackground(t, [program, '-s', path, '-n', '9']);
    await waitFor(() => existsSync(join(path, 'ctl')), 5000, `${program} to serve`);
    const clients: LabClient[] = [];
    for (const [index, port] of PORTS.entries()) {
      const raw = new RawClient(path, join(folder, `c${index}`)).ownedBy(t);
      raw.say(raw.request(CLIENTS[index], port));
      clients.push(new LabClient(raw, unixPath((await raw.answer(5000)) as Uint8Array)));
    }
    return new Bench(running, clients);
  }

  async command(line: string): Promise<string> {
    const before = this.#switch.output().length;
    this.#switch.write(`${line}\n`);
    const answer = (): string => this.#switch.output().slice(before);
    await waitFor(() => /^1\d\d\d .*$/m.test(answer()), 5000, `the answer to ${line}`);
    return answer();
  }

  send(from: number, frame: Uint8Array): void {
    this.#clients[from]!.raw.send(frame);
  }

  /** What arrives, by client, when that is so many frames. */
  async arrivals(count: number): Promise<string[]> {
    const arrived = CLIENTS.map((): string[] => []);
    const isThere = (): boolean => {
      for (const [index, client] of this.#clients.entries()) arrived[index]!.push(...client.take());
      return arrived.flat().length >= count;
    };
    await waitFor(isThere, 5000, `${count} frames`).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(arrived)}`);
    });
    return arrived.flatMap((frames, index) => frames.map((frame) => `${CLIENTS[index]} ${frame}`));
  }

  /** What the switch says of its ports, without what differs from run to run. */
  async account(): Promise<string> {
    const text = `${await this.command('port/print')}${await this.command('vlan/print')}`;
    const stations = (await this.command('hash/print')).match(/^Hash: .*port: \d+/gm) ?? [];
    return text.replace(/^vde\$ |endpoint ID \d+/gm, '') + stations.join('\n');
  }
}

/** A command; or a frame of a client, and `client tag` for each that it arrives at. Without a tag: as it was sent. */
type Step = string | readonly [from: (typeof CLIENTS)[number], head: string, ...arrivals: readonly string[]];

const STEPS: readonly Step[] = [
  'hash/setminper 100',
  // One Ethernet, with two endpoints at port 2.
  ['a', ALL + A, 'b', 'b2', 'c', 'd'],
  ['b', A + B, 'a'],
  ['b2', ALL + B, 'a', 'c', 'd'],
  ['c', B + C, 'b', 'b2'],
  // Stations do not jump; what nobody knows goes everywhere, as do groups.
  ['d', C + B, 'c'],
  ['a', B + A, 'b', 'b2'],
  ['a', `020000000009${A}`, 'b', 'b2', 'c', 'd'],
  ['c', `01005e000001${C}`, 'a', 'b', 'b2', 'd'],
  ['c', `3333000000013${C.slice(1)}`, 'a', 'b', 'b2', 'd'],
  ['a', A + A],
  // A hub, for a while.
  'port/sethub 1',
  ['c', B + C, 'a', 'b', 'b2', 'd'],
  'port/sethub 0',
  ['c', ALL + C, 'a', 'b', 'b2', 'd'],
  // Port 1 gets VLAN 10, port 4 both, with a tag for 10.
  'vlan/create 10',
  'vlan/create 20',
  'vlan/addport 10 4',
  'port/setvlan 1 10',
  ['a', ALL + A, 'd 8100000a'],
  ['a', `${ALL}${A}8100000a`, 'd'],
  ['a', `${ALL}${A}8100200a`, 'd'],
  ['d', ALL + D, 'b', 'b2', 'c'],
  ['d', `${ALL}${D}8100000a`, 'a -'],
  ['d', `${ALL}${D}8100600a`, 'a -'],
  ['d', `${ALL}${D}81000014`],
  ['d', `${ALL}${D}81006000`, 'b -', 'b2 -', 'c -'],
  ['d', `${ALL}${D}88a8000a`, 'b', 'b2', 'c'],
  ['d', `${ALL}${D}8100000a81000005`, 'a -'],
  ['b', `${ALL}${B}8100000a`],
  // What was learned in one VLAN is not known in another.
  ['b', D + B, 'd'],
  ['a', D + A, 'd 8100000a'],
  ['d', `${A}${D}8100000a`, 'a -'],
  ['d', A + D, 'b', 'b2', 'c'],
  // One without a VLAN of its own, and two with tags.
  'vlan/addport 20 1',
  'vlan/addport 20 4',
  'port/setvlan 4 4095',
  ['a', `${ALL}${A}81000014`, 'd'],
  ['a', `${ALL}${A}8100e014`, 'd'],
  ['d', ALL + D],
  ['b', ALL + B, 'c'],
  'vlan/addport 0 4',
  ['b', ALL + B, 'c', 'd 81000000'],
  ['d', `${ALL}${D}81006000`, 'b -', 'b2 -', 'c -'],
  'vlan/remove 10',
  'vlan/delport 20 1',
  ['a', `${ALL}${A}81000014`],
  'hash/setsize 32',
  'port/setvlan 2 20',
  ['b2', ALL + B, 'd 81000014'],
  ['d', `${B}${D}81000014`, 'b -', 'b2 -'],
  'port/resetcounter 2',
  ['c', ALL + C, 'd 81000000'],
  ['d', `${B}${D}81000014`, 'b -', 'b2 -'],
];

/** A frame as it arrives: with this tag in front of what it had, or, with `-`, without its outer one. */
function inForm(frame: string, tag: string | undefined): string {
  if (tag === undefined) return frame;
  const addresses = frame.slice(0, 24);
  return tag === '-' ? addresses + frame.slice(32) : addresses + tag + frame.slice(24);
}

test('frames come out of our switch where they come out of the original one, with the tags that they have there', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const benches = [await Bench.start(t, original('vde_switch')!), await Bench.start(t, ours('vde_switch'))] as const;
  for (const [index, bench] of benches.entries()) {
    for (const step of STEPS) {
      if (typeof step === 'string') {
        const answer = await bench.command(step);
        assert.match(answer, step === 'vlan/remove 10' ? /^1098 /m : /^1000 /m, step);
        continue;
      }
      const [from, head, ...arrivals] = step;
      const frame = head + BODY;
      bench.send(CLIENTS.indexOf(from), frameOf(frame));
      const expected = arrivals.map((arrival) => {
        const [client, tag] = arrival.split(' ');
        return `${client} ${inForm(frame, tag)}`;
      });
      const whose = index === 0 ? 'the original' : 'ours';
      assert.deepEqual(await bench.arrivals(expected.length), expected, `${whose}: ${from} ${head}`);
      // The next one may be for nobody: it has passed when the console answers after it.
      if (expected.length === 0) await bench.command(`hash/find ${D.match(/../g)?.join(':')}`);
    }
  }
  const [theirs, mine] = [await benches[0].account(), await benches[1].account()];
  assert.equal(mine, theirs);
  assert.match(mine, /^ IN: +pkts +\d+ /m);
});

test('original clients have ports by number, several may have one, and all end with the switch', async (t) => {
  if (!requireCommands(t, 'vde_plug', 'vdens', 'ping', 'ip')) return;
  const lab = await ManagedLab.start(t, { numPorts: 9 });
  const portOf = (number: number): readonly string[] | undefined => {
    return lab.managed.ports.find((port) => port.number === number)?.endpoints.map(({ description }) => description);
  };
  const plug = (name: string): Promise<StreamClient> =>
    startStreamClient(t, [original('vde_plug')!, `${lab.path}${name}`]);
  const [any, zero] = [await plug(''), await plug('[0]')];
  await waitFor(() => portOf(1)?.length === 1 && portOf(0)?.length === 1, 5000, 'ports 1 and 0');
  assert.match(portOf(1)?.[0] ?? '', /^vdeplug: user=\S+ pid=\d+/);
  const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);
  assert.deepEqual([modeOf(lab.path), modeOf(join(lab.path, 'ctl'))], ['2700', '600']);

  const command = ['sleep', '60'];
  for (const [vdens, port, address] of [
    [original('vdens')!, 7, '10.82.0.1/24'],
    [ours('vdens'), 7, '10.82.0.2/24'],
  ] as const) {
    const network = `vde://${lab.path}[${port}]`;
    await (await spawnBackground(t, inNamespace({ vdens, network, address, command }))).waitForOutput(/^ready$/m);
  }
  assert.equal(portOf(7)?.length, 2);
  const host = await LanHost.start(t, `vde://${lab.path}[port=3/mode=0600]`, '10.82.0.3/24');
  await host.ping('10.82.0.1');
  await host.ping('10.82.0.2');
  for (const client of [any, zero]) await waitFor(() => client.take().length > 0, 5000, 'a flood at ports 0 and 1');
  assert.equal(readdirSync(lab.path).filter((name) => name.startsWith('.') && name !== '.vdens').length, 0);

  lab.managed.setNumPorts(7);
  for (const number of [2, 4, 5, 6]) lab.managed.createPort(number);
  const late = await plug('');
  await late.waitForExit();
  const [endpoint] = lab.managed.ports.find(({ number }) => number === 0)?.endpoints ?? [];
  lab.managed.closeEndpoint(0, endpoint?.id ?? 0);
  await zero.waitForExit();
  assert.equal(any.hasExited(), false);
  await lab.managed.close();
  await any.waitForExit();
  assert.equal(existsSync(lab.path), false);
});

test('a port is for the user and the group that it is kept for, and for one user at a time', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'vde_plug', 'id')) return;
  const uid = Number((await runCommand(other.command(['id', '-u']))).stdout);
  const lab = await ManagedLab.start(t, {}, { mode: 0o666 }, makeSharedDirectory(t));
  const { managed } = lab;
  const comes = async (port: number | undefined, isInGroup = false): Promise<number | undefined> => {
    const name = port === undefined ? lab.path : `${lab.path}[${port}]`;
    const before = managed.ports.filter(({ isActive }) => isActive).map(({ number }) => number);
    const client = await startStreamClient(t, other.command([original('vde_plug')!, name], { isInGroup }));
    const found = (): number | undefined => {
      return managed.ports.find(({ number, currentUser }) => currentUser === uid && !before.includes(number))?.number;
    };
    const end = await waitFor(() => found() ?? (client.hasExited() ? 'refused' : undefined), 10_000, 'an answer');
    if (end === 'refused') return undefined;
    client.endInput();
    await client.waitForExit();
    await waitFor(() => found() === undefined, 5000, 'it to leave');
    return end;
  };
  for (const number of [1, 2, 3, 4]) managed.createPort(number);
  for (const number of [1, 3]) managed.setAllocatable(number, true);
  managed.setPortUser(1, process.geteuid?.() ?? 0);
  managed.setPortUser(2, uid);
  managed.setPortGroup(3, other.gid);
  assert.equal(await comes(1), undefined);
  assert.equal(await comes(2), 2);
  assert.equal(await comes(3), undefined);
  assert.equal(await comes(3, true), 3, 'who is in the group');
  assert.equal(await comes(4), 4, 'which is kept for nobody');
  assert.equal(await comes(undefined), 5, 'the first that it may have');
  assert.equal(await comes(undefined, true), 3);
  managed.setPortUser(3, uid);
  assert.equal(await comes(3), 3, 'the user, whatever the group');
  const mine = await lab.client(4);
  assert.equal(await comes(4), undefined, 'another user is there');
  managed.setPortUser(4, uid);
  const [port] = managed.ports.filter(({ number }) => number === 4);
  assert.deepEqual(
    [port?.isActive, port?.user, port?.currentUser],
    [true, uid, process.geteuid?.()],
    'who is in stays',
  );
  assert.equal((await lab.client(4)).port, 4, 'and so does its user');
  mine.raw.close();
});
