/**
 * A listening unix socket that gives out its connections, and costs nothing while there is no descriptor for them.
 */
import { constants } from 'node:os';
import { VdensError } from '../errors.ts';
import { Acceptor } from '../system/acceptor.ts';
import { errnoName, native } from '../system/native.ts';
import type { SocketPermissions } from '../system/socket-permissions.ts';
import { AF_UNIX } from '../system/unix-address.ts';
import type { ClaimedDirectory } from './claimed-directory.ts';

/** How many connections the kernel keeps for us; who comes then waits, or is told to try again. */
const BACKLOG = 128;
/** Connections that are taken before others have their turn. */
const AT_ONCE = 64;
/** asm-generic/socket.h; Node.js has no names for them. */
const SOL_SOCKET = 1;
const SO_PEERGROUPS = 59;
/** Groups that are asked for at first, and at most (NGROUPS_MAX). */
const FEW_GROUPS = 64;
const MAX_GROUPS = 65536;

/** Who connected, as it was at that time. */
export interface PeerCredentials {
  /** 0 when the process is not visible from here. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** The other groups that it is in. */
  readonly groups: readonly number[];
}

/** Takes a connection: the descriptor belongs to it from now on. Must not throw. */
export type ConnectionHandler = (connection: number, peer: PeerCredentials) => void;

export interface ListenerOptions {
  readonly directory: ClaimedDirectory;
  /** The socket's name in it. */
  readonly name: string;
  /** `SOCK_STREAM` or `SOCK_SEQPACKET`. */
  readonly type: number;
  /** @defaultValue the directory's */
  readonly permissions?: SocketPermissions;
  readonly connected: ConnectionHandler;
}

export class Listener {
  readonly #directory: ClaimedDirectory;
  readonly #name: string;
  readonly #connected: ConnectionHandler;
  readonly #socket: number;
  readonly #acceptor: Acceptor;
  readonly #credentials = new Int32Array(3);
  #isClosed = false;

  /** @throws VdensError `ERR_NETWORK_OPEN` or `ERR_NATIVE`; nothing is left behind then */
  constructor(label: string, { directory, name, type, permissions, connected }: ListenerOptions) {
    this.#directory = directory;
    this.#name = name;
    this.#connected = connected;
    this.#socket = native.openSocket(AF_UNIX, type, 0);
    if (this.#socket < 0) throw failure(label, 'socket', this.#socket);
    try {
      const isListening = directory.listen(this.#socket, name, BACKLOG, permissions);
      if (!isListening) throw failure(label, 'bind', -constants.errno.EADDRINUSE);
      this.#acceptor = new Acceptor(this.#socket, AT_ONCE, (connection) => this.#welcome(connection));
    } catch (error) {
      directory.remove(name);
      native.closeDescriptor(this.#socket);
      throw error;
    }
  }

  /** Lets nobody in any more, and removes the name. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#acceptor.close();
    this.#directory.remove(this.#name);
    native.closeDescriptor(this.#socket);
  }

  #welcome(connection: number): void {
    if (native.peerCredentials(connection, this.#credentials) < 0) {
      native.closeDescriptor(connection);
      return;
    }
    const [pid = 0, uid = 0, gid = 0] = this.#credentials;
    // Ids are unsigned.
    this.#connected(connection, { pid, uid: uid >>> 0, gid: gid >>> 0, groups: peerGroups(connection) });
  }
}

/** The groups, besides the first one, of who connected, as they were then (SO_PEERGROUPS, unix(7)). */
function peerGroups(connection: number): readonly number[] {
  for (const count of [FEW_GROUPS, MAX_GROUPS]) {
    const groups = new Uint32Array(count);
    const bytes = native.getSocketOption(connection, SOL_SOCKET, SO_PEERGROUPS, new Uint8Array(groups.buffer));
    if (bytes >= 0) return [...groups.subarray(0, bytes / Uint32Array.BYTES_PER_ELEMENT)];
    if (errnoName(bytes) !== 'ERANGE') break;
  }
  return [];
}

function failure(label: string, syscall: string, result: number): VdensError {
  const errno = errnoName(result);
  const remedy =
    errno === 'EMFILE' || errno === 'ENFILE' ? 'Are there too many open files? See: ulimit -n' : 'Try again';
  const message = `${label}: cannot listen for those who join (${syscall}: ${errno}). ${remedy}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { errno, syscall });
}
