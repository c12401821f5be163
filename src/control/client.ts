/**
 * Asking a process over its control socket.
 *
 * ```ts
 * const control = await connectControl(path);
 * const { items } = await control.request('status');
 * for await (const { fields } of control.events) console.log(fields);
 * ```
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { printable, VdensError } from '../errors.ts';
import { AGAIN, errnoName, native } from '../system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../system/unix-address.ts';
import { emitRequest, type JsonObject, MAX_LINE_DESCRIPTORS, parseReply } from './message.ts';
import { MessageStream, TOO_LONG } from './message-stream.ts';
import type { ControlPeer } from './operation.ts';
import { isOurUser, peerOf } from './server.ts';

/** How long a process may take to answer. */
const CONTROL_TIMEOUT_MS = 5000;
/** The longest line that makes sense, in bytes. */
const MAX_ANSWER_BYTES = 16_777_216;
/** Events that wait for whoever takes them; then no more are read. */
const MAX_WAITING_EVENTS = 256;
/** Requests that wait for their answers. */
const MAX_WAITING_REQUESTS = 256;
/** How long to wait before connecting again to a process that has too many connections to take. */
const TRY_AGAIN_MS = 20;

/** What is wrong with one that speaks otherwise. */
const NO_ANSWER = 'it says something that is no answer';

/** How to connect, and how to ask. */
export interface ControlOptions {
  /** How long it may take, in milliseconds; `Infinity` for as long as it takes. @defaultValue 5000 */
  readonly timeoutMs?: number;
  /** What errors call it. @defaultValue `the process at PATH` */
  readonly what?: string;
  /** What an error says when it speaks otherwise. @defaultValue `it says something that is no answer` */
  readonly otherwise?: string;
  /** Called each time that it has no room for another connection; what it throws is the end. @defaultValue to try again */
  readonly full?: () => void;
}

/** Something that a process says on its own account. */
export interface ControlEvent {
  /** Among them `event`, its name. */
  readonly fields: JsonObject;
  /** What came with it: the taker's, who closes them. */
  readonly descriptors: readonly number[];
}

/** An answer, and what came with it and with the events before it: the asker's, who closes them. */
export interface AnswerWithDescriptors {
  readonly answer: Record<string, unknown>;
  readonly descriptors: readonly number[];
}

type ClientOptions = Required<Omit<ControlOptions, 'full'>>;

interface Pending {
  readonly resolve: (answer: AnswerWithDescriptors) => void;
  readonly reject: (error: VdensError) => void;
  readonly timer: NodeJS.Timeout | undefined;
  /** What came for it; of a request that does not want any, `undefined`. */
  readonly descriptors: number[] | undefined;
}

/**
 * Connects to the control socket of a process.
 *
 * @throws VdensError `ERR_NETWORK_OPEN` when nobody listens there (`ENOENT`, `ECONNREFUSED`), or it is another user's;
 * `ERR_NETWORK_TIMEOUT` when too many others are waiting
 */
export async function connectControl(path: string, options: ControlOptions = {}): Promise<ControlClient> {
  const { timeoutMs = CONTROL_TIMEOUT_MS, what = `the process at ${printable(path)}`, otherwise = NO_ANSWER } = options;
  const { full = () => undefined } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const fd = connect(path, what);
    if (fd !== undefined) return makeClient(fd, { what, otherwise, timeoutMs });
    full();
    if (performance.now() > deadline) throw notInTime(what, timeoutMs);
    await sleep(TRY_AGAIN_MS);
  }
}

/** A connection to the control socket of a process. */
export class ControlClient {
  /** The process at the other end. */
  readonly peer: ControlPeer;
  readonly #what: string;
  readonly #otherwise: string;
  readonly #timeoutMs: number;
  readonly #stream: MessageStream;
  /** In the order of the answers. */
  readonly #pending: Pending[] = [];
  readonly #waiting: ControlEvent[] = [];
  #wake: () => void = () => undefined;
  #problem: VdensError | undefined;

