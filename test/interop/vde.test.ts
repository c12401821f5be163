/** Ours as a client of the original switches: ports, names, options, and what the originals get wrong. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { batchOf } from '../../src/frames/batch.ts';
import { openPlug } from '../../src/locator/open-plug.ts';
import { defaultSwitchDirectories } from '../../src/locator/resolve.ts';
import type { Plug } from '../../src/plugs/plug.ts';
import { testFrame } from '../conformance/test-frames.ts';
import {
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { type OriginalSwitch, startSwitch } from './original-switch.ts';
import { startStreamClient } from './stream-client.ts';

/** Numbers of the ports that have a client. */
async function portsInUse(lan: OriginalSwitch): Promise<number[]> {
  const text = await lan.command('port/print');
  const ports = text.split(/^Port /m).slice(1);
  return ports.filter((port) => /endpoint/i.test(port)).map((port) => Number.parseInt(port, 10));
}

async function open(t: TestContext, word: string, timeoutMs = 5000): Promise<Plug> {
  const plug = await openPlug(word, { timeoutMs });
  t.after(() => plug.close());
  return plug;
}

test('the switch shows who we are, on the port we asked for, and no socket of ours stays in its directory', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  await open(t, `vde://${lan.path}[port=7/mode=0600]`);
  const text = await lan.command('port/print');
  assert.match(text, /^Port 0007.*vdens user=\S+ pid=\d+/ms);
  assert.deepEqual(
    readdirSync(lan.path).filter((name) => name.startsWith('.')),
    [],
  );
});

test('a full switch costs the time-out (the original client hangs)', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t, { ports: 2 });
  await open(t, lan.path);
  for (let client = 0; client < 2; client++) {
    const start = performance.now();
    const plug = await openPlug(lan.path, { timeoutMs: 400 }).catch((error: unknown) => error);
    if (plug instanceof Error) {
      assert.match(plug.message, /within 0\.4 s\. Is it full|refused us a port/);
      assert.ok(performance.now() - start < 3000);
      return;
    }
    t.after(() => (plug as Plug).close());
  }
  assert.fail('a switch of two ports took three clients');
});

test('a port that does not exist costs the time-out (the original client hangs)', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t, { ports: 4 });
  await assert.rejects(
    openPlug(`vde://${lan.path}[99]`, { timeoutMs: 400 }),
    /port 99 within 0\.4 s|refused us port 99/,
  );
});

test('an unknown port group is an error (the original client gets any port)', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  await assert.rejects(openPlug(`vde://${lan.path}[staff]`), /no port group "staff"/);
  assert.deepEqual(await portsInUse(lan), []);
});

test('the management port of an original switch:// costs the time-out (the original client hangs)', async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  const path = join(makeTemporaryDirectory(t), 'node');
  await spawnBackground(t, [original('vde_plug')!, 'null://', `switch://${path}`]);
  await waitFor(() => existsSync(join(path, 'ctl')), 5000, 'the socket of the switch');
  await assert.rejects(openPlug(`vde://${path}[0]`, { timeoutMs: 400 }), /did not give us port 0/);
});

test('a frame of ours arrives at the original client byte for byte', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
  const lan = await startSwitch(t);
  const receiver = await startStreamClient(t, [original('vde_plug')!, lan.path]);
  await waitFor(async () => (await portsInUse(lan)).length === 1, 5000, 'the port of vde_plug');
  const plug = await open(t, lan.path);
  plug.start(() => true);
  const frame = new Uint8Array(60);
  frame.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 0]);
  plug.send(batchOf([frame]));
  const [got] = await waitFor(
    () => {
      const frames = receiver.take();
      return frames.length > 0 && frames;
    },
    3000,
    'the frame',
  );
  assert.deepEqual(got, frame);
});

test('an original switch:// brings a unicast frame to its owner alone', async (t) => {
  if (!requireCommands(t, 'vde_plug')) return;
  const path = join(makeTemporaryDirectory(t), 'node');
  await spawnBackground(t, [original('vde_plug')!, 'null://', `switch://${path}`]);
  await waitFor(() => existsSync(join(path, 'ctl')), 5000, 'the socket of the switch');
  const counts = [0, 0, 0];
  const plugs: Plug[] = [];
  for (let i = 0; i < 3; i++) {
    const plug = await open(t, path);
    plug.start((batch) => {
      counts[i]! += batch.count;
    });
    plugs.push(plug);
  }
  // Everybody says hello; broadcasts reach the two others.
  for (let i = 0; i < 3; i++) plugs[i]!.send(batchOf([testFrame(i, 60, i + 1)]));
  await waitFor(() => counts.every((count) => count === 2), 3000, 'the broadcasts');
  const unicast = testFrame(9, 60, 2);
  unicast.set(testFrame(0, 60, 1).subarray(6, 12), 0);
  plugs[1]!.send(batchOf([unicast]));
  await waitFor(() => counts[0] === 3, 3000, 'the unicast frame');
  assert.deepEqual(counts, [3, 2, 2]);
});

