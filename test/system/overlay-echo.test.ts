/**
 * Whose packets are our own: a station that hears its group hears what it sent itself, and drops that and nothing else,
 * whatever this host's addresses are. On test hosts.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab } from '../fixtures/lab.ts';
import {
  BROADCAST,
  broadcasts,
  FrameStation,
  frameOf,
  mac,
  onceEach,
  textOf,
  vxlanPacket,
} from '../fixtures/overlay-frames.ts';
import { dropsOf, startStation } from '../fixtures/overlay-station.ts';
import { requireCommands, waitFor } from '../interop/harness.ts';

const LIMIT = { timeout: 60_000 };
const PORT = 14789;
/** From a change of addresses until it is acted on, amply. */
const SETTLE_MS = 1500;

for (const family of [4, 6]) {
  test(`IPv${family}: peers are heard where any address can be bound`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    for (const host of lab.hosts) await host.must(`echo 1 > /proc/sys/net/ipv${family}/ip_nonlocal_bind`);
    const network = family === 4 ? 'vxlan://' : 'vxlan:///v6';
    const a = await FrameStation.start(t, 'ours', lab.host(1), network);
    const b = await FrameStation.start(t, 'ours', lab.host(2), network);
    assert.deepEqual(await broadcasts({ a, b }), onceEach(['a', 'b']));
  });
}

test('An address that was a peer and becomes ours is ours, and one that was ours becomes a peer', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const moving = '10.99.0.200';
  const take = async (number: number): Promise<void> => {
    await lab.host(number).must(`ip address add ${moving}/24 dev eth0`);
    await lab.host(number).must(`ip route replace 224.0.0.0/4 dev eth0 src ${moving}`);
  };
  const yieldAddress = async (number: number): Promise<void> => {
    await lab.host(number).must(`ip route replace 224.0.0.0/4 dev eth0 src ${lab.v4(number)}`);
    await lab.host(number).must(`ip address del ${moving}/24 dev eth0`);
  };
  // With a peer, here one that is not there, everybody sends from the same port to the group, too.
  const network = 'vxvde://239.0.0.1/peer=10.99.0.9';
  await take(2);
  const capture = await lab.capture(({ source }) => source === moving);
  const a = await FrameStation.start(t, 'ours', lab.host(1), network);
  const b = await FrameStation.start(t, 'ours', lab.host(2), network);
  for (const [turn, number] of [2, 1, 2, 1].entries()) {
    if (turn > 0) {
      await yieldAddress(3 - number);
      await take(number);
      await sleep(SETTLE_MS);
    }
    const [sender, receiver] = number === 1 ? [a, b] : [b, a];
    const text = `turn ${turn}`;
    sender.send(frameOf(BROADCAST, mac(number), text));
    await receiver.waitForText(text);
    await capture.waitFor(({ payload }) => textOf(payload.subarray(8)) === text, 'a packet from the address');
    await sleep(100);
    assert.ok(!sender.texts().includes(text), `nobody hears themselves, ${text}`);
  }
});

test('A station behind an address that is ours now is found again', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const moving = '10.99.0.200';
  await lab.host(2).must(`ip address add ${moving}/24 dev eth0`);
  const a = await FrameStation.start(t, 'ours', lab.host(1), `vxvde:///peer=${lab.v4(2)}`);
  const hand = await lab.host(2).openUdp(moving, PORT);
  await hand.send(lab.v4(1), PORT, vxlanPacket(1, frameOf(BROADCAST, mac(5), 'here')));
  await a.waitForText('here');
  await lab.host(2).must(`ip address del ${moving}/24 dev eth0`);
  await lab.host(1).must(`ip address add ${moving}/24 dev eth0`);
  await sleep(SETTLE_MS);
  const capture = await lab.capture(({ destination }) => destination === lab.v4(2));
  a.send(frameOf(mac(5), mac(1), 'for all'));
  await capture.waitFor(({ payload }) => textOf(payload.subarray(8)) === 'for all', 'what is for nobody known');
  assert.deepEqual(a.texts(), ['here']);
});

test('What is not for us is judged by its header first, whoever sent it', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  const a = await startStation(t, {
    program: 'ours',
    host: lab.host(1),
    network: 'vxvde:///vni=7/peer=10.99.0.9',
    address: '10.1.1.1/24',
    options: [],
  });
  const frame = frameOf(BROADCAST, mac(5), 'forged');
  for (const [packet, count] of [
    [vxlanPacket(8, frame), 3],
    [vxlanPacket(7, frame), 4],
    [Buffer.alloc(5), 5],
  ] as const) {
    await sendFrom(lab, 1, PORT, packet, count);
  }
  const wanted = { 'in foreign-vni': 3, 'in too-short': 5 };
  await waitForDrops(a, wanted);
  assert.ok(((await dropsOf(a, 'vxvde'))['in echo'] ?? 0) >= 4);
});

test('A packet from port 0, where nobody can be answered, is not let in', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const a = await startStation(t, {
    program: 'ours',
    host: lab.host(1),
    network: 'vxvde:///peer=10.99.0.9',
    address: '10.1.1.1/24',
    options: [],
  });
  await sendFrom(lab, 2, 0, vxlanPacket(1, frameOf(BROADCAST, mac(5), 'forged')), 3);
  await waitForDrops(a, { 'in bad-header': 3 });
});

type Station = Awaited<ReturnType<typeof startStation>>;

/** Sends packets to the first host, from this port of a host. */
async function sendFrom(lab: Lab, number: number, port: number, packet: Buffer, count: number): Promise<void> {
  const program = join(import.meta.dirname, '..', 'fixtures', 'send-udp-from.js');
  const words = [lab.v4(1), `${PORT}`, `${port}`, packet.toString('hex'), `${count}`];
  const { status, stderr } = await lab.host(number).run([process.execPath, program, ...words]);
  assert.equal(status, 0, stderr);
}

async function waitForDrops(station: Station, wanted: Readonly<Record<string, number>>): Promise<void> {
  let drops: Readonly<Record<string, number>> = {};
  const counted = async (): Promise<boolean> => {
    drops = await dropsOf(station, 'vxvde');
    return Object.entries(wanted).every(([reason, count]) => drops[reason] === count);
  };
  await waitFor(counted, 5000, 'the counters').catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(drops)}`);
  });
}
