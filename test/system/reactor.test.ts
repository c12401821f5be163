/** The reactor and Node's event loop: each waits for the other's descriptors, and neither spins. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../../src/system/native.ts';
import { READABLE, Watch } from '../../src/system/reactor.ts';

test('a quiet event loop uses no processor time, while something is watched and after the last watch ended', async () => {
  const [reader, writer] = pipe();
  const quiet = async (): Promise<number> => {
    const before = process.cpuUsage();
    await sleep(500);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  const watch = new Watch(reader, READABLE, () => true);
  const watching = await quiet();
  // Ended from within a handler: the reactor is serving at that moment.
  const ended = new Promise<void>((resolve) => {
    const other = pipe();
    const last = new Watch(other[0], READABLE, () => {
      last.end();
      watch.end();
      resolve();
    });
    native.closeDescriptor(other[1]);
  });
  await ended;
  const afterwards = await quiet();
  native.closeDescriptor(reader);
  native.closeDescriptor(writer);
  assert.ok(watching < 100, `watching took ${watching} ms of processor time in 500 ms`);
  assert.ok(afterwards < 100, `watching nothing took ${afterwards} ms of processor time in 500 ms`);
});

test('timers, immediates, promises and a busy descriptor all get their turns', async () => {
  const [reader, writer] = pipe();
  const buffer = new Uint8Array(1);
  let served = 0;
  // Never empty: every byte that is read is written again.
  const watch = new Watch(reader, READABLE, () => {
    native.readInto(reader, buffer, 0);
    served++;
    native.writeFramed(writer, buffer, new Int32Array(5), 0, 1, new Int32Array(1));
    return true;
  });
  native.writeFramed(writer, buffer, new Int32Array(5), 0, 1, new Int32Array(1));
  const start = performance.now();
  await sleep(50);
  const timer = performance.now() - start;
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.resolve();
  watch.end();
  native.closeDescriptor(reader);
  native.closeDescriptor(writer);
  assert.ok(served > 100, `the descriptor was served ${served} times`);
  assert.ok(timer < 500, `a timer of 50 ms took ${timer} ms`);
});

test('a handler that does more than move frames has its promises run before the next event', async () => {
  const [reader, writer] = pipe();
  const order: string[] = [];
  const buffer = new Uint8Array(2);
  await new Promise<void>((resolve) => {
    let events = 0;
    const watch = new Watch(reader, READABLE, () => {
      native.readInto(reader, buffer, 0);
      order.push('event');
      Promise.resolve().then(() => order.push('promise'));
      if (++events === 3) {
        watch.end();
        setImmediate(resolve);
      }
    });
    const slots = new Int32Array(15);
    native.writeFramed(writer, buffer, slots, 0, 3, new Int32Array(1));
  });
  native.closeDescriptor(reader);
  native.closeDescriptor(writer);
  assert.deepEqual(order, ['event', 'promise', 'event', 'promise', 'event', 'promise']);
});

function pipe(): [number, number] {
  const ends = new Int32Array(2);
  assert.equal(native.openPipe(ends), 0);
  return [ends[0]!, ends[1]!];
}
