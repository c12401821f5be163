/**
 * The `wirefilter` command: a cable that is worse than others, until an end of it, a signal or the console ends it.
 */
import { constants, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConsoleServer } from '../console/server.ts';
import type { ConsoleService } from '../console/session.ts';
import { StdioSession } from '../console/stdio-session.ts';
import { Blinker, usualBlinkId } from '../impairment/blink.ts';
import { ImpairedPlug } from '../impairment/impaired-plug.ts';
import { RunningSchedule } from '../impairment/schedule.ts';
import { answerOf, readConsoleSchedule } from '../impairment/scheduled-console.ts';
import { type ManagedWire, ON_STREAM } from '../impairment/wire.ts';
import { STEPS, stepLine, wireConsole } from '../impairment/wire-console.ts';
import { ProcessControl } from '../inventory/serve-control.ts';
import { openPlug } from '../locator/open-plug.ts';
import { cable } from '../plugs/cable.ts';
import { formatCounters } from '../plugs/counters.ts';
import { letOthersFirst } from '../plugs/fabric.ts';
import type { Plug } from '../plugs/plug.ts';
import { StreamPlug } from '../plugs/stream.ts';
import { Daemon } from '../system/daemon.ts';
import { endBySignal } from '../system/end-by-signal.ts';
import { wasIgnored } from '../system/ignored-signals.ts';
import { disregardMeaninglessSignals } from '../system/meaningless-signals.ts';
import { native } from '../system/native.ts';
import { PidFile } from '../system/pid-file.ts';
import { openPipe } from '../system/pipe.ts';
import { Watch } from '../system/reactor.ts';
import { Syslog } from '../system/syslog.ts';
import { printAbout } from './about.ts';
import { isWaitedFor, openStreamEnd, requireStream } from './cable-ends.ts';
import { usage } from './parse-options.ts';
import { reportError } from './report-error.ts';
import { needsDirectory } from './run-cable.ts';
import { writeErrorLineNow } from './standard-streams.ts';
import { version } from './version.ts';
import {
  type FilterEnd,
  type FilterRequest,
  interpretWirefilterArguments,
  WIREFILTER_TABLE,
  type WirefilterAction,
} from './wirefilter-options.ts';

const NAME = 'wirefilter';
/** As a switch sees us; the original calls itself so. */
const DESCRIPTION = 'vde_crosscable';
const STATUS_FAILURE = 1;
const CLOSE_TIMEOUT_MS = 3000;
/** The command that ends it. */
const SHUTDOWN = 'shutdown';
/** In milliseconds. */
const HOUR = 3_600_000;

const ENDING_SIGNALS = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const;
type Ending = (typeof ENDING_SIGNALS)[number] | 'end';

/**
 * Runs `wirefilter`.
 *
 * @param argv - the words after the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await act(interpretWirefilterArguments(argv));
  } catch (error) {
    await reportError(NAME, error);
    return STATUS_FAILURE;
  }
}

async function act(request: WirefilterAction): Promise<number> {
  switch (request.action) {
    case 'help':
    case 'version':
      return printAbout(request.action, WIREFILTER_TABLE);
    case 'filter':
      return filter(request);
  }
}

async function filter(request: FilterRequest): Promise<number> {
  const daemon = request.isDaemon ? await Daemon.detach(NAME) : undefined;
  const running = new RunningFilter(request);
  try {
    await running.open();
    daemon?.ready({ keepDirectory: running.needsDirectory });
    running.inBackground = daemon !== undefined;
    await running.ended;
  } catch (error) {
    if (!running.signal.aborted) throw error;
  } finally {
    await running.close();
  }
  const ending: Ending = running.signal.reason;
  return ending === 'end' || ending === 'SIGTERM' ? 0 : endBySignal(ending);
}

/** One end of the cable. */
interface OpenEnd {
  readonly plug: Plug;
  /** Whether it comes back when it was lost, so that it is waited for. */
  readonly heals: boolean;
}

