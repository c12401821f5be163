/** A connection to the management console of a switch, a wire filter and the like: a command at a time. */
import { statSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { VdensError } from '../errors.ts';
import { type ConsoleEvent, ConsoleReader } from './console-reader.ts';

/** Takes what the console says; nothing more is read until it is done. */
export type ConsoleListener = (events: readonly ConsoleEvent[], bytes: Buffer) => void | Promise<void>;

/** unix(7): `sun_path` without its final zero. */
const MAX_SOCKET_PATH_BYTES = 107;
/** A console reads so much at once, the end of the line included, and takes what is beyond for another command. */
const MAX_COMMAND_BYTES = 127;
/** How long whoever listens may take until its prompt. */
const GREETING_TIMEOUT_MS = 5000;

/** How long an answer may be silent: then a script learns that there is none, and a user that it takes long. */
export const ANSWER_SILENCE_MS = 10_000;

/** Who waits for the prompt. */
interface Turn {
  readonly done: (isPrompt: boolean) => void;
  readonly fail: (error: Error) => void;
  /** Starts its time anew. */
  readonly heard: () => void;
}

/** A console that has greeted. */
export class ConsoleSession {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #reader = new ConsoleReader();
  #listener: ConsoleListener = () => undefined;
  #turn: Turn | undefined;
  #isOver = false;
  readonly #ended: Promise<void>;

  private constructor(path: string, socket: Socket) {
    this.#path = path;
    this.#socket = socket;
    this.#ended = this.#readAll();
    // Whoever asks for it learns of a failure, and whoever waits for an answer.
    this.#ended.catch(() => undefined);
  }

  /**
   * Connects and waits for the prompt.
   *
   * @param listener - is told of everything from the greeting on
   * @throws {VdensError} `ERR_PATH` when the path is not that of a socket; `ERR_SWITCH` when nobody greets there
   */
  static async open(path: string, listener: ConsoleListener): Promise<ConsoleSession> {
    checkPath(path);
    const session = new ConsoleSession(path, await connect(path));
    session.#listener = listener;
    const wait = { silenceMs: GREETING_TIMEOUT_MS, what: 'did not greet' };
    if (await session.#untilPrompt(wait).catch((error: Error) => Promise.reject(notAConsole(path, error))))
      return session;
    const message = `console ${path}: the connection was closed before a prompt came. It may have as many as it takes; try again`;
    throw new VdensError('ERR_SWITCH', message, { value: path });
  }

  /** Settles when the other side has ended the session; rejects when reading failed. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Whom to tell from now on. */
  listen(listener: ConsoleListener): void {
    this.#listener = listener;
  }

  /**
   * Sends a command, and waits for the prompt.
   *
   * @param silenceMs - how long nothing may come, in milliseconds
   * @returns whether the session goes on
   * @throws {VdensError} `ERR_SWITCH` when it is too long, or not answered; `ERR_NETWORK_TIMEOUT`
   */
  async ask(command: string, silenceMs?: number): Promise<boolean> {
    const length = Buffer.byteLength(command);
    if (length > MAX_COMMAND_BYTES || command.includes('\n')) {
      const problem = command.includes('\n')
        ? `is not one line. Send several through a pipe: printf '%s\\n' ... | vde console ${this.#path}`
        : `has ${length} bytes, at most ${MAX_COMMAND_BYTES} are read. Shorten it`;
      throw new VdensError('ERR_USAGE', `console ${this.#path}: the command ${problem}`, { value: command });
    }
    if (this.#isOver) return false;
    const answered = this.#untilPrompt({ silenceMs, what: `did not answer "${command}"` });
    this.#socket.write(`${command}\n`);
    return answered;
  }

  close(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  #untilPrompt(wait: { readonly silenceMs: number | undefined; readonly what: string }): Promise<boolean> {
    const { silenceMs, what } = wait;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        const message = `console ${this.#path}: whoever listens ${what} within ${(silenceMs ?? 0) / 1000} s`;
        turn.fail(new VdensError('ERR_NETWORK_TIMEOUT', message, { value: this.#path }));
      };
      const timer = silenceMs === undefined ? undefined : setTimeout(giveUp, silenceMs);
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        if (this.#turn === turn) this.#turn = undefined;
        act();
      };
      const turn: Turn = {
        done: (isPrompt) => settle(() => resolve(isPrompt)),
        fail: (error) => settle(() => reject(error)),
        heard: () => void timer?.refresh(),
      };
      this.#turn = turn;
    });
  }

  async #readAll(): Promise<void> {
    try {
      for await (const bytes of this.#socket as AsyncIterable<Buffer>) {
        this.#turn?.heard();
        await this.#tell(this.#read(bytes), bytes);
      }
      await this.#tell(this.#reader.end(), Buffer.alloc(0));
    } catch (error) {
      if (this.#isOver || isReset(error)) return;
      this.#turn?.fail(error as Error);
      throw error;
    } finally {
      this.#isOver = true;
      this.#socket.destroy();
      this.#turn?.done(false);
    }
  }

  #read(bytes: Buffer): readonly ConsoleEvent[] {
    try {
      return this.#reader.read(bytes);
    } catch (error) {
      if (!(error instanceof VdensError)) throw error;
      throw new VdensError(error.code, `console ${this.#path}: ${error.message}`, { value: this.#path });
    }
  }

  async #tell(events: readonly ConsoleEvent[], bytes: Buffer): Promise<void> {
    await this.#listener(events, bytes);
    if (events.some(({ kind }) => kind === 'prompt')) this.#turn?.done(true);
  }
}

function checkPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (length > MAX_SOCKET_PATH_BYTES) {
    const message = `console ${path}: a socket's path has at most ${MAX_SOCKET_PATH_BYTES} bytes, this one has ${length}. Go to its directory and name it from there`;
    throw new VdensError('ERR_PATH', message, { value: path, errno: 'ENAMETOOLONG' });
  }
  try {
    const found = statSync(path);
    if (found.isSocket()) return;
    const what = found.isDirectory() ? 'it is a directory' : 'it is not a socket';
    throw new VdensError('ERR_PATH', `console ${path}: ${what}. ${WHERE}`, { value: path, errno: 'ENOTSOCK' });
  } catch (error) {
    if (error instanceof VdensError) throw error;
    throw cannotConnect(path, error as NodeJS.ErrnoException);
  }
}

const WHERE = 'The console of a switch is where its -M says: vde_switch -s /tmp/sw -M /tmp/sw.mgmt';

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('error', (error) => reject(cannotConnect(path, error)));
    socket.once('connect', () => resolve(socket));
  });
}

