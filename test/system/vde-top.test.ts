/** `vde top`: rates and drops of what runs, on a terminal and in a pipe. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Mark } from '../fixtures/marked.ts';
import { openTerminal } from '../fixtures/terminal.ts';
import { makeTemporaryDirectory, ours, requireCommands, runCommand, spawnBackground } from '../interop/harness.ts';

/** Two namespaces on a switch, of which one pings the other, with frames of 1042 bytes 20 times a second. */
async function startPing(t: TestContext): Promise<Record<string, string>> {
  const folder = makeTemporaryDirectory(t);
  const env = { VDENS_RUNTIME_DIR: join(folder, 'run') };
  const lan = `switch://${join(folder, 'lan')}`;
  const quiet = ['--name', 'quiet', '--address', '10.0.0.1/24', lan, 'sh', '-c', 'echo ready; exec sleep 300'];
  await (await spawnBackground(t, [ours('vdens'), ...quiet], { env })).waitForOutput(/^ready$/m);
  const ping = ['ping', '-i', '0.05', '-s', '1000', '10.0.0.1'];
  const busy = await spawnBackground(t, [ours('vdens'), '--name', 'busy', '--address', '10.0.0.2/24', lan, ...ping], {
    env,
  });
  await busy.waitForOutput(/bytes from/);
  return env;
}

test('prints tables with the rates of that time in a pipe, and ends after so many', async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const env = await startPing(t);
  const { status, stdout, stderr } = await runCommand([ours('vde'), 'top', '-n', '2', '-i', '1', 'busy'], { env });
  assert.deepEqual([status, stderr], [0, '']);
  const tables = stdout.split('\n\n').map((table) => table.trim().split('\n'));
  assert.equal(tables.length, 2);
  for (const [heading = '', line = ''] of tables) {
    assert.deepEqual(heading.split(/ +/), 'name link in/s in B/s out/s out B/s in B out B dropped network'.split(' '));
    const [name, link, framesIn, bytesIn, framesOut, bytesOut] = line.split(/ +/);
    assert.deepEqual([name, link], ['busy', 'vde0']);
    // About 20 frames of 1042 bytes each second, both ways; a machine with much to do sends fewer.
    for (const frames of [framesIn, framesOut]) assert.ok(Number(frames) >= 2 && Number(frames) <= 30, line);
    for (const bytes of [bytesIn, bytesOut]) assert.match(bytes ?? '', /^\d+\.?\d*k$/, line);
  }
});

test('a process is meant by its name, its number or the directory that it serves; it may end, and must have been there', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const env = { VDENS_RUNTIME_DIR: join(folder, 'run') };
  const lan = join(folder, 'lan');
  const command = ['--name', 'web', `switch://${lan}`, 'sh', '-c', 'echo ready; exec sleep 300'];
  const web = await spawnBackground(t, [ours('vdens'), ...command], { env });
  await web.waitForOutput(/^ready$/m);
  for (const word of ['web', String(web.pid), lan]) {
    const { status, stdout, stderr } = await runCommand([ours('vde'), 'top', '-n', '1', '-i', '0.1', word], { env });
    assert.deepEqual([status, stderr], [0, ''], word);
    assert.match(stdout, /^web +vde0 /m, word);
  }
  // What somebody left who was killed does not run.
  const leave = "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
  await runCommand([process.execPath, '-e', leave, join(folder, 'run', 'gone')]);
  const { status, stdout, stderr } = await runCommand([ours('vde'), 'top', '-n', '1', 'wbe'], { env });
  assert.deepEqual([status, stdout], [125, '']);
  assert.match(stderr, /^vde: "wbe": nothing that runs has that name or pid\. What runs: web\n$/);
  const head = `"${ours('vde')}" top -i 0.1 web | head -n 2; "${ours('vde')}" ls | true`;
  const piped = await runCommand(['sh', '-c', head], { env });
  assert.deepEqual([piped.status, piped.stderr], [0, '']);
  const watching = await spawnBackground(t, [ours('vde'), 'top', '-i', '0.1', 'web'], { env });
  await watching.waitForOutput(/^web +vde0 /m);
  web.kill('SIGTERM');
  await web.waitForExit(20_000);
  await watching.waitForOutput(/network\n\nname.*network\n/);
});

test('wrong words are said', async () => {
  for (const [args, message] of [
    [['-n', '0'], /^vde: --count: "0" is not a number of tables/],
    [['-i', 'x'], /^vde: --interval: "x" is not/],
    [['-s', 'x'], /^vde: --sort: "x" is nothing to sort by\. Known are: rate, in, out, dropped, name/],
  ] as const) {
    const { status, stderr } = await runCommand([ours('vde'), 'top', ...args]);
    assert.equal(status, 125);
    assert.match(stderr, message);
  }
});

test('on a terminal keys sort, ^Z stops it and fg goes on, q and ^C end it, and the terminal is as before', async (t) => {
  if (!requireCommands(t, 'ping', 'tmux', 'bash', 'stty')) return;
  const mark = new Mark();
  const env = { ...(await startPing(t)), ...mark.env };
  const terminal = await openTerminal(t, { ...env, VDE: ours('vde'), SHELL: '/bin/sh' });
  await terminal.type('stty -a | cksum');
  const [, before = ''] = await terminal.waitFor(/^(\d+ \d+)$/m);
  let checks = 0;
  const isAsBefore = async (): Promise<void> => {
    checks += 1;
    await terminal.type(`clear; echo "check ${checks}:" $(stty -a | cksum)`);
    await terminal.waitFor(new RegExp(`^check ${checks}: ${before}$`, 'm'));
  };
  await terminal.type('clear; $VDE top -i 0.2');
  await terminal.waitFor(/^vde top: 2 processes, .*by rate.*\n\nname +link .*\n(busy|quiet) +vde0 /m);
  await terminal.press('s');
  await terminal.waitFor(/^vde top: .*by in\b/m);
  await terminal.press('Right', 'Left', 'Left', 'Left', 'r');
  await terminal.waitFor(/^vde top: .*by name, reversed.*\n\nname.*\nquiet .*\n(.*\n)*busy /m);
  await terminal.press('C-z');
  await terminal.waitFor(/Stopped +\$VDE top.*\nouter\$$/m);
  await isAsBefore();
  await terminal.type('fg');
  await terminal.waitFor(/fg\n\$VDE top.*\nvde top: .*by name, reversed/m);
  await terminal.press('s');
  const [whole] = await terminal.waitFor(/fg\n(.*\n)*vde top: .*by rate, reversed(.|\n)*/m);
  assert.equal(whole.match(/^vde top: /gm)?.length, 1, 'the table stands there once');
  await terminal.press('q');
  await terminal.waitFor(/\nouter\$\n*$/);
  await terminal.type('echo "status $?"');
  await terminal.waitFor(/^status 0$/m);
  await isAsBefore();

  await terminal.type('clear; $VDE top');
  await terminal.waitFor(/^busy +vde0 /m);
  await terminal.press('C-c');
  await terminal.type('echo "status $?"');
  await terminal.waitFor(/^status 130$/m);
  await isAsBefore();

  await terminal.type('clear; $VDE top');
  await terminal.waitFor(/^busy +vde0 /m);
  process.kill(await mark.waitForProcess(/vde top$/), 'SIGTERM');
  await terminal.waitFor(/Terminated/);
  await isAsBefore();
});
