/** `vde_plug`, ours: a cable between switches of ours and the originals', streams to them, and how it ends. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeStream } from '../conformance/stream-framing.ts';
import { FakeSwitch } from '../fixtures/fake-switch.ts';
import { LanHost } from '../fixtures/lan-host.ts';
import { Mark } from '../fixtures/marked.ts';
import { openTerminal } from '../fixtures/terminal.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  type Owner,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { startSwitch } from './original-switch.ts';
import { inNamespace } from './original-vdens.ts';
import { startStreamClient } from './stream-client.ts';

const PLUG = ours('vde_plug');

/** A cable, which has to be there when frames pass: the switches do not tell. */
async function startCable(t: Owner, ...words: readonly string[]): Promise<BackgroundCommand> {
  return await spawnBackground(t, [PLUG, ...words]);
}

/** Two hosts on networks of their own, joined: they ping each other, and move bytes unharmed. */
async function assertJoined(t: TestContext, left: string, right: string): Promise<void> {
  const a = await LanHost.start(t, left, '10.84.0.1/24');
  const b = await LanHost.start(t, right, '10.84.0.2/24');
  await a.waitForPing('10.84.0.2', 10_000);
  await b.receiveTransfer(5000);
  await a.sendTransfer('10.84.0.2', 5000, 5_000_000);
}

test('joins a switch of ours and an original one', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const theirs = await startSwitch(t);
  const lan = join(makeTemporaryDirectory(t), 'lan');
  const cable = await startCable(t, `switch://${lan}`, theirs.path);
  await assertJoined(t, `switch://${lan}`, theirs.path);
  cable.kill('SIGUSR1');
  await cable.waitForOutput(/^vde_plug: \S+: in \d{3,} frames/m);
  cable.kill('SIGTERM');
  assert.deepEqual(await cable.waitForExit(), { status: 0, signal: null });
});

test('joins two original switches, and is told to them as it was asked', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  await startCable(t, '-D', 'the uplink', left.path, right.path);
  await assertJoined(t, left.path, right.path);
  assert.match(await left.command('port/allprint'), /the uplink user=/);
  assert.match(await right.command('port/allprint'), /the uplink user=/);
});

test('waits for a switch that goes away, and says so', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  const cable = await startCable(t, left.path, right.path);
  const a = await LanHost.start(t, left.path, '10.84.0.1/24');
  await LanHost.start(t, right.path, '10.84.0.2/24');
  await a.waitForPing('10.84.0.2', 10_000);
  await right.restart();
  await cable.waitForOutput(/^vde_plug: \S+: .*; waiting for it$/m);
  await cable.waitForOutput(/^vde_plug: \S+: is up$/m);
  await a.waitForPing('10.84.0.2', 10_000);
});

test('with --no-reconnect it ends when a switch does', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  const cable = await startCable(t, '--no-reconnect', left.path, right.path);
  await waitFor(async () => /vdeplug: user=/.test(await right.command('port/allprint')), 10_000, 'the cable');
  await right.kill();
  assert.deepEqual(await cable.waitForExit(), { status: 0, signal: null });
});

test('^C and the end of a terminal end it as they end other programs', async (t) => {
  for (const signal of ['SIGINT', 'SIGHUP'] as const) {
    const lan = join(makeTemporaryDirectory(t), 'lan');
    const cable = await startCable(t, `switch://${lan}`, 'null://');
    const client = await runCommand([ours('vdens'), '--up', lan, 'true']);
    // It may have come before the cable: then it failed, and comes again.
    if (client.status !== 0) await waitFor(() => joins(lan), 10_000, 'the switch');
    cable.kill(signal);
    assert.deepEqual(await cable.waitForExit(), { status: null, signal });
  }
});

async function joins(lan: string): Promise<boolean> {
  return (await runCommand([ours('vdens'), '--up', lan, 'true'])).status === 0;
}

test('as the stream of vdens, and of a command, it reaches an original switch', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'ip', 'ping')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  const a = await LanHost.start(t, `=${PLUG} ${left.path}`, '10.84.0.1/24');
  await startCable(t, left.path, '=', original('vde_plug') ?? '', right.path);
  await LanHost.start(t, `=${PLUG} ${right.path}`, '10.84.0.2/24');
  await a.waitForPing('10.84.0.2', 10_000);
});

