/** `vde switch`: a switch without a namespace, its signals, its output, its table on a terminal. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeSharedDirectory, requireOtherUser } from '../fixtures/other-user.ts';
import { RawClient } from '../fixtures/raw-client.ts';
import { openTerminal, type Terminal } from '../fixtures/terminal.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';
import { inNamespace } from '../interop/original-vdens.ts';
import { startStreamClient } from '../interop/stream-client.ts';

const NEVER_READS = 'never reads';

interface RunningSwitch {
  readonly path: string;
  readonly process: BackgroundCommand;
}

/** Runs `vde switch` and waits until it says that clients can come. */
async function serve(
  t: TestContext,
  options: readonly string[] = [],
  path: string = join(makeTemporaryDirectory(t), 'lan'),
): Promise<RunningSwitch> {
  const process = await spawnBackground(t, [ours('vde'), 'switch', ...options, path]);
  await process.waitForOutput(/^vde switch: serving \S+$/m);
  return { path, process };
}

/** Has it print its report, and answers the lines, split at spaces. */
async function report({ process }: RunningSwitch): Promise<string[][]> {
  const before = process.output().length;
  process.kill('SIGUSR1');
  const isWhole = (): boolean => /^# station.*\n(station.*\n)*$/m.test(process.output().slice(before));
  await waitFor(isWhole, 5000, 'the report');
  const lines = process.output().slice(before).split('\n');
  return lines.map((line) => line.split(/ +/));
}

/** The lines of the report that are about ports. */
async function ports(running: RunningSwitch): Promise<string[][]> {
  return (await report(running)).filter(([word]) => word === 'port');
}

function stationFrame(destination: number, source: number, length = 60): Uint8Array {
  const frame = new Uint8Array(length);
  frame.set([0x02, 0, 0, 0, 0, destination, 0x02, 0, 0, 0, 0, source, 0x88, 0xb5]);
  if (destination === 0) frame.fill(0xff, 0, 6);
  return frame;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

for (const [whose, find] of [
  ['ours', ours],
  ['the original', original],
] as const) {
  test(`${whose} vdens and ours ping each other through it, and it tells their ports and stations`, async (t) => {
    if (!requireCommands(t, 'vdens', 'ip', 'ping')) return;
    const lan = await serve(t);
    const pong = { vdens: find('vdens')!, network: lan.path, address: '10.83.0.1/24', command: ['sleep', '60'] };
    const host = await spawnBackground(t, inNamespace(pong));
    await host.waitForOutput(/^ready$/m);
    const ping = ['ping', '-c', '3', '-i', '0.2', '-W', '2', '10.83.0.1'];
    const client = inNamespace({
      vdens: ours('vdens'),
      network: `switch://${lan.path}`,
      address: '10.83.0.2/24',
      command: [...ping, '-q'],
    });
    const { stdout, stderr } = await runCommand(client);
    assert.match(stdout, / 3 received/, stderr);

    const lines = await report(lan);
    const [port = []] = lines.filter(([word]) => word === 'port');
    assert.deepEqual(port.slice(0, 2), ['port', '1']);
    assert.equal(port[2], whose === 'ours' ? 'tap' : 'socket', 'a TAP of ours is handed over');
    for (const count of port.slice(3, 7)) assert.ok(Number(count) > 3, `${count} frames or bytes`);
    assert.equal(port[7], '-', 'nothing was dropped');
    assert.match(port.slice(8).join(' '), /^vdens user=\S+ pid=\d+/);
    const [station = []] = lines.filter(([word, , , number]) => word === 'station' && number === '1');
    assert.match(station[1] ?? '', /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    assert.equal(station[2], '0');
    assert.ok(Number(station[4]) < 10, `heard of ${station[4]} s ago`);
  });
}

test('original vde_plugs exchange frames through it; a station that is known is sent to alone', async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  await exchange(t, [], 0);
});

test('with --hub everybody gets every frame', async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  await exchange(t, ['--hub'], 1);
});

