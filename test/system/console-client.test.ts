/** `vde console` at the consoles of the originals, and at such as are none. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openTerminal } from '../fixtures/terminal.ts';
import {
  checkout,
  makeTemporaryDirectory,
  type Owner,
  original,
  ours,
  pidFrom,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

/** A switch with a console. */
interface Managed {
  /** Where its console is. */
  readonly socket: string;
  readonly folder: string;
  /** Runs a command at another console of it. */
  command(line: string): Promise<void>;
}

type Kind = 'original' | 'ours';
const KINDS: readonly Kind[] = ['original', 'ours'];

/** Undefined when there is none, and then the test is skipped. */
async function startManaged(t: TestContext, kind: Kind = 'original'): Promise<Managed | undefined> {
  if (kind === 'original' && !requireCommands(t, 'vde_switch')) return undefined;
  const folder = makeTemporaryDirectory(t);
  const socket = join(folder, 'mgmt');
  const path = join(folder, 'sw');
  if (kind === 'original') await startSwitch(t, { path, args: ['-M', socket] });
  else await spawnBackground(t, [ours('vde_switch'), '-s', path, '-M', socket]);
  await waitFor(() => existsSync(socket), 10_000, 'the console of the switch');
  return {
    socket,
    folder,
    command: async (line) => {
      assert.equal((await runCommand(vde('console', socket, line))).status, 0, line);
    },
  };
}

const vde = (...words: readonly string[]): readonly string[] => [ours('vde'), ...words];

