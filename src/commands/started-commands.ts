/** The commands that `dpipe` starts: all of them are waited for, and get the signals that are meant to end us. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { VdensError } from '../errors.ts';
import { isInForeground } from '../system/foreground.ts';
import { initiallyIgnoredSignals, wasIgnored } from '../system/ignored-signals.ts';
import { commandVariables, furtherDescriptors } from '../system/inheritance.ts';
import { native } from '../system/native.ts';
import { alternates } from './dpipe-stages.ts';
import { unrunnable } from './unrunnable.ts';

/** As every shell has it: the command could not be started. */
export const STATUS_NOT_FOUND = 127;
/** How a shell tells of a signal. */
const STATUS_SIGNAL = 128;
/** The last signal that sh(1) can be asked to ignore. */
const LAST_PLAIN_SIGNAL = 31;
/** The terminal tells all commands of its keys; those that still run after this long are told again, by us. */
const TERMINAL_GRACE_MS = 1000;

const ENDING_SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const;

/** What the descriptors of a command are to be, by number; standard error is not among them. */
export type Descriptors = readonly (number | undefined)[];

/** How a command ended. */
export interface CommandEnd {
  /** As a shell would have it: 128 + n after signal n. */
  readonly status: number;
  readonly signal: NodeJS.Signals | undefined;
}

/** What commands get to see. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  return { ...commandVariables(), ...alternates };
}

export class StartedCommands {
  readonly #say: (line: string) => void;
  readonly #children: ChildProcess[] = [];
  readonly #ends: Promise<CommandEnd>[] = [];
  #isComplete = true;
  #interruption: NodeJS.Signals | undefined;

  /** @param say prints a line about a command that cannot be started */
  constructor(say: (line: string) => void) {
    this.#say = say;
    for (const signal of ENDING_SIGNALS) {
      process.on(signal, () => {
        if (!wasIgnored(signal)) this.#passOn(signal);
      });
    }
  }

  /** Whether every command could be started; known one turn of the event loop later. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** The signal that came to end us. */
  get interruption(): NodeJS.Signals | undefined {
    return this.#interruption;
  }

  /**
   * Starts a command. The descriptors are its own from now on.
   *
   * @throws {VdensError} `ERR_COMMAND` when the kernel refuses; that there is no such program shows later
   */
  start(command: readonly string[], descriptors: Descriptors): void {
    const child = spawnWith(command, descriptors);
    this.#children.push(child);
    this.#ends.push(
      new Promise((resolve) => {
        child.once('error', (error: NodeJS.ErrnoException) => {
          this.#isComplete = false;
          this.#say(unrunnable(command[0] ?? '', error.errno ?? 0));
          resolve({ status: STATUS_NOT_FOUND, signal: undefined });
        });
        child.once('exit', (status, signal) => {
          const number = signal === null ? 0 : constants.signals[signal];
          resolve({ status: status ?? STATUS_SIGNAL + number, signal: signal ?? undefined });
        });
      }),
    );
  }

  signal(signal: NodeJS.Signals): void {
    for (const child of this.#children) child.kill(signal);
  }

  /** Ends all, and waits for it. */
  async endAll(): Promise<void> {
    this.signal('SIGTERM');
    await this.waitForAll();
  }

  /** Resolves when all have ended, with the end of the last one. */
  async waitForAll(): Promise<CommandEnd> {
    const ends = await Promise.all(this.#ends);
    return ends.at(-1) ?? { status: 0, signal: undefined };
  }

  #passOn(signal: NodeJS.Signals): void {
    this.#interruption = signal;
    const isKey = signal === 'SIGINT' || signal === 'SIGQUIT';
    // Most likely the terminal told them all; but kill(1) may have told us alone.
    if (isKey && isInForeground()) setTimeout(() => this.signal(signal), TERMINAL_GRACE_MS).unref();
    else this.signal(signal);
  }
}

function spawnWith(command: readonly string[], descriptors: Descriptors): ChildProcess {
  const [program = '', ...args] = withIgnoredSignals(command);
  const [stdin = 0, stdout = 1] = descriptors;
  const stdio = [stdin, stdout, 2, ...furtherDescriptors(descriptors)];
  try {
    return spawn(program, args, { stdio, env: commandEnvironment() });
  } catch (cause) {
    const { errno = 0, code = '' } = cause as NodeJS.ErrnoException;
    throw new VdensError('ERR_COMMAND', unrunnable(command[0] ?? '', errno), { errno: code, syscall: 'spawn', cause });
  } finally {
    for (const fd of descriptors) if (fd !== undefined) native.closeDescriptor(fd);
  }
}

/** Node.js lets a command ignore nothing; what we were started to ignore (nohup), it shall ignore too. */
function withIgnoredSignals(command: readonly string[]): readonly string[] {
  const ignored = initiallyIgnoredSignals();
  const numbers = Array.from({ length: LAST_PLAIN_SIGNAL }, (_, index) => index + 1).filter(
    (number) => (ignored & (1n << BigInt(number - 1))) !== 0n,
  );
  if (numbers.length === 0) return command;
  return ['/bin/sh', '-c', `trap '' ${numbers.join(' ')}; exec "$@"`, 'sh', ...command];
}