function cannotConnect(path: string, error: NodeJS.ErrnoException): VdensError {
  const errno = error.code ?? error.message;
  const known: Readonly<Record<string, string>> = {
    ENOENT: `there is no such file. ${WHERE}`,
    ENOTDIR: `there is no such file. ${WHERE}`,
    ECONNREFUSED: 'nobody listens there: what made it is gone. Start the switch anew',
    EACCES: 'it may not be opened. Ask its owner for --mgmtmode and --mgmtgroup',
    EPROTOTYPE: `it is a socket of another kind. ${WHERE}`,
    EAGAIN: 'too many wait for it already. Try again',
  };
  const { [errno]: clause = 'it cannot be opened' } = known;
  const [what, ...remedy] = clause.split('. ');
  const message = [`console ${path}: ${what} (${errno})`, ...remedy].join('. ');
  return new VdensError('ERR_PATH', message, { value: path, errno, cause: error });
}

function notAConsole(path: string, error: Error): Error {
  if (!(error instanceof VdensError) || error.code !== 'ERR_NETWORK_TIMEOUT') return error;
  return new VdensError('ERR_SWITCH', `${error.message}: that is no console. ${WHERE}`, { value: path });
}

/** The other side ended, and did not read all that we sent. */
function isReset(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '');
}
