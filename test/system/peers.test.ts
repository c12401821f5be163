/** Lists of peers on a real kernel, with the system's resolver: each case in a network namespace of its own. */
import { test } from 'node:test';
import { ownNetworkCommands, runCase } from '../fixtures/own-network.ts';
import { cases } from '../fixtures/peer-cases.ts';
import { requireCommands } from '../interop/harness.ts';

for (const name of Object.keys(cases)) {
  test(name, { timeout: 40_000 }, async (t) => {
    if (!requireCommands(t, ...ownNetworkCommands, 'mount')) return;
    await runCase(new URL('../fixtures/peer-cases.js', import.meta.url).href, name);
  });
}
