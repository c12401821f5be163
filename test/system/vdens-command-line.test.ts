/** The command line of `vdens`, with real namespaces: networks, interfaces, command, names, and what only prints. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type CommandOptions,
  type CommandResult,
  checkout,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

/** Interfaces without ip(8): the namespace's own list. */
const INTERFACES = ['awk', 'NR > 2 { sub(":", "", $1); print $1 }', '/proc/net/dev'];

async function vdens(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return await runCommand([ours('vdens'), ...args], options);
}

/** What the command printed, when all went well. */
async function outputOf(args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { status, signal, stdout, stderr } = await vdens(args, options);
  assert.deepEqual([status, signal, stderr], [0, null, ''], args.join(' '));
  return stdout;
}

async function interfacesOf(...args: readonly string[]): Promise<string> {
  return (await outputOf([...args, ...INTERFACES])).trim().split('\n').sort().join(' ');
}

test('makes no interface but lo for each of the words that mean no network', async () => {
  for (const word of ['no', '-', '']) assert.equal(await interfacesOf(word), 'lo', `"${word}"`);
});

test('names interfaces vde0 and on, or by the prefix given with -i', async () => {
  assert.equal(await interfacesOf('null://'), 'lo vde0');
  assert.equal(await interfacesOf('-i', 'eth', 'null://'), 'eth0 lo');
  assert.equal(await interfacesOf('--iface=fourteen-bytes', 'null://'), 'fourteen-bytes0 lo');
  assert.equal(await interfacesOf('-m', 'null://', 'null://', 'null://', '--'), 'lo vde0 vde1 vde2');
  assert.equal(await interfacesOf('-mieth', 'null://', 'null://', '--'), 'eth0 eth1 lo');
});

test('plugs into a VDE switch by its locator, its plain path, and a port number', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t);
  for (const network of [lan.path, `vde://${lan.path}`, `vde://${lan.path}[7]`, `vde://${lan.path}[port=7]`]) {
    assert.equal(await interfacesOf(network), 'lo vde0', network);
  }
});

test('several networks need no command after --', async () => {
  const input = INTERFACES.map((word) => `'${word}'`).join(' ');
  const shell = { env: { SHELL: '/bin/sh' }, input };
  assert.match(await outputOf(['-m', 'null://', 'null://'], shell), /vde1/);
  assert.match(await outputOf(['-m', 'null://', 'null://', '--'], shell), /vde1/);
});

test('passes every word after the network to the command, and those that look like options too', async (t) => {
  assert.equal(await outputOf(['null://', 'echo', '-i', '-m', '--', '-h', '']), '-i -m -- -h \n');
  assert.equal(await outputOf(['--', 'no', 'echo', '--mtu']), '--mtu\n');
  for (const option of [[], ['-u']]) {
    assert.equal(await outputOf([...option, 'no', '--', 'echo', '-V', '--']), '-V --\n');
    assert.equal(await outputOf([...option, 'no', 'echo', 'two  spaces', '*', '$HOME']), 'two  spaces * $HOME\n');
  }
  assert.equal(await outputOf(['-m', 'null://', '--', 'echo', '--', '-m']), '-- -m\n');
  if (!requireCommands(t, 'ip')) return;
  assert.match(await outputOf(['-i', 'eth', 'null://', 'ip', '-br', 'addr']), /^lo +DOWN.*\neth0 +DOWN/);
});

test('runs $SHELL when there is no command', async () => {
  for (const network of [
    [],
    ['no'],
    ['no', '--'],
    ['-u'],
    ['-u', 'no'],
    ['null://'],
    ['-m', 'null://'],
    ['-m', 'null://', '--'],
  ]) {
    const options = { env: { SHELL: '/bin/sh' }, input: 'echo "$0 $#"; exit 0' };
    assert.equal(await outputOf(network, options), '/bin/sh 0\n', network.join(' '));
  }
});

