/**
 * A control socket: a Unix socket for the user who runs this process and nobody else. Its mode is 0600 from the start,
 * and whose process connects is looked at as well. What is said on it is in message.ts.
 */
import { VdensError } from '../errors.ts';
import { answers, listenAt, lookAt, type NamedSocket, notOurs, removeStale } from '../plugs/ptp-names.ts';
import { Acceptor } from '../system/acceptor.ts';
import { listenerOwner } from '../system/listener-owner.ts';
import { native } from '../system/native.ts';
import { peerProcess } from '../system/peer-process.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../system/unix-address.ts';
import { ControlConnection } from './connection.ts';
import type { ControlPeer, Operations } from './operation.ts';

const MODE = 0o600;
/** Programs that are connected at a time. */
export const MAX_CONTROL_CLIENTS = 64;
/** The longest request, in bytes, its end of line included. */
export const MAX_CONTROL_REQUEST_BYTES = 65_536;
/** Connections that the kernel keeps for us. */
const BACKLOG = 64;
/** Connections that are taken before others have their turn. */
const AT_ONCE = 16;

/** Where, and what can be asked; a function is called for each request. */
export interface ControlServerOptions {
  /** Of the socket, whose directory must be there. */
  readonly path: string;
  readonly operations: Operations | (() => Operations);
  /** What errors begin with. @defaultValue the path */
  readonly label?: string;
  /** Beside which the socket is bound before others can find it. @defaultValue the path */
  readonly bindPath?: string;
  /** What it belongs to, for another user who tries. @defaultValue `it` */
  readonly what?: string;
  /** @defaultValue {@link MAX_CONTROL_CLIENTS} */
  readonly maxClients?: number;
  /** @defaultValue {@link MAX_CONTROL_REQUEST_BYTES} */
  readonly maxRequestBytes?: number;
}

/** Serves a control socket. */
export class ControlServer {
  readonly path: string;
  readonly #label: string;
  readonly #what: string;
  readonly #operations: () => Operations;
  readonly #maxClients: number;
  readonly #maxRequestBytes: number;
  readonly #socket: NamedSocket;
  readonly #acceptor: Acceptor;
  readonly #clients = new Set<ControlConnection>();
  /** Those that are being told why not. */
  readonly #refused = new Set<ControlConnection>();
  #isClosed = false;

  /**
   * Serves from now on.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when somebody listens at the path (`EADDRINUSE`), something else is there, or
   * the directory does not take a socket
   */
  constructor(options: ControlServerOptions) {
    const { path, operations, label = path } = options;
    this.path = path;
    this.#label = label;
    this.#what = options.what ?? 'it';
    this.#operations = typeof operations === 'function' ? operations : () => operations;
    this.#maxClients = options.maxClients ?? MAX_CONTROL_CLIENTS;
    this.#maxRequestBytes = options.maxRequestBytes ?? MAX_CONTROL_REQUEST_BYTES;
    this.#socket = listen(label, path, options.bindPath ?? path);
    try {
      this.#acceptor = new Acceptor(this.#socket.fd, AT_ONCE, (connection) => this.#welcome(connection));
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** Lets go of all clients, and removes the name. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#acceptor.close();
    this.#socket.close();
    for (const client of [...this.#clients, ...this.#refused]) client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #welcome(connection: number): void {
    const peer = peerOf(connection);
    const refusal = this.#refusal(peer);
    const among = refusal === undefined ? this.#clients : this.#refused;
    if (among.size >= this.#maxClients) {
      native.closeDescriptor(connection);
      return;
    }
    const client = this.#serve(connection, peer, () => void among.delete(client!));
    if (client === undefined) return;
    among.add(client);
    if (refusal === undefined) client.begin();
    else client.refuse(refusal);
  }

  #serve(connection: number, peer: ControlPeer, gone: () => void): ControlConnection | undefined {
    const operations = this.#operations;
    try {
      return new ControlConnection(connection, { peer, operations, maxRequestBytes: this.#maxRequestBytes, gone });
    } catch {
      // No memory for it.
      native.closeDescriptor(connection);
      return undefined;
    }
  }

  #refusal({ uid }: ControlPeer): VdensError | undefined {
    if (!isOurUser(uid)) {
      const message = `${this.#label}: only the user who runs ${this.#what} controls it`;
      return new VdensError('ERR_NETWORK_OPEN', message, { errno: 'EACCES' });
    }
    if (this.#clients.size < this.#maxClients) return undefined;
    const message = `${this.#label}: ${this.#maxClients} programs control it at present. Try again later`;
    return new VdensError('ERR_NETWORK_OPEN', message, { errno: 'EAGAIN' });
  }
}

/** Who is not known. */
const NOBODY: ControlPeer = { pid: 0, uid: -1 };

/** The process at the other end of a connection; of one that we made, that which listens there. */
export function peerOf(connection: number): ControlPeer {
  return peerProcess(connection) ?? NOBODY;
}

/** Root may do everything anyway. */
export function isOurUser(uid: number): boolean {
  return uid === process.geteuid?.() || uid === 0;
}

function listen(label: string, path: string, bindPath: string): NamedSocket {
  const found = lookAt(path);
  if (found !== undefined) {
    if (!found.isSocket) throw notOurs(label, path);
    if (answers(label, path)) throw taken(label, path);
    removeStale(label, path, found.identity);
  }
  const socket = listenAt(label, bindPath, path, { type: SOCK_STREAM, mode: MODE, backlog: BACKLOG });
  if (socket === undefined) throw taken(label, path);
  return socket;
}

function taken(label: string, path: string): VdensError {
  const pid = listenerOf(path);
  const who = pid === undefined ? '' : ` (process ${pid})`;
  const message = `${label}: somebody listens at ${path} already${who}. Name another path for the control socket`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'EADDRINUSE' });
}

/**
 * The process that listens there, if it can be found out. It is not connected to: one that is stopped would have a
 * connection more to take, each time, until it has no room for those who want something.
 */
export function listenerOf(path: string): number | undefined {
  return listenerOwner(path)?.pid ?? listenerByConnecting(path);
}

/** Of a listener in another network namespace, or one that may not be looked into. */
function listenerByConnecting(path: string): number | undefined {
  const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return undefined;
  const isConnected = native.connectSocket(fd, unixAddress(path)) === 0;
  const { pid } = isConnected ? peerOf(fd) : NOBODY;
  native.closeDescriptor(fd);
  return pid > 0 ? pid : undefined;
}
