/**
 * Networks over UDP while they are opened: what they are given may be slow, odd or of one link only. On test hosts.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab, type LabHost } from '../fixtures/lab.ts';
import type { CapturedPacket } from '../fixtures/lab-capture.ts';
import type { LanHost } from '../fixtures/lan-host.ts';
import { startStation } from '../fixtures/overlay-station.ts';
import { type CommandResult, makeTemporaryDirectory, ours, requireCommands, waitFor } from '../interop/harness.ts';

const LIMIT = { timeout: 60_000 };
/** How soon a start that is refused, or given up, is over: Node.js has to start, too. */
const SOON_MS = 4000;
/** Names are looked up every 10 s. */
const NAMES_MS = 20_000;

test('A list of peers that would never end, or never come, is refused at once', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'mkfifo', 'truncate')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  const folder = makeTemporaryDirectory(t);
  const [pipe, huge] = [join(folder, 'pipe'), join(folder, 'huge')];
  await lab.host(1).must(`mkfifo ${pipe}; truncate -s 3G ${huge}`);
  for (const [path, why] of [
    [pipe, 'it is not a regular file'],
    ['/dev/zero', 'it is not a regular file'],
    [huge, 'it has more than 1048576 bytes'],
  ] as const) {
    const network = `vxvde:///peers='${path}'`;
    const result = await lab.host(1).run([ours('vdens'), network, 'true'], { timeoutMs: SOON_MS });
    assert.equal(result.isTimedOut, false, path);
    assert.equal(result.stderr, `vdens: ${network}: cannot read the list of peers ${path}: ${why}\n`);
    assert.equal(result.status, 125);
  }
});

for (const [signal, status] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  test(`While no name server answers, ${signal} ends the start, and the process, at once`, LIMIT, async (t) => {
    const host = await hostWithoutNameServer(t);
    if (host === undefined) return;
    const folder = makeTemporaryDirectory(t);
    writeFileSync(join(folder, 'peers'), names(40).join('\n'));
    for (const network of [
      `vxvde:///peers='${folder}/peers'`,
      `vxvde:///v4/peers='${folder}/peers'`,
      'vxvde://group.example.org/v4',
      'udp://5000->there.example.org:5000',
      'udp://here.example.org:5000->10.99.0.2:5000',
    ]) {
      const run = await host.spawn([ours('vdens'), network, 'true']);
      await sleep(1200);
      assert.equal(run.hasExited(), false, `${network}: ${run.output()}`);
      const start = performance.now();
      run.kill(signal);
      assert.deepEqual(await run.waitForExit(SOON_MS), { status, signal: null }, network);
      // It would wait for 5 s, of which one has passed.
      assert.ok(performance.now() - start < 3000, `${network}: ${performance.now() - start} ms`);
      assert.equal(run.output(), '');
    }
  });
}

test('While no name server answers, names delay the start once, and the end not at all', LIMIT, async (t) => {
  const host = await hostWithoutNameServer(t);
  if (host === undefined) return;
  const start = performance.now();
  const peers = names(10).map((name) => `/peer=${name}`);
  const result = await host.run([ours('vdens'), `vxvde://${peers.join('')}`, 'sleep', '2']);
  const elapsedMs = performance.now() - start;
  assert.equal(result.status, 0, result.stderr);
  assert.match(result.stderr, /cannot look up the peers .* \(ETIMEDOUT\): no name server answers/);
  // To guess the family, then to know the peers: 5 s each.
  assert.ok(elapsedMs < 18_000, `${elapsedMs} ms`);
});

test('Addresses of one link: a line, a group, peers, each between two hosts', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  // The link of the same name has another number in each.
  await lab.host(2).must('ip link add spare type veth peer name other; ip link del eth0');
  await lab.host(2).addInterface();
  const [one, two] = [await linkLocalOf(lab.host(1)), await linkLocalOf(lab.host(2))];
  const index = /^\d+/.exec(await lab.host(2).must('ip -o link show eth0'))?.[0];
  const cases: readonly (readonly [string, string])[] = [
    [`udp://5000->[${two}%eth0]:6000`, `udp://6000->[${one}%eth0]:5000`],
    [`udp://${one}%eth0:5000->[${two}%eth0]:6000`, `udp://[${two}%${index}]:6000->${one}%${index}:5000`],
    ['vxvde://ff02::1234/if=eth0', 'vxvde://ff02::1234/if=eth0'],
    ['vxlan://ff02::1234/if=eth0', 'vxlan://ff02::1234/if=eth0'],
    [`vxvde://ff02::1234/if=eth0/bind=${one}`, 'vxvde://ff02::1234/if=eth0'],
    [`vxvde:///if=eth0/bind=${one}/peer=${two}`, `vxvde:///if=eth0/bind=${two}/peer=${one}`],
    [`vxlan:///if=eth0/bind=${one}/peer=${two}`, `vxlan:///if=eth0/peer=${one}`],
  ];
  for (const [network, other] of cases) {
    const a = await startStation(t, { program: 'ours', host: lab.host(1), network, address: '10.1.1.1/24' });
    const b = await startStation(t, { program: 'ours', host: lab.host(2), network: other, address: '10.1.1.2/24' });
    await a.ping('10.1.1.2');
    await b.ping('10.1.1.1');
    for (const { run } of [a, b]) {
      assert.equal(run.output().match(/^vdens: .*$/m), null, `${network}: ${run.output()}`);
      run.endInput();
      await run.waitForExit();
    }
  }
});

