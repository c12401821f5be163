/** `pcap://` and `macvtap://`, in networks in which an ordinary user may have interfaces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPlug } from '../../src/index.ts';
import { ownNetworkCommands, runCase } from '../fixtures/own-network.ts';
import { WIRE_CASES } from '../fixtures/wire-cases.ts';
import { requireCommands } from '../interop/harness.ts';

const program = new URL('../fixtures/wire-cases.js', import.meta.url).href;

for (const name of WIRE_CASES) {
  test(`the wire behind an interface: ${name}`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, ...ownNetworkCommands, 'ping')) return;
    await runCase(program, name);
  });
}

test('pcap:// without the right to says what to do', {
  skip: process.geteuid?.() === 0 && 'root may do everything',
}, async () => {
  await assert.rejects(openPlug('pcap://lo'), /\(socket: EPERM\).*CAP_NET_RAW\): run it inside vdens/);
});
