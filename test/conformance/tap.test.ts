/**
 * The suite on TAP interfaces.
 *
 * ```
 * suite ── plug ── /dev/net/tun │ tap0 ── packet socket ── suite
 *                               │ in a namespace
 * ```
 */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openNamespace } from '../../src/namespace/namespace.ts';
import { original, waitFor } from '../interop/harness.ts';
import type { FarEnd, Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';

const fixture = join(import.meta.dirname, '..', 'fixtures', 'packet-socket.js');

/** Takes the fixture's output apart; the first frame, an empty one, says that it listens. */
function framesOf(child: ChildProcess): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let rest: Buffer = Buffer.alloc(0);
  child.stdout!.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0);
      frames.push(new Uint8Array(rest.subarray(4, end)));
      rest = rest.subarray(end);
    }
  });
  return frames;
}

async function open(t: TestContext): Promise<Line> {
  const namespace = await openNamespace({ interfaces: [{ name: 'tap0' }], up: true });
  const { plug } = namespace.interfaces[0]!;
  const links = await namespace.rtnetlink.links();
  const index = links.find(({ name }) => name === 'tap0')!.index;
  const child = namespace.run([process.execPath, fixture, String(index)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const frames = framesOf(child.process);
  await waitFor(() => frames.length > 0, 5000, 'the packet socket');
  frames.length = 0;
  const closePlug = plug.close.bind(plug);
  // The namespace closes the plug, too.
  plug.close = async () => {
    plug.close = closePlug;
    await closePlug();
    await namespace.close();
    for (const stream of child.process.stdio) stream?.destroy();
  };
  t.after(() => plug.close());
  const far: FarEnd = {
    take: () => frames.splice(0),
    send: (sent) => {
      for (const frame of sent) {
        const header = Buffer.alloc(4);
        header.writeUInt32BE(frame.length);
        child.process.stdin!.write(Buffer.concat([header, frame]));
      }
    },
    stopReading() {},
    startReading() {},
    leave: async () => {
      await namespace.run([original('ip')!, 'link', 'delete', 'tap0']).exit;
    },
  };
  return { plug, far };
}

const taken = 'the kernel takes a frame at once, or drops it';

const tap: PlugKind = {
  name: 'a TAP interface',
  burst: 50,
  hasOtherTraffic: true,
  cycles: 8,
  skips: [
    { name: 'drain', reason: taken },
    { name: 'stall', reason: taken },
  ],
  open,
};

describePlug(tap, original('ip') === undefined && 'not installed: ip');
