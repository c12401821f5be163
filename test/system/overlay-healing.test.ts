/**
 * Networks over UDP when hosts, interfaces, addresses, names and peers change, when somebody forges packets, and when
 * frames are too long: on test hosts, most of it with real `vdens`.
 */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab, type LabHost } from '../fixtures/lab.ts';
import { type CapturedPacket, udpPort } from '../fixtures/lab-capture.ts';
import type { LanHost } from '../fixtures/lan-host.ts';
import {
  BROADCAST,
  broadcasts,
  FrameStation,
  frameOf,
  mac,
  onceEach,
  textOf,
  vxlanHeader,
  vxlanPacket,
} from '../fixtures/overlay-frames.ts';
import { dropsOf, everyonePingsEveryone, startStation } from '../fixtures/overlay-station.ts';
import { makeTemporaryDirectory, type Owner, ours, requireCommands, waitFor, waitWithin } from '../interop/harness.ts';

const LIMIT = { timeout: 90_000 };
const VXVDE_PORT = 14789;
const GROUP = '239.0.0.1';
/** How long a change of the underlay may take to be noticed. */
const HEALING_MS = 5000;
/** Names are looked up every 10 s. */
const NAMES_MS = 20_000;
const FORGE = join(import.meta.dirname, '..', 'fixtures', 'forge-senders.js');
const MOVING_MAC = '02:fe:00:00:00:77';

/** A station of ours; its inner addresses end in `number`. */
async function station(
  t: Owner,
  host: LabHost,
  network: string,
  number: number = host.number,
  options: readonly string[] = [],
): Promise<LanHost> {
  const address = `10.1.1.${number}/24,fd01::${number}/64`;
  return await startStation(t, { program: 'ours', host, network, address, options });
}

const groupNetworks = ['vxvde://', 'vxvde:///v6', 'vxvde:///if=eth0', 'vxvde:///v6/if=eth0', 'vxlan://', 'vxlan:///v6'];

for (const network of groupNetworks) {
  test(`${network}: a host is unplugged and comes back`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    const [a, b] = [await station(t, lab.host(1), network), await station(t, lab.host(2), network)];
    await a.ping('10.1.1.2');
    await lab.host(2).unplug();
    assert.match(await a.tell('ping -c 1 -W 0.3 10.1.1.2'), / 0 received/);
    await sleep(500);
    await lab.host(2).plug();
    await a.waitForPing('10.1.1.2', HEALING_MS);
    await b.waitForPing('10.1.1.1', HEALING_MS);
    await a.ping('fd01::2');
  });

  test(`${network}: an interface is deleted, and a new one of its name joins the group`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    const a = await FrameStation.start(t, 'ours', lab.host(1), network);
    const b = await FrameStation.start(t, 'ours', lab.host(2), network);
    assert.deepEqual(await broadcasts({ a, b }), onceEach(['a', 'b']));
    for (let turn = 1; turn <= 2; turn++) {
      await lab.host(2).removeInterface();
      const says = (pattern: RegExp) => (): boolean => (b.client.errors().match(pattern)?.length ?? 0) >= turn;
      await waitWithin(says(/^down: [^\n]+$/gm), HEALING_MS, 'that it is down');
      await lab.host(2).addInterface();
      await waitWithin(says(/^up$/gm), HEALING_MS, 'that it is up');
      const [there, back] = [`there ${turn}`, `back ${turn}`];
      const arrives = (from: FrameStation, to: FrameStation, text: string) => (): boolean => {
        from.send(frameOf(BROADCAST, mac(1), text));
        return to.texts().includes(text);
      };
      await waitWithin(arrives(a, b, there), HEALING_MS, 'a broadcast at the host whose interface is new');
      await waitWithin(arrives(b, a, back), HEALING_MS, 'a broadcast of the host whose interface is new');
    }
  });
}

