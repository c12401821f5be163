/**
 * `vde top`: what passes at each link, over and over.
 *
 * On a terminal the table stands in its place and keys change the order; elsewhere one table comes after the other.
 */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endBySignal } from '../system/end-by-signal.ts';
import { isInBackground } from '../system/foreground.ts';
import { wasIgnored } from '../system/ignored-signals.ts';
import { LiveScreen } from './live-screen.ts';
import { formatLinks, LinkRates, type LiveLink, type SeenProcess, sortLinks } from './running-report.ts';
import { seeProcesses } from './seen-processes.ts';
import { printable, writeOutput } from './standard-streams.ts';
import { cutToWidth } from './text-table.ts';
import { SORT_KEYS, type SortKey, type TopAction } from './vde-top-options.ts';

type TopRequest = Extract<TopAction, { action: 'top' }>;

/** After it was told to stop, this process does so at once, or not at all. */
const STOP_MS = 50;

/**
 * Shows tables until there were enough, or somebody ends it.
 *
 * @returns the exit status
 * @throws VdensError `ERR_CONTROL` when nothing runs that a name means; later it may end
 */
export async function showTop(asked: TopRequest): Promise<number> {
  const request = { ...asked, names: await namesOf(asked.names) };
  const screen = LiveScreen.open();
  return screen === undefined ? await printTables(request) : await new TopScreen(screen, request).run();
}

/** The names of the processes that words mean. */
async function namesOf(words: readonly string[]): Promise<readonly string[]> {
  if (words.length === 0) return [];
  const { findProcess } = await import('../inventory/find-process.ts');
  return words.map((word) => basename(findProcess(word).path));
}

/** The links of what was asked for, in the order that was asked for. */
class Watched {
  readonly #request: TopRequest;
  readonly #rates = new LinkRates();
  sort: SortKey;
  isReversed: boolean;
  #links: readonly LiveLink[] = [];
  /** Those that said nothing. */
  #silent: readonly SeenProcess[] = [];
  #count = 0;

  constructor(request: TopRequest) {
    this.#request = request;
    this.sort = request.sort;
    this.isReversed = request.isReversed;
  }

  async look(): Promise<void> {
    const { names } = this.#request;
    const all = await seeProcesses();
    const asked = names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
    this.#links = this.#rates.look(asked);
    this.#silent = asked.filter(({ answer }) => typeof answer === 'string');
    this.#count = asked.length;
  }

