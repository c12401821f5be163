/**
 * wirefilter: its console line by line beside the original's; between original switches, and the original between ours;
 * in dpipe and one-directional; the same frames for the same seed; blinking, schedules, ends.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_DGRAM, unixAddress } from '../../src/system/unix-address.ts';
import { testFrame, testFrames } from '../conformance/test-frames.ts';
import { ManagementSession } from '../fixtures/management.ts';
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
import { startSwitch } from './original-switch.ts';
import { startOurSwitch } from './our-switch.ts';
import { type StreamClient, startStreamClient } from './stream-client.ts';

/** Each program takes a second to start on a machine that has other things to do. */
const WAIT_MS = 60_000;
/** Frames that are counted are longer than those by which it is known that others arrive. */
const [SHORT_BYTES, LONG_BYTES] = [100, 1400];
const PROMPT = /VDEwf\$ $/;

/** A filter with a management socket; frames pass when it answers. */
class Filter {
  readonly running: BackgroundCommand;
  readonly session: ManagementSession;

  private constructor(running: BackgroundCommand, session: ManagementSession) {
    this.running = running;
    this.session = session;
  }

  static async start(t: TestContext, program: string, ends: readonly string[], ...options: string[]): Promise<Filter> {
    const path = join(makeTemporaryDirectory(t), 'mgmt');
    const running = await spawnBackground(t, [program, ...ends, '-M', path, ...options]);
    await waitFor(() => existsSync(path), WAIT_MS, `the socket of ${program}: ${running.output()}`);
    const session = await waitFor(() => ManagementSession.open(t, path).catch(() => undefined), WAIT_MS, 'a session');
    await session.until(PROMPT);
    return new Filter(running, session);
  }

  /** What it answers, without the prompt. */
  async ask(command: string): Promise<string> {
    this.session.send(`${command}\n`);
    return (await this.session.until(PROMPT)).replace(PROMPT, '').trimEnd();
  }
}

/** Whether a network is a switch of the originals or ours; clients are vde_plug processes of the other kind. */
async function startSwitches(t: TestContext, kind: 'original' | 'ours'): Promise<readonly [string, string]> {
  const start = kind === 'original' ? startSwitch : startOurSwitch;
  const [one, other] = [await start(t), await start(t)];
  return [one.path, other.path];
}

async function startClients(
  t: TestContext,
  kind: 'original' | 'ours',
  paths: readonly [string, string],
): Promise<readonly [StreamClient, StreamClient]> {
  const program = kind === 'original' ? original('vde_plug')! : ours('vde_plug');
  const [left, right] = [
    await startStreamClient(t, [program, paths[0]]),
    await startStreamClient(t, [program, paths[1]]),
  ];
  return [left, right];
}

/** Sends until the first arrives: then all are plugged in. More of them may come later. */
async function warmUp(from: StreamClient, to: StreamClient): Promise<void> {
  const frame = testFrame(1, SHORT_BYTES, 9);
  await waitFor(
    () => {
      from.send([frame]);
      return to.take().length > 0;
    },
    WAIT_MS,
    'the first frame',
  );
}

const COMMANDS = [
  'showinfo',
  'delay 100+10N',
  'delay LR5',
  'loss 10[2]',
  'loss LR 5.25',
  'showinfo',
  'showinfo 3',
  'markov-numnodes 4',
  'showinfo',
  'loss RL8.5[2]',
  'loss 9[9]',
  'bandwidth 128+64KN',
  'lostburst 10+5N[1]',
  'delay 10 [2]',
  'showinfo 2',
  'showinfo 1',
  'setedge 0,1,0.001',
  'setedge 0,9,3',
  'setedge 0 1 5',
  'showedges',
  'showedges 1',
  'showedges 9',
  'markov-name 0,good one',
  'markov-name 9,x',
  'showcurrent',
  'markov-setnode 1',
  'markov-setnode 9',
  'showcurrent',
  'markov-setnode 0',
  'markov-time 50',
  'markov-time 0',
  'fifo 0',
  'showinfo',
  'fifo 1',
  'foo',
  '',
  '# a comment',
  'mtu 100',
  'mtu LR1234567',
  'chanbufsize 1000',
  'capacity LR5K',
  'speed 0x10',
  'noise RL0.00001234567',
  'dup 5',
  'band 9',
  'showinfoXX',
  'markov-numnodes 2',
  'showedges',
  'markov-numnodes 1',
  'showinfo',
  'markov-numnodes 0',
  'markov-numnodes -3',
  'markov-debug 1',
  'markov-debug',
];

