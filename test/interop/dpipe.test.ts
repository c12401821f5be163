/**
 * `dpipe`, ours and the original: the same command lines give the same pipes and statuses; what it does with signals,
 * terminals, process groups and files; `vde_plug` and `wirefilter` of both kinds in it.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LanHost } from '../fixtures/lan-host.ts';
import { Mark } from '../fixtures/marked.ts';
import { openTerminal } from '../fixtures/terminal.ts';
import {
  asChild,
  type CommandResult,
  killGroup,
  makeTemporaryDirectory,
  type Owner,
  original,
  ours,
  pidFrom,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { startSwitch } from './original-switch.ts';

const DPIPE = ours('dpipe');

/**
 * Writes what a command has, its arguments, variables and descriptors, into a file of its name in a folder. In a
 * subshell, so that its own descriptors stay as they are.
 */
const SHOW = `
(shift; echo "$*;$ALTERNATE_STDIN;$ALTERNATE_STDOUT"; for fd in 0 1 3 4 5 6 7 8; do
  [ -h /proc/$$/fd/$fd ] && ls -l /proc/$$/fd/$fd
done) >"$0.new"; mv "$0.new" "$0"; :`;

/** A line such as `a =} b x }= c`: words become commands that show what they have. */
function showing(folder: string, line: string): readonly string[] {
  const isSeparator = (word: string): boolean => /^[{}]?=/.test(word);
  let isFirst = true;
  return line.split(' ').flatMap((word) => {
    if (isSeparator(word)) {
      isFirst = true;
      return [word];
    }
    const words = isFirst ? ['sh', '-c', SHOW, join(folder, word), '-'] : [word];
    isFirst = false;
    return words;
  });
}

/** What every command had: its words, and its pipes by the order in which they are met; pipes of others do not count. */
function readShown(folder: string, names: readonly string[]): readonly string[] {
  const pipes = new Map<string, string>();
  const shown = names.map((name) => {
    const [words = '', ...lines] = readFileSync(join(folder, name), 'utf8').trim().split('\n');
    const descriptors = lines.flatMap((text) => {
      const [, mode, fd, pipe] = /^l([rwx-]{3}).*\/fd\/(\d+) -> pipe:\[(\d+)\]$/.exec(text) ?? [];
      return fd === undefined || pipe === undefined ? [] : [{ fd: Number(fd), mode, pipe }];
    });
    return { name, words, descriptors };
  });
  for (const { descriptors } of shown) {
    for (const { fd, pipe } of descriptors) if (fd < 2 && !pipes.has(pipe)) pipes.set(pipe, `${pipes.size}`);
  }
  return shown.map(({ name, words, descriptors }) => {
    const known = descriptors.flatMap(({ fd, mode, pipe }) =>
      pipes.has(pipe) ? [`${fd}${mode}:${pipes.get(pipe)}`] : [],
    );
    return `${name} [${words}] ${known.join(' ')}`;
  });
}

const LINES: readonly (readonly [line: string, names: string])[] = [
  ['a x -p y = b -- z', 'ab'],
  ['a = b = c = d', 'abcd'],
  ['a =} b }={ c {= d = e', 'abcde'],
  ['a =} b =} c }={ d {={ e {= f', 'abcdef'],
  ['a =}x b }=x} c = d {x }y z = e', 'abcde'],
  ['a = b =} c = d ={ e {=} f }= g', 'abcdefg'],
];

test('joins commands by the same pipes as the original, and gives each its own ends only', async (t) => {
  if (!requireCommands(t, 'dpipe')) return;
  for (const [line, names] of LINES) {
    const results: (readonly string[])[] = [];
    for (const program of [original('dpipe') ?? '', DPIPE]) {
      const folder = makeTemporaryDirectory(t);
      const run = await runCommand(asChild(program, ...showing(folder, line)));
      assert.deepEqual([run.status, run.stdout, run.stderr], [0, '', ''], `${program}: ${line}`);
      results.push(readShown(folder, [...names]));
    }
    assert.deepEqual(results[1], results[0], line);
    // Two ends of each pipe, and no more: otherwise nobody would see an end.
    assert.equal((results[1]?.join(' ').match(/\d[rwx-]{3}:/g)?.length ?? 0) % 2, 0, line);
    assert.match(results[1]?.join(' ') ?? '', /^a \[[^\]]*;3;4\] 0r-x:0 1-wx:1 b/);
  }
});

