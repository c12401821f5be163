/** What the kernel refuses a tunnel, and worker threads that end with networks over UDP open. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownNetworkCommands, runCase } from '../fixtures/own-network.ts';
import { freePort } from '../fixtures/udp-hand.ts';
import { checkout, makeTemporaryDirectory, requireCommands, runCommand } from '../interop/harness.ts';

const program = new URL('../fixtures/tunnel-edge-cases.js', import.meta.url).href;
const LIMIT = { timeout: 60_000 };

test('runs of frames that the kernel does not cut are told, and leave one by one', LIMIT, async (t) => {
  if (requireCommands(t, ...ownNetworkCommands)) await runCase(program, 'refused runs');
});

test('a tunnel that cannot be watched leaves nothing behind', LIMIT, async (t) => {
  if (requireCommands(t, ...ownNetworkCommands, 'prlimit')) await runCase(program, 'no descriptors');
});

for (const scheme of ['vxvde', 'vxlan']) {
  test(`${scheme}://: worker threads that end close their sockets`, LIMIT, async (t) => {
    const folder = makeTemporaryDirectory(t);
    const library = JSON.stringify(join(checkout, 'dist', 'src', 'index.js'));
    const port = freePort();
    // As /proc/net/udp has it: 127.0.0.1 and the port.
    const entry = ` 0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} `;
    const locator = (vni: number): string => `${scheme}:///bind=127.0.0.1/port=${port}/vni=${vni}/peer=127.0.0.1:9`;
    writeFileSync(
      join(folder, 'worker.mjs'),
      `import { parentPort } from 'node:worker_threads';
       import { openPlug } from ${library};
       for (const locator of ${JSON.stringify(scheme === 'vxlan' ? [locator(1), locator(2)] : [locator(1)])}) {
         const plug = await openPlug(locator);
         plug.start(() => true);
       }
       parentPort.postMessage('open');
       setInterval(() => {}, 1000);`,
    );
    writeFileSync(
      join(folder, 'main.mjs'),
      `import { readFileSync } from 'node:fs';
       import { Worker } from 'node:worker_threads';
       import { openPlug } from ${library};
       const round = async () => {
         const worker = new Worker(new URL('worker.mjs', import.meta.url));
         await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
         await worker.terminate();
       };
       const sockets = () => readFileSync('/proc/self/net/udp', 'latin1').split('${entry}').length - 1;
       for (let i = 0; i < 20; i++) await round();
       console.log(sockets());
       const plug = await openPlug(${JSON.stringify(locator(1))});
       console.log(sockets());
       await plug.close();`,
    );
    const { status, stdout, stderr } = await runCommand([process.execPath, join(folder, 'main.mjs')], {
      timeoutMs: 40_000,
    });
    assert.deepEqual([status, stdout], [0, '0\n1\n'], stderr);
  });
}