/** Three clients; after 1 has heard of 2, how many of its frames to 2 does 3 get? */
async function exchange(t: TestContext, options: readonly string[], overheard: number): Promise<void> {
  const lan = await serve(t, options);
  const plug = original('vde_plug')!;
  const [one, two, three] = [
    await startStreamClient(t, [plug, lan.path]),
    await startStreamClient(t, [plug, lan.path]),
    await startStreamClient(t, [plug, lan.path]),
  ];
  await waitFor(async () => (await ports(lan)).length === 3, 5000, 'three ports');
  two.send([stationFrame(0, 2)]);
  for (const client of [one, three]) await waitFor(() => client.take().length === 1, 5000, 'the broadcast');
  one.send([stationFrame(2, 1, 100)]);
  await waitFor(() => two.take().some((frame) => frame.length === 100), 5000, 'the frame for 2');
  // What comes after it has come after it everywhere.
  one.send([stationFrame(0, 1, 200)]);
  const seen: number[] = [];
  const look = (): boolean => {
    seen.push(...three.take().map(({ length }) => length));
    return seen.includes(200);
  };
  await waitFor(look, 5000, 'the last broadcast');
  assert.equal(seen.filter((length) => length === 100).length, overheard);
}

test('in a pipe it is silent on its output, and with -q on both; ctl says when clients can come', async (t) => {
  for (const [option, expected] of [
    ['', /^vde switch: serving \S+\/lan\n$/],
    ['-q', /^$/],
  ] as const) {
    const path = join(makeTemporaryDirectory(t), 'lan');
    const script = '"$0" switch $1 "$2" & while ! [ -S "$2/ctl" ]; do sleep 0.05; done; sleep 1.2; kill $!; wait $!';
    const run = await runCommand(['sh', '-c', script, ours('vde'), option, path]);
    assert.deepEqual([run.status, run.stdout], [0, '']);
    assert.match(run.stderr, expected);
    assert.ok(!existsSync(path));
  }
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} ends it with status 0, lets clients go, and leaves nothing behind`, async (t) => {
    const lan = await serve(t);
    const client = new RawClient(lan.path, join(makeTemporaryDirectory(t), 'data')).ownedBy(t);
    client.say(client.request());
    await client.answer();
    lan.process.kill(signal);
    assert.deepEqual(await lan.process.waitForExit(4000), { status: 0, signal: null });
    assert.ok(client.isClosed());
    assert.ok(!existsSync(lan.path));
  });
}

test('after nohup a hangup does not end it', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'lan');
  const running = await spawnBackground(t, ['sh', '-c', 'trap "" HUP; exec "$0" switch "$1"', ours('vde'), path]);
  await running.waitForOutput(/serving/);
  running.kill('SIGHUP');
  await sleep(300);
  assert.equal((await ports({ path, process: running })).length, 0, 'it still answers');
  running.kill('SIGTERM');
  assert.deepEqual(await running.waitForExit(), { status: 0, signal: null });
});

test('who serves there already is named, and goes on', async (t) => {
  const lan = await serve(t);
  const { status, stdout, stderr } = await runCommand([ours('vde'), 'switch', lan.path]);
  assert.deepEqual([status, stdout], [125, '']);
  const { pid } = lan.process;
  const remedy = `Join it with: vdens ${lan.path}, or end that one with: kill ${pid}`;
  assert.equal(stderr, `vde: ${lan.path}: somebody serves a switch there already, process ${pid}. ${remedy}\n`);
  assert.deepEqual(await ports(lan), [], 'it was not even connected to');
});

test('an original switch that serves there is named, too', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const { status, stderr } = await runCommand([ours('vde'), 'switch', lan.path]);
  assert.equal(status, 125);
  const [, pid = ''] = /somebody serves a switch there already, process (\d+)\./.exec(stderr) ?? [];
  assert.match(readFileSync(`/proc/${pid}/cmdline`, 'latin1'), /vde_switch/);
});

test('another user is told whose switch it is, and may join when the mode says so', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const lan = await serve(t, ['--mode', '0666'], join(makeSharedDirectory(t), 'lan'));
  const second = await runCommand(other.command([ours('vde'), 'switch', lan.path]));
  assert.equal(second.status, 125);
  const who = `somebody serves a switch there already, a process of uid ${process.getuid?.()}. Join it with: vdens`;
  assert.ok(second.stderr.includes(who), second.stderr);
  const client = await spawnBackground(t, other.command([ours('vdens'), '--up', lan.path, 'sleep', '60']));
  await waitFor(async () => (await ports(lan)).length === 1, 5000, 'the port of the other user');
  const [port = []] = await ports(lan);
  assert.equal(port[2], 'socket', 'TAPs are handed over within one user only');
  client.kill('SIGTERM');
  await waitFor(async () => (await ports(lan)).length === 0, 5000, 'the end of it');
});

test('after kill -9 the next one takes the directory over, and clients of ours come back', async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lan = await serve(t);
  const host = { vdens: ours('vdens'), network: lan.path, address: '10.83.1.1/24', command: ['sleep', '60'] };
  const pong = await spawnBackground(t, inNamespace(host));
  await pong.waitForOutput(/^ready$/m);
  lan.process.kill('SIGKILL');
  await lan.process.waitForExit();
  assert.ok(existsSync(join(lan.path, 'ctl')), 'it could not clean up');
  const again = await serve(t, [], lan.path);
  await pong.waitForOutput(/is back/, 5000);
  const ping = { ...host, address: '10.83.1.2/24', command: ['ping', '-c', '1', '-W', '3', '10.83.1.1'] };
  assert.match((await runCommand(inNamespace(ping))).stdout, / 1 received/);
  again.process.kill('SIGTERM');
  await again.process.waitForExit();
  assert.ok(!existsSync(lan.path));
});

test('modes and the group are those of the options', async (t) => {
  const gid = String(process.getgid?.());
  const table: readonly (readonly [options: readonly string[], locator: string, directory: string, control: string])[] =
    [
      [[], '', '2700', '600'],
      [['--mode', '0660', '--group', gid], '', '2770', '660'],
      [['-m', '666'], '', '2777', '666'],
      [['-m', '0660', '--dirmode', '0750'], '', '750', '660'],
      [[], '[mode=0660]', '2770', '660'],
      [['-m', '0600'], '[mode=0660]', '2700', '600'],
    ];
  for (const [options, brackets, directory, control] of table) {
    const path = join(makeTemporaryDirectory(t), 'lan');
    const lan = await serve(t, options, `switch://${path}${brackets}`);
    assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], [directory, control], `${options} ${brackets}`);
    assert.equal(String(statSync(join(path, 'ctl')).gid), gid);
    lan.process.kill('SIGTERM');
    await lan.process.waitForExit();
  }
});

