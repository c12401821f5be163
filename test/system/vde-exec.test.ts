/** `vde exec`: one more command in a namespace that is there, as its first command has it; by name and by pid. */
import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Mark } from '../fixtures/marked.ts';
import { makeSharedDirectory, requireOtherUser } from '../fixtures/other-user.ts';
import { openTerminal } from '../fixtures/terminal.ts';
import {
  type CommandOptions,
  type CommandResult,
  checkout,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
} from '../interop/harness.ts';

/** A namespace, and the word by which it is entered. */
interface Running {
  readonly word: string;
  readonly env: Readonly<Record<string, string>>;
  enter(command: readonly string[], options?: CommandOptions): Promise<CommandResult>;
}

/** Ways to run a namespace: with and without Node.js beside it, with a name and without. */
const WAYS: readonly (readonly string[])[] = [
  ['no'],
  ['-u', 'no'],
  ['null://'],
  ['--name', 'web', 'no'],
  ['--name', 'web', 'null://'],
];

/** Starts a namespace whose command prints a line and stays. */
async function start(t: TestContext, way: readonly string[], ready = 'echo ready'): Promise<Running> {
  const env = { VDENS_RUNTIME_DIR: makeTemporaryDirectory(t) };
  const vdens = await spawnBackground(t, [ours('vdens'), ...way, 'sh', '-c', `${ready}; exec sleep 60`], { env });
  await vdens.waitForOutput(/^ready$/m);
  const word = way[0] === '--name' ? way[1]! : String(vdens.pid);
  return {
    word,
    env,
    enter: (command, options = {}) =>
      runCommand([ours('vde'), 'exec', word, ...command], { ...options, env: { ...env, ...options.env } }),
  };
}

/** What a process sees of where it is: namespaces, rights, names, interfaces. */
const LOOK = [
  'readlink /proc/self/ns/user /proc/self/ns/net /proc/self/ns/uts /proc/self/ns/mnt',
  'grep -E "^(Cap|Uid|Gid|SigIgn|SigBlk)" /proc/self/status',
  'id; uname -n; cat /etc/resolv.conf 2>&1; ls /sys/class/net /proc/sys/net/ipv4/conf; ulimit -n; echo ready',
].join('; ');

for (const way of [
  ...WAYS,
  ['-R', '192.0.2.53', '-H', 'inner', 'no'],
  ['--name', 'web', '-R', '192.0.2.53', '-H', 'inner', '--address', '10.7.7.7/24', 'null://'],
  ['--root', 'null://'],
  ['--root', '-s', 'no'],
  ['-s', 'null://'],
]) {
  test(`sees and may do what the first command does: vdens ${way.join(' ')}`, async (t) => {
    const env = { VDENS_RUNTIME_DIR: makeTemporaryDirectory(t) };
    const vdens = await spawnBackground(t, [ours('vdens'), ...way, 'sh', '-c', `${LOOK}; exec sleep 60`], { env });
    await vdens.waitForOutput(/^ready$/m);
    const seen = vdens.output();
    for (const word of new Set([String(vdens.pid), way[0] === '--name' ? way[1]! : String(vdens.pid)])) {
      const { status, stdout, stderr } = await runCommand([ours('vde'), 'exec', word, 'sh', '-c', LOOK], { env });
      assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: seen, stderr: '' }, word);
    }
  });
}

test('the working directory, the environment and the streams are those of the caller', async (t) => {
  for (const way of WAYS) {
    const { enter } = await start(t, way);
    const cwd = realpathSync(makeTemporaryDirectory(t));
    const script = 'pwd; echo "$OWN"; cat; echo problem >&2; env | grep -c ^VDENS_IGNORED';
    const { stdout, stderr } = await enter(['sh', '-c', script], { cwd, env: { OWN: 'mine' }, input: 'typed\n' });
    assert.deepEqual([stdout, stderr], [`${cwd}\nmine\ntyped\n0\n`, 'problem\n'], way.join(' '));
  }
});

test('a process within is as good as the vdens', async (t) => {
  const mark = new Mark();
  const env = { ...mark.env, VDENS_RUNTIME_DIR: makeTemporaryDirectory(t) };
  for (const network of ['no', 'null://']) {
    await spawnBackground(t, [ours('vdens'), network, 'sleep', '61'], { env });
    const inside = await mark.waitForProcess(/^sleep 61$/);
    const look = 'readlink /proc/self/ns/net; grep CapEff /proc/self/status';
    const { stdout } = await runCommand([ours('vde'), 'exec', String(inside), 'sh', '-c', look]);
    const [net, capabilities] = stdout.split('\n');
    assert.equal(net, (await runCommand(['readlink', `/proc/${inside}/ns/net`])).stdout.trim(), network);
    assert.match(capabilities ?? '', /\b0*3c00$/, network);
    process.kill(inside, 'SIGKILL');
    await mark.waitForNone();
  }
});

