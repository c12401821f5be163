/** The command vde_switch: options, files, signals, background, and who has its console. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManagementSession } from '../fixtures/management.ts';
import { openTerminal, PROMPT } from '../fixtures/terminal.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  original,
  ours,
  pidFrom,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';

const PROGRAM = ours('vde_switch');

/** Starts one whose standard input stays open, and waits until clients can come. */
async function start(t: TestContext, directory: string, ...args: readonly string[]): Promise<BackgroundCommand> {
  const running = await spawnBackground(t, [PROGRAM, '-s', directory, ...args]);
  await waitFor(
    () => {
      if (running.hasExited()) throw new Error(`vde_switch ended: ${running.output()}`);
      return existsSync(join(directory, 'ctl'));
    },
    10_000,
    `a switch in ${directory}`,
  );
  return running;
}

async function openConsole(t: TestContext, path: string): Promise<ManagementSession> {
  // One that was killed may have left the name.
  const open = (): Promise<ManagementSession | undefined> => ManagementSession.open(t, path).catch(() => undefined);
  const session = await waitFor(open, 10_000, `a console at ${path}`);
  await session.until(/\$ $/);
  return session;
}

test('what is wrong on the command line is one line, and nothing else happens', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const pidFile = join(folder, 'pid');
  writeFileSync(pidFile, '1\n');
  const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['--bogus'], /unknown option --bogus/],
    [['-bogus'], /unknown option -bogus/],
    [['-s'], /-s needs a value/],
    [['extra'], /one word too many.*-s extra/],
    [['-n', '0'], /--numports: "0" is not a number from 1/],
    [['-n', 'many'], /"many" is not a number/],
    [['-m', '8'], /"8" is not a mode/],
    [['--group', 'no-such-group'], /is no group/],
    [['-macaddr', 'ff:ff:ff:ff:ff:ff'], /not the Ethernet address of one station/],
    [['--priority=65536'], /not a number from 0 to 65535/],
    [['--hashsize', '0'], /--hashsize: "0"/],
    [['-t', ''], /no name of an interface/],
    [['-t', 'a/b'], /no name for an interface/],
    [['--h'], /may mean --hub or --hashsize or --help/],
    [['-M', '/nonexistent/mgmt'], /cannot make a socket/],
    [['-M', pidFile], /no socket, so it is left alone/],
    [['-p', pidFile], /pid file .*EEXIST.*remove the file/],
    [['-d', '-p', pidFile], /pid file .*EEXIST/],
    [['-d', '-M', '/nonexistent/mgmt'], /cannot make a socket/],
  ];
  // Half of them at a time: each is a start of Node.js.
  const half = Math.ceil(wrong.length / 2);
  for (const some of [wrong.slice(0, half), wrong.slice(half)]) {
    await Promise.all(
      some.map(async ([args, message], index) => {
        const argv = ['-s', join(folder, `sw${index}`), ...args];
        const script = `${PROGRAM} "$@"; echo "status $?"`;
        const { stdout, stderr, isTimedOut } = await runCommand(['sh', '-c', script, 'sh', ...argv]);
        assert.equal(isTimedOut, false, args.join(' '));
        assert.equal(stdout, 'status 1\n', args.join(' '));
        assert.match(stderr, message);
        assert.match(stderr, /^vde_switch: [^\n]+\n$/, args.join(' '));
        assert.equal(existsSync(join(folder, `sw${index}`)), false, args.join(' '));
      }),
    );
  }
  assert.equal(readFileSync(pidFile, 'utf8'), '1\n');
  const { status, stderr } = await runCommand([PROGRAM, '-s', '/nonexistent/folder/sw']);
  assert.equal(status, 1);
  assert.match(stderr, /^vde_switch: [^\n]*The folder above it must exist[^\n]*\n$/);
});

test('help and version are on standard output', async () => {
  const [help, shortened, version] = await Promise.all([
    runCommand([PROGRAM, '-h']),
    runCommand([PROGRAM, '-help']),
    runCommand([PROGRAM, '-v']),
  ]);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /^Usage: vde_switch \[options\]\n.*-M, --mgmt PATH/s);
  assert.deepEqual(shortened, help);
  assert.match(version.stdout, /^vde_switch \d+\.\d+\.\d+\n$/);
});

test('a place that is none is told by the name that was given', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const missing = join(folder, 'nosuch', 'name');
  const management = await runCommand([PROGRAM, '-s', join(folder, 'sw'), '-M', missing]);
  assert.match(management.stderr, /^vde_switch: --mgmt: cannot make a socket \S+\/nosuch\/name \([^\n]+\n$/);
  const directory = await runCommand([PROGRAM, '-s', missing]);
  assert.match(
    directory.stderr,
    /cannot serve a switch in \S+\/nosuch\/name: [^\n]*ENOENT\. The folder above it must exist: make that first\n$/,
  );
});

