/** Frames that make no sense, many of them, through a gateway: scripts/soak-gateway.mjs, shortly. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { gatewayCommands } from '../fixtures/gateway-lab.ts';
import { checkout, requireCommands, runCommand } from '../interop/harness.ts';

test('a gateway stays up and goes on serving under mutated frames', async (t) => {
  if (!requireCommands(t, ...gatewayCommands)) return;
  const script = join(checkout, 'scripts', 'soak-gateway.mjs');
  // Always the same frames, and others each time.
  for (const seed of [['1'], []]) {
    const run = await runCommand([process.execPath, script, '60000', ...seed], { timeoutMs: 120_000 });
    assert.equal(run.status, 0, `${run.stdout}${run.stderr}`);
  }
});
