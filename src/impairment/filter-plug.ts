/** `wirefilter://[...]{NETWORK}`: a network that is impaired from the beginning, with what manages it. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConsoleServer } from '../console/server.ts';
import { VdensError } from '../errors.ts';
import type { Plug } from '../plugs/plug.ts';
import { PidFile } from '../system/pid-file.ts';
import { Blinker, usualBlinkId } from './blink.ts';
import { ImpairedPlug } from './impaired-plug.ts';
import { RunningSchedule } from './schedule.ts';
import { answerOf, readConsoleSchedule } from './scheduled-console.ts';
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
  readonly seed?: number;
  /** Path of the management socket. */
  readonly management?: string;
  /** Its permission bits. @defaultValue 0o700 */
  readonly managementMode?: number;
  /** Path of a datagram socket that is told of each frame. */
  readonly blink?: string;
  /** @defaultValue the pid */
  readonly blinkId?: string;
  /** A file of commands to begin with. */
  readonly rcFile?: string;
  /** A file of commands and their times. */
  readonly schedule?: string;
  readonly pidFile?: string;
}

/** From left to right is into the network. */
export class FilterPlug extends ImpairedPlug {
  #server: ConsoleServer | undefined;
  #blinker: Blinker | undefined;
  #schedule: RunningSchedule | undefined;
  #pidFile: PidFile | undefined;

  private constructor(label: string, inner: Plug, seed: number | undefined) {
    super(inner, { label, measure: ON_STREAM, seed });
  }

  /**
   * @param inner from now on the plug's; closed when this fails
   * @throws VdensError `ERR_USAGE` when a file is wrong; `ERR_NETWORK_OPEN` when a socket cannot be had
   */
  static async open(label: string, inner: Plug, options: FilterOptions): Promise<FilterPlug> {
    const plug = new FilterPlug(label, inner, options.seed);
    try {
      plug.#prepare(await plug.manage(), options);
      return plug;
    } catch (error) {
      await plug.close();
      throw error;
    }
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

  #prepare(managed: ManagedWire, options: FilterOptions): void {
    const { wire } = managed;
    const { settings } = wire;
    const { values, isFifo, management, managementMode, blink, blinkId, rcFile, schedule, pidFile } = options;
    for (const [quantity, placed] of values) settings.set(quantity, placed);
    settings.isFifo = isFifo;
    const service = wireConsole({
      managed,
      isBidirectional: true,
      version: packageVersion(),
      // It lives as long as whoever uses the network.
      shutdown: () => this.cut(),
    });
    wire.stepped = (from, to) => this.#server?.tell(STEPS, stepLine(settings, from, to));
    const steps = schedule === undefined ? undefined : readConsoleSchedule(schedule, settings);
    if (rcFile !== undefined) {
      const [failure] = service.interpreter.run(rcFile);
      if (failure !== undefined) throw new VdensError('ERR_USAGE', failure, { value: rcFile });
    }
    if (management !== undefined) {
      const permissions = { mode: managementMode ?? DEFAULT_MANAGEMENT_MODE };
      this.#server = new ConsoleServer(`${this.label}: mgmt`, resolve(management), permissions, service);
    }
    if (blink !== undefined) {
      const blinker = new Blinker(resolve(blink), blinkId ?? usualBlinkId(), true);
      this.#blinker = blinker;
      this.passed = (direction, length) => blinker.blink(direction, length);
    }
    if (pidFile !== undefined) this.#pidFile = PidFile.write(pidFile);
    if (steps !== undefined) {
      this.#schedule = new RunningSchedule(steps, ({ command, line }) => {
        const problem = answerOf(service.interpreter, command);
        if (problem === undefined) return;
        this.tell(new VdensError('ERR_USAGE', `${steps.path}, line ${line}: ${command}: ${problem}`));
      });
    }
    managed.changed();
  }
}

function packageVersion(): string {
  const path = join(import.meta.dirname, '..', '..', '..', 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
