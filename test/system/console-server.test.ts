/** The management socket: who gets in, and what becomes of those who do not read, say nothing, or say too much. */
import assert from 'node:assert/strict';
import { existsSync, linkSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ConsoleCommand } from '../../src/console/command.ts';
import { DEBUG_MENU, LOGOUT } from '../../src/console/common-commands.ts';
import { Interpreter } from '../../src/console/interpreter.ts';
import { ConsoleServer, MAX_CONSOLE_SESSIONS } from '../../src/console/server.ts';
import { MAX_PENDING_BYTES } from '../../src/console/socket-session.ts';
import { VdensError } from '../../src/errors.ts';
import { ManagementSession } from '../fixtures/management.ts';
import { makeTemporaryDirectory, waitFor } from '../interop/harness.ts';

const LINE = 'x'.repeat(1000);
/** Lines in the answer to `much`: more than the buffers of a socket take. */
const MUCH = 1000;

function serve(t: TestContext, path: string, mode = 0o600): ConsoleServer {
  const commands: readonly ConsoleCommand[] = [
    {
      path: 'much',
      help: '',
      hasData: true,
      run: ({ print }) => {
        for (let i = 0; i < MUCH; i++) print(LINE);
      },
    },
    { path: 'ok', help: '', run: () => undefined },
    LOGOUT,
    ...DEBUG_MENU,
  ];
  const server = new ConsoleServer(
    'test',
    path,
    { mode },
    {
      name: 'vde',
      banner: ['VDE switch V.1', 'of a test'],
      interpreter: new Interpreter('vde', commands),
      categories: [{ path: 'port/+', tag: '021', help: '' }],
      shutdown: () => undefined,
    },
  );
  t.after(() => server.close());
  return server;
}

async function open(t: TestContext, path: string): Promise<ManagementSession> {
  const session = await ManagementSession.open(t, path);
  await session.until(/\$ $/);
  return session;
}

test('the name: made with its mode, taken over when nobody answers, refused otherwise, removed at the end', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'mgmt');
  const server = serve(t, path, 0o666);
  assert.equal(statSync(path).mode & 0o7777, 0o666);
  const isTaken = (error: unknown): boolean => error instanceof VdensError && error.errno === 'EADDRINUSE';
  assert.throws(() => serve(t, path), isTaken);
  assert.match(await (await open(t, path)).ask('ok'), /1000 Success/);
  server.close();
  assert.equal(existsSync(path), false);

  // Somebody else's, who is gone: Node.js leaves a name behind when it is told to.
  const stale = createServer().listen(path);
  await waitFor(() => stale.listening, 5000, 'the one that will be gone');
  const kept = join(folder, 'kept');
  linkSync(path, kept);
  await new Promise((resolve) => stale.close(resolve));
  const successor = serve(t, kept);
  assert.match(await (await open(t, kept)).ask('ok'), /1000 Success/);
  successor.close();

  writeFileSync(path, 'precious');
  assert.throws(() => serve(t, path), /no socket, so it is left alone/);
  assert.equal(existsSync(path), true);
});

test('garbage, half a command and half a connection', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'mgmt');
  const server = serve(t, path);
  const session = await open(t, path);
  session.send(Uint8Array.from({ length: 5000 }, (_, index) => (index * 7919) & 0xff));
  session.send('\n');
  // Whatever it was, this is a command of its own.
  session.send('ok\n');
  await session.until(/1000 Success\n\nvde\$ $/);
  session.send('o');
  session.send('k');
  assert.equal(await session.until(/\$ $/), '1000 Success\n\nvde$ ');
  session.send('ok\nok');
  session.finish();
  assert.equal(await session.rest(), '1000 Success\n\nvde$ 1000 Success\n\nvde$ ');
  await waitFor(() => server.sessions === 0, 5000, 'the end of the session');

  // Who goes without reading the answer.
  const rude = await open(t, path);
  rude.send('much\nmuch\n');
  rude.destroy();
  await waitFor(() => server.sessions === 0, 5000, 'the end of that, too');
});

test('there are so many sessions at a time; one that does not read makes room', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'mgmt');
  const server = serve(t, path);
  const sessions = await Promise.all(Array.from({ length: MAX_CONSOLE_SESSIONS }, () => open(t, path)));
  assert.equal(server.sessions, MAX_CONSOLE_SESSIONS);
  const refused = await ManagementSession.open(t, path);
  assert.equal(await refused.rest(), '1011 Resource temporarily unavailable\n');
  const [first, second] = sessions;
  assert.ok(first !== undefined && second !== undefined);
  first.stopReading();
  first.send('much\n');
  await waitFor(
    async () => {
      const session = await ManagementSession.open(t, path);
      return (await session.until(/\$ $|unavailable\n$/)).endsWith('$ ');
    },
    5000,
    'room for one more',
  );
  assert.equal(server.sessions, MAX_CONSOLE_SESSIONS);
  assert.match(await second.ask('ok'), /1000 Success/);
});

test('who does not read gets its answers when it does, and what happens meanwhile up to a bound', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'mgmt');
  const server = serve(t, path);
  const [slow, deaf, other] = [await open(t, path), await open(t, path), await open(t, path)];
  slow.stopReading();
  slow.send('much\n'.repeat(10));
  for (const session of [deaf, other]) await session.ask('debug/add');
  deaf.stopReading();
  await other.ask('ok');
  assert.equal(server.sessions, 3);
  // Nobody waits for the deaf one, and it is let go of in the end.
  let told = 0;
  await waitFor(
    async () => {
      for (let i = 0; i < 200; i++) {
        server.tell('port/+', LINE);
        told += 1;
      }
      await other.until(/(3021 .*\n){200}/);
      return server.sessions === 2;
    },
    20_000,
    'the end of the deaf one',
  );
  assert.ok(told * LINE.length > MAX_PENDING_BYTES);
  // The slow one has lost nothing.
  slow.goOnReading();
  let lines = 0;
  for (let i = 0; i < 10; i++) lines += (await slow.until(/1000 Success\n\nvde\$ /)).split(LINE).length - 1;
  assert.equal(lines, 10 * MUCH);
  assert.match(await other.ask('ok'), /1000 Success/);
  server.close();
  await other.rest();
  await slow.rest();
});