/** Asks the command behind it, and tells the answer. */
const ASK = `sh -c 'echo abc; read x; echo $x >&2'`;

test('ends when its commands do, with the status of the last one, also as the leader of a session', async () => {
  const table: readonly (readonly [string, number, RegExp])[] = [
    ["sh -c 'exit 3' = sh -c 'exit 4'", 4, /^$/],
    [
      "nonexistent = sh -c 'cat; exit 4'",
      4,
      /^dpipe: cannot run the command "nonexistent": there is none in \$PATH\n$/,
    ],
    ['cat = nonexistent', 127, /^dpipe: cannot run the command "nonexistent": there is none in \$PATH\n$/],
    ['true = /etc/passwd', 127, /^dpipe: cannot run the command "\/etc\/passwd": permission denied\n$/],
    ["true = sh -c 'kill -9 $$'", 137, /^$/],
    // The last but one ends later; what it reads ends with the last one.
    ["sh -c 'cat; echo over >&2' = sh -c 'exit 5'", 5, /^over\n$/],
    // Bytes go round: through a filter in one direction, and past it in the other.
    [`${ASK} =} sed -u s/b/B/ }= sh -c 'read x; echo $x-$x'`, 0, /^aBc-aBc\n$/],
    [`${ASK} ={ sed -u s/b/B/ {= sh -c 'read x; echo $x-$x'`, 0, /^aBc-abc\n$/],
    [`${ASK} = sh -c 'read x; echo $x >&4; read x <&3; echo $x' = sed -u s/b/B/`, 0, /^aBc\n$/],
  ];
  for (const [line, status, errors] of table) {
    const run = await runCommand(['sh', '-c', `exec "$0" ${line}`, DPIPE]);
    assert.deepEqual([run.status, run.stdout, run.isTimedOut], [status, '', false], `${line}: ${run.stderr}`);
    assert.match(run.stderr, errors, line);
  }
  const leader = await runCommand(['setsid', '-w', DPIPE, 'true', '=', 'sh', '-c', 'exit 8']);
  assert.deepEqual([leader.status, leader.stderr], [8, '']);
  const ignored = `trap '' HUP USR2; exec "$0" cat = sh -c 'grep SigIgn /proc/self/status >&2; env | grep VDENS_I >&2'`;
  const run = await runCommand(['sh', '-c', ignored, DPIPE]);
  assert.match(run.stderr, /^SigIgn:\s+[0-9a-f]*[89a-f]01\n$/);
});

/** Runs a shell that tells whether somebody else in its process group survives what it runs. */
async function runBeside(line: string): Promise<CommandResult> {
  const script = `sleep 60 & bystander=$!; ${line}; status=$?; kill -0 $bystander || echo killed; kill $bystander; exit $status`;
  return await runCommand(['sh', '-c', script, DPIPE]);
}

test('wrong usage is one line and status 1; help is no error; nobody else comes to harm', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const [pidFile, groupFile] = [join(folder, 'pid'), join(folder, 'group')];
  writeFileSync(pidFile, 'theirs\n');
  const table: readonly (readonly [string, RegExp])[] = [
    ['', /^dpipe: commands are missing/],
    ['a', /^dpipe: there is one command only/],
    ['a = ', /^dpipe: behind the last "="/],
    ['= a', /^dpipe: before "="/],
    [`-p ${pidFile} a =} b = c`, /^dpipe: the filter after "=}"/],
    [`-p ${pidFile} -x a = b`, /^dpipe: unknown option -x\./],
    ['--foo a = b', /^dpipe: unknown option --foo\./],
    ['--no a = b', /^dpipe: --no may mean --nowrapproc or --nowrapnoclean\./],
    ['-p', /^dpipe: -p needs a value/],
    [`-P ${groupFile} -p /nonexistent/pid sleep 9 = sleep 9`, /^dpipe: cannot write the pid file \/nonexistent\/pid/],
  ];
  for (const [line, message] of table) {
    const run = await runBeside(`"$0" ${line}`);
    assert.deepEqual([run.status, run.stdout], [1, ''], `${line}: ${run.stderr}`);
    assert.match(run.stderr, message);
    assert.match(run.stderr, /^[^\n]+\n$/, line);
  }
  assert.equal(readFileSync(pidFile, 'utf8'), 'theirs\n');
  assert.equal(existsSync(groupFile), false);
  const help = await runBeside('"$0" -h');
  assert.deepEqual([help.status, help.stderr], [0, '']);
  assert.match(help.stdout, /^Usage: dpipe /);
});

