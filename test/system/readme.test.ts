/**
 * Every command of README.md, docs/library.md and docs/companions.md, run as it stands.
 *
 * A comment before each block says whether it is run (test/fixtures/page-blocks.ts).
 *
 * In a block of type `console` the lines after `$ ` are typed, and each line below them has to occur in what is
 * printed; numbers and MAC addresses may differ.
 *
 * Blocks with networks over UDP are run on test hosts (test/fixtures/lab-typist.ts), never on the machine itself.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startExampleHosts, typeOnHosts } from '../fixtures/lab-typist.ts';
import { type Block, blocksOf, isOverUdp } from '../fixtures/page-blocks.ts';
import {
  type CommandResult,
  checkout,
  makeTemporaryDirectory,
  requireCommands,
  runCommand,
} from '../interop/harness.ts';

/** The switches of the examples. */
const SWITCHES = ['/tmp/sw', '/tmp/lan', '/tmp/left', '/tmp/right'];

for (const block of ['README.md', 'docs/library.md', 'docs/companions.md'].flatMap(blocksOf)) {
  if (block.needs === undefined) continue;
  const [first = ''] = block.text.split('\n');
  test(`${block.file}:${block.line} works as it stands: ${first}`, async (t) => {
    if (!requireCommands(t, ...(block.needs ?? []))) return;
    if (isOverUdp(block)) await runOnHosts(t, block);
    else if (block.language === 'js') await runModule(t, block);
    else await runScript(t, block);
  });
}

test('what opens a network over UDP is not run on the machine itself', async (t) => {
  const words = [
    "'udp://5000->192.0.2.1:5000'",
    'vxlan://',
    'vxvde:///peer=192.0.2.1',
    'vxvdex://',
    '"VXLAN:///vni=7"',
  ];
  for (const word of words) {
    for (const [language, text] of Object.entries({ sh: `vdens ${word} true\n`, js: `await openPlug(${word});\n` })) {
      const block = { file: 'README.md', line: 1, language, text, needs: [] };
      assert.ok(isOverUdp(block), text);
      await assert.rejects(language === 'js' ? runModule(t, block) : runScript(t, block), /on test hosts only/);
    }
  }
});

async function runOnHosts(t: TestContext, { language, text }: Block): Promise<void> {
  if (!requireCommands(t, 'ip', 'ping')) return;
  assert.notEqual(language, 'console', 'write it as sh: on several hosts there is no one session');
  if (language === 'sh') await typeOnHosts(t, text);
  else assertModuleRan(await (await startExampleHosts(t)).host(1).run(moduleOf(text)));
}

/** The last thing before anything is started on the machine itself. */
function assertStaysInside(block: Block): void {
  assert.ok(!isOverUdp(block), `${block.file}:${block.line} is for networks over UDP, on test hosts only`);
}

async function runScript(t: TestContext, block: Block): Promise<void> {
  assertStaysInside(block);
  const inUse = SWITCHES.find((path) => existsSync(path));
  if (inUse !== undefined) return t.skip(`${inUse} is in use: somebody else follows the README`);
  const mark = `readme-${process.pid}-${block.line}`;
  t.after(() => cleanUp(mark));
  const isSession = block.language === 'console';
  const lines = block.text.split('\n');
  const script = isSession ? lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2)) : lines;
  const env = {
    PATH: `${join(checkout, 'bin')}:${process.env['PATH']}`,
    VDENS_TEST_BLOCK: mark,
    VDENS_RUNTIME_DIR: runtimeDirectory(t),
    SHELL: '/bin/sh',
  };
  const run = await runCommand(['sh', '-e', '-c', script.join('\n')], { env, cwd: checkout });
  const printed = run.stdout + run.stderr;
  assert.equal(run.status, 0, printed);
  for (const line of isSession ? lines.filter((text) => text !== '' && !text.startsWith('$ ')) : []) {
    assert.match(printed, similarTo(line));
  }
}

/** Matches a line in which numbers and white space may be others. */
function similarTo(line: string): RegExp {
  const escaped = line.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replace(/\d+(\\\.\d+)?/g, '[0-9.]+').replace(/\s+/g, String.raw`\s+`)}\\s*$`, 'm');
}

async function runModule(t: TestContext, block: Block): Promise<void> {
  assertStaysInside(block);
  assertModuleRan(await runCommand(moduleOf(block.text), { env: { VDENS_RUNTIME_DIR: runtimeDirectory(t) } }));
}

/** Where what a block runs has its control sockets. */
function runtimeDirectory(t: TestContext): string {
  return join(makeTemporaryDirectory(t), 'running');
}

/** Within the package, so that its own name is known. */
function moduleOf(text: string): string[] {
  return ['sh', '-c', 'cd "$1" && exec "$2" --input-type=module --eval "$3"', 'sh', checkout, process.execPath, text];
}

function assertModuleRan({ status, stdout, stderr }: CommandResult): void {
  assert.equal(stderr, '');
  assert.equal(status, 0, stdout);
}

/** Ends the switches that a block left in the background: what carries its mark, and nothing else. */
async function cleanUp(mark: string): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const left = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isMarked(name, mark));
    if (left.length === 0) break;
    for (const pid of left) endProcess(Number(pid), round < 25 ? 'SIGTERM' : 'SIGKILL');
    await sleep(40);
  }
  // They did not exist before the block.
  for (const path of SWITCHES) {
    for (const suffix of ['', '.console', '.key', '.pid']) rmSync(path + suffix, { recursive: true, force: true });
  }
}

function isMarked(pid: string, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`VDENS_TEST_BLOCK=${mark}\0`);
  } catch {
    return false; // It is gone, or somebody else's.
  }
}

function endProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}
