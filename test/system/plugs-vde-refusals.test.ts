/**
 * Switches that refuse, are silent, or are none: one clear error each, in bounded time, and nothing left behind.
 *
 * The servers are in this process, so that they can do what no real switch does on purpose.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { VdensError } from '../../src/errors.ts';
import { openPlug } from '../../src/locator/open-plug.ts';
import { VdePlug } from '../../src/plugs/vde.ts';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../../src/system/unix-address.ts';
import { type Answerer, FakeSwitch, type FakeSwitchOptions } from '../fixtures/fake-switch.ts';
import { waitFor } from '../interop/harness.ts';

const SHORT_MS = 200;
const asRoot = process.geteuid?.() === 0 && 'root may do everything';
const FALLBACKS = ['/var/run', '/var/tmp', '/tmp'];

/** Client sockets of this process, anywhere. */
function leftovers(directory: string): string[] {
  const found: string[] = [];
  for (const folder of [directory, ...FALLBACKS]) {
    let names: string[] = [];
    try {
      names = readdirSync(folder);
    } catch {
      // Gone with its switch.
    }
    found.push(...names.filter((name) => name.includes(`.${String(process.pid).padStart(5, '0')}-`)));
  }
  return found;
}

/** How many sockets this process has open. */
function sockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // The one by which the folder was read.
    }
  }).length;
}