test('options of every form arrive at the switch', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const directory = join(folder, 'sw');
  const management = join(folder, 'mgmt');
  const args = [
    '-hub',
    '-numports=10',
    '--hashs',
    '100',
    '--macaddr',
    '0:ff:1:2:3:4',
    '-priority',
    '0x1000',
    '-D',
    '3',
  ];
  await start(t, directory, ...args, '--mgmt', management, '--mgmtmode', '0660', '-m', '0666', '-dirmode', '0755');
  const session = await openConsole(t, management);
  assert.match(await session.ask('showinfo'), /MAC 00:ff:01:02:03:04 uptime \d+\nmgmt \S+\/mgmt perm 0660\n/);
  assert.match(await session.ask('port/showinfo'), /Numports=10\nHUB=true\n/);
  assert.match(await session.ask('hash/showinfo'), /Hash size 128\n/);
  assert.match(await session.ask('fstp/showinfo'), /Priority 4096 \(0x1000\)\n/);
  assert.match(await session.ask('ds/showinfo'), /ctl dir \S+\/sw\nstd mode 0666\n/);
  const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);
  assert.equal(modeOf(management), '660');
  assert.equal(modeOf(directory), '755');
  assert.equal(modeOf(join(directory, 'ctl')), '666');
});

test('commands to start with: of the file that is named, else of the home directory', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const home = join(folder, 'home');
  mkdirSync(join(home, '.vde2'), { recursive: true });
  writeFileSync(join(home, '.vde2', 'vde_switch.rc'), 'vlan/create 5\n');
  const named = join(folder, 'named.rc');
  writeFileSync(named, '# start\n\nvlan/create 7\nvlan/create 7\nnothing\n');
  const run = (...args: readonly string[]) => {
    return runCommand([PROGRAM, '-s', join(folder, `sw${args.length}`), ...args], {
      env: { HOME: home },
      input: 'vlan/print\n',
    });
  };
  const [usual, other, missing] = await Promise.all([
    run(),
    run('-f', named),
    run('-x', '--rcfile', join(folder, 'nothing')),
  ]);
  assert.equal(usual.stdout, "0000 DATA END WITH '.'\nVLAN 0000\nVLAN 0005\n.\n1000 Success\n");
  assert.equal(usual.status, 0);
  assert.match(usual.stderr, /^vde_switch: standard input has ended[^\n]*\n$/);
  assert.equal(other.stdout, "0000 DATA END WITH '.'\nVLAN 0000\nVLAN 0007\n.\n1000 Success\n");
  assert.match(other.stderr, /named\.rc, line 4: vlan\/create 7: 1017 File exists\n/);
  assert.match(other.stderr, /named\.rc, line 5: nothing: 1038 Function not implemented\n/);
  // As the original: it is none of the things without which there is no switch.
  assert.match(missing.stderr, /nothing: cannot run the commands in it: 1002 No such file or directory\n/);
  assert.equal(missing.status, 0);
});

test('in the background it is reached by its sockets, and nobody else can take its place', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const args = ['-d', '-s', 'sw', '-M', 'mgmt', '-p', 'pid', '-f', 'rc'];
  writeFileSync(join(folder, 'rc'), 'vlan/create 9\n');
  const started = await runCommand([PROGRAM, ...args], { cwd: folder });
  assert.deepEqual(started, { status: 0, signal: null, stdout: '', stderr: '', isTimedOut: false });
  // It is open already.
  const pid = pidFrom(join(folder, 'pid'));
  assert.ok(pid !== undefined);
  t.after(() => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  });
  const session = await openConsole(t, join(folder, 'mgmt'));
  assert.match(await session.ask('showinfo'), new RegExp(`\\npid ${pid} MAC `));
  assert.match(await session.ask('vlan/print'), /VLAN 0009\n/);
  const [sameDirectory, sameSocket] = await Promise.all([
    runCommand([PROGRAM, '-d', '-s', 'sw', '-p', 'pid2'], { cwd: folder }),
    runCommand([PROGRAM, '-s', 'sw2', '-M', 'mgmt', '-p', 'pid3'], { cwd: folder }),
  ]);
  assert.equal(sameDirectory.status, 1);
  assert.match(
    sameDirectory.stderr,
    new RegExp(`^vde_switch: sw: somebody serves a switch there already, process ${pid}`),
  );
  assert.equal(sameSocket.status, 1);
  assert.match(sameSocket.stderr, /^vde_switch: --mgmt: somebody listens at [^\n]+ already[^\n]*\n$/);
  for (const name of ['pid2', 'pid3', 'sw2']) assert.equal(existsSync(join(folder, name)), false, name);
  assert.match(await session.ask('port/showinfo'), /1000 Success/);

  process.kill(pid, 'SIGHUP');
  assert.match(await session.ask('port/showinfo'), /1000 Success/);
  process.kill(pid, 'SIGTERM');
  await session.rest();
  for (const name of ['pid', 'sw', 'mgmt']) {
    await waitFor(() => !existsSync(join(folder, name)), 10_000, `the end of ${name}`);
  }
});