  title(): string {
    const parts = [`${this.#count} ${this.#count === 1 ? 'process' : 'processes'}`, `${this.#links.length} links`];
    for (const { name, answer } of this.#silent) parts.push(`${printable(name)}: ${printable(String(answer))}`);
    return `${parts.join(', ')}; by ${this.sort}${this.isReversed ? ', reversed' : ''}`;
  }

  table(room: number | undefined): string[] {
    return formatLinks(sortLinks(this.#links, this.sort, this.isReversed), room);
  }
}

/** The first table comes after one interval, so that its rates are those of this time. */
async function printTables(request: TopRequest): Promise<number> {
  const watched = new Watched(request);
  await watched.look();
  for (let printed = 0; request.count === undefined || printed < request.count; printed++) {
    await sleep(request.intervalMs);
    await watched.look();
    await writeOutput(`${printed === 0 ? '' : '\n'}${watched.table(undefined).join('\n')}\n`);
  }
  return 0;
}

class TopScreen {
  readonly #screen: LiveScreen;
  readonly #watched: Watched;
  readonly #request: TopRequest;
  #isReading = false;
  #drawn = 0;
  /** Why it ends: a signal, or because it was asked to. */
  #end: (why: NodeJS.Signals | undefined) => void = () => undefined;
  readonly #ended = new Promise<NodeJS.Signals | undefined>((resolve) => {
    this.#end = resolve;
  });
  readonly #stopped = (): void => this.#stop();
  /** Until we may be stopped once more. */
  #stopTimer: NodeJS.Timeout | undefined;

  constructor(screen: LiveScreen, request: TopRequest) {
    this.#screen = screen;
    this.#request = request;
    this.#watched = new Watched(request);
  }

  async run(): Promise<number> {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (!wasIgnored(signal)) this.#end(signal);
      });
    }
    process.on('SIGTSTP', this.#stopped);
    process.on('SIGCONT', () => this.#goOn());
    process.stdout.on('resize', () => this.#resize());
    process.stdin.on('data', (keys: Buffer) => this.#press(keys));
    for (const stream of [process.stdin, process.stdout]) stream.on('error', () => this.#end('SIGHUP'));
    this.#readKeys();
    let why: NodeJS.Signals | undefined;
    try {
      why = await Promise.race([this.#ended, this.#refresh()]);
    } finally {
      this.#leaveKeys();
      this.#screen.close();
    }
    return why === undefined ? 0 : await endBySignal(why);
  }

  /** Looks and draws, over and over. */
  async #refresh(): Promise<undefined> {
    const { count = Number.POSITIVE_INFINITY, intervalMs } = this.#request;
    for (;;) {
      await this.#watched.look();
      this.#draw();
      this.#drawn += 1;
      if (this.#drawn >= count) return;
      await sleep(intervalMs);
    }
  }

  #draw(): void {
    // Then the terminal belongs to somebody else.
    if (isInBackground()) {
      this.#screen.leave();
      return;
    }
    const { rows, columns } = this.#screen.size;
    const table = this.#watched.table(columns - 1);
    // The title, the line below it, and the line below the table.
    const room = Math.max(rows - 3, 1);
    const hidden = table.length - room;
    const shown = hidden <= 0 ? table : [...table.slice(0, room - 1), `… and ${hidden + 1} more`];
    const title = cutToWidth(`vde top: ${this.#watched.title()} (s sorts, r reverses, q ends)`, columns - 1);
    this.#screen.draw([title, '', ...shown].slice(0, Math.max(rows - 1, 1)));
  }

  #resize(): void {
    if (!isInBackground()) this.#screen.erase();
    this.#draw();
  }

  #press(keys: Buffer): void {
    for (const key of keys.toString('latin1').replaceAll('\x1b[C', 's').replaceAll('\x1b[D', 'S')) {
      if (key === 'q' || key === 'Q' || key === '\x04') this.#end(undefined);
      else if (key === '\x03') this.#end('SIGINT');
      else if (key === '\x1c') this.#end('SIGQUIT');
      else if (key === '\x1a') process.kill(0, 'SIGTSTP');
      else if (key === 's' || key === 'S') this.#sortNext(key === 's' ? 1 : -1);
      else if (key === 'r') this.#watched.isReversed = !this.#watched.isReversed;
      else continue;
      this.#draw();
    }
  }

  #sortNext(step: number): void {
    const index = SORT_KEYS.indexOf(this.#watched.sort) + step;
    this.#watched.sort = SORT_KEYS.at(index % SORT_KEYS.length)!;
  }

  /** Keys come one by one and unseen, as long as the terminal is ours. */
  #readKeys(): void {
    if (this.#isReading || process.stdin.isTTY !== true || isInBackground()) return;
    this.#isReading = true;
    process.stdin.setRawMode(true);
    process.stdin.resume();
  }

  #leaveKeys(): void {
    process.stdin.pause();
    // In the background we would be stopped for it.
    if (!this.#isReading || isInBackground()) return;
    this.#isReading = false;
    process.stdin.setRawMode(false);
  }

  /** As if we had not caught the signal; a shell that nobody started from gives no second one. */
  #stop(): void {
    this.#leaveKeys();
    this.#screen.leave();
    process.off('SIGTSTP', this.#stopped);
    process.kill(process.pid, 'SIGTSTP');
    const timer = setTimeout(() => setImmediate(goOn), STOP_MS);
    // A SIGCONT that has come is heard before that.
    const goOn = (): void => {
      if (this.#stopTimer === timer) this.#goOn();
    };
    this.#stopTimer = timer;
  }

  /** Once for each time that we were stopped: SIGCONT comes, and the time is over. */
  #goOn(): void {
    if (this.#stopTimer !== undefined) {
      clearTimeout(this.#stopTimer);
      this.#stopTimer = undefined;
      process.on('SIGTSTP', this.#stopped);
    }
    // The shell has written below.
    this.#screen.leave();
    if (isInBackground()) return;
    this.#leaveKeys();
    this.#readKeys();
    this.#draw();
  }
}
