/** Bytes between two `vdens` through networks inside networks: each arrives as it was, in super-frames and cut ones. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LanHost } from '../fixtures/lan-host.ts';
import { makeTemporaryDirectory, requireCommands } from '../interop/harness.ts';
import { startOurSwitch } from '../interop/our-switch.ts';

const BYTES = 3_000_000;

const networks: readonly (readonly [name: string, around: (path: string, key: string) => string])[] = [
  ['vlan://', (path) => `vlan://4{${path}}`],
  ['three tags', (path) => `vlan://4{vlan://5/q{vlan://6{${path}}}}`],
  ['agno://', (path, key) => `agno://${key}{${path}}`],
  ['vlan:// in agno:// in restart://', (path, key) => `vlan://4{agno://${key}{restart://{${path}}}}`],
];

for (const [name, around] of networks) {
  test(`TCP through ${name}, both ways`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const key = join(makeTemporaryDirectory(t), 'key');
    writeFileSync(key, '00112233445566778899aabbccddeeff', { mode: 0o600 });
    const { path } = await startOurSwitch(t);
    const network = around(path, key);
    const a = await LanHost.start(t, network, '10.84.0.1/24');
    const b = await LanHost.start(t, network, '10.84.0.2/24');
    await a.waitForPing('10.84.0.2', 10_000);
    await b.receiveTransfer(5000);
    await a.sendTransfer('10.84.0.2', 5000, BYTES);
    await a.receiveTransfer(5001);
    await b.sendTransfer('10.84.0.1', 5001, BYTES);
    const counters = await b.counters();
    const drops = [...counters.values()].flatMap(({ drops }) => Object.keys(drops));
    const wrong = drops.filter((reason) => /malformed|too-long|undeciphered|out-of-window|replayed/.test(reason));
    assert.deepEqual(wrong, [], name);
  });
}
