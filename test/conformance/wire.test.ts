/**
 * The suite on the wire behind an interface. Packet sockets take rights, so this file runs itself again, in a network of
 * its own:
 *
 * ```
 * suite ── plug ── packet socket ── w0 ══ veth ══ f0 ── packet socket ── suite
 * ```
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openWire } from '../../src/plugs/wire.ts';
import { native } from '../../src/system/native.ts';
import { openPacketSocket } from '../fixtures/open-packet-socket.ts';
import { requireCommands, runCommand, waitFor } from '../interop/harness.ts';
import type { FarEnd, Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';

/** How many were made: each test has its own. */
let lines = 0;
const taken = 'the kernel takes a frame at once, or drops it';

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  assert.equal(status, 0, `ip ${args.join(' ')}: ${stderr}`);
}

function isUp(name: string): boolean {
  return spawnSync('ip', ['-o', 'link', 'show', name], { encoding: 'utf8' }).stdout.includes(' state UP ');
}

/** Another packet socket, at the other end of the cable. */
function farEnd(socket: number, name: string): FarEnd {
  const buffer = new Uint8Array(1 << 17);
  return {
    take: () => {
      const frames: Uint8Array[] = [];
      for (let length = native.receive(socket, buffer); length >= 0; length = native.receive(socket, buffer))
        frames.push(buffer.slice(0, length));
      return frames;
    },
    send: (frames) => {
      for (const frame of frames) native.send(socket, frame);
    },
    stopReading() {},
    startReading() {},
    leave: () => ip('link', 'delete', name),
  };
}

async function open(t: TestContext): Promise<Line> {
  const [near, far] = [`w${++lines}`, `f${lines}`];
  ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far);
  for (const name of [near, far]) ip('link', 'set', name, 'up');
  // Until the kernel has seen the carrier, which may take a second, what is sent is dropped.
  await waitFor(() => [near, far].every(isUp), 10_000, 'the carrier of the cable');
  const socket = openPacketSocket(native.interfaceIndex(far));
  const plug = openWire(`pcap://${near}`, near);
  const close = plug.close.bind(plug);
  plug.close = async () => {
    plug.close = close;
    await close();
    native.closeDescriptor(socket);
    spawnSync('ip', ['link', 'delete', near]);
  };
  t.after(() => plug.close());
  return { plug, far: farEnd(socket, near) };
}

const wire: PlugKind = {
  name: 'the wire behind an interface',
  burst: 50,
  hasOtherTraffic: true,
  cycles: 8,
  skips: [
    { name: 'drain', reason: taken },
    { name: 'stall', reason: taken },
  ],
  open,
};

if (process.env['VDENS_TEST_OWN_NETWORK'] === '1') describePlug(wire);
else
  test('the suite on the wire behind an interface, in a network of its own', { timeout: 120_000 }, async (t) => {
    if (!requireCommands(t, 'unshare', 'ip')) return;
    const argv = ['unshare', '--user', '--map-root-user', '--net', process.execPath, fileURLToPath(import.meta.url)];
    const env = { VDENS_TEST_OWN_NETWORK: '1', NODE_TEST_CONTEXT: undefined };
    const { status, stdout, stderr } = await runCommand(argv, { timeoutMs: 110_000, env });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /pass 1\d/);
  });