class RunningFilter {
  /** Whether nobody reads standard error any more. */
  inBackground = false;
  readonly ended: Promise<void>;
  readonly #request: FilterRequest;
  readonly #controller = new AbortController();
  readonly #log = new Syslog(NAME);
  readonly #ends: OpenEnd[] = [];
  #plug: ImpairedPlug | undefined;
  #console: StdioSession | undefined;
  #server: ConsoleServer | undefined;
  #schedule: RunningSchedule | undefined;
  #blinker: Blinker | undefined;
  #pidFile: PidFile | undefined;
  #control: ProcessControl | undefined;
  #readerWatch: Watch | undefined;
  #hold: NodeJS.Timeout | undefined;

  constructor(request: FilterRequest) {
    this.#request = request;
    this.ended = new Promise((done) => this.signal.addEventListener('abort', () => done()));
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

  get needsDirectory(): boolean {
    return this.#request.ends?.some((end) => end.kind === 'network' && needsDirectory(end.word)) === true;
  }

  /** Opens everything. What was opened is let go of by {@link close}, also when this fails. */
  async open(): Promise<void> {
    const { values, isFifo, management, managementMode, pidFile, hasConsole, schedule, rcFile } = this.#request;
    letOthersFirst();
    native.scheduleAsBatch();
    const [left, right] = await this.#openEnds();
    const plug = new ImpairedPlug(right, { measure: ON_STREAM, seed: this.#request.seed });
    this.#plug = plug;
    const managed = await plug.manage();
    const { settings, seed } = managed.wire;
    const service = this.#makeConsole(managed);
    for (const [quantity, placed] of values) settings.set(quantity, placed);
    if (!isFifo) settings.isFifo = false;
    const steps = schedule === undefined ? undefined : readConsoleSchedule(schedule, settings);
    // It runs whatever becomes of the commands to begin with.
    for (const failure of rcFile === undefined ? [] : service.interpreter.run(rcFile)) this.#say(failure);
    this.#openBlinker(plug);
    if (management !== undefined) {
      this.#server = new ConsoleServer('--mgmt', resolve(management), { mode: managementMode }, service);
    }
    if (pidFile !== undefined) this.#pidFile = PidFile.write(pidFile);
    this.signal.throwIfAborted();
    this.#say(
      `${this.#isBidirectional ? 'bidirectional' : 'monodirectional'} filter between ${left.label} and ${right.label}, --seed ${seed}`,
    );
    this.#lay(left, plug);
    managed.changed();
    if (hasConsole) this.#console = this.#openConsole(service);
    if (steps !== undefined) {
      this.#schedule = new RunningSchedule(steps, ({ command, line }) => {
        const problem = this.#runStep(service, command);
        if (problem !== undefined) this.#say(`${steps.path}, line ${line}: ${command}: ${problem}`);
      });
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#hold);
    this.#control?.close();
    this.#schedule?.close();
    this.#console?.close();
    this.#server?.close();
    this.#readerWatch?.end();
    const timeout = sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false });
    const plugs = [this.#plug, ...this.#ends.map(({ plug }) => plug)];
    await Promise.race([Promise.allSettled(plugs.map((plug) => plug?.close())), timeout]);
    this.#blinker?.close();
    this.#pidFile?.remove();
    await Promise.race([this.#log.close(), timeout]);
  }

  get #isBidirectional(): boolean {
    return this.#request.ends !== undefined || alternateDescriptors() !== undefined;
  }

  async #openEnds(): Promise<readonly [Plug, Plug]> {
    const { ends } = this.#request;
    if (ends === undefined) {
      const [left, right] = this.#openStage();
      this.#ends.push({ plug: left, heals: false }, { plug: right, heals: false });
      return [left, right];
    }
    for (const end of ends) this.#ends.push(await this.#openEnd(end));
    const [left, right] = this.#ends;
    return [left!.plug, right!.plug];
  }

