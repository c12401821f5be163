/**
 * One program at a control socket: its requests, line by line, and their answers.
 *
 * Requests are done one after the other. A line that makes no sense has one answer, which says why, and ends the
 * connection: what follows cannot be told apart. Who does not take the answers is not read from any more.
 */
import { VdensError } from '../errors.ts';
import { native } from '../system/native.ts';
import {
  emitAnswer,
  emitEvent,
  MAX_LINE_DESCRIPTORS,
  parseRequest,
  type Request,
  shown,
  WrongRequest,
} from './message.ts';
import { MessageStream, TOO_LONG } from './message-stream.ts';
import type { ControlPeer, OperationContext, Operations } from './operation.ts';

/** How long a program may say nothing, when nothing is being done for it. */
const CONTROL_IDLE_MS = 60_000;
/** How long it has to close the connection after a request that ended it. */
const LINGER_MS = 1000;
/** Events that wait for a program that does not read, in characters. */
const MAX_WAITING_EVENTS = 1_048_576;

/** What a connection needs. */
export interface ControlConnectionOptions {
  readonly peer: ControlPeer;
  operations(): Operations;
  readonly maxRequestBytes: number;
  /** The connection is over. */
  gone(): void;
}

/** Serves one connection. */
export class ControlConnection {
  readonly #options: ControlConnectionOptions;
  readonly #stream: MessageStream;
  readonly #over = new AbortController();
  #isFirst = true;
  #isAnswering = false;
  #isFinishing = false;
  /** Somebody wants to know when it ends: an operation goes on, and says something now and then. */
  #subscriptions = 0;
  #waitingEvents = 0;
  #timer: NodeJS.Timeout;

