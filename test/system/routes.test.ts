/** Routes, and changes to them, on a real kernel: each case in a network namespace of its own. */
import { test } from 'node:test';
import { ownNetworkCommands, runCase } from '../fixtures/own-network.ts';
import { cases } from '../fixtures/route-cases.ts';
import { requireCommands } from '../interop/harness.ts';

for (const name of Object.keys(cases)) {
  test(name, { timeout: 40_000 }, async (t) => {
    if (!requireCommands(t, ...ownNetworkCommands)) return;
    await runCase(new URL('../fixtures/route-cases.js', import.meta.url).href, name);
  });
}