test('the client after the last port is refused at once', async (t) => {
  const lan = await serve(t, ['--ports', '2']);
  const folder = makeTemporaryDirectory(t);
  const clients = ['a', 'b', 'c'].map((name) => new RawClient(lan.path, join(folder, name)).ownedBy(t));
  const isAnswered: boolean[] = [];
  for (const client of clients) {
    client.say(client.request());
    isAnswered.push((await client.answer()) !== 'closed');
  }
  assert.deepEqual(isAnswered, [true, true, false]);
  assert.equal((await ports(lan)).length, 2);
  const plug = original('vde_plug');
  if (plug === undefined) return;
  const { isTimedOut, status } = await runCommand([plug, lan.path], { timeoutMs: 3000 });
  assert.equal(isTimedOut, false);
  assert.notEqual(status, 0);
});

test('a station that is silent for longer than --expire is forgotten', async (t) => {
  const lan = await serve(t, ['--expire', '1']);
  const client = new RawClient(lan.path, join(makeTemporaryDirectory(t), 'data')).ownedBy(t);
  client.say(client.request());
  await client.answer();
  const stations = async (): Promise<number> => (await report(lan)).filter(([word]) => word === 'station').length;
  client.send(stationFrame(0, 7));
  await waitFor(async () => (await stations()) === 1, 800, 'the station');
  await waitFor(async () => (await stations()) === 0, 3000, 'that the station is forgotten');
});

test('what a client does not take is told as dropped at its port, by reason', async (t) => {
  const lan = await serve(t);
  const folder = makeTemporaryDirectory(t);
  const [sender, deaf] = [NEVER_READS, 'sends'].reverse().map((name) => {
    const client = new RawClient(lan.path, join(folder, name)).ownedBy(t);
    client.say(client.request(name));
    return client;
  });
  await sender!.answer();
  await deaf!.answer();
  let dropped: string[] | undefined;
  const flood = async (): Promise<boolean> => {
    for (let i = 0; i < 40; i++) {
      try {
        sender!.send(stationFrame(0, 1, 1000));
      } catch {
        // The switch's socket is full.
      }
    }
    dropped = (await ports(lan)).find((line) => line.slice(8).join(' ') === NEVER_READS);
    return /^out:(peer-slow|queue-full)=[1-9]/.test(dropped?.[7] ?? '');
  };
  await waitFor(flood, 8000, 'dropped frames');
  assert.ok(Number(dropped?.[5]) > 0, 'some fitted its socket');
});