test('as the stream of an original vdens, and of its cmd://, it reaches a switch', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vdens', 'ip', 'ping')) return;
  const lan = await startSwitch(t);
  await LanHost.start(t, lan.path, '10.84.0.2/24');
  for (const network of [`=${PLUG} ${lan.path}`, `cmd://${PLUG} ${lan.path}`]) {
    const ping = ['ping', '-q', '-c', '1', '-i', '0.2', '-w', '15', '10.84.0.2'];
    const vdens = original('vdens') ?? '';
    const host = await spawnBackground(t, inNamespace({ vdens, network, address: '10.84.0.1/24', command: ping }));
    await host.waitForOutput(/ [1-9]\d* received/, 20_000);
  }
});

test('a stream ends it, and so does its network', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const first = await startStreamClient(t, [PLUG, lan.path]);
  first.endInput();
  await first.waitForExit();
  assert.equal(first.errors(), '');
  const second = await startStreamClient(t, [PLUG, lan.path]);
  await waitFor(async () => /vdeplug: user=/.test(await lan.command('port/allprint')), 10_000, 'the plug');
  await lan.kill();
  await second.waitForExit();
  const fromNothing = await runCommand(['sh', '-c', `exec ${PLUG} null:// </dev/null`]);
  assert.deepEqual([fromNothing.status, fromNothing.stdout, fromNothing.stderr], [0, '', '']);
});

test('asks the switches for ports, and gives its sockets to groups, as the original does', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
  const gid = process.getgid?.() ?? 0;
  const seen: string[] = [];
  const fake = await FakeSwitch.start({
    answer: (request, connection) => {
      const path = request.subarray(14, 122).toString().replace(/\0.*$/s, '');
      const { mode, gid: group } = statSync(path);
      const text = request.subarray(122).toString();
      seen.push(
        `${request.readUInt32LE(8).toString(16)} ${(mode & 0o7777).toString(8)} ${group === gid} ${text.split(' ')[0]}`,
      );
      connection.destroy();
    },
  });
  t.after(() => fake.close());
  const table: readonly (readonly [string, string])[] = [
    [`${fake.path} null://`, '0 700 true vdeplug:'],
    [`--port 3 -m 770 -g ${gid} -D mine ${fake.path} null://`, '300 770 true mine'],
    [`--port 3 --mod=770 '${fake.path}[4]' null://`, '400 770 true vdeplug:'],
    [`--port 3 -m 770 '${fake.path}[mode=750]' null://`, '300 750 true vdeplug:'],
    [`null:// ${fake.path} --port2 5 -M 666 -G ${gid} -D ""`, '500 666 true vdeplug:'],
    [`${fake.path} -D late`, '0 700 true late'],
  ];
  for (const [words, expected] of table) {
    for (const plug of [original('vde_plug') ?? '', PLUG]) {
      seen.length = 0;
      // The original's groups have names.
      const named = plug === PLUG ? words : words.replace(/-([gG]) \d+/, (_, letter) => `-${letter} $(id -gn)`);
      const run = await runCommand(['sh', '-c', `${plug} ${named}`]);
      assert.deepEqual(seen.slice(0, 1), [expected], `${plug} ${words}: ${run.stderr}`);
      if (plug === PLUG) assert.equal(run.status, run.stderr === '' ? 0 : 1);
    }
  }
  const other = await runCommand([PLUG, '--port', '3', 'null://', '=', 'true']);
  assert.match(other.stderr, /^vde_plug: null:\/\/ is no port of a switch: [^\n]+\n/);
});

