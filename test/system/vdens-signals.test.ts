/** Signals: who gets them, and what becomes of `vdens`. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Mark } from '../fixtures/marked.ts';
import {
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';

/** Options and networks that the tests below are run with: one of each way to run. `no` alone takes a short cut. */
const WAYS: readonly string[] = ['no', '-u no', 'null://'];

/** A command that says which signals it gets, and ends by itself at the third. */
const LISTENER = `
count=0
for name in INT QUIT TERM HUP; do trap "echo got $name; count=\\$((count + 1))" $name; done
echo ready
while [ $count -lt 3 ]; do sleep 0.02; done
exit 6`;

test('SIGINT and SIGQUIT of the terminal are for the command alone: vdens goes on until that ends', async (t) => {
  for (const network of WAYS) {
    const mark = new Mark();
    const running = await spawnBackground(t, [ours('vdens'), ...network.split(' '), 'sh', '-c', LISTENER], {
      env: mark.env,
    });
    await running.waitForOutput(/ready/);
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGINT'] as const) {
      const count = running.output().split('got ').length;
      process.kill(-running.pid, signal); // What ^C does: the whole process group.
      await running.waitForOutput(new RegExp(`(got [\\s\\S]*){${count}}`));
    }
    assert.deepEqual(await running.waitForExit(), { status: 6, signal: null });
    // The shell says "Quit" of its sleep.
    assert.equal(running.output().replace(/^Quit.*\n/gm, ''), 'ready\ngot INT\ngot QUIT\ngot INT\n', network);
    await mark.waitForNone();
  }
});

test('SIGINT and SIGQUIT to vdens alone change nothing', async (t) => {
  for (const network of WAYS) {
    const running = await spawnBackground(t, [
      ours('vdens'),
      ...network.split(' '),
      'sh',
      '-c',
      'echo ready; sleep 0.5; exit 6',
    ]);
    await running.waitForOutput(/ready/);
    running.kill('SIGINT');
    running.kill('SIGQUIT');
    assert.deepEqual(await running.waitForExit(), { status: 6, signal: null }, network);
  }
});

test('SIGTERM and SIGHUP to vdens are passed on to the command', async (t) => {
  for (const network of WAYS) {
    const running = await spawnBackground(t, [ours('vdens'), ...network.split(' '), 'sh', '-c', LISTENER]);
    await running.waitForOutput(/ready/);
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGTERM'] as const) {
      const count = running.output().split('got ').length;
      running.kill(signal);
      await running.waitForOutput(new RegExp(`(got [\\s\\S]*){${count}}`));
    }
    assert.deepEqual(await running.waitForExit(), { status: 6, signal: null });
    assert.equal(running.output(), 'ready\ngot TERM\ngot HUP\ngot TERM\n', network);
  }
});

test('ends with 128+n when the command does so for a signal that was passed on', async (t) => {
  for (const network of WAYS) {
    for (const [signal, status] of [
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      const mark = new Mark();
      const running = await spawnBackground(t, [ours('vdens'), ...network.split(' '), 'sleep', '60'], {
        env: mark.env,
      });
      await mark.waitForProcess(/^sleep/);
      running.kill(signal);
      assert.deepEqual(await running.waitForExit(), { status, signal: null }, `${network} ${signal}`);
      await mark.waitForNone();
    }
  }
});

test('^C to a group with a command that ends by it gives 130', async (t) => {
  for (const network of [...WAYS, '=cat']) {
    const mark = new Mark();
    const running = await spawnBackground(t, [ours('vdens'), ...network.split(' '), 'sleep', '60'], { env: mark.env });
    await mark.waitForProcess(/^sleep/);
    process.kill(-running.pid, 'SIGINT');
    assert.deepEqual(await running.waitForExit(), { status: 130, signal: null }, network);
    await mark.waitForNone();
  }
});

test('what the caller ignores, the command ignores; everything else is as by default', async (t) => {
  if (!requireCommands(t, 'nohup')) return;
  const ignored = async (...argv: readonly string[]): Promise<string> => {
    const { stdout } = await runCommand([...argv, 'grep', '-E', '^Sig(Ign|Blk)', '/proc/self/status']);
    return stdout;
  };
  const none = 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n';
  for (const network of WAYS) {
    assert.equal(await ignored(ours('vdens'), ...network.split(' ')), none, network);
    assert.equal(await ignored('nohup', ours('vdens'), ...network.split(' ')), none.replace(/0\n$/, '1\n'), network);
    const trap = ['sh', '-c', `trap '' PIPE QUIT; exec "$@"`, 'sh'];
    assert.equal(
      await ignored(...trap, ours('vdens'), ...network.split(' ')),
      none.replace(/0{4}\n$/, '1004\n'),
      network,
    );
  }
});

test('under nohup, a hang-up ends neither vdens nor the command', async (t) => {
  if (!requireCommands(t, 'nohup')) return;
  for (const network of WAYS) {
    const mark = new Mark();
    const argv = ['nohup', ours('vdens'), ...network.split(' '), 'sh', '-c', 'echo ready; sleep 0.5; exit 6'];
    const running = await spawnBackground(t, argv, { env: mark.env });
    await running.waitForOutput(/ready/);
    process.kill(-running.pid, 'SIGHUP');
    running.kill('SIGHUP');
    assert.deepEqual(await running.waitForExit(), { status: 6, signal: null }, network);
    await mark.waitForNone();
  }
});

test('^C while a silent switch is waited for ends vdens, and nothing is left', async (t) => {
  const folder = join(makeTemporaryDirectory(t), 'switch');
  mkdirSync(folder);
  const server = createServer(() => undefined).listen(join(folder, 'ctl'));
  t.after(() => server.close());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const) {
    const mark = new Mark();
    const argv = [ours('vdens'), '-m', '=sleep 60', folder, '--', 'echo', 'ran'];
    const running = await spawnBackground(t, argv, { env: mark.env });
    await mark.waitForProcess(/^sleep 60/);
    await sleep(100);
    const start = performance.now();
    // SIGKILL to vdens alone: to the group it would end everybody who could clean up.
    if (signal === 'SIGKILL') process.kill(running.pid, signal);
    else process.kill(-running.pid, signal);
    const end = await running.waitForExit(2000);
    assert.ok(performance.now() - start < 4000, 'the switch has 5 s for its answer');
    const number = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGKILL: 9 }[signal];
    assert.ok(end.signal === signal || end.status === 128 + number, `${signal}: ${JSON.stringify(end)}`);
    assert.equal(running.output(), '');
    await mark.waitForNone();
    assert.deepEqual(readdirSync(folder), ['ctl'], 'no socket of ours stays in the directory of the switch');
  }
});