for (const network of ['vxvde://', 'vxlan://']) {
  test(`${network}: the address of a host changes`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    const capture = await lab.capture(udpPort(network === 'vxvde://' ? VXVDE_PORT : 4789));
    const [a, b] = [await station(t, lab.host(1), network), await station(t, lab.host(2), network)];
    await a.ping('10.1.1.2');
    await lab
      .host(2)
      .must(
        'ip -4 address flush dev eth0; sleep 0.3; ip address add 10.99.0.222/24 dev eth0; ip route add 224.0.0.0/4 dev eth0',
      );
    // Whoever moved speaks first, and is found at its new address by that alone.
    await b.waitForPing('10.1.1.1', HEALING_MS);
    // While it had no address, vde0 may have lost its carrier, which takes the kernel up to a second to give back.
    await a.waitForPings('10.1.1.2', HEALING_MS);
    await b.tell('ping -c 1 -W 0.2 10.1.1.99');
    const isFromThere = ({ source, destination }: CapturedPacket): boolean =>
      source === '10.99.0.222' && destination === GROUP;
    await capture.waitFor(isFromThere, 'a broadcast from the new address');
  });
}

for (const network of ['vxvde://', 'vxlan://']) {
  test(`${network}: a namespace moves to another host, and is reached there at once`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 3 });
    const a = await station(t, lab.host(1), network);
    const move = async (host: LabHost): Promise<LanHost> => await station(t, host, network, 9, ['--mac', MOVING_MAC]);
    let moving = await move(lab.host(2));
    await a.ping('10.1.1.9');
    for (const number of [3, 2, 3]) {
      // Killed: it does not say that it leaves.
      moving.run.kill('SIGKILL');
      await moving.run.waitForExit();
      moving = await move(lab.host(number));
      await moving.tell('ping -c 1 -W 0.3 10.1.1.99');
      await a.ping('10.1.1.9');
    }
  });
}

for (const program of ['ours', 'original'] as const) {
  test(`${program}: a MAC address that moves is sent to where it was heard last`, LIMIT, async (t) => {
    if (!requireCommands(t, 'vde_plug', 'ip')) return;
    const lab = await Lab.start(t, { hosts: 3 });
    const capture = await lab.capture();
    const a = await FrameStation.start(t, program, lab.host(1), 'vxvde://');
    const others = [
      await FrameStation.start(t, 'original', lab.host(2), 'vxvde://'),
      await FrameStation.start(t, 'original', lab.host(3), 'vxvde://'),
    ];
    for (let turn = 0; turn < 10; turn++) {
      const number = turn % 2;
      others[number]?.send(frameOf(BROADCAST, mac(77), `here ${turn}`));
      await a.waitForText(`here ${turn}`);
      a.send(frameOf(mac(77), mac(1), `to you ${turn}`));
      const packet = await capture.waitFor(
        ({ payload }) => textOf(payload.subarray(8)) === `to you ${turn}`,
        `frame ${turn}`,
      );
      assert.equal(packet.destination, lab.v4(number + 2));
      await others[number]?.waitForText(`to you ${turn}`);
    }
  });
}

for (const { scheme, family } of [
  { scheme: 'vxvde', family: 'v4' },
  { scheme: 'vxvde', family: 'v6' },
  { scheme: 'vxlan', family: 'v4' },
  { scheme: 'vxlan', family: 'v6' },
] as const) {
  test(`${scheme}, ${family}: a full mesh by peers has no loops, and needs no multicast`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 3, multicast: false });
    // One's own address is among them: one list serves all.
    const network = [`${scheme}://`, ...lab.hosts.map((host) => `peer=${host[family]}`)].join('/');
    const capture = await lab.capture(({ payload }) => textOf(payload.subarray(8)) !== undefined);
    const [a, b, c] = [
      await FrameStation.start(t, 'ours', lab.host(1), network),
      await FrameStation.start(t, 'ours', lab.host(2), network),
      await FrameStation.start(t, 'ours', lab.host(3), network),
    ];
    assert.deepEqual(await broadcasts({ a, b, c }), onceEach(['a', 'b', 'c']));
    const copies = (await capture.settled()).map(({ source, destination }) => `${source} ${destination}`);
    const wanted = lab.hosts.flatMap((from) =>
      lab.hosts.filter((to) => to !== from).map((to) => `${from[family]} ${to[family]}`),
    );
    assert.deepEqual(copies.sort(), wanted.sort(), 'one copy for each of the others');
    a.send(frameOf(mac(2), mac(1), 'for b'));
    await b.waitForText('for b');
    await sleep(200);
    assert.ok(!c.texts().includes('for b'));
    await Promise.all([a, b, c].map((frames) => frames.leave()));
    const stations = await Promise.all(lab.hosts.map((host) => station(t, host, network)));
    await everyonePingsEveryone(
      stations.map((one, index) => ({
        name: `host ${index + 1}`,
        station: one,
        addresses: [`10.1.1.${index + 1}`, `fd01::${index + 1}`],
      })),
    );
    for (const one of stations)
      assert.equal((await dropsOf(one, scheme))['in echo'], undefined, 'nobody is their own peer');
  });
}