test('writes its files, and removes them unless they are somebody else’s by then', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const [pidFile, groupFile] = [join(folder, 'pid'), join(folder, 'group')];
  const read = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);
  const running = await spawnBackground(t, [
    'sh',
    '-c',
    'cd "$1"; "$0" -p pid -P group cat = sleep 60; exit',
    DPIPE,
    folder,
  ]);
  const pid = await waitFor(() => pidFrom(pidFile), 10_000, 'the pid file');
  await waitFor(() => read(groupFile)?.endsWith('\n'), 10_000, 'the other file');
  assert.equal(read(groupFile), `-${pid}\n`);
  await waitFor(() => commandsOf(pid).length === 2, 10_000, 'the commands');
  assert.deepEqual([...new Set(commandsOf(pid).map(({ group }) => group))], [pid]);
  // The group has nobody else in it: the shell that waits survives.
  killGroup(pid, 'SIGTERM');
  assert.deepEqual(await running.waitForExit(), { status: 143, signal: null });
  assert.deepEqual([read(pidFile), read(groupFile)], [undefined, undefined]);

  const other = `"$0" -p "$1" sh -c 'echo theirs >"$0"' "$1" = cat`;
  assert.equal((await runCommand(['sh', '-c', other, DPIPE, pidFile])).status, 0);
  assert.equal(read(pidFile), 'theirs\n');
});

test('-n becomes the last command, and the files are removed all the same; with -N they stay', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const [pidFile, groupFile] = [join(folder, 'pid'), join(folder, 'group')];
  const show = `(ls -l /proc/$$/fd/[0-9]) >&2; cat "$0" "$1" >&2; echo "$$ $ALTERNATE_STDIN" >&2; env | grep VDENS_I >&2; exit 6`;
  for (const option of ['-n', '-N']) {
    const argv = [DPIPE, option, '-p', pidFile, '-P', groupFile, 'cat', '=', 'sh', '-c', show, pidFile, groupFile];
    const running = await spawnBackground(t, argv);
    assert.deepEqual(await running.waitForExit(), { status: 6, signal: null });
    await running.waitForOutput(new RegExp(`\\n${running.pid}\\n-${running.pid}\\n${running.pid} 3\\n$`));
    assert.deepEqual(running.output().match(/\d(?= -> pipe)/g), ['0', '1']);
    if (option === '-n') await waitFor(() => !existsSync(pidFile) && !existsSync(groupFile), 10_000, 'the files to go');
    else assert.equal(readFileSync(groupFile, 'utf8'), `-${running.pid}\n`);
  }
  const missing = await runCommand([DPIPE, '-n', 'cat', '=', 'nonexistent']);
  assert.equal(missing.status, 127);
  assert.match(missing.stderr, /^dpipe: cannot run the command "nonexistent"[^\n]+\n$/);
});

