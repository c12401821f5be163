/** The reader of a ring: it can always be ended, takes small pieces, and believes nothing that others write there. */
import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { test } from 'node:test';
import { interfaceDescription, interfaceStatistics } from '../../../src/capture/pcapng.ts';
import { RingReader } from '../../../src/capture/ring-reader.ts';
import { VdensError } from '../../../src/errors.ts';
import { CaptureRing } from '../../../src/plugs/capture-ring.ts';

const MEBIBYTE = 1_048_576;
/** Where things are in the memory of a ring (native/io/capture_ring.h). */
const WRITE_AT = 72;
const READ_AT = 136;
const COUNTS_AT = 192;
const DATA_AT = 16_384;
const FRAME_BYTES = 1000;
const BLOCK_BYTES = FRAME_BYTES + 32;
/** Ends what would never end. */
const OPTIONS = { timeout: 30_000 };

/** A frame of the interface. */
function frame(index = 0): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [at, value] of [
    [0, 6],
    [4, BLOCK_BYTES],
    [8, index],
    [20, FRAME_BYTES],
    [24, FRAME_BYTES],
    [BLOCK_BYTES - 4, BLOCK_BYTES],
  ] as const)
    view.setUint32(at, value, true);
  return bytes;
}

/** A ring with an interface in it, and who reads it. */
function open(bytes = 4 * MEBIBYTE): { readonly ring: CaptureRing; readonly reader: RingReader } {
  const ring = CaptureRing.make(bytes, 'stream');
  assert.ok(typeof ring !== 'number');
  ring.write(interfaceDescription({ name: 'vde0', description: 'lan' }, FRAME_BYTES, 'Linux'));
  return { ring, reader: new RingReader(ring) };
}

/** Takes all that the reader has. */
async function run(reader: RingReader, take: (blocks: Uint8Array) => void = () => undefined): Promise<void> {
  for await (const blocks of reader.blocks()) take(blocks);
}

/** Writes nonsense into the memory of a ring. */
function scribble({ memory }: CaptureRing, at: number, value: bigint): void {
  writeSync(memory, new BigUint64Array([value]), 0, 8, at);
}

function fill(ring: CaptureRing): number {
  let frames = 0;
  while (ring.write(frame())) frames++;
  return frames;
}

test('it ends while more comes than is taken, and others have their turn meanwhile', OPTIONS, async () => {
  const { ring, reader } = open(MEBIBYTE);
  fill(ring);
  let pieces = 0;
  setTimeout(() => reader.end(), 1);
  await run(reader, () => {
    pieces++;
    // What was taken before has made room.
    ring.write(frame());
    fill(ring);
  });
  assert.ok(pieces > 0);
});

test('what is there when it is ended is taken, and nothing after it', OPTIONS, async () => {
  const { ring, reader } = open();
  for (let frames = 0; frames < 3; frames++) ring.write(frame());
  reader.end();
  ring.write(frame());
  await run(reader);
  assert.deepEqual(reader.counts, { recorded: 3, leftOut: 0, unread: 0 });
});

test('pieces are whole blocks, and small', OPTIONS, async () => {
  const { ring, reader } = open(16 * MEBIBYTE);
  const frames = fill(ring);
  reader.end();
  const sizes: number[] = [];
  await run(reader, (blocks) => void sizes.push(blocks.length));
  assert.ok(Math.max(...sizes) <= MEBIBYTE && Math.min(...sizes.slice(0, -1)) > MEBIBYTE - BLOCK_BYTES);
  assert.equal(reader.counts.recorded, frames);
});

test('frames are counted when they have been written', OPTIONS, async () => {
  const { ring, reader } = open();
  const frames = fill(ring);
  reader.end();
  const sizes: number[] = [];
  const full = new VdensError('ERR_PATH', 'the disk is full');
  const take = ({ length }: Uint8Array): void => {
    if (sizes.length === 2) throw full;
    sizes.push(length);
  };
  await assert.rejects(run(reader, take), full);
  const written = sizes.reduce((sum, length) => sum + Math.floor(length / BLOCK_BYTES), 0);
  assert.ok(written > 0 && written < frames);
  assert.equal(reader.counts.recorded, written);
});

const NONSENSE: readonly (readonly [string, (ring: CaptureRing) => void])[] = [
  ['more waits than there is room for', (ring) => scribble(ring, WRITE_AT, 0x7000_0000_0000_0000n)],
  ['the end lies before the begin', (ring) => scribble(ring, READ_AT, 1n << 40n)],
  ['somebody else has read', (ring) => ring.consume(BLOCK_BYTES)],
  ['a block has no length', (ring) => scribble(ring, DATA_AT, 6n)],
  ['a block is of no kind that is recorded', (ring) => scribble(ring, DATA_AT, 0xbadn | (100n << 32n))],
  ['the last block is half there', (ring) => scribble(ring, WRITE_AT, BigInt(ring.extent.end - 8))],
  ['an interface was not described', (ring) => void ring.write(frame(1))],
  ['statistics are of no interface', (ring) => void ring.write(interfaceStatistics(7, NO_STATISTICS))],
  ['a frame is longer than its block', (ring) => void ring.write(longFrame())],
  ['the second length of a block is another', (ring) => void ring.write(frame().fill(0, BLOCK_BYTES - 4))],
];
const NO_STATISTICS = { startNs: 0n, endNs: 0n, received: 0, dropped: 0, leftOut: 0, comments: [] };

function longFrame(): Uint8Array {
  const bytes = frame();
  new DataView(bytes.buffer).setUint32(20, FRAME_BYTES + 4, true);
  return bytes;
}

for (const [what, write] of NONSENSE) {
  test(`nonsense in the ring ends it: ${what}`, OPTIONS, async () => {
    const { ring, reader } = open();
    for (let frames = 0; frames < 3; frames++) ring.write(frame());
    write(ring);
    reader.end();
    await assert.rejects(
      run(reader),
      (error: unknown) => error instanceof VdensError && /holds something that is no block/.test(error.message),
    );
    assert.ok(reader.counts.recorded <= 3 && reader.counts.leftOut === 0 && reader.counts.unread === 0);
  });
}

test('random bytes in the header do not keep it from ending', OPTIONS, async () => {
  for (let round = 0; round < 40; round++) {
    const { ring, reader } = open(MEBIBYTE);
    fill(ring);
    const bytes = Uint8Array.from({ length: 256 - 64 }, () => Math.floor(256 * Math.random()));
    writeSync(ring.memory, bytes, 0, bytes.length, 64);
    setTimeout(() => reader.end(), 1);
    await run(reader).catch((error: unknown) => assert.ok(error instanceof VdensError));
    const { recorded, leftOut, unread } = reader.counts;
    for (const count of [recorded, leftOut, unread]) assert.ok(Number.isSafeInteger(count) && count < 1e15);
  }
});

test('counts that cannot be are none', OPTIONS, async () => {
  const { ring, reader } = open();
  ring.write(frame());
  scribble(ring, COUNTS_AT, 1n << 63n);
  scribble(ring, COUNTS_AT + 8, 1n << 63n);
  reader.end();
  await run(reader);
  assert.deepEqual(reader.counts, { recorded: 1, leftOut: 0, unread: 0 });
});
