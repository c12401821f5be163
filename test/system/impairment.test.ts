/** Networks that are made worse, cut and joined while they are used: interfaces of vdens, ports of a switch, wirefilter://. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManagementSession } from '../fixtures/management.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';

const WAIT_MS = 30_000;
const [A, B] = ['10.77.0.1', '10.77.0.2'] as const;

/** Two named namespaces on a switch that the first one serves. */
class Lan {
  readonly folder: string;
  readonly path: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #t: TestContext;

  constructor(t: TestContext) {
    this.#t = t;
    this.folder = makeTemporaryDirectory(t);
    this.path = join(this.folder, 'lan');
    const runtime = join(this.folder, 'run');
    mkdirSync(runtime, 0o700);
    this.#env = { VDENS_RUNTIME_DIR: runtime };
  }

  async start(name: string, address: string, network = `switch://${this.path}`): Promise<BackgroundCommand> {
    const argv = [ours('vdens'), '--name', name, '--address', `${address}/24`, network];
    const running = await spawnBackground(this.#t, [...argv, 'sh', '-c', 'echo ready; exec sleep 600'], {
      env: this.#env,
    });
    await running.waitForOutput(/^ready$/m, WAIT_MS);
    await waitFor(async () => (await this.vde('tc', name)).status === 0, WAIT_MS, `the control socket of ${name}`);
    return running;
  }

  vde(...words: readonly string[]): ReturnType<typeof runCommand> {
    return runCommand([ours('vde'), ...words], { env: this.#env, timeoutMs: WAIT_MS });
  }

  /** What a command that has to succeed prints. */
  async say(...words: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.vde(...words);
    assert.equal(status, 0, `vde ${words.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** The shortest of some round trips, in milliseconds; `undefined` when none came back. */
  async roundTrip(from: string, to: string): Promise<number | undefined> {
    const { stdout } = await this.vde('exec', from, 'ping', '-c', '2', '-i', '0.2', '-W', '1', to);
    const shortest = /^rtt min\/[^=]*= ([\d.]+)/m.exec(stdout)?.[1];
    return shortest === undefined ? undefined : Number(shortest);
  }

  async expectRoundTrip(from: string, to: string, least: number, most: number): Promise<void> {
    const measure = async (): Promise<boolean> => {
      const ms = await this.roundTrip(from, to);
      return ms !== undefined && ms >= least && ms < most;
    };
    await waitFor(measure, WAIT_MS, `round trips from ${least} to ${most} ms`);
  }

  /** Whether the interface of a namespace has its carrier. */
  async hasCarrier(name: string): Promise<boolean> {
    const [found] = JSON.parse(await this.say('exec', name, 'ip', '-json', 'link', 'show', 'vde0')) as [
      { flags: readonly string[] },
    ];
    return found.flags.includes('LOWER_UP');
  }
}

test('vde tc: an interface of vdens is delayed while it runs, and is as it was afterwards', async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const lan = new Lan(t);
  await lan.start('a', A);
  await lan.start('b', B);
  await lan.expectRoundTrip('b', A, 0, 40);
  assert.equal(await lan.say('tc', 'b'), `vde0  switch://${lan.path}  as it is\n`);
  assert.equal(await lan.say('tc', 'b', 'delay=40', 'loss=0'), `vde0  switch://${lan.path}  delay=40\n`);
  await lan.expectRoundTrip('b', A, 79, 200);
  const [link] = JSON.parse(await lan.say('tc', '--json', 'b:vde0', 'delay=out:0')) as [Record<string, unknown>];
  const network = `switch://${lan.path}`;
  assert.deepEqual(link, { id: 'vde0', network, impairment: ['delay=in:40'], innerImpairment: [], isCut: false });
  await lan.expectRoundTrip('b', A, 39, 78);
  await lan.say('tc', 'b', 'none');
  await lan.expectRoundTrip('b', A, 0, 40);
  await lan.say('tc', 'b', 'loss=100%');
  assert.equal(await lan.roundTrip('b', A), undefined);
});

test('vde cut takes the carrier away and what passes; vde join gives both back', async (t) => {
  if (!requireCommands(t, 'ping', 'ip')) return;
  const lan = new Lan(t);
  await lan.start('a', A);
  const b = await lan.start('b', B);
  assert.equal(await lan.say('cut', 'b'), `vde0  switch://${lan.path}  cut\n`);
  await waitFor(async () => !(await lan.hasCarrier('b')), WAIT_MS, 'no carrier');
  assert.match(b.output(), /the cable was cut \(vde cut\)/);
  assert.equal(await lan.roundTrip('b', A), undefined);
  assert.equal(await lan.say('join', 'b'), `vde0  switch://${lan.path}  as it is\n`);
  await waitFor(() => lan.hasCarrier('b'), WAIT_MS, 'the carrier');
  await lan.expectRoundTrip('b', A, 0, 40);
  // The one who serves is cut off, and the switch goes on.
  await lan.say('cut', 'a');
  assert.equal(await lan.roundTrip('b', A), undefined);
  await lan.say('join', 'a');
  await lan.expectRoundTrip('b', A, 0, 40);
});

test('ports of a switch are impaired and cut, with a TAP that was handed over behind them', async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const lan = new Lan(t);
  await lan.start('a', A);
  await lan.start('b', B);
  await lan.expectRoundTrip('b', A, 0, 40);
  assert.equal(await lan.say('tc', lan.path), `port 2  ${lan.path}  as it is\n`);
  await lan.say('tc', `${lan.path}:port2`, 'delay=40');
  await lan.expectRoundTrip('b', A, 79, 200);
  await lan.say('cut', lan.path);
  assert.equal(await lan.roundTrip('b', A), undefined);
  await lan.say('join', lan.path);
  await lan.expectRoundTrip('b', A, 79, 200);
  await lan.say('tc', `${lan.path}:2`, 'none');
  await lan.expectRoundTrip('b', A, 0, 40);
});

test('wirefilter:// is a network that is worse from the beginning, with a console', async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const lan = new Lan(t);
  await lan.start('a', A);
  const socket = join(lan.folder, 'm');
  await lan.start('b', B, `wirefilter://[delay=LR40/mgmt='${socket}'/seed=7]{switch://${lan.path}}`);
  assert.match(await lan.say('tc', 'b'), / {2}as it is {2}\(from its network: delay=out:40\)\n$/);
  await lan.expectRoundTrip('b', A, 39, 78);
  const session = await ManagementSession.open(t, socket);
  session.send('showinfo\n');
  const told = await session.until(/1000 Success/);
  assert.match(told, /^WireFilter: bidirectional$/m);
  assert.match(told, /^Delay {2}L->R 40\+0U {3}R->L 0\+0U$/m);
  session.send('delay 0\n');
  await session.until(/1000 Success/);
  await lan.expectRoundTrip('b', A, 0, 40);
});