for (const [what, take] of [
  ['removed', (path: string) => runCommand(['rm', '-r', path])],
  ['replaced', (path: string) => runCommand(['sh', '-c', 'mv "$0" "$0.old"; mkdir "$0"', path])],
] as const) {
  test(`it says so and ends when its directory is ${what}`, async (t) => {
    const lan = await serve(t);
    await take(lan.path);
    assert.deepEqual(await lan.process.waitForExit(4000), { status: 125, signal: null });
    assert.match(lan.process.output(), /^vde switch: \S+lan: the directory .* was removed or replaced\. All clients/m);
    assert.equal(existsSync(lan.path), what === 'replaced', 'the directory of somebody else is left alone');
  });
}

test('a place that is none is an error of one line', async (t) => {
  const folder = makeTemporaryDirectory(t);
  for (const path of [folder, join(folder, 'no', 'lan')]) {
    if (path === folder) mkdirSync(join(folder, 'letters'));
    const { status, stdout, stderr } = await runCommand([ours('vde'), 'switch', path]);
    assert.deepEqual([status, stdout], [125, '']);
    assert.match(stderr, /^vde: [^\n]+: cannot serve a switch in [^\n]+\n$/);
  }
});

test('a relative path in a working directory that is gone is an error in words', async (t) => {
  const script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" switch lan';
  const run = await runCommand(['sh', '-c', script, ours('vde')], { cwd: makeTemporaryDirectory(t) });
  assert.equal(run.status, 125);
  assert.match(run.stderr, /^vde: lan: [^\n]*the working directory is gone\. [^\n]*absolute path[^\n]*$/m);
});

test('the usual place is refused when another user has prepared it', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const path = `/tmp/vdenode_${userInfo().username}`;
  assert.equal(existsSync(path), false, 'nobody else of us is there');
  const trap = `mkdir ${path} && chmod 0777 ${path} && echo ready && trap 'rmdir ${path}' EXIT && cat`;
  const trapper = await spawnBackground(t, other.command(['sh', '-c', trap]));
  await trapper.waitForOutput(/^ready$/m);
  try {
    for (const words of [
      ['vde', 'switch'],
      ['vde', 'switch', 'hub://'],
      ['vdens', 'switch://', 'true'],
    ]) {
      const [program = '', ...rest] = words;
      const { status, stderr } = await runCommand([ours(program), ...rest], { timeoutMs: 10_000 });
      assert.equal(status, 125, words.join(' '));
      assert.match(stderr, /: it belongs to another user\. [^\n]+\n$/, words.join(' '));
    }
    assert.deepEqual(readdirSync(path), []);
  } finally {
    trapper.endInput();
    await waitFor(() => !existsSync(path), 5000, 'the place to be free again');
  }
});

test('nobody who reads the report does not hold it up', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'lan');
  // Its standard error is a pipe that is full.
  const script = 'mkfifo "$2"; exec 3<>"$2"; head -c 65536 /dev/zero >&3; echo full; exec "$0" switch "$1" 2>&3';
  const running = await spawnBackground(t, ['sh', '-c', script, ours('vde'), path, `${path}.pipe`]);
  await running.waitForOutput(/full/);
  await waitFor(() => existsSync(join(path, 'ctl')), 5000, 'the switch');
  for (let i = 0; i < 3; i++) running.kill('SIGUSR1');
  const client = new RawClient(path, join(makeTemporaryDirectory(t), 'data')).ownedBy(t);
  client.say(client.request());
  assert.notEqual(await client.answer(), 'closed');
  running.kill('SIGTERM');
  assert.deepEqual(await running.waitForExit(5000), { status: 0, signal: null });
});

interface ShownSwitch {
  readonly terminal: Terminal;
  readonly path: string;
}

/** Runs it in a terminal. */
async function show(t: TestContext, command = '$VDE switch $LAN'): Promise<ShownSwitch | undefined> {
  if (!requireCommands(t, 'tmux', 'bash')) return undefined;
  const path = join(makeTemporaryDirectory(t), 'lan');
  const terminal = await openTerminal(t, { VDE: ours('vde'), LAN: path, SHELL: '/bin/sh' });
  await terminal.type(command);
  await waitFor(() => existsSync(join(path, 'ctl')), 5000, 'the switch');
  return { terminal, path };
}

