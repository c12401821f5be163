/** `caprint` and `cadrop`, ours and those of Debian's cado: the same output and status, to the byte. */
import assert from 'node:assert/strict';
import { constants, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { openTerminal } from '../fixtures/terminal.ts';
import {
  type CommandResult,
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
} from './harness.ts';

/** Takes a folder to be first in PATH, and one to write into, and runs all lines of its standard input. */
const RUN_LINES = `
PATH=$1:$PATH
while read -r line; do
  printf '== %s\\n' "$line"
  eval "$line" 2>"$2/errors" </dev/null
  printf -- '-- %s %s\\n' $? "$([ -s "$2/errors" ] && echo said)"
done
rm -f "$2/errors"`;

/** Runs lines of shell in a namespace, with ours or the originals first in PATH. */
async function runLines(
  t: TestContext,
  namespace: readonly string[],
  program: string,
  lines: readonly string[],
): Promise<CommandResult> {
  const folder = program.slice(0, program.lastIndexOf('/'));
  return await runCommand([...namespace, 'sh', '-c', RUN_LINES, 'sh', folder, makeTemporaryDirectory(t)], {
    input: `${lines.join('\n')}\n`,
    timeoutMs: 60_000,
  });
}

/** One after the other, so that a difference shows the line. */
async function assertSame(t: TestContext, namespace: readonly string[], lines: readonly string[]): Promise<void> {
  if (!requireCommands(t, 'caprint', 'cadrop', 'vdens')) return;
  const expected = await runLines(t, namespace, original('caprint') ?? '', lines);
  const actual = await runLines(t, namespace, ours('caprint'), lines);
  assert.equal(expected.isTimedOut, false);
  assert.equal(actual.stdout, expected.stdout);
  assert.equal(expected.stdout.match(/^== /gm)?.length, lines.length);
}

const FORMATS: readonly string[] = [
  '',
  '-l',
  '-c',
  '-p',
  '-lc',
  '-pl',
  '-lcp',
  '-cp',
  '--long --compact',
  '--prompt',
].map((words) => `caprint ${words}`);

const PROCESSES: readonly string[] = [
  ...['--', '$$', '-l $$', '-c $$ -p', '1x', "' 1'", '+1', '4294967297', "''", '0', 'abc', '0x1', '99999999', '-- -1'],
  ...['18446744073709551617', '-x', '-xl', '1 2', '--long=x'],
].map((words) => `caprint ${words}`);

const LISTS: readonly string[] = [
  ...['all', '-', '', 'net_raw', 'NET_RAW', 'cap_net_raw', 'cap_NET_raw', 'CAP_NET_RAW', 'net_admin,net_raw'],
  ...['net_admin, net_raw', ',,net_raw,', ',', 'net_raw net_admin', '3000', '0x3000', '0X400', '12', '0', '0x', 'face'],
  ...[
    'ffffffffffffffff',
    '10000000000000400',
    '8000000000000000',
    '-1',
    '+400',
    '40',
    'net_raw,3g',
    'xx',
    'net_raw,xx',
  ],
  ...['all,net_raw', 'ALL', 'cap_', 'net', 'setpcap', 'checkpoint_restore', '--', '--foo'],
];

/** Programs of the other kind print: what counts is what the command has. */
const DROPPING: readonly string[] = LISTS.map((list) => `cadrop '${list}' ${original('caprint') ?? ''} -c`);

const COMMANDS: readonly string[] = [
  "cadrop all sh -c 'exit 4'",
  "cadrop net_raw sh -c 'kill -9 $$'",
  'cadrop xx true',
  'cadrop - nonexistent',
  'cadrop - /etc/passwd',
  "cadrop all ''",
  '(unset SHELL; cadrop)',
  '(unset SHELL; cadrop net_raw)',
  'SHELL= cadrop',
  'SHELL=/nonexistent cadrop all',
  'SHELL=/bin/true cadrop',
  'SHELL=/usr/bin/id cadrop net_raw',
  'cadrop 3000 sh -c \'grep -E "^(Cap|NoNew|Sig[IB])" /proc/self/status\'',
  "(trap '' HUP TERM; cadrop all sh -c 'grep -E \"^(Cap|NoNew|Sig[IB])\" /proc/self/status')",
  "cadrop - sh -c 'echo \"$0 $# $1\"; env | grep -c VDENS_I; cat' 'a b' c",
];

for (const [name, namespace, lines] of [
  ['in no namespace', ['env'], [...FORMATS, ...PROCESSES]],
  ['in vdens no', [original('vdens') ?? '', 'no'], [...FORMATS, ...PROCESSES.slice(0, 6)]],
  ['in vdens -s no', [original('vdens') ?? '', '-s', 'no'], FORMATS],
  ['in our vdens no', [ours('vdens'), 'no'], FORMATS.slice(0, 3)],
] as const) {
  test(`caprint prints the same ${name}`, async (t) => {
    await assertSame(t, namespace, lines);
  });
}

test('cadrop reads lists as the original does, and leaves the same', async (t) => {
  await assertSame(t, [original('vdens') ?? '', '-s', 'no'], DROPPING);
});

test('cadrop becomes its command as the original does', async (t) => {
  await assertSame(t, [ours('vdens'), 'no'], COMMANDS);
  await assertSame(t, ['env'], COMMANDS);
});

test('each sees what the other has made: of a running process, too', async (t) => {
  if (!requireCommands(t, 'caprint', 'cadrop', 'vdens')) return;
  const [theirs, mine] = [original('caprint') ?? '', ours('caprint')];
  const lines = [' 0000000000000400 cap_net_bind_service', '   0000000000003c00'];
  for (const argv of [
    [ours('vdens'), 'no', theirs, '-l'],
    [original('vdens') ?? '', 'no', mine, '-l'],
  ]) {
    const { stdout } = await runCommand(argv);
    assert.equal(stdout.split('\n').length, 6, stdout);
    for (const line of lines) assert.ok(stdout.includes(line), stdout);
  }
  const left = await runCommand([ours('vdens'), 'no', ours('cadrop'), 'net_raw,net_admin', theirs, '-c']);
  assert.equal(left.stdout, 'net_bind_service,net_broadcast\n');
  const shell = await spawnBackground(t, [original('vdens') ?? '', 'no', 'sh', '-c', 'echo pid $$; exec sleep 60']);
  const [, pid = ''] = await shell.waitForOutput(/^pid (\d+)$/m);
  for (const program of [theirs, mine]) {
    assert.equal(
      (await runCommand([program, '-p', pid])).stdout,
      'net_bind_service,net_broadcast,net_admin,net_raw#\n',
    );
  }
});

/** The sets of a command, by name, from its /proc/self/status. */
async function setsOf(argv: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
  const { stdout, stderr } = await runCommand([...argv, 'cat', '/proc/self/status']);
  const lines = [...stdout.matchAll(/^(Cap\w+|NoNewPrivs):\s*([0-9a-f]+)$/gm)];
  assert.equal(lines.length, 6, `${argv.join(' ')}: ${stderr}`);
  return new Map(lines.map(([, name = '', digits]) => [name, BigInt(`0x${digits}`)]));
}

const NETWORK = 0x3000n;
const SETPCAP = 0x100n;

test('of uid 0, capabilities are gone for good', async () => {
  const root = [ours('vdens'), '--root', 'no'];
  const before = await setsOf(root);
  assert.equal((before.get('CapEff') ?? 0n) & NETWORK, NETWORK);
  const drop = [ours('cadrop'), 'net_raw,net_admin'];
  const after = await setsOf([...root, ...drop]);
  for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
    assert.equal((after.get(name) ?? NETWORK) & NETWORK, 0n, name);
  }
  assert.equal(after.get('CapPrm'), (before.get('CapPrm') ?? 0n) & ~NETWORK);
  assert.equal(after.get('NoNewPrivs'), 0n);
  // The kernel's word for it, in a child of the command.
  const tried = await runCommand([...root, ...drop, 'sh', '-c', 'ip link set lo up; true']);
  assert.match(tried.stderr, /not permitted/);
  assert.equal((await setsOf([...root, ours('cadrop'), 'all'])).get('CapPrm'), 0n);
});