  /** @internal See {@link connectControl}. */
  constructor(fd: number, { what, otherwise, timeoutMs }: ClientOptions) {
    this.#what = what;
    this.#otherwise = otherwise;
    this.#timeoutMs = timeoutMs;
    this.peer = peerOf(fd);
    this.#stream = new MessageStream(fd, MAX_ANSWER_BYTES, {
      readable: () => this.#read(),
      drained: () => undefined,
      gone: () => this.#gone(),
    });
  }

  /** Whether it is over. */
  get isClosed(): boolean {
    return this.#stream.isClosed;
  }

  /**
   * Asks for something, and waits for the answer.
   *
   * @param action the operation's name
   * @throws VdensError what the process says, with its code; `ERR_NETWORK_TIMEOUT`, after which the connection is
   * closed; `ERR_NETWORK_OPEN` when it ends
   */
  async request(action: string, fields: object = {}, options: ControlOptions = {}): Promise<Record<string, unknown>> {
    return (await this.#ask(action, fields, [], undefined, options)).answer;
  }

  /**
   * The same with descriptors, both ways.
   *
   * @param descriptors that go along, which stay the caller's
   */
  requestWithDescriptors(
    action: string,
    fields: object = {},
    descriptors: readonly number[] = [],
    options: ControlOptions = {},
  ): Promise<AnswerWithDescriptors> {
    return this.#ask(action, fields, descriptors, [], options);
  }

  /** What the process says on its own account, from the first event that nobody has taken; ends with the connection. */
  get events(): AsyncIterableIterator<ControlEvent> {
    return this.#takeEvents();
  }

  /** Idempotent. */
  close(): void {
    this.#problem ??= new VdensError('ERR_CLOSED', `the connection to ${this.#what} is closed`);
    for (const { descriptors } of this.#waiting.splice(0)) closeAll(descriptors);
    this.#stream.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #ask(
    action: string,
    fields: object,
    sent: readonly number[],
    received: number[] | undefined,
    { timeoutMs = this.#timeoutMs }: ControlOptions,
  ): Promise<AnswerWithDescriptors> {
    return new Promise((resolve, reject) => {
      if (this.#stream.isClosed) throw this.#ending;
      if (this.#pending.length >= MAX_WAITING_REQUESTS) throw this.#failed('too many requests wait for its answer');
      if (sent.length > MAX_LINE_DESCRIPTORS) throw new RangeError('too many descriptors for one request');
      const giveUp = (): void => this.#fail(notInTime(this.#what, timeoutMs));
      const timer = Number.isFinite(timeoutMs) ? setTimeout(giveUp, timeoutMs) : undefined;
      this.#pending.push({ resolve, reject, timer, descriptors: received });
      this.#stream.send(emitRequest(action, fields, sent.length), sent);
    });
  }

  async *#takeEvents(): AsyncIterableIterator<ControlEvent> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) {
        this.#listen();
        yield event;
      } else if (this.#stream.isClosed) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #read(): void {
    while (!this.#stream.isClosed && this.#waiting.length < MAX_WAITING_EVENTS) {
      const line = this.#stream.next();
      if (line === undefined) break;
      if (line === TOO_LONG) this.#fail(this.#failed(this.#otherwise, 'EPROTO'));
      else this.#take(line);
    }
    if (this.#stream.isAtEnd) this.#fail(this.#failed('it ended the connection', 'EPIPE'));
    else this.#listen();
  }

  #listen(): void {
    if (this.#stream.isClosed) return;
    if (this.#waiting.length >= MAX_WAITING_EVENTS) this.#stream.pause();
    else this.#stream.resume();
  }

  #take(line: string): void {
    const reply = parseReply(line);
    const descriptors = reply === undefined || reply.kind === 'error' ? [] : this.#stream.take(reply.descriptors);
    if (reply === undefined || descriptors === undefined) {
      this.#fail(this.#failed(this.#otherwise, 'EPROTO'));
      return;
    }
    const [first] = this.#pending;
    if (reply.kind === 'event') {
      if (descriptors.length > 0 && first?.descriptors !== undefined) first.descriptors.push(...descriptors);
      else this.#waiting.push({ fields: reply.fields, descriptors });
      this.#wake();
      return;
    }
    const answered = this.#pending.shift();
    clearTimeout(answered?.timer);
    if (reply.kind === 'error') {
      closeAll(answered?.descriptors ?? []);
      if (answered === undefined) this.#fail(reply.error);
      else answered.reject(reply.error);
      return;
    }
    const all = [...(answered?.descriptors ?? []), ...descriptors];
    if (answered?.descriptors === undefined) closeAll(all.splice(0));
    answered?.resolve({ answer: { ...reply.fields }, descriptors: all });
  }

  #gone(): void {
    const error = this.#ending;
    for (const { timer, descriptors, reject } of this.#pending.splice(0)) {
      clearTimeout(timer);
      closeAll(descriptors ?? []);
      reject(error);
    }
    this.#wake();
  }

  get #ending(): VdensError {
    return this.#problem ?? this.#failed('it ended the connection', 'EPIPE');
  }

  #fail(error: VdensError): void {
    this.#problem ??= error;
    this.#stream.close();
  }

  #failed(why: string, errno: string = 'EAGAIN'): VdensError {
    return failed(this.#what, why, { errno });
  }
}

function closeAll(descriptors: readonly number[]): void {
  for (const fd of descriptors) native.closeDescriptor(fd);
}

function makeClient(fd: number, options: ClientOptions): ControlClient {
  const { what } = options;
  try {
    const client = new ControlClient(fd, options);
    if (isOurUser(client.peer.uid) || process.geteuid?.() === 0) return client;
    client.close();
  } catch (error) {
    native.closeDescriptor(fd);
    throw error;
  }
  throw failed(what, 'it is a process of another user', { errno: 'EACCES' });
}

/** A connected socket; `undefined` when too many others are waiting there. */
function connect(path: string, what: string): number | undefined {
  const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) throw failed(what, `socket: ${errnoName(fd)}`, { errno: errnoName(fd), syscall: 'socket' });
  let result: number;
  try {
    result = native.connectSocket(fd, unixAddress(path));
  } catch (error) {
    native.closeDescriptor(fd);
    throw error;
  }
  if (result === 0) return fd;
  native.closeDescriptor(fd);
  if (result === AGAIN) return undefined;
  const errno = errnoName(result);
  throw failed(what, REASONS[errno] ?? `connect: ${errno}`, { errno, syscall: 'connect' });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket. Has it ended?',
  ECONNREFUSED: 'nobody listens there any more. Has it ended?',
  ENOTSOCK: 'it is no socket',
  EPROTOTYPE: 'it is a socket of another kind',
  EACCES: 'only the user who runs it controls it',
};

function notInTime(what: string, timeoutMs: number): VdensError {
  const message = `cannot control ${what}: it did not answer within ${timeoutMs / 1000} s. Is it stopped?`;
  return new VdensError('ERR_NETWORK_TIMEOUT', message);
}

function failed(what: string, why: string, details: { errno: string; syscall?: string }): VdensError {
  return new VdensError('ERR_NETWORK_OPEN', `cannot control ${what}: ${why}`, details);
}
