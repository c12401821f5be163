/**
 * A kind of network that is not ours, opened by the originals' library with one of its plugins, in a process of its own
 * (native/foreign): what the plugin does wrong is not done in ours.
 *
 * ```
 * ForeignPlug ═══ packets, one frame each ═══ foreign ── libvdeplug ── plugin ── the network
 * ```
 *
 * The process ends with the plug. When it crashes, hangs or ends, the network is down, and why is said in words.
 */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { printable, VdensError } from '../errors.ts';
import { helperError } from '../system/launch-error.ts';
import { endSupervised, runSupervised } from '../system/launcher.ts';
import { errnoName, foreignPath, launchPath, native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import { SOCK_SEQPACKET } from '../system/unix-address.ts';
import type { PlugCounters } from './counters.ts';
import type { FrameReceiver, PlugEvents } from './plug.ts';
import { PluginLines } from './plugin-lines.ts';
import { SocketPlug } from './socket-plug.ts';
import { STREAM_FRAME_BYTES } from './stream.ts';

/** How long the library may take to open a network, in milliseconds, unless the caller says otherwise. */
const FOREIGN_TIMEOUT_MS = 10_000;
/** A process that gives no sign of life in two such times hangs; it gives one at least every 3 s. */
const LIFE_CHECK_MS = 5000;
/** How long a process whose socket closed has to exit by itself: it tidies up, and its status can be told. */
const FOREIGN_STATUS_MS = 2000;

/** What the process says of opening (native/foreign/foreign.c). */
const OPENED = 'O';
const STATUS_BYTES = 5;
/** Signs of life that are taken in one call; there are as many as the program has had seconds. */
const SIGNS_AT_ONCE = 64;
const NO_LIBRARY = 10;
const IS_GONE = 12;
/** A line that is the reason of its end begins so. */
const REASON_MARK = '\u0001';

const { EPROTONOSUPPORT } = constants.errno;
/** Of no system call: the library cannot be loaded (errno(3)). */
const ELIBACC = 79;

/** What there is to say of a network that is not ours. */
export interface ForeignOptions {
  /** The network's name, for the library. */
  readonly network: string;
  /** Who we are, for a switch. */
  readonly description: string;
  readonly timeoutMs?: number | undefined;
  readonly signal: AbortSignal;
  /** Goes on counting there. */
  readonly counters?: PlugCounters;
}

/** The library is not installed, or has no plugin for this kind of network. */
export class UnknownToLibraryError extends Error {
  readonly isLibraryMissing: boolean;

  constructor(isLibraryMissing: boolean) {
    super(isLibraryMissing ? 'no libvdeplug' : 'no plugin');
    this.isLibraryMissing = isLibraryMissing;
  }
}

/** The process, and what it has told. */
class ForeignProcess {
  readonly child: ChildProcess;
  readonly socket: number;
  readonly #life: number;
  readonly #timer: NodeJS.Timeout;
  readonly exited: Promise<void>;
  #startFailure: NodeJS.ErrnoException | undefined;
  #reason: string | undefined;
  #ending: string | undefined;
  #status: number | undefined;
  #isHanging = false;
  #isEnded = false;

  /** @throws VdensError `ERR_NETWORK_OPEN` when there are no descriptors left */
  constructor(label: string, network: string, description: string) {
    const [sockets, life] = openPairs(label);
    const command = [foreignPath, network, description];
    this.child = runSupervised(command, { stdio: ['ignore', 'ignore', 'pipe', sockets[1], life[1]] });
    native.closeDescriptor(sockets[1]);
    native.closeDescriptor(life[1]);
    this.socket = sockets[0];
    this.#life = life[0];
    native.setNonBlocking(this.#life);
    native.setNonBlocking(this.socket);
    this.exited = new Promise((resolve) => {
      this.child.on('error', (error) => {
        this.#startFailure = error;
        resolve();
      });
      // With `close` all that it said has been read.
      this.child.on('close', (status, signal) => {
        this.#status = status ?? 128 + constants.signals[signal ?? 'SIGKILL'];
        resolve();
      });
    });
    this.#passLinesOn(label);
    this.#timer = setInterval(() => this.#checkLife(), LIFE_CHECK_MS);
    this.#timer.unref();
  }

  /** Why it could not be started, if that is so. */
  get startFailure(): NodeJS.ErrnoException | undefined {
    return this.#startFailure;
  }

  /** Its exit status, when it ended by itself. */
  get status(): number | undefined {
    return this.#status;
  }

  /** Why it ended: one clause. */
  get reason(): string {
    if (this.#ending !== undefined) return this.#ending;
    const status = this.#status;
    if (status === undefined) return 'the program for it closed its socket';
    const why = this.#reason === undefined ? '' : `: ${this.#reason}`;
    if (status === IS_GONE || status === 0) return `the network ended${why}`;
    const signal = Object.entries(constants.signals).find(([, number]) => number === status - 128)?.[0];
    return signal === undefined ? `its plugin ended with status ${status}${why}` : `its plugin crashed (${signal})`;
  }

  /** Ends it and all that it has started. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    endSupervised(this.child);
    await this.exited;
    if (!this.#isEnded) native.closeDescriptor(this.#life);
    this.#isEnded = true;
  }

  /** For as long as it may take to end by itself. */
  async settle(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const pause = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FOREIGN_STATUS_MS);
    });
    await Promise.race([this.exited, pause]);
    clearTimeout(timer);
  }

  #passLinesOn(label: string): void {
    const say = (line: string): void => {
      const text = printable(line).trim();
      if (text !== '') process.stderr.write(`${label}: ${text}\n`);
    };
    const lines = new PluginLines(say, {
      mark: REASON_MARK,
      take: (reason) => {
        this.#reason = printable(reason);
      },
    });
    // What could not be started has none.
    const stream = this.child.stderr?.setEncoding('utf8');
    stream?.on('data', (text: string) => lines.push(text));
    stream?.on('end', () => lines.end());
  }

  /** A check that comes late, because we were stopped, finds what was said meanwhile. */
  #checkLife(): void {
    if (this.#takeSigns()) {
      this.#isHanging = false;
      return;
    }
    if (!this.#isHanging) {
      this.#isHanging = true;
      return;
    }
    clearInterval(this.#timer);
    this.#ending = `its plugin did nothing for ${(2 * LIFE_CHECK_MS) / 1000} s, and was ended`;
    endSupervised(this.child);
  }

  /** Takes all that was said: what stays would be taken for something new. */
  #takeSigns(): boolean {
    const signs = new Uint8Array(SIGNS_AT_ONCE);
    const count = native.readInto(this.#life, signs, 0);
    for (let more = count; more === SIGNS_AT_ONCE; ) more = native.readInto(this.#life, signs, 0);
    return count > 0;
  }
}

