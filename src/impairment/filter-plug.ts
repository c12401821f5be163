/** `wirefilter://[...]{NETWORK}`: a network that is impaired from the beginning, with what manages it. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConsoleServer } from '../console/server.ts';
import type { ConsoleService } from '../console/session.ts';
import { VdensError } from '../errors.ts';
import type { FrameReceiver, Plug, PlugEvents } from '../plugs/plug.ts';
import { PidFile } from '../system/pid-file.ts';
import { Blinker, usualBlinkId } from './blink.ts';
import { ImpairedPlug } from './impaired-plug.ts';
import { RunningSchedule, type Schedule } from './schedule.ts';
import { readConsoleSchedule, runStep } from './scheduled-console.ts';
import type { Quantity } from './settings.ts';
import type { PlacedValue } from './value.ts';
import { type ManagedWire, ON_STREAM } from './wire.ts';
import { STEPS, stepLine, wireConsole } from './wire-console.ts';

const DEFAULT_MANAGEMENT_MODE = 0o700;

/** What is the matter with it, and how it is managed. */
export interface FilterOptions {
  readonly values: readonly (readonly [Quantity, PlacedValue])[];
  readonly isFifo: boolean;
  /** @defaultValue a random one */
  readonly seed?: number | undefined;
  /** Path of the management socket. */
  readonly management?: string | undefined;
  /** Its permission bits. @defaultValue 0o700 */
  readonly managementMode?: number | undefined;
  /** Path of a datagram socket that is told of each frame. */
  readonly blink?: string | undefined;
  /** @defaultValue the pid */
  readonly blinkId?: string | undefined;
  /** A file of commands to begin with. */
  readonly rcFile?: string | undefined;
  /** A file of commands and their times. */
  readonly schedule?: string | undefined;
  readonly pidFile?: string | undefined;
}

/** What is different where a whole process is the filter. */
export interface FilterProcess {
  /** Whether frames pass both ways. */
  readonly isBidirectional: boolean;
  /** Somebody asked for its end. */
  shutdown(): void;
  /** A command to begin with failed. */
  failed(failure: string): void;
}

/** From left to right is into the network. */
export class FilterPlug extends ImpairedPlug {
  #server: ConsoleServer | undefined;
  #blinker: Blinker | undefined;
  #steps: Schedule | undefined;
  #schedule: RunningSchedule | undefined;
  #pidFile: PidFile | undefined;
  /** Its console, for those who let somebody in; there when it is open. */
  service!: ConsoleService;
  /** Who is told of the steps of its Markov chain besides those at the management socket. */
  audience: { tell(category: string, line: string): void } | undefined;

  private constructor(label: string, inner: Plug, seed: number | undefined) {
    super(inner, { label, measure: ON_STREAM, seed });
  }

  /**
   * @param inner from now on the plug's; closed when this fails
   * @param filterProcess when it has one to itself: whoever uses the network goes on without it otherwise
   * @throws VdensError `ERR_USAGE` when a file is wrong; `ERR_NETWORK_OPEN` when a socket cannot be had
   */
  static async open(
    label: string,
    inner: Plug,
    options: FilterOptions,
    filterProcess?: FilterProcess,
  ): Promise<FilterPlug> {
    const plug = new FilterPlug(label, inner, options.seed);
    try {
      plug.#prepare(await plug.manage(), options, filterProcess);
      return plug;
    } catch (error) {
      await plug.close();
      throw error;
    }
  }

  override start(receiver: FrameReceiver, events?: PlugEvents): void {
    super.start(receiver, events);
    const steps = this.#steps;
    if (steps === undefined) return;
    this.#schedule ??= new RunningSchedule(steps, ({ command, line }) => {
      const problem = runStep(this.service, command);
      if (problem === undefined) return;
      this.tell(new VdensError('ERR_USAGE', `${steps.path}, line ${line}: ${command}: ${problem}`));
    });
  }

  override close(): Promise<void> {
    this.#schedule?.close();
    this.#server?.close();
    this.#pidFile?.remove();
    const closed = super.close();
    this.passed = undefined;
    this.#blinker?.close();
    this.#blinker = undefined;
    return closed;
  }

  #prepare(managed: ManagedWire, options: FilterOptions, filterProcess: FilterProcess | undefined): void {
    const { wire } = managed;
    const { settings } = wire;
    const isBidirectional = filterProcess?.isBidirectional ?? true;
    const { values, isFifo, management, managementMode, blink, blinkId, rcFile, schedule, pidFile } = options;
    for (const [quantity, placed] of values) settings.set(quantity, placed);
    settings.isFifo = isFifo;
    const service = wireConsole({
      managed,
      isBidirectional,
      version: packageVersion(),
      shutdown: () => (filterProcess === undefined ? this.cut() : filterProcess.shutdown()),
    });
    this.service = service;
    wire.stepped = (from, to) => {
      for (const each of [this.#server, this.audience]) each?.tell(STEPS, stepLine(settings, from, to));
    };
    this.#steps = schedule === undefined ? undefined : readConsoleSchedule(schedule, settings);
    if (rcFile !== undefined) {
      for (const failure of service.interpreter.run(rcFile)) {
        if (filterProcess === undefined) throw new VdensError('ERR_USAGE', failure, { value: rcFile });
        filterProcess.failed(failure);
      }
    }
    if (management !== undefined) {
      const permissions = { mode: managementMode ?? DEFAULT_MANAGEMENT_MODE };
      this.#server = new ConsoleServer(`${this.label}: mgmt`, resolve(management), permissions, service);
    }
    if (blink !== undefined) {
      const blinker = new Blinker(resolve(blink), blinkId ?? usualBlinkId(), isBidirectional);
      this.#blinker = blinker;
      this.passed = (direction, length) => blinker.blink(direction, length);
    }
    if (pidFile !== undefined) this.#pidFile = PidFile.write(pidFile);
    managed.changed();
  }
}

function packageVersion(): string {
  const path = join(import.meta.dirname, '..', '..', '..', 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
