/**
 * The `vde_plug` command: a cable between two networks, or between a network and the VDE stream, until a signal or an
 * end of it ends it.
 */
import { fstatSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { openPlug } from '../locator/open-plug.ts';
import { cable } from '../plugs/cable.ts';
import { CommandPlug } from '../plugs/command.ts';
import { formatCounters } from '../plugs/counters.ts';
import type { Plug } from '../plugs/plug.ts';
import { StreamPlug } from '../plugs/stream.ts';
import { wasIgnored } from '../system/ignored-signals.ts';
import { formatHelp } from './help.ts';
import { usage } from './parse-options.ts';
import { reportError } from './report-error.ts';
import { writeErrorLineNow, writeOutput } from './standard-streams.ts';
import { interpretVdePlugArguments, type OtherEnd, VDE_PLUG_TABLE, type VdePlugAction } from './vde-plug-options.ts';
import { version } from './version.ts';

const NAME = 'vde_plug';
/** As the original: a network could not be opened. */
const STATUS_FAILURE = 1;
/** As the original: the command line was wrong. */
const STATUS_USAGE = 255;
const DEFAULT_COLUMNS = 80;
/** How long letting go of everything may take before we leave it to the kernel. */
const CLOSE_TIMEOUT_MS = 3000;
/** How long a signal that we send to ourselves may take. */
const SELF_SIGNAL_MS = 1000;

/**
 * Runs `vde_plug`.
 *
 * @param argv - the words after the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await act(interpretVdePlugArguments(argv));
  } catch (error) {
    await reportError(NAME, error);
    return error instanceof VdensError && error.code === 'ERR_USAGE' ? STATUS_USAGE : STATUS_FAILURE;
  }
}

async function act(request: VdePlugAction): Promise<number> {
  switch (request.action) {
    case 'help':
      await writeOutput(formatHelp(VDE_PLUG_TABLE, process.stdout.columns ?? DEFAULT_COLUMNS));
      return 0;
    case 'version':
      await writeOutput(`${NAME} ${version()}\n`);
      return 0;
    case 'join':
      return join(request);
  }
}

type JoinRequest = Extract<VdePlugAction, { action: 'join' }>;

async function join(request: JoinRequest): Promise<number> {
  const ending = watchSignals();
  const plugs: Plug[] = [];
  try {
    const options = { description: request.description, reconnect: request.reconnect, signal: ending.signal };
    plugs.push(await openPlug(request.network, options));
    plugs.push(await openOther(request.other, options));
    ending.signal.throwIfAborted();
    lay(plugs, request.reconnect, ending.end);
    await ending.ended;
  } catch (error) {
    if (!ending.signal.aborted) throw error;
  } finally {
    const timeout = sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false });
    await Promise.race([Promise.allSettled(plugs.map((plug) => plug.close())), timeout]);
  }
  return statusOf(ending.signal.reason as Ending);
}

/** Joins the two, and says what becomes of them. */
function lay(plugs: readonly Plug[], reconnect: boolean, end: () => void): void {
  const [left, right] = plugs;
  if (left === undefined || right === undefined) return;
  cable(left, right, {
    down: (plug, reason) => {
      // The end of a stream is how it ends.
      if (!(plug instanceof StreamPlug)) {
        say(`${plug.label}: ${reason}${reconnect ? '; waiting for it' : ''}`);
      }
      // One end of a line may still wait for the first who comes.
      if (!reconnect && plug.hasBeenUp !== false) end();
    },
    up: (plug) => say(`${plug.label}: is ${plug.isServedHere === true ? 'back, served from here now' : 'up'}`),
    trouble: (_plug, error) => say(error.message),
  });
  process.on('SIGUSR1', () => {
    for (const plug of plugs) {
      say(`${plug.label}: ${formatCounters(plug.counters)}`);
      for (const line of plug.report?.() ?? []) say(`${plug.label}: ${line}`);
    }
  });
}

async function openOther(other: OtherEnd, options: Parameters<typeof openPlug>[1]): Promise<Plug> {
  switch (other.kind) {
    case 'network':
      return openPlug(other.word, options);
    case 'stream':
      if (!canCarry(0) || !canCarry(1)) {
        const message = 'a stream takes pipes as standard input and output: name a second network, or run it in dpipe';
        throw usage(VDE_PLUG_TABLE, message, '');
      }
      return new StreamPlug('the stream', 0, 1);
    case 'command':
      return CommandPlug.open(`= ${other.command.join(' ')}`, other.command);
  }
}

/** Whether a stream can pass: on a terminal nobody speaks it, and a file is never waited for. */
function canCarry(fd: number): boolean {
  const status = fstatSync(fd);
  return status.isFIFO() || status.isSocket();
}

/** Why it is over: a signal, or that an end is gone. */
type Ending = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'end';

function watchSignals(): { readonly signal: AbortSignal; readonly ended: Promise<void>; end(): void } {
  const controller = new AbortController();
  const ended = new Promise<void>((resolve) => controller.signal.addEventListener('abort', () => resolve()));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!wasIgnored(signal)) controller.abort(signal);
    });
  }
  return { signal: controller.signal, ended, end: () => controller.abort('end') };
}

/** Whoever interrupts a script sees that we were interrupted, too. */
async function statusOf(ending: Ending): Promise<number> {
  if (ending === 'end' || ending === 'SIGTERM') return 0;
  process.removeAllListeners(ending);
  process.kill(process.pid, ending);
  await sleep(SELF_SIGNAL_MS);
  return 128 + constants.signals[ending];
}

function say(line: string): void {
  writeErrorLineNow(`${NAME}: ${line}`);
}