/** One end of such a network. */
export class ForeignPlug extends SocketPlug {
  readonly #process: ForeignProcess;
  #isClosing = false;

  private constructor(label: string, running: ForeignProcess, counters: PlugCounters | undefined) {
    super(label, {
      data: running.socket,
      maxFrameBytes: STREAM_FRAME_BYTES,
      emptyIsEnd: true,
      reasons: { closed: 'the network ended', left: 'the network ended', babbles: 'the network ended' },
      ...(counters === undefined ? {} : { counters }),
    });
    this.#process = running;
  }

  /**
   * Has the library open a network.
   *
   * @throws UnknownToLibraryError when there is no library, or it does not know this kind of network
   * @throws VdensError `ERR_NETWORK_OPEN`, `ERR_NETWORK_TIMEOUT`, `ERR_NATIVE`; the signal's reason
   */
  static async open(label: string, options: ForeignOptions): Promise<ForeignPlug> {
    options.signal.throwIfAborted();
    const running = new ForeignProcess(label, options.network, options.description);
    let isKept = false;
    try {
      await opened(label, running, options);
      isKept = true;
      return new ForeignPlug(label, running, options.counters);
    } finally {
      if (!isKept) {
        native.closeDescriptor(running.socket);
        await running.end();
      }
    }
  }