test('its status is that of the command, which gets signals as they were', async () => {
  const table: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['true'], 0, /^$/],
    [['sh', '-c', 'echo "its own" >&2; exit 3'], 3, /^its own\nvde_plug: = sh [^\n]+ ended with status 3\n$/],
    [['sh', '-c', 'kill -9 $$'], 137, /^vde_plug: = sh [^\n]+ ended [^\n]+137\n$/],
    [['sh', '-c', 'exec >&-; sleep 1; exit 4'], 4, /^vde_plug: = sh [^\n]+\n$/],
    // What it left behind does not hold it up.
    [['sh', '-c', 'sleep 60 & exit 5'], 5, /^vde_plug: = sh [^\n]+ 5\n$/],
    [['/nowhere/program'], 127, /^vde_plug: = \/nowhere\/program: [^\n]+\n$/],
    [['no-such-program'], 127, /^vde_plug: = no-such-program: [^\n]+ not in PATH[^\n]+\n$/],
    [['/tmp'], 126, /^vde_plug: = \/tmp: [^\n]+\n$/],
    [[''], 127, /^vde_plug: = : [^\n]+\n$/],
    [['/etc/passwd'], 126, /^vde_plug: = \/etc\/passwd: [^\n]+\n$/],
  ];
  for (const [command, status, line] of table) {
    const run = await runCommand([PLUG, 'null://', '=', ...command]);
    assert.deepEqual([run.status, run.isTimedOut], [status, false], `${command.join(' ')}: ${run.stderr}`);
    assert.match(run.stderr, line);
  }
  const inheriting = `ulimit -Sn 200; exec 5<<END\nfive\nEND\nexec ${PLUG} null:// = sh -c 'ulimit -Sn >&2; cat <&5 >&2'`;
  assert.equal((await runCommand(['sh', '-c', inheriting])).stderr, '200\nfive\n');
  const show = ['sh', '-c', 'grep SigIgn /proc/self/status >&2'];
  const shown = await runCommand(['sh', '-c', 'trap "" ALRM; exec "$@"', 'sh', PLUG, 'null://', '=', ...show]);
  const mask = Number.parseInt(/SigIgn:\s*([0-9a-f]+)/.exec(shown.stderr)?.[1] ?? '', 16);
  // SIGALRM, as it was; the keyboard's are ours. The original would have it ignore ten.
  assert.equal(mask & ~0b110, 1 << 13, shown.stderr);
});

test('leaves the options of its command alone, over one ssh or two', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'ip', 'ping')) return;
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  const folder = makeTemporaryDirectory(t);
  // Its options are its own; then a host, and what the shell there is to run.
  const ssh = 'test "$1 $2 $3" = "-p 22 host" || exit 9\nshift 3\nexec sh -c "$*"\n';
  writeFileSync(join(folder, 'ssh'), `#!/bin/sh\n${ssh}`, { mode: 0o755 });
  const words = ['=', join(folder, 'ssh'), '-p', '22', 'host', original('vde_plug') ?? '', '-D', 'theirs', right.path];
  const cable = await startCable(t, left.path, '-D', 'ours', ...words);
  await assertJoined(t, left.path, right.path);
  assert.match(await left.command('port/allprint'), /ours user=/);
  assert.match(await right.command('port/allprint'), /theirs user=/);
  cable.kill('SIGTERM');
  assert.deepEqual(await cable.waitForExit(), { status: 0, signal: null });
  const wrong = await runCommand([PLUG, '--', 'null://', '=', join(folder, 'ssh'), '-p', '23', 'host', 'true']);
  assert.equal(wrong.status, 9);
});

test('in dpipe, with itself and with an original, streams join switches', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'dpipe', 'ip', 'ping')) return;
  for (const other of [PLUG, original('vde_plug') ?? '']) {
    const [left, right] = [await startSwitch(t), await startSwitch(t)];
    // A session leader it must not be.
    const line = `${original('dpipe')} ${PLUG} ${left.path} = ${other} ${right.path}; :`;
    await spawnBackground(t, ['sh', '-c', line]);
    const a = await LanHost.start(t, left.path, '10.84.0.1/24');
    await LanHost.start(t, right.path, '10.84.0.2/24');
    await a.waitForPing('10.84.0.2', 10_000);
  }
});

