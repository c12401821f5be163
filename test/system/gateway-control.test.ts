/** The control socket of a gateway that was opened by its name. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { VdensError } from '../../src/errors.ts';
import { controlGateway } from '../../src/gateway/control-gateway.ts';
import { GatewayPlug } from '../../src/gateway/gateway-plug.ts';
import { openPlug } from '../../src/locator/open-plug.ts';
import { makeTemporaryDirectory } from '../interop/harness.ts';

test('slirp:///control=PATH: forwards come and go while the gateway runs, and the socket goes with it', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'gateway');
  const locator = `slirp:///tcpfwd=127.0.0.1:0:10.0.2.15:80/control=${path.replaceAll('/', '%2f')}`;
  const plug = await openPlug(locator);
  t.after(() => plug.close());
  assert.ok(plug instanceof GatewayPlug);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const [first] = await controlGateway(path, { do: 'list' });
  assert.equal(first?.guestAddress, '10.0.2.15');
  const add = { hostAddress: '::1', hostPort: 0, guestAddress: 'fd00::15', guestPort: 22 };
  const [added] = await controlGateway(path, { ...add, do: 'add', protocol: 'tcp' });
  assert.ok(added !== undefined);
  assert.deepEqual(
    plug.forwards.list().map(({ id }) => id),
    [first?.id, added.id],
  );
  const client = connect(added.hostPort, '::1');
  client.on('error', () => undefined); // No guest is there.
  t.after(() => client.destroy());
  await once(client, 'connect');
  await controlGateway(path, { do: 'remove', id: added.id });
  const late = connect(added.hostPort, '::1');
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  await assert.rejects(
    openPlug(locator),
    (refusal) => refusal instanceof VdensError && refusal.message.includes('somebody listens at'),
  );
  assert.equal((await controlGateway(path, { do: 'list' })).length, 1);
  await plug.close();
  assert.equal(existsSync(path), false);
});
