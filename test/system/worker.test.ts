/** The library in worker threads: several at a time, ended in the middle of traffic. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkout, makeTemporaryDirectory, runCommand } from '../interop/harness.ts';

test('worker threads with cables can be ended at any moment', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const library = join(checkout, 'dist', 'src', 'index.js');
  const flood = `const s = require('node:dgram').createSocket('udp4'); s.bind(() => { s.setBroadcast(true);
    const send = () => s.send(Buffer.alloc(1000), 9, '10.9.0.255', () => setImmediate(send)); send(); });`;
  writeFileSync(
    join(folder, 'worker.mjs'),
    `import { parentPort } from 'node:worker_threads';
     import { cable, openNamespace } from ${JSON.stringify(library)};
     const host = (address) => openNamespace({ interfaces: [{ name: 'eth0', addresses: [address] }] });
     const [a, b] = [await host('10.9.0.1/24'), await host('10.9.0.2/24')];
     cable(a.interfaces[0].plug, b.interfaces[0].plug);
     a.run([process.execPath, '-e', ${JSON.stringify(flood)}], { stdio: 'ignore' });
     setInterval(() => b.interfaces[0].plug.counters.sent.frames > 100 && parentPort.postMessage('busy'), 10);`,
  );
  writeFileSync(
    join(folder, 'main.mjs'),
    `import { Worker } from 'node:worker_threads';
     for (let round = 0; round < 4; round++) {
       const worker = new Worker(new URL('worker.mjs', import.meta.url));
       await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
       await worker.terminate();
       await new Promise((resolve) => setTimeout(resolve, 150));
     }
     console.log('survived');`,
  );
  const { status, stdout, stderr } = await runCommand([process.execPath, join(folder, 'main.mjs')], {
    timeoutMs: 40_000,
  });
  assert.deepEqual([status, stdout], [0, 'survived\n'], stderr);
});