test('the console answers as the original does, line by line', async (t) => {
  if (!requireCommands(t, 'wirefilter', 'vde_switch')) return;
  const paths = await startSwitches(t, 'original');
  const ends = ['-v', paths.join(':')];
  const filters = [
    await Filter.start(t, original('wirefilter')!, ends),
    await Filter.start(t, ours('wirefilter'), ends, '--nostdin'),
  ] as const;
  for (const command of COMMANDS) {
    const [expected, answer] = [await filters[0].ask(command), await filters[1].ask(command)];
    assert.equal(answer, expected, `after ${command}`);
  }
});

test('what is no value is refused, where the original takes it for something', async (t) => {
  const filter = await Filter.start(t, ours('wirefilter'), ['null://', 'null://'], '--nostdin');
  for (const command of [
    'delay',
    'loss abc',
    'loss 5,5',
    'speed 2K+1M',
    'fifo x',
    'markov-time abc',
    'setedge 0,0,x',
  ]) {
    assert.equal(await filter.ask(command), '1022 Invalid argument', command);
  }
});

test('steps of the Markov chain are told to who wants to know', async (t) => {
  const filter = await Filter.start(t, ours('wirefilter'), ['null://', 'null://'], '--nostdin');
  for (const command of ['markov-numnodes 2', 'markov-name 1,bad', 'setedge 0,1,100', 'setedge 1,0,100']) {
    assert.equal(await filter.ask(command), '1000 Success');
  }
  await filter.ask('markov-debug 1');
  const told = await filter.session.until(/3800 Node 1 "bad" -> 0 ""\n3801 Node 0 "" -> 1 "bad"\n/);
  assert.match(told, /^38/m);
  filter.session.send('logout\n');
  await filter.session.until(/9999 END OF SESSION/);
});

for (const [who, kind] of [
  ['ours', 'original'],
  ['original', 'ours'],
] as const) {
  test(`${who === 'ours' ? 'ours between original switches' : 'the original between switches of ours'}: frames pass, 100 ms late`, async (t) => {
    if (!requireCommands(t, 'wirefilter', 'vde_switch', 'vde_plug')) return;
    const paths = await startSwitches(t, kind);
    const program = who === 'ours' ? ours('wirefilter') : original('wirefilter')!;
    const filter = await Filter.start(t, program, ['-v', paths.join(':')], '-d', '100');
    const [left, right] = await startClients(t, 'ours', paths);
    await warmUp(left, right);
    await warmUp(right, left);
    for (const [from, to] of [
      [left, right],
      [right, left],
    ] as const) {
      const sent = longFrames(20, from === left ? 1 : 2);
      const startedAt = performance.now();
      from.send(sent);
      const arrived: Uint8Array[] = [];
      let firstAt = 0;
      await waitFor(
        () => {
          arrived.push(...to.take().filter(isLong));
          if (arrived.length > 0 && firstAt === 0) firstAt = performance.now();
          return arrived.length >= sent.length;
        },
        WAIT_MS,
        'all frames',
      );
      assert.deepEqual(arrived.map(hex), sent.map(hex));
      assert.ok(firstAt - startedAt >= 99, `after ${firstAt - startedAt} ms`);
    }
    assert.equal(await filter.ask('delay 0'), '1000 Success');
  });
}

/**
 * What comes out when these frames go in.
 *
 * @param atOnce how many are written together
 */
