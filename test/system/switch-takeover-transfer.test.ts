/**
 * TCP transfers over networks whose middle is killed meanwhile: they go on once it has healed, and their sum is right.
 *
 * ```
 * sender ── who serves (killed, more than once) ── receiver
 * sender ── switch or line ── a program that bridges (killed, started again) ── switch or line ── receiver
 * ```
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LanHost } from '../fixtures/lan-host.ts';
import { type Segment, startSegment } from '../fixtures/segment.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  requireCommands,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

const TIMEOUT = { timeout: 60_000 };
const PORT = 5000;
/** Slow enough to be in the middle for seconds. */
const BYTES_PER_SECOND = 20_000_000;
const BYTES = 60_000_000;
const FAST_BYTES = 600_000_000;
const bridge = join(import.meta.dirname, '..', 'fixtures', 'bridge.js');

/** How many bytes left a host's interface. */
async function bytesSent(host: LanHost): Promise<number> {
  return (await host.counters()).get('vde0')!.in.bytes;
}

/** Waits until some of a transfer has passed, and kills who serves, unless it is one of the transfer's ends. */
async function killServerAt(
  segment: Segment,
  sender: LanHost,
  ends: readonly LanHost[],
  bytes: number,
): Promise<boolean> {
  await waitFor(async () => (await bytesSent(sender)) > bytes, 10_000, `${bytes} bytes to have left`);
  const server = await waitFor(() => segment.server(), 5000, 'one who serves');
  if (ends.includes(server.host)) return false;
  segment.kill([server]);
  return true;
}

for (const [how, bytes, rate] of [
  ['paced', BYTES, BYTES_PER_SECOND],
  ['as fast as it gets', FAST_BYTES, 0],
] as const) {
  test(`a transfer, ${how}, goes on when who serves is killed, again and again`, TIMEOUT, async (t) => {
    const segment = await startSegment(t, 4);
    const first = segment.server()!;
    const others = segment.members.filter((member) => member !== first);
    const [sender, receiver] = [others[0]!, others[1]!];
    await receiver.host.receiveTransfer(PORT);
    const transfer = sender.host.sendTransfer(receiver.address, PORT, bytes, rate);
    const ends = [sender.host, receiver.host];
    assert.ok(await killServerAt(segment, sender.host, ends, bytes / 6));
    await segment.settle();
    await killServerAt(segment, sender.host, ends, bytes / 2);
    await transfer;
    await segment.settle();
    await segment.pingAll();
  });
}

test('a transfer goes on when it is an original vde_switch that is killed, and one of us takes over', {
  timeout: 60_000,
}, async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const sender = await LanHost.start(t, `switch://${lan.path}`, '10.84.0.1/24');
  const receiver = await LanHost.start(t, `switch://${lan.path}`, '10.84.0.2/24');
  await receiver.receiveTransfer(PORT);
  const transfer = sender.sendTransfer('10.84.0.2', PORT, BYTES, BYTES_PER_SECOND);
  await waitFor(async () => (await bytesSent(sender)) > BYTES / 4, 10_000, 'a quarter to have left');
  await lan.kill('SIGKILL');
  await transfer;
});

for (const scheme of ['switch', 'ptp'] as const) {
  test(
    `a transfer goes on when the program between two ${scheme}:// is killed and started again`,
    TIMEOUT,
    async (t) => {
      const folder = makeTemporaryDirectory(t);
      const [left, right] = [`${scheme}://${folder}/l`, `${scheme}://${folder}/r`];
      const startBridge = async (): Promise<BackgroundCommand> => {
        const run = await spawnBackground(t, [process.execPath, bridge, left, right]);
        await run.waitForOutput(/^bridging$/m);
        return run;
      };
      const sender = await LanHost.start(t, left, '10.84.0.1/24');
      const receiver = await LanHost.start(t, right, '10.84.0.2/24');
      let between = await startBridge();
      await sender.waitForPing('10.84.0.2', 5000);
      await receiver.receiveTransfer(PORT);
      const transfer = sender.sendTransfer('10.84.0.2', PORT, BYTES, BYTES_PER_SECOND);
      for (const part of [1 / 6, 1 / 2]) {
        await waitFor(async () => (await bytesSent(sender)) > part * BYTES, 15_000, 'some of it to have left');
        between.kill('SIGKILL');
        await between.waitForExit();
        between = await startBridge();
      }
      await transfer;
    },
  );
}

test('a transfer over ptp:// between two, whose handover ends in the middle, comes out right', TIMEOUT, async (t) => {
  const path = `ptp://${join(makeTemporaryDirectory(t), 'line')}`;
  const sender = await LanHost.start(t, path, '10.84.0.1/24');
  const receiver = await LanHost.start(t, path, '10.84.0.2/24');
  await sender.waitForPing('10.84.0.2', 5000);
  await receiver.receiveTransfer(PORT);
  const transfer = sender.sendTransfer('10.84.0.2', PORT, BYTES, BYTES_PER_SECOND);
  // Whose process is stopped cannot answer, and the other one moves the frames of both, or waits.
  for (const host of [sender, receiver]) {
    await sleep(400);
    host.run.kill('SIGSTOP');
    await sleep(400);
    host.run.kill('SIGCONT');
  }
  await transfer;
});
