/** `udp://`, ours and the original, on test hosts: one frame in each datagram, between two. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lab } from '../fixtures/lab.ts';
import { udpPort } from '../fixtures/lab-capture.ts';
import { BROADCAST, FrameStation, frameOf, mac, textOf } from '../fixtures/overlay-frames.ts';
import {
  dropsOf,
  everyonePingsEveryone,
  type Pingable,
  type Program,
  startStation,
} from '../fixtures/overlay-station.ts';
import { requireCommands } from './harness.ts';

const LIMIT = { timeout: 60_000 };
const pairs: readonly (readonly [Program, Program])[] = [
  ['ours', 'ours'],
  ['ours', 'original'],
  ['original', 'ours'],
  ['original', 'original'],
];

for (const [here, there] of pairs) {
  for (const [family, far, near, largest] of [
    ['v4', '10.99.0.2', '10.99.0.1', 1472],
    ['v6', 'fd99::2', 'fd99::1', 1452],
    ['v4', 'far.lan.test', 'near.lan.test', 1472],
  ] as const) {
    test(`${here} and ${there}: a frame is a datagram, to ${far}`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vde_plug', 'ip')) return;
      const lab = await Lab.start(t, { hosts: 2 });
      for (const host of lab.hosts) host.setNames({ 'near.lan.test': lab.v4(1), 'far.lan.test': lab.v4(2) });
      const capture = await lab.capture((packet) => packet.isFragment || udpPort(2000)(packet));
      const b = await FrameStation.start(t, there, lab.host(2), `udp://3000->${near}:2000`);
      const a = await FrameStation.start(t, here, lab.host(1), `udp://2000->${far}:3000`);
      const frames = [60, 61, 1400, largest].map((length) => frameOf(mac(2), mac(1), `${length} bytes`, length));
      for (const frame of frames) {
        a.send(frame);
        await b.waitForText(textOf(frame) ?? '');
        const packet = await capture.waitFor(({ payload }) => payload.equals(frame), 'exactly the frame');
        assert.deepEqual([packet.source, packet.sourcePort], [lab[family](1), 2000]);
        assert.deepEqual([packet.destination, packet.destinationPort], [lab[family](2), 3000]);
      }
      b.send(...frames);
      for (const frame of frames) await a.waitForText(textOf(frame) ?? '');
      // What does not fit a packet travels in pieces.
      const large = frameOf(mac(2), mac(1), 'large', 4000);
      a.send(large);
      await b.waitForText('large');
      await capture.waitFor(({ isFragment }) => isFragment, 'a piece');
    });
  }

  for (const family of ['v4', 'v6'] as const) {
    test(`vdens ${here} and ${there} ping each other, ${family}, each by its own address`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vdens', 'ip', 'ping')) return;
      const lab = await Lab.start(t, { hosts: 2 });
      const line = (from: number, to: number): string =>
        `udp://${lab[family](from)}:${5000 + from}->${lab[family](to)}:${5000 + to}`;
      const start = async (program: Program, from: number, to: number): Promise<Pingable> => ({
        name: `${program} ${from}`,
        station: await startStation(t, {
          program,
          host: lab.host(from),
          network: line(from, to),
          address: `10.1.1.${from}/24,fd01::${from}/64`,
        }),
        addresses: [`10.1.1.${from}`, `fd01::${from}`],
      });
      // The original does not survive that nobody listens yet.
      const isOursFirst = here === 'ours';
      const first = isOursFirst ? await start(here, 1, 2) : await start(there, 2, 1);
      const second = isOursFirst ? await start(there, 2, 1) : await start(here, 1, 2);
      if (here === 'original' && there === 'original') await first.station.waitForPing(second.addresses[0] ?? '', 5000);
      await everyonePingsEveryone([first, second]);
    });
  }
}

test('That nobody listens is no end of vde0, and who comes later is heard', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  const host = lab.host(1);
  const a = await startStation(t, {
    program: 'ours',
    host,
    network: 'udp://4000->127.0.0.1:4001',
    address: '10.1.1.1/24',
  });
  for (let turn = 0; turn < 3; turn++) {
    assert.match(await a.tell('ping -c 2 -i 0.1 -W 0.2 10.1.1.2'), / 0 received/);
    assert.match(await a.tell('ip link show vde0'), /vde0: <[^>]*\bUP\b/);
  }
  for (let turn = 0; turn < 2; turn++) {
    const b = await startStation(t, {
      program: 'ours',
      host,
      network: 'udp://4001->127.0.0.1:4000',
      address: '10.1.1.2/24',
    });
    await b.ping('10.1.1.1');
    await a.ping('10.1.1.2');
    b.run.kill('SIGKILL');
    await b.run.waitForExit();
  }
  assert.equal(a.run.hasExited(), false);
});

test('Only the other end is heard; others are counted', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 3 });
  const line = (to: number): string => `udp://5000->${lab.v4(to)}:5000`;
  const [a, b] = [
    await startStation(t, { program: 'ours', host: lab.host(1), network: line(2), address: '10.1.1.1/24' }),
    await startStation(t, { program: 'ours', host: lab.host(2), network: line(1), address: '10.1.1.2/24' }),
  ];
  await a.ping('10.1.1.2');
  const before = await a.kernelCounters();
  const stranger = await lab.host(3).openUdp(lab.v4(3), 5000);
  const neighbour = await lab.host(2).openUdp(lab.v4(2));
  const frames = Array.from({ length: 20 }, (_, index) => frameOf(BROADCAST, mac(index), 'forged'));
  await stranger.send(lab.v4(1), 5000, ...frames);
  await neighbour.send(lab.v4(1), 5000, ...frames);
  await a.ping('10.1.1.2');
  assert.equal((await dropsOf(a, 'udp'))['in foreign-sender'], 40);
  assert.ok((await a.kernelCounters()).out.frames - before.out.frames < 20, 'nothing of it came in');
  assert.equal(b.run.hasExited(), false);
});
