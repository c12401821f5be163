/**
 * The control socket of this process, by which others look at what it runs and change it.
 *
 * What is not needed before somebody may ask is loaded when the process has begun with what it is there for.
 */
import type { Operations } from '../control/operation.ts';
import { VdensError } from '../errors.ts';
import type { Inventory, InventoryItem } from './inventory.ts';

/** A process that ends within this time is never asked, in milliseconds. */
const START_DELAY_MS = 50;

/** What it is called. */
export interface ServeControlOptions {
  /** What was started, for people: `vdens`, `vde switch`. */
  readonly command: string;
  /** A name that was given; that it cannot be had is an error. */
  readonly name?: string | undefined;
  /** Without a name it is this and the pid: `vdens-4711`. */
  readonly prefix: string;
  /** What it can be asked besides what all can. */
  readonly operations?: Operations | undefined;
}

/** Makes what others may look at, when they may. */
export type LoadItem = () => Promise<InventoryItem>;

/** Whether processes have control sockets: not with `VDENS_CONTROL=0`. */
export function isControlWanted(): boolean {
  return process.env['VDENS_CONTROL'] !== '0';
}

/**
 * The control socket of this process: with a name it is opened at once, else soon, where a failure is nothing but a line
 * for who has set `VDENS_DEBUG`. Switches and gateways of this process are found without being told.
 */
export class ProcessControl {
  /** Resolves when others can connect; is rejected when the name that was given cannot be had. */
  readonly ready: Promise<void>;
  readonly #options: ServeControlOptions;
  /** What was added before anybody could ask. */
  #added: LoadItem[] = [];
  #inventory: Inventory | undefined;
  #server: { close(): void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ServeControlOptions) {
    this.#options = options;
    this.ready = this.#begin();
    // Whoever gave a name looks at it.
    this.ready.catch(() => undefined);
  }

  /** Adds something that runs from now on. */
  add(load: LoadItem): void {
    if (this.#inventory === undefined) this.#added.push(load);
    else void this.#load(this.#inventory, load);
  }

  /** Removes it. Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#server?.close();
  }

  #begin(): Promise<void> {
    const { name } = this.#options;
    if (name !== undefined) return isControlWanted() ? this.#open() : Promise.reject(notWanted(name));
    if (!isControlWanted()) return Promise.resolve();
    return new Promise((resolve) => {
      const open = (): void => void this.#open().catch(mention).finally(resolve);
      this.#timer = setTimeout(open, START_DELAY_MS).unref();
    });
  }

  async #open(): Promise<void> {
    const [{ Inventory }, { openControl }] = await Promise.all([import('./inventory.ts'), import('./open-control.ts')]);
    const inventory = new Inventory(this.#options.command);
    this.#inventory = inventory;
    await Promise.all(this.#added.splice(0).map((load) => this.#load(inventory, load)));
    if (!this.#isClosed) this.#server = openControl(inventory, this.#options);
  }

  async #load(inventory: Inventory, load: LoadItem): Promise<void> {
    inventory.add(await load());
  }
}

function notWanted(name: string): VdensError {
  const message = `--name ${name}: with VDENS_CONTROL=0 nothing has a name. Leave one of them out`;
  return new VdensError('ERR_USAGE', message, { value: name });
}

function mention(error: unknown): void {
  if (process.env['VDENS_DEBUG']) console.error(`vdens: no control socket: ${(error as Error).message}`);
}
