/**
 * Going into the background: what daemon(3) does for programs that can fork.
 *
 * Node.js cannot. So the command starts itself again, in a session of its own, and the first process waits until the
 * second has opened everything: errors are seen, and the status tells. What the second and the commands that it
 * starts print until then, the first prints; later nobody does.
 *
 * ```
 * shell ── first ──────────── waits ─────────────── exits with 0
 *            │ starts           ▲ "ready"
 *            └── second ── opens everything ── 0, 1, 2 become /dev/null ── works, in the background
 * ```
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { VdensError } from '../errors.ts';
import { endBySignal } from './end-by-signal.ts';
import { wasIgnored } from './ignored-signals.ts';
import { errnoName, native } from './native.ts';

/** Tells the second process that it is the second. */
const MARK = 'VDENS_DAEMON';
/** Descriptors of the second process: the line to the first, and where it reads what it itself prints. */
const LINE_FD = 3;
const OUTPUT_FD = 4;

/** How long opening everything may take, in milliseconds; the longest time-outs of networks are far below. */
const READY_TIMEOUT_MS = 60_000;
/** How long nothing is said about the waiting, in milliseconds. */
const READY_PATIENCE_MS = 5000;
/** How long the second process has between a signal and SIGKILL, in milliseconds. */
const TERMINATE_MS = 4000;
const CHUNK_BYTES = 4096;

const ENDING_SIGNALS = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const;

/** How the second process goes on once everything is open. */
export interface ReadyOptions {
  /**
   * Whether the working directory stays: something with a relative path may be opened, or removed, later. Otherwise
   * it becomes `/`, so that no file system is kept from being unmounted.
   * @defaultValue false
   */
  readonly keepDirectory?: boolean;
}

/** This process, as the second of the two. */
export class Daemon {
  readonly #line: Socket;
  #isReady = false;

  private constructor() {
    this.#line = new Socket({ fd: LINE_FD });
    this.#line.on('error', () => undefined); // 'close' follows.
    this.#line.once('close', () => this.#firstEnded());
    this.#line.resume().unref();
  }

  /**
   * Goes into the background. It resolves in the second process only, which then opens what it needs and calls
   * {@link ready}; the first ends with 0 when that is done, and with the status of the second when that ends before.
   * Standard input of the second is empty from the beginning.
   *
   * To be called early: the second process begins at the beginning of the program, with the same arguments.
   *
   * @param name the command's name, for messages
   * @throws VdensError `ERR_COMMAND`, in the first process, when there can be no second one, or it does not get ready
   */
  static async detach(name: string): Promise<Daemon> {
    if (isSecond()) {
      delete process.env[MARK];
      return new Daemon();
    }
    return new First(name).wait();
  }

  /** Everything is open: the first process ends, and nothing is printed any more. */
  ready(options: ReadyOptions = {}): void {
    if (this.#isReady) return;
    this.#isReady = true;
    if (options.keepDirectory !== true) process.chdir('/');
    becomeSilent();
    this.#line.write('ready');
  }

  #firstEnded(): void {
    // Nobody would know of us: whoever ended it wants no daemon.
    if (!this.#isReady) {
      process.kill(process.pid, 'SIGTERM');
      // Also where that is ignored.
      setTimeout(() => process.exit(1), TERMINATE_MS);
    }
    // Commands that were started before still have the pipe: it must neither fill nor break.
    const output = new Socket({ fd: OUTPUT_FD, readable: true, writable: false });
    output.on('error', () => undefined);
    output.resume().unref();
  }
}

/** Both descriptors, so that a variable that somebody exported does no harm. */
function isSecond(): boolean {
  if (process.env[MARK] === undefined) return false;
  try {
    return fstatSync(LINE_FD).isSocket() && fstatSync(OUTPUT_FD).isFIFO();
  } catch {
    return false;
  }
}

function becomeSilent(): void {
  const nothing = openSync('/dev/null', 'r+');
  for (const fd of [0, 1, 2]) native.replaceDescriptor(nothing, fd);
  closeSync(nothing);
}

/** The process that waits for the second one. */
class First {
  readonly #name: string;
  readonly #second: ChildProcess;
  readonly #output: Socket;
  readonly #outputFd: number;
  /** The signal that ends us, and by which the second was ended. */
  #signal: NodeJS.Signals | undefined;

  constructor(name: string) {
    this.#name = name;
    const ends = new Int32Array(2);
    const result = native.openPipe(ends);
    if (result < 0) throw this.#failure(`a pipe cannot be made (${errnoName(result)})`);
    const [outputFd = -1, inputFd = -1] = ends;
    this.#outputFd = outputFd;
    this.#second = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      detached: true,
      // Those of our caller would be the second's own.
      env: { ...process.env, VDENS_DESCRIPTORS: '', [MARK]: '1' },
      stdio: ['ignore', 'inherit', inputFd, 'pipe', outputFd],
    });
    native.closeDescriptor(inputFd);
    native.setNonBlocking(outputFd);
    this.#output = new Socket({ fd: outputFd, readable: true, writable: false });
    this.#output.on('data', printBytes);
    this.#output.on('error', () => undefined);
  }

  /** Ends this process when the second is ready or has ended. */
  async wait(): Promise<never> {
    const patience = setTimeout(() => {
      print(`${this.#name}: not everything is open yet: waiting, up to ${READY_TIMEOUT_MS / 1000} s`);
    }, READY_PATIENCE_MS);
    let isLate = false;
    const timeout = setTimeout(() => {
      isLate = true;
      this.#end('SIGTERM');
    }, READY_TIMEOUT_MS);
    for (const signal of ENDING_SIGNALS) {
      process.on(signal, () => {
        if (wasIgnored(signal)) return;
        this.#signal = signal;
        this.#end(signal);
      });
    }
    const status = await this.#outcome();
    clearTimeout(patience);
    clearTimeout(timeout);
    this.#printRest();
    if (isLate) throw this.#failure(`it did not open everything within ${READY_TIMEOUT_MS / 1000} s and was ended`);
    process.exit(this.#signal === undefined ? status : await endBySignal(this.#signal));
  }

  /** 0 when the second is ready, else its status. */
  #outcome(): Promise<number> {
    const line = this.#second.stdio[LINE_FD] as Socket | null;
    return new Promise((resolve, reject) => {
      line?.on('error', () => undefined);
      line?.once('data', () => resolve(0));
      this.#second.once('error', (cause) => {
        reject(
          this.#failure(`${process.execPath} cannot be started (${(cause as NodeJS.ErrnoException).code})`, cause),
        );
      });
      this.#second.once('exit', (status, signal) => {
        if (signal !== null) this.#signal ??= signal;
        resolve(status ?? 1);
      });
    });
  }

  #end(signal: NodeJS.Signals): void {
    this.#second.kill(signal);
    setTimeout(() => this.#second.kill('SIGKILL'), TERMINATE_MS).unref();
  }

  /** What the second printed just before it was ready, or ended. */
  #printRest(): void {
    const bytes = new Uint8Array(CHUNK_BYTES);
    try {
      for (let length = 1; length > 0; ) {
        length = readSync(this.#outputFd, bytes);
        printBytes(bytes.subarray(0, length));
      }
    } catch {
      // EAGAIN: nothing more.
    }
  }

  #failure(what: string, cause?: unknown): VdensError {
    return new VdensError('ERR_COMMAND', `cannot go into the background: ${what}`, { cause });
  }
}

function print(line: string): void {
  printBytes(Buffer.from(`${line}\n`));
}

function printBytes(bytes: Uint8Array): void {
  try {
    writeSync(2, bytes);
  } catch {
    // There is nobody to tell.
  }
}
