/** The host's side of services: real Unix sockets, and real commands. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceForward } from '../../../src/gateway/gateway-config.ts';
import { MAX_SERVICE_COMMANDS, ServiceConnections } from '../../../src/gateway/service-connections.ts';
import { native } from '../../../src/system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../../../src/system/unix-address.ts';
import { makeTemporaryDirectory, waitFor } from '../../interop/harness.ts';

const { EAGAIN, ECONNREFUSED, ENAMETOOLONG, ENOENT, ENOTSOCK } = constants.errno;
/** Many processes start and end on a busy machine. */
const ENDED_MS = 60_000;

function unix(path: string): ServiceForward {
  return { address: Uint8Array.of(10, 0, 2, 4), port: 80, to: { kind: 'unix', path } };
}

function command(...words: string[]): ServiceForward {
  return { address: Uint8Array.of(10, 0, 2, 4), port: 7, to: { kind: 'command', words } };
}

function open(t: TestContext): ServiceConnections {
  const connections = new ServiceConnections();
  t.after(() => connections.close());
  return connections;
}

/** What a connection says until it ends, after it was told something and that this is all. */
async function exchange(fd: number, text: string): Promise<string> {
  assert.ok(fd >= 0, String(fd));
  const socket = new Socket({ fd, allowHalfOpen: true });
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    answer += chunk;
  });
  // Who is gone already takes nothing.
  socket.on('error', ({ code }: NodeJS.ErrnoException) => assert.equal(code, 'EPIPE'));
  socket.end(text);
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

function flagsOf(fd: number): number {
  return Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8);
}

test('a Unix socket: one connection for each, non-blocking', async (t) => {
  const path = join(makeTemporaryDirectory(t), 'web');
  const server = createServer((connection) => connection.end('hello'));
  t.after(() => void server.close());
  server.listen(path);
  await once(server, 'listening');
  const connections = open(t);
  const fd = connections.open(unix(path));
  assert.ok((flagsOf(fd) & 0o4000) !== 0, 'O_NONBLOCK');
  assert.ok((flagsOf(fd) & 0o2000000) !== 0, 'O_CLOEXEC');
  assert.equal(await exchange(fd, ''), 'hello');
  assert.equal(await exchange(connections.open(unix(path)), ''), 'hello');
});

test('no Unix socket there: the errno, and no descriptor', (t) => {
  const folder = makeTemporaryDirectory(t);
  const connections = open(t);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const full = join(folder, 'full');
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  t.after(() => void native.closeDescriptor(socket));
  assert.equal(native.bindSocket(socket, unixAddress(full)), 0);
  const before = readdirSync('/proc/self/fd').length;
  assert.equal(connections.open(unix(join(folder, 'nosuch'))), -ENOENT);
  assert.ok([-ECONNREFUSED, -ENOTSOCK].includes(connections.open(unix(file))));
  assert.equal(connections.open(unix(full)), -ECONNREFUSED);
  assert.equal(connections.open(unix(`/${'a'.repeat(200)}`)), -ENAMETOOLONG);
  assert.equal(readdirSync('/proc/self/fd').length, before);
  native.listen(socket, 0);
  const first = connections.open(unix(full));
  assert.ok(first >= 0);
  // Whoever does not accept lets guests wait for nothing.
  assert.equal(connections.open(unix(full)), -EAGAIN);
  native.closeDescriptor(first);
});

test('a command speaks with the guest, and is gone when it has ended', async (t) => {
  const connections = open(t);
  const fd = connections.open(command('sh', '-c', 'read line; echo "you said $line"'));
  assert.ok((flagsOf(fd) & 0o4000) !== 0, 'O_NONBLOCK');
  assert.equal(connections.commandCount, 1);
  assert.equal(await exchange(fd, 'hello\n'), 'you said hello\n');
  await waitFor(() => connections.commandCount === 0, ENDED_MS, 'the end of the command');
});

test('the end of what the guest says is the end of its input; each connection has a command of its own', async (t) => {
  const connections = open(t);
  const answers = await Promise.all(
    ['one', 'two', 'three'].map((text) => exchange(connections.open(command('cat')), text)),
  );
  assert.deepEqual(answers, ['one', 'two', 'three']);
  await waitFor(() => connections.commandCount === 0, ENDED_MS, 'the end of the commands');
});

test('a command that is not there: the connection ends', async (t) => {
  const connections = open(t);
  assert.equal(await exchange(connections.open(command('/no/such/program')), ''), '');
  await waitFor(() => connections.commandCount === 0, ENDED_MS, 'the end of the command');
});

test('the gateway ends its commands, even those that do not want to', async (t) => {
  const connections = new ServiceConnections();
  t.after(() => connections.close());
  const kinds = [
    command('sleep', '1000'),
    command('sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done'),
  ];
  const fds = kinds.map((kind) => connections.open(kind));
  t.after(() => {
    for (const fd of fds) native.closeDescriptor(fd);
  });
  const buffer = new Uint8Array(16);
  await waitFor(() => native.receive(fds[1] ?? -1, buffer) > 0 || undefined, 10_000, 'the trap');
  assert.equal(connections.commandCount, 2);
  await connections.close();
  assert.equal(connections.commandCount, 0);
  // Nobody is at the other end any more.
  for (const fd of fds) await waitFor(() => native.receive(fd, buffer) === 0 || undefined, 10_000, 'the end');
  assert.equal(connections.open(command('cat')), -ECONNREFUSED);
});

test('so many commands at a time, and no more', { timeout: 120_000 }, async (t) => {
  const connections = open(t);
  const fds: number[] = [];
  for (let i = 0; i < MAX_SERVICE_COMMANDS; i++) fds.push(connections.open(command('cat')));
  assert.ok(fds.every((fd) => fd >= 0));
  assert.equal(connections.open(command('cat')), -EAGAIN);
  for (const fd of fds) native.closeDescriptor(fd);
  await waitFor(() => connections.commandCount === 0, ENDED_MS, 'the end of the commands');
  assert.equal(await exchange(connections.open(command('cat')), 'again'), 'again');
});

test('a command whose connection is over is ended, whether it listens to that or not', async (t) => {
  const connections = new ServiceConnections();
  t.after(() => connections.close());
  const scripts = ['exec sleep 100', 'trap "" HUP; while :; do sleep 1; done'];
  const fds = scripts.map((script, token) => connections.open(command('sh', '-c', script), token));
  for (const fd of fds) native.closeDescriptor(fd);
  await sleep(100);
  assert.equal(connections.commandCount, 2);
  for (const token of scripts.keys()) connections.end(token);
  connections.end(7);
  await waitFor(() => connections.commandCount === 0, 5000, 'the end of the commands');
});
