/** The ends that a cable can have: a network, the stream on standard input and output, and a command. */

import { createReadStream, createWriteStream, fstatSync } from 'node:fs';
import { pipeline } from 'node:stream';
import { isatty } from 'node:tty';
import type { FrameBatch } from '../frames/batch.ts';
import { ImpairedPlug } from '../impairment/impaired-plug.ts';
import { nestedLocators } from '../locator/nested.ts';
import { type OpenPlugOptions, openPlug } from '../locator/open-plug.ts';
import { CommandPlug } from '../plugs/command.ts';
import type { FrameReceiver, Plug, PlugEvents } from '../plugs/plug.ts';
import { StreamPlug } from '../plugs/stream.ts';
import { openPipe } from '../system/pipe.ts';
import type { CommandTable } from './option-table.ts';
import { usage } from './parse-options.ts';
import type { RunningEnd } from './run-cable.ts';
import { writeErrorLineNow } from './standard-streams.ts';

/** How long a command has to end by itself once its input is closed, in milliseconds. */
const COMMAND_END_MS = 5000;

/** Sees the frames that come out of an end. */
export type FrameObserver = (batch: FrameBatch) => void;

/** Opens a network; one that goes away is waited for, unless the options say otherwise. */
export async function openNetworkEnd(name: string, word: string, options: OpenPlugOptions): Promise<RunningEnd> {
  const plug = await openPlug(word, options);
  if (Object.keys(options.access ?? {}).length > 0 && !isSwitch(word)) {
    writeErrorLineNow(
      `${name}: ${plug.label} is no port of a switch: its port, group and mode are not what options set`,
    );
  }
  return { plug: new ImpairedPlug(plug), heals: options.reconnect !== false && plug.heals !== false };
}

function isSwitch(word: string): boolean {
  return nestedLocators(word).at(-1)?.scheme === 'vde';
}

/**
 * Takes standard input and output as an end. What cannot carry a stream is found before anything else is opened:
 * {@link requireStream}.
 */
export function openStreamEnd(observer: FrameObserver | undefined): RunningEnd {
  const plug = new StreamPlug('the stream', openInput(), 1);
  return { plug: observed(plug, observer), heals: false, endsSilently: true };
}

/** Starts a command that speaks the stream. Its exit status is that of the run. */
export function openCommandEnd(command: readonly string[], observer: FrameObserver | undefined): RunningEnd {
  const plug = CommandPlug.open(`= ${command.join(' ')}`, command);
  const finish = async (): Promise<number> => {
    await plug.finish(COMMAND_END_MS);
    return plug.exit;
  };
  return {
    plug: observed(plug, observer),
    heals: false,
    finish,
    get endsSilently() {
      return plug.exitStatus === 0;
    },
  };
}

/**
 * On a terminal nobody reads the stream.
 *
 * @throws VdensError `ERR_USAGE` when standard output cannot carry it
 */
export function requireStream(table: CommandTable): void {
  if (!isatty(1)) return;
  const message = 'a stream takes pipes as standard input and output: name a second network, or run it in dpipe';
  throw usage(table, message, '');
}

/** Whether the kernel tells when more is there to be read; of files (and of /dev/null) it does not. */
export function isWaitedFor(fd: number): boolean {
  const status = fstatSync(fd);
  return status.isFIFO() || status.isSocket();
}

/** Standard input, as something that is waited for. A terminal speaks no stream: nothing is read from it. */
function openInput(): number {
  if (isWaitedFor(0)) return 0;
  const { read, write } = openPipe('the stream');
  // Its reader may go first; then so does all of us.
  if (!isatty(0)) {
    const file = createReadStream('', { fd: 0, autoClose: false });
    pipeline(file, createWriteStream('', { fd: write }), () => undefined);
  }
  return read;
}

function observed(plug: Plug, observer: FrameObserver | undefined): Plug {
  return observer === undefined ? plug : new ObservedPlug(plug, observer);
}

/** A plug whose frames somebody looks at as they come out of it. */
class ObservedPlug implements Plug {
  readonly takesSuperFrames: boolean = false;
  readonly #inner: Plug;
  readonly #observer: FrameObserver;

  constructor(inner: Plug, observer: FrameObserver) {
    this.#inner = inner;
    this.#observer = observer;
  }

  get label(): string {
    return this.#inner.label;
  }

  get maxFrameBytes(): number {
    return this.#inner.maxFrameBytes;
  }

  get counters(): Plug['counters'] {
    return this.#inner.counters;
  }

  get busy(): boolean {
    return this.#inner.busy;
  }

  start(receiver: FrameReceiver, events?: PlugEvents): void {
    this.#inner.start((batch) => {
      this.#observer(batch);
      return receiver(batch);
    }, events);
  }

  send(batch: FrameBatch): void {
    this.#inner.send(batch);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
