/**
 * What runs: every control socket of this user is asked at the same time.
 *
 * It is to take little longer than Node.js takes to start, and most of that time is the processes' own. So they are asked
 * before all else is loaded, and what only some runs need, in those alone; it is why this does without the client
 * (control/client.ts) and what that imports.
 */
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { emitRequest, parseReply } from '../control/message.ts';
import { namesInRuntimeDirectory, runtimeDirectory } from '../control/runtime-directory.ts';
import { VdensError } from '../errors.ts';
import type { ProcessStatus } from './status.ts';

/** How long a process may take to say what it runs: one that is stopped never does. */
const STATUS_TIMEOUT_MS = 1000;
/** One that is not stopped gets so many times that: on a machine that has much to do, its turn may come late. */
const PATIENCE = 4;
/** How long a connection stays open that is not needed any more. */
const CLOSE_AFTER_MS = 200;
/** The longest answer that makes sense, in characters. */
const MAX_STATUS_LENGTH = 16_777_216;

/** A process that can be asked. */
export interface FoundProcess {
  readonly name: string;
  /** Of its control socket. */
  readonly path: string;
  /** `undefined` when it has too many visitors to find that out. */
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
  const listed = await Promise.all(asked.map((question) => readAnswer(question)));
  return listed.filter((each) => each !== undefined);
}

/** `host-9` before `host-10`. */
function inOrder(names: readonly string[]): readonly string[] {
  const keys = new Map(names.map((name) => [name, name.replace(/\d+/g, (digits) => digits.padStart(20, '0'))]));
  return names.toSorted((a, b) => (keys.get(a)! < keys.get(b)! ? -1 : 1));
}

/** What became of a question: a line, or the kernel's name for what went wrong. */
type Outcome = { readonly line: string } | { readonly errno: string };

/** A process that has been asked. */
class Question {
  readonly name: string;
  readonly path: string;
  readonly outcome: Promise<Outcome>;
  readonly #socket: Socket;
  #timer: NodeJS.Timeout;
  #text = '';
  #end: (outcome: Outcome) => void = () => undefined;

  constructor(name: string, path: string, timeoutMs: number) {
    this.name = name;
    this.path = path;
    this.outcome = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#timer = setTimeout(() => void this.#late(timeoutMs), timeoutMs);
    this.#socket = createConnection(path);
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text: string) => this.#take(text));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#finish({ errno: error.code ?? 'EIO' }));
    this.#socket.on('close', () => this.#finish({ errno: 'EPIPE' }));
    this.#socket.write(emitRequest('status'));
  }

  #take(text: string): void {
    this.#text += text;
    const end = this.#text.indexOf('\n', this.#text.length - text.length);
    if (end >= 0) this.#finish({ line: this.#text.slice(0, end) });
    else if (this.#text.length > MAX_STATUS_LENGTH) this.#finish({ errno: 'EPROTO' });
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
    this.#end(outcome);
    // Closing wakes the process once more: that can wait until all have answered, or for our end.
    this.#socket.unref();
    setTimeout(() => this.#socket.destroy(), CLOSE_AFTER_MS).unref();
  }
}

async function readAnswer({ name, path, outcome }: Question): Promise<ListedProcess | undefined> {
  const { parseProcessStatus } = await import('./parse-status.ts');
  const result = await outcome;
  if ('errno' in result) return readFailure(name, path, result.errno);
  const reply = parseReply(result.line);
  if (reply?.kind === 'error') return { name, path, pid: await listenerAt(path), answer: reply.error };
  const status = reply?.kind === 'answer' ? parseProcessStatus(reply.fields) : undefined;
  if (status !== undefined) return { name, path, pid: status.pid, answer: status };
  const problem = 'it is of another version, or no process of ours';
  return { name, path, pid: await listenerAt(path), answer: failure(name, problem, 'EPROTO') };
}

async function readFailure(name: string, path: string, errno: string): Promise<ListedProcess | undefined> {
  if (errno === 'ENOENT') return undefined;
  if (errno === 'ECONNREFUSED' && (await isRemoved(name, path))) return undefined;
  const pid = await listenerAt(path);
  if (errno === 'ETIMEDOUT') {
    const why = isStopped(pid) ? `, as it was stopped. Let it go on: kill -CONT ${pid}` : '';
    const message = `${name}: it does not answer${why}`;
    return { name, path, pid, answer: new VdensError('ERR_NETWORK_TIMEOUT', message, { errno }) };
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

/** Whether a process was stopped, by a signal or by a debugger (proc(5)). */
export function isStopped(pid: number | undefined): boolean {
  try {
    return /^State:\s*[Tt]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
