/**
 * Which share of the frames comes in time: `delay-probe.js A B MS` sends frames into switch A, which come out of switch B
 * so many milliseconds later, and prints how many of them are within one millisecond of that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { batchOf } from '../src/frames/batch.ts';
import { openPlug } from '../src/index.ts';

const FRAMES = 400;
const INTERVAL_MS = 5;
const TOLERANCE_MS = 1;
const FRAME_BYTES = 200;
const NUMBER_AT = 14;
const SETTLE_MS = 1000;
const LONGEST_WAIT_MS = 20_000;

const [pathA = '', pathB = '', wanted = ''] = process.argv.slice(2);
const wantedMs = Number(wanted);
const [from, to] = [await openPlug(pathA), await openPlug(pathB)];
const sentAt: number[] = [];
const delays: number[] = [];
let isThere = false;

to.start((batch) => {
  const now = performance.now();
  for (let i = 0; i < batch.count; i++) {
    const frame = batch.frame(i);
    if (frame.length !== FRAME_BYTES) continue;
    const number = new DataView(frame.buffer, frame.byteOffset).getUint32(NUMBER_AT);
    if (number === 0) isThere = true;
    else delays.push(now - sentAt[number]!);
  }
});
from.start(() => undefined);

function send(number: number): void {
  const frame = new Uint8Array(FRAME_BYTES).fill(0xff, 0, 6);
  frame[6] = 2;
  frame[12] = 8;
  new DataView(frame.buffer).setUint32(NUMBER_AT, number);
  sentAt[number] = performance.now();
  from.send(batchOf([frame]));
}

const startedAt = performance.now();
while (!isThere && performance.now() - startedAt < LONGEST_WAIT_MS) {
  send(0);
  await sleep(50);
}
// What is loaded at the start, on both sides, is no delay of frames.
await sleep(SETTLE_MS);
for (let number = 1; number <= FRAMES; number++) {
  send(number);
  await sleep(INTERVAL_MS);
}
await sleep(10 * wantedMs);
const inTime = delays.filter((delay) => Math.abs(delay - wantedMs) <= TOLERANCE_MS).length;
console.log(`${(100 * inTime) / FRAMES} % within ${TOLERANCE_MS} ms`);
await Promise.all([from.close(), to.close()]);
