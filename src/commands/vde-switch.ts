/**
 * The `vde_switch` command: a managed switch with its console, until standard input, a signal or the console ends it.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { ConsoleServer } from '../console/server.ts';
import type { ConsoleService } from '../console/session.ts';
import { StdioSession } from '../console/stdio-session.ts';
import { VdensError } from '../errors.ts';
import { ProcessControl } from '../inventory/serve-control.ts';
import { letOthersFirst } from '../plugs/fabric.ts';
import { openHostTap } from '../plugs/host-tap.ts';
import { type Audience, EventFeed } from '../switch/console/event-feed.ts';
import { switchConsole } from '../switch/console/switch-console.ts';
import { ManagedSwitch } from '../switch/managed/managed-switch.ts';
import type { SwitchService } from '../switch/switch-service.ts';
import { Daemon } from '../system/daemon.ts';
import { endBySignal } from '../system/end-by-signal.ts';
import { wasIgnored } from '../system/ignored-signals.ts';
import { disregardMeaninglessSignals } from '../system/meaningless-signals.ts';
import { native } from '../system/native.ts';
import { PidFile } from '../system/pid-file.ts';
import { Syslog } from '../system/syslog.ts';
import { printAbout } from './about.ts';
import { reportError } from './report-error.ts';
import { servedBySomebody } from './served-by-somebody.ts';
import { writeErrorLineNow } from './standard-streams.ts';
import {
  interpretVdeSwitchArguments,
  VDE_SWITCH_COMMAND_TABLE,
  type VdeSwitchAction,
  type VdeSwitchRequest,
} from './vde-switch-options.ts';
import { version } from './version.ts';

const NAME = 'vde_switch';
const STATUS_FAILURE = 1;
/** How long letting go of everything may take before we leave it to the kernel. */
const CLOSE_TIMEOUT_MS = 3000;
/** Files of commands to start with when none is named: the first that is there. */
const HOME_RC_FILE = '.vde2/vde_switch.rc';
const SYSTEM_RC_FILE = '/etc/vde2/vde_switch.rc';

/**
 * Runs `vde_switch`.
 *
 * @param argv - the words after the program's name
 * @returns the exit status
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    return await act(interpretVdeSwitchArguments(argv));
  } catch (error) {
    await reportError(NAME, error);
    return STATUS_FAILURE;
  }
}

async function act(request: VdeSwitchAction): Promise<number> {
  switch (request.action) {
    case 'help':
    case 'version':
      return printAbout(request.action, VDE_SWITCH_COMMAND_TABLE);
    case 'serve':
      return serve(request);
  }
}

async function serve(request: VdeSwitchRequest): Promise<number> {
  const daemon = request.isDaemon ? await Daemon.detach(NAME) : undefined;
  const hadTerminal = [0, 1, 2].some(isatty);
  const running = new RunningSwitch(request);
  let end: Ending;
  try {
    await running.open();
    daemon?.ready();
    running.inBackground = daemon !== undefined;
    end = await running.ended;
  } finally {
    const timeout = sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false });
    await Promise.race([running.close(), timeout]);
    running.removePidFile();
  }
  const status = await statusOf(end);
  // At its exit Node.js puts the terminal in order, and crashes when that has been hung up.
  if (hadTerminal) native.endProcess(status);
  return status;
}

/** Why it is over. */
type Ending = 'SIGINT' | 'SIGTERM' | 'asked' | 'lost';

/** The switch, and all by which it is reached. */
class RunningSwitch {
  readonly ended: Promise<Ending>;
  /** Whether nobody reads standard error any more. */
  inBackground = false;
  readonly #request: VdeSwitchRequest;
  readonly #managed: ManagedSwitch;
  readonly #log = new Syslog(NAME);
  #end: (ending: Ending) => void = () => undefined;
  #pidFile: PidFile | undefined;
  #server: ConsoleServer | undefined;
  #console: StdioSession | undefined;
  #feed: EventFeed | undefined;
  #control: ProcessControl | undefined;

