/**
 * A gateway at the end of a cable that loses, delays and repeats frames: everything arrives, once and in order.
 */
import { test } from 'node:test';
import { BadLine } from '../fixtures/bad-line-transfer.ts';
import { gatewayCommands } from '../fixtures/gateway-lab.ts';
import { requireCommands } from '../interop/harness.ts';

const MIB = 1024 * 1024;

for (const perMille of [1, 10]) {
  test(`what is sent either way arrives, with ${perMille} of 1000 frames lost, late or twice`, {
    timeout: 150_000,
  }, async (t) => {
    if (!requireCommands(t, ...gatewayCommands)) return;
    const line = await BadLine.open(t, perMille);
    await line.transfer('host', 16 * MIB);
    await line.transfer('guest', 16 * MIB);
  });
}
