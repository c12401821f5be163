/** Bad input: one line on standard error that names the wrong value and a right one, status 125, no stack trace. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type CommandOptions,
  checkout,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
} from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

const HELP = 'Options are listed by: vdens --help';

async function refuses(args: readonly string[], message: string | RegExp, options: CommandOptions = {}): Promise<void> {
  const { status, stdout, stderr, isTimedOut } = await runCommand([ours('vdens'), ...args], options);
  const name = args.join(' ');
  assert.deepEqual([status, stdout, isTimedOut], [125, '', false], `${name}: ${stderr}`);
  if (typeof message === 'string') assert.equal(stderr, `vdens: ${message}\n`, name);
  else assert.match(stderr, message, name);
  assert.match(stderr, /^vdens: [^\n]*\n$/, name);
  assert.doesNotMatch(stderr, /unexpected|node:internal|\.js:/, name);
}

/** Command lines whose error can be told by looking at them. */
const TABLE: readonly (readonly [readonly string[], string])[] = [
  [['--bogus'], `unknown option --bogus. ${HELP}`],
  [['-x', 'no'], `unknown option -x. ${HELP}`],
  [['-sx', 'no'], `unknown option -x. ${HELP}`],
  [['--m', 'no'], `--m may mean --multi or --mac or --mtu. ${HELP}`],
  [['-i'], `-i needs a value: -i PREFIX. ${HELP}`],
  [['--hostname'], `--hostname needs a value: --hostname NAME. ${HELP}`],
  [['--up=yes', 'no'], `--up takes no value, but was given "yes". ${HELP}`],
  [['-m'], `-m needs at least one network, for example: vdens -m vde:///run/sw null://. ${HELP}`],
  [
    ['-m', ...Array.from({ length: 253 }, () => 'null://')],
    `253 networks are more than one namespace can have, which is 252. Connect some of them by a switch. ${HELP}`,
  ],
  [['--\x1b[31m\x9bm'], `unknown option --\\x1b[31m\\x9bm. ${HELP}`],
  [['--\u202egnp.exe\u2066\u200f\u2028'], `unknown option --\\u202egnp.exe\\u2066\\u200f\\u2028. ${HELP}`],
  [['-m', '--', '--'], `-m needs at least one network, for example: vdens -m vde:///run/sw null://. ${HELP}`],
  [
    ['-m', 'null://', 'no'],
    '"no" means no network, which makes no sense among several: leave it out, write null:// for an unused interface, or ./no for a path',
  ],
  [
    ['-i', 'fifteen-bytes--', 'null://'],
    '--iface: interface name too long: "fifteen-bytes--0" has 16 bytes, the kernel takes at most 15. Write, for example, -i eth',
  ],
  [
    ['-i', 'a/b', 'null://'],
    '--iface: "a/b" has a "/" in it, which no interface name may have. Write, for example, -i eth',
  ],
  [
    ['-H', 'web_1', 'no'],
    '--hostname: "web_1" is not a host name. Use letters, digits and hyphens, with dots between parts, for example web1.example',
  ],
  [['--mtu', 'big', 'null://'], '--mtu: "big" is not a number from 68 to 65521. Write, for example, --mtu 1500'],
  [['--mtu', '65522', 'null://'], '--mtu: "65522" is not a number from 68 to 65521. Write, for example, --mtu 1500'],
  [
    ['--mac', '02:00:00:00:00', 'null://'],
    '--mac: "02:00:00:00:00" is not a MAC address. Write six bytes in hex, for example 02:00:00:00:00:01',
  ],
  [
    ['--mac', 'ff:ff:ff:ff:ff:ff', 'null://'],
    '--mac: ff:ff:ff:ff:ff:ff is not the address of one station. Write, for example, 02:00:00:00:00:01',
  ],
  [
    ['--address', '10.0.0.256/24', 'null://'],
    '--address: "10.0.0.256" is not an IP address. Write, for example, 10.0.0.1 or fd00::1',
  ],
  [['--address', '10.0.0.1', 'null://'], '--address: "10.0.0.1" has no prefix length. Write, for example, 10.0.0.1/24'],
  [['--address', 'eth0=10.0.0.1/24', 'null://'], '--address: there will be no interface "eth0", but vde0'],
  [
    ['--address', '10.0.0.1/24', 'no'],
    '--address: there is no interface for "10.0.0.1/24", as no network was named. Name a network, for example: vdens --address 10.0.0.1/24 vde:///run/sw',
  ],
  [
    ['--gateway', '10.0.0.2', 'null://'],
    '--gateway: 10.0.0.2 is in the network of no --address. Add an address of its network, for example: --address 10.0.0.3/24',
  ],
  [['-R', 'dns', 'no'], '--resolvaddr: "dns" is not an IP address. Write, for example, 10.0.0.1 or fd00::1'],
];