async function join3(t: TestContext, path: string): Promise<RawClient[]> {
  const folder = makeTemporaryDirectory(t);
  const clients: RawClient[] = [];
  for (const name of ['anna', 'berta', 'cäsar']) {
    const client = new RawClient(path, join(folder, name)).ownedBy(t);
    client.say(client.request(name));
    // Ports are given out in the order of the requests.
    await client.answer();
    clients.push(client);
  }
  return clients;
}

test('on a terminal it shows its ports in place, as many as there is room for, and goes when ^C is pressed', async (t) => {
  const shown = await show(t);
  if (shown === undefined) return;
  const { terminal, path } = shown;
  await terminal.waitFor(/lan: switch, 0 ports, 0 stations.*\n\nNobody is here yet/);
  const [anna] = await join3(t, path);
  for (let i = 0; i < 3; i++) anna!.send(stationFrame(0, 1, 500));
  await terminal.waitFor(/^ {3}1 socket .* 3 1\.50k +0 +0 anna\n.* 3 1\.50k berta\n.* 3 1\.50k cäsar$/m);
  const screen = await terminal.screen();
  assert.equal(screen.match(/port kind/g)?.length, 1, `it is drawn in its place:\n${screen}`);
  assert.doesNotMatch(screen, /Nobody/);

  await terminal.resize(46, 7);
  await terminal.waitFor(/port kind +in B\/s out B\/s peer\n +1 socket .*anna\n/);
  await terminal.resize(80, 6);
  await terminal.waitFor(/^ {3}1 socket.*\n… and 2 more: kill -USR1 \d+ lists all$/m);
  await terminal.resize(90, 20);
  // At the end: it was there before, too.
  await terminal.waitFor(/\n {3}3 socket .*cäsar\s*$/);

  await terminal.press('C-c');
  await terminal.waitFor(/cäsar\n(\^C)?(\n)?outer\$$/m);
  await terminal.type('echo "status $?"');
  await terminal.waitFor(/^status 0$/m);
  assert.ok(!existsSync(path));
});

test('SIGUSR1 prints the report above the table', async (t) => {
  const shown = await show(t, '$VDE switch $LAN & sleep 1; fg');
  if (shown === undefined) return;
  const { terminal, path } = shown;
  await terminal.waitFor(/lan: switch, 0 ports/);
  await join3(t, path);
  const [, pid = ''] =
    /switch there already, process (\d+)/.exec((await runCommand([ours('vde'), 'switch', path])).stderr) ?? [];
  process.kill(Number(pid), 'SIGUSR1');
  await terminal.waitFor(/^port 3 socket .*cäsar\n# station.*\n.*lan: switch, 3 ports.*\n\nport kind/m);
});

test('in the background it leaves the terminal to others, and shows its ports again in the foreground', async (t) => {
  const shown = await show(t, '$VDE switch $LAN &');
  if (shown === undefined) return;
  const { terminal, path } = shown;
  await terminal.waitFor(/vde switch: serving .*lan$/m);
  await join3(t, path);
  await sleep(1300);
  assert.doesNotMatch(await terminal.screen(), /port kind/);
  await terminal.type('fg');
  await terminal.waitFor(/^ {3}3 socket .*cäsar$/m);
  await terminal.press('C-z');
  await terminal.waitFor(/Stopped .*\nouter\$$/m);
  await terminal.type('bg; echo mine');
  await terminal.waitFor(/^mine\nouter\$$/m);
  await sleep(1300);
  await terminal.type('echo still mine');
  await terminal.waitFor(/^mine\nouter\$ echo still mine\nstill mine\nouter\$$/m);
  await terminal.type('kill %1; wait %1; echo "status $?"');
  await terminal.waitFor(/^status 0$/m);
});

test('a terminal that is stopped holds nobody up, and with -q nothing is shown', async (t) => {
  const shown = await show(t);
  if (shown === undefined) return;
  await shown.terminal.waitFor(/0 ports/);
  await shown.terminal.press('C-s');
  await sleep(2500);
  await join3(t, shown.path);
  await shown.terminal.press('C-q');
  await shown.terminal.waitFor(/^ {3}3 socket .*cäsar$/m);
  await shown.terminal.press('C-c');
  await shown.terminal.waitFor(/outer\$$/m);

  const quiet = await show(t, 'clear; $VDE switch -q $LAN');
  await sleep(1300);
  assert.equal((await quiet!.terminal.screen()).trim(), '');
});
