/** What bash, zsh and fish offer for command lines of ours: the shells themselves are asked. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { completionFiles } from '../../src/commands/completion-files.ts';
import { openTerminal } from '../fixtures/terminal.ts';
import { checkout, makeTemporaryDirectory, ours, requireCommands, runCommand, spawnBackground } from './harness.ts';

const FIXTURES = join(checkout, 'test', 'fixtures');
const COMPLETIONS = join(checkout, 'completions');

test('the files are what scripts/completions.mjs writes', () => {
  const written = completionFiles();
  for (const { path, text } of written) assert.equal(readFileSync(join(COMPLETIONS, path), 'utf8'), text, path);
  const found = ['bash', 'zsh', 'fish'].flatMap((shell) =>
    readdirSync(join(COMPLETIONS, shell)).map((name) => `${shell}/${name}`),
  );
  assert.deepEqual(found.toSorted(), written.map(({ path }) => path).toSorted());
});

/** Lines, and all that is to be offered at their ends; `...`: and more. In the folder are lan/ (a switch) and other/. */
const LINES: readonly (readonly [line: string, offers: string])[] = [
  ['vde_plug --p', '--pidfile --port --port2'],
  ['vde_plug a b --iplo', '--iplog'],
  ['vde_plug ', 'vde:// slirp:// tap:// no other/ ...'],
  ['vde_plug vx', 'vxlan:// vxvde://'],
  ['vde_plug a vx', 'vxlan:// vxvde://'],
  ['vde_plug vde://o', 'vde://other/'],
  ['vde_plug vde://$PWD/o', 'vde://$PWD/other/'],
  ['vde_plug tap://l', 'tap://lo'],
  ['vde_plug cmd://oth', 'cmd://other ...'],
  ['vde_plug =oth', '=other ...'],
  ['vde_plug -g roo', 'root'],
  ['vde_plug --group=roo', '--group=root'],
  ['vde_plug --pidfile=oth', '--pidfile=other/'],
  // A command line within ours.
  ['vde_plug a = other --o', '--other-option'],
  ['vde_plug a = other x ', '2-other ...'],
  ['vdens no other ', '1-other ...'],
  ['vdens -- no other ', '1-other ...'],
  ['vdens -i eth no other x ', '2-other ...'],
  ['vdens -sieth no other ', '1-other ...'],
  ['vdens -m a vx', 'vxlan:// vxvde://'],
  ['vdens -sm a -- other ', '1-other ...'],
  ['vdens no vde_switch --mg', '--mgmt --mgmtgroup --mgmtmode'],
  ['vdens no vde_switch --mgmtgroup=roo', '--mgmtgroup=root'],
  ['vdens no vde_plug x = vde switch --mod', '--mode'],
  ['dpipe -d other ', '1-other ...'],
  ['dpipe other = other x ', '2-other ...'],
  ["dpipe a '=}' b '}=' other ", '1-other ...'],
  ['cadrop net_admin other ', '1-other ...'],
  ['cadrop net_a', 'net_admin'],
  ['cadrop net_admin,net_r', 'net_admin,net_raw'],
  ['vde ', 'console doctor exec switch ...'],
  ['vde switch --m', '--mode'],
  ['vde switch -m 660 oth', 'other/'],
  ['vde console m', 'mgmt'],
  ['vde exec w', 'web'],
  ['vde exec web other ', '1-other ...'],
  ['vde top a w', 'web'],
  ['vde ls --j', '--json'],
  ['vde ls names', 'namespaces'],
  ['vde_switch --vdes', '--vdesock'],
  ['vde_switch -so', '-sock'],
  ['vde_switch -mg', '-mgmt -mgmtgroup -mgmtmode'],
  ['vde_switch -s oth', 'other/'],
  ['vde_switch -sock oth', 'other/'],
  ['vde_switch --unix=oth', '--unix=other/'],
  ['vde_plug2tap -s vx', 'vxlan:// vxvde://'],
  [`caprint ${process.pid}`, `${process.pid} ...`],
];