async function dumpOf(t: TestContext, seed: string, atOnce: number): Promise<readonly string[]> {
  const options = ['--seed', seed, '-l', '10', '-L', '3', '-D', '5', '-n', '2000', '-d', '5'];
  const filter = await startStreamClient(t, [ours('wirefilter'), ...options]);
  const frames = longFrames(600);
  for (let first = 0; first < frames.length; first += atOnce) {
    filter.send(frames.slice(first, first + atOnce));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const arrived: Uint8Array[] = [];
  const last = testFrame(1, SHORT_BYTES);
  await waitFor(
    () => {
      // Some of these are lost, too. They stay behind the others.
      filter.send([last]);
      arrived.push(...filter.take());
      return !arrived.every(isLong);
    },
    WAIT_MS,
    'the last frame',
  );
  filter.endInput();
  await filter.waitForExit(WAIT_MS);
  return arrived.filter(isLong).map(hex);
}

test('the same seed loses, doubles and disturbs the same frames in the same way; another one does not', async (t) => {
  const first = await dumpOf(t, '42', 20);
  assert.ok(first.length > 400 && first.length < 700, `${first.length} frames`);
  assert.deepEqual(await dumpOf(t, '42', 600), first);
  assert.notDeepEqual(await dumpOf(t, '43', 20), first);
});

test('in dpipe it filters both ways', async (t) => {
  const [one, other] = [await startOurSwitch(t), await startOurSwitch(t)];
  const plug = (path: string): string[] => [ours('vde_plug'), path];
  const [left, right] = await startClients(t, 'ours', [one.path, other.path]);
  const mgmt = join(makeTemporaryDirectory(t), 'mgmt');
  const stage = [ours('wirefilter'), '-l', 'RL100', '-M', mgmt];
  await spawnBackground(t, [ours('dpipe'), ...plug(one.path), '=', ...stage, '=', ...plug(other.path)]);
  await warmUp(left, right);
  right.send(testFrames(1, 5, 100, 3));
  left.send(testFrames(1, 5, 100, 4));
  await waitFor(() => right.take().length > 0, WAIT_MS, 'frames to the right');
  assert.deepEqual(left.take(), []);
  const session = await ManagementSession.open(t, mgmt);
  await session.until(PROMPT);
  session.send('loss 0\n');
  await session.until(PROMPT);
  await warmUp(right, left);
});

test('without a way back it filters from standard input to standard output, and blinks', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const blink = join(folder, 'lamps');
  const lamps = lampsAt(t, blink);
  const filter = await startStreamClient(t, [ours('wirefilter'), '--blink', blink, '--blinkid', 'me', '-m', '102']);
  filter.send(testFrames(1, 1, 60).concat([new Uint8Array(100).fill(1), new Uint8Array(101).fill(2)]));
  await waitFor(() => /monodirectional/.test(filter.errors()), WAIT_MS, 'the first line');
  const arrived: Uint8Array[] = [];
  await waitFor(
    () => {
      arrived.push(...filter.take());
      return arrived.length >= 2;
    },
    WAIT_MS,
    'two frames',
  );
  assert.equal(arrived.at(-1)?.length, 100);
  const buffer = new Uint8Array(100);
  const messages: string[] = [];
  for (let length = native.receive(lamps, buffer); length > 0; length = native.receive(lamps, buffer)) {
    messages.push(Buffer.from(buffer.subarray(0, length)).toString());
  }
  assert.deepEqual(
    messages,
    arrived.map(({ length }) => `me -- ${length + 2}\n`),
  );
  filter.endInput();
  await filter.waitForExit(WAIT_MS);
});

test('a schedule is followed; its errors have file and line', async (t) => {
  const plan = join(makeTemporaryDirectory(t), 'plan');
  writeFileSync(plan, '# in a moment\n0 delay 7\n200ms loss 5\n');
  const ends = ['null://', 'null://'];
  const filter = await Filter.start(t, ours('wirefilter'), ends, '--nostdin', '--schedule', plan);
  assert.match(await filter.ask('showinfo'), /^Delay {2}L->R 7\+0U {3}R->L 7\+0U$/m);
  await waitFor(async () => /^Loss {3}L->R 5\+0U/m.test(await filter.ask('showinfo')), WAIT_MS, 'the second step');
  writeFileSync(plan, '100ms shutdown\n');
  const ended = await runCommand([ours('wirefilter'), ...ends, '--nostdin', '--schedule', plan], {
    timeoutMs: WAIT_MS,
  });
  assert.equal(ended.status, 0, ended.stderr);
  writeFileSync(plan, '0 delay 7\n1 lose 5\n');
  const { status, stderr } = await runCommand([ours('wirefilter'), ...ends, '--schedule', plan], {
    timeoutMs: WAIT_MS,
  });
  assert.equal(status, 1);
  assert.match(stderr, /^wirefilter: .*plan, line 2: "lose 5": 1038 Function not implemented$/m);
});

test('a file of commands, standard input, the pid file and the end', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const [rc, pid] = [join(folder, 'rc'), join(folder, 'pid')];
  writeFileSync(rc, '# to begin with\nmarkov-numnodes 2\nloss 5[1]\nfoo\n');
  const argv = [ours('wirefilter'), 'null://', 'null://', '-f', rc, '--pidfile', pid];
  const running = await spawnBackground(t, argv);
  await running.waitForOutput(/rc, line 4: foo: 1038 Function not implemented/, WAIT_MS);
  running.write('showinfo 1\nshowcurrent\n');
  await running.waitForOutput(
    /^Loss {3}L->R 5\+0U {3}R->L 5\+0U$[\s\S]*^Current Markov Node 0 "" \(0,\.\.,1\)$/m,
    WAIT_MS,
  );
  assert.equal(readFileSync(pid, 'utf8'), `${running.pid}\n`);
  running.endInput();
  assert.deepEqual(await running.waitForExit(WAIT_MS), { status: 0, signal: null });
  assert.equal(existsSync(pid), false);
});

test('shutdown ends it; the management socket is the owner’s alone, and gone afterwards', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'm');
  const running = await spawnBackground(t, [ours('wirefilter'), 'null://', 'null://', '-M', path, '--nostdin']);
  await waitFor(() => existsSync(path), WAIT_MS, 'the management socket');
  assert.equal(statSync(path).mode & 0o777, 0o700);
  const session = await ManagementSession.open(t, path);
  await session.until(PROMPT);
  session.send('shutdown\n');
  assert.deepEqual(await running.waitForExit(WAIT_MS), { status: 0, signal: null });
  assert.equal(existsSync(path), false);
});

