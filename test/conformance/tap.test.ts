/**
 * The suite on TAP interfaces.
 *
 * ```
 * suite ── plug ── /dev/net/tun │ tap0 ── packet socket ── suite
 *                               │ in a namespace
 * ```
 */
import type { TestContext } from 'node:test';
import { openTapHost } from '../fixtures/tap-host.ts';
import { original } from '../interop/harness.ts';
import type { Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';

async function open(t: TestContext): Promise<Line> {
  const { plug, far, close } = await openTapHost();
  const closePlug = plug.close.bind(plug);
  // The namespace closes the plug, too.
  plug.close = async () => {
    plug.close = closePlug;
    await close();
  };
  t.after(() => plug.close());
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
