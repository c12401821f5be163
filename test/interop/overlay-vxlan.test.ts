/**
 * `vxlan://` with the kernel's own VXLAN device, by multicast and by lists of peers, over IPv4 and IPv6; as the bytes
 * of RFC 7348; and with the original, as far as that goes.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Lab } from '../fixtures/lab.ts';
import { type CapturedPacket, udpPort } from '../fixtures/lab-capture.ts';
import type { LanHost } from '../fixtures/lan-host.ts';
import { BROADCAST, FrameStation, frameOf, mac, textOf, vxlanHeader, vxlanPacket } from '../fixtures/overlay-frames.ts';
import {
  everyonePingsEveryone,
  type KernelStationOptions,
  startKernelStation,
  startStation,
} from '../fixtures/overlay-station.ts';
import { ours, requireCommands, waitFor } from './harness.ts';

const LIMIT = { timeout: 60_000 };
const PORT = 4789;
const ALL_ZERO = '00:00:00:00:00:00';
const GROUPS = { v4: '239.0.0.1', v6: 'ff05:56de::1' } as const;
const MAC = '02:fe:00:00:00:77';

type Family = 'v4' | 'v6';

/** What an overlay is, in the words of both sides. */
interface Overlay {
  readonly family: Family;
  readonly vni: number;
  readonly port: number;
  readonly isUnicast: boolean;
}

const overlays: readonly Overlay[] = (['v4', 'v6'] as const).flatMap((family) =>
  [false, true].flatMap((isUnicast) =>
    (
      [
        [1, PORT],
        [4096, 8472],
        [16777215, PORT],
      ] as const
    ).map(([vni, port]) => ({ family, vni, port, isUnicast })),
  ),
);

/** The kernel's device, and for unicast whom it sends to what is for all. */
async function kernel(
  t: TestContext,
  lab: Lab,
  what: { number: number; overlay: Overlay; peers: readonly number[] } & Partial<KernelStationOptions>,
): Promise<LanHost> {
  const { number, overlay, peers, name = 'vx0' } = what;
  const host = lab.host(number);
  const way = overlay.isUnicast
    ? `local ${lab[overlay.family](number)}`
    : `group ${GROUPS[overlay.family]} dev eth0 local ${lab[overlay.family](number)}`;
  const device = `id ${overlay.vni} ${way} dstport ${overlay.port}`;
  const address = what.address ?? `10.1.1.${number}/24,fd01::${number}/64`;
  const station = await startKernelStation(t, { host, device, address, name });
  if (overlay.isUnicast) {
    for (const peer of peers)
      await host.must(`bridge fdb append ${ALL_ZERO} dev ${name} dst ${lab[overlay.family](peer)}`);
  }
  return station;
}

/** The locator of ours. */
function locator(lab: Lab, overlay: Overlay, peers: readonly number[]): string {
  const { family, vni, port, isUnicast } = overlay;
  const number = vni === 1 ? [] : [`vni=${vni}`];
  const udp = port === PORT ? [] : [`port=${port}`];
  const way = isUnicast ? peers.map((peer) => `peer=${lab[family](peer)}`) : family === 'v6' ? ['v6'] : [];
  return ['vxlan://', ...number, ...udp, ...way].join('/');
}

