/** The control socket of a gateway and another user: kept out by its mode, and by whose process it is. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveForwards } from '../../src/gateway/control.ts';
import { controlGateway } from '../../src/gateway/control-gateway.ts';
import { Forwards } from '../../src/gateway/forwards.ts';
import { parseLocator } from '../../src/locator/locator.ts';
import { gatewayConfig } from '../../src/locator/slirp-locator.ts';
import { makeSharedDirectory, requireOtherUser } from '../fixtures/other-user.ts';
import { runCommand } from '../interop/harness.ts';

/** Asks whatever process listens there. */
const CALLER = `
  const socket = require('net').connect(process.argv[1]);
  socket.on('data', (bytes) => process.stdout.write(bytes)).write('{"version":1,"do":"list"}\\n');
`;

test('another user does not control a gateway, even where the mode of its socket was changed', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const path = join(makeSharedDirectory(t), 'control');
  const config = gatewayConfig(parseLocator('slirp://'));
  const forwards = new Forwards('slirp://', config, { listen: () => 0, unlisten: () => undefined });
  const control = serveForwards('slirp://', path, forwards);
  t.after(() => control.close());
  const fixture = join(import.meta.dirname, '..', 'fixtures', 'control.js');
  const ask = async (): Promise<string> => {
    const run = await runCommand(other.command([process.execPath, fixture, path, '{"do":"list"}']));
    return run.stdout.trim() + run.stderr;
  };
  assert.match(await ask(), /^ERR_NETWORK_OPEN .*only the user who runs (it|the gateway) controls it$/);
  chmodSync(path, 0o666);
  assert.match(await ask(), /^ERR_NETWORK_OPEN .*it is a process of another user$/);
  const by = await runCommand(other.command([process.execPath, '-e', CALLER, path]));
  assert.match(by.stdout, /"message":"slirp:\/\/: only the user who runs the gateway controls it"/);
  assert.deepEqual(await controlGateway(path, { do: 'list' }), []);
});
