/**
 * `vxvde://`, ours and the original, on test hosts: each with each, over IPv4 and IPv6, with the same options, and as
 * the same bytes on the wire.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab } from '../fixtures/lab.ts';
import { type CapturedPacket, udpPort } from '../fixtures/lab-capture.ts';
import {
  BROADCAST,
  broadcasts,
  FrameStation,
  frameOf,
  mac,
  onceEach,
  textOf,
  vxlanHeader,
} from '../fixtures/overlay-frames.ts';
import { everyonePingsEveryone, type Program, startStation } from '../fixtures/overlay-station.ts';
import { ours, requireCommands, waitFor } from './harness.ts';

const LIMIT = { timeout: 60_000 };
const PORT = 14789;
const pairs: readonly (readonly [Program, Program])[] = [
  ['ours', 'ours'],
  ['ours', 'original'],
  ['original', 'ours'],
  ['original', 'original'],
];
const families = [
  { family: 'v4', group: '239.0.0.1', network: 'vxvde://' },
  { family: 'v6', group: 'ff05:56de::1', network: 'vxvde:///v6' },
] as const;

for (const { family, group, network } of families) {
  for (const [pinger, ponger] of pairs) {
    test(`${pinger} pings ${ponger} over ${family}, by group and then directly`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vdens', 'ip', 'ping')) return;
      const lab = await Lab.start(t, { hosts: 2 });
      const capture = await lab.capture();
      const [a, b] = [
        await startStation(t, { program: pinger, host: lab.host(1), network, address: '10.1.1.1/24,fd01::1/64' }),
        await startStation(t, { program: ponger, host: lab.host(2), network, address: '10.1.1.2/24,fd01::2/64' }),
      ];
      await everyonePingsEveryone([
        { name: pinger, station: a, addresses: ['10.1.1.1', 'fd01::1'] },
        { name: ponger, station: b, addresses: ['10.1.1.2', 'fd01::2'] },
      ]);
      const packets = (await capture.settled()).filter(({ payload }) => payload.length > 0);
      const ports = [1, 2].map((number) => {
        const sent = packets.filter(({ source }) => source === lab[family](number));
        const [port, ...others] = new Set(sent.map(({ sourcePort }) => sourcePort));
        assert.ok(port !== undefined && port !== PORT, `host ${number} sends from ${port}`);
        assert.deepEqual(others, [], `host ${number} sends from one port`);
        return port;
      });
      for (const packet of packets) {
        const inner = packet.payload.subarray(8);
        assert.deepEqual(packet.payload.subarray(0, 8), vxlanHeader(1), 'the header');
        const isMulticast = ((inner[0] ?? 0) & 1) === 1;
        if (isMulticast) assert.deepEqual([packet.destination, packet.destinationPort], [group, PORT]);
        if (family === 'v4' || packet.destination === group) assert.equal(packet.ttl, 1);
        if (packet.destination === group) continue;
        const target = packet.destination === lab[family](1) ? ports[0] : ports[1];
        assert.equal(packet.destinationPort, target, 'unicast goes where it came from');
      }
      const echoes = packets.filter(({ payload }) => isEcho(payload.subarray(8)));
      assert.ok(echoes.length >= 8, `${echoes.length} echoes were seen`);
      assert.deepEqual(
        echoes.filter(({ destination }) => destination === group),
        [],
        'who has been heard of is spoken to directly',
      );
    });
  }
}

for (const [name, programs] of [
  ['ours and an original', ['ours', 'ours', 'original']],
  ['originals', ['original', 'original', 'original']],
] as const) {
  for (const { family, network } of families) {
    test(`Three on one host and one beside, ${name}, ${family}: each broadcast arrives once`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vde_plug', 'ip')) return;
      const lab = await Lab.start(t, { hosts: 2 });
      const [first, second, third] = programs;
      const stations = {
        a: await FrameStation.start(t, first, lab.host(1), network),
        b: await FrameStation.start(t, second, lab.host(1), network),
        c: await FrameStation.start(t, third, lab.host(1), network),
        d: await FrameStation.start(t, third, lab.host(2), network),
      };
      assert.deepEqual(await broadcasts(stations), onceEach(Object.keys(stations)));
      // What is for one arrives at that one alone.
      stations.a.send(frameOf(mac(3), mac(1), 'for c'));
      stations.d.send(frameOf(mac(1), mac(4), 'for a'));
      await stations.c.waitForText('for c');
      await stations.a.waitForText('for a');
      await sleep(200);
      const strays = [stations.b, stations.d].flatMap((station) => station.texts()).filter((text) => /^for/.test(text));
      assert.deepEqual(strays, []);
    });
  }
}

for (const { family, group, network } of families) {
  for (const [leaver, stayer] of pairs) {
    test(`${leaver} says that it leaves, and ${stayer} sends to all again, ${family}`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vde_plug', 'ip')) return;
      const lab = await Lab.start(t, { hosts: 2 });
      const capture = await lab.capture();
      const a = await FrameStation.start(t, leaver, lab.host(1), network);
      const b = await FrameStation.start(t, stayer, lab.host(2), network);
      a.send(frameOf(BROADCAST, mac(1), 'here I am'));
      await b.waitForText('here I am');
      const answer = async (text: string): Promise<CapturedPacket> => {
        b.send(frameOf(mac(1), mac(2), text));
        return await capture.waitFor((packet) => textOf(packet.payload.subarray(8)) === text, text);
      };
      assert.equal((await answer('before')).destination, lab[family](1));
      await a.leave();
      const isLeaving = ({ payload, source }: CapturedPacket): boolean =>
        payload.length === 8 && source === lab[family](1);
      const leave = await capture.waitFor(isLeaving, 'that it leaves');
      assert.deepEqual(leave.payload, vxlanHeader(1));
      assert.deepEqual([leave.destination, leave.destinationPort, leave.ttl], [group, PORT, 1]);
      assert.equal((await answer('after')).destination, group);
      // That who leaves is none of those who remain is understood as well.
      assert.equal(b.texts().length, 1);
    });
  }
}

test('vdens that is ended by a signal says that it leaves', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  const capture = await lab.capture();
  const a = await startStation(t, {
    program: 'ours',
    host: lab.host(1),
    network: 'vxvde:///vni=300',
    address: '10.1.1.1/24',
  });
  a.run.kill('SIGTERM');
  await a.run.waitForExit();
  await capture.waitFor(({ payload }) => payload.equals(vxlanHeader(300)), 'that it leaves');
});

/** Options that both sides have; what is sent to all then goes there. */
const optionRows: readonly {
  network: string;
  original?: string;
  group: string;
  port?: number;
  vni: number;
  ttl?: number;
}[] = [
  { network: 'vxvde:///grp=1000', group: '239.0.3.232', vni: 1000 },
  { network: 'vxvde:///grp=1000/vni=7', group: '239.0.3.232', vni: 7 },
  { network: 'vxvde:///v6/grp=1000', group: 'ff05:56de::3e8', vni: 1000 },
  { network: 'vxvde:///v4', group: '239.0.0.1', vni: 1 },
  { network: 'vxvde://239.1.2.3', group: '239.1.2.3', vni: 1 },
  { network: 'vxvde://ff15::3/port=12345/vni=42', group: 'ff15::3', port: 12345, vni: 42 },
  { network: 'vxvde:///vni=16777215', group: '239.0.0.1', vni: 16777215 },
  { network: 'vxvde:///ttl=5', group: '239.0.0.1', vni: 1, ttl: 5 },
  { network: 'vxvde:///v6/ttl=5', group: 'ff05:56de::1', vni: 1, ttl: 5 },
  { network: 'vxvde:///if=eth0', group: '239.0.0.1', vni: 1 },
  { network: 'vxvde:///v6/if=eth0', group: 'ff05:56de::1', vni: 1 },
  { network: 'vxvde:///bind=HERE', group: '239.0.0.1', vni: 1 },
  { network: 'vxvde:///rcvbuf=1m', group: '239.0.0.1', vni: 1 },
  { network: 'vxvde://all.lan.test', group: '239.9.9.9', vni: 1 },
];

