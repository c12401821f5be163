/** Networks over UDP on a way that is slower than what is sent: nothing is lost that is not counted. */
import { type TestContext, test } from 'node:test';
import { ownNetworkCommands, runCase } from '../fixtures/own-network.ts';
import { requireCommands, runCommand } from '../interop/harness.ts';

const program = new URL('../fixtures/tunnel-pressure-cases.js', import.meta.url).href;
const LIMIT = { timeout: 60_000 };

/** Kernels may be without the queueing discipline that limits the rate. */
async function canSlowDown(t: TestContext): Promise<boolean> {
  if (!requireCommands(t, ...ownNetworkCommands, 'tc')) return false;
  const limit = 'ip link set lo up; tc qdisc add dev lo root tbf rate 1mbit burst 20000 limit 20000';
  const { status } = await runCommand(['unshare', '--user', '--map-root-user', '--net', 'sh', '-c', limit]);
  if (status !== 0) t.skip('this kernel has no tbf');
  return status === 0;
}

for (const [title, name] of [
  ['who minds that it is busy', 'one peer'],
  ['who does not mind', 'one peer, inconsiderate'],
  ['what is for several', 'three peers'],
  ['what waits when it is closed', 'closing'],
] as const) {
  test(`a slow way: ${title}`, LIMIT, async (t) => {
    if (await canSlowDown(t)) await runCase(program, name);
  });
}