/** What opening says; checks what holds for every failure. */
async function failure(word: string, timeoutMs = SHORT_MS): Promise<VdensError> {
  const before = sockets();
  const start = performance.now();
  const error = await openPlug(word, { timeoutMs }).then(
    async (plug) => {
      await plug.close();
      return undefined;
    },
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof VdensError, `an error for people, not ${String(error)}`);
  assert.ok(performance.now() - start < timeoutMs + 1500, 'in bounded time');
  assert.doesNotMatch(error.message, /\p{Cc}/u, 'one line, safe to print');
  assert.deepEqual(leftovers(word.replace(/\[.*|vde:\/\//g, '')), [], 'no socket is left');
  // The serving side is in this process, too, and notices a little later.
  await waitFor(() => sockets() <= before, 2000, 'the end of all sockets');
  return error;
}

async function fakeSwitch(t: TestContext, answer?: Answerer, more: FakeSwitchOptions = {}): Promise<FakeSwitch> {
  const fake = await FakeSwitch.start({ ...more, ...(answer === undefined ? {} : { answer }) });
  t.after(() => fake.close());
  return fake;
}

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'vdens-test-'));
  t.after(() => {
    chmodSync(path, 0o700);
    rmSync(path, { recursive: true });
  });
  return path;
}

test('a switch that accepts and says nothing costs the time-out, not a hang (the originals wait for ever)', async (t) => {
  const fake = await fakeSwitch(t, () => undefined);
  const error = await failure(`vde://${fake.path}[31]`);
  assert.equal(error.code, 'ERR_NETWORK_TIMEOUT');
  assert.match(error.message, /did not give us port 31 within 0\.2 s/);
});

test('a switch that closes at once has refused', async (t) => {
  const fake = await fakeSwitch(t, (_request, connection) => void connection.destroy());
  const error = await failure(fake.path);
  assert.equal(error.code, 'ERR_NETWORK_OPEN');
  assert.match(error.message, /refused us a port/);
});

test('a server that closes before it was asked has refused', async (t) => {
  const path = directory(t);
  const server = createServer((connection) => void connection.destroy()).listen(join(path, 'ctl'));
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  for (let i = 0; i < 20; i++) assert.equal((await failure(path)).code, 'ERR_NETWORK_OPEN');
});

test('an answer that ends after 10 bytes is a refusal', async (t) => {
  const fake = await fakeSwitch(t, (_request, connection) => void connection.end(Buffer.alloc(10, 1)));
  assert.match((await failure(fake.path)).message, /refused us/);
});

test('an answer in pieces is an answer', async (t) => {
  const fake = await fakeSwitch(t, (request, connection, self) => {
    const answer = self.openPort(request);
    connection.write(answer.subarray(0, 3));
    setTimeout(() => connection.write(answer.subarray(3, 60)), 30);
    setTimeout(() => connection.write(answer.subarray(60)), 60);
  });
  const plug = await openPlug(fake.path, { timeoutMs: 3000 });
  await plug.close();
  assert.deepEqual(leftovers(fake.path), []);
});

test('an address where nobody listens is out of reach', async (t) => {
  const fake = await fakeSwitch(t, (_request, connection, self) => {
    connection.write(unixAddress(join(self.path, 'nobody')));
  });
  assert.match((await failure(fake.path)).message, /out of reach \(connect: ENOENT\)/);
});

test('garbage for an answer is told as that', async (t) => {
  for (const garbage of [
    Buffer.alloc(110),
    Buffer.alloc(110, 0xff),
    Buffer.from('HTTP/1.1 400 Bad Request\r\n'.repeat(9)),
  ]) {
    const fake = await fakeSwitch(t, (_request, connection) => void connection.write(garbage));
    assert.match((await failure(fake.path)).message, /does not speak as a VDE switch/);
  }
});

test('a path with control characters in it does not reach the terminal', async (t) => {
  const fake = await fakeSwitch(t, (_request, connection) => void connection.write(unixAddress('/no/\x1b[2Jwhere\n')));
  assert.match((await failure(fake.path)).message, /\/no\/\?\[2Jwhere\?/);
});

test('a full queue of connections is knocked at until the time is over', async (t) => {
  const path = directory(t);
  const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  native.bindSocket(fd, unixAddress(join(path, 'bound')));
  t.after(() => native.closeDescriptor(fd));
  const fake = await fakeSwitch(t, () => undefined);
  // Nobody accepts while this thread does not turn to it: connections pile up until there is no room.
  const waiting: number[] = [];
  for (let i = 0; i < 5000; i++) {
    const client = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
    waiting.push(client);
    if (native.connectSocket(client, unixAddress(join(fake.path, 'ctl'))) < 0) break;
  }
  try {
    // With room again the answer is awaited as ever.
    const error = await openPlug(fake.path, { timeoutMs: 500 }).catch((cause: unknown) => cause);
    assert.ok(error instanceof VdensError && error.code === 'ERR_NETWORK_TIMEOUT', String(error));
  } finally {
    for (const client of waiting) native.closeDescriptor(client);
  }
});

test('no such directory, a file, a directory without a switch, a stale socket: each says so', async (t) => {
  const path = directory(t);
  assert.match((await failure(join(path, 'missing'))).message, /no such switch .*ENOENT.*vde switch \/\S+missing$/);
  writeFileSync(join(path, 'file'), Buffer.alloc(0));
  // As a plain word it would be read as an alias file.
  assert.match((await failure(`vde://${path}/file`)).message, /not the directory of a switch/);
  assert.match((await failure(path)).message, /nobody serves a switch there \(connect .*ctl: ENOENT\)/);
  const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  native.bindSocket(fd, unixAddress(join(path, 'ctl')));
  native.closeDescriptor(fd);
  assert.match((await failure(path)).message, /nobody serves a switch there \(connect .*ctl: ECONNREFUSED\)/);
});

test('an unknown port group is an error, not silently another port (the originals give any port)', async (t) => {
  const fake = await fakeSwitch(t);
  const error = await failure(`vde://${fake.path}[staff]`);
  assert.match(error.message, /has no port group "staff".*\[3\]/);
  assert.equal(fake.requests.length, 0);
});

test('a port group is asked on the socket of its name', async (t) => {
  const fake = await fakeSwitch(t, undefined, { control: 'staff' });
  const plug = await openPlug(`vde://${fake.path}[portgroup=staff]`);
  await plug.close();
  assert.equal(fake.requests[0]!.readUInt32LE(8), 0);
});

test('a port number that is also the name of a socket asks for the port (the originals fail)', async (t) => {
  const fake = await fakeSwitch(t);
  writeFileSync(join(fake.path, '3'), '');
  const plug = await openPlug(`vde://${fake.path}[3]`);
  await plug.close();
  assert.equal(fake.requests[0]!.readUInt32LE(8), 3 << 8);
});

test('a switch that is not for us says how its owner can change that', {
  skip: process.geteuid?.() === 0,
}, async (t) => {
  const fake = await fakeSwitch(t);
  chmodSync(join(fake.path, 'ctl'), 0);
  assert.match(
    (await failure(fake.path)).message,
    /may not use this switch .*EACCES.*vde switch -m 0666, -m 0660 -g GROUP/,
  );
});

test('a directory that is not ours to write moves our socket elsewhere', { skip: asRoot }, async (t) => {
  const names: string[] = [];
  const fake = await fakeSwitch(t, (request, connection, self) => {
    chmodSync(self.path, 0o755);
    names.push(request.subarray(14, request.indexOf(0, 14)).toString());
    connection.write(self.openPort(request));
  });
  chmodSync(fake.path, 0o555);
  const plug = await openPlug(fake.path);
  await plug.close();
  assert.match(names[0]!, /^\/(var\/run|var\/tmp|tmp)\/vde\.\d{5,}-\d{5}$/);
  assert.deepEqual(leftovers(fake.path), []);
});

test('a directory whose path is too long for another socket moves ours elsewhere', async (t) => {
  const root = realpathSync(directory(t));
  // ctl fits in 107 bytes, .PID-N does not.
  const path = join(root, 'd'.repeat(107 - '/ctl'.length - root.length - 1));
  mkdirSync(path);
  const fake = await FakeSwitch.start({ dataName: (fd) => `${fd}` }, path);
  t.after(() => fake.close());
  const plug = await openPlug(path);
  await plug.close();
  const name = fake.requests[0]!.subarray(14, fake.requests[0]!.indexOf(0, 14)).toString();
  assert.match(name, /^\/(var\/run|var\/tmp|tmp)\/vde\./);
  assert.deepEqual(leftovers(path), []);
});

test('a path too long for any socket is told with both lengths', async (t) => {
  const path = join(directory(t), 'd'.repeat(100));
  mkdirSync(path);
  assert.match((await failure(path)).message, /may have 107 bytes, this one has \d+\. Use a shorter directory/);
});

test('our socket is there while the switch answers, with the permissions asked for, and gone afterwards', async (t) => {
  for (const [options, mode] of [
    ['', 0o700],
    ['[mode=0600]', 0o600],
    ['[mode=660]', 0o660],
    [`[group=${process.getgid?.()}/mode=660]`, 0o660],
  ] as const) {
    let seen = -1;
    const fake = await fakeSwitch(t, (request, connection, self) => {
      seen = statSync(request.subarray(14, request.indexOf(0, 14)).toString()).mode & 0o777;
      connection.write(self.openPort(request));
    });
    const plug = await openPlug(`vde://${fake.path}${options}`);
    assert.deepEqual(leftovers(fake.path), []);
    await plug.close();
    assert.equal(seen, mode, options);
  }
});

test('a group that is not ours is refused, and no socket stays', { skip: asRoot }, async (t) => {
  const fake = await fakeSwitch(t);
  const error = await failure(`vde://${fake.path}[group=0]`);
  assert.match(error.message, /cannot give the socket to group 0 \(chown: EPERM\)/);
  assert.equal(fake.requests.length, 0);
});

test('a switch that removes our name itself, or its whole directory, is no failure', async (t) => {
  const fake = await fakeSwitch(t, (request, connection, self) => {
    const answer = self.openPort(request);
    rmSync(request.subarray(14, request.indexOf(0, 14)).toString());
    connection.write(answer);
  });
  const plug = await openPlug(fake.path);
  await plug.close();
});

test('the request is one write of 122 bytes and a description, as the originals make it', async (t) => {
  const fake = await fakeSwitch(t);
  const plug = await VdePlug.open('vde', { directory: fake.path, description: 'd'.repeat(300), port: 0 });
  await plug.close();
  const [request] = fake.requests;
  assert.equal(request!.length, 122 + 127);
  assert.equal(request!.readUInt32LE(0), 0xfeedface);
  assert.equal(request!.readUInt32LE(4), 3);
  assert.equal(request!.readUInt32LE(8), 1, 'port 0 is a kind of its own');
  assert.equal(request!.readUInt16LE(12), 1);
  assert.equal(fake.requests.length, 1, 'nothing more is ever said on the control connection');
});

test('an open that is given up leaves nothing, at once', async (t) => {
  const fake = await fakeSwitch(t, () => undefined);
  const start = performance.now();
  const signal = AbortSignal.timeout(50);
  await assert.rejects(VdePlug.open('vde', { directory: fake.path, description: '', signal }), {
    name: 'TimeoutError',
  });
  assert.ok(performance.now() - start < 1000);
  assert.deepEqual(leftovers(fake.path), []);
});

test('a switch that writes on the control connection, or goes away at once, is no harm', async (t) => {
  const fake = await fakeSwitch(t, (request, connection, self) => {
    connection.write(self.openPort(request));
    setTimeout(() => connection.write('hello'), 20);
    setTimeout(() => connection.destroy(), 60);
  });
  const plug = await VdePlug.open('vde', { directory: fake.path, description: '' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const reasons: string[] = [];
  plug.start(() => true, { down: (reason) => reasons.push(reason) });
  // On a busy machine it goes later.
  await waitFor(() => reasons.length > 0, 5000, 'the switch to go away');
  await plug.close();
  assert.deepEqual(reasons, ['the switch went away']);
});
