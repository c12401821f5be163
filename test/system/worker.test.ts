/** The library in worker threads: several at a time, ended in the middle of traffic. */
import { test } from 'node:test';
import { endWorkersInTheMiddle, library } from '../fixtures/ended-workers.ts';

test('worker threads with cables can be ended at any moment', async (t) => {
  const flood = `const s = require('node:dgram').createSocket('udp4'); s.bind(() => { s.setBroadcast(true);
    const send = () => s.send(Buffer.alloc(1000), 9, '10.9.0.255', () => setImmediate(send)); send(); });`;
  await endWorkersInTheMiddle(
    t,
    `import { parentPort } from 'node:worker_threads';
     import { cable, openNamespace } from ${JSON.stringify(library)};
     const host = (address) => openNamespace({ interfaces: [{ name: 'eth0', addresses: [address] }] });
     const [a, b] = [await host('10.9.0.1/24'), await host('10.9.0.2/24')];
     cable(a.interfaces[0].plug, b.interfaces[0].plug);
     a.run([process.execPath, '-e', ${JSON.stringify(flood)}], { stdio: 'ignore' });
     setInterval(() => b.interfaces[0].plug.counters.sent.frames > 100 && parentPort.postMessage('busy'), 10);`,
  );
});