test('a switch that was killed is succeeded, one that runs is not', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
  const folder = makeTemporaryDirectory(t);
  const [directory, management] = [join(folder, 'sw'), join(folder, 'mgmt')];
  const program = original('vde_switch') ?? '';
  const killed = await spawnBackground(t, [program, '-s', directory, '-M', management]);
  await waitFor(() => existsSync(management), 10_000, 'the original');
  killed.kill('SIGKILL');
  await killed.waitForExit();
  assert.equal(existsSync(join(directory, 'ctl')), true);
  const ours = await start(t, directory, '-M', management);
  const session = await openConsole(t, management);
  assert.match(await session.ask('port/showinfo'), /1000 Success/);
  const refused = await runCommand([program, '-s', directory]);
  assert.notEqual(refused.status, 0);
  const client = await spawnBackground(t, [original('vde_plug') ?? '', directory]);
  await waitFor(async () => /ACTIVE - /.test(await session.ask('port/print')), 10_000, 'the client');
  ours.kill('SIGTERM');
  assert.deepEqual(await ours.waitForExit(), { status: 0, signal: null });
  assert.deepEqual(await client.waitForExit(), { status: 0, signal: null });
  assert.equal(existsSync(directory), false);
  assert.equal(existsSync(management), false);
});

test('when its directory is taken away it says so and ends', async (t) => {
  const directory = join(makeTemporaryDirectory(t), 'sw');
  const running = await start(t, directory);
  rmSync(directory, { recursive: true });
  assert.deepEqual(await running.waitForExit(), { status: 1, signal: null });
  assert.match(running.output(), /^vde_switch: \S+sw: the directory .*removed or replaced.*\n$/);
});

test('signals: TERM and INT end it, HUP does not, and INT is seen by whoever waits', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const names = ['-M', join(folder, 'mgmt'), '-p', join(folder, 'pid')];
  const running = await start(t, join(folder, 'sw'), '--nostdin', ...names);
  running.endInput();
  const session = await openConsole(t, join(folder, 'mgmt'));
  await waitFor(() => pidFrom(join(folder, 'pid')), 10_000, 'the pid file');
  // Who waits for the end of the pid file finds nothing else left.
  const changed: string[] = [];
  const watcher = watch(folder, (_event, name) => void changed.push(name ?? ''));
  t.after(() => watcher.close());
  // The original goes on as well.
  const meaningless = ['SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGPWR', 'SIGIO', 'SIGSTKFLT'] as const;
  for (const signal of ['SIGHUP', 'SIGUSR1', ...meaningless] as const) running.kill(signal);
  assert.match(await session.ask('port/showinfo'), /1000 Success/);
  running.kill('SIGINT');
  assert.deepEqual(await running.waitForExit(), { status: null, signal: 'SIGINT' });
  assert.equal(existsSync(join(folder, 'sw')), false);
  await waitFor(() => changed.includes('pid'), 10_000, 'what was removed');
  assert.deepEqual([changed.includes('sw'), changed.includes('mgmt'), changed.at(-1)], [true, true, 'pid']);
});