test('names the wrong value and a right one', async () => {
  for (const [args, message] of TABLE) await refuses(args, message);
});

test('the variables are checked as the options are', async () => {
  const remedy = 'is not an IP address. Write, for example, 10.0.0.1 or fd00::1';
  await refuses(['no', 'true'], `VDE_RESOLVADDR: "dns" ${remedy}`, { env: { VDE_RESOLVADDR: 'dns' } });
  const file =
    'resolv.conf: cannot read "/no/such/file" (ENOENT). Name a file that you can read, or name servers: -R 9.9.9.9';
  await refuses(['null://', 'true'], file, { env: { VDE_RESOLVCONF: '/no/such/file' } });
});

test('names the network that cannot be opened, and why', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const empty = join(folder, 'empty');
  const dead = join(folder, 'dead');
  mkdirSync(empty);
  mkdirSync(dead);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(dead, 'ctl'), resolve));
  server.unref();
  const socket = join(dead, 'ctl');
  await refuses(['bogus:///x', 'true'], /^vdens: bogus:\/\/\/x: .*"bogus".* vde:\/\/,/);
  await refuses(['vde:///run/sw[prot=3]', 'true'], /"prot".* port,/);
  await refuses(['vde:///run/sw[mode=9]', 'true'], /"9".*\[mode=660\]/);
  await refuses([`vde://${folder}/none`, 'true'], new RegExp(`${folder}/none: .*ENOENT.*vde switch ${folder}/none`));
  await refuses([empty, 'true'], new RegExp(`${empty}: nobody serves a switch there.*vde switch ${empty}`));
  await refuses(['tap://fifteen-bytes--0', 'true'], /"fifteen-bytes--0".*15 bytes.*tap0/);
  await refuses(['tap://', 'true'], /tap:\/\/: .*EPERM.*vdens/);
  await refuses(['=', 'true'], /names no command.*for example/);
  await refuses(["='unterminated", 'true'], /unterminated/);
  await refuses(['-m', 'null://', `${folder}/none`, '--', 'true'], /none: there is no such switch/);
  chmodSync(socket, 0);
  await refuses([dead, 'true'], new RegExp(`${dead}: .*EACCES`));
  chmodSync(dead, 0);
  await refuses([dead, 'true'], new RegExp(`${dead}: .*EACCES`));
  chmodSync(dead, 0o700);
  chmodSync(socket, 0o700);
  await new Promise((resolve) => server.close(resolve));
});

test('a silent switch is an error after its time-out', async (t) => {
  const folder = join(makeTemporaryDirectory(t), 'switch');
  mkdirSync(folder);
  const server = createServer((connection) => void connection.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => server.listen(join(folder, 'ctl'), resolve));
  t.after(() => server.close());
  await refuses([folder, 'true'], new RegExp(`^vdens: ${folder}: the switch did not`));
});

test('a full switch and a port that is too high are errors', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const lan = await startSwitch(t, { ports: 4 });
  await refuses([`${lan.path}[77]`, 'true'], new RegExp(`^vdens: ${lan.path}\\[77\\]: `));
});

test('a broken installation is told like any other error', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const half = join(folder, 'half');
  mkdirSync(half);
  cpSync(join(checkout, 'build', 'native', 'io.node'), join(half, 'io.node'));
  const broken = join(folder, 'broken');
  mkdirSync(broken);
  writeFileSync(join(broken, 'io.node'), 'no library');
  for (const network of ['no', 'null://']) {
    const env = (VDENS_NATIVE_DIR: string): CommandOptions => ({ env: { VDENS_NATIVE_DIR } });
    await refuses([network, 'true'], /\/none\/io\.node is missing.*npm run build/, env(join(folder, 'none')));
    await refuses([network, 'true'], /broken\/io\.node.*npm run build/, env(broken));
    await refuses(
      [network, 'true'],
      `cannot run the helper ${half}/launch (ENOENT). In a checkout, run: npm run build`,
      env(half),
    );
  }
});

test('a stack trace is there for those who ask for it', async () => {
  const { status, stderr } = await runCommand([ours('vdens'), '--bogus'], { env: { VDENS_DEBUG: '1' } });
  assert.equal(status, 125);
  assert.match(stderr, /^vdens: unknown option --bogus.*\n[^\n]*VdensError[\s\S]*\n +at /);
});
