/**
 * One program at the control socket of a gateway: its requests, line by line, and their answers.
 *
 * A line that is wrong has one answer, which says why. After one that is no request at all, or too long, the connection
 * ends: what follows cannot be told apart. Who does not take the answers is not read from any more.
 */
import { Socket } from 'node:net';
import { VdensError } from '../errors.ts';
import { native } from '../system/native.ts';
import { type ControlRequest, emitAnswer, MAX_CONTROL_REQUEST_BYTES, parseRequest } from './control-message.ts';
import type { ForwardInfo } from './forwards.ts';

/** How long a program may say nothing. */
const CONTROL_IDLE_MS = 60_000;
/** How long it has to close the connection after a request that ended it. */
const LINGER_MS = 1000;
const NEWLINE = 0x0a;

/** What a client needs. */
export interface ControlClientEvents {
  /** Does it; throws a VdensError when that cannot be. */
  ask(request: ControlRequest): readonly ForwardInfo[];
  /** The connection is over. */
  gone(): void;
}

/** Serves one connection. */
export class ControlClient {
  readonly #events: ControlClientEvents;
  readonly #socket: Socket | undefined;
  #input: Buffer = Buffer.alloc(0);
  #isFirst = true;
  #hasEnded = false;
  #isWaiting = false;
  #linger: NodeJS.Timeout | undefined;

  /** @param connection the client's from now on */
  constructor(connection: number, events: ControlClientEvents) {
    this.#events = events;
    try {
      this.#socket = new Socket({ fd: connection, readable: true, writable: true, allowHalfOpen: true });
    } catch {
      native.closeDescriptor(connection);
      queueMicrotask(() => events.gone());
      return;
    }
    this.#socket
      .setTimeout(CONTROL_IDLE_MS, () => this.close())
      .on('data', (bytes: Buffer) => this.#take(bytes))
      .on('end', () => this.#takeEnd())
      .on('drain', () => this.#goOn())
      // It went away without waiting for its answer.
      .on('error', () => this.close())
      .on('close', () => {
        clearTimeout(this.#linger);
        events.gone();
      });
  }

  /** Tells it why it is not served, whatever it asks, and ends the connection. */
  refuse(error: VdensError): void {
    this.#finish(error);
  }

  /** Ends the connection at once. */
  close(): void {
    this.#hasEnded = true;
    this.#input = Buffer.alloc(0);
    this.#socket?.destroy();
  }

  #take(bytes: Buffer): void {
    this.#input = Buffer.concat([this.#input, bytes]);
    this.#serve();
  }

  #takeEnd(): void {
    this.#hasEnded = true;
    this.#serve();
  }

  #goOn(): void {
    this.#isWaiting = false;
    this.#socket?.resume();
    this.#serve();
  }

  #serve(): void {
    while (!this.#isWaiting) {
      const line = this.#nextLine();
      if (line === undefined) break;
      if (line.length > MAX_CONTROL_REQUEST_BYTES) {
        const message = `a request has ${MAX_CONTROL_REQUEST_BYTES} bytes at most`;
        this.#finish(new VdensError('ERR_USAGE', message));
        return;
      }
      this.#answer(line.toString());
    }
    if (this.#hasEnded && !this.#isWaiting) this.#socket?.end();
  }

  /** The next line, or what is left at the end; also what is too long to become one. */
  #nextLine(): Buffer | undefined {
    const end = this.#input.indexOf(NEWLINE);
    const isLast = this.#hasEnded || this.#input.length > MAX_CONTROL_REQUEST_BYTES;
    const length = end >= 0 ? end + 1 : isLast ? this.#input.length : 0;
    if (length === 0) return undefined;
    const line = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    return line;
  }

  #answer(line: string): void {
    if (line.trim() === '') return;
    let request: ControlRequest;
    try {
      request = parseRequest(line.trimEnd(), this.#isFirst);
    } catch (error) {
      this.#finish(asVdensError(error));
      return;
    }
    this.#isFirst = false;
    let answer: string;
    try {
      answer = emitAnswer(this.#events.ask(request));
    } catch (error) {
      answer = emitAnswer(asVdensError(error));
    }
    this.#write(answer);
  }

  #write(answer: string): void {
    if (this.#socket?.write(answer) !== false) return;
    this.#isWaiting = true;
    this.#socket.pause();
  }

  /** Says why, and that this is the end. What comes after is not looked at. */
  #finish(error: VdensError): void {
    this.#input = Buffer.alloc(0);
    this.#isWaiting = true;
    const socket = this.#socket?.removeAllListeners('data').removeAllListeners('end').removeAllListeners('drain');
    // Closed with something unread, it would look to the other end like a failure.
    this.#linger = setTimeout(() => this.close(), LINGER_MS);
    socket?.resume().end(emitAnswer(error));
  }
}

function asVdensError(error: unknown): VdensError {
  if (error instanceof VdensError) return error;
  return new VdensError('ERR_NETWORK_OPEN', `the gateway cannot do that: ${(error as Error).message}`, {
    cause: error,
  });
}