test('with a terminal as input and a pipe as output, as the test driver of NixOS has it', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash')) return;
  const folder = makeTemporaryDirectory(t);
  const directory = join(folder, 'sw');
  const answers = join(folder, 'answers');
  const terminal = await openTerminal(t, { SHELL: '/bin/sh' });
  await terminal.type(
    `${PROGRAM} -s ${directory} --dirmode 0700 | tee ${answers} >/dev/null; echo ended \${PIPESTATUS[0]}`,
  );
  await waitFor(() => existsSync(join(directory, 'ctl')), 10_000, 'the switch');
  await terminal.type('version');
  await waitFor(() => readFileSync(answers, 'utf8') === '1038 Function not implemented\n', 10_000, 'a line of answer');
  // The prompt is on the terminal, and no answer.
  await terminal.waitFor(/version\n\nvde\$/);
  assert.equal(statSync(directory).mode & 0o7777, 0o700);
  await terminal.type('port/showinfo');
  await waitFor(() => readFileSync(answers, 'utf8').endsWith('.\n1000 Success\n'), 10_000, 'the next answer');
  await terminal.press('C-d');
  await terminal.waitFor(/input has ended.*ended 0\n/s);
  assert.equal(existsSync(directory), false);

  await terminal.type(`${PROGRAM} -s ${directory}; echo ended $?`);
  await waitFor(() => existsSync(join(directory, 'ctl')), 10_000, 'the second switch');
  await terminal.type('port/showinfo');
  await terminal.waitFor(/0000 DATA END WITH '\.'\nNumports=32\nHUB=false\ncounters=true\n\.\n1000 Success\n\nvde\$/);
  await terminal.press('C-c');
  await terminal.waitFor(new RegExp(`\\n(ended 130\\n)?${PROMPT.trim().replace('$', '\\$')}$`, 'm'));
  await waitFor(() => !existsSync(directory), 10_000, 'the end of the switch');

  // A terminal that is taken away is the end of standard input.
  const status = join(folder, 'status');
  const script = join(folder, 'script');
  writeFileSync(
    script,
    `trap '' HUP
(until [ -S ${directory}/ctl ]; do sleep 0.1; done; tmux kill-pane) &
${PROGRAM} -s ${directory} 2>${folder}/errors
echo $? >${status}
`,
  );
  await terminal.type(`sh ${script}`);
  await waitFor(() => existsSync(status) && readFileSync(status, 'utf8') === '0\n', 10_000, 'its status');
  assert.equal(
    readFileSync(join(folder, 'errors'), 'utf8'),
    'vde_switch: standard input has ended, and so ends the switch\n',
  );
  assert.equal(existsSync(directory), false);
});

test('standard output that nobody reads holds up nothing', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const management = join(folder, 'mgmt');
  // The reader of the pipe sleeps; help has 4 KB, and a pipe 64.
  const script = `yes help | head -n 200 | { cat; sleep 60; } | ${PROGRAM} -s ${join(folder, 'sw')} -M ${management} | sleep 60`;
  await spawnBackground(t, ['sh', '-c', script]);
  const session = await openConsole(t, management);
  for (let i = 0; i < 5; i++) assert.match(await session.ask('port/showinfo'), /1000 Success/);
  session.send('shutdown\n');
  assert.match(await session.rest(), /9999 END OF SESSION$/);
  await waitFor(() => !existsSync(management), 10_000, 'the end of the switch');
});

test('a terminal that is stopped, and may not be opened again, holds up nothing', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash')) return;
  if (process.geteuid?.() === 0) return t.skip('root may open everything');
  const folder = makeTemporaryDirectory(t);
  const management = join(folder, 'mgmt');
  const fifo = join(folder, 'commands');
  const terminal = await openTerminal(t, { SHELL: '/bin/sh' });
  // As with a terminal that belongs to somebody else.
  await terminal.type(`mkfifo ${fifo}; chmod 0 $(tty); ${PROGRAM} -s ${join(folder, 'sw')} -M ${management} <>${fifo}`);
  const session = await openConsole(t, management);
  await terminal.press('C-s');
  writeFileSync(fifo, 'port/showinfo\n'.repeat(100));
  for (let i = 0; i < 5; i++) assert.match(await session.ask('port/showinfo'), /1000 Success/);
  await terminal.press('C-q');
  const answers = async (): Promise<boolean> => (await terminal.screen()).match(/^1000 Success$/gm)?.length === 100;
  await waitFor(answers, 10_000, 'all answers');
});

test('inside a namespace, a TAP interface gets a port', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const management = join(folder, 'mgmt');
  const argv = [PROGRAM, '-s', join(folder, 'sw'), '-M', management, '-t', 'tap7', '-tap', 'tap8'];
  await spawnBackground(t, [ours('vdens'), 'no', ...argv]);
  const session = await openConsole(t, management);
  const ports = await session.ask('port/print');
  assert.match(ports, /^Port 0001 untagged_vlan=0000 ACTIVE - Unnamed Allocatable$/m);
  assert.match(ports, /^ {2}-- endpoint ID \d{4} module tuntap {6}: tap7$/m);
  assert.match(ports, /^ {2}-- endpoint ID \d{4} module tuntap {6}: tap8$/m);
  session.send('shutdown\n');
  await session.rest();
  const refused = await runCommand([PROGRAM, '-s', join(folder, 'sw2'), '-t', 'tap7']);
  if (process.getuid?.() === 0) return;
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^vde_switch: tap:\/\/tap7: cannot attach to the interface[^\n]+\n$/);
});
