/**
 * Lays a cable and lives until its end: what `vde_plug` and `vde_plug2tap` do once they know what to join.
 *
 * The end is a signal, or that one of the two ends is gone and not waited for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { ProcessControl } from '../inventory/serve-control.ts';
import { isNested, nestedLocators } from '../locator/nested.ts';
import { SCHEMES } from '../locator/schemes.ts';
import { cable } from '../plugs/cable.ts';
import { formatCounters } from '../plugs/counters.ts';
import { letOthersFirst } from '../plugs/fabric.ts';
import type { Plug } from '../plugs/plug.ts';
import { Daemon } from '../system/daemon.ts';
import { endBySignal } from '../system/end-by-signal.ts';
import { wasIgnored } from '../system/ignored-signals.ts';
import { disregardMeaninglessSignals } from '../system/meaningless-signals.ts';
import { native } from '../system/native.ts';
import { PidFile } from '../system/pid-file.ts';
import type { SessionLog } from './session-log.ts';
import { writeErrorLineNow } from './standard-streams.ts';

/** How long letting go of everything may take before we leave it to the kernel. */
const CLOSE_TIMEOUT_MS = 3000;
/** In milliseconds. */
const HOUR = 3_600_000;

/** One end of the cable. */
export interface RunningEnd {
  readonly plug: Plug;
  /** Whether it comes back when it was lost, so that it is waited for. */
  readonly heals: boolean;
  /** Whether the end of it is how a run is to end, so that nothing need be said. */
  readonly endsSilently?: boolean;
  /** The exit status when this end was the first to go. @defaultValue 0 */
  finish?(): Promise<number>;
}

/** What is to be joined, and how. */
export interface CableJob {
  /** The command's name, which lines on standard error begin with. */
  readonly name: string;
  /** Open the two ends, one after the other. */
  readonly ends: readonly ((signal: AbortSignal) => Promise<RunningEnd>)[];
  readonly daemon: boolean;
  /** Whether the working directory is needed as long as it runs. */
  readonly keepDirectory: boolean;
  readonly pidFile: { readonly path: string; readonly exclusive: boolean } | undefined;
  readonly log: SessionLog | undefined;
}

const ENDING_SIGNALS = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const;

/** Why it is over: a signal, or that an end is gone. */
type Ending = (typeof ENDING_SIGNALS)[number] | 'end';

/**
 * Joins the two ends until one is gone, or a signal comes.
 *
 * @returns the exit status; after SIGINT, SIGQUIT and SIGHUP never, as we end by them
 * @throws VdensError when an end cannot be opened, the pid file not written, or we cannot go into the background
 */
export async function runCable(job: CableJob): Promise<number> {
  const daemon = job.daemon ? await Daemon.detach(job.name) : undefined;
  const run = new CableRun(job);
  let status = 0;
  try {
    await run.open();
    daemon?.ready({ keepDirectory: job.keepDirectory });
    run.isSilent = daemon !== undefined;
    status = await run.lay();
  } catch (error) {
    if (!run.signal.aborted) throw error;
  } finally {
    await run.close();
  }
  const ending: Ending = run.signal.reason;
  return ending === 'end' || ending === 'SIGTERM' ? status : endBySignal(ending);
}

/** Whether a network, or one inside it, may need the working directory again: to be opened once more, or at its end. */
export function needsDirectory(word: string): boolean {
  const locators = nestedLocators(word);
  const innermost = locators.at(-1);
  // A command is none of the locators.
  if (innermost === undefined || isNested(innermost.scheme)) return true;
  // What is within is opened from its name again, with the files that the name has.
  if (locators.some(({ scheme }) => scheme === 'restart')) return true;
  // Addresses that are paths are made absolute; values of other options may be paths, too.
  const { scheme, options, repeated } = innermost;
  if (scheme === 'cmd' || !SCHEMES.has(scheme)) return true;
  return SCHEMES.get(scheme)?.isPath !== true && options.size + repeated.size > 0;
}

class CableRun {
  readonly #job: CableJob;
  readonly #ends: RunningEnd[] = [];
  readonly #controller = new AbortController();
  readonly #ended: Promise<void>;
  #gone: RunningEnd | undefined;
  #pidFile: PidFile | undefined;
  #control: ProcessControl | undefined;
  /** Nobody reads standard error any more. */
  isSilent = false;

  constructor(job: CableJob) {
    this.#job = job;
    this.#ended = new Promise((resolve) => this.signal.addEventListener('abort', () => resolve()));
    disregardMeaninglessSignals();
    for (const signal of ENDING_SIGNALS) {
      process.on(signal, () => {
        if (!wasIgnored(signal)) this.#controller.abort(signal);
      });
    }
  }

  /** Aborted when it is over; the reason is an {@link Ending}. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async open(): Promise<void> {
    const { ends, pidFile, log } = this.#job;
    log?.start();
    letOthersFirst();
    for (const open of ends) {
      this.signal.throwIfAborted();
      this.#ends.push(await open(this.signal));
    }
    this.signal.throwIfAborted();
    if (pidFile !== undefined) this.#pidFile = PidFile.write(pidFile.path, pidFile);
  }

  /** @returns the exit status */
  async lay(): Promise<number> {
    const [left, right] = this.#ends;
    if (left === undefined || right === undefined) return 0;
    // A stream passes this thread; commands were started before, and are as eager as their caller. May be refused.
    native.scheduleAsBatch();
    const endOf = (plug: Plug): RunningEnd => (plug === left.plug ? left : right);
    cable(left.plug, right.plug, {
      down: (plug, reason) => this.#lose(endOf(plug), reason),
      up: ({ label, isServedHere }) => this.#say(`${label}: is ${isServedHere ? 'back, served from here now' : 'up'}`),
      trouble: (_plug, error) => this.#say(error.message),
    });
    process.on('SIGUSR1', () => this.#report());
    this.#control = new ProcessControl({ command: this.#job.name, prefix: 'plug' });
    this.#control.add(async () => {
      const { CableItem } = await import('../inventory/cable-item.ts');
      return new CableItem(left.plug, right.plug);
    });
    // Some networks (null://) have nothing that Node.js would wait for.
    const hold = setInterval(() => undefined, HOUR);
    await this.#ended;
    clearInterval(hold);
    return (await this.#gone?.finish?.()) ?? 0;
  }

  /** Lets go of everything; what takes longer is left to the kernel. */
  async close(): Promise<void> {
    this.#control?.close();
    const timeout = sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false });
    await Promise.race([Promise.allSettled(this.#ends.map(({ plug }) => plug.close())), timeout]);
    this.#pidFile?.remove();
    await this.#job.log?.stop();
  }

  #lose(end: RunningEnd, reason: string): void {
    const { plug, heals, endsSilently = false } = end;
    if (!endsSilently) this.#say(`${plug.label}: ${reason}${heals ? '; waiting for it' : ''}`);
    // One end of a line may still wait for the first who comes.
    if (heals || plug.hasBeenUp === false) return;
    this.#gone ??= end;
    this.#controller.abort('end');
  }

  #report(): void {
    for (const { plug } of this.#ends) {
      this.#say(`${plug.label}: ${formatCounters(plug.counters)}`);
      for (const line of plug.report?.() ?? []) this.#say(`${plug.label}: ${line}`);
    }
  }

  #say(line: string): void {
    if (this.isSilent) this.#job.log?.say(line);
    else writeErrorLineNow(`${this.#job.name}: ${line}`);
  }
}

/** Whether an error says that the command line was wrong. */
export function isUsageError(error: unknown): boolean {
  return error instanceof VdensError && error.code === 'ERR_USAGE';
}