for (const kind of KINDS) {
  test(`one command (${kind}): its data, and its status as ours`, async (t) => {
    const managed = await startManaged(t, kind);
    if (managed === undefined) return;
    const { socket } = managed;
    const rows: readonly (readonly [words: string[], status: number, stdout: string | RegExp, stderr: string])[] = [
      [['port/create', '5'], 0, '', ''],
      [['port/create', '5'], 1, '', 'vde: port/create 5: 1017 File exists\n'],
      [['port/create 6'], 0, '', ''],
      [['hash/showinfo'], 0, /^Hash size 128\nGC interval 2 secs\n.*\nMin persistence 3 secs\n$/s, ''],
      [['port/print', '9'], 1, '', 'vde: port/print 9: 1006 No such device or address\n'],
      [['foo'], 1, '', 'vde: foo: 1038 Function not implemented\n'],
      [['#', 'nothing'], 0, '', ''],
      [['logout'], 0, '', ''],
      [['shutdown'], 0, '', ''],
    ];
    for (const [words, status, stdout, stderr] of rows) {
      const run = await runCommand(vde('console', socket, ...words));
      assert.deepEqual({ status: run.status, stderr: run.stderr }, { status, stderr }, words.join(' '));
      if (typeof stdout === 'string') assert.equal(run.stdout, stdout);
      else assert.match(run.stdout, stdout);
    }
    const gone = await runCommand(vde('console', socket, 'showinfo'));
    assert.deepEqual([gone.status, gone.stderr.split('\n').length], [125, 2]);
    assert.match(
      gone.stderr,
      /^vde: console \S+: (there is no such file \(ENOENT\)|nobody listens there: .* \(ECONNREFUSED\))\./,
    );
  });

  test(`a file of commands (${kind}): what it says is shown`, async (t) => {
    const managed = await startManaged(t, kind);
    if (managed === undefined) return;
    const { socket } = managed;
    const file = join(checkout, 'package.json');
    const { status, stdout } = await runCommand(vde('console', socket, 'load', file));
    assert.equal(status, 0);
    assert.ok(stdout.startsWith(`vde[${file}]: {\n1038 Function not implemented\nvde[`), stdout.slice(0, 200));
  });

  test(`without a terminal (${kind}) it is as unixterm, but gives each line its turn`, async (t) => {
    const managed = await startManaged(t, kind);
    if (managed === undefined) return;
    const { socket } = managed;
    const input = 'port/create 7\nport/create 7\n\nhash/showinfo\nhelp hash\nport/remove 7';
    const { status, stdout, stderr } = await runCommand(vde('console', socket), { input });
    assert.deepEqual([status, stderr], [0, '']);
    // The original takes what arrives at once for one command: it is given time.
    const unixterm = original('unixterm');
    if (unixterm === undefined) return t.skip('not installed: unixterm (vde2)');
    const peer = await spawnBackground(t, [unixterm, socket]);
    for (const [index, line] of input.split('\n').entries()) {
      await waitFor(() => peer.output().split('vde$ ').length === index + 2, 5000, `prompt ${index}`);
      peer.write(`${line}\n`);
    }
    await waitFor(() => peer.output().split('vde$ ').length === 8, 5000, 'the last prompt');
    assert.equal(stdout, peer.output());
  });

  test(`without a terminal (${kind}) it ends with the switch, while its input goes on`, async (t) => {
    const managed = await startManaged(t, kind);
    if (managed === undefined) return;
    const { socket } = managed;
    const running = await spawnBackground(t, vde('console', socket));
    running.write('shutdown\n');
    assert.equal((await running.waitForExit()).status, 0);
    assert.match(running.output(), /vde\$ 9999 END OF SESSION$/);
  });

  test(`on a terminal (${kind}): completion, notices above the line, history, and its end by ^D, ^C, logout and the switch`, async (t) => {
    if (!requireCommands(t, 'tmux', 'bash', 'stty')) return;
    const managed = await startManaged(t, kind);
    if (managed === undefined) return;
    const { folder, command } = managed;
    const terminal = await openTerminal(t, { XDG_STATE_HOME: join(folder, 'state') });
    const prompt = 'vde[mgmt]: ';
    const start = async (): Promise<void> => {
      await terminal.type(`clear; cd ${folder}; ${ours('vde')} console mgmt`);
      await terminal.waitFor(/^vde\[mgmt\]:$/m);
    };
    /** A shell leaves the rest of a line alone when what is before was interrupted: the status is asked for apart. */
    const status = async (): Promise<string | undefined> => {
      await terminal.waitFor(/^outer\$$/m);
      await terminal.type('echo "status $?"');
      return (await terminal.waitFor(/^status (\d+)$/m))[1];
    };
    const settings = async (): Promise<string> => {
      await terminal.type('clear; stty -g');
      return (await terminal.waitFor(/^[0-9a-f]+:[0-9a-f:]{40,}$/m))[0];
    };
    await terminal.resize(26, 40);
    const before = await settings();

    await start();
    // Nobody sees that help was asked for.
    assert.match(await terminal.screen(), /^VDE switch V/m);
    assert.doesNotMatch(await terminal.screen(), /COMMAND PATH|^vde\$/m);
    // Typed as fast as can be.
    await terminal.press('d', 'e', 'b', 'Tab');
    await terminal.waitFor(/^vde\[mgmt\]: debug\/$/m);
    await terminal.press('a');
    await terminal.press('Tab');
    await terminal.waitFor(/^vde\[mgmt\]: debug\/add$/m);
    await terminal.press('p', 'o', 'r', 't', 'Enter');
    await terminal.waitFor(/^vde\[mgmt\]: debug\/add port\n1000 Success\nvde\[mgmt\]:$/m);
    // A line that is wider than the terminal, with the cursor in its middle.
    const long = `#${'0123456789'.repeat(2)}`;
    for (const key of long) await terminal.press(key);
    await terminal.waitFor(new RegExp(`${long}$`, 'm'));
    await terminal.press('Home', 'Right');
    await command('port/create 9');
    await terminal.waitFor(/^3021 port\/\+ 09$/m);
    await terminal.press('x');
    await command('port/create 10');
    await terminal.waitFor(/^3021 port\/\+ 10\nvde\[mgmt\]: #x0123456789/m);
    const shown = (await terminal.screen()).replace(/^.*?1000 Success\n/s, '').trimEnd();
    assert.equal(shown, `3021 port/+ 09\n3021 port/+ 10\n${prompt}#x${long.slice(1)}`);
    await terminal.press('Enter');
    await terminal.waitFor(/789\nvde\[mgmt\]:$/m);
    await terminal.press('C-d');
    assert.equal(await status(), '0');
    assert.equal(await settings(), before);

    await start();
    await terminal.press('Up', 'Up');
    await terminal.waitFor(/^vde\[mgmt\]: debug\/add port$/m);
    await terminal.press('C-c');
    await terminal.waitFor(/^vde\[mgmt\]: debug\/add port\nouter\$$|^\nouter\$$/m);
    assert.equal(await status(), '130');
    assert.equal(await settings(), before);

    await terminal.type(`clear; sh -c 'echo $$ >pid; exec ${ours('vde')} console mgmt'`);
    await terminal.waitFor(/^vde\[mgmt\]:$/m);
    const pid = pidFrom(join(folder, 'pid'));
    assert.ok(pid !== undefined);
    process.kill(pid, 'SIGHUP');
    assert.equal(await status(), '129');
    assert.equal(await settings(), before);

    await start();
    await terminal.type('logout');
    await terminal.waitFor(/^9999 END OF SESSION$/m);
    assert.equal(await status(), '0');
    await start();
    await command('shutdown');
    assert.equal(await status(), '0');
    assert.equal(await settings(), before);
    const history = readFileSync(join(folder, 'state', 'vdens', 'console-history'), 'utf8');
    assert.equal(history, `debug/add port\n#x${long.slice(1)}\nlogout\n`);
  });
}

test('what clients say of themselves does nothing to a terminal; a pipe gets the bytes', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash')) return;
  const folder = makeTemporaryDirectory(t);
  const answer = "0000 DATA END WITH '.'\nclient\t\x1b[2Jof\x07 ü\n.\n1000 Success\n\nvde$ ";
  const server = createServer((socket) => {
    socket.on('error', () => undefined).on('data', () => socket.write(answer));
    socket.write('VDE switch V.x\n\nvde$ ');
  }).listen(join(folder, 'mgmt'));
  t.after(() => server.close());
  const run = (words: readonly string[], input?: string) =>
    runCommand(vde('console', 'mgmt', ...words), { cwd: folder, ...(input === undefined ? {} : { input }) });
  assert.equal((await run(['port/print'])).stdout, 'client\t\x1b[2Jof\x07 ü\n');
  assert.ok((await run([], 'port/print\n')).stdout.includes('client\t\x1b[2Jof\x07 ü\n.\n1000 Success\n\nvde$ '));
  const terminal = await openTerminal(t);
  for (const line of ['vde console mgmt port/print', 'echo port/print | vde console mgmt']) {
    await terminal.type(`clear; PATH=${join(ours('vde'), '..')}:$PATH; cd ${folder}; ${line}; echo ended`);
    await terminal.waitFor(/^client {2}\\x1b\[2Jof\\x07 ü$.*ended$/ms);
  }
});

test('the console of a wire filter', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'wirefilter')) return;
  const folder = makeTemporaryDirectory(t);
  const [left, right] = [await startSwitch(t), await startSwitch(t)];
  const socket = join(folder, 'wf');
  await spawnBackground(t, [original('wirefilter') ?? '', '-M', socket, '-v', `${left.path}:${right.path}`]);
  await waitFor(() => existsSync(socket), 5000, 'the console of wirefilter');
  const run = async (...words: string[]) => {
    const { status, stdout, stderr } = await runCommand(vde('console', socket, ...words));
    return { status, stdout, stderr };
  };
  assert.deepEqual(await run('delay', '20'), { status: 0, stdout: '', stderr: '' });
  const info = await run('showinfo');
  assert.equal(info.status, 0);
  assert.match(info.stdout, /^Delay +L->R 20\+0/m);
  assert.deepEqual(await run('foo'), { status: 1, stdout: '', stderr: 'vde: foo: 1038 Function not implemented\n' });
  assert.equal((await run('logout')).status, 0);
});