test('A group and peers: both are reached, each once', LIMIT, async (t) => {
  if (!requireCommands(t, 'vde_plug', 'ip')) return;
  const lab = await Lab.start(t, { hosts: 3 });
  // The third hears no multicast.
  const a = await FrameStation.start(t, 'ours', lab.host(1), `vxvde://${GROUP}/peer=${lab.v4(3)}`);
  const stations = {
    a,
    b: await FrameStation.start(t, 'original', lab.host(2), 'vxvde://'),
  };
  assert.deepEqual(await broadcasts(stations), onceEach(['a', 'b']));
  const hand = await lab.host(3).openUdp(lab.v4(3), VXVDE_PORT);
  a.send(frameOf(BROADCAST, mac(1), 'to all'));
  const datagram = await hand.waitFor(({ payload }) => textOf(payload.subarray(8)) === 'to all', 'the copy of a peer');
  assert.deepEqual(datagram.payload.subarray(0, 8), vxlanHeader(1));
  await stations.b.waitForText('to all');
});

test('A group that cannot be reached any more takes nothing from the peers', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const a = await station(t, lab.host(1), `vxvde://${GROUP}/peer=${lab.v4(2)}`);
  await station(t, lab.host(2), `vxvde:///peer=${lab.v4(1)}`, 2);
  await a.ping('10.1.1.2');
  await lab.host(1).must('ip route del 224.0.0.0/4');
  await a.run.waitForOutput(/no route leads to the group/);
  await a.tell('ip neigh flush dev vde0');
  await a.ping('10.1.1.2');
});

test('Of two with a group and peers on one host, the second is told what is in its way', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  const network = `vxvde://${GROUP}/peer=10.99.0.9`;
  await station(t, lab.host(1), network);
  const second = await lab.host(1).run([ours('vdens'), network, 'true']);
  assert.equal(second.status, 125);
  assert.match(second.stderr, /^vdens: .*UDP port 14789 is taken on this host, .*bind=\n$/);
  const bound = await lab.host(1).run([ours('vdens'), `${network}/bind=${lab.v4(1)}/port=14790`, 'true']);
  assert.equal(bound.status, 0, bound.stderr);
});

test('Peers by name are found where their names move to', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 3, multicast: false });
  const far = { network: `vxvde:///peer=${lab.v4(1)}`, number: 9 };
  lab.host(1).setNames({ 'far.lan.test': lab.v4(2) });
  const a = await station(t, lab.host(1), 'vxvde:///peer=far.lan.test');
  const before = await station(t, lab.host(2), far.network, far.number);
  await a.ping('10.1.1.9');
  before.run.kill('SIGKILL');
  await before.run.waitForExit();
  // A name of two addresses stands for both.
  lab.host(1).setNames({ 'far.lan.test': [lab.v4(2), lab.v4(3)] });
  await station(t, lab.host(3), far.network, far.number);
  // Its neighbour entry would ask a single host; what is for all is asked of all peers.
  const reaches = async (): Promise<boolean> => {
    await a.tell('ip neigh flush dev vde0');
    return / 1 received/.test(await a.tell('ping -c 1 -W 0.3 10.1.1.9'));
  };
  await waitFor(reaches, NAMES_MS, 'the peer under its new address');
});

