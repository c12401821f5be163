/**
 * The `wirefilter` command: a cable that is worse than others, until an end of it, a signal or the console ends it.
 */
import { constants, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { StdioSession } from '../console/stdio-session.ts';
import { FilterPlug } from '../impairment/filter-plug.ts';
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
  #plug: FilterPlug | undefined;
  #console: StdioSession | undefined;
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
    const { pidFile, hasConsole } = this.#request;
    letOthersFirst();
    native.scheduleAsBatch();
    const [left, right] = await this.#openEnds();
    const isBidirectional = this.#request.ends !== undefined || alternateDescriptors() !== undefined;
    const end = (): void => this.#controller.abort('end');
    const plug = await FilterPlug.open(
      right.label,
      right,
      { ...this.#request, pidFile: undefined },
      { isBidirectional, shutdown: end, failed: (failure) => this.#say(failure) },
    );
    this.#plug = plug;
    if (pidFile !== undefined) this.#pidFile = PidFile.write(pidFile);
    this.signal.throwIfAborted();
    const { seed } = (await plug.manage()).wire;
    const ways = isBidirectional ? 'bidirectional' : 'monodirectional';
    this.#say(`${ways} filter between ${left.label} and ${right.label}, --seed ${seed}`);
    this.#lay(left, plug);
    if (!hasConsole) return;
    this.#console = new StdioSession(plug.service, { ended: end });
    plug.audience = this.#console;
  }

  async close(): Promise<void> {
    clearInterval(this.#hold);
    this.#control?.close();
    this.#console?.close();
    this.#readerWatch?.end();
    const timeout = sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false });
    const plugs = [this.#plug, ...this.#ends.map(({ plug }) => plug)];
    await Promise.race([Promise.allSettled(plugs.map((plug) => plug?.close())), timeout]);
    this.#pidFile?.remove();
    await Promise.race([this.#log.close(), timeout]);
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

  #lay(left: Plug, plug: FilterPlug): void {
    const endOf = (lost: Plug): OpenEnd => this.#ends[lost === left ? 0 : 1]!;
    cable(left, plug, {
      down: (lost, reason) => this.#lose(lost, endOf(lost), reason),
      up: ({ label, isServedHere }) => this.#say(`${label}: is ${isServedHere ? 'back, served from here now' : 'up'}`),
      trouble: (_plug, error) => this.#say(error.message),
    });
    process.on('SIGUSR1', () => {
      for (const { plug: end } of this.#ends) {
        this.#say(`${end.label}: ${formatCounters(end.counters)}`);
        for (const line of end.report?.() ?? []) this.#say(`${end.label}: ${line}`);
      }
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