/** Something that listens, and does `act` with who comes. */
async function listen(t: Owner, act: (peer: Socket) => void): Promise<string> {
  const socket = join(makeTemporaryDirectory(t), 'socket');
  const peers: Socket[] = [];
  const server = createServer((peer) => {
    peers.push(peer);
    peer.on('error', () => undefined);
    act(peer);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(() => {
    for (const peer of peers) peer.destroy();
    server.close();
  });
  return socket;
}

function repeat(peer: Socket, text: string): void {
  const more = (): void => {
    while (peer.writable && peer.write(text)) {}
  };
  peer.on('drain', more);
  more();
}

test('what is no console, and one that never ends, are told in one line', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const silent = await listen(t, () => undefined);
  const closing = await listen(t, (peer) => peer.end());
  const endless = await listen(t, (peer) => repeat(peer, 'x'.repeat(10_000)));
  const flooding = await listen(t, (peer) => {
    peer.write('hello\n\nvde$ ');
    peer.once('data', () => repeat(peer, `${'0123456789'.repeat(100)}\n`.repeat(60)));
  });
  const dying = await listen(t, (peer) => {
    peer.write('hello\n\nvde$ ');
    peer.once('data', () => peer.end());
  });
  const rows: readonly (readonly [words: string[], status: number, stderr: RegExp])[] = [
    [[], 125, /a socket is missing, for example: vde console /],
    [[folder, 'help'], 125, /it is a directory\. The console of a switch is where its -M says/],
    [[join(checkout, 'package.json')], 125, /it is not a socket\./],
    [[join(folder, 'none')], 125, /there is no such file \(ENOENT\)\./],
    [['x'.repeat(108)], 125, /a socket's path has at most 107 bytes/],
    [[closing, 'help'], 125, /closed before a prompt came/],
    [[endless], 125, /without the end of a line: that is no console/],
    [[flooding, 'help'], 125, /the answer to "help" is longer than 16777216 bytes/],
    [[dying, 'help'], 1, /help: the console went away before it answered/],
    [[silent, 'help'], 125, /did not greet within 5 s: that is no console\./],
    [[flooding, 'x'.repeat(128)], 125, /the command has 128 bytes, at most 127 are read/],
  ];
  await Promise.all(
    rows.map(async ([words, status, message]) => {
      const run = await runCommand(vde('console', ...words));
      assert.match(run.stderr, message);
      assert.match(run.stderr, /^vde: [^\n]*\n$/);
      assert.equal(run.status, status, run.stderr);
    }),
  );
});
