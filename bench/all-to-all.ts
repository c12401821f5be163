/**
 * Many clients of one switch, all of which talk to all others at once, as much as the switch carries:
 *
 *     client 1 … client 64    each always has some frames on their way, to one after another of the others
 *
 * `node all-to-all.js PATH CLIENTS SECONDS` prints an {@link AllToAllResult} as a line of JSON. A client whose frame
 * arrived sends the next one, so there are always as many on their way. All clients are in this process, whose own
 * pauses count, too: a frame waits from `send` until it was received here.
 */
import { batchOf, openPlug, type Plug } from '../src/index.ts';

/** What became of the frames. */
export interface AllToAllResult {
  readonly frames: number;
  readonly longestWaitMs: number;
  /** What the client that received least received, as a part of the mean. */
  readonly leastShare: number;
  /** Frames that did not arrive within the time that counts as lost. */
  readonly lost: number;
}

const [path = '', countText = '64', secondsText = '3'] = process.argv.slice(2);
const count = Number(countText);
const durationMs = Number(secondsText) * 1000;
/** How many frames of each client are on their way. */
const IN_FLIGHT = 4;
const LOST_MS = 1000;
const FRAME_BYTES = 1514;
/** What is said before counts as warming up: addresses are learned, and code is compiled. */
const WARM_UP_MS = 1000;
const NUMBER_OFFSET = 14;

interface Client {
  readonly plug: Plug;
  readonly mac: readonly number[];
  next: number;
  received: number;
}

/** When each frame on its way was sent, by its number; a number is used again when its frame has arrived. */
const sentAt = new Float64Array(count * IN_FLIGHT);
let longestWaitMs = 0;
let frames = 0;
let lost = 0;
let isCounting = false;
let isOver = false;

const clients: Client[] = [];
for (let index = 0; index < count; index++) {
  const plug = await openPlug(path, { reconnect: false });
  clients.push({ plug, mac: [0x02, 0xa1, 0, 0, 0, index], next: index + 1, received: 0 });
}
for (const client of clients) client.plug.start((batch) => arrived(client, batch));
// Everybody says a word to all first, so that the switch knows where everybody is.
for (const { plug, mac } of clients) plug.send(batchOf([frameOf([255, 255, 255, 255, 255, 255], mac, 0xffffffff)]));
await new Promise((resolve) => setTimeout(resolve, 200));
for (const [index] of clients.entries()) for (let slot = 0; slot < IN_FLIGHT; slot++) send(index * IN_FLIGHT + slot);
const looking = setInterval(() => resendLost(), LOST_MS / 4);
await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
for (const client of clients) client.received = 0;
isCounting = true;
await new Promise((resolve) => setTimeout(resolve, durationMs));
isOver = true;
clearInterval(looking);
const mean = clients.reduce((sum, { received }) => sum + received, 0) / count;
const leastShare = Math.min(...clients.map(({ received }) => received)) / mean;
const result: AllToAllResult = { frames, longestWaitMs, leastShare, lost };
console.log(JSON.stringify(result));
process.exit(0);

/** Sends the frame with this number, whose sender is known by it, to the next of the others. */
function send(number: number): void {
  const sender = clients[Math.floor(number / IN_FLIGHT)]!;
  sender.next = (sender.next + 1) % count;
  if (clients[sender.next] === sender) sender.next = (sender.next + 1) % count;
  sentAt[number] = performance.now();
  sender.plug.send(batchOf([frameOf(clients[sender.next]!.mac, sender.mac, number)]));
}

function arrived(client: Client, batch: Parameters<Plug['send']>[0]): void {
  const now = performance.now();
  for (let index = 0; index < batch.count; index++) {
    const frame = batch.frame(index);
    const number = new DataView(frame.buffer, frame.byteOffset).getUint32(NUMBER_OFFSET);
    if (number >= sentAt.length || frame[5] !== client.mac[5] || isOver) continue;
    const waitedMs = now - sentAt[number]!;
    client.received++;
    if (isCounting) {
      frames++;
      longestWaitMs = Math.max(longestWaitMs, waitedMs);
    }
    send(number);
  }
}

function resendLost(): void {
  const now = performance.now();
  for (let number = 0; number < sentAt.length; number++) {
    if (now - sentAt[number]! < LOST_MS) continue;
    if (isCounting) lost++;
    longestWaitMs = isCounting ? LOST_MS : longestWaitMs;
    send(number);
  }
}

function frameOf(destination: readonly number[], source: readonly number[], number: number): Uint8Array {
  const frame = new Uint8Array(FRAME_BYTES);
  frame.set([...destination, ...source, 0x88, 0xb5]);
  new DataView(frame.buffer).setUint32(NUMBER_OFFSET, number);
  return frame;
}
