/** Echo, errors and the path through the gateway, as ping(8) and traceroute(8) see them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  GATEWAY,
  GatewayLab,
  type GatewayLabOptions,
  type Guest,
  gatewayCommands,
  HOST,
  NAME_SERVER,
  NOWHERE,
} from '../fixtures/gateway-lab.ts';
import { requireCommands, waitFor } from '../interop/harness.ts';

const MEBIBYTE = 1024 * 1024;

interface Scene {
  readonly lab: GatewayLab;
  readonly guest: Guest;
}

async function openScene(t: TestContext, options: GatewayLabOptions = {}): Promise<Scene | undefined> {
  if (!requireCommands(t, ...gatewayCommands)) return undefined;
  const lab = await GatewayLab.start(t, options);
  return { lab, guest: await lab.guest() };
}

/** Pings; everything that ping printed. */
async function ping({ guest }: Scene, address: string, ...words: readonly string[]): Promise<string> {
  const { stdout, stderr } = await guest.run(['ping', '-c', '3', '-i', '0.2', '-W', '3', ...words, address]);
  return stdout + stderr;
}

for (const version of ['v4', 'v6'] as const) {
  test(`IP${version}: the gateway, the host, another machine answer echoes, small and large`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    for (const address of [GATEWAY[version], HOST[version], scene.lab.remoteAddress[version]]) {
      assert.match(await ping(scene, address), / 3 received/, address);
      assert.match(await ping(scene, address, '-s', '1400', '-p', 'a5'), / 3 received/, `${address}, 1400 bytes`);
      assert.match(await ping(scene, address, '-s', '5000'), / 3 received/, `${address}, 5000 bytes`);
    }
    assert.match(await ping(scene, NAME_SERVER[version]), / 3 received/, 'the name server');
  });

  test(`IP${version}: two guest programs that ping at once get their own answers`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const address = scene.lab.remoteAddress[version];
    const all = await Promise.all(Array.from({ length: 6 }, () => ping(scene, address)));
    for (const text of all) {
      assert.match(text, / 3 received/);
      assert.doesNotMatch(text, /DUP/);
    }
  });

  test(`IP${version}: no answer is forged for whom the host cannot reach`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const expected = [
      [
        'unreachable',
        version === 'v4' ? /Destination Host Unreachable/ : /Destination unreachable: (Address|No route)/,
      ],
      ['prohibited', version === 'v4' ? /Packet filtered|Prohibited/ : /Destination unreachable: Administratively/],
      ['noRoute', version === 'v4' ? /Destination Net Unreachable/ : /Destination unreachable: No route/],
    ] as const;
    for (const [name, line] of expected) {
      const text = await ping(scene, NOWHERE[name][version]);
      assert.match(text, / 0 received/, name);
      assert.match(text, line, name);
    }
    assert.match(await ping(scene, version === 'v4' ? '10.99.0.77' : 'fd99::77'), / 0 received/);
  });

  test(`IP${version}: when the host may not ping, a guest hears that it is prohibited, and the log says it once`, async (t) => {
    const scene = await openScene(t, { mayPing: false });
    if (scene === undefined) return;
    const address = scene.lab.remoteAddress[version];
    const text = await ping(scene, address);
    assert.match(text, / 0 received/);
    assert.match(text, version === 'v4' ? /Packet filtered|Prohibited/ : /Administratively prohibited/);
    await scene.guest.vdens.waitForOutput(/ping_group_range/);
    await ping(scene, address);
    const lines = scene.guest.vdens.output().match(/^.*ping_group_range.*$/gm) ?? [];
    assert.equal(lines.length, 1, lines.join('\n'));
    // The gateway's own answers are no forgery.
    assert.match(await ping(scene, GATEWAY[version]), / 3 received/);
  });

  test(`IP${version}: traceroute sees the gateway, and then the destination`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined || !requireCommands(t, 'traceroute')) return;
    const words = ['-n', '-q', '1', '-w', '2', '-m', '4', scene.lab.remoteAddress[version]];
    const { stdout } = await scene.guest.run(['traceroute', ...words], { timeoutMs: 30_000 });
    const hops = Array.from(stdout.matchAll(/^ *\d+ +(\S+)/gm), ([, address]) => address);
    const [router = '', destination, ...more] = hops;
    assert.ok(router === GATEWAY[version] || router.startsWith('fe80::'), stdout);
    assert.deepEqual([destination, more], [scene.lab.remoteAddress[version], []], stdout);
  });

  test(`IP${version}: a narrower path is told to the guest, and TCP fits itself`, async (t) => {
    const scene = await openScene(t);
    if (scene === undefined) return;
    const address = scene.lab.remoteAddress[version];
    await scene.lab.host.must(
      `ip ${version === 'v4' ? '' : '-6 '}route add ${address} dev eth0 mtu 1300 ${version === 'v4' ? 'src 10.99.0.1' : ''}`,
    );
    const remote = await scene.lab.remote.tcp();
    const port = await remote.listen(address);
    const near = await (await scene.guest.tcp()).connect(address, port);
    const far = await remote.accept(port);
    const sending = near.send(4 * MEBIBYTE);
    assert.equal((await far.receive({ bytes: 4 * MEBIBYTE })).sum, (await sending).sum);
    // A datagram that must not be cut is answered with the size that would do.
    const isTold = async (): Promise<boolean> =>
      /(Frag needed|too big|Message too long).*(mtu|MTU)\s*=?\s*1300|mtu=1300/i.test(
        await ping(scene, address, '-M', 'do', '-s', '1400'),
      );
    await waitFor(isTold, 15_000, 'word of the MTU of 1300');
  });
}
