/** restart://: what goes away is opened again, whatever it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VdensError } from '../../../src/errors.ts';
import { batchOf } from '../../../src/frames/batch.ts';
import { AgnoPlug } from '../../../src/plugs/agno.ts';
import { MemoryPlug } from '../../../src/plugs/memory.ts';
import type { PlugEvents } from '../../../src/plugs/plug.ts';
import { openRestarting } from '../../../src/plugs/restart.ts';
import { VlanPlug } from '../../../src/plugs/vlan.ts';
import { waitFor } from '../../interop/harness.ts';
import { pattern } from '../frames/arbitrary-frames.ts';

test('opens the whole of what is inside again, and counts on', async (t) => {
  const others: MemoryPlug[] = [];
  let opened = 0;
  const plug = await openRestarting('net', async () => {
    // Not at once, the second time.
    if (++opened === 2) throw new VdensError('ERR_NETWORK_OPEN', 'net: there is no such interface');
    const [near, far] = MemoryPlug.pair();
    others.push(far);
    far.start(() => true);
    return new VlanPlug(near, { untagged: 4 });
  });
  t.after(() => plug.close());
  const events: string[] = [];
  plug.start(() => true, {
    down: (reason) => events.push(`down: ${reason}`),
    up: () => events.push('up'),
    trouble: ({ message }) => events.push(message),
  });
  const frame = pattern(100, 1).fill(0, 12, 14);
  plug.send(batchOf([frame, frame]));
  await others[0]!.close();
  plug.send(batchOf([frame]));
  await waitFor(() => events.includes('up'), 5000, 'the network');
  assert.deepEqual(events, ['down: the other end was closed', 'net: there is no such interface', 'up']);
  plug.send(batchOf([frame]));
  const { sent } = plug.counters;
  assert.deepEqual([sent.frames, sent.bytes, sent.drops], [3, 300, { down: 1 }]);
  assert.equal(others[1]!.counters.received.bytes, 104);
});

test('does not begin when it cannot be opened the first time', async () => {
  const open = async (): Promise<never> => {
    throw new VdensError('ERR_NETWORK_OPEN', 'net: nobody');
  };
  await assert.rejects(openRestarting('net', open), { message: 'net: nobody' });
});

test('passes on what the network inside has to say', async (t) => {
  const [near, far] = MemoryPlug.pair();
  Object.defineProperty(near, 'mtu', { value: 1450 });
  far.start(() => true);
  const plug = await openRestarting('net', async () => new AgnoPlug(near, { key: new Uint8Array(16) }, 'agno'));
  t.after(() => plug.close());
  const troubles: string[] = [];
  plug.start(() => true, { trouble: ({ message }) => troubles.push(message) });
  far.send(batchOf([pattern(46, 1)]));
  assert.deepEqual(troubles.length, 1);
  assert.match(troubles[0]!, /^agno: frames arrive that our key does not open/);
  assert.equal(plug.mtu, 1424);
});

test('a network that comes back by itself is not opened again', async (t) => {
  const [near, far] = MemoryPlug.pair();
  far.start(() => true);
  let inner: PlugEvents = {};
  near.start = (_, events = {}) => {
    inner = events;
  };
  Object.defineProperty(near, 'comesBack', { value: true });
  let opened = 0;
  const plug = await openRestarting('net', async () => {
    opened++;
    return new VlanPlug(near);
  });
  t.after(() => plug.close());
  const events: string[] = [];
  plug.start(() => true, { down: (reason) => events.push(reason), up: () => events.push('up') });
  for (let round = 1; round <= 2; round++) {
    inner.down?.('no route');
    assert.deepEqual(events.splice(0), ['no route']);
    inner.up?.();
    assert.deepEqual(events.splice(0), ['up']);
    plug.send(batchOf([pattern(60, round).fill(0, 12, 14)]));
    assert.equal(plug.counters.sent.frames, round);
  }
  assert.equal(opened, 1);
});

test('passes on that frames may move without JavaScript again', async (t) => {
  const [near] = MemoryPlug.pair();
  let inner: PlugEvents = {};
  near.start = (_, events = {}) => {
    inner = events;
  };
  const plug = await openRestarting('net', async () => near);
  t.after(() => plug.close());
  let said = 0;
  plug.start(() => true, { lendable: () => void said++ });
  inner.lendable?.();
  assert.equal(said, 1);
});

test('a network that ends again and again is not back', async (t) => {
  let opened = 0;
  const plug = await openRestarting('net', async () => {
    opened++;
    const [near, far] = MemoryPlug.pair();
    // Once somebody listens, there is nobody.
    const start = near.start.bind(near);
    near.start = (receiver, events) => {
      start(receiver, events);
      setImmediate(() => void far.close());
    };
    return near;
  });
  t.after(() => plug.close());
  const events: string[] = [];
  plug.start(() => true, { down: () => events.push('down'), up: () => events.push('up') });
  await waitFor(() => opened === 4, 10_000, 'some tries');
  assert.deepEqual(events, ['down']);
});

test('pauses that cannot be are refused, and errors of whatever kind told once', async (t) => {
  const never = async (): Promise<never> => assert.fail('it was opened');
  for (const seconds of [Number.NaN, -5, 0, 604_801, Number.POSITIVE_INFINITY])
    await assert.rejects(openRestarting('net', never, { seconds }), {
      name: 'RangeError',
      message: /^seconds is .*, and not from 1 to 604800$/,
    });
  const cause = new TypeError('no such thing\nat all');
  const [near, far] = MemoryPlug.pair();
  let opened = 0;
  const plug = await openRestarting('net', async () => {
    if (opened++ === 0) return near;
    throw cause;
  });
  t.after(() => plug.close());
  const troubles: VdensError[] = [];
  plug.start(() => true, { trouble: (error) => troubles.push(error) });
  await far.close();
  await waitFor(() => opened === 4, 10_000, 'some tries');
  assert.equal(troubles.length, 1);
  assert.equal(troubles[0]!.message, 'net: opening it again failed (TypeError: no such thing)');
  assert.equal(troubles[0]!.cause, cause);
});