  override start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    super.start(receiver, {
      ...events,
      down: async () => {
        await this.#process.settle();
        if (!this.#isClosing) events.down?.(this.#process.reason);
      },
    });
  }

  override async close(): Promise<void> {
    this.#isClosing = true;
    await super.close();
    await this.#process.settle();
    await this.#process.end();
  }
}

/** Waits for what the process says of opening. */
async function opened(label: string, running: ForeignProcess, options: ForeignOptions): Promise<void> {
  const { timeoutMs = FOREIGN_TIMEOUT_MS, signal } = options;
  let watch: Watch | undefined;
  let timer: NodeJS.Timeout | undefined;
  let abort = (): void => undefined;
  const answer = new Promise<Uint8Array | 'timeout' | 'aborted'>((resolve) => {
    const take = (): void => {
      const bytes = new Uint8Array(STATUS_BYTES);
      resolve(bytes.subarray(0, Math.max(0, native.receive(running.socket, bytes))));
    };
    watch = new Watch(running.socket, READABLE, take);
    timer = setTimeout(() => resolve('timeout'), timeoutMs);
    abort = () => resolve('aborted');
    signal.addEventListener('abort', abort);
    running.child.on('error', take);
  });
  try {
    await judge(label, await answer, running, timeoutMs, signal);
  } finally {
    watch?.end();
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

async function judge(
  label: string,
  answer: Uint8Array | 'timeout' | 'aborted',
  running: ForeignProcess,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (answer === 'aborted') throw signal.reason;
  if (answer === 'timeout') {
    const message = `${label}: the originals' library did not open it within ${timeoutMs / 1000} s. Is who serves it stopped?`;
    throw new VdensError('ERR_NETWORK_TIMEOUT', message, { value: label, errno: 'ETIMEDOUT' });
  }
  if (answer.length === STATUS_BYTES && String.fromCharCode(answer[0]!) === OPENED) return;
  await running.settle();
  const { startFailure } = running;
  if (startFailure !== undefined) throw helperError(launchPath, startFailure.code ?? 'unknown error', startFailure);
  if (answer.length !== STATUS_BYTES) {
    const message = `${label}: the originals' library could not open it: ${running.reason}. Is its plugin a good one?`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: label });
  }
  const errno = new DataView(answer.buffer, answer.byteOffset).getInt32(1, true);
  if (errno === ELIBACC && running.status === NO_LIBRARY) throw new UnknownToLibraryError(true);
  if (errno === EPROTONOSUPPORT) throw new UnknownToLibraryError(false);
  const [name, text] = getSystemErrorMap().get(-errno) ?? [String(errno), 'unknown error'];
  const message = `${label}: the originals' library cannot open it (${name}: ${text}). What it takes is in the manual page of its plugin`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: label, errno: name, syscall: 'vde_open' });
}

type Pair = readonly [ours: number, theirs: number];

/** The socket, and the pipe for signs of life. */
function openPairs(label: string): [sockets: Pair, life: Pair] {
  const [sockets, life] = [new Int32Array(2), new Int32Array(2)];
  requireOpened(label, native.openSocketPair(SOCK_SEQPACKET, sockets), 'socketpair');
  const result = native.openPipe(life);
  if (result < 0) for (const fd of sockets) native.closeDescriptor(fd);
  requireOpened(label, result, 'pipe2');
  return [
    [sockets[0]!, sockets[1]!],
    [life[0]!, life[1]!],
  ];
}

function requireOpened(label: string, result: number, syscall: string): void {
  if (result >= 0) return;
  const errno = errnoName(result);
  const message = `${label}: cannot start the program for it (${syscall}: ${errno}). Are there too many open files? See: ulimit -n`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { errno, syscall });
}
