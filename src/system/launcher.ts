/**
 * Starts the `launch` helper (native/launch): the namespaces are made by it, and commands run below it.
 *
 * One helper *holds* the namespaces: over a control socket (SOCK_SEQPACKET, its descriptor 3) it passes out
 * what had to be opened inside, and lives until that socket is closed. Each command has a helper of its
 * own, which joins the namespaces, supervises the command and takes its exit status as its own.
 *
 * ```
 * vdens (Node.js)──control──launch -f 3          holds user, net, uts (and mount) namespace
 *        └──────────────────launch -j PID ── command
 * ```
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { VdensError } from '../errors.ts';
import { addExecutor, removeExecutor } from './entrusted-names.ts';
import { ignoredSignals } from './ignored-signals.ts';
import { commandArguments, type LaunchOptions, namespaceArguments } from './launch-arguments.ts';
import { helperError, launchError } from './launch-error.ts';
import { launchPath, native } from './native.ts';
import { HUNG_UP, READABLE, Watch } from './reactor.ts';

const SOCK_SEQPACKET = 5;
const MAX_MESSAGE_BYTES = 1024;
/** What one message holds (unix(7)); MAX_DESCRIPTORS of native/io/socket.c. */
const MAX_DESCRIPTORS = 253;
/** Making namespaces takes milliseconds; a machine that needs longer than this has another problem. */
const ANSWER_TIMEOUT_MS = 10_000;

/** Tells a supervisor that we are gone: PARENT_DIED of native/launch/supervise.c. */
const PARENT_DIED = 36;

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function deferred<T>(): Deferred<T> {
  let settle: Pick<Deferred<T>, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Nobody may be waiting any more when it fails.
  promise.catch(() => undefined);
  return { promise, ...settle! };
}

/** What was opened inside; the descriptors belong to the caller. */
export interface Opened {
  /** The rtnetlink socket. */
  readonly netlink: number;
  /** One for each TAP. */
  readonly taps: readonly number[];
  /** One for each writable file of /etc. */
  readonly etcFiles: readonly number[];
  /** One for each TAP of which DHCP is to be heard. */
  readonly listeners: readonly number[];
}

/** The process that holds a set of namespaces. */
export class NamespaceHolder {
  readonly #process: ChildProcess;
  readonly #control: number;
  readonly #watch: Watch;
  readonly #exited: Promise<void>;
  readonly #opened: Deferred<Opened> = deferred();
  /** What came before the last message, by its letter. */
  readonly #received = new Map<string, number[]>();
  readonly #timer: NodeJS.Timeout;
  #ended = false;

  private constructor(options: LaunchOptions) {
    const ends = new Int32Array(2);
    const result = native.openSocketPair(SOCK_SEQPACKET, ends);
    if (result < 0) throw launchError('socket', -result, 'socketpair');
    this.#control = ends[0]!;
    this.#process = spawn(launchPath, ['-f', '3', ...namespaceArguments(options)], {
      stdio: ['ignore', 'ignore', 'inherit', ends[1]!],
    });
    native.closeDescriptor(ends[1]!);
    this.#exited = new Promise((resolve) => {
      this.#process.on('exit', () => resolve());
      this.#process.on('error', (cause) => {
        this.#fail(helperError(launchPath, (cause as NodeJS.ErrnoException).code ?? 'unknown error', cause));
        resolve();
      });
    });
    this.#watch = new Watch(this.#control, READABLE, (events) => this.#receive(events));
    this.#timer = setTimeout(
      () => this.#fail(launchError('the helper did not answer', 0, launchPath)),
      ANSWER_TIMEOUT_MS,
    );
  }

  /**
   * Makes the namespaces. Resolves with the holder and what it opened, all of which belong to the caller.
   *
   * @throws VdensError `ERR_NAMESPACE` or `ERR_TAP`, whose `syscall` is the step that failed
   */
  static async start(options: LaunchOptions): Promise<{ holder: NamespaceHolder } & Opened> {
    const holder = new NamespaceHolder(options);
    try {
      const opened = await holder.#opened.promise;
      addExecutor(holder.#executor);
      return { holder, ...opened };
    } catch (error) {
      for (const fd of [...holder.#received.values()].flat()) native.closeDescriptor(fd);
      await holder.close();
      throw error;
    }
  }

  readonly #executor = (message: Uint8Array): void => {
    native.send(this.#control, message);
  };

  /** Its process id, by which the namespaces can be joined. */
  get pid(): number {
    return this.#process.pid!;
  }

  /** Lets the namespaces go, unless other processes are still inside. */
  async close(): Promise<void> {
    this.#fail(new VdensError('ERR_CLOSED', 'the namespace was closed'));
    await this.#exited;
  }

  #receive(events: number): void {
    const buffer = new Uint8Array(MAX_MESSAGE_BYTES);
    const descriptors = new Int32Array(1 + MAX_DESCRIPTORS);
    const length = native.receiveDescriptors(this.#control, buffer, descriptors);
    if (length <= 0) {
      if (length === 0 || (events & HUNG_UP) !== 0) this.#fail(launchError('the helper ended', 0, launchPath));
      return;
    }
    const text = Buffer.from(buffer.subarray(0, length)).toString();
    if (text.startsWith('F')) {
      const [step, errno, subject] = text.slice(1).split('\n');
      this.#fail(launchError(step ?? '', Number(errno), subject ?? ''));
      return;
    }
    this.#received.set(text, Array.from(descriptors.subarray(1, 1 + descriptors[0]!)));
    const [netlink, ...taps] = this.#received.get('R') ?? [];
    if (netlink === undefined) return;
    clearTimeout(this.#timer);
    const listeners = this.#received.get('L') ?? [];
    this.#opened.resolve({ netlink, taps, etcFiles: this.#received.get('E') ?? [], listeners });
  }

  /** Ends the connection, which ends the helper; whoever still waits for its answer gets the error. */
  #fail(error: Error): void {
    clearTimeout(this.#timer);
    this.#opened.reject(error);
    if (this.#ended) return;
    this.#ended = true;
    removeExecutor(this.#executor);
    this.#watch.end();
    native.closeDescriptor(this.#control);
  }
}

/**
 * Runs a command as its supervisor's child, outside any new namespace; keyboard signals do not reach it, and
 * it does not outlive us.
 */
export function runSupervised(command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn(launchPath, ['-p', '--', ...command], options);
}

/** Ends it and everything that it has started, at once; its supervisor does that and then ends, too. */
export function endSupervised({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(pid, PARENT_DIED);
  } catch {
    // It has just ended.
  }
}

/**
 * Runs a command in the namespaces that process `pid` is in. The process returned is the command's
 * supervisor: it exits with the command's status (128+n for signal n) and passes SIGTERM and SIGHUP on.
 */
export function runInside(
  pid: number,
  capabilities: bigint,
  command: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  return spawn(launchPath, ['-j', String(pid), ...commandArguments(capabilities, ignoredSignals(), command)], options);
}