  constructor(request: VdeSwitchRequest) {
    this.#request = request;
    this.ended = new Promise((resolveEnded) => {
      this.#end = resolveEnded;
    });
    const { path, numPorts, hub, spanningTree, mac, priority, hashSize } = request;
    const address = mac === undefined ? {} : { mac };
    letOthersFirst();
    this.#managed = new ManagedSwitch({ label: path, numPorts, hub, spanningTree, priority, hashSize, ...address });
    this.#watchSignals();
  }

  /** Opens everything. What was opened is let go of by {@link close}, also when this fails. */
  async open(): Promise<void> {
    const { mode, taps, pidFile, management, managementAccess } = this.#request;
    const service = await this.#serve();
    for (const name of taps) {
      const tap = openHostTap(`tap://${name}`, name);
      this.#managed.attach(tap, { module: 'tuntap', description: name });
    }
    const managementPath = management === undefined ? undefined : resolve(management);
    const console = switchConsole({
      managed: this.#managed,
      directory: { path: service.path, mode },
      management: managementPath === undefined ? undefined : { path: managementPath, mode: managementAccess.mode },
      version: version(),
      selectionChanged: () => this.#feed?.refresh(),
      shutdown: () => this.#end('asked'),
    });
    if (managementPath !== undefined) {
      this.#server = new ConsoleServer('--mgmt', managementPath, managementAccess, console);
    }
    if (pidFile !== undefined) this.#pidFile = PidFile.write(pidFile, { exclusive: true });
    this.#feed = new EventFeed(this.#managed, () => this.#audiences);
    this.#runCommands(console);
    this.#control = new ProcessControl({ command: NAME, prefix: 'switch' });
    if (this.#request.hasConsole) this.#console = this.#openConsole(console);
  }

  async close(): Promise<void> {
    this.#control?.close();
    this.#feed?.close();
    this.#console?.close();
    this.#server?.close();
    await this.#managed.close();
    await this.#log.close();
  }

  /** Last of all: a script that waits for it may start the next switch then. */
  removePidFile(): void {
    this.#pidFile?.remove();
  }

  async #serve(): Promise<SwitchService> {
    const { path, mode, dirmode, group, isUsualPath, managementAccess } = this.#request;
    const lost = (reason: string): void => {
      this.#say(`${path}: ${reason}. All clients were let go, and so ends the switch`);
      this.#end('lost');
    };
    const restored = (reason: string): void => this.#say(`${path}: ${reason}`);
    const { mode: managementMode, group: managementGroup } = managementAccess;
    const permissions = { mode, dirmode, group, ownOnly: isUsualPath, managementMode, managementGroup };
    try {
      return await this.#managed.serve(path, { ...permissions, lost, restored });
    } catch (error) {
      if (error instanceof VdensError && error.errno === 'EADDRINUSE') throw servedBySomebody(path, path);
      throw error;
    }
  }

  get #audiences(): readonly Audience[] {
    return [this.#server, this.#console].filter((each) => each !== undefined);
  }

  #openConsole(service: ConsoleService): StdioSession {
    return new StdioSession(service, {
      ended: () => {
        this.#say('standard input has ended, and so ends the switch');
        this.#end('asked');
      },
    });
  }

  /** Those to start with. The switch runs whatever becomes of them. */
  #runCommands({ interpreter }: ConsoleService): void {
    const path = this.#request.rcFile ?? usualRcFile();
    if (path === undefined) return;
    try {
      for (const failure of interpreter.run(path)) this.#say(failure);
    } catch (error) {
      this.#say((error as Error).message);
    }
  }

  #watchSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (!wasIgnored(signal)) this.#end(signal);
      });
    }
    // As the original: whoever logs out leaves it running.
    process.on('SIGHUP', () => undefined);
    disregardMeaninglessSignals();
  }

  #say(line: string): void {
    if (this.inBackground) this.#log.log('warning', line);
    else writeErrorLineNow(`${NAME}: ${line}`);
  }
}

function usualRcFile(): string | undefined {
  return [join(homedir(), HOME_RC_FILE), SYSTEM_RC_FILE].find((path) => existsSync(path));
}

/** Whoever interrupts a script sees that we were interrupted, too. */
async function statusOf(ending: Ending): Promise<number> {
  if (ending === 'lost') return STATUS_FAILURE;
  return ending === 'SIGINT' ? endBySignal('SIGINT') : 0;
}
