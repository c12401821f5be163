/**
 * `vde switch`: a switch for clients alone, in the foreground, until somebody ends it.
 *
 * It shows its ports on a terminal, and otherwise says in one line on standard error when clients can come. When its
 * directory is taken away it ends, too: clients do not find it any more, and whoever started it can do so again.
 */
import { ProcessControl } from '../inventory/serve-control.ts';
import type { DropReason, PlugCounters } from '../plugs/counters.ts';
import { letOthersFirst } from '../plugs/fabric.ts';
import { Switch } from '../switch/switch.ts';
import { type ServedPort, SwitchService } from '../switch/switch-service.ts';
import { isInBackground } from '../system/foreground.ts';
import { wasIgnored } from '../system/ignored-signals.ts';
import { LiveScreen } from './live-screen.ts';
import { STATUS_FAILURE } from './report-error.ts';
import { servedBySomebody } from './served-by-somebody.ts';
import { writeErrorLineNow, writeErrorText } from './standard-streams.ts';
import type { SwitchRequest } from './switch-options.ts';
import {
  type DirectionStatus,
  formatReport,
  formatTable,
  type PortStatus,
  type SegmentStatus,
} from './switch-report.ts';

const REDRAW_MS = 1000;
/** How long letting go of everything may take before we leave it to the kernel. */
const CLOSE_TIMEOUT_MS = 3000;

/**
 * Serves a switch until a signal ends it.
 *
 * @returns the exit status: 0 when it was asked to end, 125 when it lost its directory
 * @throws VdensError when it cannot be served, or somebody else does
 */
export async function serveSwitch(request: SwitchRequest): Promise<number> {
  let end = (_status: number): void => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!wasIgnored(signal)) end(0);
    });
  }
  const lost = (reason: string): void => {
    say(`${request.word}: ${reason}. All clients were let go, and so ends the switch`);
    end(STATUS_FAILURE);
  };
  letOthersFirst();
  const segment = new Switch({ ...request.switch, label: request.word });
  const service = await SwitchService.start(segment, request.word, request.path, { ...request.permissions, lost });
  if (service === undefined) throw servedBySomebody(request.word, request.path);
  const control = new ProcessControl({ command: 'vde switch', prefix: 'switch' });
  const display = new Display(segment, service, request.quiet);
  const status = await ended;
  display.close();
  control.close();
  const timeout = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref());
  await Promise.race([service.close().then(() => segment.close()), timeout]);
  return status;
}

/** What people get to see of the switch. */
class Display {
  readonly #segment: Switch;
  readonly #service: SwitchService;
  readonly #startedAt = performance.now();
  readonly #screen: LiveScreen | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  /** The switch one redraw ago, from which rates are counted, and now. */
  #before: SegmentStatus;
  #now: SegmentStatus;
  #isReporting = false;
  readonly #resized = (): void => {
    // The terminal may have broken lines into several, which are to be whole ones again.
    if (!isInBackground()) this.#screen?.erase();
    this.#draw();
  };
  readonly #continued = (): void => {
    // The shell has written below.
    this.#screen?.leave();
    this.#draw();
  };
  readonly #asked = (): void => void this.#report();

  constructor(segment: Switch, service: SwitchService, isQuiet: boolean) {
    this.#segment = segment;
    this.#service = service;
    this.#now = this.#before = this.#look();
    process.on('SIGUSR1', this.#asked);
    this.#screen = isQuiet ? undefined : LiveScreen.open();
    if (!isQuiet && (this.#screen === undefined || isInBackground())) say(`serving ${service.path}`);
    if (this.#screen === undefined) return;
    process.stdout.on('resize', this.#resized);
    process.on('SIGCONT', this.#continued);
    this.#timer = setInterval(() => this.#refresh(), REDRAW_MS);
    this.#draw();
  }

  /** What is on the terminal stays there. */
  close(): void {
    clearInterval(this.#timer);
    process.off('SIGUSR1', this.#asked);
    process.off('SIGCONT', this.#continued);
    if (this.#screen === undefined) return;
    process.stdout.off('resize', this.#resized);
    this.#refresh();
    this.#screen.close();
  }

  #refresh(): void {
    this.#before = this.#now;
    this.#now = this.#look();
    this.#draw();
  }

  #draw(): void {
    if (this.#screen === undefined || this.#isReporting) return;
    // Then the terminal belongs to somebody else.
    if (isInBackground()) this.#screen.leave();
    else this.#screen.draw(formatTable(this.#now, this.#before, this.#screen.size));
  }

  /** Everything at once, for whoever sends SIGUSR1. */
  async #report(): Promise<void> {
    if (this.#isReporting) return;
    this.#isReporting = true;
    if (!isInBackground()) this.#screen?.erase();
    await writeErrorText(formatReport(this.#look(), this.#segment.forwardingTable));
    this.#isReporting = false;
    this.#draw();
  }

  #look(): SegmentStatus {
    return {
      path: this.#service.path,
      isHub: this.#segment.isHub,
      stationCount: this.#segment.stationCount,
      uptimeSeconds: (performance.now() - this.#startedAt) / 1000,
      ports: this.#service.ports.map(portStatus),
    };
  }
}

function portStatus({ port, ends }: ServedPort): PortStatus {
  const { number, kind, description, counters } = port;
  // What the port sends came into the switch there; at the other end of its cable it is what was received.
  return {
    number,
    kind,
    description,
    in: directionStatus(counters.sent, [counters.sent, ...ends.map(({ received }) => received)]),
    out: directionStatus(counters.received, [counters.received, ...ends.map(({ sent }) => sent)]),
  };
}

type Direction = PlugCounters['sent'];

function directionStatus({ frames, bytes }: Direction, dropping: readonly Direction[]): DirectionStatus {
  const drops: Partial<Record<DropReason, number>> = {};
  for (const each of dropping) {
    for (const [reason, frames] of Object.entries(each.drops) as [DropReason, number][]) {
      drops[reason] = (drops[reason] ?? 0) + frames;
    }
  }
  return { frames, bytes, drops };
}

function say(line: string): void {
  writeErrorLineNow(`vde switch: ${line}`);
}
