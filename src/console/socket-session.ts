/**
 * A session of somebody who connected to the management socket.
 *
 * Who does not read what was said is not read from any more, so that answers wait in their own process; what happens
 * meanwhile is kept up to a bound, and then the session ends.
 */
import { Socket } from 'node:net';
import { native } from '../system/native.ts';
import { type ConsoleService, Session } from './session.ts';

/** What happened and may wait to be read by a client, in bytes, beside the answer to its last command. */
export const MAX_PENDING_BYTES = 1_048_576;
/** How long a client has to take the last words. */
const LINGER_MS = 2000;

export class SocketSession {
  /** Of the user who connected. */
  readonly uid: number;
  readonly #session: Session;
  readonly #socket: Socket | undefined;
  #heardAt = performance.now();
  #linger: NodeJS.Timeout | undefined;
  #isEnding = false;
  /** What happened since it has been behind, in characters. */
  #told = 0;

  /**
   * @param connection the session's from now on
   * @param uid of the user who connected
   * @param gone called once, when the connection is over
   */
  constructor(connection: number, uid: number, service: ConsoleService, gone: () => void) {
    this.uid = uid;
    this.#session = new Session(service, {
      write: (text) => void this.#socket?.write(text),
      isReady: () => this.#socket?.writableNeedDrain === false,
      end: () => this.#end(),
    });
    try {
      this.#socket = new Socket({ fd: connection, readable: true, writable: true, allowHalfOpen: true });
    } catch {
      native.closeDescriptor(connection);
      queueMicrotask(gone);
      return;
    }
    this.#socket
      .on('data', (bytes: Buffer) => this.#take(bytes))
      .on('end', () => this.#session.takeEnd())
      .on('drain', () => this.#goOn())
      .on('error', () => this.close())
      .on('close', () => {
        this.close();
        gone();
      });
    this.#session.greet();
  }

  /** When something came from it, on the clock of `performance.now()`. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Whether it has not taken what was said. */
  get isBehind(): boolean {
    return this.#socket?.writableNeedDrain === true;
  }

  /** Whether it wants to be told of anything whose path begins with the prefix. */
  wants(prefix: string): boolean {
    return this.#session.wants(prefix);
  }

  /** Tells that something happened, if it wants to know. */
  tell(path: string, text: string): void {
    this.#told += this.#session.tell(path, text);
    if (!this.isBehind) this.#told = 0;
    else if (this.#told > MAX_PENDING_BYTES) this.close();
  }

  /** Says what was to be said, and ends it. */
  finish(): void {
    this.#session.close();
    this.#end();
  }

  /** Ends the connection at once. Idempotent. */
  close(): void {
    this.#isEnding = true;
    clearTimeout(this.#linger);
    this.#session.close();
    this.#socket?.destroy();
  }

  #take(bytes: Buffer): void {
    this.#heardAt = performance.now();
    this.#session.take(bytes);
    if (this.#session.isBehind) this.#socket?.pause();
  }

  #goOn(): void {
    this.#session.goOn();
    if (!this.#session.isBehind) this.#socket?.resume();
  }

  #end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    // Closed with something unread, it would look to the other end like a failure.
    this.#linger = setTimeout(() => this.close(), LINGER_MS).unref();
    this.#socket
      ?.removeAllListeners('data')
      .resume()
      .end(() => this.#socket?.destroySoon());
  }
}
