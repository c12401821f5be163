/** Networks inside networks whose switch goes away and comes back: the innermost one is opened again, and all know. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchOf } from '../../src/frames/batch.ts';
import { openPlug } from '../../src/locator/open-plug.ts';
import type { Plug } from '../../src/plugs/plug.ts';
import { FakeSwitch } from '../fixtures/fake-switch.ts';
import {
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from '../interop/harness.ts';
import { startOurSwitch } from '../interop/our-switch.ts';
import { startStreamClient } from '../interop/stream-client.ts';
import { pattern } from '../unit/frames/arbitrary-frames.ts';

const KEY = '00112233445566778899aabbccddeeff';

test('all come back with the innermost, whichever of them looks after that', { timeout: 60_000 }, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const key = join(directory, 'key');
  writeFileSync(key, KEY, { mode: 0o600 });
  const path = join(directory, 'switch');
  for (const network of [
    `agno://${key}{vlan://4{vde://${path}}}`,
    `vlan://4{restart://1{agno://${key}{${path}}}}`,
    `restart://1{vlan://4{${path}}}`,
  ]) {
    let fake = await FakeSwitch.start({}, path);
    t.after(() => fake.close());
    const plug = await openPlug(network);
    t.after(() => plug.close());
    const events: string[] = [];
    plug.start(() => true, { down: (reason) => events.push(reason), up: () => events.push('up') });
    for (let round = 1; round <= 2; round++) {
      plug.send(batchOf([pattern(100, 1)]));
      await waitFor(() => fake.take().length === 1, 5000, `a frame through ${network}`);
      const frames = plug.counters.sent.frames;
      await fake.close();
      await waitFor(() => events.length === 2 * round - 1, 5000, 'the end of the network');
      assert.equal(events.at(-1), 'the switch went away');
      plug.send(batchOf([pattern(100, 2)]));
      assert.equal(plug.counters.sent.drops.down, round);
      fake = await FakeSwitch.start({}, path);
      await waitFor(() => events.length === 2 * round, 10_000, 'the network');
      assert.equal(events.at(-1), 'up');
      assert.equal(plug.counters.sent.frames, frames);
    }
    await plug.close();
    await fake.close();
  }
});

test('a line between two waits for its other end inside of others, too', { timeout: 60_000 }, async (t) => {
  const line = `ptp://${join(makeTemporaryDirectory(t), 'line')}`;
  const open = async (network: string): Promise<{ plug: Plug; events: string[] }> => {
    const plug = await openPlug(network);
    t.after(() => plug.close());
    const events: string[] = [];
    plug.start(() => true, { down: (reason) => events.push(reason), up: () => events.push('up') });
    return { plug, events };
  };
  const first = await open(`restart://{vlan://4{${line}}}`);
  assert.deepEqual([first.events, first.plug.hasBeenUp], [['the other end is not there yet'], false]);
  for (let round = 1; round <= 2; round++) {
    // Longer than a network has to last to be taken for one that is back.
    await sleep(1500);
    assert.equal(first.events.length, 2 * round - 1);
    const second = await open(`vlan://4{restart://{${line}}}`);
    await waitFor(() => first.events.at(-1) === 'up', 10_000, 'somebody to have come');
    assert.equal(first.plug.hasBeenUp, true);
    await waitFor(
      () => {
        first.plug.send(batchOf([pattern(100, round)]));
        return second.plug.counters.received.frames > 0;
      },
      5000,
      'a frame',
    );
    await second.plug.close();
    await waitFor(() => first.events.length === 2 * round + 1, 10_000, 'the news that the other end left');
  }
});

test('options of the command line are for the switch inside', { timeout: 30_000 }, async (t) => {
  const fake = await FakeSwitch.start();
  t.after(() => fake.close());
  const client = await startStreamClient(t, [ours('vde_plug'), '--port', '7', `vlan://4{${fake.path}}`]);
  const request = await waitFor(() => fake.requests[0], 10_000, 'the request');
  // The type of a request carries the port in its upper 24 bits.
  assert.equal(request.readUInt32LE(8) >>> 8, 7);
  assert.equal(client.errors(), '');
});

test('that the keys are not the same is said by vdens', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'ping')) return;
  const directory = makeTemporaryDirectory(t);
  const network = (name: string, text: string, path: string): string => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return `agno://${join(directory, name)}{${path}}`;
  };
  const { path } = await startOurSwitch(t);
  const run = ['sh', '-c', 'echo up; exec sleep 60'];
  const other = network('other', KEY.replaceAll('1', '2'), path);
  const there = await spawnBackground(t, [ours('vdens'), '--address', '10.7.0.2/24', other, ...run]);
  await there.waitForOutput(/^up$/m);
  const here = [ours('vdens'), '--address', '10.7.0.1/24', network('key', KEY, path)];
  const { stdout } = await runCommand([...here, 'ping', '-c', '2', '-i', '0.2', '-W', '1', '10.7.0.2']);
  assert.match(stdout, / 0 received/);
  await there.waitForOutput(/vdens: vde0: agno:\/\/.*: frames arrive that the key "\S+other" does not open/);
});
