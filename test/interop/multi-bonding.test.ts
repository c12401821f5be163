/**
 * `multi://` and `bonding://`: clients that exchange frames with whoever serves, and not with each other. Each case is
 * run with our server and the original clients, the original server and our clients, and ours alone.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { batchOf } from '../../src/frames/batch.ts';
import { openPlug, type Plug } from '../../src/index.ts';
import { superFrame, testFrame, testFrames } from '../conformance/test-frames.ts';
import { LanHost } from '../fixtures/lan-host.ts';
import { batchWith } from '../unit/frames/native-frames.ts';
import { makeTemporaryDirectory, type Owner, original, ours, requireCommands, waitFor } from './harness.ts';
import { type StreamClient, startStreamClient } from './stream-client.ts';

const PAIRS = [
  { server: ours('vde_plug'), client: 'original', name: 'ours serves, originals come' },
  { server: original('vde_plug'), client: 'ours', name: 'an original serves, ours come' },
  { server: ours('vde_plug'), client: 'ours', name: 'ours serves, ours come' },
] as const;

interface Lan {
  readonly host: StreamClient;
  readonly clients: readonly StreamClient[];
}

async function startLan(t: Owner, scheme: string, pair: (typeof PAIRS)[number], count: number): Promise<Lan> {
  const path = join(makeTemporaryDirectory(t), 'lan');
  const host = await startStreamClient(t, [pair.server!, `${scheme}://${path}`]);
  await waitFor(() => existsSync(join(path, 'ctl')), 10_000, `the server: ${host.errors()}`);
  const program = pair.client === 'ours' ? ours('vde_plug') : original('vde_plug')!;
  const clients: StreamClient[] = [];
  for (let index = 0; index < count; index++) {
    const client = await startStreamClient(t, [program, path]);
    clients.push(client);
    await hello(host, client, index);
  }
  return { host, clients };
}

/** Until a frame of the client is heard: then it has its port. */
async function hello(host: StreamClient, client: StreamClient, index: number): Promise<void> {
  const heard = (): boolean => {
    client.send([testFrame(900 + index, 60)]);
    return host
      .take()
      .map(numberOf)
      .includes(900 + index);
  };
  await waitFor(heard, 10_000, `client ${index}: ${client.errors()}`);
}

function numberOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(14);
}

/** Sends frames until `count` in all have come, in turn to whom they may; who got which. */
async function collect(clients: readonly StreamClient[], count: number): Promise<number[][]> {
  const got: number[][] = clients.map(() => []);
  const look = (): boolean => {
    for (const [index, client] of clients.entries()) got[index]!.push(...client.take().map(numberOf));
    return got.flat().length >= count;
  };
  await waitFor(look, 10_000, `${count} frames`).catch(() => assert.fail(`got ${JSON.stringify(got)}`));
  return got;
}

async function emptied(host: StreamClient): Promise<void> {
  await waitFor(() => host.take().length === 0, 3000, 'silence');
}

for (const pair of PAIRS) {
  test(`multi://, ${pair.name}: the host hears all and all hear the host`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, 'vde_plug')) return;
    const { host, clients } = await startLan(t, 'multi', pair, 3);
    await emptied(host);
    clients[0]!.send([testFrame(1, 100)]);
    const heard: number[] = [];
    const look = (): boolean => {
      heard.push(...host.take().map(numberOf));
      return heard.includes(1);
    };
    await waitFor(look, 5000, 'the frame at the host');
    host.send([testFrame(2, 100), testFrame(3, 100)]);
    // The frame of the first client would have come to the others before these.
    assert.deepEqual(await collect(clients, 6), [
      [2, 3],
      [2, 3],
      [2, 3],
    ]);
  });

  test(`bonding://, ${pair.name}: the host uses one after the other, the second first`, {
    timeout: 60_000,
  }, async (t) => {
    if (!requireCommands(t, 'vde_plug')) return;
    const { host, clients } = await startLan(t, 'bonding', pair, 3);
    clients[0]!.send([testFrame(1, 100)]);
    for (const frame of testFrames(10, 7, 100)) host.send([frame]);
    assert.deepEqual(await collect(clients, 7), [
      [12, 15],
      [10, 13, 16],
      [11, 14],
    ]);
  });
}

test('a process of the library: multi:// and bonding:// with several in one process, and a takeover', {
  timeout: 60_000,
}, async (t) => {
  const path = join(makeTemporaryDirectory(t), 'lan');
  const plugs: Plug[] = [];
  t.after(() => Promise.all(plugs.map((plug) => plug.close())));
  const got: number[][] = [[], [], []];
  for (let index = 0; index < 3; index++) {
    const plug = await openPlug(`bonding://${path}`);
    plug.start((batch) => {
      for (let i = 0; i < batch.count; i++) got[index]!.push(numberOf(batch.frame(i)));
    });
    plugs.push(plug);
  }
  const [host, second, third] = plugs as [Plug, Plug, Plug];
  assert.deepEqual([host.isServedHere, second.isServedHere, third.isServedHere], [true, false, false]);
  const served = (): number => host.counters.sent.frames;
  await waitFor(
    () => {
      second.send(batchOf([testFrame(1, 60)]));
      third.send(batchOf([testFrame(2, 60)]));
      return got[0]!.includes(1) && got[0]!.includes(2);
    },
    5000,
    'both at the host',
  );
  const before = served();
  host.send(batchOf(testFrames(100, 6, 200)));
  await waitFor(() => got[1]!.length + got[2]!.length >= 6, 5000, 'the frames');
  assert.deepEqual(
    [got[1], got[2]],
    [
      [101, 103, 105],
      [100, 102, 104],
    ],
  );
  assert.equal(served() - before, 6);
  // A super-frame has one turn, and is cut at that client's door.
  const made = superFrame(true, false, 4000, 1000);
  host.send(batchWith([made]));
  await waitFor(() => got[1]!.length + got[2]!.length >= 10, 5000, 'the segments');
  assert.deepEqual([got[1]!.length, got[2]!.length], [3, 7]);
  await host.close();
  await waitFor(() => second.isServedHere === true || third.isServedHere === true, 10_000, 'a takeover');
  const [next, last, heard] = second.isServedHere === true ? [second, third, got[1]!] : [third, second, got[2]!];
  await waitFor(
    () => {
      last.send(batchOf([testFrame(77, 60)]));
      return heard.includes(77) || next.isServedHere !== true;
    },
    10_000,
    'frames after it',
  );
  assert.ok(heard.includes(77));
});

test('namespaces on multi://, whose frames move without a socket: each hears the host, and nobody else; a takeover', {
  timeout: 60_000,
}, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const network = `multi://${join(makeTemporaryDirectory(t), 'lan')}`;
  const host = await LanHost.start(t, network, '10.68.0.1/24');
  const [a, b] = [await LanHost.start(t, network, '10.68.0.2/24'), await LanHost.start(t, network, '10.68.0.3/24')];
  for (const client of [a, b]) await client.ping('10.68.0.1');
  assert.doesNotMatch(await a.tell('ping -c 1 -w 1 10.68.0.3'), /^done 0$/m);
  host.run.kill('SIGKILL');
  // Of the two who are left, one is the host now.
  await a.waitForPing('10.68.0.3', 10_000);
});
