/**
 * `switch://`, `hub://`, `multi://` and `bonding://`: a segment that whoever comes first serves, and whoever comes later
 * joins.
 *
 * ```
 *             claim the directory
 *    ours ◀──────────┴──────────▶ somebody else's
 *      │                               │
 *   serve it, with a port for us    join it as a client
 *      │                               │ the server goes away
 *      └───────── start over ◀─────────┘
 * ```
 *
 * Starting over is the affair of a healing plug (plugs/healing.ts): of those left, one claims the directory and the
 * others find it served.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import type { FrameBatch } from '../frames/batch.ts';
import type { PlugCounters } from '../plugs/counters.ts';
import type { Lender } from '../plugs/kernel-end.ts';
import type { Line } from '../plugs/line.ts';
import type { FrameReceiver, Plug, PlugEvents } from '../plugs/plug.ts';
import { VdePlug } from '../plugs/vde.ts';
import type { RendezvousOptions } from './rendezvous.ts';
import { Switch, type SwitchOptions } from './switch.ts';
import type { SwitchPort } from './switch-port.ts';
import { SwitchService, type SwitchServiceOptions } from './switch-service.ts';

/** How long one who has claimed the directory may take until clients are served, in milliseconds. */
const SETTLE_MS = 2000;
const TRY_AGAIN_MS = 20;

/** How to take part. */
export interface SwitchNetworkOptions extends RendezvousOptions, Pick<SwitchServiceOptions, 'areClientsApart'> {
  /** The segment, when it is ours to serve. */
  readonly switch: SwitchOptions;
  /** Who we are, for whoever serves. */
  readonly description: string;
  /** How long a server may take to answer, in milliseconds. */
  readonly timeoutMs?: number;
  /** Gives up, with its reason. */
  readonly signal?: AbortSignal;
  /** Goes on counting there. */
  readonly counters?: PlugCounters;
}

/**
 * Serves the segment in a directory, or joins it.
 *
 * @param label what people call it
 * @throws VdensError `ERR_NETWORK_OPEN` when the directory is no place for a switch, or we may not join;
 * `ERR_NETWORK_TIMEOUT` when who serves does not answer; the signal's reason
 */
export async function openSwitchNetwork(label: string, path: string, options: SwitchNetworkOptions): Promise<Plug> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    options.signal?.throwIfAborted();
    const served = await serveSegment(label, path, options);
    if (served !== undefined) return served;
    try {
      return await join(label, path, options);
    } catch (error) {
      const isUnsettled = error instanceof VdensError && UNSETTLED.has(error.errno ?? '');
      if (!isUnsettled || performance.now() > deadline) throw error;
      await sleep(TRY_AGAIN_MS);
    }
  }
}

/** What joining fails with while a switch is being set up, or taken down. */
const UNSETTLED: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET']);

function join(label: string, directory: string, options: SwitchNetworkOptions): Promise<Plug> {
  const { description, timeoutMs, signal, counters } = options;
  const connection = {
    directory,
    description,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(signal === undefined ? {} : { signal }),
  };
  return VdePlug.open(label, connection, counters);
}

/** The segment, served by this process; `undefined` when somebody else does. */
async function serveSegment(label: string, path: string, options: SwitchNetworkOptions): Promise<Plug | undefined> {
  const segment = new Switch({ ...options.switch, label });
  try {
    const port = segment.port({ label, description: options.description, counters: options.counters });
    const lost = (reason: string): void => port.lose(reason);
    const service = await SwitchService.start(segment, label, path, { ...options, lost });
    if (service !== undefined) return new HostPlug(segment, service, port);
    await segment.close();
    return undefined;
  } catch (error) {
    await segment.close();
    throw error;
  }
}

/** The port of whoever serves: closing it ends the service, and the segment moves on to somebody else. */
class HostPlug implements Plug {
  readonly isServedHere = true;
  readonly #segment: Switch;
  readonly #service: SwitchService;
  readonly #port: SwitchPort;
  #closing: Promise<void> | undefined;

  constructor(segment: Switch, service: SwitchService, port: SwitchPort) {
    this.#segment = segment;
    this.#service = service;
    this.#port = port;
  }

  get label(): string {
    return this.#port.label;
  }

  get maxFrameBytes(): number {
    return this.#port.maxFrameBytes;
  }

  get takesSuperFrames(): boolean {
    return this.#port.takesSuperFrames;
  }

  get counters(): PlugCounters {
    return this.#port.counters;
  }

  get busy(): boolean {
    return this.#port.busy;
  }

  start(receiver: FrameReceiver, events?: PlugEvents): void {
    this.#port.start(receiver, events);
  }

  send(batch: FrameBatch): void {
    this.#port.send(batch);
  }

  pause(): void {
    this.#port.pause();
  }

  resume(): void {
    this.#port.resume();
  }

  adopt(other: Lender): Line | undefined {
    return this.#port.adopt(other);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#port.close();
    await this.#service.close();
    await this.#segment.close();
  }
}