for (const { network, group, port = PORT, vni, ttl = 1 } of optionRows) {
  for (const other of ['ours', 'original'] as const) {
    test(`${network}: ${other} and an original`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vde_plug', 'ip')) return;
      const lab = await Lab.start(t, { hosts: 2 });
      for (const host of lab.hosts) host.setNames({ 'all.lan.test': '239.9.9.9' });
      const capture = await lab.capture(udpPort(port));
      const stations = {
        a: await FrameStation.start(t, other, lab.host(1), network.replace('HERE', lab.v4(1))),
        b: await FrameStation.start(t, 'original', lab.host(2), network.replace('HERE', lab.v4(2))),
      };
      assert.deepEqual(await broadcasts(stations), onceEach(['a', 'b']));
      const packets = await capture.settled();
      assert.equal(packets.length, 2);
      for (const packet of packets) {
        assert.deepEqual([packet.destination, packet.destinationPort, packet.ttl], [group, port, ttl]);
        assert.deepEqual(packet.payload.subarray(0, 8), vxlanHeader(vni));
      }
    });
  }
}

test('Networks of different numbers, groups and ports are different networks', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const networks = ['vxvde://', 'vxvde:///vni=2', 'vxvde:///port=2000', 'vxvde://239.0.0.2', 'vxvde:///v6'];
  const senders = await Promise.all(networks.map((name) => FrameStation.start(t, 'ours', lab.host(1), name)));
  const receivers = await Promise.all(networks.map((name) => FrameStation.start(t, 'ours', lab.host(2), name)));
  for (const [index, sender] of senders.entries()) {
    sender.send(frameOf(BROADCAST, mac(index), `number ${index}`));
    await receivers[index]?.waitForText(`number ${index}`);
  }
  await sleep(200);
  assert.deepEqual(
    receivers.map((receiver) => receiver.texts()),
    networks.map((_, index) => [`number ${index}`]),
  );
});

