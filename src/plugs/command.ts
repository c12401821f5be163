/**
 * `cmd://COMMAND` and `=COMMAND`: an Ethernet line to a command that speaks the stream framing on its standard
 * input and output, such as `ssh host vde_plug`.
 *
 * The command runs in the caller's namespaces, with the caller's standard error. Keyboard signals do not reach
 * it, and it does not outlive us.
 */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { VdensError } from '../errors.ts';
import type { FrameBatch } from '../frames/batch.ts';
import { programError } from '../system/find-program.ts';
import { furtherDescriptors } from '../system/inheritance.ts';
import { endSupervised, runSupervised } from '../system/launcher.ts';
import { native } from '../system/native.ts';
import { openPipe, type Pipe } from '../system/pipe.ts';
import type { PlugCounters } from './counters.ts';
import type { FrameReceiver, Plug, PlugEvents } from './plug.ts';
import { StreamPlug } from './stream.ts';

/** How long a command that closed its output has to exit, so that its status can be told. */
const EXIT_STATUS_MS = 300;
/** How long it has between SIGTERM and SIGKILL when the plug is closed, and all that it has started with it. */
const TERMINATE_MS = 500;
/** How long whoever ends all that has for it, from SIGTERM on. */
const KILL_MS = 2000;
/** As env(1) has it, of a command that there is not. */
const STATUS_NOT_STARTED = 127;

export class CommandPlug implements Plug {
  readonly label: string;
  readonly takesSuperFrames: boolean = false;
  readonly #process: ChildProcess;
  readonly #stream: StreamPlug;
  readonly #exited: Promise<number>;
  #ending: string | undefined;
  #exitStatus: number | undefined;
  #closing: Promise<void> | undefined;

  private constructor(label: string, child: ChildProcess, stream: StreamPlug) {
    this.label = label;
    this.#process = child;
    this.#stream = stream;
    this.#exited = new Promise((resolve) => {
      child.on('error', (error) => {
        this.#ending = `the command could not be started (${error.message})`;
        resolve(STATUS_NOT_STARTED);
      });
      child.on('exit', (status, signal) => {
        this.#ending = signal === null ? `the command ended with status ${status}` : `the command ended by ${signal}`;
        this.#exitStatus = status ?? 128 + constants.signals[signal ?? 'SIGKILL'];
        resolve(this.#exitStatus);
      });
    });
  }

  /**
   * Starts the command.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when there is no such command, or no descriptors are left for the pipes
   */
  static open(label: string, command: readonly string[], counters?: PlugCounters): CommandPlug {
    requireProgram(label, command[0]!);
    const [toCommand, fromCommand] = openPipes(label);
    const child = runSupervised(command, {
      stdio: [toCommand.read, fromCommand.write, 'inherit', ...furtherDescriptors()],
    });
    native.closeDescriptor(toCommand.read);
    native.closeDescriptor(fromCommand.write);
    return new CommandPlug(label, child, new StreamPlug(label, fromCommand.read, toCommand.write, counters));
  }

  get maxFrameBytes(): number {
    return this.#stream.maxFrameBytes;
  }

  get counters(): PlugCounters {
    return this.#stream.counters;
  }

  get busy(): boolean {
    return this.#stream.busy;
  }

  /** The exit status of the command once it has ended, or 128+n for signal n. */
  get exit(): Promise<number> {
    return this.#exited;
  }

  /** The same, if it is known already. */
  get exitStatus(): number | undefined {
    return this.#exitStatus;
  }

  /** Closes its input and gives it some time to end by itself, in milliseconds. */
  async finish(timeoutMs: number): Promise<void> {
    await this.#stream.close();
    await Promise.race([this.#exited, new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())]);
    await this.close();
  }

  start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#stream.start(receiver, {
      ...events,
      down: async (reason) => {
        const pause = new Promise((resolve) => setTimeout(resolve, EXIT_STATUS_MS));
        await Promise.race([this.#exited, pause]);
        if (this.#closing === undefined) events.down?.(this.#ending ?? reason);
      },
    });
  }

  send(batch: FrameBatch): void {
    this.#stream.send(batch);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    await this.#stream.close();
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => endSupervised(this.#process), TERMINATE_MS);
    // Its supervisor gone, the kernel kills the command too, but not what that has started.
    const lastTimer = setTimeout(() => this.#process.kill('SIGKILL'), KILL_MS);
    await this.#exited;
    clearTimeout(timer);
    clearTimeout(lastTimer);
  }
}

/** Whoever runs the command can tell us only that it ended; a wrong name is better said at once. */
function requireProgram(label: string, program: string): void {
  const errno = programError(program);
  if (errno === undefined) return;
  const where = program.includes('/') ? 'is not a program that can be run' : 'is not in PATH';
  const message = `${label}: the command "${program}" ${where}. Name one that speaks the VDE stream, such as vde_plug or ssh`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: program, errno });
}

function openPipes(label: string): [Pipe, Pipe] {
  const first = openPipe(label);
  try {
    return [first, openPipe(label)];
  } catch (error) {
    native.closeDescriptor(first.read);
    native.closeDescriptor(first.write);
    throw error;
  }
}
