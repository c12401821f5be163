/** The stream framing on real pipes, in whatever pieces it comes and goes. */
import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { batchOf } from '../../../src/frames/batch.ts';
import { StreamPlug } from '../../../src/plugs/stream.ts';
import { native } from '../../../src/system/native.ts';
import { encodeStream, StreamDecoder } from '../../conformance/stream-framing.ts';
import { pattern } from '../frames/arbitrary-frames.ts';

interface Ends {
  readonly plug: StreamPlug;
  readonly write: (bytes: Uint8Array) => void;
  readonly read: (bytes: number) => Uint8Array;
  readonly arrived: Uint8Array[];
  close(): Promise<void>;
}

function open(onFrame: (plug: StreamPlug) => void = () => undefined): Ends {
  const [toPlug, fromPlug] = [new Int32Array(2), new Int32Array(2)];
  native.openPipe(toPlug);
  native.openPipe(fromPlug);
  native.setNonBlocking(fromPlug[0]!);
  const plug = new StreamPlug('stream', toPlug[0]!, fromPlug[1]!);
  const arrived: Uint8Array[] = [];
  plug.start((batch) => {
    for (let i = 0; i < batch.count; i++) arrived.push(batch.frame(i).slice());
    onFrame(plug);
  });
  return {
    plug,
    arrived,
    write: (bytes) => void writeSync(toPlug[1]!, bytes),
    read: (bytes) => {
      const buffer = new Uint8Array(bytes);
      return buffer.subarray(0, Math.max(0, native.readInto(fromPlug[0]!, buffer, 0)));
    },
    close: async () => {
      await plug.close();
      native.closeDescriptor(toPlug[1]!);
      native.closeDescriptor(fromPlug[0]!);
    },
  };
}

const frames = fc.array(
  fc
    .tuple(fc.oneof(fc.integer({ min: 14, max: 200 }), fc.integer({ min: 14, max: 9234 })), fc.integer())
    .map(([length, seed]) => pattern(length, seed)),
  { maxLength: 40 },
);

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !condition(); i++) await sleep(1);
}

test('reads frames from a stream that is cut anywhere, headers included', async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1 }), async (sent, cuts) => {
      const ends = open();
      const bytes = encodeStream(sent);
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = at + cuts[i % cuts.length]!;
        ends.write(bytes.subarray(at, end));
        at = end;
        if (i % 4 === 0) await sleep(0);
      }
      await until(() => ends.arrived.length >= sent.length);
      await ends.close();
      assert.deepEqual(ends.arrived, sent);
    }),
    { numRuns: 40 },
  );
});

test('writes frames so that a reader of any speed gets them whole, in order, each once', async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.integer({ min: 500, max: 20_000 }), { minLength: 1 }), async (sent, reads) => {
      const ends = open();
      const decoder = new StreamDecoder();
      const got: Uint8Array[] = [];
      ends.plug.send(batchOf(sent));
      for (let i = 0; i < 2000 && got.length < sent.length; i++) {
        got.push(...decoder.decode(ends.read(reads[i % reads.length]!)));
        if (i % 3 === 0) await sleep(0);
      }
      const { drops } = ends.plug.counters.sent;
      await ends.close();
      assert.deepEqual(drops, {});
      assert.deepEqual(got, sent);
    }),
    { numRuns: 40 },
  );
});

test('a frame longer than a pipe takes at once arrives whole after a pause of the reader', async () => {
  const ends = open();
  // Fills the pipe's 64 KiB; the last frame finds room for a part of itself.
  const sent = Array.from({ length: 12 }, (_, i) => pattern(9000, i));
  ends.plug.send(batchOf(sent));
  assert.equal(ends.plug.busy, true);
  await until(() => (ends.plug.counters.sent.drops['peer-slow'] ?? 0) > 0);
  const decoder = new StreamDecoder();
  const got: Uint8Array[] = [];
  const marker = pattern(100, 99);
  ends.plug.send(batchOf([marker]));
  await until(() => {
    got.push(...decoder.decode(ends.read(65_536)));
    return got.at(-1)?.length === marker.length;
  });
  await ends.close();
  assert.deepEqual(got.at(-1), marker, 'the stream is still in step');
  assert.deepEqual(got.slice(0, -1), sent.slice(0, got.length - 1));
});

test('zero lengths are skipped, short frames dropped, a length out of range costs what came with it', async () => {
  const ends = open();
  const good = pattern(60, 1);
  ends.write(Buffer.concat([Buffer.of(0, 0), encodeStream([pattern(13, 2)]), encodeStream([good])]));
  await until(() => ends.arrived.length === 1);
  ends.write(Buffer.concat([Buffer.of(9237 >> 8, 9237 & 0xff), encodeStream([good])]));
  await sleep(20);
  ends.write(encodeStream([good]));
  await until(() => ends.arrived.length === 2);
  await ends.close();
  assert.deepEqual(ends.arrived, [good, good]);
  assert.deepEqual(ends.plug.counters.received.drops, { 'too-short': 1, malformed: 1 });
});

test('a pause in the middle of what was read keeps the rest, for later and in order', async () => {
  const ends = open((plug) => plug.pause());
  const sent = Array.from({ length: 1000 }, (_, i) => pattern(14 + (i % 40), i));
  ends.write(encodeStream(sent));
  await until(() => ends.arrived.length > 0);
  await sleep(20);
  const first = ends.arrived.length;
  assert.ok(first < sent.length, 'not everything at once');
  await until(() => {
    ends.plug.resume();
    return ends.arrived.length >= sent.length;
  });
  await ends.close();
  assert.deepEqual(ends.arrived, sent);
});

test('a header of nothing but bytes in range never stops the reader', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (garbage) => {
      const ends = open();
      ends.write(garbage);
      await sleep(1);
      await ends.close();
      assert.ok(ends.arrived.every((frame) => frame.length >= 14));
    }),
    { numRuns: 30 },
  );
});