for (const overlay of overlays) {
  const { family, vni, port, isUnicast } = overlay;
  const way = isUnicast ? 'by peers' : 'by multicast';
  test(`With the kernel's device, ${family}, ${way}, VNI ${vni}, port ${port}`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip', 'ping', 'bridge')) return;
    const lab = await Lab.start(t, { hosts: 3 });
    const capture = await lab.capture(udpPort(port));
    const theirs = await kernel(t, lab, { number: 1, overlay, peers: [2, 3] });
    const start = { program: 'ours', address: '10.1.1.2/24,fd01::2/64', options: ['--mac', MAC] } as const;
    const a = await startStation(t, { ...start, host: lab.host(2), network: locator(lab, overlay, [1, 3]) });
    const b = await startStation(t, {
      ...{ program: 'ours', address: '10.1.1.3/24,fd01::3/64' },
      ...{ host: lab.host(3), network: locator(lab, overlay, [1, 2]) },
    });
    await everyonePingsEveryone(
      [theirs, a, b].map((station, index) => ({
        name: `host ${index + 1}`,
        station,
        addresses: [`10.1.1.${index + 1}`, `fd01::${index + 1}`],
      })),
    );
    const table = await lab.host(1).must('bridge fdb show dev vx0');
    assert.match(table, new RegExp(`^${MAC} dst ${lab[family](2)} `, 'm'), 'the kernel has learned where we are');

    const packets = (await capture.settled()).filter(({ source }) => source === lab[family](2));
    assert.ok(packets.length >= 8);
    for (const packet of packets) checkPacket(packet, overlay);
    const isUnicastFrame = ({ payload }: CapturedPacket): boolean => ((payload[8] ?? 1) & 1) === 0;
    const direct = packets.filter((packet) => isUnicastFrame(packet) && packet.destination !== GROUPS[family]);
    assert.ok(direct.length >= 8, 'who is known is sent to directly');
  });
}

/** What ours sends is what RFC 7348 says, byte for byte. */
function checkPacket(packet: CapturedPacket, { family, vni, port, isUnicast }: Overlay): void {
  assert.deepEqual(packet.payload.subarray(0, 8), vxlanHeader(vni), 'the header');
  assert.equal(packet.destinationPort, port);
  assert.equal(packet.payload.subarray(14, 20).toString('hex'), MAC.replaceAll(':', ''), 'the frame follows');
  if (packet.destination === GROUPS[family]) assert.equal(packet.ttl, 1, 'multicast stays on the link');
  else assert.ok(packet.ttl > 1, 'unicast may be routed');
  if (isUnicast) assert.notEqual(packet.destination, GROUPS[family]);
}

test('ttl= is that of multicast, and a group of one owns choice is used', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  for (const [network, group, hops] of [
    ['vxlan://239.5.5.5/ttl=7/vni=3', '239.5.5.5', 7],
    ['vxlan://ff15::9/ttl=8/vni=3', 'ff15::9', 8],
  ] as const) {
    const capture = await lab.capture(udpPort(PORT));
    const a = await FrameStation.start(t, 'ours', lab.host(1), network);
    const b = await FrameStation.start(t, 'ours', lab.host(2), network);
    a.send(frameOf(BROADCAST, mac(1), 'to all'));
    await b.waitForText('to all');
    const packet = await capture.waitFor(({ destination }) => destination === group, group);
    assert.equal(packet.ttl, hops);
    assert.deepEqual(packet.payload.subarray(0, 8), vxlanHeader(3));
    await Promise.all([a.leave(), b.leave()]);
    await capture.stop();
  }
});

test('Frames of the kernel come from any port, and reserved bits are ignored', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const a = await FrameStation.start(t, 'ours', lab.host(1), 'vxlan://');
  const capture = await lab.capture(udpPort(PORT));
  const hand = await lab.host(2).openUdp(lab.v4(2), 40_000);
  const packet = vxlanPacket(1, frameOf(BROADCAST, mac(5), 'by hand'));
  packet.set([1, 2, 3], 1);
  packet[7] = 9;
  await hand.send('239.0.0.1', PORT, packet);
  await a.waitForText('by hand');
  a.send(frameOf(mac(5), mac(1), 'answer'));
  const answer = await capture.waitFor(({ source }) => source === lab.v4(1), 'the answer');
  assert.equal(answer.destination, lab.v4(2));
  assert.equal(answer.destinationPort, PORT, 'not the port that it came from');
});

