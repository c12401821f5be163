/**
 * Cables between real interfaces, both ways a frame can take: on a line of its own thread, and through JavaScript.
 *
 *     namespace A  eth0 ──TAP── cable ──TAP── eth0  namespace B
 *     namespace A  eth0 ──TAP── cable ──vde── original switch ──vde── cable ──TAP── eth0  namespace B
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cable, type Namespace, openNamespace, openPlug, type Plug } from '../../src/index.ts';
import { requireCommands, waitFor } from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

const transfer = join(import.meta.dirname, '..', 'fixtures', 'tcp-transfer.js');
const ways = [
  { line: true, name: 'on a line' },
  { line: false, name: 'through JavaScript' },
] as const;

for (const { line, name } of ways) {
  test(`a cable between two TAPs ${name} carries TCP over IPv4 and IPv6 unharmed, and counts it`, async () => {
    await using a = await host('10.9.0.1/24', 'fd09::1/64');
    await using b = await host('10.9.0.2/24', 'fd09::2/64');
    cable(plugOf(a), plugOf(b), {}, { line });
    await transferBytes(a, b, '10.9.0.2', 20_000_000);
    await transferBytes(b, a, 'fd09::1', 20_000_000);
    const [countersA, countersB] = [plugOf(a).counters, plugOf(b).counters];
    assert.ok(countersA.received.bytes > 20_000_000);
    assert.ok(countersB.received.bytes > 20_000_000);
    for (const direction of [countersA.sent, countersB.sent]) assert.deepEqual(direction.drops, {});
    // Frames are still coming and going (neighbour discovery), so the two are compared when it is quiet.
    await waitFor(
      () =>
        countersA.received.frames === countersB.sent.frames &&
        countersA.received.bytes === countersB.sent.bytes &&
        countersB.received.frames === countersA.sent.frames,
      5000,
      'what left one end to be what came in at the other',
    );
  });

  test(`two namespaces on an original switch, cabled ${name}, exchange TCP in ordinary frames`, async (t) => {
    if (!requireCommands(t, 'vde_switch')) return;
    const lan = await startSwitch(t);
    await using a = await host('10.9.0.1/24');
    await using b = await host('10.9.0.2/24');
    await using portA = await openPlug(lan.path);
    await using portB = await openPlug(lan.path);
    cable(plugOf(a), portA, {}, { line });
    cable(plugOf(b), portB, {}, { line });
    await transferBytes(a, b, '10.9.0.2', 10_000_000);
    const { frames, bytes } = portA.counters.sent;
    assert.ok(bytes > 10_000_000);
    assert.ok(bytes / frames <= 1514, `${bytes} bytes in ${frames} frames are more than an ordinary frame holds`);
  });

  test(`a switch that takes nothing costs frames, counted as peer-slow, cabled ${name}`, async (t) => {
    if (!requireCommands(t, 'vde_switch')) return;
    const lan = await startSwitch(t);
    await using a = await host('10.9.0.1/24');
    await using port = await openPlug(lan.path);
    cable(plugOf(a), port, {}, { line });
    process.kill(lan.pid, 'SIGSTOP');
    try {
      const flood = a.run([process.execPath, '-e', floodProgram], { stdio: 'ignore' });
      await waitFor(() => (port.counters.sent.drops['peer-slow'] ?? 0) > 0, 10_000, 'a drop');
      flood.process.kill('SIGTERM');
      await flood.exit;
    } finally {
      process.kill(lan.pid, 'SIGCONT');
    }
    // What was queued in the kernel arrives, and new frames pass.
    const before = port.counters.sent.frames;
    const again = a.run([process.execPath, '-e', floodProgram], { stdio: 'ignore' });
    await waitFor(() => port.counters.sent.frames > before + 100, 10_000, 'new frames');
    again.process.kill('SIGTERM');
    await again.exit;
  });

  test(`cables ${name} can be cut by closing either plug, again and again, under load`, async () => {
    for (let round = 0; round < 10; round++) {
      const a = await host('10.9.0.1/24');
      const b = await host('10.9.0.2/24');
      cable(plugOf(a), plugOf(b), {}, { line });
      const flood = a.run([process.execPath, '-e', floodProgram], { stdio: 'ignore' });
      await waitFor(() => plugOf(b).counters.sent.frames > 0, 10_000, 'frames');
      await (round % 2 === 0 ? plugOf(a) : plugOf(b)).close();
      await sleep(20);
      flood.process.kill('SIGKILL');
      await Promise.all([a.close(), b.close()]);
    }
    const taps = readdirSync('/proc/self/fd').length;
    assert.ok(taps < 60, `${taps} descriptors are open`);
  });
}

/** Sends UDP as fast as it can to an address of the other side, for which it sets a neighbour entry by asking. */
const floodProgram = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.bind(() => {
    socket.setBroadcast(true);
    const send = () => socket.send(Buffer.alloc(1000), 9, '10.9.0.255', () => setImmediate(send));
    for (let i = 0; i < 8; i++) send();
  });`;

function host(...addresses: string[]): Promise<Namespace> {
  return openNamespace({ interfaces: [{ name: 'eth0', addresses }] });
}

function plugOf(namespace: Namespace): Plug {
  return namespace.interfaces[0]!.plug;
}

async function transferBytes(from: Namespace, to: Namespace, address: string, bytes: number): Promise<void> {
  const server = to.run([process.execPath, transfer, 'serve', '5000'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => server.process.stdout!.once('data', resolve));
  const client = from.run([process.execPath, transfer, 'send', address, '5000', String(bytes)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  assert.equal(await client.exit, 0);
  assert.equal(await server.exit, 0);
}
