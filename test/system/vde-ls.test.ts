/** `vde ls`: all kinds of things that run, and what is in their directory besides. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ProcessStatus } from '../../src/inventory/status.ts';
import {
  type CommandResult,
  makeTemporaryDirectory,
  ours,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';

/** A directory of control sockets, and `vde` that looks there. */
class Place {
  readonly folder: string;
  readonly run: string;

  constructor(t: TestContext) {
    this.folder = makeTemporaryDirectory(t);
    this.run = join(this.folder, 'run');
  }

  get env(): Record<string, string> {
    return { VDENS_RUNTIME_DIR: this.run };
  }

  async vde(...args: readonly string[]): Promise<CommandResult> {
    return await runCommand([ours('vde'), ...args], { env: this.env });
  }

  /** Waits until a line of the table matches. */
  async waitForLine(pattern: RegExp, ...kinds: readonly string[]): Promise<void> {
    let last = '';
    const look = async (): Promise<boolean> => {
      last = (await this.vde('ls', ...kinds)).stdout;
      return pattern.test(last);
    };
    await waitFor(look, 20_000, `${pattern} of vde ls`).catch((error: Error) => {
      throw new Error(`${error.message}; the last table:\n${last}`);
    });
  }

  async statuses(): Promise<readonly (ProcessStatus & { readonly answers: boolean; readonly problem?: string })[]> {
    const { status, stdout, stderr } = await this.vde('ls', '--json');
    assert.deepEqual([status, stderr], [0, '']);
    return JSON.parse(stdout) as (ProcessStatus & { answers: boolean })[];
  }

  /** A socket there that behaves as the server does. */
  async listen(t: TestContext, name: string, server: Server): Promise<void> {
    mkdirSync(this.run, { recursive: true, mode: 0o700 });
    server.prependListener('connection', (socket) => void socket.on('error', () => undefined)); // Some only look who is there.
    await new Promise<void>((resolve) => server.listen(join(this.run, name), resolve));
    t.after(() => void server.close());
  }
}

test('nothing runs: that is said, and is no error', async (t) => {
  const place = new Place(t);
  const { status, stdout, stderr } = await place.vde('ls');
  assert.deepEqual([status, stdout], [0, '']);
  assert.match(stderr, /^vde ls: nothing runs\. Start something, for example: [^\n]+\n$/);
  assert.deepEqual((await place.vde('ls', '--json')).stdout, '[]\n');
  assert.deepEqual(await place.vde('ls', '--names').then(({ stdout: out, stderr: error }) => [out, error]), ['', '']);
  assert.match((await place.vde('ls', 'switches')).stderr, /^vde ls: nothing of this kind runs: switch\n$/);
});

test('namespaces, switches, gateways and cables are listed, each as what it is', async (t) => {
  const place = new Place(t);
  const { env, folder } = place;
  const lan = join(folder, 'lan');
  await (await spawnBackground(t, [ours('vde'), 'switch', lan], { env })).waitForOutput(/serving/);
  const client = [
    '--name',
    'web',
    '--address',
    '10.0.0.1/24,fd00::1/64',
    '--gateway',
    '10.0.0.254',
    '--mac',
    '02:00:00:00:00:01',
    lan,
  ];
  const web = await spawnBackground(t, [ours('vdens'), ...client, 'sh', '-c', 'echo ready; exec sleep 300'], { env });
  await web.waitForOutput(/^ready$/m);
  const cable = await spawnBackground(t, [ours('vde_plug'), 'slirp:///tcpfwd=127.0.0.1:0:10.0.2.15:80', lan], { env });

  await place.waitForLine(/^web +\d+ +namespace +vde0 10\.0\.0\.1\/24 fd00::1\/64 +/m);
  await place.waitForLine(new RegExp(`^switch-\\d+ +\\d+ +switch +- +2 .* ${lan}$`, 'm'), 'switches');
  await place.waitForLine(new RegExp(`^plug-${cable.pid} +${cable.pid} +cable .* slirp:\\S+ = ${lan}$`, 'm'), 'cables');
  await place.waitForLine(/^plug-\d+ +\d+ +gateway +10\.0\.2\.2\/24 /m, 'gateway');
  const kinds = async (...words: readonly string[]): Promise<string> => {
    const lines = (await place.vde('ls', ...words)).stdout.trim().split('\n').slice(1);
    return lines
      .map((line) => line.split(/ +/)[2])
      .toSorted()
      .join(' ');
  };
  assert.equal(await kinds(), 'cable gateway namespace switch');
  assert.equal(await kinds('cables', 'switches'), 'cable switch');

  const found = (await place.statuses()).find(({ name }) => name === 'web');
  assert.deepEqual([found?.pid, found?.command, found?.answers], [web.pid, 'vdens', true]);
  const [item] = found?.items ?? [];
  assert.ok(item?.kind === 'namespace');
  assert.deepEqual([item.gateways[0], item.command[0]], ['10.0.0.254', 'sh']);
  const [vde0] = item.interfaces;
  assert.deepEqual([vde0?.name, vde0?.mac, vde0?.mtu, vde0?.isUp], ['vde0', '02:00:00:00:00:01', 1500, true]);
  assert.equal(vde0?.link.network, lan);
  assert.ok((vde0?.link.sent.frames ?? 0) > 0, 'what the kernel says for itself over IPv6');
});

test('sockets that nobody listens at are removed; what is none of ours is listed as that, and holds nobody up', async (t) => {
  const place = new Place(t);
  mkdirSync(place.run, { mode: 0o700 });
  const dying =
    'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
  await runCommand([process.execPath, '-e', dying, join(place.run, 'gone')]);
  assert.ok(existsSync(join(place.run, 'gone')));
  await place.listen(
    t,
    'silent',
    createServer(() => undefined),
  );
  await place.listen(
    t,
    'rude',
    createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  );
  await place.listen(
    t,
    'hangs-up',
    createServer((socket) => socket.destroy()),
  );
  await place.listen(
    t,
    'liar',
    createServer((socket) => socket.end('{"version":1,"name":1,"pid":[],"items":7}\n')),
  );
  writeFileSync(join(place.run, 'plain-file'), '');
  await spawnBackground(t, [ours('vdens'), '--name', 'alive', 'no', 'sh', '-c', 'echo ready; exec sleep 60'], {
    env: place.env,
  }).then(async (alive) => await alive.waitForOutput(/^ready$/m));

  const all = await place.statuses();
  assert.deepEqual(
    all.map(({ name, answers }) => [name, answers]),
    [
      ['alive', true],
      ['hangs-up', false],
      ['liar', false],
      ['rude', false],
      ['silent', false],
    ],
  );
  assert.match(all.find(({ name }) => name === 'silent')?.problem ?? '', /^does not answer$/);
  for (const name of ['rude', 'liar'])
    assert.match(all.find((one) => one.name === name)?.problem ?? '', /no process of ours/);
  for (const { pid, answers } of all) if (!answers) assert.equal(pid, process.pid);
  assert.equal(existsSync(join(place.run, 'gone')), false);
});

test('a directory that is open to others is not trusted', async (t) => {
  const place = new Place(t);
  mkdirSync(place.run);
  chmodSync(place.run, 0o777);
  for (const args of [['ls'], ['exec', 'web', 'true'], ['top', '-n', '1']]) {
    const { status, stdout, stderr } = await place.vde(...args);
    assert.deepEqual([status, stdout], [125, '']);
    assert.match(stderr, /^vde: [^\n]*it is open to other users \(mode 777\)[^\n]*chmod 700 [^\n]*\n$/);
  }
});