test('Two networks of one vdens share the port', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const both = [10, 20].map((vni) => ({ family: 'v4', vni, port: PORT, isUnicast: false }) as const);
  const devices = await Promise.all(
    both.map((overlay) => {
      const options = { name: `vx${overlay.vni}`, address: `10.${overlay.vni}.1.1/24` };
      return kernel(t, lab, { number: 1, overlay, peers: [], ...options });
    }),
  );
  const a = await startStation(t, {
    program: 'ours',
    host: lab.host(2),
    address: 'vde0=10.10.1.2/24',
    options: ['--address', 'vde1=10.20.1.2/24'],
    network: 'vxlan:///vni=10',
    networks: ['vxlan:///vni=20'],
  });
  await a.ping('10.10.1.1');
  await a.ping('10.20.1.1');
  await devices[0]?.ping('10.10.1.2');
  await devices[1]?.ping('10.20.1.2');
  // A third, of another number, is heard by neither.
  const hand = await lab.host(1).openUdp(lab.v4(1));
  await hand.send('239.0.0.1', PORT, vxlanPacket(30, frameOf(BROADCAST, mac(5), 'foreign')));
  await hand.send('239.0.0.1', PORT, vxlanPacket(20, frameOf(BROADCAST, mac(5), 'for the second')));
  const frames = async (name: string): Promise<number> => (await a.kernelCounters(name)).out.frames;
  const before = [await frames('vde0'), await frames('vde1')];
  for (let count = 0; count < 10; count++) {
    await hand.send('239.0.0.1', PORT, vxlanPacket(20, frameOf(BROADCAST, mac(5), 'for the second')));
  }
  await waitFor(async () => (await frames('vde1')) >= (before[1] ?? 0) + 10, 5000, 'ten frames of the second network');
  assert.ok((await frames('vde0')) < (before[0] ?? 0) + 10, 'and not of the first');
});

test('With bind= several share a host; without, the second is told why not', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  await lab.host(2).must('ip address add 10.99.0.22/24 dev eth0');
  const overlay = { family: 'v4', vni: 1, port: PORT, isUnicast: false } as const;
  const theirs = await kernel(t, lab, { number: 1, overlay, peers: [] });
  const [a, b] = await Promise.all(
    (['10.99.0.2', '10.99.0.22'] as const).map((bind, index) => {
      const what = { network: `vxlan:///bind=${bind}`, address: `10.1.1.${index + 2}/24,fd01::${index + 2}/64` };
      return startStation(t, { program: 'ours', host: lab.host(2), ...what });
    }),
  );
  const stations = [theirs, a, b].flatMap((station, index) =>
    station === undefined
      ? []
      : [{ name: `station ${index + 1}`, station, addresses: [`10.1.1.${index + 1}`, `fd01::${index + 1}`] }],
  );
  assert.equal(stations.length, 3);
  await everyonePingsEveryone(stations);
  const { status, stderr } = await lab.host(1).run([ours('vdens'), 'vxlan://', 'true']);
  assert.equal(status, 125, stderr);
  assert.match(stderr, /^vdens: [^\n]*4789[^\n]*\n$/);
});

test('Broadcasts reach an original, and those of an original reach ours', LIMIT, async (t) => {
  if (!requireCommands(t, 'vde_plug', 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const capture = await lab.capture(udpPort(PORT));
  const a = await FrameStation.start(t, 'ours', lab.host(1), 'vxlan://');
  const b = await FrameStation.start(t, 'original', lab.host(2), 'vxlan://');
  // In this order: what the original has learned, it can no longer send to.
  b.send(frameOf(BROADCAST, mac(2), 'of the original'));
  await a.waitForText('of the original');
  a.send(frameOf(BROADCAST, mac(1), 'of ours'));
  await b.waitForText('of ours');
  a.send(frameOf(mac(2), mac(1), 'for the original alone'));
  await b.waitForText('for the original alone');
  const direct = await capture.waitFor(
    ({ payload }) => textOf(payload.subarray(8)) === 'for the original alone',
    'a frame for the original alone',
  );
  assert.deepEqual([direct.destination, direct.destinationPort], [lab.v4(2), PORT]);
  assert.deepEqual(a.texts(), ['of the original'], 'ours does not hear itself');
});
