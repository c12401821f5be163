/** Takes the connections of a listening socket, at no cost while there is no descriptor for another one. */
import { constants } from 'node:os';
import { AGAIN, native } from './native.ts';
import { READABLE, Watch } from './reactor.ts';

/** How long to wait when there are no descriptors, or no memory, for another connection, in milliseconds. */
const PAUSE_MS = 1000;

const { ECONNABORTED, EINTR } = constants.errno;

export class Acceptor {
  readonly #socket: number;
  readonly #atOnce: number;
  readonly #welcome: (connection: number) => void;
  readonly #watch: Watch;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /**
   * @param socket that listens; stays the caller's, who closes it after {@link close}
   * @param atOnce connections that are taken before others have their turn
   * @param welcome the connection belongs to it from now on; must not throw
   * @throws VdensError `ERR_NATIVE`
   */
  constructor(socket: number, atOnce: number, welcome: (connection: number) => void) {
    this.#socket = socket;
    this.#atOnce = atOnce;
    this.#welcome = welcome;
    this.#watch = new Watch(socket, READABLE, () => this.#accept());
  }

  /** Takes no more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#watch.end();
  }

  #accept(): void {
    for (let i = 0; i < this.#atOnce && !this.#isClosed; i++) {
      const connection = native.accept(this.#socket);
      if (connection >= 0) this.#welcome(connection);
      else if (connection !== -ECONNABORTED && connection !== -EINTR) {
        if (connection !== AGAIN) this.#pause();
        return;
      }
    }
  }

  /** The connections stay in the kernel's queue, where they would make the socket readable all the time. */
  #pause(): void {
    this.#watch.events = 0;
    this.#timer = setTimeout(() => {
      this.#watch.events = READABLE;
    }, PAUSE_MS);
  }
}
