/**
 * The management socket: a stream socket with a session for each who connects.
 *
 * A name that nobody answers for is taken over; one that somebody answers for is refused, and so is what is no socket.
 */
import { VdensError } from '../errors.ts';
import { answers, listenAt, lookAt, type NamedSocket, notOurs, removeStale } from '../plugs/ptp-names.ts';
import { Acceptor } from '../system/acceptor.ts';
import { native } from '../system/native.ts';
import { SOCK_STREAM } from '../system/unix-address.ts';
import { whoMakesRoom } from './crowding.ts';
import type { ConsoleService } from './session.ts';
import { SocketSession } from './socket-session.ts';
import { statusLine } from './status.ts';

/** Sessions at a time. */
export const MAX_CONSOLE_SESSIONS = 64;
/** Connections that the kernel keeps for us. */
const BACKLOG = 64;
/** Connections that are taken before others have their turn. */
const AT_ONCE = 16;

/** Who is not known. */
const NOBODY = 65_534;

/** Who may manage. */
export interface ConsolePermissions {
  /** Permission bits of the socket. */
  readonly mode: number;
  /** Its group, as a number. */
  readonly group?: number | undefined;
}

export class ConsoleServer {
  readonly path: string;
  readonly #service: ConsoleService;
  readonly #socket: NamedSocket;
  readonly #acceptor: Acceptor;
  /** In the order in which they came. */
  readonly #sessions = new Set<SocketSession>();
  readonly #credentials = new Int32Array(3);
  #isClosed = false;

  /**
   * Serves from now on.
   *
   * @param label what errors begin with
   * @throws VdensError `ERR_NETWORK_OPEN` when somebody listens at the path, something else is there, or the directory
   * does not take a socket
   */
  constructor(label: string, path: string, permissions: ConsolePermissions, service: ConsoleService) {
    this.path = path;
    this.#service = service;
    this.#socket = listen(label, path, permissions);
    try {
      this.#acceptor = new Acceptor(this.#socket.fd, AT_ONCE, (connection) => this.#welcome(connection));
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** How many sessions there are. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Whether anybody wants to be told of anything whose path begins with the prefix. */
  wants(prefix: string): boolean {
    return [...this.#sessions].some((session) => session.wants(prefix));
  }

  /** Tells all who want to know that something happened. */
  tell(path: string, text: string): void {
    for (const session of [...this.#sessions]) session.tell(path, text);
  }

  /** Ends all sessions, and removes the name. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#acceptor.close();
    this.#socket.close();
    for (const session of [...this.#sessions]) session.finish();
  }

  #welcome(connection: number): void {
    const uid = native.peerCredentials(connection, this.#credentials) < 0 ? NOBODY : (this.#credentials[1] ?? 0) >>> 0;
    if (this.#sessions.size >= MAX_CONSOLE_SESSIONS && !this.#makeRoom(uid)) {
      native.send(connection, Buffer.from(`${statusLine('EAGAIN')}\n`));
      native.closeDescriptor(connection);
      return;
    }
    const gone = (): void => void this.#sessions.delete(session);
    const session: SocketSession = new SocketSession(connection, uid, this.#service, gone);
    this.#sessions.add(session);
  }

  #makeRoom(uid: number): boolean {
    const session = whoMakesRoom([...this.#sessions], uid);
    session?.close();
    return session !== undefined && this.#sessions.delete(session);
  }
}

function listen(label: string, path: string, { mode, group }: ConsolePermissions): NamedSocket {
  const found = lookAt(path);
  if (found !== undefined) {
    if (!found.isSocket) throw notOurs(label, path);
    if (answers(label, path)) throw taken(label, path);
    removeStale(label, path, found.identity);
  }
  const socket = listenAt(label, path, path, { type: SOCK_STREAM, mode, backlog: BACKLOG, group });
  if (socket === undefined) throw taken(label, path);
  return socket;
}

function taken(label: string, path: string): VdensError {
  const message = `${label}: somebody listens at ${path} already. Name another path for the management socket`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'EADDRINUSE' });
}
