/**
 * Every command of README.md and docs/library.md, run as it stands.
 *
 * Each block of commands or JavaScript has a comment before it that says whether it is run:
 *
 *     <!-- run -->                   as it stands
 *     <!-- run: vde_switch, ip -->   when these commands are installed
 *     <!-- not run: reason -->       and why not
 *
 * In a block of type `console` the lines after `$ ` are typed, and each line below them has to occur in what is
 * printed; numbers and MAC addresses may differ.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkout, requireCommands, runCommand } from '../interop/harness.ts';

interface Block {
  readonly file: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** Commands that it takes; undefined when it is not run. */
  readonly needs: readonly string[] | undefined;
}

const FENCE =
  /^(?:<!-- (?<how>run|not run)(?:: (?<what>[^>]+))? -->\n)?```(?<language>sh|console|js)\n(?<text>.*?)^```$/gms;
/** What readers have in the first screen, and what runs all of this. */
const ENTRANCES = ['npm ci && npm start\n', 'npm ci && npm test\n'];
/** The switches of the examples. */
const SWITCHES = ['/tmp/sw', '/tmp/lan', '/tmp/left', '/tmp/right'];

function blocksOf(file: string): Block[] {
  const source = readFileSync(join(checkout, file), 'utf8');
  return [...source.matchAll(FENCE)].flatMap((match) => {
    const { how, what, language = '', text = '' } = match.groups ?? {};
    if (ENTRANCES.includes(text)) return [];
    const line = source.slice(0, match.index).split('\n').length;
    assert.ok(how !== undefined, `${file}:${line}: say before this block whether it is run`);
    assert.ok(how === 'run' || what !== undefined, `${file}:${line}: say why this block is not run`);
    return [{ file, line, language, text, needs: how === 'run' ? (what?.split(', ') ?? []) : undefined }];
  });
}

for (const block of ['README.md', 'docs/library.md'].flatMap(blocksOf)) {
  if (block.needs === undefined) continue;
  const [first = ''] = block.text.split('\n');
  test(`${block.file}:${block.line} works as it stands: ${first}`, async (t) => {
    if (!requireCommands(t, ...(block.needs ?? []))) return;
    if (block.language === 'js') await runModule(block);
    else await runScript(t, block);
  });
}

async function runScript(t: TestContext, block: Block): Promise<void> {
  const inUse = SWITCHES.find((path) => existsSync(path));
  if (inUse !== undefined) return t.skip(`${inUse} is in use: somebody else follows the README`);
  const mark = `readme-${process.pid}-${block.line}`;
  t.after(() => cleanUp(mark));
  const isSession = block.language === 'console';
  const lines = block.text.split('\n');
  const script = isSession ? lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2)) : lines;
  const env = { PATH: `${join(checkout, 'bin')}:${process.env['PATH']}`, VDENS_TEST_BLOCK: mark, SHELL: '/bin/sh' };
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

/** Within the package, so that its own name is known. */
async function runModule(block: Block): Promise<void> {
  const argv = [process.execPath, '--input-type=module', '--eval', block.text];
  const { status, stdout, stderr } = await runCommand(argv, { cwd: checkout });
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
  for (const path of SWITCHES) rmSync(path, { recursive: true, force: true });
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