test('the stream is that of the original, in pieces of any size and after nonsense', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
  const lan = await startSwitch(t);
  const theirs = await startStreamClient(t, [original('vde_plug') ?? '', lan.path]);
  const own = await startStreamClient(t, [PLUG, lan.path]);
  await waitFor(
    async () => (await lan.command('port/allprint')).match(/vdeplug: user=/g)?.length === 2,
    10_000,
    'both',
  );
  const frame = (last: number): Uint8Array => {
    const bytes = new Uint8Array(60);
    bytes.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0]);
    bytes[59] = last;
    return bytes;
  };
  const arrives = async (last: number, receiver: typeof own): Promise<void> => {
    const found = await waitFor(() => receiver.take().find((each) => each[59] === last), 10_000, `frame ${last}`);
    assert.deepEqual(found, frame(last));
  };
  theirs.send([frame(1)]);
  await arrives(1, own);
  for (const byte of encodeStream([frame(2)])) {
    own.write(Buffer.of(byte));
    await sleep(2);
  }
  await arrives(2, theirs);
  own.write(Buffer.concat([Buffer.of(0, 0, 0, 0), encodeStream([frame(3)])]));
  await arrives(3, theirs);
  // Longer than any frame: what is read next is a frame again, as soon as that was read alone.
  own.write(Buffer.of(9237 >> 8, 9237 & 0xff));
  const again = setInterval(() => own.send([frame(4)]), 100);
  await arrives(4, theirs).finally(() => clearInterval(again));
});

test('what cannot be opened is status 1 and one line, what is wrong is 255; nobody is signalled', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const table: readonly (readonly [string, number, RegExp])[] = [
    ['-p pid /nowhere/lan null://', 1, /^vde_plug: \/nowhere\/lan: [^\n]+\n$/],
    ['-p pid null:// /nowhere/lan', 1, /^vde_plug: \/nowhere\/lan: [^\n]+\n$/],
    ['-p pid nul:// null://', 1, /^vde_plug: [^\n]*null[^\n]*\n$/],
    ['-p /nowhere/pid null:// null://', 1, /^vde_plug: cannot write the pid file \/nowhere\/pid [^\n]+\n$/],
    ['-g no-such-group /nowhere/lan null://', 1, /^vde_plug: [^\n]*there is no group[^\n]+\n$/],
    ['-p pid a b c', 255, /^vde_plug: "c" is one word too many[^\n]+\n$/],
    ['a b -p', 255, /^vde_plug: -p needs a value[^\n]+\n$/],
    ['-p pid -d a', 255, /^vde_plug: --daemon leaves no standard input[^\n]+\n$/],
    ['-p pid --port 0 a', 255, /^vde_plug: --port takes [^\n]+\n$/],
    ['-p pid --port2 x a b', 255, /^vde_plug: --port2 takes [^\n]+\n$/],
    ['-p pid -M 770 a', 255, /^vde_plug: --mod2 is for the second network[^\n]+\n$/],
    ['-p pid -m 9 a', 255, /^vde_plug: --mod takes [^\n]+\n$/],
    ['-p pid -p "" a', 255, /^vde_plug: --pidfile takes [^\n]+\n$/],
    ['-p pid a =', 255, /^vde_plug: after "=" a command is missing[^\n]+\n$/],
    ['-p pid --no-such a', 255, /^vde_plug: unknown option --no-such[^\n]+\n$/],
    ['-p pid -c "rm -rf /" a', 255, /^vde_plug: this is no login shell[^\n]+\n$/],
    ['-c "vde_plug; sh"', 255, /^vde_plug: this is no login shell[^\n]+\n$/],
  ];
  writeFileSync(join(folder, 'pid'), '1\n');
  for (const [words, status, line] of table) {
    const run = await runCommand(['sh', '-c', `sleep 60 & ${PLUG} ${words}; status=$?; kill $! && exit $status`], {
      cwd: folder,
    });
    assert.equal(run.status, status, `${words}: ${run.stderr}`);
    assert.match(run.stderr, line);
  }
  assert.equal(readFileSync(join(folder, 'pid'), 'utf8'), '1\n');
  const help = await runCommand([PLUG, '-h']);
  assert.deepEqual([help.status, help.stderr], [0, '']);
  assert.match(help.stdout, /^Usage: vde_plug /);
});