test('SIGUSR1 prints the counters of each plug, and the command does not notice', async (t) => {
  const mark = new Mark();
  const running = await spawnBackground(t, [ours('vdens'), '-m', 'null://', 'null://', '--', 'sleep', '60'], {
    env: mark.env,
  });
  await mark.waitForProcess(/^sleep/);
  running.kill('SIGUSR1');
  await running.waitForOutput(/vde0.*\nvdens: null.*\nvdens: vde1.*\nvdens: null.*\n/);
  for (const line of running.output().trim().split('\n')) assert.match(line, /^vdens: (vde\d|null:\/\/.*): .*frames/);
  assert.equal(running.hasExited(), false);
  running.kill('SIGTERM');
  assert.deepEqual(await running.waitForExit(), { status: 143, signal: null });
});

test('SIGUSR1 at any time of the start does not let anybody debug vdens', async (t) => {
  for (let delayMs = 10; delayMs <= 100; delayMs += 6) {
    for (const argv of [
      [ours('vdens'), 'null://', 'true'],
      [ours('vde'), '--version'],
    ]) {
      const running = await spawnBackground(t, argv);
      await sleep(delayMs);
      running.kill('SIGUSR1');
      await running.waitForExit();
      assert.doesNotMatch(running.output(), /Debugger|ws:/, `${delayMs} ms`);
    }
  }
});

test('SIGTERM and SIGHUP end a command that is stopped, too', async (t) => {
  for (const network of WAYS) {
    for (const [signal, status] of [
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      const argv = [ours('vdens'), ...network.split(' '), 'sh', '-c', 'echo $$; exec sleep 60'];
      const running = await spawnBackground(t, argv);
      await running.waitForOutput(/^\d+$/m);
      const stopped = Number(running.output());
      process.kill(stopped, 'SIGSTOP');
      await waitFor(() => /\) T/.test(readFileSync(`/proc/${stopped}/stat`, 'utf8')), 2000, 'the stop');
      running.kill(signal);
      assert.deepEqual(await running.waitForExit(), { status, signal: null }, `${network} ${signal}`);
    }
  }
});

test('a stopped command is continued when vdens ends it', async (t) => {
  const mark = new Mark();
  const running = await spawnBackground(t, [ours('vdens'), 'null://', 'sh', '-c', 'sleep 60 & sleep 61'], {
    env: mark.env,
  });
  const stopped = await mark.waitForProcess(/^sleep 60/);
  process.kill(stopped, 'SIGSTOP');
  await waitFor(() => /\) T/.test(readFileSync(`/proc/${stopped}/stat`, 'utf8')), 2000, 'the stop');
  process.kill(await mark.waitForProcess(/^sh -c/), 'SIGTERM');
  assert.deepEqual(await running.waitForExit(), { status: 143, signal: null });
  await mark.waitForNone();
});