test('An address of one link, and no such link', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  for (const network of ['udp://5->fe80::1%wlan7:6', 'vxvde://ff02::3/if=wlan7', 'vxlan:///if=wlan7/bind=fe80::1/v6']) {
    const { status, stderr } = await lab.host(1).run([ours('vdens'), network, 'true']);
    assert.equal(stderr, `vdens: ${network}: there is no interface "wlan7". See: ip link\n`);
    assert.equal(status, 125);
  }
});

test(
  'On a small underlay IPv6 inside keeps what it needs, and that is said; without IPv6 nothing is',
  LIMIT,
  async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 2, mtu: 1280 });
    const network = 'vxvde://';
    const start = async (number: number, address: string, options: readonly string[] = []): Promise<LanHost> =>
      await startStation(t, { program: 'ours', host: lab.host(number), network, address, options });
    const a = await start(1, '10.1.1.1/24', ['--address', 'fd01::1/64']);
    const b = await start(2, 'fd01::2/64');
    const line =
      'vdens: vde0: vxvde://: there is room for an MTU of 1230, and IPv6 needs 1280, which vde0 has. ' +
      'What is longer than 1230 leaves in fragments\n';
    for (const { run } of [a, b]) assert.ok(run.output().includes(line), run.output());
    await a.ping('fd01::2');
    // Fills the 1280 bytes.
    await b.ping('fd01::1', '-s 1232');
    for (const { run } of [a, b]) {
      run.endInput();
      await run.waitForExit();
    }
    const small = await start(1, '10.1.1.1/24');
    assert.match(await small.tell('ip link show vde0'), / mtu 1230 /);
    const chosen = await start(2, '10.1.1.2/24', ['--mtu', '1200']);
    assert.match(await chosen.tell('ip link show vde0'), / mtu 1200 /);
    for (const { run } of [small, chosen]) assert.doesNotMatch(run.output(), /^vdens: /m);
  },
);

test('Networks of one process that cannot share a port say in what they differ', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  for (const [options, others, difference] of [
    ['', '/ttl=4', 'ttl='],
    ['', '/if=eth0/rcvbuf=64k', 'if=, rcvbuf='],
    ['/ttl=4', '/ttl=4/peer=10.99.0.2', 'ttl=, which is for the group of one and the peers of the other'],
    ['', '/bind=10.99.0.1', 'bind='],
  ] as const) {
    const other = `vxlan:///vni=2${others}`;
    const result = await lab.host(1).run([ours('vdens'), '-m', `vxlan://${options}`, other, '--', 'true']);
    const why = `another network of this process has UDP port 4789, and they cannot share it: they differ in ${difference}`;
    assert.equal(result.stderr, `vdens: ${other}: ${why}. Write the same in both, or take another port for one\n`);
    assert.equal(result.status, 125);
  }
  for (const others of ['', '/ttl=1', '/peer=10.99.0.2']) {
    const result = await lab.host(1).run([ours('vdens'), '-m', 'vxlan://', `vxlan:///vni=2${others}`, '--', 'true']);
    assert.equal(result.stderr, '');
    assert.equal(result.status, 0);
  }
});

test('Who can reach nobody but oneself is told: by a group, by peers, on a line', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  const run = async (network: string): Promise<CommandResult> =>
    await lab.host(1).run([ours('vdens'), network, 'sleep', '0.3']);
  for (const [network, address] of [
    ['vxvde:///bind=127.0.0.1', '127.0.0.1'],
    ['vxvde://ff15::3/bind=::1', '::1'],
    ['vxlan:///bind=127.0.1.1', '127.0.1.1'],
  ] as const) {
    const what = `${address} is an address of this host alone, from which nobody else is reached by multicast`;
    const { status, stderr } = await run(network);
    assert.equal(
      stderr,
      `vdens: ${network}: ${what}. Bind to the one of an interface, or leave bind= out (see: ip address)\n`,
    );
    assert.equal(status, 125);
  }
  lab.host(1).setNames({ one: '10.99.0.1' });
  for (const network of ['vxvde:///peer=10.99.0.1', 'vxlan:///peer=one/peer=127.0.0.1', 'vxvde:///v6/peer=fd99::1']) {
    const { status, stderr } = await run(network);
    const what = 'all peers are this very host, at its own port, and none is another one. Name the others';
    assert.equal(stderr, `vdens: vde0: ${network}: ${what}\n`);
    assert.equal(status, 0);
  }
  for (const line of ['udp://5000->10.99.0.1:5000', 'udp://[::1]:5000->[::1]:5000']) {
    const what = 'the other end is this very host, at its own port. Name another host, or another port';
    assert.equal((await run(line)).stderr, `vdens: vde0: ${line}: ${what}\n`);
  }
  // Somebody else on this host, and a name that may be found later.
  assert.equal((await run('udp://5000->10.99.0.1:5001')).stderr, '');
  assert.equal((await run('vxvde:///peer=127.0.0.1:5000')).stderr, '');
  assert.doesNotMatch((await run('vxvde:///peer=one/peer=two.invalid')).stderr, /this very host/);
});