test("runs the user's shell, or sh, when there is no $SHELL", async () => {
  for (const [SHELL, ...args] of [[undefined], [''], [undefined, 'no'], ['', 'no', '--'], [undefined, '-u', 'no']]) {
    const said = await outputOf(args as string[], { env: { SHELL }, input: 'readlink /proc/$$/exe; exit 0' });
    const expected = statSync(userInfo().shell || '/bin/sh').ino;
    assert.equal(statSync(said.trim()).ino, expected);
  }
});

test('accepts -c and -u, which choose between ways to make namespaces that are one here', async () => {
  for (const option of ['-c', '-u', '--clone', '--unshare', '-cu']) {
    assert.equal(await outputOf([option, 'no', 'echo', 'done']), 'done\n');
  }
});

test('prints its help and its version on standard output', async () => {
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };
  for (const option of ['-V', '--version']) assert.equal(await outputOf([option]), `vdens ${version}\n`);
  for (const option of ['-h', '--help']) {
    const help = await outputOf([option, 'no', 'true']);
    assert.match(help, /^Usage: vdens \[options\] \[network \[command/);
    assert.match(help, /--resolvaddr/);
  }
});

test('runs from anywhere, by a symbolic link, as npm installs it', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const link = join(folder, 'my vdens');
  symlinkSync(ours('vdens'), link);
  for (const network of ['no', '-', 'null://']) {
    const { status, stdout } = await runCommand([link, network, 'pwd'], { cwd: folder });
    assert.deepEqual([status, stdout], [0, `${folder}\n`]);
  }
});

test('-H gives the namespace a name of its own, which resolves', async (t) => {
  if (!requireCommands(t, 'hostname', 'getent')) return;
  const script = 'hostname; getent hosts web1.example; getent hosts web1; tail -n 1 /etc/hosts';
  const expected = `web1.example
127.0.1.1       web1.example web1
127.0.1.1       web1.example web1
127.0.1.1\tweb1.example web1
`;
  const hosts = readFileSync('/etc/hosts', 'utf8');
  for (const network of ['no', 'null://']) {
    assert.equal(await outputOf(['-H', 'web1.example', network, 'sh', '-c', script]), expected);
  }
  assert.equal(await outputOf(['no', 'hostname']), `${hostname()}\n`);
  assert.equal(await outputOf(['--hostname', 'web1', 'no', 'cat', '/etc/hosts']), `${hosts}127.0.1.1\tweb1\n`);
  assert.equal(readFileSync('/etc/hosts', 'utf8'), hosts);
});

test('-R writes name servers of both families, before -r and before the environment', async (t) => {
  const file = join(makeTemporaryDirectory(t), 'resolv.conf');
  writeFileSync(file, 'search example\n');
  const servers = 'nameserver 9.9.9.9\nnameserver 2620:fe::fe\n';
  const table: readonly (readonly [Record<string, string>, string[], string])[] = [
    [{}, ['-R', '9.9.9.9,2620:fe::fe'], servers],
    [{ VDE_RESOLVADDR: '9.9.9.9,2620:fe::fe' }, [], servers],
    [
      { VDE_RESOLVADDR: '1.1.1.1', VDE_RESOLVCONF: '/nowhere' },
      ['-r', file, '--resolvaddr=9.9.9.9,2620:fe::fe'],
      servers,
    ],
    [{ VDE_RESOLVCONF: file }, [], 'search example\n'],
    [{ VDE_RESOLVADDR: '1.1.1.1' }, ['-r', file], 'search example\n'],
    [{ VDE_RESOLVADDR: '', VDE_RESOLVCONF: file }, [], ''],
    [{ VDE_RESOLVCONF: '' }, [], ''],
    [{}, ['-R', ''], ''],
    [{}, ['-r', ''], ''],
    [{}, [], readFileSync('/etc/resolv.conf', 'utf8')],
  ];
  for (const [env, options, expected] of table) {
    const network = expected === servers ? 'null://' : 'no';
    assert.equal(
      await outputOf([...options, network, 'cat', '/etc/resolv.conf'], { env }),
      expected,
      options.join(' '),
    );
  }
});