test('-d goes into the background, tells before what cannot be run, and its files may be relative', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const mark = new Mark();
  const missing = await runCommand([DPIPE, '-d', 'sleep', '60', '=', 'nonexistent'], { env: mark.env });
  assert.equal(missing.status, 127);
  assert.match(missing.stderr, /^dpipe: cannot run the command "nonexistent"[^\n]+\n$/);
  await mark.waitForNone();
  for (const options of [['-d'], ['-d', '-n']]) {
    const command = 'echo "$PWD" >here.new; mv here.new here; echo lost >&2; exec sleep 60';
    const argv = [DPIPE, ...options, '-p', 'pid', '-P', 'group', 'cat', '=', 'sh', '-c', command];
    const started = await runCommand(argv, { cwd: folder, env: mark.env });
    assert.deepEqual([started.status, started.stdout], [0, '']);
    const pid = await waitFor(() => pidFrom(join(folder, 'pid')), 10_000, 'the pid file');
    const group = (): boolean => readFileSync(join(folder, 'group'), 'utf8') === `-${pid}\n`;
    await waitFor(() => existsSync(join(folder, 'group')) && group(), 10_000, 'the other file');
    await waitFor(() => existsSync(join(folder, 'here')), 10_000, 'the command');
    assert.equal(readFileSync(join(folder, 'here'), 'utf8'), `${folder}\n`);
    assert.equal(readlinkSync(`/proc/${pid}/fd/2`), '/dev/null');
    assert.equal(statusField(pid, 'NSsid'), `${pid}`);
    killGroup(pid, 'SIGTERM');
    await waitFor(() => !existsSync(join(folder, 'pid')) && !existsSync(join(folder, 'group')), 10_000, 'the end');
    await mark.waitForNone();
  }
});

test('SIGTERM, SIGHUP and SIGINT at dpipe are passed on', async (t) => {
  const last =
    'for s in TERM HUP INT; do trap "echo $s >&2; exit 9" $s; done; echo ready >&2; while :; do sleep 0.1; done';
  for (const signal of ['TERM', 'HUP', 'INT'] as const) {
    const running = await spawnBackground(t, [DPIPE, 'cat', '=', 'sh', '-c', last]);
    await running.waitForOutput(/^ready$/m);
    running.kill(`SIG${signal}`);
    await running.waitForOutput(new RegExp(`^${signal}$`, 'm'));
    assert.deepEqual(await running.waitForExit(), { status: 9, signal: null });
  }
  const running = await spawnBackground(t, [DPIPE, 'cat', '=', 'sh', '-c', 'echo ready >&2; exec sleep 60']);
  await running.waitForOutput(/^ready$/m);
  running.kill('SIGINT');
  assert.deepEqual(await running.waitForExit(), { status: null, signal: 'SIGINT' });
});

test('on a terminal, ^C ends all, ^Z stops all, and jobs go to the background and back', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash')) return;
  const mark = new Mark();
  const terminal = await openTerminal(t, { ...mark.env, DPIPE });
  const type = async (line: string): Promise<void> => {
    await terminal.type(line);
    await mark.waitForProcess(/^sleep 200/);
  };
  await type('$DPIPE sleep 100 = sleep 200');
  await terminal.press('C-z');
  await terminal.waitFor(/Stopped +\$DPIPE.*\nouter\$$/m);
  await terminal.type('bg; fg');
  await terminal.waitFor(/outer\$ bg; fg\n(.*\n)*\$DPIPE sleep 100 = sleep 200$/m);
  await terminal.press('C-c');
  await terminal.waitFor(/\^C\n?outer\$$/m);
  await terminal.type('echo "status $?"');
  await terminal.waitFor(/^status 130$/m);

  await type('$DPIPE sleep 100 = sleep 200 &');
  await terminal.type('fg');
  await terminal.waitFor(/outer\$ fg\n\$DPIPE sleep 100 = sleep 200$/m);
  await terminal.press('C-c');
  await terminal.type('echo "then $?"');
  await terminal.waitFor(/^then 130$/m);

  // In a script it stays in the foreground: ^C ends the script and all, and the terminal can be read.
  await type('sh -c \'$DPIPE sh -c "read x </dev/tty; echo got \\$x >&2; sleep 100" = sleep 200; echo after\'');
  await terminal.type('words');
  await terminal.waitFor(/^got words$/m);
  await terminal.press('C-c');
  await waitFor(() => !mark.processes().some(({ command }) => /sleep|dpipe/.test(command)), 8000, 'their end');
  assert.doesNotMatch(await terminal.screen(), /^after$/m);
});

