/**
 * resolv.conf, on hosts of every kind.
 *
 * A host is a user namespace of the test's own whose /etc is a tmpfs with copies of what programs need, and with a
 * resolv.conf that is a file, a symbolic link, a dangling one, or missing. `vdens` runs in there, unprivileged as ever.
 */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type CommandResult,
  makeTemporaryDirectory,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
} from '../interop/harness.ts';

/** How the host's resolv.conf comes about, and what reading it gives on the host. */
const HOSTS: readonly (readonly [string, string, string])[] = [
  ['a file', 'echo nameserver 10.9.9.9 >/etc/resolv.conf', 'nameserver 10.9.9.9'],
  ['a symbolic link', 'echo nameserver 10.9.9.9 >/etc/real; ln -s real /etc/resolv.conf', 'nameserver 10.9.9.9'],
  [
    'a symbolic link out of /etc',
    'mkdir /etc/run; mount -n -t tmpfs none /etc/run; echo nameserver 10.9.9.9 >/etc/run/stub; ln -s ../etc/run/stub /etc/resolv.conf',
    'nameserver 10.9.9.9',
  ],
  ['a dangling symbolic link', 'ln -s ../run/no/such/resolv.conf /etc/resolv.conf', 'none'],
  ['missing', ':', 'none'],
  [
    'a file that nobody may write',
    'echo nameserver 10.9.9.9 >/etc/resolv.conf; chmod 444 /etc/resolv.conf',
    'nameserver 10.9.9.9',
  ],
];

/** Makes the host's /etc; arguments: how resolv.conf comes about, then the script that runs on the host. */
const MAKE_HOST = `
set -e
mkdir "$0/etc"
mount -n -t tmpfs none "$0/etc"
for file in passwd group hosts nsswitch.conf ld.so.cache alternatives; do
  [ -e "/etc/$file" ] && cp -a "/etc/$file" "$0/etc/" 2>/dev/null || :
done
mount -n --move "$0/etc" /etc
eval "$1"
eval "$2"`;

/** Runs a shell script on a host whose resolv.conf was made so. */
async function onHost(t: TestContext, make: string, script: string): Promise<CommandResult> {
  const argv = ['unshare', '--user', '--map-current-user', '--mount', '--keep-caps', 'sh', '-c', MAKE_HOST];
  // Node.js would warn of certificates that are not in this /etc.
  const env = { VDENS: ours('vdens'), NODE_EXTRA_CA_CERTS: undefined };
  return await runCommand([...argv, makeTemporaryDirectory(t), make, script], { env });
}

for (const [name, make, seen] of HOSTS) {
  test(`-R and -r work where the host's resolv.conf is ${name}, which stays as it is`, async (t) => {
    if (!requireCommands(t, 'unshare')) return;
    const script = `
      state() { ls -ln --time-style=full-iso /etc /etc/resolv.conf 2>&1 || :; cat /etc/resolv.conf 2>/dev/null || echo none; }
      echo nameserver 10.7.7.7 >/etc/mine
      state >/etc/before
      tail -n 1 /etc/before
      for network in no null://; do
        "$VDENS" -R 10.8.8.8,fd00::8 "$network" cat /etc/resolv.conf
        "$VDENS" -r /etc/mine "$network" cat /etc/resolv.conf
        (cd /etc && "$VDENS" -H web1 -r mine "$network" cat /etc/resolv.conf)
      done
      state >/etc/after; sed -i '/after/d; s/ etc$//' /etc/after
      grep -v -e before -e after -e total -e '/etc:' /etc/before >/etc/before.1
      grep -v -e before -e after -e total -e '/etc:' /etc/after >/etc/after.1
      cmp /etc/before.1 /etc/after.1 && echo same
      grep -c vdens /proc/self/mountinfo`;
    const one = 'nameserver 10.8.8.8\nnameserver fd00::8\nnameserver 10.7.7.7\nnameserver 10.7.7.7\n';
    const result = await onHost(t, make, script);
    assert.deepEqual([result.stderr, result.stdout], ['', `${seen}\n${one}${one}same\n0\n`]);
  });
}

/** What a host may have mounted below its /etc; every container engine does. */
const BELOW_ETC: readonly (readonly [string, string])[] = [
  ['nothing', ':'],
  ['a folder', 'mkdir /etc/below; mount -n -t tmpfs none /etc/below'],
  ['a file', 'echo 127.0.0.1 container >/etc/engine; mount -n --bind /etc/engine /etc/hosts'],
];