interface Folder {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A folder with what may be offered, and programs by the names of ours. */
async function prepare(t: TestContext): Promise<Folder> {
  const path = makeTemporaryDirectory(t);
  for (const name of ['other', 'lan', 'home']) mkdirSync(join(path, name));
  // A command by that name, which has a completion of its own.
  writeFileSync(join(path, 'home', 'other'), '', { mode: 0o755 });
  for (const name of [join('lan', 'ctl'), 'mgmt']) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(path, name), resolve));
    t.after(() => void server.close());
  }
  const runtime = { VDENS_RUNTIME_DIR: join(path, 'home', 'run') };
  const named = [ours('vdens'), '--name', 'web', 'no', 'sh', '-c', 'echo ready; exec sleep 300'];
  await (await spawnBackground(t, named, { env: runtime })).waitForOutput(/^ready$/m);
  const { PATH = '' } = process.env;
  const home = join(path, 'home');
  return {
    path,
    env: {
      ...runtime,
      PATH: `${join(checkout, 'bin')}:${home}:${PATH}`,
      HOME: home,
      XDG_CONFIG_HOME: home,
      XDG_DATA_HOME: home,
    },
  };
}

async function check(
  t: TestContext,
  shell: 'bash' | 'zsh' | 'fish',
  argv: readonly string[],
  table = LINES,
): Promise<void> {
  if (!requireCommands(t, shell)) return;
  const { path, env } = await prepare(t);
  const lines = table.map(([line]) => line.replace('$PWD', path));
  const script = [...argv, join(FIXTURES, `complete.${shell}`), join(COMPLETIONS, shell), ...lines];
  const { status, stdout, stderr } = await runCommand(script, { cwd: path, env, timeoutMs: 60_000 });
  assert.deepEqual([status, stderr], [0, '']);
  const answers = stdout.split('\n');
  for (const [index, [line, expected]] of table.entries()) {
    const offers = readOffers(answers[index] ?? '');
    const wanted = expected.replace('$PWD', path).split(' ').filter(Boolean);
    const isOpen = wanted.at(-1) === '...';
    // Shells differ in whether the slash is part of the offer.
    const missing = wanted.filter(
      (word) => word !== '...' && !offers.has(word) && !offers.has(word.replace(/\/$/, '')),
    );
    assert.deepEqual(missing, [], `${shell}: ${line} offers ${[...offers].join(' ')}`);
    if (!isOpen) assert.equal(offers.size, wanted.length, `${shell}: ${line} offers ${[...offers].join(' ')}`);
  }
}

/** Without descriptions. */
function readOffers(answer: string): ReadonlySet<string> {
  return new Set(
    answer
      .split('|')
      .map((offer) => offer.replace(/\t.*/, '').trim())
      .filter((offer) => offer !== ''),
  );
}

test('bash', (t) => check(t, 'bash', ['bash', '--norc', '--noprofile']));
test('zsh', (t) => check(t, 'zsh', ['zsh', '-f']));
// Behind a "=", fish would look for files, and zsh for commands; for fish it is a word of ours.
test('fish', (t) => check(t, 'fish', ['fish'], [...LINES, ['dpipe a =', '']]));

test('bash with a user at a terminal', async (t) => {
  if (!requireCommands(t, 'tmux', 'bash')) return;
  const { path, env } = await prepare(t);
  const terminal = await openTerminal(t, env);
  await terminal.type(`cd ${path}; for f in ${COMPLETIONS}/bash/*; do . $f; done; clear`);
  // What is typed before would stand in front of the prompt.
  await terminal.waitFor(/^outer\$\n*$/);
  const tab = async (typed: string, shown: RegExp): Promise<void> => {
    await terminal.press(...[...typed].map((key) => (key === ' ' ? 'Space' : key)), 'Tab');
    await terminal.waitFor(shown);
    await terminal.press('C-u');
    await terminal.type('clear');
    await terminal.waitFor(/^outer\$\n*$/);
  };
  await tab('vde_plug vde://la', /^outer\$ vde_plug vde:\/\/lan$/m);
  await tab('vde_plug slir', /^outer\$ vde_plug slirp:\/\/$/m);
  await tab('vde_switch --unix=oth', /^outer\$ vde_switch --unix=other\/$/m);
  await tab('vdens no vde_plug --ipl', /^outer\$ vdens no vde_plug --iplog$/m);
});