test('A name that nobody knows is no end, and comes to be known', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2, multicast: false });
  const a = await station(t, lab.host(1), 'vxvde:///peer=far.lan.test');
  await a.run.waitForOutput(/^vdens: [^\n]*far\.lan\.test[^\n]*$/m);
  await station(t, lab.host(2), 'vxvde:///peer=10.99.0.1');
  lab.host(1).setNames({ 'far.lan.test': lab.v4(2) });
  await a.waitForPing('10.1.1.2', NAMES_MS);
  assert.equal(a.run.output().match(/^vdens: [^\n]*far\.lan\.test/gm)?.length, 1, 'said once');
});

test('A file of peers is read again when it changes', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 3, multicast: false });
  const file = join(makeTemporaryDirectory(t), 'lan.peers');
  writeFileSync(file, `# the LAN\n${lab.v4(1)}\n`);
  const capture = await lab.capture(({ source, payload }) => source === lab.v4(1) && payload.length > 8);
  const a = await FrameStation.start(t, 'ours', lab.host(1), `vxvde:///peers='${file}'`);
  const b = await FrameStation.start(t, 'ours', lab.host(2), `vxvde:///peer=${lab.v4(1)}`);
  const c = await FrameStation.start(t, 'ours', lab.host(3), `vxvde:///peer=${lab.v4(1)}`);
  let count = 0;
  const reached = async (...by: readonly FrameStation[]): Promise<void> => {
    const arrives = async (): Promise<boolean> => {
      const text = `number ${++count}`;
      a.send(frameOf(BROADCAST, mac(1), text));
      await sleep(100);
      return [b, c].every((other) => other.texts().includes(text) === by.includes(other));
    };
    await waitWithin(arrives, HEALING_MS, `${by.length} peers to be reached`);
  };
  await reached();
  assert.deepEqual(await capture.settled(), [], 'with nobody else in the list, nothing is sent');
  writeFileSync(file, `${lab.v4(1)}\n${lab.v4(2)} # the second\r\n\n`);
  await reached(b);
  // As editors do it: a new file takes the place of the old.
  writeFileSync(`${file}.new`, `${lab.v4(3)}:${VXVDE_PORT}\n${lab.v4(2)}\n`);
  renameSync(`${file}.new`, file);
  await reached(b, c);
  writeFileSync(file, `${lab.v4(3)}\n`);
  await reached(c);
  writeFileSync(file, `${lab.v4(3)}\nnot a peer!\n`);
  await waitWithin(
    () => /^trouble: [^\n]*line 2: [^\n]*$/m.test(a.client.errors()),
    HEALING_MS,
    'the line that is wrong',
  );
  await reached(c);
});

for (const from of ['one address', '10,000 addresses']) {
  test(`10,000 forged senders from ${from} neither fill the table nor stop the traffic`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const FORGED = 10_000;
    const lab = await Lab.start(t, { hosts: 3 });
    // All these addresses are those of the third host.
    await lab.host(3).must('ip route add local 10.50.0.0/16 dev lo');
    for (const number of [1, 2]) await lab.host(number).must(`ip route add 10.50.0.0/16 via ${lab.v4(3)}`);
    const a = await FrameStation.start(t, 'ours', lab.host(1), 'vxvde://');
    const [b, c] = [await station(t, lab.host(1), 'vxvde://', 21), await station(t, lab.host(2), 'vxvde://', 22)];
    await b.ping('10.1.1.22');
    const pings = c.tell('ping -c 20 -i 0.05 -W 2 10.1.1.21');
    if (from === 'one address') {
      const hand = await lab.host(3).openUdp(lab.v4(3));
      const packets = Array.from({ length: FORGED }, (_, index) =>
        vxlanPacket(1, frameOf(BROADCAST, mac(1000 + index), 'forged')),
      );
      for (let first = 0; first < FORGED; first += 500) {
        await hand.send(GROUP, VXVDE_PORT, ...packets.slice(first, first + 500));
      }
    } else {
      const words = [process.execPath, FORGE, '10.50', `${FORGED}`, GROUP, `${VXVDE_PORT}`, lab.v4(3)];
      const { status, stdout, stderr } = await lab.host(3).run(words, { timeoutMs: 40_000 });
      assert.equal(status, 0, `${stdout}${stderr}`);
    }
    assert.match(await pings, / 20 received/, 'meanwhile');
    await b.ping('10.1.1.22');
    await c.ping('fd01::21');
    // Whom it remembers, it sends to directly.
    const capture = await lab
      .host(1)
      .capture(
        ({ destination, payload }) => destination !== GROUP && textOf(payload.subarray(8)) === 'to a forged one',
      );
    for (let first = 0; first < FORGED; first += 500) {
      const some = Array.from({ length: 500 }, (_, index) => mac(1000 + first + index));
      a.send(...some.map((forged) => frameOf(forged, mac(1), 'to a forged one')));
      await sleep(50);
    }
    const known = (await capture.settled(1000)).length;
    assert.ok(known > 0, 'some are remembered');
    assert.ok(known <= 1024, `${known} are remembered`);
    await b.ping('10.1.1.22');
  });
}

