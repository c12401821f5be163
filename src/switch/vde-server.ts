/**
 * The serving side of a switch directory: whoever asks on `DIR/ctl` gets a port, which comes out here as a plug.
 *
 * ```
 * client                                     here
 *   │ binds a datagram socket
 *   │ connects to DIR/ctl   ───────────────▶ accept, who is it?
 *   │ request: my socket    ───────────────▶ a socket of our own, connected to that, called DIR/fdN, say: the port
 *   │ connects to DIR/fdN   ◀─────────────── answer: 110 bytes, the address of it
 *   │ frames                ◀──────────────▶ frames
 *   │ control connection ends ─────────────▶ `down`
 * ```
 *
 * Frames are forwarded elsewhere. What is no request, or names a socket that is not the client's, is refused: there is
 * no word for that but closing the connection.
 */
import { join } from 'node:path';
import { MAX_FRAME_BYTES } from '../frames/batch.ts';
import type { GoneReasons, SocketPlug } from '../plugs/socket-plug.ts';
import { PRIVATE_SOCKET } from '../plugs/vde.ts';
import { errnoName, native } from '../system/native.ts';
import { SOCK_STREAM, UNIX_ADDRESS_BYTES, unixAddress } from '../system/unix-address.ts';
import { withFrameLimit } from '../wire/frame-limit.ts';
import type { VdeRequest } from '../wire/vde-request.ts';
import { type ClaimedDirectory, CONTROL_NAME, type SocketPermissions } from './claimed-directory.ts';
import { ClientPlug } from './client-plug.ts';
import { connectToClient } from './client-socket.ts';
import { HalfOpen } from './half-open.ts';
import { Listener, type PeerCredentials } from './listener.ts';
import { LONGEST_NAME_BYTES } from './rendezvous.ts';

const SOCK_SEQPACKET = 5;
/** Clients that have connected and not asked yet; then the one that waits longest is closed. */
export const MAX_HALF_OPEN = 64;
/** How often it is looked whether the directory is still the one that others find, in milliseconds. */
export const CHECK_MS = 1000;
/** How often in a row it is tried to make our socket in the directory again. */
export const MAX_RESTORES = 10;
/** A power of ten, so that the last digits alone go round as well. */
const MAX_DATA_NAMES = 100_000;
const PRIVATE_MODE = 0o600;

const REASONS: GoneReasons = {
  closed: 'the client closed its socket',
  left: 'the client left',
  babbles: 'the client says what no client says',
};

/** Who is at a port. */
export interface VdeClient extends PeerCredentials {
  /** What it says of itself: one line, safe to print; may be empty. */
  readonly description: string;
  /** The number of the port that it asks for; `undefined` for any. */
  readonly wantedPort: number | undefined;
  /** The path of our data socket, by which the client knows its port. */
  readonly dataPath: string;
}

/** The socket of ours that a client gets to know its port by. */
export interface Admission {
  /** What its name begins with, before a number; `fd` or three digits and a dot. @defaultValue `fd` */
  readonly prefix?: string;
  /** What is not said is as in the directory. */
  readonly permissions?: Partial<SocketPermissions>;
}

/** What happens at the directory. None of these may throw. */
export interface VdeServerEvents {
  /**
   * Asked before a client gets a port, at once after which it is `accepted` if nothing goes wrong. Returns a clause that
   * says why it gets none, if that is so. @defaultValue everybody gets one
   */
  admit?(wantedPort: number | undefined, peer: PeerCredentials): Admission | string;
  /**
   * A client has a port, and is told so afterwards unless the plug was closed. Whoever takes the plug starts it at once,
   * and closes it when it is `down` or no longer wanted: that removes its socket and tells the client.
   */
  accepted(plug: SocketPlug, client: VdeClient): void;
  /** A process of our own user connected to `DIR/.vdens` (seqpacket, non-blocking); the descriptor is the callee's. */
  privateConnection?(connection: number, peer: PeerCredentials): void;
  /** Nobody finds us any more: the directory was removed or replaced, or our socket in it. Said once. */
  lost?(reason: string): void;
  /**
   * Our socket was removed or replaced, in a directory that is still ours, and has been made again. Without anybody who
   * wants to know that, it is not made again, but `lost`. So it is when somebody else listens there.
   */
  restored?(reason: string): void;
  /** A client was refused; `reason` is a clause for people. */
  refused?(reason: string, peer: PeerCredentials): void;
}

export class VdeServer {
  readonly label: string;
  readonly directory: ClaimedDirectory;
  readonly #events: VdeServerEvents;
  readonly #listeners: Listener[] = [];
  #control: Listener | undefined;
  readonly #halfOpen = new Set<HalfOpen>();
  readonly #timer: NodeJS.Timeout;
  #nextName = 1;
  /** Attempts to make our socket again, since it was there last. */
  #restores = 0;

