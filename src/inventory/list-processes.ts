/**
 * What runs: every control socket of this user is asked at the same time.
 *
 * It is to take little longer than Node.js takes to start, and most of that time is the processes' own. So they are asked
 * before all else is loaded, by system calls of our own (the sockets of Node.js take as long as the processes), and what
 * only some runs need is loaded in those alone: it is why this does without the client (control/client.ts).
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { emitRequest, parseReply } from '../control/message.ts';
import { MessageStream, TOO_LONG } from '../control/message-stream.ts';
import { namesInRuntimeDirectory, runtimeDirectory } from '../control/runtime-directory.ts';
import { VdensError } from '../errors.ts';
import { AGAIN, errnoName, native } from '../system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../system/unix-address.ts';
import type { ProcessStatus } from './status.ts';

/** How long a process may take to say what it runs: one that is stopped never does. */
const STATUS_TIMEOUT_MS = 1000;
/** One that is not stopped gets so many times that: on a machine that has much to do, its turn may come late. */
const PATIENCE = 4;
/** How long a connection stays open that is not needed any more. */
const CLOSE_AFTER_MS = 200;
/** The longest answer that makes sense, in bytes. */
const MAX_STATUS_BYTES = 16_777_216;

/** A process that can be asked. */
export interface FoundProcess {
  readonly name: string;
  /** Of its control socket. */
  readonly path: string;
  /** `undefined` when that cannot be found out from here. It takes a moment, and is done when it is read. */
  readonly pid: number | undefined;
}

/** A process, and what it says of itself. */
export interface ListedProcess extends FoundProcess {
  /** Or why it says nothing. */
  readonly answer: ProcessStatus | VdensError;
}

/** How long to wait. */
export interface ListOptions {
  /** For each, all at the same time, in milliseconds; longer for those that have not been stopped. @defaultValue 1000 */
  readonly timeoutMs?: number;
}

/**
 * All processes of this user that have control sockets, by their names, and what they run. What processes left that are
 * gone is removed.
 *
 * @throws VdensError `ERR_CONTROL` when the directory of control sockets is not to be trusted
 */
export async function listProcesses(options: ListOptions = {}): Promise<readonly ListedProcess[]> {
  const { timeoutMs = STATUS_TIMEOUT_MS } = options;
  const directory = runtimeDirectory();
  const names = inOrder(namesInRuntimeDirectory());
  const asked = names.map((name) => new Question(name, join(directory, name), timeoutMs));
  const listed = await Promise.all(asked.map((question) => readAnswer(question, timeoutMs)));
  return listed.filter((each) => each !== undefined);
}

/** `host-9` before `host-10`. */
function inOrder(names: readonly string[]): readonly string[] {
  const keys = new Map(names.map((name) => [name, name.replace(/\d+/g, (digits) => digits.padStart(20, '0'))]));
  return names.toSorted((a, b) => (keys.get(a)! < keys.get(b)! ? -1 : 1));
}

/** What became of a question: a line, or the kernel's name for what went wrong. */
type Outcome = { readonly line: string } | { readonly errno: string };

/** How long to wait before asking again one that has no room for another visitor, in milliseconds. */
const TRY_AGAIN_MS = 20;

/** A process that has been asked. */
class Question {
  readonly name: string;
  readonly path: string;
  readonly outcome: Promise<Outcome>;
  #stream: MessageStream | undefined;
  #isOver = false;
  #timer: NodeJS.Timeout;
  #end: (outcome: Outcome) => void = () => undefined;

  constructor(name: string, path: string, timeoutMs: number) {
    this.name = name;
    this.path = path;
    this.outcome = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#timer = setTimeout(() => void this.#late(timeoutMs), timeoutMs);
    this.#ask();
  }

  #ask(): void {
    const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
    const result = fd < 0 ? fd : connectTo(fd, this.path);
    if (result === 0) {
      this.#speak(fd);
      return;
    }
    if (fd >= 0) native.closeDescriptor(fd);
    if (result === AGAIN) setTimeout(() => this.#askAgain(), TRY_AGAIN_MS);
    else this.#finish({ errno: errnoName(result) });
  }