test('What is not for us is not let in, and counted by reason', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const a = await station(t, lab.host(1), 'vxvde:///vni=7');
  await a.tell('ping -c 1 -W 0.3 10.1.1.99');
  await waitFor(async () => ((await dropsOf(a, 'vxvde'))['in echo'] ?? 0) > 0, 5000, 'its own multicast');
  const quiet = async (): Promise<number> => (await a.kernelCounters()).out.frames;
  const before = await quiet();
  const hand = await lab.host(2).openUdp(lab.v4(2));
  const frame = frameOf(BROADCAST, mac(5), 'forged');
  const reserved = vxlanPacket(7, frame);
  reserved[7] = 1;
  const send = async (count: number, packet: Buffer): Promise<void> =>
    await hand.send(GROUP, VXVDE_PORT, ...Array.from({ length: count }, () => packet));
  await send(3, vxlanPacket(8, frame));
  await send(4, vxlanPacket(7, frame, 0x88));
  await send(5, reserved);
  await send(6, Buffer.alloc(5));
  await send(7, vxlanPacket(7, frame.subarray(0, 13)));
  await send(20, Buffer.alloc(0));
  const wanted = { 'in foreign-vni': 3, 'in bad-header': 4 + 5, 'in too-short': 6 + 7 + 20 };
  const counted = async (): Promise<boolean> => {
    const drops = await dropsOf(a, 'vxvde');
    return Object.entries(wanted).every(([reason, count]) => drops[reason] === count);
  };
  await waitFor(counted, 5000, 'the counters').catch(async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await dropsOf(a, 'vxvde'))}`);
  });
  assert.ok((await quiet()) - before < 10, 'none of it came in');
  // A good one does.
  await send(20, vxlanPacket(7, frame));
  await waitFor(async () => (await quiet()) - before >= 20, 5000, 'twenty good ones');
  assert.deepEqual(
    Object.fromEntries(Object.entries(await dropsOf(a, 'vxvde')).filter(([key]) => key in wanted)),
    wanted,
  );
});

for (const [mtu, network, options, expected] of [
  [1500, 'vxvde://', [], 1450],
  [1500, 'vxvde:///v6', [], 1430],
  [1400, 'vxvde://', [], 1350],
  [1500, 'vxvde:///peer=10.99.0.2', [], 1450],
  [1500, 'vxvde:///peer=fd99::2', [], 1430],
  [1500, 'vxvde://', ['--mtu', '1300'], 1300],
  [1500, 'vxvde://', ['--mtu', '1500'], 1500],
  [9000, 'vxvde://', [], 8950],
  [1500, 'vxlan://', [], 1450],
  [1500, 'vxlan:///v6', [], 1430],
  [1400, 'vxlan:///v6', [], 1330],
  [1500, 'vxlan:///peer=10.99.0.2/peer=10.99.0.3', [], 1450],
  [1500, 'udp://5000->10.99.0.2:5000', [], 1458],
  [1500, 'udp://5000->fd99::2:5000', [], 1438],
  [1400, 'udp://5000->10.99.0.2:5000', ['--mtu', '1400'], 1400],
] as const) {
  test(`${network} ${options.join(' ')} on an underlay of ${mtu}: the MTU is ${expected}`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 2, mtu });
    const a = await station(t, lab.host(1), network, 1, options);
    assert.match(await a.tell('ip link show vde0'), new RegExp(` mtu ${expected} `));
    if (options.length > 0 || !network.endsWith('//')) return;
    // It is right: the largest packet that fits it is not cut to pieces, in either direction.
    const capture = await lab.capture(({ isFragment }) => isFragment);
    await station(t, lab.host(2), network);
    await a.ping('10.1.1.2', `-M do -s ${expected - 28}`);
    assert.deepEqual(await capture.settled(), []);
  });
}

test('Before there is an address to send from, the MTU is that of the interface', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 1, mtu: 1400 });
  await lab.host(1).must('ip -6 address flush dev eth0');
  for (const network of ['vxvde:///v6', 'vxlan:///v6/if=eth0']) {
    const { stdout } = await lab.host(1).run([ours('vdens'), network, 'ip', 'link', 'show', 'vde0']);
    assert.match(stdout, / mtu 1330 /, network);
  }
});

test('A frame too long for the path arrives in fragments, which is said once', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const capture = await lab.capture(({ isFragment }) => isFragment);
  for (const network of ['vxvde://', 'vxvde:///v6']) {
    const a = await station(t, lab.host(1), network, 1, ['--mtu', '1500']);
    const b = await station(t, lab.host(2), network, 2, ['--mtu', '1500']);
    const before = capture.packets().length;
    await a.ping('10.1.1.2', '-M do -s 1472');
    await a.ping('10.1.1.2', '-M do -s 1472');
    assert.ok((await capture.settled()).length - before >= 24, 'two fragments for each of twelve packets');
    const said = a.run.output().match(/^vdens: [^\n]*(MTU|fragment|too (long|large|big))[^\n]*$/gim) ?? [];
    assert.equal(said.length, 1, a.run.output());
    for (const one of [a, b]) {
      one.run.endInput();
      await one.run.waitForExit();
    }
  }
});

test('The path becomes narrower than it was: nothing is lost', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const [a, b] = [await station(t, lab.host(1), 'vxvde://'), await station(t, lab.host(2), 'vxvde://')];
  await a.ping('10.1.1.2', '-M do -s 1422');
  for (const host of lab.hosts) await host.must('ip link set eth0 mtu 1400');
  await a.ping('10.1.1.2', '-M do -s 1422');
  await b.ping('10.1.1.1', '-M do -s 1422');
});

test('A transfer is right, between two, and with forged and foreign packets beside it', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 3 });
  const [a, b] = [await station(t, lab.host(1), 'vxvde://'), await station(t, lab.host(2), 'vxvde://')];
  await b.receiveTransfer(7000);
  const hand = await lab.host(3).openUdp(lab.v4(3));
  const transfer = a.sendTransfer('10.1.1.2', 7000, 50_000_000);
  for (let turn = 0; turn < 20; turn++) {
    const frame = frameOf(BROADCAST, mac(turn), 'forged', 60 + turn * 61);
    await hand.send(
      GROUP,
      VXVDE_PORT,
      vxlanPacket(1, frame),
      vxlanPacket(2, frame),
      Buffer.alloc(turn),
      vxlanHeader(1),
    );
  }
  await transfer;
});

/** What the interface's own namespace says of the group, which a socket may list although it is lost. */
async function isInGroup(host: LabHost, group: string): Promise<boolean> {
  return (await host.must('ip maddr show dev eth0')).includes(group);
}

for (const { network, group, lose } of [
  {
    network: 'vxvde:///v6/if=eth0',
    group: 'ff05:56de::1',
    // Below 1280 bytes an interface has no IPv6.
    lose: 'ip link set eth0 mtu 1200; sleep 0.5; ip link set eth0 mtu 1500; ip addr add fd99::1/64 dev eth0 nodad',
  },
  {
    network: 'vxvde:///if=eth0',
    group: '239.0.0.1',
    lose: 'unshare --net sleep 3 & sleep 0.5; ip link set eth0 netns $!; sleep 0.5; nsenter --net --target $! ip link set eth0 netns $$; ip addr add 10.99.0.1/24 dev eth0; ip link set eth0 up; ip route add 224.0.0.0/4 dev eth0',
  },
]) {
  test(`${network}: the group is joined again when the same interface comes back`, LIMIT, async (t) => {
    if (!requireCommands(t, 'ip', 'ping', 'unshare', 'nsenter')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    const a = await station(t, lab.host(1), network);
    await station(t, lab.host(2), network, 2);
    await a.ping('10.1.1.2');
    await lab.host(1).must(lose);
    await waitFor(() => isInGroup(lab.host(1), group), 5000, 'the group');
    await a.tell('ip neigh flush dev vde0');
    await a.waitForPings('10.1.1.2', HEALING_MS);
  });
}

test('A look at the underlay that fails takes nothing away', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping', 'prlimit')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const a = await station(t, lab.host(1), 'vxvde://');
  await station(t, lab.host(2), 'vxvde://', 2);
  await a.ping('10.1.1.2');
  const limit = (files: number): string => `prlimit --pid ${a.run.pid} --nofile=${files}:4096`;
  await lab.host(1).must(`${limit(8)}; ip addr add 10.200.0.1/32 dev lo; sleep 0.5`);
  await a.run.waitForOutput(/cannot find out whether the way of its packets changed/);
  await a.ping('10.1.1.2');
  await lab.host(1).must(`${limit(1024)}; ip addr del 10.200.0.1/32 dev lo; sleep 0.5`);
  await a.ping('10.1.1.2');
});

test('A link-local peer is found again at a new interface of the same name', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const linkLocal = async (host: LabHost): Promise<string> => {
    const text = await host.must('ip -6 -o addr show dev eth0 scope link');
    return /inet6 (fe80:[^/]*)/.exec(text)?.[1] ?? '';
  };
  const a = await station(t, lab.host(1), `vxvde:///if=eth0/peer=${await linkLocal(lab.host(2))}`);
  const b = await station(t, lab.host(2), `vxvde:///if=eth0/peer=${await linkLocal(lab.host(1))}`, 2);
  await a.ping('10.1.1.2');
  // What was learned is of the interface that goes: nobody may ask for a neighbour or say anything by himself.
  for (const end of [a, b]) {
    await end.tell('echo 1 > /proc/sys/net/ipv6/conf/vde0/disable_ipv6');
    await end.tell(`ip neigh show dev vde0 | while read ip rest; do ip neigh change $ip dev vde0 nud permanent; done`);
  }
  await lab.host(1).removeInterface();
  await a.run.waitForOutput(/there is no interface/);
  await lab.host(1).addInterface();
  await a.run.waitForOutput(/is back/);
  await a.waitForPing('10.1.1.2', HEALING_MS);
});

