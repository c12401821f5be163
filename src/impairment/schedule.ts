/**
 * What is to be done when: lines of a time after the start and a command of the console.
 *
 * ```
 * # the radio gets worse, and then it is gone
 * 0       delay 20+5N
 * 10      loss 5
 * 500ms   fifo 0
 * 1.5min  cut
 * 2min    join
 * 3min    repeat
 * ```
 */
import { readScriptFile } from '../console/script-file.ts';
import { errnoOf } from '../console/status.ts';
import { quote, VdensError } from '../errors.ts';

/** One thing to do. */
export interface Step {
  /** After the start, in milliseconds. */
  readonly atMs: number;
  readonly command: string;
  readonly line: number;
}

/** All that is to be done, in order of time. */
export interface Schedule {
  readonly path: string;
  readonly steps: readonly Step[];
  /** When it starts over, in milliseconds. */
  readonly periodMs: number | undefined;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, '': 1000, s: 1000, min: 60_000, m: 60_000, h: 3_600_000 };
const LINE = /^(\d+\.?\d*|\.\d+)\s*(ms|s|min|m|h)?\s+(\S.*)$/;
const REPEAT = 'repeat';
export const MAX_SCHEDULE_LINES = 10_000;
/** The latest time, in milliseconds: a month. */
const MAX_TIME_MS = 2_678_400_000;
/** The shortest round. */
const MIN_PERIOD_MS = 10;

/** Runs a command for trial. Returns what is wrong with it. */
export type TryCommand = (command: string) => string | undefined;

/**
 * Reads a schedule.
 *
 * @param tryCommand called for each command in turn
 * @throws VdensError `ERR_USAGE` when it cannot be read, or one of its lines is wrong; the message has its number
 */
export function readSchedule(path: string, tryCommand: TryCommand): Schedule {
  const lines = readLines(path);
  const wrong = (line: number, problem: string): VdensError =>
    new VdensError('ERR_USAGE', `${path}, line ${line}: ${problem}`, { value: path });
  if (lines.length > MAX_SCHEDULE_LINES) throw wrong(lines.length, `there are more than ${MAX_SCHEDULE_LINES} lines`);
  const read = lines.flatMap((text, index) => {
    const plain = text.trim();
    if (plain === '' || plain.startsWith('#')) return [];
    const line = index + 1;
    const [, amount, unit = '', command = ''] = LINE.exec(plain) ?? [];
    if (amount === undefined) {
      throw wrong(line, `${quote(plain)} is no time and a command. Write, for example: 10 loss 5, or: 500ms delay 20`);
    }
    const atMs = Number(amount) * (UNITS[unit] ?? 1);
    if (atMs > MAX_TIME_MS) throw wrong(line, `${quote(`${amount}${unit}`)} is more than a month`);
    return [{ atMs, command, line }];
  });
  const sorted = read.toSorted((a, b) => a.atMs - b.atMs || a.line - b.line);
  const end = sorted.findIndex(({ command }) => command === REPEAT);
  const steps = end === -1 ? sorted : sorted.slice(0, end);
  for (const { command, line } of steps) {
    const problem = tryCommand(command);
    if (problem !== undefined) throw wrong(line, `${quote(command)}: ${problem}`);
  }
  const last = sorted[end];
  if (last === undefined) return { path, steps, periodMs: undefined };
  const extra = sorted[end + 1];
  if (extra !== undefined) throw wrong(extra.line, `nothing comes after "${REPEAT}", which is at ${last.atMs} ms`);
  if (last.atMs < MIN_PERIOD_MS) throw wrong(last.line, `"${REPEAT}" comes after ${MIN_PERIOD_MS} ms at the earliest`);
  return { path, steps, periodMs: last.atMs };
}

function readLines(path: string): readonly string[] {
  try {
    return Buffer.from(readScriptFile(path)).toString('utf8').split('\n');
  } catch (cause) {
    const errno = errnoOf(cause);
    const why = cause instanceof VdensError ? cause.message : errno;
    throw new VdensError(
      'ERR_USAGE',
      `${path}: cannot read the schedule (${why}). Name a file with lines such as: 10 loss 5`,
      { value: path, cause, errno },
    );
  }
}

/** Has steps done at their times, from now on. */
export class RunningSchedule {
  readonly #schedule: Schedule;
  readonly #run: (step: Step) => void;
  #startedAt = performance.now();
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(schedule: Schedule, run: (step: Step) => void) {
    this.#schedule = schedule;
    this.#run = run;
    this.#goOn();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#next = Number.POSITIVE_INFINITY;
  }

  #goOn(): void {
    const { steps, periodMs } = this.#schedule;
    for (;;) {
      const step = steps[this.#next];
      const atMs = step?.atMs ?? (this.#next === steps.length ? periodMs : undefined);
      if (atMs === undefined) return;
      const left = this.#startedAt + atMs - performance.now();
      if (left > 0) {
        // Timers of Node.js may be a moment early.
        this.#timer = setTimeout(() => this.#goOn(), Math.min(Math.ceil(left), 2 ** 31 - 1));
        return;
      }
      this.#next++;
      if (step !== undefined) this.#run(step);
      else {
        this.#next = 0;
        this.#startedAt += atMs;
      }
    }
  }
}
