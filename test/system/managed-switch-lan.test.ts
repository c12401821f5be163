/**
 * Hosts in a VLAN that spans two managed switches: frames as large as TAPs make them get a tag on the trunk between
 * them, and lose it.
 *
 * ```
 * host ── access port, VLAN 10 ── switch ══ trunk: tags ══ switch ── access port, VLAN 10 ── host, original vdens
 * ```
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openPlug } from '../../src/index.ts';
import { MemoryPlug } from '../../src/plugs/memory.ts';
import { NO_VLAN } from '../../src/switch/managed/managed-switch.ts';
import { LanHost } from '../fixtures/lan-host.ts';
import { ManagedLab } from '../fixtures/managed-lab.ts';
import { original, requireCommands, spawnBackground, waitFor } from '../interop/harness.ts';
import { inNamespace } from '../interop/original-vdens.ts';

const TIMEOUT = { timeout: 60_000 };
const HERE = '10.82.10.1';
const THERE = '10.82.10.2';
const ORIGINAL = '10.82.10.3';
const BYTES = 15_000_000;
/** Fewer bytes than these in a frame, on average, would be ordinary frames. */
const SUPER_FRAME_BYTES = 4000;
const VLAN = 10;
const CABLE = { module: 'tuntap', description: 'trunk' };

/** What is between the switches: their ports there. */
type Trunk = (t: TestContext, one: ManagedLab, other: ManagedLab) => Promise<[number, number]>;

const inMemory: Trunk = async (_t, one, other) => {
  const [a, b] = MemoryPlug.pair();
  return [one.managed.attach(a, CABLE), other.managed.attach(b, CABLE)];
};

const overSocket: Trunk = async (_t, one, other) => {
  return [one.managed.attach(await openPlug(`vde://${other.path}[9]`), CABLE), 9];
};

for (const [how, trunk, env] of [
  ['handed over, and a trunk for frames of any size', inMemory, {}],
  ['behind sockets, and a trunk that is a client', overSocket, { VDENS_HANDOVER: '0' }],
] as const) {
  test(`a VLAN on two switches: TAPs ${how}`, TIMEOUT, async (t) => {
    if (!requireCommands(t, 'ping', 'vdens')) return;
    const [one, other] = [await ManagedLab.start(t), await ManagedLab.start(t)];
    const ports = await trunk(t, one, other);
    for (const [index, { managed }] of [one, other].entries()) {
      managed.createVlan(VLAN);
      managed.addToVlan(VLAN, ports[index]!);
      managed.setPortVlan(ports[index]!, NO_VLAN);
      for (const port of [3, 4]) {
        managed.createPort(port);
        managed.setPortVlan(port, VLAN);
      }
    }
    const here = await LanHost.start(t, `vde://${one.path}[3]`, `${HERE}/24`, { env });
    const there = await LanHost.start(t, `vde://${other.path}[3]`, `${THERE}/24`, { env });
    const isHandedOver = !('VDENS_HANDOVER' in env);
    const kind = isHandedOver ? 'tap' : 'socket';
    const kindAt = ({ service }: ManagedLab): string | undefined => {
      return service.ports.find(({ port }) => port.number === 3)?.port.kind;
    };
    await waitFor(() => kindAt(one) === kind && kindAt(other) === kind, 5000, `ports of kind ${kind}`);
    await here.ping(THERE);
    await there.receiveTransfer(5000);
    await here.sendTransfer(THERE, 5000, BYTES);
    await here.receiveTransfer(5001);
    await there.sendTransfer(HERE, 5001, BYTES);
    if (isHandedOver) {
      const counts = [...one.counted(ports[0]), ...other.counted(3)];
      // Data one way, and what confirms it the other way.
      for (const frames of counts) assert.ok(frames < (2 * BYTES) / SUPER_FRAME_BYTES, `${counts} frames`);
    }
    for (const host of [here, there]) await host.tell('ip link set vde0 mtu 65000');
    await here.ping(THERE, '-s 64000 -M do');
    const network = `vde://${other.path}[4]`;
    const command = ['sleep', '60'];
    const argv = inNamespace({ vdens: original('vdens')!, network, address: `${ORIGINAL}/24`, command });
    await (await spawnBackground(t, argv)).waitForOutput(/^ready$/m);
    await here.ping(ORIGINAL, '-s 1400');
    await there.ping(ORIGINAL);
    other.managed.setPortVlan(4, 0);
    assert.match(await here.tell(`ping -c 1 -W 0.3 ${ORIGINAL}`), / 0 received/, 'it is in another VLAN now');
  });
}
