/**
 * Who may join a switch of ours: exactly whom `mode`, `dirmode` and `grp` let in, with ours and with the original
 * `vdens`. The tests' user serves, a second user comes.
 */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeSharedDirectory, type OtherUser, requireOtherUser } from '../fixtures/other-user.ts';
import { original, ours, requireCommands, runCommand, spawnBackground } from './harness.ts';
import { inNamespace } from './original-vdens.ts';

const ADDRESS = '10.81.0.1';

/** Serves a switch with these options, and a host that answers pings. Answers its directory. */
async function serve(t: TestContext, scheme: string, options: string): Promise<string> {
  const path = join(makeSharedDirectory(t), 'switch');
  const network = `${scheme}://${path}${options === '' ? '' : `[${options}]`}`;
  const command = ['sleep', '60'];
  const host = await spawnBackground(
    t,
    inNamespace({ vdens: ours('vdens'), network, address: `${ADDRESS}/24`, command }),
  );
  await host.waitForOutput(/^ready$/m);
  return path;
}

/** The second user's host pings the one that serves. */
async function assertPings(
  t: TestContext,
  other: OtherUser,
  vdens: string,
  network: string,
  isInGroup: boolean,
): Promise<void> {
  const command = ['ping', '-c', '1', '-W', '3', ADDRESS];
  const argv = inNamespace({ vdens, network, address: '10.81.0.2/24', command });
  const client = await spawnBackground(t, other.command(argv, { isInGroup }));
  await client.waitForOutput(/ 1 received/);
}

/** Ours says that the second user may not, and exits; the original exits with an error, too. */
async function assertRefused(other: OtherUser, network: string, isInGroup: boolean): Promise<void> {
  const run = await runCommand(other.command([ours('vdens'), network, 'true'], { isInGroup }));
  assert.equal(run.status, 125, run.stderr);
  // Whoever wants to join is told that he may not; whoever would serve, too, that he cannot do it there.
  assert.match(run.stderr, /^vdens: [^\n]*(you may not use this switch|no switch is there that you may use)[^\n]*\n$/);
  const theirs = await runCommand(other.command([original('vdens')!, network, 'true'], { isInGroup }));
  assert.notEqual(theirs.status, 0);
  assert.equal(theirs.isTimedOut, false);
}

/** Permission bits, setgid and sticky included. */
function modeOf(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

for (const scheme of ['switch', 'hub']) {
  for (const [whose, find] of [
    ['ours', ours],
    ['the original', original],
  ] as const) {
    test(`${scheme}:// for a group: its members join with a vdens that is ${whose}`, async (t) => {
      const other = requireOtherUser(t);
      if (other === undefined || !requireCommands(t, 'vdens', 'ip', 'ping')) return;
      const path = await serve(t, scheme, `mode=0660/grp=${other.group}`);
      assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], ['2770', '660']);
      assert.deepEqual([statSync(path).gid, statSync(join(path, 'ctl')).gid], [other.gid, other.gid]);
      await assertPings(t, other, find('vdens')!, path, true);
    });
  }

  test(`${scheme}:// for a group: a member joins by the same locator`, async (t) => {
    const other = requireOtherUser(t);
    if (other === undefined || !requireCommands(t, 'ip', 'ping')) return;
    const path = await serve(t, scheme, `mode=0660/grp=${other.group}`);
    await assertPings(t, other, ours('vdens'), `${scheme}://${path}`, true);
  });

  test(`${scheme}:// for a group: others are told that they may not`, async (t) => {
    const other = requireOtherUser(t);
    if (other === undefined || !requireCommands(t, 'vdens', 'ip')) return;
    const path = await serve(t, scheme, `mode=0660/grp=${other.group}`);
    await assertRefused(other, path, false);
    await assertRefused(other, `${scheme}://${path}`, false);
  });

  test(`${scheme}:// without options is for its user alone`, async (t) => {
    const other = requireOtherUser(t);
    if (other === undefined || !requireCommands(t, 'vdens', 'ip')) return;
    const path = await serve(t, scheme, '');
    assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], ['2700', '600']);
    await assertRefused(other, path, true);
    await assertRefused(other, `${scheme}://${path}`, true);
    await assertRefused(other, path, false);
  });
}

test('switch:// for everybody: a user outside every group of ours joins', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'vdens', 'ip', 'ping')) return;
  const path = await serve(t, 'switch', 'mode=0666');
  assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], ['2777', '666']);
  await assertPings(t, other, original('vdens')!, path, false);
  await assertPings(t, other, ours('vdens'), path, false);
});

test('a directory that only its user may write is no obstacle: clients bind elsewhere', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'vdens', 'ip', 'ping')) return;
  const path = await serve(t, 'switch', 'mode=0666/dirmode=0755');
  assert.deepEqual([modeOf(path), modeOf(join(path, 'ctl'))], ['755', '666']);
  await assertPings(t, other, original('vdens')!, path, false);
  await assertPings(t, other, ours('vdens'), path, false);
});

test('a directory that others may not enter keeps them out, whatever the mode of the socket', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'vdens', 'ip')) return;
  const path = await serve(t, 'switch', 'mode=0666/dirmode=0700');
  await assertRefused(other, path, true);
});

test('the data socket of a member’s port is for the group, and no one else', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'ip', 'ping')) return;
  const path = await serve(t, 'switch', `mode=0660/grp=${other.group}`);
  const client = await spawnBackground(t, other.command([ours('vdens'), path, 'sh', '-c', 'echo joined; sleep 30']));
  await client.waitForOutput(/joined/);
  const list = await runCommand(['find', path, '-type', 's', '-perm', '/0007']);
  assert.equal(list.stdout, '');
});

test('one who may not join does not take the switch over when its server is gone', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'ip')) return;
  const path = join(makeSharedDirectory(t), 'switch');
  const server = await spawnBackground(t, [ours('vdens'), `switch://${path}`, 'sh', '-c', 'echo serving; sleep 60']);
  await server.waitForOutput(/serving/);
  server.kill('SIGKILL');
  await server.waitForExit();
  const run = await runCommand(other.command([ours('vdens'), `switch://${path}`, 'true']));
  assert.equal(run.status, 125);
  assert.match(run.stderr, /it belongs to somebody else/);
  assert.ok(existsSync(join(path, 'ctl')), 'nothing was removed');
});
