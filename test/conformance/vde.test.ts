/** The suite on `vde://`: with a switch in this process, by the book, and with the original switch. */
import { after, type TestContext } from 'node:test';
import { VdePlug } from '../../src/plugs/vde.ts';
import { FakeSwitch } from '../fixtures/fake-switch.ts';
import { type Owner, original, waitFor } from '../interop/harness.ts';
import { type OriginalSwitch, startSwitch } from '../interop/original-switch.ts';
import { type StreamClient, startStreamClient } from '../interop/stream-client.ts';
import type { Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';

const description = 'conformance';

const byTheBook: PlugKind = {
  name: 'vde://, a switch by the book',
  // The kernel's queue of a datagram socket (net.unix.max_dgram_qlen).
  burst: 10,
  async open(t) {
    const fake = await FakeSwitch.start();
    let isReading = true;
    const plug = await VdePlug.open('vde', { directory: fake.path, description });
    const close = plug.close.bind(plug);
    plug.close = async () => {
      await close();
      await fake.close();
    };
    t.after(() => plug.close());
    const far = {
      take: () => (isReading ? fake.take() : []),
      send: (frames: readonly Uint8Array[]) => void fake.send(frames),
      stopReading: () => {
        isReading = false;
      },
      startReading: () => {
        isReading = true;
      },
      leave: () => fake.close(),
    };
    return { plug, far };
  },
};

describePlug(byTheBook);

/** One original switch and one original client for the whole file. */
const releases: (() => void | Promise<void>)[] = [];
const file: Owner = { after: (release) => void releases.unshift(release) };
let lan: OriginalSwitch | undefined;
let client: StreamClient | undefined;

after(async () => {
  for (const release of releases) await release();
});

async function startBoth(): Promise<void> {
  if (lan === undefined) lan = await startSwitch(file);
  else await lan.restart();
  client = await startStreamClient(file, [original('vde_plug')!, lan.path]);
  await waitFor(async () => /vde/i.test(await lan!.command('port/print')), 5000, 'the port of vde_plug');
}

async function openOnOriginal(t: TestContext): Promise<Line> {
  if (client === undefined || client.hasExited()) await startBoth();
  const running = lan!;
  const other = client!;
  const plug = await VdePlug.open('vde', { directory: running.path, description });
  t.after(async () => {
    await plug.close();
    if (!other.hasExited()) process.kill(running.pid, 'SIGCONT');
  });
  other.take();
  const far = {
    take: other.take,
    send: other.send,
    stopReading: () => void process.kill(running.pid, 'SIGSTOP'),
    startReading: () => void process.kill(running.pid, 'SIGCONT'),
    leave: async () => {
      await running.kill();
      await other.waitForExit();
    },
  };
  return { plug, far };
}

const withOriginal: PlugKind = {
  name: 'vde://, the original switch',
  burst: 5,
  isLossy: true,
  skips: [{ name: 'drain', reason: 'the original switch drops what its other clients do not take at once' }],
  open: openOnOriginal,
};
const missing = ['vde_switch', 'vde_plug'].filter((name) => original(name) === undefined);

describePlug(withOriginal, missing.length > 0 && `not installed: ${missing.join(', ')}`);
