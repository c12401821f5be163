/**
 * How plugs learn that what they were plugged into is gone, where the loss is not the usual one; on a line of its
 * own thread and through JavaScript.
 */
import assert from 'node:assert/strict';
import {
  type FSWatcher,
  lstatSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { cable, openNamespace, openPlug } from '../../src/index.ts';
import { CommandPlug } from '../../src/plugs/command.ts';
import { NullPlug } from '../../src/plugs/null.ts';
import { VdePlug } from '../../src/plugs/vde.ts';
import { type Answerer, FakeSwitch } from '../fixtures/fake-switch.ts';
import { requireCommands, waitFor } from '../interop/harness.ts';

for (const line of [true, false]) {
  const way = line ? 'on a line' : 'through JavaScript';

  test(`an interface that is deleted inside is told, ${way}`, async (t) => {
    if (!requireCommands(t, 'ip')) return;
    const fake = await FakeSwitch.start();
    await using namespace = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.9.0.1/24'] }] });
    await using port = await openPlug(fake.path);
    const losses: string[] = [];
    const { plug } = namespace.interfaces[0]!;
    cable(plug, port, { down: (lost, reason) => losses.push(`${lost.label}: ${reason}`) }, { line });
    assert.equal(await namespace.run(['ip', 'link', 'del', 'eth0']).exit, 0);
    await waitFor(() => losses.length > 0, 5000, 'the loss to be told');
    assert.deepEqual(losses, ['eth0: the interface is gone (it was deleted)']);
    await fake.close();
  });

  test(`a switch that closes the data socket alone has closed our port, ${way}`, async () => {
    const fake = await FakeSwitch.start();
    await using namespace = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.9.0.1/24'] }] });
    await using port = await VdePlug.open('fake', { directory: fake.path, description: 'test' });
    const losses: string[] = [];
    cable(namespace.interfaces[0]!.plug, port, { down: (_, reason) => losses.push(reason) }, { line });
    fake.closePort();
    // It shows at the next frame.
    const knock = `require('node:dgram').createSocket('udp4').send('x', 9, '10.9.0.2', () => process.exit())`;
    await namespace.run([process.execPath, '-e', knock]).exit;
    await waitFor(() => losses.length > 0, 5000, 'the loss to be told');
    assert.match(losses[0]!, /the switch closed our port/);
    await fake.close();
  });
}

test('a command that closes its output and lives on has ended its stream', async () => {
  await using plug = CommandPlug.open('=sh', ['sh', '-c', 'exec 1>&-; exec sleep 60']);
  const losses: string[] = [];
  cable(plug, new NullPlug(), { down: (_, reason) => losses.push(reason) });
  await waitFor(() => losses.length > 0, 5000, 'the loss to be told');
  assert.match(losses[0]!, /closed the stream/);
});

test('a switch that talks without end on its control connection is taken for gone', async () => {
  const fake = await FakeSwitch.start();
  await using port = await VdePlug.open('fake', { directory: fake.path, description: 'test' });
  const losses: string[] = [];
  cable(port, new NullPlug(), { down: (_, reason) => losses.push(reason) });
  for (const connection of fake.connections) connection.write(Buffer.alloc(10_000));
  await waitFor(() => losses.length > 0, 5000, 'the loss to be told');
  await fake.close();
});

test("a link that a switch puts in place of the client's socket is not followed", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdens-test-'));
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'mine', { mode: 0o600 });
  const answer: Answerer = (request, connection, self) => {
    try {
      connection.write(self.openPort(request));
    } catch {
      connection.destroy(); // What has that name now is no socket.
    }
  };
  const fake = await FakeSwitch.start({ answer }, join(folder, 'switch'));
  // The watcher stands for the owner of the directory, who replaces the name as soon as it is there.
  const watcher: FSWatcher = watch(fake.path, (_, name) => {
    if (name === null || !name.startsWith('.')) return;
    try {
      const path = join(fake.path, name);
      if (!lstatSync(path).isSocket()) return;
      unlinkSync(path);
      symlinkSync(victim, path);
    } catch {
      // It was quicker.
    }
  });
  for (let round = 0; round < 20; round++) {
    try {
      const port = await VdePlug.open('fake', { directory: fake.path, description: 'test', mode: 0o777 });
      await port.close();
    } catch {
      // Refusing is right, too.
    }
  }
  watcher.close();
  assert.equal(statSync(victim).mode & 0o777, 0o600);
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});
