/** Fifty namespaces with names at once: listed, entered, ended by force and otherwise, and nothing of them left. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Mark } from '../fixtures/marked.ts';
import {
  type BackgroundCommand,
  type CommandResult,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';

const COUNT = 50;
/** How many are started, or entered, at a time. */
const AT_ONCE = 4;

/** Does something for each number from 1 to the count, some at a time. */
async function forEach(act: (number: number) => Promise<void>): Promise<void> {
  let next = 1;
  const worker = async (): Promise<void> => {
    while (next <= COUNT) {
      const number = next;
      next += 1;
      await act(number);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

interface Listed {
  readonly name: string;
  readonly pid: number;
  readonly answers: boolean;
  readonly items: readonly {
    readonly kind: string;
    readonly interfaces: readonly { readonly addresses: string[] }[];
  }[];
}

/** Fifty namespaces, each with an address and a command. */
class Fifty {
  readonly folder: string;
  readonly mark = new Mark();
  readonly running = new Map<number, BackgroundCommand>();

  constructor(t: TestContext) {
    this.folder = join(makeTemporaryDirectory(t), 'run');
  }

  get env(): Record<string, string> {
    return { ...this.mark.env, VDENS_RUNTIME_DIR: this.folder };
  }

  async start(t: TestContext): Promise<void> {
    await forEach(async (number) => {
      const options = ['--name', `host-${number}`, '--address', `10.0.0.${number}/24`];
      const command = ['sh', '-c', 'echo ready; exec sleep 300'];
      const one = await spawnBackground(t, [ours('vdens'), ...options, 'null://', ...command], { env: this.env });
      this.running.set(number, one);
      await one.waitForOutput(/^ready$/m, 30_000);
    });
  }

  async vde(...args: readonly string[]): Promise<CommandResult> {
    return await runCommand([ours('vde'), ...args], { env: { ...this.env, VDENS_TEST_MARK: undefined } });
  }

  async list(): Promise<readonly Listed[]> {
    const { status, stdout, stderr } = await this.vde('ls', '--json');
    assert.deepEqual([status, stderr], [0, '']);
    return JSON.parse(stdout) as Listed[];
  }
}

test(`${COUNT} namespaces are listed, entered, killed, and none is left`, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const fifty = new Fifty(t);
  await fifty.start(t);

  const names = Array.from({ length: COUNT }, (_, index) => `host-${index + 1}`);
  const everybody = async (): Promise<readonly Listed[] | undefined> => {
    const all = await fifty.list();
    return all.every(({ answers }) => answers) ? all : undefined;
  };
  const listed = await waitFor(everybody, 30_000, 'the answer of all');
  assert.deepEqual(new Set(listed.map(({ name }) => name)), new Set(names));
  for (const { name, pid, items } of listed) {
    const number = Number(name.replace('host-', ''));
    assert.equal(pid, fifty.running.get(number)?.pid);
    assert.deepEqual(
      items.map(({ kind }) => kind),
      ['namespace'],
    );
    assert.ok(items[0]?.interfaces[0]?.addresses.includes(`10.0.0.${number}/24`), name);
  }
  assert.deepEqual((await fifty.vde('ls', '--names')).stdout.trim().split('\n').toSorted(), names.toSorted());
  assert.equal((await fifty.vde('ls')).stdout.trim().split('\n').length, COUNT + 1);

  await forEach(async (number) => {
    const { status, stdout, stderr } = await fifty.vde(
      'exec',
      `host-${number}`,
      'ip',
      '-brief',
      'address',
      'show',
      'vde0',
    );
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, new RegExp(` 10\\.0\\.0\\.${number}/24 `));
  });

  const stopped = fifty.running.get(7)!;
  stopped.kill('SIGSTOP');
  const silent = async (): Promise<string> => {
    const all = (await fifty.list()).filter(({ answers }) => !answers);
    return all.map(({ name, pid }) => `${name} ${pid}`).join();
  };
  await waitFor(async () => (await silent()) === `host-7 ${stopped.pid}`, 30_000, 'that one alone does not answer');
  await waitFor(
    async () => /^host-7 .*does not answer \(stopped\)$/m.test((await fifty.vde('ls')).stdout),
    20_000,
    'that it was stopped',
  );
  stopped.kill('SIGCONT');
  await waitFor(everybody, 30_000, 'the answer of all');

  for (const [number, one] of fifty.running) one.kill(number % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
  for (const one of fifty.running.values()) await one.waitForExit(30_000);
  const last = await fifty.vde('ls');
  assert.deepEqual([last.status, last.stdout], [0, '']);
  assert.match(last.stderr, /^vde ls: nothing runs/);
  assert.deepEqual(
    existsSync(fifty.folder) ? readdirSync(fifty.folder).filter((name) => !name.startsWith('.')) : [],
    [],
  );
  await waitFor(() => fifty.mark.processes().length === 0, 20_000, 'the end of all processes');
});

test('a name is free again when its owner was killed', async (t) => {
  const env = { VDENS_RUNTIME_DIR: join(makeTemporaryDirectory(t), 'run') };
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const argv = [ours('vdens'), '--name', 'web', 'null://', 'sh', '-c', 'echo ready; exec sleep 60'];
    const first = await spawnBackground(t, argv, { env });
    await first.waitForOutput(/^ready$/m);
    first.kill(signal);
    await first.waitForExit();
    const again = await runCommand([ours('vdens'), '--name', 'web', 'no', 'echo', 'ran'], { env });
    assert.deepEqual([again.status, again.stdout, again.stderr], [0, 'ran\n', '']);
  }
});