test('Without a route to the group, if= names the way, and without if= one line says so', LIMIT, async (t) => {
  if (!requireCommands(t, 'vde_plug', 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2, multicast: false });
  const stations = {
    a: await FrameStation.start(t, 'ours', lab.host(1), 'vxvde:///if=eth0'),
    b: await FrameStation.start(t, 'original', lab.host(2), 'vxvde:///if=eth0'),
  };
  assert.deepEqual(await broadcasts(stations), onceEach(['a', 'b']));
  for (const network of ['vxvde://', 'vxvde:///if=eth7']) {
    const { status, stderr } = await lab.host(1).run([ours('vdens'), network, 'true']);
    assert.equal(status, 125, stderr);
    assert.match(stderr, /^vdens: [^\n]+\n$/);
    assert.match(stderr, network.includes('eth7') ? /eth7/ : /239\.0\.0\.1.*(route|if=)/);
  }
});

for (const program of ['ours', 'original'] as const) {
  test(`${program}: who is not remembered is sent to all: hashsize=0, and after expiretime=`, LIMIT, async (t) => {
    if (!requireCommands(t, 'vde_plug', 'ip')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    const capture = await lab.capture();
    const there = await FrameStation.start(t, 'original', lab.host(2), 'vxvde://');
    const [forgets, expires] = [
      await FrameStation.start(t, program, lab.host(1), 'vxvde:///hashsize=0'),
      await FrameStation.start(t, program, lab.host(1), 'vxvde:///expiretime=4'),
    ];
    there.send(frameOf(BROADCAST, mac(9), 'here I am'));
    await Promise.all([forgets.waitForText('here I am'), expires.waitForText('here I am')]);
    const destination = async (station: FrameStation, text: string): Promise<string> => {
      station.send(frameOf(mac(9), mac(1), text));
      return (await capture.waitFor((packet) => textOf(packet.payload.subarray(8)) === text, text)).destination;
    };
    assert.equal(await destination(forgets, 'never known'), '239.0.0.1');
    assert.equal(await destination(expires, 'known'), lab.v4(2));
    let tries = 0;
    const isForgotten = async (): Promise<boolean> => (await destination(expires, `try ${tries++}`)) === '239.0.0.1';
    await waitFor(isForgotten, 15_000, 'it to be forgotten');
  });
}

for (const { family, network } of families) {
  for (const [name, programs] of [
    ['ours and originals', ['ours', 'original', 'ours', 'original', 'ours']],
    ['originals', ['original', 'original', 'original', 'original', 'original']],
  ] as const) {
    test(`Three hosts, five namespaces, ${name}, ${family}: everyone pings everyone`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vdens', 'ip', 'ping')) return;
      const lab = await Lab.start(t, { hosts: 3 });
      const stations = await Promise.all(
        programs.map(async (program, index) => {
          const host = lab.host((index % 3) + 1);
          const addresses = [`10.1.1.${index + 1}`, `fd01::${index + 1}`];
          const address = `${addresses[0]}/24,${addresses[1]}/64`;
          const station = await startStation(t, { program, host, network, address });
          return { name: `${program} ${index + 1}`, station, addresses };
        }),
      );
      await everyonePingsEveryone(stations);
    });
  }
}

/** Whether a frame is an echo request or reply, of IPv4 or IPv6. */
function isEcho(frame: Buffer): boolean {
  const type = frame.length > 54 ? frame.readUInt16BE(12) : 0;
  if (type === 0x0800) return frame[23] === 1 && (frame[34] === 0 || frame[34] === 8);
  return type === 0x86dd && frame[20] === 58 && (frame[54] === 128 || frame[54] === 129);
}