test('The address of all hosts of a subnet is no peer, and no other end', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 2 });
  const line = 'udp://5000->10.99.0.255:6000';
  const refused = await lab.host(1).run([ours('vdens'), line, 'true']);
  const all = '10.99.0.255 stands for all hosts of 10.99.0.0/24';
  assert.equal(refused.stderr, `vdens: ${line}: ${all}, and a line has one other end. Name one of them\n`);
  assert.equal(refused.status, 125);
  const network = 'vxvde:///peer=10.99.0.255/peer=10.99.0.2';
  const a = await startStation(t, { program: 'ours', host: lab.host(1), network, address: '10.1.1.1/24' });
  const other = 'vxvde:///peer=10.99.0.1';
  await startStation(t, { program: 'ours', host: lab.host(2), network: other, address: '10.1.1.2/24' });
  await a.ping('10.1.1.2');
  const what = 'the peer 10.99.0.255 is left out: it stands for all hosts of 10.99.0.0/24. Name them one by one';
  assert.deepEqual(a.run.output().match(/^vdens: .*$/gm), [`vdens: vde0: ${network}: ${what}`]);
});

test('A line by name goes to one address, of the right family, and follows the name', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'ping')) return;
  const lab = await Lab.start(t, { hosts: 3 });
  lab.host(1).setNames({ there: ['fd99::2', lab.v4(3), lab.v4(2)] });
  const isForTwo = ({ destination }: CapturedPacket): boolean => destination === lab.v4(2);
  const capture = await lab.host(1).capture(isForTwo);
  const start = async (number: number, network: string): Promise<LanHost> =>
    await startStation(t, { program: 'ours', host: lab.host(number), network, address: `10.1.1.${number}/24` });
  const a = await start(1, 'udp://10.99.0.1:5000->there:6000');
  await start(2, 'udp://6000->10.99.0.1:5000');
  await start(3, 'udp://6000->10.99.0.1:5000');
  await a.ping('10.1.1.3');
  assert.match(await a.tell('ping -c 1 -W 0.3 10.1.1.2'), / 0 received/);
  assert.equal((await capture.settled()).length, 0);
  lab.host(1).setNames({ there: ['fd99::2', lab.v4(2)] });
  await a.waitForPing('10.1.1.2', NAMES_MS);
  assert.match(await a.tell('ping -c 1 -W 0.3 10.1.1.3'), / 0 received/);
});

/** Its address fe80::…, once it may be used. */
async function linkLocalOf(host: LabHost): Promise<string> {
  return await waitFor(
    async () => {
      const text = await host.must('ip -6 -o address show dev eth0 scope link -tentative');
      return /inet6 (fe80:[^/]*)/.exec(text)?.[1];
    },
    10_000,
    'a link-local address',
  );
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `box${index}.example.org`);
}

/** A host whose name server takes every question and answers none; undefined when there can be none. */
async function hostWithoutNameServer(t: TestContext): Promise<LabHost | undefined> {
  if (!requireCommands(t, 'ip', 'mount')) return undefined;
  const lab = await Lab.start(t, { hosts: 2 });
  const file = join(makeTemporaryDirectory(t), 'resolv.conf');
  writeFileSync(file, `nameserver ${lab.v4(2)}\n`);
  await lab.host(2).openUdp(lab.v4(2), 53);
  await lab.host(1).must(`mount --bind ${file} /etc/resolv.conf`);
  return lab.host(1);
}

test(
  'One namespace in networks of all kinds at once: each interface has its network, and the MTU of it',
  LIMIT,
  async (t) => {
    if (!requireCommands(t, 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    // The hosts of a lab have one file system.
    const path = join(makeTemporaryDirectory(t), 'lan');
    const start = (number: number, other: number): Promise<LanHost> =>
      startStation(t, {
        program: 'ours',
        host: lab.host(number),
        address: `vde0=10.20.0.${number}/24`,
        options: [1, 2, 3].flatMap((index) => ['--address', `vde${index}=10.2${index}.0.${number}/24`]),
        network: 'vxvde://',
        networks: [`switch://${path}`, 'vxlan:///v6/vni=7', `udp://7000->${lab.v4(other)}:7000`],
      });
    const [a] = [await start(1, 2), await start(2, 1)];
    for (const index of [0, 1, 2, 3]) await a.ping(`10.2${index}.0.2`);
    const links = await a.tell('ip -o link');
    const mtus = [...links.matchAll(/ (vde\d): .* mtu (\d+) /g)].map(([, name, mtu]) => `${name} ${mtu}`);
    assert.deepEqual(mtus.toSorted(), ['vde0 1450', 'vde1 1500', 'vde2 1430', 'vde3 1458']);
  },
);