  async #openEnd(end: FilterEnd): Promise<OpenEnd> {
    if (end.kind === 'stream') {
      requireStream(WIREFILTER_TABLE);
      return openStreamEnd(undefined);
    }
    const { reconnect } = this.#request;
    const plug = await openPlug(end.word, { description: DESCRIPTION, reconnect, signal: this.signal });
    return { plug, heals: reconnect && plug.heals !== false };
  }

  /** Between two others in a dpipe: the left one is behind standard input and output, the right one behind two more. */
  #openStage(): readonly [Plug, Plug] {
    requireStream(WIREFILTER_TABLE);
    if (!isWaitedFor(0)) {
      const message = 'without networks it is a part of a dpipe, and standard input is no pipe. Name two networks';
      throw usage(WIREFILTER_TABLE, message, '');
    }
    const alternate = alternateDescriptors();
    if (alternate !== undefined) {
      return [new StreamPlug('the left', 0, 1), new StreamPlug('the right', alternate.input, alternate.output)];
    }
    this.#watchReader();
    // Nothing ever comes back: the input of the right one is a pipe into which nobody writes.
    const silence = openPipe('the stream').read;
    return [new StreamPlug('standard input', 0, openNull()), new StreamPlug('standard output', silence, 1)];
  }

  /** Where nothing comes back, nobody says that the reader of standard output is gone. */
  #watchReader(): void {
    try {
      const fd = openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
      this.#readerWatch = new Watch(fd, 0, () => this.#controller.abort('end'));
    } catch {
      // No pipe, then: it is noticed by who writes.
    }
  }

  #lay(left: Plug, plug: ImpairedPlug): void {
    const endOf = (lost: Plug): OpenEnd => this.#ends[lost === left ? 0 : 1]!;
    cable(left, plug, {
      down: (lost, reason) => this.#lose(lost, endOf(lost), reason),
      up: ({ label, isServedHere }) => this.#say(`${label}: is ${isServedHere ? 'back, served from here now' : 'up'}`),
      trouble: (_plug, error) => this.#say(error.message),
    });
    process.on('SIGUSR1', () => {
      for (const end of this.#ends) this.#say(`${end.plug.label}: ${formatCounters(end.plug.counters)}`);
    });
    this.#control = new ProcessControl({ command: NAME, prefix: NAME });
    this.#control.add(async () => {
      const { FilterItem } = await import('../inventory/filter-item.ts');
      return new FilterItem(left, plug);
    });
    // Some networks (null://) have nothing that Node.js would wait for.
    this.#hold = setInterval(() => undefined, HOUR);
  }

  #lose({ label, hasBeenUp }: Plug, { heals }: OpenEnd, reason: string): void {
    if (this.#request.ends !== undefined) this.#say(`${label}: ${reason}${heals ? '; waiting for it' : ''}`);
    if (!heals && hasBeenUp !== false) this.#controller.abort('end');
  }

  #makeConsole(managed: ManagedWire): ConsoleService {
    const service = wireConsole({
      managed,
      isBidirectional: this.#isBidirectional,
      version: version(),
      shutdown: () => this.#controller.abort('end'),
    });
    managed.wire.stepped = (from, to) => {
      const line = stepLine(managed.wire.settings, from, to);
      this.#server?.tell(STEPS, line);
      this.#console?.tell(STEPS, line);
    };
    return service;
  }

  #openConsole(service: ConsoleService): StdioSession {
    return new StdioSession(service, { ended: () => this.#controller.abort('end') });
  }

  #runStep({ interpreter }: ConsoleService, command: string): string | undefined {
    if (command === SHUTDOWN) this.#controller.abort('end');
    return answerOf(interpreter, command);
  }

  #openBlinker(plug: ImpairedPlug): void {
    const { blink, blinkId } = this.#request;
    if (blink === undefined) return;
    const blinker = new Blinker(blink, blinkId ?? usualBlinkId(), this.#isBidirectional);
    this.#blinker = blinker;
    plug.passed = (direction, length) => blinker.blink(direction, length);
  }

  #say(line: string): void {
    if (this.inBackground) this.#log.log('warning', line);
    else writeErrorLineNow(`${NAME}: ${line}`);
  }
}

/** The descriptors from and to the right neighbour, where dpipe(1) has given them. */
function alternateDescriptors(): { readonly input: number; readonly output: number } | undefined {
  const [input, output] = [process.env['ALTERNATE_STDIN'], process.env['ALTERNATE_STDOUT']].map(Number);
  return input !== undefined && output !== undefined && input > 0 && output > 0 ? { input, output } : undefined;
}

function openNull(): number {
  return openSync('/dev/null', constants.O_WRONLY);
}
