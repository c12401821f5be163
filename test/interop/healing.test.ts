/**
 * Networks that go away and come back, seen from inside: `ip link`, and from outside: one line on standard error.
 *
 * ```
 * vdens 10.77.0.1 ── vde_switch (killed, stopped, started again) ── vdens 10.77.0.2
 * ```
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FakeSwitch } from '../fixtures/fake-switch.ts';
import { LanHost, type LanHostOptions } from '../fixtures/lan-host.ts';
import {
  makeTemporaryDirectory,
  type Owner,
  original,
  ours,
  pidFrom,
  requireCommands,
  runCommand,
  waitFor,
} from './harness.ts';
import { startSwitch } from './original-switch.ts';

const DOWN = /vdens: vde0: .*; waiting for it to come back\n/g;
const UP = /vdens: vde0: .*: is back\n/g;

/** A vdens whose interface may lose its carrier. */
class Inside extends LanHost {
  static override async start(t: Owner, network: string, address: string, options: LanHostOptions = {}) {
    return new Inside((await LanHost.start(t, network, address, options)).run);
  }

  /** Undefined while the kernel is about to make use of a carrier that has come, or gone, which may take a second. */
  async carrier(): Promise<'up' | 'down' | undefined> {
    const text = await this.tell('ip -o link show vde0');
    if (text.includes('NO-CARRIER') === text.includes('LOWER_UP')) return undefined;
    return text.includes('LOWER_UP') ? 'up' : 'down';
  }

  async waitForCarrier(wanted: 'up' | 'down'): Promise<void> {
    await waitFor(async () => (await this.carrier()) === wanted, 6000, `the carrier to be ${wanted}`);
  }

  /** Waits until vdens has told so often that the network went, and came back; and not more often. */
  async waitForWords(down: number, up: number): Promise<void> {
    const count = (pattern: RegExp): number => this.run.output().match(pattern)?.length ?? 0;
    const isSaid = (): boolean => count(DOWN) >= down && count(UP) >= up;
    await waitFor(isSaid, 6000, `${down} lines of its going, ${up} of its coming back`);
    assert.deepEqual([count(DOWN), count(UP)], [down, up], this.run.output());
  }

  /** Ends the command; answers how long vdens took, and its status. */
  async end(status: number): Promise<{ ms: number; status: number | null }> {
    const start = performance.now();
    this.run.write(`exit ${status}\n`);
    const end = await this.run.waitForExit();
    return { ms: performance.now() - start, status: end.status };
  }
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`a switch ended by ${signal} takes the carrier away, and brings it back (the original never notices)`, {
    timeout: 60_000,
  }, async (t) => {
    if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
    const lan = await startSwitch(t);
    const a = await Inside.start(t, lan.path, '10.77.0.1/24');
    const b = await Inside.start(t, lan.path, '10.77.0.2/24');
    await a.ping('10.77.0.2');
    for (const round of [1, 2]) {
      await lan.kill(signal);
      await a.waitForCarrier('down');
      await a.waitForWords(round, round - 1);
      await lan.restart();
      await a.waitForCarrier('up');
      await b.waitForCarrier('up');
      await a.waitForWords(round, round);
      await a.waitForPings('10.77.0.2', 6000);
    }
  });
}

test('with --no-reconnect a network that went away stays away', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip')) return;
  const lan = await startSwitch(t);
  const a = await Inside.start(t, lan.path, '10.77.0.1/24', { options: ['--no-reconnect'] });
  await lan.restart();
  await a.waitForCarrier('down');
  await sleep(1500);
  assert.equal(await a.carrier(), 'down');
  await a.run.waitForOutput(/vdens: vde0: .*: the switch went away\n/);
  await a.waitForWords(0, 0);
});

test('a stream command that dies is started again', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug', 'ip', 'ping')) return;
  const lan = await startSwitch(t);
  const folder = makeTemporaryDirectory(t);
  const script = join(folder, 'line');
  writeFileSync(script, `echo $$ >>${folder}/pids\nexec ${original('vde_plug')} ${lan.path}\n`);
  const pids = (): number[] => readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number);
  const a = await Inside.start(t, `=sh ${script}`, '10.77.0.1/24');
  await Inside.start(t, lan.path, '10.77.0.2/24');
  await a.ping('10.77.0.2');
  process.kill(pids().at(-1)!, 'SIGKILL');
  // It may be back before the interface has lost its carrier.
  await a.waitForWords(1, 1);
  await a.waitForCarrier('up');
  assert.equal(pids().length, 2);
  assert.match(a.run.output(), /the command ended (by SIGKILL|with status 137)/);
  await a.waitForPings('10.77.0.2', 6000);
});

