/** A switch directory and another user: who may join, and what cannot be had from a switch by asking. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { VdensError } from '../../src/errors.ts';
import { claimDirectory } from '../../src/switch/rendezvous.ts';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_DGRAM, unixAddress } from '../../src/system/unix-address.ts';
import { makeSharedDirectory, requireOtherUser } from '../fixtures/other-user.ts';
import { serveDirectory } from '../fixtures/served-directory.ts';
import { runCommand, spawnBackground } from '../interop/harness.ts';

const fixtures = join(import.meta.dirname, '..', 'fixtures');

test('a request cannot have frames sent to a socket of somebody else', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const folder = realpathSync(makeSharedDirectory(t));
  const served = await serveDirectory(t, { mode: 0o666 }, join(folder, 'sw'));
  const victim = join(folder, 'victim');
  const socket = native.openSocket(AF_UNIX, SOCK_DGRAM, 0);
  t.after(() => void native.closeDescriptor(socket));
  assert.equal(native.bindSocket(socket, unixAddress(victim)), 0);
  chmodSync(victim, 0o777);
  const ask = async (...args: string[]): Promise<string> => {
    const run = await runCommand(other.command([process.execPath, join(fixtures, 'ask.js'), served.path, ...args]));
    return run.stdout.trim() + run.stderr;
  };
  assert.equal(await ask(victim), 'refused');
  assert.match(served.refusals[0] ?? '', /not its own/);
  assert.equal(await ask(join(served.path, '.00001-00000'), 'own'), 'answered');
});

test('another user finds a directory that is open to all served, and a private one in words', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const folder = makeSharedDirectory(t);
  const claim = join(fixtures, 'claim.js');
  const open = await serveDirectory(t, { mode: 0o666 }, join(folder, 'open'));
  const joiner = await spawnBackground(t, other.command([process.execPath, claim, open.path]));
  await joiner.waitForOutput(/^served$/m);
  const hidden = await serveDirectory(t, {}, join(folder, 'hidden'));
  const run = await runCommand(other.command([process.execPath, claim, hidden.path]));
  assert.match(run.stderr, /belongs to somebody else/);
  assert.deepEqual(readdirSync(hidden.path), ['ctl']);
});

test('where only a directory of our own will do, one of another user is refused, served or not', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const open = await serveDirectory(t, { mode: 0o666 }, join(makeSharedDirectory(t), 'open'));
  const run = await runCommand(other.command([process.execPath, join(fixtures, 'claim.js'), open.path, '0', 'own']));
  assert.match(run.stderr, /belongs to another user\. Name the directory/);
  assert.deepEqual(readdirSync(open.path), ['ctl']);
});

test("what another user's killed switch left is not ours to take when it was private", async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const folder = join(makeSharedDirectory(t), 'all');
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const path = join(folder, 'sw');
  const server = await spawnBackground(t, other.command([process.execPath, join(fixtures, 'claim.js'), path]));
  await server.waitForOutput(/^claimed$/m);
  const refused = async (): Promise<void> => {
    const error = await claimDirectory('x', path).catch((cause: unknown) => cause);
    assert.ok(error instanceof VdensError);
    assert.match(error.message, /belongs to somebody else/);
  };
  await refused();
  server.kill('SIGKILL');
  await server.waitForExit();
  await refused();
  await runCommand(other.command(['rm', '-r', path]));
});