test('of uid 0 that may not change its bounding set, too', async () => {
  const words = ['--root', 'no', ours('cadrop'), 'setpcap', ours('cadrop'), 'net_raw,net_admin'];
  const sets = await setsOf([ours('vdens'), ...words]);
  for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
    assert.equal((sets.get(name) ?? NETWORK) & (NETWORK | SETPCAP), 0n, name);
  }
  assert.equal((sets.get('CapBnd') ?? 0n) & NETWORK, NETWORK);
  assert.equal(sets.get('NoNewPrivs'), 1n);
  // What the bounding set does not have any more does not take it.
  const once = await setsOf([ours('vdens'), '--root', 'no', ours('cadrop'), '3100', ours('cadrop'), 'net_raw']);
  assert.equal((once.get('CapPrm') ?? NETWORK) & NETWORK, 0n);
  assert.equal(once.get('NoNewPrivs'), 0n);
});

test('a command of cadrop waits for its input, and has the descriptors and the limit of its caller', async () => {
  const drop = `${ours('cadrop')} all`;
  // A descriptor that was made non-blocking would be seen by all who have it.
  const script = [
    `(read -r word; echo "$word") | ${drop} sh -c 'grep ^flags: /proc/self/fdinfo/0; grep ^flags: /proc/self/fdinfo/1; cat' | cat`,
    `ulimit -Sn 100; ${drop} sh -c 'ulimit -Sn; cat <&5; test ! -e /proc/self/fd/6 && env | grep VDENS_ | grep -vcE "VDENS_(TEST_|RUNTIME_DIR=)"' 5<<END`,
    'five',
    'END',
  ].join('\n');
  const run = await runCommand(['sh', '-c', script], { input: 'late\n' });
  assert.equal(run.stderr, '');
  const [input, output, ...rest] = run.stdout.trim().split('\n');
  for (const line of [input, output]) {
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/.exec(line ?? '')?.[1] ?? 'none', 8);
    assert.equal(flags & constants.O_NONBLOCK, 0, line);
  }
  assert.deepEqual(rest, ['late', '100', 'five', '0']);
});

