/** A switch in one process: its table, its ports, their ends, and what happens when much is asked of it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchOf } from '../../src/frames/batch.ts';
import { createSwitch, MemoryPlug, type Plug, type Switch, type SwitchPort } from '../../src/index.ts';
import { SocketEnd } from '../fixtures/socket-end.ts';
import { waitFor } from '../interop/harness.ts';

const BROADCAST = [255, 255, 255, 255, 255, 255];

/** The address of a station. */
function station(number: number): number[] {
  return [2, 0, number >> 24, (number >> 16) & 255, (number >> 8) & 255, number & 255];
}

function frame(to: readonly number[], from: readonly number[], length = 60): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set([...to, ...from, 0x88, 0xb5]);
  return bytes;
}

function send(port: SwitchPort, ...frames: readonly Uint8Array[]): void {
  port.send(batchOf(frames));
}

/** Counts the frames that leave through a port. */
function count(port: Plug): () => number {
  let frames = 0;
  port.start((batch) => {
    frames += batch.count;
    return true;
  });
  return () => frames;
}

/** Switch with ports that count. */
function countingPorts(lan: Switch, howMany: number): { port: SwitchPort; frames: () => number }[] {
  return Array.from({ length: howMany }, () => {
    const port = lan.port();
    return { port, frames: count(port) };
  });
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('a table that is too small forgets the addresses heard of longest ago, and floods what it forgot', async () => {
  await using lan = createSwitch({ tableSize: 64 });
  const [a, b, c] = countingPorts(lan, 3) as [Counting, Counting, Counting];
  for (let i = 0; i < 10_000; i++) {
    send(a.port, frame(BROADCAST, station(i)));
    lan.advanceClock(0.1);
  }
  const known = lan.forwardingTable;
  assert.ok(known.length <= 64 && known.length > 48, `${known.length} addresses`);
  // Each address has four places: the newest four are there wherever they fall.
  for (let i = 9996; i < 10_000; i++) send(b.port, frame(station(i), station(70_000)));
  assert.deepEqual([a.frames(), c.frames()], [4, 10_000]);
  const before = c.frames();
  send(b.port, frame(station(1), station(70_000)));
  assert.equal(c.frames(), before + 1, 'what was forgotten is flooded');
  const oldest = Math.max(...known.map(({ ageSeconds }) => ageSeconds));
  assert.ok(oldest < 60, `the oldest was heard of ${oldest} s ago`);
});

interface Counting {
  readonly port: SwitchPort;
  frames(): number;
}

for (const tableSize of [0, 1, 2, 3]) {
  test(`a table of ${tableSize} is used to its last place`, async () => {
    await using lan = createSwitch({ tableSize });
    const [a, b, c] = countingPorts(lan, 3) as [Counting, Counting, Counting];
    const places = [0, 1, 2, 4][tableSize]!;
    assert.equal(lan.isHub, tableSize === 0);
    for (let i = 0; i < 10; i++) {
      send(a.port, frame(BROADCAST, station(i)));
      lan.advanceClock(1);
    }
    assert.equal(lan.forwardingTable.length, places);
    const before = c.frames();
    for (let i = 0; i < 10; i++) send(b.port, frame(station(i), [3, 0, 0, 0, 0, 0]));
    assert.equal(a.frames(), 10);
    assert.equal(c.frames() - before, 10 - places);
  });
}

test('a station that moves is found at once, one that is silent is forgotten in time, closing a port forgets its stations', async () => {
  await using lan = createSwitch({ expireSeconds: 120 });
  const [a, b, c] = countingPorts(lan, 3) as [Counting, Counting, Counting];
  const arrivals = (): number[] => [a, b, c].map(({ frames }) => frames());
  send(a.port, frame(BROADCAST, station(1)));
  send(b.port, frame(BROADCAST, station(1)));
  assert.deepEqual(arrivals(), [1, 1, 2]);
  send(c.port, frame(station(1), station(2)));
  assert.deepEqual(arrivals(), [1, 2, 2]);
  // Moved and asked for in one batch.
  send(a.port, frame(station(2), station(1)));
  send(c.port, frame(station(1), station(2)));
  assert.deepEqual(arrivals(), [2, 2, 3]);
  lan.advanceClock(119);
  send(c.port, frame(station(1), station(2)));
  assert.deepEqual(arrivals(), [3, 2, 3]);
  lan.advanceClock(2);
  send(c.port, frame(station(1), station(2)));
  assert.deepEqual(arrivals(), [4, 3, 3]);
  send(a.port, frame(BROADCAST, station(1)));
  await a.port.close();
  assert.deepEqual(
    lan.forwardingTable.map(({ port }) => port),
    [3],
  );
  send(c.port, frame(station(1), station(2)));
  assert.deepEqual(arrivals(), [4, 5, 4]);
});

test('ports have the number they wish for, or the next free one, and there is an end of them', async () => {
  await using lan = createSwitch({ maxPorts: 4 });
  const wished = lan.port({ number: 3, description: 'me' });
  assert.deepEqual([wished.number, wished.description, wished.label], [3, 'me', 'switch port 3']);
  const numbers = [lan.port({ number: 3 }), lan.port({ number: 99 }), lan.port({ number: -1 })].map(
    ({ number }) => number,
  );
  assert.deepEqual(numbers, [1, 2, 4]);
  assert.throws(() => lan.port(), { code: 'ERR_SWITCH', message: /all 4 ports are in use\. Close one/ });
  await wished.close();
  assert.equal(lan.port().number, 3);
  assert.deepEqual(
    lan.ports.map(({ number }) => number),
    [1, 2, 3, 4],
  );
  await lan.close();
  assert.throws(() => lan.port(), { code: 'ERR_CLOSED' });
});

test('the switch, its ports and what is plugged in can be closed in any order', async () => {
  const before = openDescriptors();
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  for (const order of orders) {
    const lan = createSwitch();
    const end = new SocketEnd('seqpacket');
    const port = lan.attach(end.plug);
    const other = lan.port();
    const frames = count(other);
    end.send(frame(BROADCAST, station(1)));
    await waitFor(() => frames() === 1, 2000, 'the frame');
    const things: AsyncDisposable[] = [lan, port, end];
    for (const index of order) {
      await things[index]![Symbol.asyncDispose]();
      send(other, frame(BROADCAST, station(2)));
      end.send(frame(BROADCAST, station(3)));
    }
    await Promise.all(things.map((thing) => thing[Symbol.asyncDispose]()));
    await end.plug.close();
  }
  assert.ok(openDescriptors() <= before + 3, `${openDescriptors() - before} descriptors more than before`);
});

test('a receiver may close its own port, others, and the switch, and add and cable ports', async () => {
  for (const deed of ['own', 'next', 'all-others', 'switch', 'replace'] as const) {
    const lan = createSwitch();
    const [from, ...rest] = Array.from({ length: 80 }, () => lan.port()) as [SwitchPort, ...SwitchPort[]];
    let calls = 0;
    for (const [index, port] of rest.entries()) {
      port.start(() => {
        calls++;
        if (deed === 'own') void port.close();
        else if (deed === 'next') void rest[index + 1]?.close();
        else if (deed === 'all-others') rest.filter((other) => other !== port).map((other) => other.close());
        else if (deed === 'switch') void lan.close();
        else {
          void port.close();
          const [near, far] = MemoryPlug.pair();
          far.start(() => true);
          lan.attach(near);
        }
        return true;
      });
    }
    send(from, frame(BROADCAST, station(1)), frame(BROADCAST, station(1)));
    const [least, most] = { own: [79, 79], next: [40, 78], 'all-others': [1, 1], switch: [1, 1], replace: [79, 79] }[
      deed
    ] as [number, number];
    await waitFor(() => calls >= least, 5000, `${least} calls when it closes ${deed}`);
    await sleep(20);
    assert.ok(calls <= most, `${deed}: ${calls} calls`);
    send(from, frame(BROADCAST, station(1)));
    await lan.close();
  }
});

test('a receiver that throws costs nobody else a frame', async () => {
  await using lan = createSwitch();
  const [from, thrower] = [lan.port(), lan.port()];
  const others = countingPorts(lan, 70);
  thrower.start(() => {
    throw new Error('on purpose');
  });
  assert.throws(() => send(from, frame(BROADCAST, station(1))), /on purpose/);
  await waitFor(() => others.every(({ frames }) => frames() === 1), 2000, 'the frame everywhere else');
});

test('a batch stays what it is while its receiver has others deliver theirs', async () => {
  await using lan = createSwitch();
  const [from, one, two] = [lan.port(), lan.port(), lan.port()];
  const seen: string[] = [];
  two.start((batch) => void seen.push(`two ${batch.frame(0)[12]}`));
  two.pause();
  one.start((batch) => {
    const before = batch.frame(0)[12];
    two.resume();
    from.send(batchOf([frame(station(9), station(1)).fill(3, 12)]));
    seen.push(`one ${before} ${batch.frame(0)[12]}`);
  });
  one.pause();
  send(from, frame(BROADCAST, station(1)).fill(1, 12));
  send(from, frame(BROADCAST, station(1)).fill(2, 12));
  one.resume();
  await waitFor(() => seen.length >= 4, 2000, 'all batches');
  assert.equal(seen[0], 'one 1 1');
});

test('what a receiver promised is kept though no other event follows', { timeout: 10_000 }, async () => {
  await using lan = createSwitch();
  await using end = new SocketEnd();
  lan.attach(end.plug);
  const port = lan.port();
  for (let i = 0; i < 50; i++) {
    const arrived = new Promise<void>((resolve) => {
      port.start(() => resolve());
    });
    end.send(frame(BROADCAST, station(1)));
    await arrived;
  }
});

test('who sends more than a port takes at once is told when to go on', { timeout: 10_000 }, async () => {
  await using lan = createSwitch();
  const [from, to] = [lan.port(), lan.port()];
  const frames = count(to);
  let drains = 0;
  from.start(() => true, { drain: () => void drains++ });
  for (let round = 0; round < 20; round++) {
    send(from, ...Array.from({ length: 900 }, () => frame(BROADCAST, station(1))));
    await waitFor(() => !from.busy, 2000, 'the port to take frames again');
  }
  assert.equal(frames(), 18_000);
  assert.equal(lan.ports.length, 2);
});

test('both ends of a cable that the switch serves count the same, and go on to when it has ended', async () => {
  await using lan = createSwitch();
  await using one = new SocketEnd('seqpacket');
  await using two = new SocketEnd('datagram');
  const ports = [lan.attach(one.plug), lan.attach(two.plug)] as const;
  assert.deepEqual(
    ports.map(({ kind }) => kind),
    ['socket', 'socket'],
  );
  let sent = 0;
  let arrived = 0;
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 20; i++) if (one.send(frame(BROADCAST, station(1), 60 + i))) sent++;
    const look = (): boolean => {
      arrived += two.take().length;
      return arrived === sent;
    };
    await waitFor(look, 2000, 'the frames');
  }
  const compare = (): void => {
    for (const [port, { plug }] of [
      [ports[0], one],
      [ports[1], two],
    ] as const) {
      const text = ({ frames, bytes }: { frames: number; bytes: number }): string => `${frames} ${bytes}`;
      assert.equal(text(port.counters.sent), text(plug.counters.received));
      assert.equal(text(port.counters.received), text(plug.counters.sent));
    }
    assert.equal(ports[0].counters.sent.frames, sent);
    assert.equal(ports[1].counters.received.frames, arrived);
  };
  compare();
  one.close();
  await waitFor(() => ports[0].kind === 'program', 2000, 'the end of the cable');
  compare();
  await ports[1].close();
  compare();
});

