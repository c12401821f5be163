/** The suite on a serial line: a pseudo-terminal, whose other end of the cable is read and written by hand. */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { after, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSerialLine } from '../../src/plugs/serial.ts';
import { compilePtyPair, openPtyPair } from '../fixtures/pty-pair.ts';
import type { Owner } from '../interop/harness.ts';
import type { FarEnd, Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';
import { encodeStream, StreamDecoder } from './stream-framing.ts';

const releases: (() => void | Promise<void>)[] = [];
const file: Owner = { after: (release) => void releases.unshift(release) };
compilePtyPair(file);
after(async () => {
  for (const release of releases) await release();
});

/** What has no room is written by and by. */
async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return; // The line is gone.
      await sleep(1);
    }
  }
}

function farEnd(fd: number, leave: () => Promise<void>): FarEnd {
  const decoder = new StreamDecoder();
  const buffer = new Uint8Array(65_536);
  let isReading = true;
  const take = (): Uint8Array[] => {
    try {
      return isReading ? decoder.decode(buffer.slice(0, readSync(fd, buffer))) : [];
    } catch {
      return []; // Nothing there, or nobody.
    }
  };
  return {
    take,
    send: (frames) => void writeAll(fd, encodeStream(frames)),
    stopReading: () => {
      isReading = false;
    },
    startReading: () => {
      isReading = true;
    },
    leave,
  };
}

async function open(t: TestContext): Promise<Line> {
  const line = await openPtyPair(t);
  const fd = openSync(line.b, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const plug = openSerialLine(`vdesl://${line.a}`, line.a, 4_000_000);
  const close = plug.close.bind(plug);
  plug.close = async () => {
    plug.close = close;
    await close();
    closeSync(fd);
    await line.hangUp();
  };
  t.after(() => plug.close());
  return { plug, far: farEnd(fd, line.hangUp) };
}

const serial: PlugKind = {
  name: 'a serial line',
  burst: 50,
  longestBytes: 9234,
  cycles: 8,
  skips: [{ name: 'stall', reason: 'the cable itself has room for some more, and takes it when it likes' }],
  open,
  hasMover: true,
};

describePlug(serial);
