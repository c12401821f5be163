/** `ptp://` with originals at the other end: the packaged ones as they are installed, the newest by a fixture. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchOf } from '../../src/frames/batch.ts';
import { PtpPlug } from '../../src/plugs/ptp.ts';
import { NewestPtp } from '../fixtures/original-ptp.ts';
import {
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  spawnBackground,
  waitFor,
  waitWithin,
} from './harness.ts';
import { inNamespace, pingIn } from './original-vdens.ts';
import { startStreamClient } from './stream-client.ts';

const HEALING_MS = 3000;
const out = new Uint8Array(60).fill(0xa1);
const back = new Uint8Array(60).fill(0xb2);
const LAST_PING = /[1-9] received/;

for (const [first, second] of [
  ['ours', 'original'],
  ['original', 'ours'],
] as const) {
  test(`the packaged vdens and ours ping each other, ${first} first`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, 'vdens', 'ip', 'ping')) return;
    const folder = makeTemporaryDirectory(t);
    const network = `ptp://${join(folder, 'line')}`;
    const vdens = { ours: ours('vdens'), original: original('vdens')! };
    const waiting = { vdens: vdens[first], network, address: '10.78.0.1/24', command: ['sleep', '60'] };
    const a = await spawnBackground(t, inNamespace(waiting));
    await a.waitForOutput(/^ready$/m);
    const command = ['ping', '-c', '3', '-i', '0.2', '-W', '3', '10.78.0.1'];
    const text = await pingIn(t, { vdens: vdens[second], network, address: '10.78.0.2/24', command });
    assert.match(text, LAST_PING, `${text}${a.output()}`);
    if (first === 'original') assert.match(text, /3 received/);
  });
}

async function openOurs(
  t: TestContext,
  path: string,
): Promise<{ plug: PtpPlug; frames: Uint8Array[]; said: string[] }> {
  const plug = await PtpPlug.open('ptp', path);
  t.after(() => plug.close());
  const frames: Uint8Array[] = [];
  const said: string[] = [];
  const receive = (batch: Parameters<Parameters<typeof plug.start>[0]>[0]): void => {
    for (let i = 0; i < batch.count; i++) frames.push(batch.frame(i).slice());
  };
  plug.start(receive, { down: () => said.push('down'), up: () => said.push('up') });
  return { plug, frames, said };
}

/** Frames pass both ways; an original that was just joined may lose its first. */
async function assertJoined(
  { plug, frames }: { plug: PtpPlug; frames: Uint8Array[] },
  far: { take(): Uint8Array[]; send(frames: readonly Uint8Array[]): unknown },
): Promise<void> {
  frames.length = 0;
  far.take();
  const exchanged = async (): Promise<boolean> => {
    plug.send(batchOf([out]));
    far.send([back]);
    await sleep(50);
    return far.take().length > 0 && frames.length > 0;
  };
  await waitWithin(exchanged, HEALING_MS, 'frames both ways');
  assert.deepEqual(frames[0], back);
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`the packaged vde_plug comes, ends by ${signal}, and returns`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, 'vde_plug')) return;
    const folder = makeTemporaryDirectory(t);
    const path = join(folder, 'line');
    const argv = [original('vde_plug')!, `ptp://${path}`];
    const our = await openOurs(t, path);
    for (let round = 0; round < 2; round++) {
      const plug = await startStreamClient(t, argv);
      await assertJoined(our, plug);
      plug.kill(signal);
      await waitWithin(() => our.said.at(-1) === 'down', HEALING_MS, 'its end');
    }
    await our.plug.close();
    assert.deepEqual(
      readdirSync(folder).filter((name) => name !== 'line'),
      [],
    );
  });
}

test('the packaged vde_plug that came first is joined, again and again', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  const path = join(makeTemporaryDirectory(t), 'line');
  const plug = await startStreamClient(t, [original('vde_plug')!, `ptp://${path}`]);
  await waitFor(() => existsSync(path), 5000, 'its socket');
  for (let round = 0; round < 3; round++) {
    const our = await openOurs(t, path);
    await assertJoined(our, plug);
    // At once, or when the original has read that the one before has left.
    assert.match(our.said.join(' '), /^(down up)?$/);
    assert.ok(existsSync(`${path}+`));
    await our.plug.close();
    assert.ok(!existsSync(`${path}+`));
  }
  assert.ok(!plug.hasExited());
});

test('two packaged vde_plugs are a line: ours is a third', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  const argv = [original('vde_plug')!, `ptp://${path}`];
  await startStreamClient(t, argv);
  await waitFor(() => existsSync(path), 5000, 'the first');
  await startStreamClient(t, argv);
  await waitFor(() => existsSync(`${path}+`), 5000, 'the second');
  await assert.rejects(PtpPlug.open('ptp', path), /already has two ends/);
  assert.deepEqual(readdirSync(folder).sort(), ['line', 'line+']);
});

test('an original tied to one of ours that was killed turns to the next', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_plug', 'ip')) return;
  const path = join(makeTemporaryDirectory(t), 'line');
  const plug = await startStreamClient(t, [original('vde_plug')!, `ptp://${path}`]);
  await waitFor(() => existsSync(path), 5000, 'its socket');
  const argv = [ours('vdens'), '--up', `ptp://${path}`, 'sh', '-c', 'echo ready; sleep 60'];
  const killed = await spawnBackground(t, argv);
  await killed.waitForOutput(/^ready$/m);
  plug.send([back]);
  await waitFor(() => plug.take().length > 0, 5000, 'frames of the one that is to be killed');
  killed.kill('SIGKILL');
  await killed.waitForExit();
  const our = await openOurs(t, path);
  await assertJoined(our, plug);
});

test('an original of the newest kind, in either order, leaving, dying and returning', {
  timeout: 60_000,
}, async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'line');
  let newest = await NewestPtp.open(path);
  t.after(() => newest.die());
  const our = await openOurs(t, path);
  assert.deepEqual(our.said, []);
  for (const leave of ['close', 'die', 'close'] as const) {
    await assertJoined(our, newest);
    await assert.rejects(PtpPlug.open('ptp', path), /already has two ends/);
    newest[leave]();
    await waitWithin(() => our.said.at(-1) === 'down', HEALING_MS, 'its end');
    // One that dies leaves its name, which would keep its like out.
    await waitWithin(() => !existsSync(path), HEALING_MS, 'a free path');
    newest = await NewestPtp.open(path);
    await waitWithin(() => our.said.at(-1) === 'up', HEALING_MS, 'its return');
    assert.equal(newest.isListening, true);
  }
  newest.hangUp();
  await assertJoined(our, newest);
  await our.plug.close();
  await waitWithin(() => !existsSync(`${path}.vdens`), HEALING_MS, 'no name of ours');
});
