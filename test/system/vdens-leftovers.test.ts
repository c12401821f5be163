/**
 * Nothing is left over, whoever dies first and however.
 *
 *     with a network                                   without
 *
 *     node ─┬─ launch -f (holds the namespaces)        launch -g (guard)
 *           └─ launch -j (supervisor) ── command             └─ launch -g (supervisor) ── command
 *                                          └─ children                                      └─ children
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Mark } from '../fixtures/marked.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

/** Options and networks that the tests below are run with: one of each way to run. `no` alone takes a short cut. */
const WAYS: readonly string[] = ['no', '-u no', 'null://'];

/** A child of its own, one in a session of its own, one that ignores SIGTERM: the worst that commands leave behind. */
const LEAVE_CHILDREN = `sleep 61 & setsid sleep 62 & (trap '' TERM; echo ready; sleep 63; sleep 64) & wait`;

test('ends what the command left in the background when the command ends', async () => {
  for (const network of WAYS) {
    const mark = new Mark();
    const script = `sleep 61 >/dev/null & setsid sleep 62 >/dev/null & exit 4`;
    const result = await runCommand([ours('vdens'), ...network.split(' '), 'sh', '-c', script], { env: mark.env });
    assert.deepEqual([result.status, result.stderr], [4, ''], network);
    await mark.waitForNone();
  }
});