test('who floods a port that is slow leaves room there for others', async () => {
  await using lan = createSwitch();
  const [greedy, modest, slow] = [lan.port(), lan.port(), lan.port()];
  let ofModest = 0;
  slow.start((batch) => {
    for (let i = 0; i < batch.count; i++) if (batch.frame(i)[11] === 2) ofModest++;
    return true;
  });
  slow.pause();
  for (let i = 0; i < 50; i++) send(greedy, ...Array.from({ length: 100 }, () => frame(BROADCAST, station(1))));
  send(modest, ...Array.from({ length: 50 }, () => frame(BROADCAST, station(2))));
  const lost = slow.counters.received.drops['queue-full'] ?? 0;
  slow.resume();
  await waitFor(() => slow.counters.received.frames + lost === 5050, 2000, 'what waited');
  assert.equal(ofModest, 50);
});

test('what is sent into a port that has a cable of its own by now is forwarded, and counted once', async () => {
  await using lan = createSwitch();
  await using end = new SocketEnd();
  const port = lan.attach(end.plug);
  const other = lan.port();
  const frames = count(other);
  assert.equal(port.kind, 'socket');
  send(port, frame(BROADCAST, station(1)), frame(BROADCAST, station(2)));
  assert.equal(frames(), 2);
  assert.equal(port.counters.sent.frames, 2);
  assert.equal(end.plug.counters.received.frames, 0);
  await waitFor(() => lan.stationCount === 2, 2000, 'the stations');
  assert.equal(end.take().length, 0, 'nothing comes back');
});

