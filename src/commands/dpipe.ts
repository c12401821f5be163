/**
 * The `dpipe` command: starts commands that are joined by pipes, and waits for all of them.
 *
 * The pipes lead from command to command: no byte passes through this process, and every end is in one command only,
 * so that each sees the end of what it reads as soon as its writer is gone.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { Daemon } from '../system/daemon.ts';
import { endBySignal } from '../system/end-by-signal.ts';
import { programError } from '../system/find-program.ts';
import { isInForeground } from '../system/foreground.ts';
import { wasIgnored } from '../system/ignored-signals.ts';
import { inheritanceWords, replaceVariables, restoreFileLimit } from '../system/inheritance.ts';
import { errnoName, native } from '../system/native.ts';
import { PidFile } from '../system/pid-file.ts';
import { printAbout } from './about.ts';
import { DPIPE_TABLE, type DpipeAction, interpretDpipeArguments } from './dpipe-options.ts';
import type { Pipeline } from './dpipe-stages.ts';
import { reportError } from './report-error.ts';
import { writeErrorLine } from './standard-streams.ts';
import {
  type CommandEnd,
  commandEnvironment,
  type Descriptors,
  STATUS_NOT_FOUND,
  StartedCommands,
} from './started-commands.ts';
import { unrunnable } from './unrunnable.ts';

const NAME = 'dpipe';
/** The command line was wrong, or nothing could be started. */
const STATUS_FAILURE = 1;
const STDERR = 2;

/**
 * Runs `dpipe`.
 *
 * @param argv - the words after the program's name
 * @returns the exit status, unless this process became the last command
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await act(interpretDpipeArguments(argv));
  } catch (error) {
    await reportError(NAME, error);
    return error instanceof VdensError && error.syscall === 'spawn' ? STATUS_NOT_FOUND : STATUS_FAILURE;
  }
}

async function act(request: DpipeAction): Promise<number> {
  switch (request.action) {
    case 'help':
    case 'version':
      return printAbout(request.action, DPIPE_TABLE);
    case 'run':
      return run(request);
  }
}

type RunRequest = Extract<DpipeAction, { action: 'run' }>;

async function run(request: RunRequest): Promise<number> {
  const daemon = request.isDaemon ? await Daemon.detach(NAME) : undefined;
  const { commands, pipes } = request.pipeline;
  // In the background nobody would see later that there is no program to become.
  const wanted = commands.filter(([program], stage) => program === '' || (becomes(request, stage) && request.isDaemon));
  if (!wanted.every(canBeFound)) return STATUS_NOT_FOUND;
  leaveProcessGroup(request.groupFile !== undefined);
  restoreFileLimit();
  const files = writeFiles(request);
  const descriptors = openPipes(commands.length, pipes);
  const started = await startAll(request, descriptors);
  await turn(); // Now it is known which of them could not be started.
  if (daemon !== undefined && !started.isComplete) {
    await started.endAll();
    return STATUS_NOT_FOUND;
  }
  // What we become still has its relative paths.
  daemon?.ready({ keepDirectory: request.becomesLast });
  if (request.becomesLast) {
    if (request.cleansUp) removeLater(files);
    return becomeLast(commands.at(-1) ?? [], descriptors.at(-1) ?? []);
  }
  const end = await started.waitForAll();
  for (const { file } of files) file.remove();
  return statusOf(end, started.interruption);
}

/** Whether we become this command instead of starting it. */
function becomes({ becomesLast, pipeline }: RunRequest, stage: number): boolean {
  return becomesLast && stage === pipeline.commands.length - 1;
}

/** Says so when there is no such program. */
function canBeFound([program = '']: readonly string[]): boolean {
  const errno = programError(program);
  if (errno !== undefined) say(unrunnable(program, -constants.errno[errno]));
  return errno === undefined;
}

/** Starts all that are to be started, or none: those that were are ended when the kernel refuses another one. */
async function startAll(request: RunRequest, descriptors: readonly Descriptors[]): Promise<StartedCommands> {
  const started = new StartedCommands(say);
  try {
    for (const [stage, command] of request.pipeline.commands.entries()) {
      if (!becomes(request, stage)) started.start(command, descriptors[stage] ?? []);
    }
    return started;
  } catch (error) {
    await started.endAll();
    throw error;
  }
}

