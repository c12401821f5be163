/**
 * Two ordinary users on one machine: who may join a switch of the other, and how far a client opens its own socket so
 * that the switch of another user reaches it. Without a second user, all of it is left out.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FakeSwitch } from '../fixtures/fake-switch.ts';
import {
  makeSharedDirectory,
  type OtherUser,
  type OtherUserOptions,
  requireOtherUser,
} from '../fixtures/other-user.ts';
import { original, ours, requireCommands, runCommand, spawnBackground } from '../interop/harness.ts';
import { type OriginalSwitch, startSwitch } from '../interop/original-switch.ts';
import { inNamespace } from '../interop/original-vdens.ts';

const UNCHANGED = 2 ** 32 - 1; // chown(2): leaves the owner as it is

test('the second user is another one, in the group of the tests or not, with a clean environment', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const id = async (options: OtherUserOptions): Promise<string> =>
    (await runCommand(other.command(['id'], options))).stdout;
  assert.doesNotMatch(await id({}), new RegExp(`uid=(0|${process.getuid?.()})\\(`));
  assert.match(await id({}), new RegExp(`groups=.*\\b${other.gid}\\(${other.group}\\)`));
  assert.doesNotMatch(await id({ isInGroup: false }), new RegExp(other.group));
  assert.ok(process.getgroups?.().includes(other.gid), 'the tests are in the group, too');
  const { stdout } = await runCommand(other.command(['sh', '-c', 'echo $HOME $TMPDIR $MORE'], { env: { MORE: 'm' } }));
  assert.match(stdout, /^\/\S+ m\n$/);
});

test('input, output, exit status and signals are those of the program that the second user runs', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const input = 'ä\n'.repeat(100_000);
  const script = 'cat; echo complaint >&2; exit 7';
  const run = await runCommand(other.command(['sh', '-c', script]), { input });
  assert.deepEqual([run.status, run.stdout === input, run.stderr], [7, true, 'complaint\n']);
  const trap = await spawnBackground(
    t,
    other.command(['sh', '-c', 'trap "exit 3" TERM; echo set; while :; do sleep 0.05; done']),
  );
  await trap.waitForOutput(/set/);
  trap.kill('SIGTERM');
  assert.deepEqual(await trap.waitForExit(), { status: 3, signal: null });
  const sleep = await runCommand(other.command(['sh', '-c', 'kill -HUP $$']));
  assert.deepEqual([sleep.status, sleep.signal], [null, 'SIGHUP']);
  assert.equal((await runCommand(other.command(['vdens-no-such-command']))).status, 127);
});

test('what the second user runs never has the rights of the runner', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const library = join(makeSharedDirectory(t), 'none.so');
  const reading = other.command(['cat', '/proc/self/status'], { env: { LD_PRELOAD: library } });
  const { stdout, stderr } = await runCommand(reading);
  assert.equal(stderr.match(/none\.so/g)?.length, 1, 'what a request sets is set for its program alone');
  assert.match(stdout, /^CapEff:\s+0+$/m);
  assert.match(stdout, /^CapPrm:\s+0+$/m);
});

test('the second user cannot ask the runner for anything', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const socket = process.env['VDENS_TEST_OTHER_USER']!;
  const run = await runCommand(other.command(['stat', socket]));
  assert.equal(run.status, 1);
  assert.match(run.stderr, /Permission denied/);
  assert.doesNotMatch((await runCommand(other.command(['env']))).stdout, new RegExp(socket));
});

/** What a client of the second user's made of its socket: permissions and group. */
async function socketOf(
  t: TestContext,
  other: OtherUser,
  modes: { readonly directory: number; readonly control: number },
  options: OtherUserOptions,
): Promise<{ readonly mode: string; readonly gid: number; readonly status: number | null }> {
  const path = join(makeSharedDirectory(t), 'switch');
  mkdirSync(path);
  chownSync(path, UNCHANGED, other.gid);
  chmodSync(path, modes.directory);
  const seen = { mode: '', gid: -1 };
  const fake = await FakeSwitch.start(
    {
      answer: (request, connection, self) => {
        const file = statSync(request.subarray(14, request.indexOf(0, 14)).toString());
        Object.assign(seen, { mode: (file.mode & 0o777).toString(8), gid: file.gid });
        const answer = self.openPort(request);
        // As a switch does: its data socket is for those whom its control socket is for.
        const data = answer.subarray(2, answer.indexOf(0, 2)).toString();
        chownSync(data, UNCHANGED, other.gid);
        chmodSync(data, modes.control);
        connection.write(answer);
      },
    },
    path,
  );
  t.after(() => fake.close());
  chownSync(join(path, 'ctl'), UNCHANGED, other.gid);
  chmodSync(join(path, 'ctl'), modes.control);
  const { status, stderr } = await runCommand(other.command([ours('vdens'), path, 'true'], options));
  assert.equal(stderr, '');
  return { ...seen, status };
}

test('a client in the group of another user’s switch opens its socket to that group', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const socket = await socketOf(t, other, { directory: 0o2770, control: 0o660 }, {});
  assert.deepEqual(socket, { mode: '770', gid: other.gid, status: 0 });
});

test('a client outside the group opens its socket to everybody, because there is no other way', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const socket = await socketOf(t, other, { directory: 0o777, control: 0o666 }, { isInGroup: false });
  assert.equal(socket.mode, '777');
  assert.notEqual(socket.gid, other.gid);
  assert.equal(socket.status, 0);
});

test('a client outside the group of a setgid directory uses its group', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined) return;
  const socket = await socketOf(t, other, { directory: 0o2777, control: 0o666 }, { isInGroup: false });
  assert.deepEqual(socket, { mode: '770', gid: other.gid, status: 0 });
});

/** A switch of ours for the group, with a host on it that answers pings at 10.78.0.1. */
async function switchForGroup(t: TestContext, other: OtherUser): Promise<OriginalSwitch> {
  const path = join(makeSharedDirectory(t), 'switch');
  const lan = await startSwitch(t, { path, args: ['-m', '0660', '-g', other.group] });
  const command = ['sleep', '60'];
  const host = await spawnBackground(
    t,
    inNamespace({ vdens: ours('vdens'), network: path, address: '10.78.0.1/24', command }),
  );
  await host.waitForOutput(/^ready$/m);
  return lan;
}

for (const [whose, find] of [
  ['ours', ours],
  ['the original', original],
] as const) {
  test(`on an original switch for the group, its members ping each other (${whose})`, async (t) => {
    const other = requireOtherUser(t);
    if (other === undefined || !requireCommands(t, 'vdens', 'vde_switch', 'ip', 'ping')) return;
    const lan = await switchForGroup(t, other);
    const command = ['ping', '-c', '1', '-W', '3', '10.78.0.1'];
    const argv = inNamespace({ vdens: find('vdens')!, network: lan.path, address: '10.78.0.2/24', command });
    const client = await spawnBackground(t, other.command(argv));
    await client.waitForOutput(/ 1 received/);
  });
}

test('on an original switch for the group, others are told that they may not', async (t) => {
  const other = requireOtherUser(t);
  if (other === undefined || !requireCommands(t, 'vde_switch', 'ip')) return;
  const lan = await switchForGroup(t, other);
  const run = await runCommand(other.command([ours('vdens'), lan.path, 'true'], { isInGroup: false }));
  assert.equal(run.status, 125);
  assert.match(run.stderr, /^vdens: .*you may not use this switch .*EACCES.*-m 0660 -g GROUP/);
});