test('a process in a user namespace of its own, in a network of ours, is entered as well', async (t) => {
  if (!requireCommands(t, 'unshare')) return;
  const mark = new Mark();
  const env = { ...mark.env, VDENS_RUNTIME_DIR: makeTemporaryDirectory(t) };
  await spawnBackground(t, [ours('vdens'), 'null://', 'unshare', '-U', 'sleep', '62'], { env });
  const inside = await mark.waitForProcess(/^sleep 62$/);
  const look = 'readlink /proc/self/ns/user; readlink /proc/self/ns/net';
  const { stdout, stderr } = await runCommand([ours('vde'), 'exec', String(inside), 'sh', '-c', look]);
  assert.equal(stderr, '');
  assert.equal(stdout, (await runCommand(['sh', '-c', look.replaceAll('self', String(inside))])).stdout);
  process.kill(inside, 'SIGKILL');
  await mark.waitForNone();
});

test('the status is that of the command, 128+n, 126, 127', async (t) => {
  for (const way of WAYS) {
    const { enter } = await start(t, way);
    for (const [command, status] of [
      [['true'], 0],
      [['sh', '-c', 'exit 77'], 77],
      [['--', 'sh', '-c', 'exit 3'], 3],
      [['sh', '-c', 'kill -TERM $$'], 143],
      [['sh', '-c', 'kill -KILL $$'], 137],
      [['/'], 126],
      [['no-such-command'], 127],
    ] as const) {
      const run = await enter(command);
      assert.deepEqual(
        [run.status, run.signal],
        [status, null],
        `${way.join(' ')}: ${command.join(' ')}: ${run.stderr}`,
      );
      assert.match(run.stderr, status === 126 || status === 127 ? /^vde: cannot run the command '[^\n]+\n$/ : /^$/);
    }
  }
});

test('SIGTERM goes to the command, and what it leaves behind is ended', async (t) => {
  const { word, env } = await start(t, ['--name', 'web', 'null://']);
  const mark = new Mark();
  const script = 'trap "exit 9" TERM; sleep 1234 & setsid sleep 1235 & echo set; while :; do sleep 0.05; done';
  const running = await spawnBackground(t, [ours('vde'), 'exec', word, 'sh', '-c', script], {
    env: { ...env, ...mark.env },
  });
  await running.waitForOutput(/^set$/m);
  running.kill('SIGTERM');
  assert.deepEqual(await running.waitForExit(), { status: 9, signal: null });
  await mark.waitForNone();
});

test('without a command it is the shell of $SHELL, and job control, ^C, ^Z and the size work in it', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash', 'stty')) return;
  for (const way of [['no'], ['--name', 'web', 'null://']]) {
    const { word, env } = await start(t, way);
    const mark = new Mark();
    const terminal = await openTerminal(t, { ...env, ...mark.env, VDE: ours('vde') });
    await terminal.type(`SHELL=/bin/bash $VDE exec ${word}`);
    const shell = await mark.waitForProcess(/^\/bin\/bash$/);
    await terminal.type("clear; PS1='inner$ '");
    await terminal.waitFor(/^inner\$$/m);
    assert.equal((await runCommand(['readlink', `/proc/${shell}/ns/net`])).status, 0);
    await terminal.type('sleep 100');
    await mark.waitForProcess(/^sleep 100/);
    await terminal.press('C-c');
    await terminal.waitFor(/\^C\ninner\$$/m);
    await terminal.type('sleep 200');
    await mark.waitForProcess(/^sleep 200/);
    await terminal.press('C-z');
    await terminal.waitFor(/Stopped +sleep 200\ninner\$$/m);
    await terminal.type('kill %1; wait; echo "gone: $?"');
    await terminal.waitFor(/^gone: \d+$/m);
    await terminal.resize(100, 30);
    await terminal.type('stty size');
    await terminal.waitFor(/^30 100$/m);
    await terminal.type('exit 3');
    await terminal.waitFor(/exit\nouter\$$/m);
    await terminal.type('echo "status $?"');
    await terminal.waitFor(/^status 3$/m);

    await terminal.type(`$VDE exec ${word} sleep 300`);
    await mark.waitForProcess(/^sleep 300/);
    await terminal.press('C-z');
    await terminal.waitFor(/Stopped +\$VDE.*\nouter\$$/m);
    await terminal.type('fg');
    await terminal.waitFor(/outer\$ fg\n\$VDE/m);
    await terminal.press('C-c');
    await terminal.waitFor(/\^C\n?outer\$$/m);
    await terminal.type('echo "status $?"');
    await terminal.waitFor(/^status 130$/m);
    await terminal.type('exit');
    await mark.waitForNone();
  }
});