test('a longer frame than the original switch takes is dropped and counted, not cut', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  const plug = await open(t, lan.path);
  assert.equal(plug.maxFrameBytes, 1518);
  plug.send(batchOf([testFrame(0, 1519), testFrame(1, 1518)]));
  assert.deepEqual(plug.counters.sent.drops, { 'too-long': 1 });
  assert.equal(plug.counters.sent.frames, 1);
});

/** The words that name a port of the switch, as they may be written. */
const spellings: readonly (readonly [string, (path: string) => string])[] = [
  ['quotes', (path) => `${path.slice(0, -3)}'${path.slice(-3)}'[3]`],
  ['%HH', (path) => `${path.slice(0, -1)}%${path.charCodeAt(path.length - 1).toString(16)}[3]`],
  ['no closing bracket', (path) => `${path}[3`],
  ['a key cut short', (path) => `${path}[p=3]`],
  ['the scheme', (path) => `vde://${path}[port=3]`],
];

for (const [what, spell] of spellings) {
  test(`the original and ours read a network with ${what} the same way`, async (t) => {
    if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
    const lan = await startSwitch(t);
    const word = spell(lan.path);
    const plug = await open(t, word);
    assert.deepEqual(await portsInUse(lan), [3]);
    await plug.close();
    await waitFor(async () => (await portsInUse(lan)).length === 0, 3000, 'the end of our port');
    await startStreamClient(t, [original('vde_plug')!, word]);
    await waitFor(async () => (await portsInUse(lan)).join() === '3', 3000, 'port 3 of the original');
  });
}

test('an unknown option is an error for both', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
  const lan = await startSwitch(t);
  await assert.rejects(openPlug(`${lan.path}[bad=1]`), /bad/);
  assert.notEqual((await runCommand([original('vde_plug')!, `${lan.path}[bad=1]`])).status, 0);
});

test('no name means the network of the home directory, as for the originals; "vde://" does not', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
  const lan = await startSwitch(t);
  const home = makeTemporaryDirectory(t);
  const { HOME } = process.env;
  t.after(() => {
    process.env['HOME'] = HOME;
  });
  process.env['HOME'] = home;
  mkdirSync(join(home, '.vde2'));
  symlinkSync(lan.path, join(home, '.vde2', 'default.switch'));
  const first = await open(t, '');
  assert.deepEqual(await portsInUse(lan), [1]);
  await first.close();
  mkdirSync(join(home, '.vdeplug'));
  writeFileSync(join(home, '.vdeplug', 'default'), `vde://${lan.path}[4]\n`);
  const second = await open(t, '');
  assert.deepEqual(await portsInUse(lan), [4]);
  await second.close();
  await waitFor(async () => (await portsInUse(lan)).length === 0, 3000, 'the end of our port');
  await startStreamClient(t, [original('vde_plug')!, '']);
  await waitFor(async () => (await portsInUse(lan)).join() === '4', 3000, 'port 4 of the original');
  if (defaultSwitchDirectories().some((path) => existsSync(path))) return;
  await assert.rejects(
    openPlug('vde://'),
    /no switch runs at the usual places, neither \/var\/run\/vde\.ctl nor \/tmp\/vde\.ctl/,
  );
});

test('caprint says the same in the namespace of either vdens', async (t) => {
  if (!requireCommands(t, 'vdens', 'caprint')) return;
  const [mine, theirs] = await Promise.all(
    [ours('vdens'), original('vdens')!].map((vdens) => runCommand([vdens, 'no', 'caprint', '-l'])),
  );
  assert.equal(mine!.stdout, theirs!.stdout);
  assert.match(mine!.stdout, /0000000000003c00/);
});

test('fifty short commands on a flooded network end, every one (the original hangs in some)', {
  timeout: 170_000,
}, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip')) return;
  const lan = await startSwitch(t);
  const flood = await openPlug(lan.path);
  flood.start(() => true);
  const batch = batchOf(Array.from({ length: 50 }, (_, i) => testFrame(i, 60)));
  const timer = setInterval(() => {
    if (!flood.busy) flood.send(batch);
  }, 1);
  t.after(async () => {
    clearInterval(timer);
    await flood.close();
  });
  let left = 50;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const run = await runCommand([ours('vdens'), lan.path, 'sh', '-c', 'ip link set vde0 up; sleep 0.05; exit 7']);
      assert.deepEqual([run.status, run.stderr, run.isTimedOut], [7, '', false]);
    }
  };
  await Promise.all([worker(), worker()]);
  assert.ok(flood.counters.sent.frames > 10_000);
});