test('in the background it still finds the lamps', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const lamps = lampsAt(t, join(folder, 'lamps'));
  const [one, other] = [await startOurSwitch(t), await startOurSwitch(t)];
  const pidFile = join(folder, 'pid');
  const argv = [ours('wirefilter'), one.path, other.path, '--daemon', '--blink', 'lamps', '--pidfile', 'pid'];
  const { status, stderr } = await runCommand(argv, { cwd: folder, timeoutMs: WAIT_MS });
  assert.equal(status, 0, stderr);
  const pid = endAfter(t, pidFile);
  const left = await startStreamClient(t, [ours('vde_plug'), one.path]);
  const buffer = new Uint8Array(100);
  const blinked = (): boolean => {
    left.send(testFrames(1, 1, SHORT_BYTES));
    return native.receive(lamps, buffer) > 0;
  };
  await waitFor(blinked, WAIT_MS, 'a message to the lamps');
  process.kill(pid, 'SIGTERM');
  await waitFor(() => !existsSync(pidFile), WAIT_MS, 'its end');
});

test('in the background it has its console at the socket', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const [path, pidFile] = [join(folder, 'm'), join(folder, 'pid')];
  const argv = [ours('wirefilter'), 'null://', 'null://', '--daemon', '-M', path, '--pidfile', pidFile, '-d', '3'];
  const { status, stderr } = await runCommand(argv, { timeoutMs: WAIT_MS });
  assert.equal(status, 0, stderr);
  const pid = endAfter(t, pidFile);
  const session = await ManagementSession.open(t, path);
  await session.until(PROMPT);
  session.send('showinfo\n');
  assert.match(await session.until(PROMPT), /^Delay {2}L->R 3\+0U/m);
  process.kill(pid, 'SIGTERM');
  await waitFor(() => !existsSync(pidFile), WAIT_MS, 'its end');
});

for (const [argv, message] of [
  [['/a'], /\/a is one end of the cable/],
  [['/a', '/b', '/c'], /"\/c" is one word too many/],
  [['-v', '/a'], /-v takes two paths with a colon/],
  [['-v', 'vde:///a:/b'], /Other networks are named as two words/],
  [['-', '-'], /only one end can be the stream/],
  [['--daemon'], /--daemon leaves no standard input for a stream/],
  [['-d', 'x', '/a', '/b'], /--delay: "x" is no value/],
  [['--seed', '-1', '/a', '/b'], /--seed: "-1" is not a number/],
  [['/nowhere/a', '/nowhere/b'], /\/nowhere\/a/],
] as const) {
  test(`wirefilter ${argv.join(' ')} is refused in one line`, () => {
    const { status, stderr } = spawnSync(ours('wirefilter'), argv, { encoding: 'utf8', input: '', timeout: WAIT_MS });
    assert.equal(status, 1);
    assert.match(stderr, message);
    assert.match(stderr, /^wirefilter: [^\n]*\n$/);
  });
}

test('without networks it is no cable for what is no pipe', () => {
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const { status, stderr } = spawnSync(ours('wirefilter'), { encoding: 'utf8', stdio: [...stdio], timeout: WAIT_MS });
  assert.equal(status, 1);
  assert.match(stderr, /^wirefilter: [^\n]*standard input is no pipe\. Name two networks[^\n]*\n$/);
});

/** The pid of a filter in the background, which is ended when the test is over, though its pid file may be gone by then. */
function endAfter(t: TestContext, pidFile: string): number {
  const pid = Number(readFileSync(pidFile, 'utf8'));
  t.after(() => {
    const path = `/proc/${pid}/cmdline`;
    if (existsSync(path) && readFileSync(path, 'utf8').includes('wirefilter')) process.kill(pid, 'SIGKILL');
  });
  return pid;
}

/** The descriptor of a socket that is told of frames. */
function lampsAt(t: TestContext, path: string): number {
  const lamps = native.openSocket(AF_UNIX, SOCK_DGRAM, 0);
  t.after(() => native.closeDescriptor(lamps));
  assert.equal(native.bindSocket(lamps, unixAddress(path)), 0);
  return lamps;
}

function longFrames(count: number, side = 1): Uint8Array[] {
  return Array.from({ length: count }, (_, number) => testFrame(number, LONG_BYTES, side));
}

function isLong({ length }: Uint8Array): boolean {
  return length === LONG_BYTES;
}

function hex(frame: Uint8Array): string {
  return Buffer.from(frame).toString('hex');
}
