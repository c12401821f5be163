/**
 * The control socket of this process, by which others look at what it runs and change it.
 *
 * What is not needed before somebody may ask is loaded when the process has begun with what it is there for.
 */
import { VdensError } from '../errors.ts';
import type { Inventory } from './inventory.ts';

/** A process that ends within this time is never asked, in milliseconds. */
const START_DELAY_MS = 50;

/** What it is called. */
export interface ServeControlOptions {
  /** A name that was given; that it cannot be had is an error. */
  readonly name?: string | undefined;
  /** Without a name it is this and the pid: `vdens-4711`. */
  readonly prefix: string;
}

/** The control socket of this process. */
export interface ProcessControl {
  /** Resolves when others can connect; is rejected when the name that was given cannot be had. */
  readonly ready: Promise<void>;
  /** Removes it. Idempotent. */
  close(): void;
}

/** Whether processes have control sockets: not with `VDENS_CONTROL=0`. */
export function isControlWanted(): boolean {
  return process.env['VDENS_CONTROL'] !== '0';
}

/**
 * Opens the control socket of this process: with a name at once, else soon, where a failure is nothing but a line for who
 * has set `VDENS_DEBUG`.
 */
export function serveControl(inventory: Inventory, { name, prefix }: ServeControlOptions): ProcessControl {
  let server: { close(): void } | undefined;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  const start = async (): Promise<void> => {
    const { openControl } = await import('./open-control.ts');
    if (!isClosed) server = openControl(inventory, name, prefix);
  };
  const close = (): void => {
    isClosed = true;
    clearTimeout(timer);
    server?.close();
  };
  if (name !== undefined) {
    const ready = isControlWanted() ? start() : Promise.reject(notWanted(name));
    // It may be looked at later, or by nobody.
    ready.catch(() => undefined);
    return { ready, close };
  }
  if (!isControlWanted()) return { ready: Promise.resolve(), close };
  const ready = new Promise<void>((resolve) => {
    timer = setTimeout(() => void start().catch(mention).finally(resolve), START_DELAY_MS);
    timer.unref();
  });
  return { ready, close };
}

function notWanted(name: string): VdensError {
  const message = `--name ${name}: with VDENS_CONTROL=0 nothing has a name. Leave one of them out`;
  return new VdensError('ERR_USAGE', message, { value: name });
}

function mention(error: unknown): void {
  if (process.env['VDENS_DEBUG']) console.error(`vdens: no control socket: ${(error as Error).message}`);
}