test('what a client sent before it left still arrives', async () => {
  await using lan = createSwitch();
  const port = lan.port();
  const frames = count(port);
  for (let round = 1; round <= 20; round++) {
    const end = new SocketEnd('seqpacket');
    lan.attach(end.plug);
    for (let i = 0; i < 60; i++) assert.ok(end.send(frame(BROADCAST, station(1))));
    end.close();
    await waitFor(() => frames() === 60 * round, 2000, 'all frames').catch(() => assert.equal(frames(), 60 * round));
    await end.plug.close();
  }
});

test('a switch of 300 ports of all kinds floods and finds its way', async (t) => {
  await using lan = createSwitch();
  const programs = countingPorts(lan, 200);
  const ends = Array.from({ length: 100 }, (_, i) => new SocketEnd(i % 2 === 0 ? 'datagram' : 'seqpacket'));
  t.after(async () => {
    for (const end of ends) await end[Symbol.asyncDispose]();
  });
  for (const end of ends) lan.attach(end.plug);
  const arrived = ends.map(() => 0);
  const look = (): number => {
    for (const [i, end] of ends.entries()) arrived[i]! += end.take().length;
    return arrived.reduce((sum, frames) => sum + frames, 0);
  };
  for (const [i, { port }] of programs.entries()) send(port, frame(BROADCAST, station(i)));
  await waitFor(() => look() === 200 * 100, 5000, 'the broadcasts at the sockets');
  for (const { frames } of programs) assert.equal(frames(), 199);
  for (const end of ends) for (let i = 0; i < 200; i += 20) end.send(frame(station(i), station(1000)));
  await waitFor(() => programs[180]!.frames() === 299, 5000, 'the frames for one');
  assert.equal(programs[181]!.frames(), 199);
  assert.equal(look(), 200 * 100);
});
