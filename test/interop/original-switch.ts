/**
 * The original `vde_switch`, one per test, in a directory of its own.
 *
 * It runs in the foreground, reading its console from a pipe that the test keeps open (with the end of its input it
 * would exit), so that its pid is ours to signal and its commands can be typed.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isListenedOn } from '../../src/system/listening-sockets.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  type Owner,
  original,
  spawnBackground,
  waitFor,
} from './harness.ts';

/** How {@link startSwitch} starts the switch. */
export interface OriginalSwitchOptions {
  /** Number of ports. @defaultValue 32 */
  readonly ports?: number;
  /** A hub instead of a switch: every frame to every port. @defaultValue false */
  readonly isHub?: boolean;
  /** Directory of the switch; must not exist. @defaultValue a fresh one */
  readonly path?: string;
  /** More arguments, such as `['-M', path]`. */
  readonly args?: readonly string[];
  /** A `vde_switch` in place of the original: ours takes the same options, and has the same console. */
  readonly program?: string;
}

/** A running original switch. */
export interface OriginalSwitch {
  /** Its directory: the network's name, for a client. */
  readonly path: string;
  /** Process id of the one that runs now. */
  readonly pid: number;
  /** Types one command at its console and answers what it printed, prompt and status line included. */
  command(line: string): Promise<string>;
  /** Signals it (SIGTERM by default: it removes its sockets) and waits for its end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again, at the same path. Ends it first when it is still running. */
  restart(): Promise<void>;
}

/** Starts a switch and waits until clients can connect. The test must have required `vde_switch`. */
export async function startSwitch(t: Owner, options: OriginalSwitchOptions = {}): Promise<OriginalSwitch> {
  const program = options.program ?? original('vde_switch');
  if (program === undefined) throw new Error('vde_switch is not installed: call requireCommands first');
  const path = options.path ?? join(makeTemporaryDirectory(t), 'switch');
  const argv = [program, '--sock', path];
  if (options.ports !== undefined) argv.push('--numports', `${options.ports}`);
  if (options.isHub === true) argv.push('--hub');
  argv.push(...(options.args ?? []));
  let running = await launch(t, argv, path);
  return {
    path,
    get pid(): number {
      return running.pid;
    },
    command: async (line) => {
      const before = running.output().length;
      running.write(`${line}\n`);
      const answer = (): string | undefined => {
        const text = running.output().slice(before);
        return /^1\d\d\d /m.test(text) ? text : undefined;
      };
      return await waitFor(answer, 5000, `the switch's answer to ${line}`);
    },
    kill: async (signal = 'SIGTERM') => {
      running.kill(signal);
      await running.waitForExit();
    },
    restart: async () => {
      if (!running.hasExited()) {
        running.kill('SIGTERM');
        await running.waitForExit();
      }
      running = await launch(t, argv, path);
    },
  };
}

async function launch(t: Owner, argv: readonly string[], path: string): Promise<BackgroundCommand> {
  const control = join(path, 'ctl');
  // A killed switch leaves its socket: the one of the new switch is told by its time (its inode may be the same).
  const madeAt = (): bigint | undefined => statSync(control, { bigint: true, throwIfNoEntry: false })?.ctimeNs;
  const old = madeAt();
  const running = await spawnBackground(t, argv);
  const isThere = (): boolean => {
    if (running.hasExited()) throw new Error(`vde_switch ended at once: ${running.output()}`);
    const now = madeAt();
    // The name is there a moment before somebody listens.
    return now !== undefined && now !== old && isListenedOn(statSync(control));
  };
  await waitFor(isThere, 5000, `the socket ${control}`);
  return running;
}
