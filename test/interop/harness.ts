/**
 * What tests need around real processes: commands that may be missing, programs that run in the background,
 * an original switch, temporary directories, and waiting with a bound.
 *
 * Everything that is started here is tied to the test that asked for it and ended when the test is over, whatever
 * its outcome: by process group, never by name. The original tools sometimes hang when they should exit, so
 * nothing here waits without a time-out.
 *
 * ```ts
 * test('pings through the original switch', async (t) => {
 *   if (!requireCommands(t, 'vde_switch', 'ping')) return;
 *   const lan = await startSwitch(t);
 *   const peer = await spawnBackground(t, [ours('vdens'), '--address', '10.0.0.2/24', lan.path, 'sleep', '60']);
 *   …
 * });
 * ```
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** The checkout: three levels above the compiled file, dist/test/interop/harness.js. */
export const checkout: string = join(import.meta.dirname, '..', '..', '..');

/** Folders that commands are looked for in: those of `PATH`, and those that an ordinary user's often lacks. */
const searchPath: string = [process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin']
  .filter(Boolean)
  .join(delimiter);

/** Absolute path of one of our own commands, such as `ours('vdens')`. */
export function ours(name: string): string {
  return join(checkout, 'bin', name);
}

/** Absolute path of an installed command, or undefined. `original('vdens')` is never the one of the checkout. */
export function original(command: string): string | undefined {
  for (const folder of searchPath.split(delimiter)) {
    const path = join(folder, command);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile() && !path.startsWith(`${checkout}/`)) return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/**
 * Skips the test when one of the commands is not installed, with a reason that names it.
 * Answers whether all are there: `if (!requireCommands(t, 'vde_switch')) return;`
 */
export function requireCommands(t: TestContext, ...commands: readonly string[]): boolean {
  const missing = commands.filter((command) => original(command) === undefined);
  if (missing.length === 0) return true;
  t.skip(`not installed: ${missing.join(', ')}`);
  return false;
}

/** Whoever starts something and is over some time: a test (`t`), or a benchmark. */
export interface Owner {
  /** Registers what to do when the owner is over. */
  after(release: () => void | Promise<void>): void;
}

/** A fresh directory below the temporary one, removed when the test is over. */
export function makeTemporaryDirectory(t: Owner): string {
  const path = mkdtempSync(join(tmpdir(), 'vdens-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  madeDirectories.add(path);
  return path;
}

/** A process that is ended after its directory was removed may have made it anew. */
const madeDirectories = new Set<string>();
process.once('exit', () => {
  for (const path of madeDirectories) rmSync(path, { recursive: true, force: true });
});

/** What takes milliseconds on a machine of one's own may take seconds on a busy one, and is right nevertheless. */
const PATIENCE_MS = 10_000;

/**
 * Waits until `condition` holds (or answers something other than undefined and false), and answers what it did.
 *
 * @param timeoutMs - at least {@link PATIENCE_MS}, whatever is said. What was promised by then: {@link waitWithin}
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  timeoutMs: number,
  what: string,
): Promise<Exclude<T, undefined | false>> {
  return await waitWithin(condition, Math.max(timeoutMs, PATIENCE_MS), what);
}

/** The same for what has to be so within that time: how soon a network heals, or lets go. */
export async function waitWithin<T>(
  condition: () => T | Promise<T>,
  limitMs: number,
  what: string,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const answer = await condition();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms for ${what}, in vain`);
    await sleep(20);
  }
}

/** How {@link runCommand} and {@link spawnBackground} start a program. */
export interface CommandOptions {
  /** Variables on top of the test's own environment; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Working directory. @defaultValue that of the test */
  readonly cwd?: string;
  /** What the program reads from its standard input; without it, the input is empty. */
  readonly input?: string | Uint8Array;
}

/** What became of a program that {@link runCommand} ran. */
export interface CommandResult {
  /** Its exit status, or null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The time-out struck, and the program was killed. */
  readonly isTimedOut: boolean;
}

/** Who prints nothing for so long after its end has printed everything. */
const OUTPUT_MS = 500;

/** Runs a program to its end, at most `timeoutMs` (60 s by default); then its whole process group is killed. */
export async function runCommand(
  argv: readonly string[],
  options: CommandOptions & { readonly timeoutMs?: number } = {},
): Promise<CommandResult> {
  const child = start(argv, options);
  const output = { stdout: '', stderr: '' };
  let pieces = 0;
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      pieces++;
    });
  }
  child.stdin?.on('error', () => {}); // The program need not read its input.
  child.stdin?.end(options.input ?? '');
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    killGroup(child.pid, 'SIGKILL');
  }, options.timeoutMs ?? 60_000);
  // Listened for from the start: it may come together with the end.
  const isClosed = closed(child);
  try {
    const [status, signal] = await ended(child);
    // A stray descendant may hold the output open; what was printed before may still be on its way.
    for (let before = -1, isOver = false; !isOver && before !== pieces; ) {
      before = pieces;
      isOver = await Promise.race([isClosed.then(() => true), sleep(OUTPUT_MS, false)]);
    }
    return { status, signal, ...output, isTimedOut };
  } finally {
    clearTimeout(timer);
    killGroup(child.pid, 'SIGKILL');
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

/** A program that runs beside the test. */
export interface BackgroundCommand {
  readonly pid: number;
  /** Everything printed so far, both streams as they came. */
  output(): string;
  /** Waits until the output matches, and answers the match. Fails when the program ends first. */
  waitForOutput(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>;
  /** Writes to the program's standard input. */
  write(text: string | Uint8Array): void;
  /** Closes the program's standard input. */
  endInput(): void;
  /** Signals the program alone, not its descendants. */
  kill(signal: NodeJS.Signals): void;
  /** Waits for the program's end. */
  waitForExit(timeoutMs?: number): Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
  /** Whether the program has ended. */
  hasExited(): boolean;
}

/** Starts a program that runs until the test is over; then its process group is killed. */
export async function spawnBackground(
  t: Owner,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<BackgroundCommand> {
  const child = start(argv, options);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  let end: { status: number | null; signal: NodeJS.Signals | null } | undefined;
  const ending = ended(child).then(([status, signal]) => {
    end = { status, signal };
  });
  t.after(async () => {
    killGroup(child.pid, 'SIGKILL');
    await Promise.race([ending, sleep(2000)]);
    for (const stream of child.stdio) stream?.destroy();
  });
  child.stdin?.on('error', () => {}); // Writing to a program that has ended is no error of the test.
  if (options.input !== undefined) child.stdin?.write(options.input);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const name = argv.join(' ');
  return {
    pid: child.pid ?? -1,
    output: () => text,
    waitForOutput: async (pattern, limitMs = 20_000) => {
      const look = (): RegExpMatchArray | undefined => {
        const found = text.match(pattern);
        if (found !== null) return found;
        if (end !== undefined)
          throw new Error(`${name} ended (${end.signal ?? end.status}) without ${pattern}: ${text}`);
        return undefined;
      };
      return await waitWithin(look, limitMs, `${pattern} from ${name}`).catch((error: Error) => {
        throw new Error(`${error.message}\nits output so far:\n${text}`);
      });
    },
    write: (data) => void child.stdin?.write(data),
    endInput: () => void child.stdin?.end(),
    kill: (signal) => void child.kill(signal),
    waitForExit: async (timeoutMs = 20_000) => await waitFor(() => end, timeoutMs, `the end of ${name}`),
    hasExited: () => end !== undefined,
  };
}

/** Starts a child in a process group of its own, so that it can be ended with all its descendants. */
function start(argv: readonly string[], options: CommandOptions): ChildProcess {
  const [command, ...args] = argv;
  if (command === undefined) throw new Error('expected a command to run, got none');
  return spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, PATH: searchPath, ...options.env },
    stdio: 'pipe',
    detached: true,
  });
}

function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.once('exit', (status, signal) => resolve([status, signal]));
    child.once('error', reject);
  });
}

function closed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('close', () => resolve()));
}

/** The process that a pid file names; `undefined` while the file is not there, or not written to its end. */
export function pidFrom(file: string): number | undefined {
  try {
    const text = readFileSync(file, 'utf8');
    return /^\d+\n$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/** The command line of a program that must not lead a session, as what is started here does: the child of a shell. */
export function asChild(...argv: readonly string[]): string[] {
  return ['sh', '-c', '"$@"; exit', 'sh', ...argv];
}

/** Signals a process group that we made; that it is gone already is fine. 0 would be our own, 1 everybody's. */
export function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  if (!Number.isInteger(pid) || pid <= 1) throw new RangeError(`expected a process group of ours, got ${pid}`);
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody is left in it.
  }
}
