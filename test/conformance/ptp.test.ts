/** The suite on `ptp://`: as the one who waits and the one who comes, with both protocols at the other end. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PtpPlug } from '../../src/plugs/ptp.ts';
import { errnoName, native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_SEQPACKET, unixAddress } from '../../src/system/unix-address.ts';
import { NewestPtp, type OriginalPtp, PackagedPtp } from '../fixtures/original-ptp.ts';
import { makeTemporaryDirectory, waitFor } from '../interop/harness.ts';
import type { Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';

/** A line of the suite out of a plug and what is at its other end. */
function lineOf(t: TestContext, plug: PtpPlug, original: OriginalPtp): Line {
  let isReading = true;
  const close = plug.close.bind(plug);
  plug.close = async () => {
    await close();
    original.close();
  };
  t.after(() => plug.close());
  const far = {
    take: () => (isReading ? original.take() : []),
    send: (frames: readonly Uint8Array[]) => void original.send(frames),
    stopReading: () => {
      isReading = false;
    },
    startReading: () => {
      isReading = true;
    },
    leave: () => original.close(),
  };
  return { plug, far };
}

/** One of our kind that comes second, by hand: it connects where we listen for our own. */
async function connectAsOurs(path: string): Promise<OriginalPtp> {
  const fd = native.openSocket(AF_UNIX, SOCK_SEQPACKET, 0);
  const failure = native.connectSocket(fd, unixAddress(`${path}.vdens`));
  assert.equal(failure, 0, failure < 0 ? errnoName(failure) : '');
  const buffer = new Uint8Array(65_600);
  await waitFor(() => native.receive(fd, buffer) === 1 && buffer[0] === 0, 2000, 'the byte that lets us in');
  let isOpen = true;
  const take = (): Uint8Array[] => {
    const frames: Uint8Array[] = [];
    for (let length = 1; isOpen && length > 0; ) {
      length = native.receive(fd, buffer);
      if (length > 0) frames.push(buffer.slice(0, length));
    }
    return frames;
  };
  return {
    take,
    send: (frames) => frames.filter((frame) => isOpen && native.send(fd, frame) >= 0).length,
    close: () => {
      if (isOpen) native.closeDescriptor(fd);
      isOpen = false;
    },
  };
}

/** How many frames of up to 9234 bytes the buffer of a connected unix socket holds. */
const SOCKET_BURST = 8;

const waiting: PlugKind = {
  name: 'ptp://, the end that waits for one of our own',
  burst: SOCKET_BURST,
  longestBytes: 9234,
  async open(t) {
    const path = join(makeTemporaryDirectory(t), 'line');
    const plug = await PtpPlug.open('ptp', path);
    return lineOf(t, plug, await connectAsOurs(path));
  },
};

const connecting: PlugKind = {
  name: 'ptp://, the end that joins an original of the newest kind',
  burst: SOCKET_BURST,
  longestBytes: 9234,
  async open(t) {
    const path = join(makeTemporaryDirectory(t), 'line');
    const original = await NewestPtp.open(path);
    return lineOf(t, await PtpPlug.open('ptp', path), original);
  },
};

const datagram: PlugKind = {
  name: 'ptp://, the end that joins a packaged original',
  // The kernel's queue of a datagram socket that is not connected back (net.unix.max_dgram_qlen).
  burst: 10,
  longestBytes: 9234,
  async open(t) {
    const path = join(makeTemporaryDirectory(t), 'line');
    const original = new PackagedPtp(path);
    return lineOf(t, await PtpPlug.open('ptp', path), original);
  },
};

describePlug(waiting);
describePlug(connecting);
describePlug(datagram);