  /**
   * Begins to serve.
   *
   * @param directory stays the caller's, who releases it after {@link close}
   * @throws VdensError `ERR_NETWORK_OPEN` or `ERR_NATIVE`
   */
  constructor(label: string, directory: ClaimedDirectory, events: VdeServerEvents) {
    this.label = label;
    this.directory = directory;
    this.#events = events;
    try {
      // First, so that who has a port finds it.
      if (events.privateConnection !== undefined) this.#listenToOurOwn();
      this.#control = this.#listen();
    } catch (error) {
      for (const listener of this.#listeners) listener.close();
      throw error;
    }
    this.#timer = setInterval(() => this.#check(), CHECK_MS).unref();
  }

  /** How many clients have connected and not asked yet. */
  get halfOpen(): number {
    return this.#halfOpen.size;
  }

  /** Lets nobody in any more. The plugs that were given out live on. Idempotent. */
  close(): void {
    clearInterval(this.#timer);
    this.#control?.close();
    for (const listener of this.#listeners) listener.close();
    for (const halfOpen of [...this.#halfOpen]) halfOpen.abandon('the switch ends');
  }

  #listen(): Listener {
    const connected = (control: number, peer: PeerCredentials): void => this.#receive(control, peer);
    return new Listener(this.label, { directory: this.directory, name: CONTROL_NAME, type: SOCK_STREAM, connected });
  }

  #listenToOurOwn(): void {
    const connected = (connection: number, peer: PeerCredentials): void => {
      if (peer.uid === process.geteuid?.()) this.#events.privateConnection?.(connection, peer);
      else native.closeDescriptor(connection);
    };
    const { directory } = this;
    const permissions = { mode: PRIVATE_MODE };
    this.#listeners.push(
      new Listener(this.label, { directory, name: PRIVATE_SOCKET, type: SOCK_SEQPACKET, permissions, connected }),
    );
  }

  #receive(control: number, peer: PeerCredentials): void {
    const halfOpen = new HalfOpen(control, (request, reason) => {
      this.#halfOpen.delete(halfOpen);
      const problem = request === undefined ? reason : this.#serve(control, peer, request);
      if (request !== undefined && problem === undefined) return;
      native.closeDescriptor(control);
      if (problem !== undefined) this.#events.refused?.(problem, peer);
    });
    this.#halfOpen.add(halfOpen);
    halfOpen.start();
    if (this.#halfOpen.size <= MAX_HALF_OPEN) return;
    const [oldest] = this.#halfOpen;
    oldest?.abandon('too many others have connected and not asked');
  }

  /**
   * Gives the client a port, and tells it then: what it does once it knows comes after that. What others send to it
   * meanwhile waits in its socket. Returns undefined, or a clause that says why not; the connection is the caller's then.
   */
  #serve(control: number, peer: PeerCredentials, request: VdeRequest): string | undefined {
    const admission = this.#events.admit?.(request.port, peer) ?? {};
    if (typeof admission === 'string') return admission;
    const data = connectToClient(request.address, peer);
    if (typeof data === 'string') return data;
    let name: string | undefined;
    let plug: ClientPlug;
    try {
      name = this.#bind(data, admission);
      plug = this.#makePlug(control, data, name);
    } catch (error) {
      native.closeDescriptor(data);
      if (name !== undefined) this.directory.remove(name);
      return (error as Error).message;
    }
    const { description, port: wantedPort } = request;
    const dataPath = join(this.directory.path, name);
    this.#events.accepted(plug, { description, ...peer, wantedPort, dataPath });
    // The connection is the plug's, and closed with it.
    const problem = plug.isUp ? answer(control, dataPath) : 'there is no port for it';
    if (problem === undefined) return undefined;
    plug.lose(problem);
    this.#events.refused?.(problem, peer);
    return undefined;
  }

  #makePlug(control: number, data: number, name: string): ClientPlug {
    // What a client cannot take it cuts, and knows: its interface has a smaller MTU than others of the network.
    const options = { data, control, maxFrameBytes: MAX_FRAME_BYTES, reasons: REASONS };
    return new ClientPlug(`${this.label}/${name}`, options, () => this.directory.remove(name));
  }

  #bind(data: number, { prefix = 'fd', permissions }: Admission): string {
    // Else the name would be made in a directory that is not ours.
    if (!this.directory.isStillOurs()) throw new Error('the directory is not ours any more');
    const names = 10 ** (LONGEST_NAME_BYTES - 1 - prefix.length);
    for (let tries = 0; tries < names; tries++) {
      const name = `${prefix}${this.#nextName % names}`;
      this.#nextName = (this.#nextName + 1) % MAX_DATA_NAMES;
      if (this.directory.bind(data, name, { ...this.directory.permissions, ...permissions })) return name;
    }
    throw new Error('there is no name left for its socket');
  }

  #check(): void {
    const { directory } = this;
    if (this.#control !== undefined && directory.isStillOurs()) return;
    if (this.#events.restored !== undefined && directory.isInPlace && this.#restore()) return;
    clearInterval(this.#timer);
    this.#events.lost?.(`the directory ${directory.path}, or the socket in it, was removed or replaced`);
  }

  /** Makes our socket again, now or at the next look. Returns whether there is hope. */
  #restore(): boolean {
    this.#control?.close();
    this.#control = undefined;
    if (++this.#restores > MAX_RESTORES || !this.directory.clear(CONTROL_NAME)) return false;
    try {
      this.#control = this.#listen();
    } catch {
      return true;
    }
    this.#restores = 0;
    this.#events.restored?.(`${CONTROL_NAME} was removed or replaced, and has been made again`);
    return true;
  }
}

/** Tells a client the address of its port. Returns a clause that says why that is not possible, if so. */
function answer(control: number, dataPath: string): string | undefined {
  const sent = native.send(control, withFrameLimit(unixAddress(dataPath), MAX_FRAME_BYTES));
  if (sent === UNIX_ADDRESS_BYTES) return undefined;
  return `it does not take the answer (${errnoName(Math.min(sent, -1))})`;
}
