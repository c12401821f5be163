/**
 * The test hosts themselves, with the originals and the kernel only: what the tests of our networks over UDP stand on.
 */
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { Lab } from '../fixtures/lab.ts';
import { udpPort } from '../fixtures/lab-capture.ts';
import { startKernelStation, startStation } from '../fixtures/overlay-station.ts';
import { original, requireCommands, runCommand, waitFor } from '../interop/harness.ts';

const LIMIT = { timeout: 60_000 };

test('Hosts reach each other over IPv4 and IPv6, and nothing else', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 3 });
  for (const address of [lab.v4(2), lab.v6(2), lab.v4(3), lab.v6(3)]) {
    const { stdout } = await lab.host(1).run(['ping', '-c', '1', '-W', '2', address]);
    assert.match(stdout, /1 received/, address);
  }
  const links = await lab.wire.must('ip -o link');
  assert.deepEqual(
    links.match(/^\d+: [a-z0-9]+/gm)?.map((text) => text.split(' ')[1]),
    ['lo', 'br0', 'h1', 'h2', 'h3'],
  );
  const own = readlinkSync('/proc/self/ns/net');
  for (const space of [lab.wire, ...lab.hosts]) {
    assert.notEqual(await space.must('readlink /proc/self/ns/net'), `${own}\n`);
    assert.doesNotMatch(await space.must('ip route show table all; ip -6 route show table all'), /^default/m);
  }
});

test('A host is unplugged, plugged in again, loses its interface and gets another', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const reaches = async (address: string): Promise<boolean> =>
    /1 received/.test((await lab.host(1).run(['ping', '-c', '1', '-W', '0.3', address])).stdout);
  assert.ok(await reaches(lab.v4(2)));
  await lab.host(2).unplug();
  assert.equal(await reaches(lab.v4(2)), false);
  await lab.host(2).plug();
  await waitFor(() => reaches(lab.v6(2)), 5000, 'the host that was unplugged');
  await lab.host(2).removeInterface();
  assert.equal(await reaches(lab.v4(2)), false);
  await lab.host(2).addInterface();
  await waitFor(() => reaches(lab.v4(2)), 5000, 'the host whose interface is new');
  await waitFor(() => reaches(lab.v6(2)), 5000, 'the host whose interface is new, over IPv6');
});

test('Each host has names of its own, which change', LIMIT, async (t) => {
  const lab = await Lab.start(t, { hosts: 2 });
  lab.host(1).setNames({ peer: lab.v4(2) });
  lab.host(2).setNames({ peer: [lab.v6(1), lab.v4(1)] });
  const lookUp = async (number: number): Promise<string> => await lab.host(number).must('getent ahosts peer || true');
  assert.match(await lookUp(1), /^10\.99\.0\.2 /);
  assert.match(await lookUp(2), /^fd99::1 /m);
  assert.match(await lookUp(2), /^10\.99\.0\.1 /m);
  lab.host(1).setNames({ other: lab.v4(2) });
  assert.equal(await lookUp(1), '');
});

test('A capture shows datagrams as they were sent', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const captures = [await lab.capture(udpPort(5000)), await lab.host(2).capture(udpPort(5000))];
  for (const [here, there, group] of [
    [lab.v4(1), lab.v4(2), '239.1.2.3'],
    [lab.v6(1), lab.v6(2), 'ff05::123'],
  ] as const) {
    const [a, b] = [await lab.host(1).openUdp(here), await lab.host(2).openUdp(there, 5000)];
    const everybody = await lab.host(2).openUdp(group, 5000, [group]);
    await a.send(there, 5000, Buffer.from('to one'));
    await a.send(group, 5000, Buffer.from('to all'));
    assert.deepEqual(await b.waitFor(() => true, 'the first'), {
      from: here,
      port: a.port,
      payload: Buffer.from('to one'),
    });
    await everybody.waitFor(({ payload }) => payload.toString() === 'to all', 'the second');
    for (const capture of captures) {
      const packet = await capture.waitFor(({ destination }) => destination === group, 'the second');
      assert.equal(packet.source, here);
      assert.deepEqual([packet.sourcePort, packet.destinationPort], [a.port, 5000]);
      assert.equal(packet.ttl, 1);
      assert.equal(packet.payload.toString(), 'to all');
    }
    await Promise.all([a, b, everybody].map((peer) => peer.close()));
  }
  assert.equal((await captures[0]?.settled())?.length, 4);
});