test(
  'A path that is narrower beyond the first hop is found out, told once, and carries everything in fragments',
  LIMIT,
  async (t) => {
    if (!requireCommands(t, 'ip', 'ping', 'iperf3')) return;
    const lab = await Lab.start(t, { hosts: 3 });
    const [near, router, far] = [lab.host(1), lab.host(2), lab.host(3)];
    await router.must(
      `ip link add narrow mtu 1400 type veth peer name narrow mtu 1400 netns ${far.pid}; ip addr add 10.98.0.2/24 dev narrow; ip link set narrow up; sysctl -qw net.ipv4.ip_forward=1`,
    );
    await far.must('ip addr add 10.98.0.3/24 dev narrow; ip link set narrow up; ip link set eth0 down');
    await far.must('ip route add 10.99.0.0/24 via 10.98.0.2');
    await near.must('ip route add 10.98.0.0/24 via 10.99.0.2');
    const a = await station(t, near, 'vxvde:///peer=10.98.0.3');
    const b = await station(t, far, 'vxvde:///peer=10.99.0.1', 2);
    await a.ping('10.1.1.2');
    await b.tell('iperf3 --server --one-off --daemon');
    // TCP asks the other end, which knows its own first hop.
    await a.tell('iperf3 --client 10.1.1.2 --time 2 --udp --length 1400 --bandwidth 300M >/dev/null');
    const told = /frames of \d+ bytes do not fit the path, which has room for 1364, and leave in fragments/;
    await a.run.waitForOutput(told);
    await a.tell('ping -c 3 -i 0.2 -s 1420 10.1.1.2 >/dev/null');
    assert.equal([...a.run.output().matchAll(new RegExp(told, 'g'))].length, 1);
  },
);