test('commands have the further descriptors of the caller, and its limit of open files', async (t) => {
  const show = `sh -c 'ulimit -Sn >&2; cat <&5 >&2; env | grep VDENS_ | grep -vE "VDENS_(TEST_|RUNTIME_DIR=)" >&2; :'`;
  for (const words of [`true = ${show}`, `-n true = ${show}`, `${show} = true = true`]) {
    const script = `ulimit -Sn 200; exec 5<<END\nfive\nEND\nexec ${DPIPE} ${words}`;
    const run = await runCommand(['sh', '-c', script], { cwd: makeTemporaryDirectory(t) });
    assert.deepEqual([run.status, run.stderr], [0, '200\nfive\n'], words);
  }
});

test('whoever removes the files is not held up by what somebody put in their place', async (t) => {
  const cwd = makeTemporaryDirectory(t);
  const mark = new Mark();
  const script = 'rm pid; mkfifo pid; exec >&-';
  const run = await runCommand([DPIPE, '-n', '-p', 'pid', 'true', '=', 'sh', '-c', script], { cwd, env: mark.env });
  assert.deepEqual([run.status, run.stderr], [0, '']);
  await mark.waitForNone();
  assert.ok(existsSync(join(cwd, 'pid')));
});

test('what cannot be started at all is one line, and nothing of it stays', async (t) => {
  const cwd = makeTemporaryDirectory(t);
  const table: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['sh', '-c', 'echo >ran', '=', ''], 127, /^dpipe: cannot run the command "": no such file or directory\n$/],
    [['-d', '-n', 'sh', '-c', 'echo >ran', '=', 'nonexistent'], 127, /^dpipe: cannot run [^\n]+ none in \$PATH\n$/],
    [
      ['sleep', '50', '=', '/etc/passwd/x'],
      127,
      /^dpipe: cannot run the command "\/etc\/passwd\/x": not a directory\n$/,
    ],
  ];
  for (const [words, status, line] of table) {
    const run = await runCommand([DPIPE, ...words], { cwd });
    assert.deepEqual([run.status, run.isTimedOut, run.stdout], [status, false, ''], run.stderr);
    assert.match(run.stderr, line);
    assert.equal(existsSync(join(cwd, 'ran')), false);
  }
});

for (const [name, dpipe, plugs, filter] of [
  ['our dpipe joins an original vde_plug and ours', DPIPE, [original('vde_plug') ?? '', ours('vde_plug')], []],
  [
    'the original dpipe joins ours and an original one, with wirefilter between them',
    original('dpipe') ?? '',
    [ours('vde_plug'), original('vde_plug') ?? ''],
    ['=', original('wirefilter') ?? '', '-l', '0'],
  ],
  [
    'our dpipe has wirefilters of both directions between two of ours',
    DPIPE,
    [ours('vde_plug'), ours('vde_plug')],
    ['=}', original('wirefilter') ?? '', '-l', '0', '}={', original('wirefilter') ?? '', '-l', '0'],
  ],
] as const) {
  test(`${name}: two switches become one network`, async (t) => {
    if (!requireCommands(t, 'dpipe', 'vde_switch', 'vde_plug', 'wirefilter', 'ip', 'ping')) return;
    const [left, right] = [await startSwitch(t), await startSwitch(t)];
    const [first, last] = plugs;
    const closing = filter[0] === '=}' ? '{=' : '=';
    await spawnBackground(t, asChild(dpipe, first, left.path, ...filter, closing, last, right.path));
    await assertJoined(t, left.path, right.path);
  });
}

async function assertJoined(t: Owner, left: string, right: string): Promise<void> {
  const a = await LanHost.start(t, left, '10.85.0.1/24');
  await LanHost.start(t, right, '10.85.0.2/24');
  await a.waitForPing('10.85.0.2', 15_000);
}

/** Children of a process, and their process groups. */
function commandsOf(pid: number): readonly { readonly pid: number; readonly group: number }[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return children.map((child) => ({ pid: child, group: Number(statusField(child, 'NSpgid')) }));
}

function statusField(pid: number, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
}
