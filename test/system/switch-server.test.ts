/** A served switch directory and its clients, well-behaved and otherwise. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_FRAME_BYTES, openPlug } from '../../src/index.ts';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_STREAM, unixAddress, unixPath } from '../../src/system/unix-address.ts';
import { withFrameLimit } from '../../src/wire/frame-limit.ts';
import { emitVdeRequest } from '../../src/wire/vde-request.ts';
import { abstractAddress, RawClient } from '../fixtures/raw-client.ts';
import { type ServedDirectory, serveDirectory } from '../fixtures/served-directory.ts';
import { makeTemporaryDirectory, waitFor } from '../interop/harness.ts';

const SOCK_SEQPACKET = 5;
const FRAME = Uint8Array.from({ length: 60 }, (_, i) => i);

function clientOf(t: TestContext, served: ServedDirectory, name = 'a'): RawClient {
  return new RawClient(served.path, join(makeTemporaryDirectory(t), name)).ownedBy(t);
}

async function echoes(client: RawClient): Promise<void> {
  client.send(FRAME);
  assert.deepEqual(await client.receive(), FRAME);
}

function sockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

test('a client gets exactly 110 bytes, the address of a socket of its own, and frames both ways', async (t) => {
  const served = await serveDirectory(t);
  const client = clientOf(t, served);
  client.say(client.request('me, myself', 7));
  const answer = await client.answer();
  assert.equal(answer.length, 110);
  const path = unixPath(answer as Uint8Array);
  assert.deepEqual(
    answer,
    withFrameLimit(unixAddress(path), MAX_FRAME_BYTES),
    'how long a frame may be stands behind it',
  );
  assert.equal(path, `${served.path}/fd1`);
  assert.ok(statSync(path).isSocket());
  await echoes(client);
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
  const [found] = served.clients;
  const groups = found?.groups ?? [];
  const expected = { description: 'me, myself', pid: process.pid, uid, gid, groups, wantedPort: 7, dataPath: path };
  assert.deepEqual(served.clients, [expected]);
  assert.deepEqual(new Set([...groups, gid]), new Set([...(process.getgroups?.() ?? []), gid]));
});

test('the name of a port goes with its client, and other ports stay', async (t) => {
  const served = await serveDirectory(t);
  const [first, second] = [clientOf(t, served), clientOf(t, served)];
  for (const client of [first, second]) client.say(client.request());
  const paths = [await first.answer(), await second.answer()].map((answer) => unixPath(answer as Uint8Array));
  assert.notEqual(paths[0], paths[1]);
  first.close();
  await waitFor(() => !existsSync(paths[0]!), 1000, 'the name of the first port to go');
  assert.equal(served.plugs.length, 1);
  assert.ok(existsSync(paths[1]!));
  await echoes(second);
});

test('closing a plug tells its client, and removes the name', async (t) => {
  const served = await serveDirectory(t);
  const client = clientOf(t, served);
  client.say(client.request());
  await client.answer();
  await served.plugs.splice(0)[0]!.close();
  await waitFor(() => client.isClosed(), 1000, 'the end of the connection');
  assert.deepEqual(readdirSync(served.path), ['ctl']);
});

for (const cuts of [[1], [4], [8], [12], [50], [121], [122], [3, 11, 60, 122]]) {
  test(`a request in pieces, cut at ${cuts}, is one request`, async (t) => {
    const served = await serveDirectory(t);
    const client = clientOf(t, served);
    const request = client.request('in pieces');
    let from = 0;
    for (const cut of [...cuts, request.length]) {
      client.say(request.subarray(from, cut));
      from = cut;
      await sleep(5);
    }
    await client.answer();
    assert.equal(served.clients[0]?.description, 'in pieces');
    await echoes(client);
  });
}

test('a request byte by byte is one request', async (t) => {
  const served = await serveDirectory(t);
  const client = clientOf(t, served);
  for (const byte of client.request('slow')) {
    client.say(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  await client.answer();
  assert.equal(served.clients[0]?.description, 'slow');
});

test('a request of version 1 is served', async (t) => {
  const served = await serveDirectory(t);
  const client = clientOf(t, served);
  const v3 = client.request('old');
  client.say(Buffer.concat([v3.subarray(0, 4), new Uint8Array(4), new Uint8Array(6), v3.subarray(12)]));
  await client.answer();
  assert.equal(served.clients[0]?.description, 'old');
  await echoes(client);
});

test('the 124 bytes of User-Mode Linux, with an abstract address of 110, are served', async (t) => {
  const served = await serveDirectory(t);
  const client = new RawClient(served.path, abstractAddress('uml')).ownedBy(t);
  client.say(Buffer.concat([client.request(''), Uint8Array.of(0x00, 0x9b)]));
  await client.answer();
  await echoes(client);
});

test('our own vde:// is a client', async (t) => {
  const served = await serveDirectory(t);
  await using plug = await openPlug(served.path);
  assert.match(served.clients[0]?.description ?? '', new RegExp(`pid=${process.pid}`));
  assert.equal(plug.maxFrameBytes, MAX_FRAME_BYTES);
});

test('what is no request is refused at once', async (t) => {
  const served = await serveDirectory(t);
  const good = clientOf(t, served, 'b').request();
  const broken = (at: number, value: number): Uint8Array => Uint8Array.from(good).fill(value, at, at + 1);
  const cases = [Buffer.from('GET / HTTP/1.0\r\n\r\n'), broken(0, 0), broken(4, 2), broken(4, 4), broken(8, 2)];
  for (const bytes of [...cases, broken(12, 0), new Uint8Array(4096)]) {
    const client = clientOf(t, served);
    const start = performance.now();
    client.say(bytes);
    // What was not read makes the end of the connection a reset.
    await waitFor(() => native.receive(client.control, new Uint8Array(1)) !== -11, 1000, 'the refusal');
    assert.ok(performance.now() - start < 1900, 'who is silent has 2 s');
  }
  assert.equal(served.plugs.length, 0);
  assert.equal(served.refusals.length, 7);
});

test("a socket that is not the client's own, a file, a link, and nobody's address are refused", async (t) => {
  const served = await serveDirectory(t);
  const foreign = readdirSync('/run').map((name) => join('/run', name));
  const paths = ['/etc/passwd', '/dev/null', '/nowhere/at/all', join(served.path, 'none')];
  const owned = foreign.filter((path) => statSync(path, { throwIfNoEntry: false })?.isSocket());
  for (const path of [...paths, ...owned]) {
    const client = clientOf(t, served);
    client.say(emitVdeRequest({ port: undefined, address: unixAddress(path), description: 'x' }));
    assert.equal(await client.answer(), 'closed', path);
  }
  assert.equal(served.plugs.length, 0);
  assert.match(served.refusals[0] ?? '', /no socket/);
});

test('a stream socket of ours is no data socket', async (t) => {
  const served = await serveDirectory(t);
  const path = join(makeTemporaryDirectory(t), 'stream');
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  t.after(() => native.closeDescriptor(socket));
  native.bindSocket(socket, unixAddress(path));
  const client = clientOf(t, served);
  client.say(emitVdeRequest({ port: undefined, address: unixAddress(path), description: 'x' }));
  assert.equal(await client.answer(), 'closed');
});

test('a client that asks for nothing is closed after 2 seconds; others are served meanwhile', async (t) => {
  const served = await serveDirectory(t);
  const silent = clientOf(t, served);
  silent.say(silent.request().subarray(0, 100));
  await sleep(1500);
  assert.equal(silent.isClosed(), false);
  const other = clientOf(t, served);
  other.say(other.request());
  await other.answer();
  await waitFor(() => silent.isClosed(), 1500, 'the end of the silent one');
  assert.match(served.refusals[0] ?? '', /within 2 s/);
});

test('of more than 64 silent clients the oldest are closed', async (t) => {
  const served = await serveDirectory(t);
  const silent = Array.from({ length: 100 }, (_, i) => clientOf(t, served, `${i}`));
  await waitFor(() => silent[35]?.isClosed(), 1000, 'the oldest to be closed');
  assert.equal(served.server.halfOpen, 64);
  assert.equal(silent.at(-1)?.isClosed(), false);
  const last = silent.at(-1)!;
  last.say(last.request());
  await last.answer();
});

test('connecting and closing without a word costs nothing afterwards', async (t) => {
  const served = await serveDirectory(t);
  const before = sockets();
  for (let i = 0; i < 200; i++) {
    const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
    native.connectSocket(socket, unixAddress(join(served.path, 'ctl')));
    native.closeDescriptor(socket);
    if (i % 50 === 0) await sleep(5);
  }
  await sleep(50);
  const start = process.cpuUsage();
  await sleep(1000);
  const used = process.cpuUsage(start);
  assert.ok(used.user + used.system < 100_000, `${used.user + used.system} µs of one second`);
  assert.equal(sockets(), before);
  assert.deepEqual(served.refusals, []);
});

test('without descriptors nobody is let in, at no cost, until there are some again', async (t) => {
  const served = await serveDirectory(t);
  const client = clientOf(t, served);
  const hogs: number[] = [];
  for (let fd = 0; fd >= 0; ) {
    fd = native.openSocket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd >= 0) hogs.push(fd);
    if (hogs.length > 200_000) break;
  }
  const release = (): void => hogs.splice(0).forEach((fd) => void native.closeDescriptor(fd));
  t.after(release);
  if (hogs.length > 200_000) return t.skip('the limit of open files is too high to be reached');
  client.say(client.request());
  await sleep(100);
  const start = process.cpuUsage();
  await sleep(700);
  const used = process.cpuUsage(start);
  assert.equal(served.plugs.length, 0);
  release();
  assert.ok(used.user + used.system < 100_000, `${used.user + used.system} µs of 700 ms`);
  await client.answer(2500);
  await echoes(client);
});

test('the private socket lets in processes of the same user', async (t) => {
  const connections: number[] = [];
  const served = await serveDirectory(t, { mode: 0o666 }, undefined, {
    privateConnection: (connection) => connections.push(connection),
  });
  const path = join(served.path, '.vdens');
  assert.equal(statSync(path).mode & 0o7777, 0o600);
  const socket = native.openSocket(AF_UNIX, SOCK_SEQPACKET, 0);
  t.after(() => [socket, ...connections].forEach((fd) => void native.closeDescriptor(fd)));
  assert.equal(native.connectSocket(socket, unixAddress(path)), 0);
  await waitFor(() => connections.length === 1, 1000, 'the connection');
  // A descriptor passes through it.
  const [fd = -1] = connections;
  assert.equal(native.sendDescriptors(socket, Uint8Array.of(1), Int32Array.of(socket, 0)), 1);
  const descriptors = new Int32Array(254);
  assert.equal(native.receiveDescriptors(fd, new Uint8Array(1), descriptors), 1);
  assert.equal(descriptors[0], 2);
  for (const passed of descriptors.subarray(1, 3)) native.closeDescriptor(passed);
  served.close();
  assert.equal(existsSync(served.path), false);
});

test('what a client says after its request is ignored, up to a bound', async (t) => {
  const served = await serveDirectory(t);
  const client = clientOf(t, served);
  client.say(client.request());
  await client.answer();
  client.say(client.request('again'));
  await echoes(client);
  for (let i = 0; i < 5; i++) client.say(new Uint8Array(1000));
  await waitFor(() => served.plugs.length === 0, 1000, 'the end of the client that babbles');
});
