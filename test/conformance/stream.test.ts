/** The suite on a byte stream over two pipes, whose other ends are read and written by hand. */
import { setTimeout as sleep } from 'node:timers/promises';
import { StreamPlug } from '../../src/plugs/stream.ts';
import { native } from '../../src/system/native.ts';
import type { FarEnd, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';
import { encodeStream, StreamDecoder } from './stream-framing.ts';

function openPipe(): [read: number, write: number] {
  const ends = new Int32Array(2);
  native.openPipe(ends);
  return [ends[0]!, ends[1]!];
}

/** Ends of pipes with nobody to wait for: what does not fit is written by and by. */
function farEnd(input: number, output: number): FarEnd & { close(): void } {
  const decoder = new StreamDecoder();
  const buffer = new Uint8Array(65_536);
  const open = new Set([input, output]);
  native.setNonBlocking(input);
  native.setNonBlocking(output);
  let isReading = true;
  const close = (fd: number): void => {
    if (open.delete(fd)) native.closeDescriptor(fd);
  };
  return {
    take: () => {
      const length = isReading && open.has(input) ? native.readInto(input, buffer, 0) : 0;
      return length > 0 ? decoder.decode(buffer.subarray(0, length)) : [];
    },
    send: (frames) => void writeAll(output, encodeStream(frames)),
    stopReading: () => {
      isReading = false;
    },
    startReading: () => {
      isReading = true;
    },
    leave: () => close(output),
    close: () => open.forEach(close),
  };
}

async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  const { writeSync } = await import('node:fs');
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return; // The plug was closed.
      await sleep(1);
    }
  }
}

const stream: PlugKind = {
  name: 'a byte stream over two pipes',
  burst: 100,
  longestBytes: 9234,
  async open(t) {
    const [input, farOutput] = openPipe();
    const [farInput, output] = openPipe();
    const plug = new StreamPlug('stream', input, output);
    const far = farEnd(farInput, farOutput);
    t.after(() => plug.close());
    const close = plug.close.bind(plug);
    plug.close = async () => {
      await close();
      far.close();
    };
    return { plug, far };
  },
};

describePlug(stream);
