/**
 * The host's side of services in the guests' network: for each connection of a guest, one to a Unix socket, or a command
 * of its own that speaks with the guest on its standard input and output.
 *
 * Commands run as the user that the gateway is, in its working directory, with its standard error. Keyboard signals do
 * not reach them; they see the end of their input when the guest has said all, and do not outlive the gateway.
 */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { runSupervised } from '../system/launcher.ts';
import { native } from '../system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../system/unix-address.ts';
import type { ServiceForward } from './gateway-config.ts';

/** Commands that run at a time. */
export const MAX_SERVICE_COMMANDS = 256;
/** How long a command has between SIGTERM and SIGKILL when the gateway is closed. */
const TERMINATE_MS = 500;

const { EAGAIN, ECONNREFUSED, EMFILE, ENAMETOOLONG } = constants.errno;

/** Makes the connections, and ends the commands. */
export class ServiceConnections {
  readonly #commands = new Map<ChildProcess, Promise<void>>();
  /** Those whose connections are there, by what the gateway calls them. */
  readonly #connected = new Map<number, ChildProcess>();
  #closed = false;

  /** How many commands run. */
  get commandCount(): number {
    return this.#commands.size;
  }

  /**
   * The host's end of one connection: a non-blocking stream socket, closed when a program is executed, which is the
   * caller's; or `-errno`. -EAGAIN: there are too many at present.
   *
   * @param token by which {@link end} says that the connection is over
   */
  open({ to }: ServiceForward, token?: number): number {
    if (this.#closed) return -ECONNREFUSED;
    return to.kind === 'unix' ? connectUnix(to.path) : this.#run(to.words, token);
  }

  /** A connection is over: its command is told by SIGHUP, as by a terminal that is closed, and killed if it stays. */
  end(token: number): void {
    const child = this.#connected.get(token);
    this.#connected.delete(token);
    if (child === undefined || !this.#commands.has(child)) return;
    child.kill('SIGHUP');
    const timer = setTimeout(() => child.kill('SIGKILL'), TERMINATE_MS);
    child.once('exit', () => clearTimeout(timer));
  }

  /** Ends all commands, and resolves when they have. Connections stay whoever's they are. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const signal = (name: NodeJS.Signals): void => {
      for (const child of this.#commands.keys()) child.kill(name);
    };
    signal('SIGTERM');
    // Its supervisor gone, the kernel kills the command too.
    const timer = setTimeout(signal, TERMINATE_MS, 'SIGKILL');
    await Promise.all(this.#commands.values());
    clearTimeout(timer);
  }

  #run(words: readonly string[], token?: number): number {
    if (this.#commands.size >= MAX_SERVICE_COMMANDS) return -EAGAIN;
    const ends = new Int32Array(2);
    const result = native.openSocketPair(SOCK_STREAM, ends);
    if (result < 0) return result;
    const [ours = -1, its = -1] = ends;
    try {
      this.#keep(runSupervised(words, { stdio: [its, its, 'inherit'] }), token);
      return ours;
    } catch {
      native.closeDescriptor(ours);
      return -EMFILE;
    } finally {
      native.closeDescriptor(its);
    }
  }

  #keep(child: ChildProcess, token?: number): void {
    if (token !== undefined) this.#connected.set(token, child);
    const ended = new Promise<void>((resolve) => {
      // One that was never started has no status: the guest sees the end of the connection.
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
    const kept = ended.then(() => {
      this.#commands.delete(child);
      if (token !== undefined) this.#connected.delete(token);
    });
    this.#commands.set(child, kept);
  }
}

function connectUnix(path: string): number {
  const address = addressOf(path);
  if (address === undefined) return -ENAMETOOLONG;
  const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  // A Unix socket answers at once: EAGAIN says that its queue is full, not that it will be.
  const result = native.connectSocket(fd, address);
  if (result >= 0) return fd;
  native.closeDescriptor(fd);
  return result;
}

function addressOf(path: string): Uint8Array | undefined {
  try {
    return unixAddress(path);
  } catch {
    return undefined;
  }
}
