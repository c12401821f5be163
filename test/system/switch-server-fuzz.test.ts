/**
 * Mutated requests over the real control socket: each is answered or refused, and in the end all is as before.
 *
 * `VDENS_FUZZ_SEED` repeats a run, `VDENS_FUZZ_REQUESTS` makes it shorter or longer.
 */
import assert from 'node:assert/strict';
import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_STREAM, unixAddress } from '../../src/system/unix-address.ts';
import { emitVdeRequest } from '../../src/wire/vde-request.ts';
import { abstractAddress, RawClient } from '../fixtures/raw-client.ts';
import { serveDirectory } from '../fixtures/served-directory.ts';
import { makeTemporaryDirectory, waitFor } from '../interop/harness.ts';

const REQUESTS = Number(process.env['VDENS_FUZZ_REQUESTS'] ?? 100_000);
const AT_ONCE = 40;
const TIME_LIMIT_MS = 90_000;
const SILENCE_MS = 5000;

/** Numbers from 0 up to below `below` (mulberry32). */
type Random = (below: number) => number;

function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Changes bits and bytes, lengths and parts; one of twenty requests stays as it is. */
function mutate(request: Uint8Array, random: Random): Uint8Array {
  let bytes = Uint8Array.from(request);
  for (let edits = random(20) === 0 ? 0 : 1 + random(4); edits > 0; edits--) {
    // Most edits hit the words in front and the beginning of the path, on which it depends.
    const at = random(random(4) > 0 ? 32 : bytes.length || 1);
    const kind = random(6);
    if (kind === 0) bytes[at] = random(256);
    else if (kind === 1) bytes[at]! ^= 1 << random(8);
    else if (kind === 2) bytes = bytes.slice(0, random(bytes.length + 1));
    else if (kind === 3) bytes = Uint8Array.from(Buffer.concat([bytes, new Uint8Array(random(600)).fill(random(256))]));
    else if (kind === 4) bytes.copyWithin(at, random(bytes.length || 1), random(bytes.length || 1));
    else bytes.fill(random(256), at, at + random(32));
  }
  return bytes;
}

/** Says it in one piece or two, and perhaps leaves without waiting. Returns the connection if there is one to wait for. */
function say(control: Uint8Array, bytes: Uint8Array, random: Random): number | undefined {
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  assert.ok(socket >= 0, `no descriptor leaks (${socket})`);
  assert.equal(native.connectSocket(socket, control), 0);
  const cut = random(3) === 0 ? random(bytes.length + 1) : bytes.length;
  native.send(socket, bytes.subarray(0, cut));
  if (cut < bytes.length) native.send(socket, bytes.subarray(cut));
  if (random(4) > 0) return socket;
  native.closeDescriptor(socket);
  return undefined;
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test(`${REQUESTS} mutated requests: an ordinary client is served afterwards, and nothing is left`, async (t) => {
  const seed = Number(process.env['VDENS_FUZZ_SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
  t.diagnostic(`VDENS_FUZZ_SEED=${seed}`);
  const random = randomFrom(seed);
  const served = await serveDirectory(t);
  const control = unixAddress(join(served.path, 'ctl'));
  const folder = realpathSync(makeTemporaryDirectory(t));
  const addresses = [unixAddress(join(folder, 'a')), abstractAddress('fuzz')];
  for (const address of addresses) {
    const socket = native.openSocket(AF_UNIX, SOCK_DGRAM, 0);
    t.after(() => void native.closeDescriptor(socket));
    assert.equal(native.bindSocket(socket, address), 0);
  }
  const requests = addresses.map((address) => emitVdeRequest({ port: undefined, address, description: 'fuzz' }));
  const v3 = requests[0]!;
  requests.push(Uint8Array.from(Buffer.concat([v3.subarray(0, 4), new Uint8Array(10), v3.subarray(12)])));

  const before = descriptors();
  const buffer = new Uint8Array(256);
  const outcomes = { answered: 0, refused: 0, waiting: 0 };
  const start = performance.now();
  for (let done = 0; done < REQUESTS; done += AT_ONCE) {
    const sockets: number[] = [];
    for (let i = 0; i < AT_ONCE; i++) {
      const socket = say(control, mutate(requests[random(requests.length)]!, random), random);
      if (socket !== undefined) sockets.push(socket);
    }
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    for (const socket of sockets) {
      const length = native.receive(socket, buffer);
      if (length > 0) assert.equal(length, 110, `seed ${seed}`);
      // -11: it waits for the rest of a request that was cut.
      outcomes[length > 0 ? 'answered' : length === -11 ? 'waiting' : 'refused']++;
      native.closeDescriptor(socket);
    }
    assert.ok(performance.now() - start < TIME_LIMIT_MS, `in bounded time (seed ${seed}, after ${done})`);
  }
  t.diagnostic(`${JSON.stringify(outcomes)} in ${Math.round(performance.now() - start)} ms`);
  for (const [outcome, count] of Object.entries(outcomes)) assert.ok(count > REQUESTS / 1000, `some are ${outcome}`);

  const client = new RawClient(served.path, join(folder, 'last')).ownedBy(t);
  client.say(client.request());
  assert.notEqual(await client.answer(), 'closed');
  client.send(new Uint8Array(60).fill(7));
  assert.equal((await client.receive()).length, 60);
  client.close();
  await waitFor(() => served.plugs.length === 0 && served.server.halfOpen === 0, SILENCE_MS, 'all clients to be gone');
  assert.deepEqual(readdirSync(served.path), ['ctl']);
  assert.ok(descriptors() <= before, `${descriptors()} descriptors, ${before} before (seed ${seed})`);
});
