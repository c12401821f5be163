/** A switch of ours, one per test, in a directory of its own: served by a `vdens` with a host on it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  type Owner,
  ours,
  spawnBackground,
  waitFor,
} from './harness.ts';

/** How {@link startOurSwitch} starts the switch. */
export interface OurSwitchOptions {
  /** Directory of the switch; must not exist. @defaultValue a fresh one */
  readonly path?: string;
  /** What stands in the brackets of the locator, such as `mode=0660/grp=users`. */
  readonly options?: string;
  /** The scheme. @defaultValue `switch` */
  readonly scheme?: 'switch' | 'hub';
  /** Variables on top of the test's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The `vdens`. @defaultValue that of this checkout */
  readonly vdens?: string;
}

/** A running switch of ours. */
export interface OurSwitch {
  /** Its directory: the network's name, for a client. */
  readonly path: string;
  /** The `vdens` that serves it. */
  readonly server: BackgroundCommand;
}

/** Starts a switch and waits until clients can connect. */
export async function startOurSwitch(t: Owner, options: OurSwitchOptions = {}): Promise<OurSwitch> {
  const path = options.path ?? join(makeTemporaryDirectory(t), 'switch');
  const brackets = options.options === undefined ? '' : `[${options.options}]`;
  const locator = `${options.scheme ?? 'switch'}://${path}${brackets}`;
  const argv = [options.vdens ?? ours('vdens'), locator, 'sh', '-c', 'echo serving; exec sleep 600'];
  const server = await spawnBackground(t, argv, options.env === undefined ? {} : { env: options.env });
  await server.waitForOutput(/^serving$/m);
  await waitFor(() => existsSync(join(path, 'ctl')), 5000, `the socket of ${locator}`);
  return { path, server };
}