test('names that are not there, and pids of others, are refused in words', async (t) => {
  const env = { VDENS_RUNTIME_DIR: makeTemporaryDirectory(t) };
  await spawnBackground(t, [ours('vdens'), '--name', 'web', 'no', 'sh', '-c', 'echo ready; exec sleep 60'], {
    env,
  }).then(async (vdens) => await vdens.waitForOutput(/^ready$/m));
  for (const [word, message] of [
    ['wed', /^vde: .*"?wed"?.*web\n$/],
    ['nothing-like-it', /^vde: [^\n]*nothing-like-it[^\n]*\n$/],
    ['1', /^vde: process 1 may not be looked into: it belongs to uid 0/],
    [String(process.pid), /^vde: process \d+ is in no namespace of its own/],
    ['4194305', /^vde: there is no process 4194305/],
  ] as const) {
    const { status, stdout, stderr } = await runCommand([ours('vde'), 'exec', word, 'true'], { env });
    assert.deepEqual([status, stdout], [125, ''], word);
    assert.match(stderr, message);
  }
});

test('another user cannot enter, neither by name nor by pid', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const env = { VDENS_RUNTIME_DIR: join(makeSharedDirectory(t), 'run') };
  const vdens = await spawnBackground(
    t,
    [ours('vdens'), '--name', 'web', 'no', 'sh', '-c', 'echo inside $$; exec sleep 60'],
    { env },
  );
  const [, inside = ''] = await vdens.waitForOutput(/^inside (\d+)$/m);
  for (const word of ['web', String(vdens.pid), inside]) {
    const { status, stdout, stderr } = await runCommand(
      other.command([ours('vde'), 'exec', word, 'echo', 'entered'], { env }),
    );
    assert.deepEqual([status, stdout], [125, ''], word);
    assert.match(stderr, /^vde: [^\n]+\n$/);
  }
});

/** A program of the library with two namespaces, which others find by one name. */
const PROGRAM = `
  import { NamespaceItem, openNamespace, openPlug, ProcessControl } from ${JSON.stringify(join(checkout, 'dist', 'src', 'index.js'))};
  const control = new ProcessControl({ command: 'program', prefix: 'program', name: 'lab' });
  for (const name of ['left0', 'right0']) {
    const namespace = await openNamespace({ interfaces: [{ name }], hostname: name, sysAdmin: name === 'right0' });
    const lines = [{ tap: namespace.interfaces[0].plug, network: await openPlug('null://') }];
    control.add(async () => new NamespaceItem(namespace, lines, []));
  }
  await control.ready;
  console.log('ready');
  setTimeout(() => undefined, 60_000);
`;

test('the namespaces of a program that uses the library are told apart by their interfaces', async (t) => {
  const env = { VDENS_RUNTIME_DIR: join(makeTemporaryDirectory(t), 'run') };
  const program = await spawnBackground(t, [process.execPath, '--input-type=module', '-e', PROGRAM], { env });
  await program.waitForOutput(/^ready$/m);
  const enter = async (word: string): Promise<CommandResult> =>
    await runCommand([ours('vde'), 'exec', word, 'sh', '-c', 'uname -n; grep CapEff /proc/self/status'], { env });
  assert.equal((await enter('lab:left0')).stdout, 'left0\nCapEff:\t0000000000003c00\n');
  assert.equal(
    (await enter(`${join(env.VDENS_RUNTIME_DIR, 'lab')}:left0`)).stdout,
    'left0\nCapEff:\t0000000000003c00\n',
  );
  assert.equal((await enter('lab:right0')).stdout, 'right0\nCapEff:\t0000000000203c00\n');
  const { status, stderr } = await enter('lab');
  assert.deepEqual([status, stderr], [125, 'vde: lab has 2 namespaces. Say which by an interface, as in lab:left0\n']);
  assert.match(
    (await enter('lab:x')).stderr,
    /^vde: no namespace of lab has an interface "x"\. See what there is with: vde ls\n$/,
  );
});

test('two cannot have one name at a time, and the second says whose it is', async (t) => {
  const { env } = await start(t, ['--name', 'web', 'null://']);
  const again = async (): Promise<CommandResult> =>
    await runCommand([ours('vdens'), '--name', 'web', 'no', 'true'], { env });
  const refused = await again();
  assert.deepEqual([refused.status, refused.stdout], [125, '']);
  assert.match(refused.stderr, /^vdens: [^\n]*web[^\n]*\d+[^\n]*vde exec web\n$/);
});
