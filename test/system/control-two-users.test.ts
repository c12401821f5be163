/** Control sockets and another user: kept out by the mode, and by whose process it is. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectControl } from '../../src/control/client.ts';
import { ControlServer } from '../../src/control/server.ts';
import { makeSharedDirectory, requireOtherUser } from '../fixtures/other-user.ts';
import { ours, runCommand, spawnBackground } from '../interop/harness.ts';

const fixture = join(import.meta.dirname, '..', 'fixtures', 'control.js');
/** Asks whatever process listens there. */
const CALLER = `
  const socket = require('net').connect(process.argv[1]);
  socket.on('data', (bytes) => process.stdout.write(bytes)).write('{"version":1,"do":"list"}\\n');
`;
const EACCES = /^ERR_NETWORK_OPEN .*only the user who runs it controls it$/;

test('another user asks nothing, even where the mode of the socket was changed', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const path = join(makeSharedDirectory(t), 'control');
  let asked = 0;
  const server = new ControlServer({
    path,
    label: 'web',
    operations: {
      list: () => {
        asked++;
        return {};
      },
    },
  });
  t.after(() => server.close());
  const ask = async (): Promise<string> => {
    const run = await runCommand(other.command([process.execPath, fixture, path, '{"do":"list"}']));
    return run.stdout.trim() + run.stderr;
  };
  assert.match(await ask(), EACCES);
  chmodSync(path, 0o666);
  assert.match(await ask(), /^ERR_NETWORK_OPEN .*it is a process of another user$/);
  const by = await runCommand(other.command([process.execPath, '-e', CALLER, path]));
  assert.match(by.stdout, /"message":"web: only the user who runs it controls it"/);
  assert.equal(asked, 0);
  const client = await connectControl(path);
  assert.deepEqual(await client.request('list'), {});
  client.close();
  assert.equal(asked, 1);
});

test('we ask no process of another user, and take no directory of one', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const folder = makeSharedDirectory(t);
  const open = join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const serve = `
    import { ControlServer } from ${JSON.stringify(join(import.meta.dirname, '../../src/control/server.js'))};
    import { chmodSync, mkdirSync } from 'node:fs';
    mkdirSync(${JSON.stringify(join(open, 'run'))}, 0o700);
    const path = ${JSON.stringify(join(open, 'socket'))};
    new ControlServer({ path, operations: { list: () => ({}) } });
    chmodSync(path, 0o666);
    console.log('ready');
  `;
  const argv = other.command([process.execPath, '--input-type=module', '-e', serve]);
  const server = await spawnBackground(t, argv);
  await server.waitForOutput(/^ready$/m, 20_000);
  await assert.rejects(connectControl(join(open, 'socket')), {
    code: 'ERR_NETWORK_OPEN',
    errno: 'EACCES',
    message: /it is a process of another user/,
  });
  const env = { VDENS_RUNTIME_DIR: join(open, 'run') };
  for (const words of [['ls'], ['forward', 'web']]) {
    const { stderr, status } = await runCommand([ours('vde'), ...words], { env });
    assert.match(stderr, /it belongs to another user, uid \d+/, words.join(' '));
    assert.equal(status, 125);
  }
  const named = await runCommand([ours('vdens'), '--name', 'web', 'null://', 'echo', 'ran'], { env });
  assert.match(named.stderr, /it belongs to another user, uid \d+/);
  assert.equal(named.stdout, '');
  // What the other user made, only that user removes.
  const rm = await runCommand(other.command(['rm', '-r', join(open, 'run')]));
  assert.equal(rm.status, 0, rm.stderr);
  server.kill('SIGTERM');
  await server.waitForExit(20_000);
});