/**
 * As with the original, we and the commands are a process group of our own, which `kill -- -PID` ends. Except where a
 * terminal belongs to a script that waits for us: outside its group, ^C would not reach the commands, and ssh(1) could
 * not ask for a password.
 *
 * @param isNeeded - whether the group is to be known, so that it can be ended: nobody else must be in it
 */
function leaveProcessGroup(isNeeded: boolean): void {
  if (native.processGroup() === process.pid) return; // We lead a session, or a shell with job control has seen to it.
  if (!isNeeded && isInForeground() && !wasIgnored('SIGINT')) return;
  const result = native.leadProcessGroup();
  if (result < 0) {
    const errno = errnoName(result);
    throw new VdensError('ERR_COMMAND', `cannot make a process group (${errno})`, { errno, syscall: 'setpgid' });
  }
}

/** A file that was written, and what was written into it. */
interface WrittenFile {
  readonly file: PidFile;
  readonly text: string;
}

function writeFiles({ pidFile, groupFile }: RunRequest): readonly WrittenFile[] {
  const write = (path: string | undefined, text: string): readonly WrittenFile[] =>
    path === undefined ? [] : [{ file: PidFile.write(path, { text }), text }];
  return [...write(pidFile, `${process.pid}`), ...write(groupFile, `-${native.processGroup()}`)];
}

/** What each descriptor of each command is to be. */
function openPipes(count: number, pipes: Pipeline['pipes']): readonly Descriptors[] {
  const descriptors: (number | undefined)[][] = Array.from({ length: count }, () => []);
  const ends = new Int32Array(2);
  for (const { writer, reader } of pipes) {
    const result = native.openPipe(ends);
    if (result < 0) {
      const errno = errnoName(result);
      const message = `cannot make ${pipes.length} pipes (${errno}). Join fewer commands, or raise the limit: ulimit -n`;
      throw new VdensError('ERR_COMMAND', message, { errno, syscall: 'pipe2' });
    }
    for (const [index, { stage, fd }] of [reader, writer].entries()) {
      const own = descriptors[stage];
      if (own !== undefined) own[fd] = ends[index];
    }
  }
  return descriptors;
}

/**
 * Has the files removed when this process is over, whatever it will be by then. Whoever does that is in a session of its
 * own: what ends the others must not end it.
 */
function removeLater(files: readonly WrittenFile[]): void {
  if (files.length === 0) return;
  const words = files.flatMap(({ file, text }) => [file.path, text]);
  const child = spawn('/bin/sh', ['-c', CLEANER, NAME, `${process.pid}`, startTime(), ...words], {
    cwd: '/',
    detached: true,
    stdio: 'ignore',
  });
  child.once('error', () => say('the pid files will not be removed: there is no /bin/sh'));
}

/**
 * Takes a pid, when that process started, and files with what is in them. Another process may get the pid, and nobody
 * may ever ask how this one ended.
 */
const CLEANER = `
  set -f
  lives() {
    read -r stat <"/proc/$1/stat" || return 1
    started=$2
    set -- \${stat##*) }
    [ "$1" != Z ] && [ "\${20}" = "$started" ]
  } 2>/dev/null
  while lives "$1" "$2"; do sleep 1; done
  shift 2
  while [ $# -gt 0 ]; do
    [ -f "$1" ] && [ "$(cat -- "$1")" = "$2" ] && rm -f -- "$1"
    shift 2
  done`;

/** When this process was started, in clock ticks: proc(5), field 22 of stat, the 20th after the name. */
function startTime(): string {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** Never returns, unless there is no such command. */
function becomeLast(command: readonly string[], [stdin = 0, stdout = 1]: Descriptors): number {
  const inheritance = inheritanceWords();
  replaceVariables(commandEnvironment());
  const result = native.becomeCommand(command, Int32Array.of(stdin, stdout, STDERR), inheritance);
  say(unrunnable(command[0] ?? '', result));
  return STATUS_NOT_FOUND;
}

/** Whoever interrupts a script sees that we were interrupted, too. */
async function statusOf({ status, signal }: CommandEnd, interruption: NodeJS.Signals | undefined): Promise<number> {
  const isKey = interruption === 'SIGINT' || interruption === 'SIGQUIT';
  return isKey && signal === interruption ? endBySignal(interruption) : status;
}

function say(line: string): void {
  writeErrorLine(`${NAME}: ${line}`);
}