for (const [name, mountBelow] of BELOW_ETC) {
  test(`the host's renaming a new resolv.conf into place does not undo ours (mounted below /etc: ${name})`, async (t) => {
    if (!requireCommands(t, 'unshare')) return;
    const script = `
      ${mountBelow}
      cd "$0"; mkfifo in out; ln -s no/such/file /etc/link; echo text >/etc/text
      inside='cat /etc/resolv.conf; echo done >out; read -r line <in; cat /etc/resolv.conf /etc/text; readlink /etc/link'
      "$VDENS" -R 10.8.8.8 -H web1 null:// sh -c "$inside; tail -n 1 /etc/hosts; ls -A /etc | sort >inside" &
      ls -A /etc | sort >outside
      read -r line <out
      echo nameserver 10.6.6.6 >/etc/new; mv /etc/new /etc/resolv.conf
      echo go >in
      wait
      cat /etc/resolv.conf; cmp inside outside`;
    const result = await onHost(t, 'echo nameserver 10.9.9.9 >/etc/resolv.conf', script);
    const inside = 'nameserver 10.8.8.8\nnameserver 10.8.8.8\ntext\nno/such/file\n127.0.1.1\tweb1\n';
    assert.deepEqual([result.stderr, result.stdout], ['', `${inside}nameserver 10.6.6.6\n`]);
  });
}

test('a resolv.conf that is missing or leads nowhere is no obstacle in a container either', async (t) => {
  if (!requireCommands(t, 'unshare')) return;
  for (const make of [':', 'ln -s ../no/such /etc/resolv.conf']) {
    const script = `
      mkdir /etc/below; mount -n -t tmpfs none /etc/below; echo nameserver 10.7.7.7 >/etc/below/mine
      for network in no null://; do
        "$VDENS" -R 10.8.8.8 "$network" cat /etc/resolv.conf
        "$VDENS" -r /etc/below/mine "$network" cat /etc/resolv.conf /etc/below/mine
      done`;
    const result = await onHost(t, make, script);
    const one = 'nameserver 10.8.8.8\nnameserver 10.7.7.7\nnameserver 10.7.7.7\n';
    assert.deepEqual([result.stderr, result.stdout], ['', `${one}${one}`], make);
  }
});

test('a name is a line of its own in /etc/hosts, even if the last one there has no end', async (t) => {
  if (!requireCommands(t, 'unshare')) return;
  const below = 'mkdir /etc/below; mount -n -t tmpfs none /etc/below; ';
  for (const make of ['', below]) {
    const script = `
      for text in '127.0.0.1 a' '127.0.0.1 a\\n' ''; do
        printf "$text" >/etc/hosts
        for network in no null://; do "$VDENS" -H web1 "$network" cat /etc/hosts; done
      done`;
    const result = await onHost(t, `${make}rm -f /etc/hosts`, script);
    const line = '127.0.1.1\tweb1\n';
    const expected = `${`127.0.0.1 a\n${line}`.repeat(4)}${line.repeat(2)}`;
    assert.deepEqual([result.stderr, result.stdout], ['', expected]);
  }
});

test('a file given with -r is seen as it changes', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const file = join(folder, 'resolv.conf');
  for (const network of ['no', 'null://']) {
    writeFileSync(file, 'nameserver 10.0.0.1\n');
    const script = 'cat /etc/resolv.conf; read -r line; cat /etc/resolv.conf';
    const running = await spawnBackground(t, [ours('vdens'), '-r', 'resolv.conf', network, 'sh', '-c', script], {
      cwd: folder,
    });
    await running.waitForOutput(/10\.0\.0\.1/);
    writeFileSync(file, 'nameserver 10.0.0.2\n');
    running.write('\n');
    await running.waitForExit();
    assert.equal(running.output(), 'nameserver 10.0.0.1\nnameserver 10.0.0.2\n');
  }
});

test("the rest of /etc is the host's, and no file is left anywhere", async (t) => {
  if (!requireCommands(t, 'getent')) return;
  const isOurs = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid!();
  const ownFiles = (): string[] =>
    [tmpdir(), '/tmp'].flatMap((folder) => readdirSync(folder).map((name) => join(folder, name))).filter(isOurs);
  const temporary = ownFiles();
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  const resolvConf = readFileSync('/etc/resolv.conf', 'utf8');
  for (const network of ['no', 'null://']) {
    const script = 'id -un; ls -A /etc | wc -l; ls -d /tmp/upper /tmp/work';
    const result = await runCommand([ours('vdens'), '-R', '10.8.8.8', network, 'sh', '-c', script]);
    const plain = await runCommand(['sh', '-c', script]);
    assert.deepEqual([result.stdout, result.status], [plain.stdout, plain.status]);
  }
  assert.deepEqual(ownFiles(), temporary);
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), mounts);
  assert.equal(readFileSync('/etc/resolv.conf', 'utf8'), resolvConf);
});

test('a file that cannot be read is an error that names it', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const closed = join(folder, 'closed');
  writeFileSync(closed, '', { mode: 0 });
  for (const network of ['no', 'null://']) {
    for (const [path, errno] of [
      [join(folder, 'none'), 'ENOENT'],
      [closed, 'EACCES'],
      [folder, 'EISDIR'],
      [join(closed, 'below'), 'ENOTDIR'],
    ]) {
      const result = await runCommand([ours('vdens'), '-r', path!, network, 'true']);
      const line = `vdens: resolv.conf: cannot read "${path}" (${errno}). Name a file that you can read, or name servers: -R 9.9.9.9\n`;
      assert.deepEqual([result.status, result.stderr], [125, line]);
    }
  }
});
