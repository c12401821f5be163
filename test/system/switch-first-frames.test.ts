/** Who has the switch's answer has a port: what others send from that moment on arrives. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { native } from '../../src/system/native.ts';
import { frameOf } from '../fixtures/managed-lab.ts';
import { RawClient } from '../fixtures/raw-client.ts';
import { serveDirectory } from '../fixtures/served-directory.ts';
import { makeTemporaryDirectory, spawnBackground, waitFor } from '../interop/harness.ts';

const fixture = join(import.meta.dirname, '..', 'fixtures', 'serve-switches.js');
const FRAME = frameOf('ffffffffffff', '020000000001', '0800', 'aa'.repeat(46));
const ROUNDS = 50;
const ANSWER_BYTES = 110;
const ANSWER_MS = 5000;

/** The answer at the moment it comes: nothing else is done meanwhile. */
function answerAtOnce(client: RawClient): Uint8Array {
  const buffer = new Uint8Array(ANSWER_BYTES);
  const deadline = performance.now() + ANSWER_MS;
  while (performance.now() < deadline) {
    const length = native.receive(client.control, buffer);
    if (length === ANSWER_BYTES) return buffer;
    assert.notEqual(length, 0, 'the switch refuses nobody');
  }
  throw new Error(`waited ${ANSWER_MS} ms for the answer of the switch, in vain`);
}

async function broadcastAtEachAnswer(t: TestContext, directory: string): Promise<void> {
  const folder = makeTemporaryDirectory(t);
  const sender = new RawClient(directory, join(folder, 'sender')).ownedBy(t);
  sender.say(sender.request());
  await sender.answer(ANSWER_MS);
  for (let round = 1; round <= ROUNDS; round++) {
    const client = new RawClient(directory, join(folder, `client${round}`)).ownedBy(t);
    client.say(client.request());
    const address = answerAtOnce(client);
    sender.send(FRAME);
    assert.equal(native.connectSocket(client.data, address), 0);
    assert.deepEqual(await client.receive(), FRAME, `round ${round}`);
    client.close();
  }
}

test('a frame that another client sends at the moment of the answer arrives', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const directories = ['plain', 'managed'].map((name) => join(folder, name));
  const switches = await spawnBackground(t, [process.execPath, fixture, ...directories]);
  await switches.waitForOutput(/ready/);
  for (const directory of directories) await broadcastAtEachAnswer(t, directory);
});

test('a client that is gone before it has its answer has no port, and who had its plug is told', async (t) => {
  const client: { raw?: RawClient; down?: string } = {};
  const served = await serveDirectory(t, {}, undefined, {
    accepted: (plug) => {
      plug.start(() => undefined, { down: (reason) => (client.down = reason) });
      client.raw?.close();
    },
  });
  client.raw = new RawClient(served.path, join(makeTemporaryDirectory(t), 'a')).ownedBy(t);
  client.raw.say(client.raw.request());
  await waitFor(() => served.refusals.length > 0, 5000, 'the end of it');
  assert.deepEqual(served.refusals, ['it does not take the answer (EPIPE)']);
  assert.equal(client.down, served.refusals[0]);
});