test('on a terminal, cadrop leaves its streams as they are', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash')) return;
  const terminal = await openTerminal(t);
  await terminal.type(`${ours('cadrop')} all sh -c 'grep ^flags: /proc/self/fdinfo/0; read -r word; echo "got $word"'`);
  const [, digits = ''] = await terminal.waitFor(/^flags:\s*([0-7]+)$/m);
  assert.equal(Number.parseInt(digits, 8) & constants.O_NONBLOCK, 0);
  await terminal.type('words');
  await terminal.waitFor(/^got words$/m);
});

test('wrong usage is one line and the status of the originals; help is no error', async () => {
  const table: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['caprint', '--foo'], 1, /^caprint: unknown option --foo\. [^\n]+\n$/],
    [['caprint', '-x'], 1, /^caprint: unknown option -x\. [^\n]+\n$/],
    [['caprint', '1', '2'], 1, /^caprint: "2" is one word too many[^\n]+\n$/],
    [['caprint', '--long=1'], 1, /^caprint: --long takes no value[^\n]+\n$/],
    [['caprint', '99999999'], 2, /^$/],
    [['cadrop', '-x'], 2, /^cadrop: unknown option -x\. [^\n]+\n$/],
    [['cadrop', 'net_rwa', 'true'], 2, /^cadrop: "net_rwa" is not the name[^\n]+\n$/],
    [['cadrop', '', 'nonexistent'], 2, /^cadrop: cannot run the command "nonexistent": there is none in \$PATH\n$/],
    [['env', '-u', 'SHELL', 'cadrop'], 1, /^cadrop: the variable \$SHELL is not set[^\n]+\n$/],
  ];
  for (const [words, status, line] of table) {
    const run = await runCommand(words.map((word) => (/^ca(print|drop)$/.test(word) ? ours(word) : word)));
    assert.deepEqual([run.status, run.stdout], [status, ''], words.join(' '));
    assert.match(run.stderr, line);
  }
  for (const name of ['caprint', 'cadrop']) {
    const help = await runCommand([ours(name), '-h']);
    assert.deepEqual([help.status, help.stderr], [0, '']);
    assert.match(help.stdout, new RegExp(`^Usage: ${name} `));
    const { version } = JSON.parse(readFileSync(ours('../package.json'), 'utf8')) as { version: string };
    assert.equal((await runCommand([ours(name), '--version'])).stdout, `${name} ${version}\n`);
  }
  assert.equal((await runCommand([ours('caprint'), '--lo', '--comp'])).status, 0);
});
