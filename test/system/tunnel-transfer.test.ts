/**
 * Super-frames over networks of UDP packets: TCP between two namespaces of one process, and what it carries arrives
 * as it was.
 *
 *     host a ── TAP ── line ── vxvde:// ═══ UDP on 127.0.0.1 ═══ vxvde:// ── line ── TAP ── host b
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cable, type Namespace, openNamespace, openPlug } from '../../src/index.ts';
import { TunnelPlug } from '../../src/overlay/tunnel-plug.ts';
import { endWorkersInTheMiddle, library } from '../fixtures/ended-workers.ts';
import { freePort } from '../fixtures/udp-hand.ts';

const LIMIT = { timeout: 60_000 };
const BYTES = 8_000_000;
const PORT = 7000;
const transfer = join(import.meta.dirname, '..', 'fixtures', 'tcp-transfer.js');

interface Way {
  readonly name: string;
  readonly scheme: 'vxvde' | 'udp';
  readonly offload: boolean;
  readonly line: boolean;
  readonly mtu: number;
}

/** An interface of this MTU in a namespace, joined to one end of a network between two ports. */
async function openHost(
  t: TestContext,
  way: Way,
  address: string,
  ports: readonly [number, number],
): Promise<Namespace> {
  const namespace = await openNamespace({ interfaces: [{ name: 'eth0', addresses: [address], mtu: way.mtu }] });
  t.after(() => namespace.close());
  const [here, there] = ports;
  process.env['VDENS_OFFLOAD'] = way.offload ? '1' : '0';
  const plug = await openPlug(
    way.scheme === 'udp'
      ? `udp://127.0.0.1:${here}->127.0.0.1:${there}`
      : `vxvde:///port=${here}/bind=127.0.0.1/peer=127.0.0.1:${there}`,
  );
  delete process.env['VDENS_OFFLOAD'];
  assert.ok(plug instanceof TunnelPlug);
  t.after(() => plug.close());
  cable(namespace.interfaces[0]!.plug, plug, {}, { line: way.line });
  return namespace;
}

async function send(from: Namespace, to: Namespace, address: string): Promise<void> {
  const server = to.run([process.execPath, transfer, 'serve', `${PORT}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.process.stdout!, 'data');
  const client = from.run([process.execPath, transfer, 'send', address, `${PORT}`, `${BYTES}`], { stdio: 'inherit' });
  assert.deepEqual([await client.exit, await server.exit], [0, 0]);
}

const usual = { scheme: 'vxvde', offload: true, line: true, mtu: 1450 } as const;
for (const way of [
  { ...usual, name: 'vxvde://' },
  { ...usual, name: 'udp://', scheme: 'udp' },
  { ...usual, name: 'packet by packet', offload: false },
  { ...usual, name: 'through JavaScript', line: false },
  { ...usual, name: 'large frames', mtu: 9000 },
  { ...usual, name: 'frames that hardly fit a packet', mtu: 65_485 },
] as const) {
  test(`what TCP carries arrives as it was: ${way.name}`, LIMIT, async (t) => {
    const [one, other] = [freePort(), freePort()];
    const a = await openHost(t, way, '10.9.0.1/24', [one, other]);
    const b = await openHost(t, way, '10.9.0.2/24', [other, one]);
    await send(a, b, '10.9.0.2');
    await send(b, a, '10.9.0.1');
  });
}

test('worker threads end while their networks are full of frames, and their ports are free again', LIMIT, async (t) => {
  const [one, other] = [freePort(), freePort()];
  await endWorkersInTheMiddle(
    t,
    `import { parentPort } from 'node:worker_threads';
     import { batchOf, createSwitch, openPlug } from ${JSON.stringify(library)};
     const open = (here, there, vni) => openPlug('vxlan:///bind=127.0.0.1/vni=' + vni + '/port=' + here + '/peer=127.0.0.1:' + there);
     const [a, b] = [await open(${one}, ${other}, 1), await open(${other}, ${one}, 1)];
     const lan = createSwitch();
     lan.attach(await open(${one}, ${other}, 2));
     const port = lan.port();
     let count = 0;
     b.start((batch) => { count += batch.count; if (count > 1000) parentPort.postMessage('busy'); return true; });
     a.start(() => true);
     port.start(() => true);
     const frame = new Uint8Array(1000).fill(0xff);
     frame[6] = 2;
     const frames = batchOf(Array(32).fill(frame));
     setInterval(() => { a.send(frames); port.send(frames); }, 1);`,
  );
});
