/**
 * The suite on networks over UDP, on the loopback interface: with the other end by hand, with one of ours that is
 * joined to a socket by a cable, and at a port of a switch.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { cable, createSwitch, openPlug, type Plug } from '../../src/index.ts';
import { headerOf } from '../../src/overlay/vxlan.ts';
import { SocketEnd } from '../fixtures/socket-end.ts';
import { freePort, loopback, NO_HEADER, UdpHand } from '../fixtures/udp-hand.ts';
import type { CaseName, FarEnd, Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';

type Skip = { readonly name: CaseName; readonly reason: string };

const VNI = 77;
const header = headerOf(VNI);
/** How many frames of up to 9234 bytes the buffers of both ends hold, where the system gives the usual 208 KiB. */
const BURST = 16;

const lossy = 'UDP does not tell a sender that the receiver takes nothing: the kernel drops what does not fit';
const pushesNoBack: readonly Skip[] = [
  { name: 'drain', reason: lossy },
  { name: 'stall', reason: lossy },
];
const nobodyLeaves: Skip = { name: 'down', reason: 'UDP does not tell that nobody listens any more' };
const leavesOffload: Skip = { name: 'no-frames', reason: 'a switch leaves offload headers to who reads them' };

/** A scheme, the locator of one end of a line between two ports, and what is before each frame. */
interface Scheme {
  readonly name: string;
  readonly header: Uint8Array;
  locator(family: 4 | 6, port: number, otherPort: number): string;
}

const schemes = {
  udp: {
    name: 'udp://',
    header: NO_HEADER,
    locator: (family, port, otherPort) => {
      // Without brackets, as the original has it.
      const host = family === 4 ? '127.0.0.1' : '::1';
      return `udp://${host}:${port}->${host}:${otherPort}`;
    },
  },
  vxvde: {
    name: 'vxvde://',
    header,
    locator: (family, port, otherPort) =>
      `vxvde:///peer=${loopback(family)}:${otherPort}/port=${port}/bind=${bare(family)}/vni=${VNI}`,
  },
  vxlan: {
    name: 'vxlan://',
    header,
    locator: (family, port, otherPort) =>
      `vxlan:///peer=${loopback(family)}:${otherPort}/port=${port}/bind=${bare(family)}/vni=${VNI}`,
  },
} as const satisfies Record<string, Scheme>;

function bare(family: 4 | 6): string {
  return family === 4 ? '127.0.0.1' : '::1';
}

/** Opens a plug with the kernel's help for runs of packets, or without. */
async function open(locator: string, offload: boolean): Promise<Plug> {
  const before = process.env['VDENS_OFFLOAD'];
  if (!offload) process.env['VDENS_OFFLOAD'] = '0';
  try {
    return await openPlug(locator);
  } finally {
    if (before === undefined) delete process.env['VDENS_OFFLOAD'];
    else process.env['VDENS_OFFLOAD'] = before;
  }
}

/** Closing the plug closes the rest of the line as well. */
function lineOf(t: TestContext, plug: Plug, far: FarEnd, close: () => void | Promise<void>): Line {
  const closePlug = plug.close.bind(plug);
  plug.close = async () => {
    await closePlug();
    await close();
  };
  t.after(() => plug.close());
  return { plug, far };
}

/** Frames that nobody takes stay in the socket, as long as there is room. */
function farEnd(
  end: { take(): Uint8Array[]; send(frames: readonly Uint8Array[]): void },
  leave: () => unknown,
): FarEnd {
  let isReading = true;
  return {
    take: () => (isReading ? end.take() : []),
    send: (frames) => end.send(frames),
    stopReading: () => {
      isReading = false;
    },
    startReading: () => {
      isReading = true;
    },
    leave: () => void leave(),
  };
}

/** suite ── plug ══ UDP ══ by hand */
function byHand(scheme: Scheme, family: 4 | 6, offload: boolean): PlugKind {
  return {
    name: `${scheme.name} over IPv${family}${offload ? '' : ', packet by packet'}`,
    burst: BURST,
    longestBytes: 9234,
    skips: [...pushesNoBack, nobodyLeaves],
    async open(t) {
      const hand = new UdpHand({ family, header: scheme.header });
      const port = freePort(family);
      const plug = await open(scheme.locator(family, port, hand.port), offload);
      hand.connect(port);
      return lineOf(
        t,
        plug,
        farEnd(hand, () => hand.close()),
        () => hand.close(),
      );
    },
  };
}

/** How many frames of up to 9234 bytes the buffer of a connected unix socket holds. */
const SOCKET_BURST = 8;

/** suite ── plug ══ UDP ══ plug ── cable ── SocketPlug ══ by hand */
function overCable(scheme: Scheme, line: boolean): PlugKind {
  return {
    name: `${scheme.name}, the other end joined to a socket ${line ? 'by a line' : 'in JavaScript'}`,
    burst: SOCKET_BURST,
    longestBytes: 9234,
    skips: [...pushesNoBack, nobodyLeaves],
    async open(t) {
      const [here, there] = [freePort(), freePort()];
      const plug = await open(scheme.locator(4, here, there), true);
      const other = await open(scheme.locator(4, there, here), true);
      const end = new SocketEnd('seqpacket', 65_535);
      cable(other, end.plug, {}, { line });
      const send = (frames: readonly Uint8Array[]): void => {
        for (const frame of frames) end.send(frame);
      };
      const far = farEnd({ take: () => end.take(), send }, () => end.close());
      return lineOf(t, plug, far, async () => {
        await other.close();
        await end[Symbol.asyncDispose]();
      });
    },
  };
}

/** suite ── port ── switch ── plug ══ UDP ══ by hand */
function atSwitch(scheme: Scheme): PlugKind {
  return {
    name: `a port, with ${scheme.name} at another`,
    burst: BURST,
    longestBytes: 9234,
    skips: [...pushesNoBack, leavesOffload],
    async open(t) {
      const lan = createSwitch();
      const hand = new UdpHand({ header: scheme.header });
      const port = freePort();
      const plug = await open(scheme.locator(4, port, hand.port), true);
      lan.attach(plug);
      assert.equal(lan.ports[0]!.kind, 'tunnel', 'no frame passes JavaScript');
      hand.connect(port);
      return lineOf(
        t,
        lan.port(),
        farEnd(hand, () => lan.close()),
        async () => {
          await lan.close();
          await plug.close();
          hand.close();
        },
      );
    },
  };
}

const { udp, vxvde, vxlan } = schemes;
for (const scheme of [udp, vxvde]) for (const offload of [true, false]) describePlug(byHand(scheme, 4, offload));
for (const scheme of [udp, vxvde, vxlan]) describePlug(byHand(scheme, 6, true));
for (const scheme of [udp, vxvde]) for (const line of [true, false]) describePlug(overCable(scheme, line));
for (const scheme of [udp, vxlan]) describePlug(atSwitch(scheme));
