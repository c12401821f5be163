/**
 * The control socket of a gateway: forwards are added, listed and removed there while it runs.
 *
 * It is a Unix socket for the user who runs the gateway and nobody else: its mode is 0600 from the start, and whose
 * process connects is looked at as well. What is said on it is in control-message.ts.
 */
import { constants } from 'node:os';
import { VdensError } from '../errors.ts';
import { answers, listenAt, lookAt, type NamedSocket, notOurs, removeStale } from '../plugs/ptp-names.ts';
import { AGAIN, native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import { SOCK_STREAM } from '../system/unix-address.ts';
import { ControlClient } from './control-client.ts';
import { type ControlRequest, forwardOf } from './control-message.ts';
import type { ForwardInfo, Forwards } from './forwards.ts';

const MODE = 0o600;
/** Programs that are connected at a time. */
export const MAX_CONTROL_CLIENTS = 16;
/** Connections that the kernel keeps for us. */
const BACKLOG = 64;
/** Connections that are taken before others have their turn. */
const AT_ONCE = 16;
/** How long to wait when there are no descriptors for another connection. */
const PAUSE_MS = 1000;

const { ECONNABORTED, EINTR } = constants.errno;

/** What can be done with the forwards. */
export type ForwardsInUse = Pick<Forwards, 'add' | 'list' | 'remove'>;

/** Serves the control socket. */
export class GatewayControl {
  readonly #label: string;
  readonly #forwards: ForwardsInUse;
  readonly #socket: NamedSocket;
  readonly #watch: Watch;
  readonly #clients = new Set<ControlClient>();
  /** Those that are being told why not. */
  readonly #refused = new Set<ControlClient>();
  readonly #credentials = new Int32Array(3);
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /**
   * Serves from now on.
   *
   * @param label what errors begin with: the network that it is
   * @throws VdensError `ERR_NETWORK_OPEN` when somebody listens at the path, something else is there, or the directory
   * does not take a socket
   */
  constructor(label: string, path: string, forwards: ForwardsInUse) {
    this.#label = label;
    this.#forwards = forwards;
    this.#socket = listen(label, path);
    try {
      this.#watch = new Watch(this.#socket.fd, READABLE, () => this.#accept());
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** Lets go of all clients, and removes the name. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#watch.end();
    this.#socket.close();
    for (const client of [...this.#clients, ...this.#refused]) client.close();
  }

  #accept(): void {
    for (let i = 0; i < AT_ONCE && !this.#isClosed; i++) {
      const connection = native.accept(this.#socket.fd);
      if (connection >= 0) this.#welcome(connection);
      else if (connection !== -ECONNABORTED && connection !== -EINTR) {
        if (connection !== AGAIN) this.#pause();
        return;
      }
    }
  }

  #welcome(connection: number): void {
    const refusal = this.#refusal(connection);
    const among = refusal === undefined ? this.#clients : this.#refused;
    if (among.size >= MAX_CONTROL_CLIENTS) {
      native.closeDescriptor(connection);
      return;
    }
    const client = new ControlClient(connection, {
      ask: (request) => this.#do(request),
      gone: () => void among.delete(client),
    });
    among.add(client);
    if (refusal !== undefined) client.refuse(refusal);
  }

  #refusal(connection: number): VdensError | undefined {
    if (native.peerCredentials(connection, this.#credentials) < 0 || !isOurUser((this.#credentials[1] ?? -1) >>> 0)) {
      const message = `${this.#label}: only the user who runs the gateway controls it`;
      return new VdensError('ERR_NETWORK_OPEN', message, { errno: 'EACCES' });
    }
    if (this.#clients.size < MAX_CONTROL_CLIENTS) return undefined;
    const message = `${this.#label}: ${MAX_CONTROL_CLIENTS} programs control it at present. Try again later`;
    return new VdensError('ERR_NETWORK_OPEN', message, { errno: 'EAGAIN' });
  }

  #do(request: ControlRequest): readonly ForwardInfo[] {
    switch (request.do) {
      case 'add':
        return [this.#forwards.add(forwardOf(request))];
      case 'list':
        return this.#forwards.list();
      case 'remove':
        return [this.#remove(request.id)];
    }
  }

  #remove(id: number): ForwardInfo {
    const found = this.#forwards.list().find((forward) => forward.id === id);
    if (found === undefined) {
      throw new VdensError('ERR_USAGE', `${this.#label}: there is no forward ${id}`, { value: String(id) });
    }
    this.#forwards.remove(id);
    return found;
  }

  /** The connections stay in the kernel's queue, where they would make the socket readable all the time. */
  #pause(): void {
    this.#watch.events = 0;
    this.#timer = setTimeout(() => {
      this.#watch.events = READABLE;
    }, PAUSE_MS);
  }
}

/** Root may do everything anyway. */
function isOurUser(uid: number): boolean {
  return uid === process.geteuid?.() || uid === 0;
}

function listen(label: string, path: string): NamedSocket {
  const found = lookAt(path);
  if (found !== undefined) {
    if (!found.isSocket) throw notOurs(label, path);
    if (answers(label, path)) throw taken(label, path);
    removeStale(label, path, found.identity);
  }
  const socket = listenAt(label, path, path, { type: SOCK_STREAM, mode: MODE, backlog: BACKLOG });
  if (socket === undefined) throw taken(label, path);
  return socket;
}

function taken(label: string, path: string): VdensError {
  const message = `${label}: somebody listens at ${path} already. Name another path for the control socket`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'EADDRINUSE' });
}