test('a signal ends it alone, and its pid file goes', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const script = `trap 'echo signalled' HUP; ${PLUG} -p pid null:// null:// & plug=$!
while ! test -s pid; do sleep 0.05; done
test "$(cat pid)" = $plug || exit 3; kill -HUP $plug; wait $plug; status=$?; test -e pid || exit $status`;
  const run = await runCommand(['sh', '-c', script], { cwd: folder });
  assert.deepEqual([run.status, run.stdout, run.stderr.replace(/^Hangup\n/m, '')], [129, '', '']);
});

test('as a login shell it runs itself, and nothing for those who only log in', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const home = makeTemporaryDirectory(t);
  mkdirSync(join(home, '.vde2'));
  symlinkSync(lan.path, join(home, '.vde2', 'default.switch'));
  const shell = { SHELL: PLUG, HOME: home };
  const plugged = await runCommand([PLUG, '-c', 'vde_plug'], { env: shell });
  assert.deepEqual([plugged.status, plugged.stderr], [0, '']);
  // So it is run for a login without a command; the hyphen before its name does not get through to a script.
  const script = join(home, 'login');
  writeFileSync(script, `exec -a -vde_plug ${PLUG}\n`);
  const login = await runCommand(['bash', script], { env: shell });
  assert.equal(login.status, 255);
  assert.match(login.stderr, /^vde_plug: this is no login shell: [^\n]+\n$/);
  // For everybody else it is the default network.
  const plain = await runCommand([PLUG], { env: { ...shell, SHELL: '/bin/sh' } });
  assert.deepEqual([plain.status, plain.stderr], [0, '']);
});

test('on a terminal it says what a stream takes', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash')) return;
  const terminal = await openTerminal(t);
  await terminal.type(`${PLUG} null://; echo "status $?"`);
  await terminal.waitFor(/^vde_plug: a stream takes pipes/m);
  await terminal.waitFor(/^status 255$/m);
  // What a terminal says is no stream, but it can be listened to.
  await terminal.type(`${PLUG} --no-reconnect '=echo a stream is more than this' | cat >/dev/null`);
  await terminal.waitFor(/^vde_plug: =echo [^\n]+/m);
  assert.equal((await terminal.screen()).match(/a stream takes pipes/g)?.length, 1);
});

test('what no original ends by does not end it; others take its pid file with it', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'pid');
  const cable = await startCable(t, '-p', path, 'null://', 'null://');
  await waitFor(() => existsSync(path), 10_000, 'the pid file');
  for (const signal of ['SIGALRM', 'SIGUSR2', 'SIGVTALRM', 'SIGPROF', 'SIGIO', 'SIGPWR', 'SIGSTKFLT'] as const) {
    cable.kill(signal);
  }
  cable.kill('SIGUSR1');
  await cable.waitForOutput(/^vde_plug: null:\/\/: in 0 frames/m);
  assert.ok(existsSync(path));
  cable.kill('SIGQUIT');
  assert.deepEqual(await cable.waitForExit(), { status: null, signal: 'SIGQUIT' });
  assert.equal(existsSync(path), false);
});

test('a command that does not want to end is ended, with all that it has started', async (t) => {
  const mark = new Mark();
  const command = ['sh', '-c', 'trap "" TERM HUP; echo began >&2; sleep 50; :'];
  const cable = await spawnBackground(t, [PLUG, 'null://', '=', ...command], { env: mark.env });
  await cable.waitForOutput(/^began$/m);
  cable.kill('SIGTERM');
  await cable.waitForExit();
  await mark.waitForNone();
});

test('a reader that goes away is no error, a full disk is one', async () => {
  const script = `exec 3>&1; { ${PLUG} --help; echo "status $?" >&3; } | true; ${PLUG} --help >/dev/full`;
  const run = await runCommand(['bash', '-c', script]);
  assert.equal(run.stderr, 'vde_plug: cannot write to standard output (ENOSPC)\n');
});

test('options of a port have no effect on a command, and it says so', async () => {
  const run = await runCommand([PLUG, '--no-reconnect', '--port', '3', '=true', 'null://']);
  assert.match(run.stderr, /^vde_plug: =true is no port of a switch: [^\n]+\n/);
});
