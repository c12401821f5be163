/**
 * A long cable: `node delay-line.js NETWORK NETWORK MILLISECONDS` joins two networks, and every frame takes so long,
 * each way. Says `delaying` when it does.
 */
import { SLOT_WORDS } from '../src/frames/batch.ts';
import { FrameBatch, openPlug, type Plug } from '../src/index.ts';

/** More than what is on its way at 2 Gbit/s and 200 ms is dropped. */
const MAX_BYTES = 64 * 1024 * 1024;

const [left = '', right = '', milliseconds = '0'] = process.argv.slice(2);
const delayMs = Number(milliseconds);

const plugs = [await openPlug(left), await openPlug(right)] as const;
carry(plugs[0], plugs[1]);
carry(plugs[1], plugs[0]);
console.log('delaying');

function carry(from: Plug, to: Plug): void {
  const queue: { readonly batch: FrameBatch; readonly bytes: number; readonly at: number }[] = [];
  let bytes = 0;
  const deliver = (): void => {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      const wait = first.at - performance.now();
      if (wait > 0) {
        setTimeout(deliver, Math.max(1, wait));
        return;
      }
      queue.shift();
      bytes -= first.bytes;
      to.send(first.batch);
    }
  };
  from.start((batch) => {
    const copy = copyOf(batch);
    const size = copy.arena.length;
    if (bytes + size > MAX_BYTES) return;
    bytes += size;
    queue.push({ batch: copy, bytes: size, at: performance.now() + delayMs });
    if (queue.length === 1) setTimeout(deliver, delayMs);
  });
}

/** The frames, super-frames as they are, laid end to end. */
function copyOf(batch: FrameBatch): FrameBatch {
  let size = 0;
  for (let index = 0; index < batch.count; index++) size += batch.frameLength(index);
  const copy = new FrameBatch(new Uint8Array(size), batch.count);
  copy.slots.set(batch.slots.subarray(0, batch.count * SLOT_WORDS));
  copy.count = batch.count;
  let offset = 0;
  for (let index = 0; index < batch.count; index++) {
    copy.arena.set(batch.frame(index), offset);
    copy.slots[index * SLOT_WORDS] = offset;
    offset += batch.frameLength(index);
  }
  return copy;
}