test('asks what the command left behind to end, before it insists', async (t) => {
  const folder = makeTemporaryDirectory(t);
  for (const network of WAYS) {
    const mark = new Mark();
    const file = join(folder, network.replaceAll(/[ /]/g, ''));
    const child = `trap 'echo asked >"$0"; exit' TERM; echo ready >"$0"; while :; do sleep 0.02; done`;
    const script = `sh -c '${child.replaceAll("'", `'\\''`)}' "$0" & until grep -q ready "$0"; do sleep 0.02; done`;
    writeFileSync(file, '');
    const result = await runCommand([ours('vdens'), ...network.split(' '), 'sh', '-c', script, file], {
      env: mark.env,
    });
    assert.equal(result.status, 0, result.stderr);
    assert.equal(readFileSync(file, 'utf8'), 'asked\n', network);
    await mark.waitForNone();
  }
});

test('kills after half a second what the command left behind and does not end when asked', async () => {
  for (const network of WAYS) {
    const mark = new Mark();
    const script = `(trap '' TERM; echo ready; while :; do sleep 0.1; done) & read -r line; date +%s%N; exit 5`;
    const begin = [ours('vdens'), ...network.split(' '), 'bash', '-c', `${script} < <(sleep 0.2; echo go)`];
    const result = await runCommand(begin, { env: mark.env });
    assert.equal(result.status, 5, result.stderr);
    const endedAt = Number(/\d{15,}/.exec(result.stdout)?.[0]) / 1e6;
    const took = Date.now() - endedAt;
    assert.ok(took > 450, `${network}: ${took} ms`);
    await mark.waitForNone();
  }
});

/** Who is killed, by the command line. `launch -g` is two processes: the first is the guard, the child of the test. */
interface Victim {
  readonly name: string;
  readonly network: string;
  readonly find: (running: BackgroundCommand, mark: Mark) => number | Promise<number>;
  /** The status of `vdens`, when it is not killed itself. */
  readonly status?: number;
}

const VICTIMS: readonly Victim[] = [
  { name: 'vdens itself', network: 'null://', find: ({ pid }) => pid },
  { name: 'the supervisor', network: 'null://', find: (_, mark) => mark.waitForProcess(/launch -j/), status: 137 },
  { name: 'the command', network: 'null://', find: (_, mark) => mark.waitForProcess(/^sh -c/), status: 137 },
  { name: 'the guard', network: '-u no', find: ({ pid }) => pid },
  { name: 'the guard', network: 'no', find: ({ pid }) => pid },
  { name: 'the supervisor', network: 'no', find: ({ pid }) => childOf(pid), status: 137 },
  { name: 'the command', network: 'no', find: (_, mark) => mark.waitForProcess(/^sh -c/), status: 137 },
];

for (const { name, network, find, status } of VICTIMS) {
  test(`nothing survives when ${name} is killed (vdens ${network})`, async (t) => {
    const mark = new Mark();
    const running = await startWithChildren(t, network, mark);
    process.kill(await find(running, mark), 'SIGKILL');
    const end = await running.waitForExit(4000);
    assert.deepEqual(end, status === undefined ? { status: null, signal: 'SIGKILL' } : { status, signal: null });
    await mark.waitForNone();
  });
}

test('goes on when the holder of the namespaces is killed, and leaves nothing at the end', async (t) => {
  const mark = new Mark();
  const running = await startWithChildren(t, 'null://', mark);
  const holder = await mark.waitForProcess(/launch -f/);
  process.kill(holder, 'SIGKILL');
  await waitFor(() => !mark.processes().some(({ pid }) => pid === holder), 2000, 'the end of the holder');
  assert.equal(running.hasExited(), false);
  running.kill('SIGTERM');
  await running.waitForExit(4000);
  await mark.waitForNone();
  assert.doesNotMatch(running.output(), /unexpected|at .*\.js/);
});

test('a switch gets its port back, and keeps no file of ours, after any end', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const before = readdirSync(lan.path);
  const temporary = readdirSync(tmpdir());
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGHUP'] as const) {
    const mark = new Mark();
    const running = await startWithChildren(t, lan.path, mark);
    running.kill(signal);
    await running.waitForExit(4000);
    await mark.waitForNone();
    await waitFor(async () => !/vdens/.test(await lan.command('port/print')), 5000, `the port, after ${signal}`);
    assert.deepEqual(readdirSync(lan.path), before, signal);
  }
  assert.deepEqual(readdirSync(tmpdir()), temporary);
});

test('a stream command is ended, whoever dies first', async (t) => {
  for (const victim of [undefined, /^cat$/, /launch -p/, /launch -j/]) {
    const mark = new Mark();
    const running = await startWithChildren(t, '=cat', mark);
    const pid = victim === undefined ? running.pid : await mark.waitForProcess(victim);
    process.kill(pid, 'SIGKILL');
    if (victim !== undefined && !`${victim}`.includes('-j')) running.kill('SIGTERM');
    await running.waitForExit(4000);
    await mark.waitForNone();
  }
});

test('keeps the command when the shell that started vdens in the background ends', async (t) => {
  for (const network of WAYS) {
    const mark = new Mark();
    const script = `"$0" $1 sleep 60 & sleep 0.4`;
    await runInSession(t, ['sh', '-c', script, ours('vdens'), network], mark);
    const pid = await mark.waitForProcess(/^sleep 60$/);
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.ok(
      mark.processes().some((process) => process.pid === pid),
      network,
    );
    process.kill(pid, 'SIGTERM');
    await mark.waitForNone();
  }
});

async function startWithChildren(t: TestContext, network: string, mark: Mark): Promise<BackgroundCommand> {
  const running = await spawnBackground(t, [ours('vdens'), ...network.split(' '), 'sh', '-c', LEAVE_CHILDREN], {
    env: mark.env,
  });
  await running.waitForOutput(/ready/);
  await mark.waitForProcess(/^sleep 62$/);
  return running;
}

/** Runs a shell to its end; unlike runCommand, lets its process group live. */
async function runInSession(t: TestContext, argv: readonly string[], mark: Mark): Promise<void> {
  const shell = await spawnBackground(t, argv, { env: mark.env });
  assert.equal((await shell.waitForExit()).status, 0);
}

function childOf(pid: number): Promise<number> {
  const child = (): number | undefined =>
    Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]) || undefined;
  return waitFor(child, 2000, `a child of ${pid}`);
}
