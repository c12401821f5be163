/** What a command finds in the namespace: its identity, capabilities, descriptors, streams, environment, folder. */
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type CommandOptions,
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
} from '../interop/harness.ts';

/** Options and networks that the tests below are run with: one of each way to run. `no` alone takes a short cut. */
const WAYS: readonly string[] = ['no', '-u no', 'null://'];

async function outputOf(args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { status, signal, stdout, stderr } = await runCommand([ours('vdens'), ...args], options);
  assert.deepEqual([status, signal, stderr], [0, null, ''], args.join(' '));
  return stdout;
}

/** What `/proc/self/status` of a command says under each name. */
async function statusOf(options: readonly string[], ...names: readonly string[]): Promise<string[]> {
  const text = await outputOf([...options, 'cat', '/proc/self/status']);
  return names.map((name) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '');
}

test('has exactly the four network capabilities, and cap_sys_admin with -s', async () => {
  const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'];
  for (const network of WAYS) {
    assert.deepEqual(await statusOf(network.split(' '), ...sets), Array(4).fill('0000000000003c00'), network);
    assert.deepEqual(
      await statusOf(['-s', ...network.split(' ')], ...sets),
      Array(4).fill('0000000000203c00'),
      network,
    );
  }
});

test('has the ambient capabilities that caprint of the originals prints in the original vdens', async (t) => {
  if (!requireCommands(t, 'vdens', 'caprint')) return;
  const theirs = await runCommand([original('vdens')!, 'no', 'caprint', '-l']);
  assert.match(theirs.stdout, /0000000000003c00/);
  for (const network of WAYS) assert.equal(await outputOf([...network.split(' '), 'caprint', '-l']), theirs.stdout);
});

test("keeps the user's own uid and gid", async () => {
  const ids = `${process.getuid?.()} ${process.getgid?.()}\n`;
  for (const network of WAYS) {
    assert.equal(await outputOf([...network.split(' '), 'sh', '-c', 'echo $(id -u) $(id -g)']), ids);
    const map = await outputOf([
      ...network.split(' '),
      'cat',
      '/proc/self/uid_map',
      '/proc/self/gid_map',
      '/proc/self/setgroups',
    ]);
    const [uid, gid] = ids.trim().split(' ');
    assert.equal(map.replace(/ +/g, ' '), ` ${uid} ${uid} 1\n ${gid} ${gid} 1\ndeny\n`);
  }
});

test('is uid 0 with --root, and may then do what root may with a network', async () => {
  for (const network of WAYS) {
    assert.equal(await outputOf(['--root', ...network.split(' '), 'sh', '-c', 'echo $(id -u) $(id -g)']), '0 0\n');
    const [setgroups, effective] = await statusOf(['--root', ...network.split(' ')], 'Groups', 'CapEff');
    assert.notEqual(setgroups, undefined);
    assert.equal(BigInt(`0x${effective}`) & 0x3c00n, 0x3c00n);
  }
});

test('is in user, network and UTS namespaces of its own, and in a mount namespace only when asked', async () => {
  const kinds = ['user', 'net', 'uts', 'mnt', 'pid', 'ipc'];
  const of = (text: string): string[] => text.trim().split('\n');
  const host = kinds.map((kind) => readlinkSync(`/proc/self/ns/${kind}`));
  for (const network of WAYS) {
    const links = kinds.map((kind) => `/proc/self/ns/${kind}`);
    const own = of(await outputOf([...network.split(' '), 'readlink', ...links]));
    assert.deepEqual(
      own.map((link, index) => link !== host[index]),
      [true, true, true, false, false, false],
    );
    const withMounts = of(await outputOf(['-s', ...network.split(' '), 'readlink', ...links]));
    assert.notEqual(withMounts[3], host[3]);
  }
});

test('has no descriptor but the three standard ones and those of the caller', async () => {
  // One more is the one with which ls reads the folder. Whoever runs the tests may have left some open, too.
  const { stdout: bare } = await runCommand(['ls', '/proc/self/fd']);
  for (const options of [
    ['no'],
    ['-u', 'no'],
    ['null://'],
    ['-m', 'null://', 'null://', '--'],
    ['-R', '1.1.1.1', '-H', 'a', 'no'],
  ]) {
    assert.equal(await outputOf([...options, 'ls', '/proc/self/fd']), bare, options.join(' '));
  }
});

test('passes on the descriptors of a process substitution', async () => {
  for (const network of WAYS) {
    const script = `"$0" $1 cat <(echo one) <(echo two)`;
    const result = await runCommand(['bash', '-c', script, ours('vdens'), network]);
    assert.deepEqual([result.status, result.stdout, result.stderr], [0, 'one\ntwo\n', ''], network);
  }
});

test('passes standard input and both outputs through, byte for byte', async () => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 127);
  for (const network of WAYS) {
    const script = 'cat; echo wrong >&2';
    const result = await runCommand([ours('vdens'), ...network.split(' '), 'sh', '-c', script], { input: bytes });
    assert.equal(result.stdout, Buffer.from(bytes).toString());
    assert.equal(result.stderr, 'wrong\n');
  }
});

test('works with its standard descriptors closed', async () => {
  for (const network of WAYS) {
    const script = `"$0" $1 sh -c 'exit 9' <&- >&- 2>&-`;
    assert.equal((await runCommand(['bash', '-c', script, ours('vdens'), network])).status, 9, network);
  }
});

test('changes neither the environment nor the working directory', async (t) => {
  const cwd = makeTemporaryDirectory(t);
  const env = { ODD: 'two\nlines and = signs', EMPTY: '', name: 'n', launch: 'l' };
  const bare = await runCommand(['env', '-0'], { env, cwd });
  const sorted = (text: string): string[] =>
    text
      .split('\0')
      .filter((entry) => !/^(_|PWD|OLDPWD)=/.test(entry))
      .sort();
  for (const options of [['no'], ['-u', 'no'], ['null://'], ['-s', '-R', '1.1.1.1', 'null://']]) {
    assert.deepEqual(sorted(await outputOf([...options, 'env', '-0'], { env, cwd })), sorted(bare.stdout));
    assert.equal(await outputOf([...options, 'pwd', '-P'], { env, cwd }), `${cwd}\n`);
  }
});

test('starts in a folder that is gone, as any command does', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const script = 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$1" no echo fine';
  const result = await runCommand(['sh', '-c', script, join(folder, 'gone'), ours('vdens')]);
  assert.deepEqual([result.status, result.stdout], [0, 'fine\n']);
});

test('the soft limit of open files is that of the caller, with a network and without', async () => {
  const vdens = ours('vdens');
  const script = `ulimit -Sn 200; for net in no null://; do ${vdens} $net sh -c 'ulimit -Sn; env | grep VDENS_ | grep -vcE "VDENS_(TEST_|RUNTIME_DIR=)"'; done`;
  assert.equal((await runCommand(['sh', '-c', script])).stdout, '200\n0\n200\n0\n');
});