  /**
   * @param connection the connection's from now on
   * @throws VdensError `ERR_NATIVE`, and the descriptor is still the caller's
   */
  constructor(connection: number, options: ControlConnectionOptions) {
    this.#options = options;
    this.#stream = new MessageStream(connection, options.maxRequestBytes, {
      readable: () => this.#serve(),
      drained: () => {
        this.#waitingEvents = 0;
        this.#serve();
      },
      gone: () => this.#gone(),
    });
    this.#timer = setTimeout(() => this.#beIdle(), CONTROL_IDLE_MS).unref();
  }

  /** Serves what it has asked already. */
  begin(): void {
    this.#stream.look();
  }

  /** Tells it why it is not served, whatever it asks, and ends the connection. */
  refuse(error: VdensError): void {
    this.#finish(error);
  }

  /** Ends the connection at once. Idempotent. */
  close(): void {
    this.#stream.close();
  }

  #gone(): void {
    clearTimeout(this.#timer);
    this.#over.abort();
    this.#options.gone();
  }

  #serve(): void {
    this.#timer.refresh();
    while (!this.#isAnswering && !this.#isFinishing && !this.#stream.isBehind) {
      const line = this.#stream.next();
      if (line === undefined) break;
      if (line === TOO_LONG) {
        this.#finish(new WrongRequest(`a request has ${this.#options.maxRequestBytes} bytes at most`));
        return;
      }
      if (line.trim() !== '') this.#take(line);
    }
    if (this.#stream.isClosed || this.#isFinishing) return;
    if (this.#isAnswering || this.#stream.isBehind) this.#stream.pause();
    else if (this.#stream.isAtEnd && this.#subscriptions === 0) this.#stream.end();
    else this.#stream.resume();
  }

  #take(line: string): void {
    let request: Request;
    let descriptors: readonly number[] | undefined;
    try {
      request = parseRequest(line.trimEnd(), this.#isFirst);
      descriptors = this.#stream.take(request.descriptors);
      if (descriptors === undefined) throw new WrongRequest(`${request.descriptors} descriptors did not come with it`);
    } catch (error) {
      this.#finish(asVdensError(error));
      return;
    }
    this.#isFirst = false;
    this.#do(request, descriptors);
  }

  #do(request: Request, descriptors: readonly number[]): void {
    let left = descriptors;
    const leave = (): void => {
      for (const fd of left) native.closeDescriptor(fd);
      left = [];
    };
    const take = (): readonly number[] => {
      const taken = left;
      left = [];
      return taken;
    };
    let isSubscribed = false;
    const subscribe = (): void => {
      if (!isSubscribed) this.#subscriptions += 1;
      isSubscribed = true;
    };
    const fail = (error: unknown): void => {
      if (isSubscribed) this.#subscriptions -= 1;
      this.#fail(error);
    };
    let answer: object | Promise<object>;
    try {
      answer = this.#operation(request)(request.fields, this.#context(descriptors, take, subscribe));
    } catch (error) {
      leave();
      fail(error);
      return;
    }
    if (!(answer instanceof Promise)) {
      leave();
      this.#answer(answer);
      return;
    }
    this.#isAnswering = true;
    const settle = (then: () => void): void => {
      leave();
      this.#isAnswering = false;
      if (this.#stream.isClosed) return;
      then();
      this.#serve();
    };
    answer.then(
      (value) => settle(() => this.#answer(value)),
      (error: unknown) => settle(() => fail(error)),
    );
  }

  #operation({ do: action }: Request): Operations[string] {
    const operations = this.#options.operations();
    const operation = typeof action === 'string' && Object.hasOwn(operations, action) ? operations[action] : undefined;
    if (operation !== undefined) return operation;
    const names = Object.keys(operations).map((name) => `"${name}"`);
    const known = names.length > 1 ? `${names.slice(0, -1).join(', ')} or ${names.at(-1)}` : names.join();
    const problem = `${shown(action)} cannot be done. Write "do":${known}`;
    const details = { value: shown(action) };
    // What another version knows is a request as well.
    if (typeof action === 'string') throw new VdensError('ERR_USAGE', problem, details);
    throw new WrongRequest(problem, details);
  }

  #context(
    descriptors: readonly number[],
    takeDescriptors: () => readonly number[],
    subscribe: () => void,
  ): OperationContext {
    const { signal } = this.#over;
    return {
      peer: this.#options.peer,
      descriptors,
      takeDescriptors,
      get signal() {
        subscribe();
        return signal;
      },
      send: (event, sent = []) => this.#tell(event, sent),
    };
  }

  #tell(event: object, descriptors: readonly number[]): void {
    if (this.#stream.isClosed || this.#isFinishing) return;
    if (descriptors.length > MAX_LINE_DESCRIPTORS) throw new RangeError('too many descriptors for one line');
    const line = emitEvent(event, descriptors.length);
    if (this.#stream.isBehind) this.#waitingEvents += line.length;
    if (this.#waitingEvents > MAX_WAITING_EVENTS) this.close();
    else this.#stream.send(line, descriptors);
  }

  #answer(answer: object): void {
    let line: string;
    try {
      line = emitAnswer(answer);
    } catch (error) {
      line = emitAnswer(asVdensError(error));
    }
    this.#stream.send(line);
  }

  #fail(error: unknown): void {
    if (error instanceof WrongRequest) this.#finish(error);
    else this.#stream.send(emitAnswer(asVdensError(error)));
  }

  /** Says why, and that this is the end. What comes after is not looked at. */
  #finish(error: VdensError): void {
    this.#isFinishing = true;
    this.#over.abort();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), LINGER_MS).unref();
    this.#stream.send(emitAnswer(error));
    this.#stream.end();
  }

  #beIdle(): void {
    if (this.#isAnswering || this.#subscriptions > 0) this.#timer.refresh();
    else this.close();
  }
}

function asVdensError(error: unknown): VdensError {
  if (error instanceof VdensError) return error;
  const message = `that cannot be done: ${error instanceof Error ? error.message : String(error)}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { cause: error });
}
