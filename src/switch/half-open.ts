/** A connection whose client has yet to say what it wants. */
import { AGAIN, native } from '../system/native.ts';
import { HUNG_UP, READABLE, Watch } from '../system/reactor.ts';
import { MAX_VDE_REQUEST_BYTES, parseVdeRequest, type VdeRequest } from '../wire/vde-request.ts';

/** How long a client may take to ask, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 2000;
/**
 * How long the rest of a description is waited for when a request came in pieces, or without one, in milliseconds. One
 * that came in one piece, as all real clients send it, is answered at once.
 */
const SETTLE_MS = 20;

/**
 * Told once: the request, or a clause that says why there is none (undefined: the client went away). The connection is
 * the listener's again.
 */
export type RequestListener = (request: VdeRequest | undefined, reason: string | undefined) => void;

export class HalfOpen {
  readonly #control: number;
  readonly #listener: RequestListener;
  readonly #bytes = new Uint8Array(MAX_VDE_REQUEST_BYTES);
  #received = 0;
  #pieces = 0;
  #request: VdeRequest | undefined;
  #watch: Watch | undefined;
  #timeout: NodeJS.Timeout | undefined;
  #settle: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(control: number, listener: RequestListener) {
    this.#control = control;
    this.#listener = listener;
  }

  /** Reads what is there, and waits for the rest if that is not all. */
  start(): void {
    this.#read(0);
    if (this.#isOver) return;
    try {
      this.#watch = new Watch(this.#control, READABLE, (events) => this.#read(events));
    } catch (error) {
      this.#finish(undefined, (error as Error).message);
      return;
    }
    this.#timeout = setTimeout(() => {
      this.#finish(undefined, `it did not ask for a port within ${REQUEST_TIMEOUT_MS / 1000} s`);
    }, REQUEST_TIMEOUT_MS);
  }

  /** Gives up, without a word to the client. */
  abandon(reason: string): void {
    this.#finish(undefined, reason);
  }

  #read(events: number): void {
    const length = native.receive(this.#control, this.#bytes.subarray(this.#received));
    if (length > 0) this.#take(length);
    else if (length !== AGAIN || (events & HUNG_UP) !== 0) {
      this.#finish(undefined, this.#received === 0 ? undefined : 'it went away while it asked');
    }
  }

  #take(length: number): void {
    this.#received += length;
    this.#pieces++;
    const parsed = parseVdeRequest(this.#bytes.subarray(0, this.#received));
    if (parsed.kind === 'invalid') this.#finish(undefined, parsed.reason);
    if (parsed.kind !== 'request') return;
    this.#request = parsed.request;
    const isWhole = this.#pieces === 1 && parsed.request.description !== '';
    if (isWhole || this.#received === this.#bytes.length) this.#finish(parsed.request, undefined);
    else this.#settle ??= setTimeout(() => this.#finish(this.#request, undefined), SETTLE_MS);
  }

  #finish(request: VdeRequest | undefined, reason: string | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#watch?.end();
    clearTimeout(this.#timeout);
    clearTimeout(this.#settle);
    this.#listener(request, reason);
  }
}