test('The MTU of the underlay is that of the lab; larger packets are fragments', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2, mtu: 1400 });
  const capture = await lab.capture(({ isFragment }) => isFragment);
  const whole = await lab.host(1).run(['ping', '-c', '1', '-M', 'do', '-s', '1372', lab.v4(2)]);
  assert.match(whole.stdout, /1 received/);
  const tooLong = await lab.host(1).run(['ping', '-c', '1', '-W', '0.3', '-M', 'do', '-s', '1373', lab.v4(2)]);
  assert.doesNotMatch(tooLong.stdout, /1 received/);
  const pieces = await lab.host(1).run(['ping', '-c', '1', '-s', '1373', lab.v4(2)]);
  assert.match(pieces.stdout, /1 received/);
  const packets = await capture.settled();
  assert.equal(packets.length, 4, 'two there, two back');
});

test('Two hosts can be joined directly', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2, direct: true });
  for (const address of [lab.v4(2), lab.v6(2)]) {
    const { stdout } = await lab.host(1).run(['ping', '-c', '1', '-W', '2', address]);
    assert.match(stdout, /1 received/, address);
  }
});

test('Nothing of the lab remains', LIMIT, async (t) => {
  const releases: (() => void | Promise<void>)[] = [];
  const owner = { after: (release: () => void | Promise<void>): void => void releases.push(release) };
  const lab = await Lab.start(owner, { hosts: 2 }).catch((error: unknown) => {
    t.after(async () => await Promise.all(releases.map((release) => release())));
    throw error;
  });
  const pids = [lab.wire.pid, ...lab.hosts.map((host) => host.pid)];
  for (const pid of pids) assert.equal(process.kill(pid, 0), true);
  for (const release of releases.reverse()) await release();
  const isGone = (pid: number): boolean => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  };
  await waitFor(() => pids.every(isGone), 5000, 'the end of the keepers');
});

for (const [underlay, network] of [
  ['IPv4', 'vxvde://'],
  ['IPv6', 'vxvde:///v6'],
] as const) {
  test(`Two originals on ${network} ping each other over ${underlay}`, LIMIT, async (t) => {
    if (!requireCommands(t, 'vdens', 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    const start = { program: 'original', network } as const;
    const a = await startStation(t, { ...start, host: lab.host(1), address: '10.1.1.1/24' });
    await startStation(t, { ...start, host: lab.host(2), address: '10.1.1.2/24' });
    await a.ping('10.1.1.2');
  });
}

test('vde_plug of the originals joins two hosts by udp://', LIMIT, async (t) => {
  if (!requireCommands(t, 'vde_plug', 'ip')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const plug = original('vde_plug') ?? '';
  const there = await lab.host(2).spawn([plug, `udp://3000->${lab.v4(1)}:2000`]);
  const frame = Buffer.alloc(60, 'x');
  const stream = Buffer.concat([Buffer.from([0, frame.length]), frame]);
  // The other one may not listen yet.
  for (let turn = 0; turn < 10 && there.output() === ''; turn++) {
    const here = lab.host(1).command(['sh', '-c', `{ cat; sleep 0.2; } | ${plug} 'udp://2000->${lab.v4(2)}:3000'`]);
    await runCommand(here, { input: stream, timeoutMs: 1000 });
  }
  await there.waitForOutput(/x{60}/);
});

for (const family of ['v4', 'v6'] as const) {
  for (const way of ['multicast', 'unicast FDB'] as const) {
    test(`The kernel's own VXLAN device pings another: ${way}, ${family}`, LIMIT, async (t) => {
      if (!requireCommands(t, 'ip', 'bridge', 'ping')) return;
      const lab = await Lab.start(t, { hosts: 2 });
      const group = family === 'v4' ? '239.0.0.1' : 'ff05:56de::1';
      const [a, b] = [1, 2].map((number) => {
        const address = `10.1.1.${number}/24`;
        const local = `local ${lab[family](number)}`;
        const device = way === 'multicast' ? `id 77 group ${group} dev eth0` : `id 77 ${local}`;
        return startKernelStation(t, { host: lab.host(number), device: `${device} dstport 4789`, address });
      }) as [ReturnType<typeof startKernelStation>, ReturnType<typeof startKernelStation>];
      const stations = [await a, await b] as const;
      if (way === 'unicast FDB') {
        await lab.host(1).must(`bridge fdb append 00:00:00:00:00:00 dev vx0 dst ${lab[family](2)}`);
        await lab.host(2).must(`bridge fdb append 00:00:00:00:00:00 dev vx0 dst ${lab[family](1)}`);
      }
      await stations[0].ping('10.1.1.2');
    });
  }
}