test('a stream command that dies at once is tried again with growing pauses, and told once', {
  timeout: 60_000,
}, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const folder = makeTemporaryDirectory(t);
  const script = join(folder, 'line');
  writeFileSync(script, `echo x >>${folder}/starts\nexit 3\n`);
  const a = await Inside.start(t, `=sh ${script}`, '10.77.0.1/24');
  await a.waitForCarrier('down');
  await sleep(3000);
  const starts = (): number => readFileSync(join(folder, 'starts'), 'utf8').length / 2;
  assert.ok(starts() <= 8, `${starts()} starts`);
  await waitFor(() => starts() >= 3, 10_000, 'three starts');
  await a.waitForWords(1, 0);
  assert.match(a.run.output(), /the command ended with status 3; waiting/);
  assert.equal(await a.carrier(), 'down');
});

test('with --no-reconnect the end of the stream command is the end of vdens, as of the original', {
  timeout: 60_000,
}, async (t) => {
  const run = await runCommand([ours('vdens'), '--no-reconnect', "=sh -c 'exit 0'", 'sleep', '60'], {
    timeoutMs: 10_000,
  });
  assert.deepEqual([run.isTimedOut, run.status], [false, 143]);
  assert.ok(t.name);
});

test('a switch that does not read costs a pause, then counted drops, and nothing once it reads again (the original blocks both ways)', {
  timeout: 60_000,
}, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping')) return;
  const lan = await startSwitch(t);
  const a = await Inside.start(t, lan.path, '10.77.0.1/24');
  await Inside.start(t, lan.path, '10.77.0.2/24');
  await a.ping('10.77.0.2');
  process.kill(lan.pid, 'SIGSTOP');
  await a.tell('ip neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 dev vde0');
  const start = performance.now();
  await a.tell('ping -q -c 180 -i 0.005 -s 1400 -W 1 10.77.0.9 >/dev/null');
  assert.ok(performance.now() - start < 10_000, 'the sender does not hang');
  a.run.kill('SIGUSR1');
  await a.run.waitForOutput(/dropped out: .*peer-slow \d+/);
  assert.equal(await a.carrier(), 'up');
  process.kill(lan.pid, 'SIGCONT');
  await a.waitForPing('10.77.0.2', 8000);
  await a.ping('10.77.0.2');
});

test('vdens ends at once while its network is away', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip')) return;
  const lan = await startSwitch(t);
  const a = await Inside.start(t, lan.path, '10.77.0.1/24');
  await lan.kill();
  await a.waitForCarrier('down');
  const { ms, status } = await a.end(5);
  assert.equal(status, 5);
  assert.ok(ms < 1000, `${ms} ms`);
});

test('vdens ends at once while a switch keeps it waiting for an answer', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip')) return;
  const lan = await startSwitch(t);
  const a = await Inside.start(t, lan.path, '10.77.0.1/24');
  await lan.kill('SIGKILL');
  rmSync(join(lan.path, 'ctl'));
  const silent = await FakeSwitch.start({ answer: () => undefined }, lan.path);
  t.after(() => silent.close());
  await waitFor(() => silent.requests.length > 0, 5000, 'another try');
  const { ms, status } = await a.end(6);
  assert.equal(status, 6);
  assert.ok(ms < 1000, `${ms} ms`);
  assert.equal(existsSync(join(lan.path, 'ctl')), true);
});

test('a stream command that does not want to end does not keep vdens', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const folder = makeTemporaryDirectory(t);
  const script = join(folder, 'line');
  writeFileSync(script, `trap '' TERM HUP PIPE\necho $$ >${folder}/pid\nwhile :; do sleep 1; done\n`);
  const a = await Inside.start(t, `=sh ${script}`, '10.77.0.1/24');
  const pid = await waitFor(() => pidFrom(join(folder, 'pid')), 5000, 'the command');
  const { ms, status } = await a.end(0);
  assert.equal(status, 0);
  assert.ok(ms < 2000, `${ms} ms`);
  await waitFor(() => !existsSync(`/proc/${pid}`), 2000, 'the end of the command');
});