test('what wirefilter:// cannot do as it is told is said in a line', async (t) => {
  const folder = makeTemporaryDirectory(t);
  writeFileSync(join(folder, 'commands'), 'delay 3\nfly\n');
  for (const [option, message] of [
    [`rc='${folder}/none'`, /none: cannot run the commands in it: 1002 No such file or directory/],
    [`rc='${folder}/commands'`, /commands, line 2: fly: 1038 Function not implemented/],
    [
      `schedule='${folder}/none'`,
      /none: cannot read the schedule \(ENOENT\)\. Name a file with lines such as: 10 loss 5/,
    ],
    [`mgmt='${folder}/none/m'`, /mgmt: cannot make a socket .*Name a path in a directory that is there/],
  ] as const) {
    const { status, stderr } = await runCommand([ours('vdens'), `wirefilter://[${option}]{null://}`, 'true']);
    assert.equal(status, 125, option);
    assert.match(stderr, message);
    assert.match(stderr, /^vdens: [^\n]*\n$/);
  }
});

test('what is wrong is said in a line with a remedy', async (t) => {
  const lan = new Lan(t);
  await lan.start('a', A);
  for (const [words, message] of [
    [['tc', 'a', 'dly=3'], /no impairment called "dly": write one of loss/],
    [['tc', 'a:vde7', 'delay=3'], /there is no link "vde7"\. There is: "vde0"/],
    [['tc', 'a:port1'], /"port1" belongs to this process itself/],
    [['tc', 'nobody'], /"nobody": nothing that runs has that name or pid/],
    [['cut'], /a name is missing, for example: vde cut web/],
    [['join', 'a', 'b'], /"b" is one word too many/],
    [['tc', lan.path], /nothing to impair or to cut/],
  ] as const) {
    const { status, stderr } = await lan.vde(...words);
    assert.equal(status, 125, words.join(' '));
    assert.match(stderr, message);
    assert.match(stderr, /^vde: [^\n]*\n$/);
  }
});
