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
  readonly #options: ServeControlOptions;
  /** What was added before anybody could ask. */
  #added: ((inventory: Inventory) => Promise<void>)[] = [];
  #inventory: Inventory | undefined;
  #server: { close(): void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #opening: Promise<void> | undefined;
  #settle: () => void = () => undefined;
  readonly #closed = new Promise<void>((resolve) => {
    this.#settle = resolve;
  });
  #isClosed = false;

  constructor(options: ServeControlOptions) {
    this.#options = options;
    if (options.name !== undefined) this.#start();
    else if (isControlWanted()) this.#timer = setTimeout(() => void this.#start(), START_DELAY_MS).unref();
  }

  /**
   * Resolves when others can connect, which is then seen to at once, or when it is closed; is rejected when the name that
   * was given cannot be had.
   */
  get ready(): Promise<void> {
    return this.#start();
  }

  /** Adds something that runs from now on. Returns what removes it, which may be called again. */
  add(load: LoadItem): () => void {
    let isRemoved = false;
    let remove = (): void => undefined;
    const begin = async (inventory: Inventory): Promise<void> => {
      if (isRemoved) return;
      try {
        const item = await load();
        if (!isRemoved) remove = inventory.add(item);
      } catch (error) {
        mention('what was added cannot be looked at', error);
      }
    };
    this.#added.push(begin);
    if (this.#inventory !== undefined) void this.#load(this.#inventory);
    return () => {
      isRemoved = true;
      remove();
    };
  }

  /** Removes it. Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#server?.close();
    this.#settle();
  }

  #start(): Promise<void> {
    if (this.#opening === undefined) {
      clearTimeout(this.#timer);
      this.#opening = Promise.race([this.#begin(), this.#closed]);
      // Whoever gave a name looks at it.
      this.#opening.catch(() => undefined);
    }
    return this.#opening;
  }

  async #begin(): Promise<void> {
    const { name } = this.#options;
    if (this.#isClosed) return;
    if (!isControlWanted()) {
      if (name !== undefined) throw notWanted(name);
      return;
    }
    try {
      await this.#open();
    } catch (error) {
      if (name !== undefined) throw error;
      mention('no control socket', error);
    }
  }

  async #open(): Promise<void> {
    const [{ Inventory }, { openControl }] = await Promise.all([import('./inventory.ts'), import('./open-control.ts')]);
    const inventory = new Inventory(this.#options.command);
    this.#inventory = inventory;
    await this.#load(inventory);
    if (!this.#isClosed) this.#server = openControl(inventory, this.#options);
  }

  async #load(inventory: Inventory): Promise<void> {
    await Promise.all(this.#added.splice(0).map((begin) => begin(inventory)));
  }
}

function notWanted(name: string): VdensError {
  const message = `--name ${name}: with VDENS_CONTROL=0 nothing has a name. Leave one of them out`;
  return new VdensError('ERR_USAGE', message, { value: name });
}

function mention(what: string, error: unknown): void {
  if (!process.env['VDENS_DEBUG']) return;
  console.error(`vdens: ${what}: ${error instanceof Error ? error.message : String(error)}`);
}