  #speak(fd: number): void {
    const stream = new MessageStream(fd, MAX_STATUS_BYTES, {
      readable: () => this.#take(stream),
      drained: () => undefined,
      gone: () => this.#finish({ errno: 'EPIPE' }),
    });
    this.#stream = stream;
    stream.send(emitRequest('status'));
  }

  /** It had no room: so it has much to do, or was stopped, which shows when it is late. */
  #askAgain(): void {
    if (!this.#isOver) this.#ask();
  }

  #take(stream: MessageStream): void {
    const line = stream.next();
    if (line === TOO_LONG) this.#finish({ errno: 'EPROTO' });
    else if (line !== undefined) this.#finish({ line });
    else if (stream.isAtEnd) this.#finish({ errno: 'EPIPE' });
  }

  /** It may have answered while we had no time to look. */
  async #late(timeoutMs: number): Promise<void> {
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    const giveUp = (): void => this.#finish({ errno: 'ETIMEDOUT' });
    if (isStopped(await listenerAt(this.path))) giveUp();
    else this.#timer = setTimeout(giveUp, (PATIENCE - 1) * timeoutMs);
  }

  #finish(outcome: Outcome): void {
    clearTimeout(this.#timer);
    this.#isOver = true;
    this.#end(outcome);
    const stream = this.#stream;
    // Closing wakes the process once more: that can wait until all have answered, or for our end.
    stream?.pause();
    if (stream !== undefined) setTimeout(() => stream.close(), CLOSE_AFTER_MS).unref();
  }
}

/** @returns 0, or what went wrong, as `-errno`; a path that is too long for a socket is that of none */
function connectTo(fd: number, path: string): number {
  try {
    return native.connectSocket(fd, unixAddress(path));
  } catch {
    return -constants.errno.ENOENT;
  }
}

async function readAnswer(question: Question, timeoutMs: number): Promise<ListedProcess | undefined> {
  const { name, path } = question;
  const { parseProcessStatus } = await import('./parse-status.ts');
  let result = await question.outcome;
  // One that ends lets go of its visitors: a moment later it is gone, and another may have the name.
  if ('errno' in result && ENDED.has(result.errno)) {
    if (await isRemoved(name, path)) return undefined;
    result = await new Question(name, path, timeoutMs).outcome;
  }
  if ('errno' in result) return readFailure(name, path, result.errno);
  const reply = parseReply(result.line);
  if (reply?.kind === 'error') return { name, path, pid: await listenerAt(path), answer: reply.error };
  const status = reply?.kind === 'answer' ? parseProcessStatus(reply.fields) : undefined;
  if (status !== undefined) return { name, path, pid: status.pid, answer: status };
  const problem = 'it is of another version, or no process of ours';
  return { name, path, pid: await listenerAt(path), answer: failure(name, problem, 'EPROTO') };
}

const ENDED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNREFUSED']);

async function readFailure(name: string, path: string, errno: string): Promise<ListedProcess | undefined> {
  if (errno === 'ENOENT') return undefined;
  if (ENDED.has(errno) && (await isRemoved(name, path))) return undefined;
  const pid = await listenerAt(path);
  if (errno === 'ETIMEDOUT') {
    const answer = isStopped(pid)
      ? stopped(name, pid)
      : new VdensError('ERR_NETWORK_TIMEOUT', `${name}: it does not answer`, { errno });
    return { name, path, pid, answer };
  }
  return { name, path, pid, answer: failure(name, 'it cannot be asked', errno) };
}

function failure(name: string, problem: string, errno: string): VdensError {
  return new VdensError('ERR_NETWORK_OPEN', `${name}: ${problem} (${errno})`, { errno });
}

/** Removes what a process left that is gone; false when somebody listens there again. */
async function isRemoved(name: string, path: string): Promise<boolean> {
  const { answers, lookAt, removeStale } = await import('../plugs/ptp-names.ts');
  const found = lookAt(path);
  if (found === undefined) return true;
  if (answers(path, path)) return false;
  removeStale(name, path, found.identity);
  return true;
}

async function listenerAt(path: string): Promise<number | undefined> {
  const { listenerOf } = await import('../control/server.ts');
  return listenerOf(path);
}

/** Why one that was stopped says nothing. */
export function stopped(name: string, pid: number | undefined): VdensError {
  const message = `${name}: it does not answer, as it was stopped. Let it go on: kill -CONT ${pid}`;
  return new VdensError('ERR_NETWORK_TIMEOUT', message, { errno: 'ETIMEDOUT' });
}

/** Whether a process was stopped, by a signal or by a debugger (proc(5)). */
export function isStopped(pid: number | undefined): boolean {
  return ['T', 't'].includes(stateOf(pid));
}

/** Whether it was stopped by a signal: then it stays so until somebody lets it go on, other than under strace(1). */
export function isSuspended(pid: number | undefined): boolean {
  return stateOf(pid) === 'T';
}

function stateOf(pid: number | undefined): string {
  try {
    return /^State:\s*(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '';
  } catch {
    return '';
  }
}
