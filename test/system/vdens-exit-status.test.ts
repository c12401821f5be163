/** The exit status of `vdens`: the command's own, 128+n, 125, 126, 127, in each way to run. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeTemporaryDirectory, ours, runCommand } from '../interop/harness.ts';

/** What comes before the command: without a network (the short cut and the way of all options), with one, two, a stream. */
const WAYS: readonly (readonly string[])[] = [
  ['no'],
  ['-u', 'no'],
  ['null://'],
  ['-m', 'null://', 'null://', '--'],
  ['=cat'],
];

async function run(...args: readonly string[]): Promise<{ status: number | null; stderr: string }> {
  const { status, stderr, isTimedOut } = await runCommand([ours('vdens'), ...args]);
  assert.equal(isTimedOut, false, args.join(' '));
  return { status, stderr };
}

test("is the command's own", async () => {
  for (const way of WAYS) {
    for (const status of [0, 1, 77, 125, 255]) {
      assert.deepEqual(await run(...way, 'sh', '-c', `exit ${status}`), { status, stderr: '' }, way.join(' '));
    }
  }
});

test('is 128+n when signal n ended the command', async () => {
  for (const way of WAYS) {
    for (const [name, status] of [
      ['INT', 130],
      ['KILL', 137],
      ['TERM', 143],
      ['PIPE', 141],
    ] as const) {
      assert.deepEqual(await run(...way, 'sh', '-c', `kill -${name} $$`), { status, stderr: '' }, way.join(' '));
    }
  }
});

test('is 127 when there is no such command', async () => {
  for (const way of WAYS) {
    for (const command of ['no-such-command', '/no/such/command', '/dev/null/command']) {
      const stderr = `vdens: cannot run the command '${command}': not found\n`;
      assert.deepEqual(await run(...way, command), { status: 127, stderr });
    }
  }
});

test('is 126 when the command cannot be executed', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const plain = join(folder, 'plain');
  writeFileSync(plain, 'not a program\n');
  for (const way of WAYS) {
    for (const [command, reason] of [
      [plain, 'Permission denied'],
      [folder, 'Permission denied'],
    ] as const) {
      const stderr = `vdens: cannot run the command '${command}': ${reason}\n`;
      assert.deepEqual(await run(...way, command), { status: 126, stderr });
    }
  }
});

test('is 125 when vdens itself fails', async () => {
  for (const args of [['--bogus'], ['bogus://'], ['-m', 'null://', 'bogus://', '--', 'true'], ['-H', '-', 'no']]) {
    assert.equal((await run(...args)).status, 125, args.join(' '));
  }
});

test('is 125, with one line, when the help cannot be written or there are no descriptors to start with', async () => {
  for (const [command, script, message] of [
    ['vdens', '"$0" --help >/dev/full', /^vdens: [^\n]*standard output \(ENOSPC\)\n$/],
    ['vdens', '"$0" --version >/dev/full', /^vdens: [^\n]*standard output \(ENOSPC\)\n$/],
    ['vde', '"$0" --help >/dev/full', /^vde: [^\n]*standard output \(ENOSPC\)\n$/],
    ['vdens', 'ulimit -n 20; "$0" null:// true', /^vdens: [^\n]*EMFILE[^\n]*\n$/],
    ['vde', 'ulimit -n 20; "$0" doctor', /^vde: [^\n]*EMFILE[^\n]*\n$/],
  ] as const) {
    const { status, stderr } = await runCommand(['sh', '-c', script, ours(command)]);
    assert.equal(status, 125, script);
    assert.match(stderr, message, script);
  }
});

test("is the command's when a line cannot be written: the disk is full, or nobody reads", async () => {
  // The command makes vdens print its counters; fields of proc(5).
  const command = 'read -r _ _ _ vdens _ </proc/$PPID/stat; kill -USR1 $vdens; sleep 0.3; exit 6';
  for (const stderr of [
    '2>/dev/full',
    // A pipe whose reader is gone, and a full one.
    '2> >(exec sleep 0); sleep 0.2',
    '2>&5',
  ]) {
    const folder = '$(mktemp -d)';
    const full =
      'mkfifo "$d/full"; exec 5<>"$d/full"; dd if=/dev/zero of="$d/full" oflag=nonblock bs=4096 count=64 2>&-';
    const script = `d=${folder}; ${full}; rm -r "$d"; run() { "$0" null:// sh -c '${command}'; exit $?; }; exec ${stderr}; run`;
    assert.equal((await runCommand(['bash', '-c', script, ours('vdens')])).status, 6, stderr);
  }
});

test("a failure of one network's opening lets go of the others", async () => {
  const { status, stderr } = await run('-m', '=sleep 60', 'null://', 'vde:///no/such/switch', '--', 'true');
  assert.equal(status, 125);
  assert.match(stderr, /^vdens: vde:\/\/\/no\/such\/switch: [^\n]*\n$/);
});
