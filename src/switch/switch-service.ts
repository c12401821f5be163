/**
 * A switch that is served in a directory: every client there has a port of it.
 *
 * A client of our own, of the same user, may hand its TAP over (plugs/handover.ts): then its frames come from, and go
 * to, that TAP in place of its socket, until it takes the TAP back or leaves.
 */
import { ImpairedPlug } from '../impairment/impaired-plug.ts';
import { type Cable, cable } from '../plugs/cable.ts';
import { PlugCounters } from '../plugs/counters.ts';
import { type ForeignTap, HandoverChannel, isHandoverWanted } from '../plugs/handover.ts';
import type { Line } from '../plugs/line.ts';
import type { Plug } from '../plugs/plug.ts';
import type { SocketPlug } from '../plugs/socket-plug.ts';
import { native } from '../system/native.ts';
import { unixPath } from '../system/unix-address.ts';
import type { ClaimedDirectory } from './claimed-directory.ts';
import type { PeerCredentials } from './listener.ts';
import type { ManagedSwitchApi } from './managed/managed-switch-api.ts';
import { openServices } from './open-services.ts';
import { OrdinaryPorts, type PortLease, type PortPolicy } from './port-policy.ts';
import { claimDirectory, type RendezvousOptions } from './rendezvous.ts';
import type { Switch } from './switch.ts';
import type { SwitchPort } from './switch-port.ts';
import { type VdeClient, VdeServer } from './vde-server.ts';

/** How many channels for handing TAPs over a process may have for each of its ports. */
const CHANNELS_PER_PORT = 2;

/** How to serve. */
export interface SwitchServiceOptions extends RendezvousOptions {
  /** Called when others do not find us any more; the reason is one clause. The clients have been let go of. */
  readonly lost?: (reason: string) => void;
  /**
   * Called when somebody had removed or replaced our socket in the directory, and it was made again. Without this, all
   * clients are let go of then.
   */
  readonly restored?: (reason: string) => void;
  /** Whether clients exchange no frames with each other, only with the other ports of the switch. @defaultValue false */
  readonly areClientsApart?: boolean;
}

/** A port that a client has. */
interface Client {
  readonly plug: ImpairedPlug;
  readonly port: SwitchPort;
  readonly lease: PortLease;
  readonly cable: Cable;
  readonly pid: number;
  readonly uid: number;
  /** Over which its TAP was handed over. */
  channel: HandoverChannel | undefined;
  /** Over which it was offered last. */
  lastChannel: HandoverChannel | undefined;
  /** What its TAPs counted, the ones that were handed over. */
  readonly taps: PlugCounters;
}

/** A port that a client has, for those who look. */
export interface ServedPort {
  readonly port: SwitchPort;
  /** What counted at the client's end of the port's cable: frames that were dropped there are not known to the port. */
  readonly ends: readonly PlugCounters[];
  /** The client's end of the cable. */
  readonly plug: Plug;
  /** The client's process and its user. */
  readonly pid: number;
  readonly uid: number;
}

export class SwitchService {
  readonly #ports: PortPolicy;
  readonly #directory: ClaimedDirectory;
  readonly #server: VdeServer;
  /** By the path of the data socket. */
  readonly #clients = new Map<string, Client>();
  /** With the process at the other end. */
  readonly #channels = new Map<HandoverChannel, number>();
  #closed = false;

  private constructor(ports: PortPolicy, label: string, directory: ClaimedDirectory, options: SwitchServiceOptions) {
    this.#ports = ports;
    this.#directory = directory;
    const lost = (reason: string): void => {
      void this.close();
      options.lost?.(reason);
    };
    this.#server = new VdeServer(label, directory, {
      admit: (wantedPort, peer) => (this.#closed ? 'the switch ends' : ports.admit(wantedPort, peer)),
      accepted: (plug, client) => this.#welcome(plug, client),
      ...(isHandoverWanted()
        ? { privateConnection: (fd: number, { pid }: PeerCredentials) => this.#openChannel(fd, pid) }
        : {}),
      lost,
      ...(options.restored === undefined ? {} : { restored: options.restored }),
    });
    openServices.add(this);
  }

  /**
   * Serves a switch in a directory.
   *
   * @param ports the switch, which gives a port to whoever comes, or what decides about that
   * @returns `undefined` when somebody else does, or is about to
   * @throws VdensError `ERR_NETWORK_OPEN` when the directory is no place for a switch of ours
   */
  static async start(
    ports: Switch | PortPolicy,
    label: string,
    path: string,
    options: SwitchServiceOptions = {},
  ): Promise<SwitchService | undefined> {
    const claim = await claimDirectory(label, path, options);
    if (claim.kind === 'served') return undefined;
    try {
      const policy = 'admit' in ports ? ports : new OrdinaryPorts(ports, options.areClientsApart);
      return new SwitchService(policy, label, claim.directory, options);
    } catch (error) {
      claim.release();
      throw error;
    }
  }

  /** The directory, without links. */
  get path(): string {
    return this.#directory.path;
  }

  /** The switch. */
  get segment(): Switch {
    return this.#ports.segment;
  }

  /** The same, when it is a managed one. */
  get managed(): ManagedSwitchApi | undefined {
    return this.#ports.managed;
  }

  /** The clients' ports, by number. */
  get ports(): readonly ServedPort[] {
    return [...this.#clients.values()]
      .map(({ port, plug, taps, pid, uid }) => ({ port, ends: [plug.counters, taps], plug, pid, uid }))
      .sort((a, b) => a.port.number - b.port.number);
  }

  /** Lets go of all clients, and of the directory, which somebody else may serve then. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    openServices.delete(this);
    this.#server.close();
    for (const channel of [...this.#channels.keys()]) channel.close();
    await Promise.all([...this.#clients.keys()].map((path) => this.#dismiss(path)));
    this.#directory.release();
  }

  #welcome(plug: SocketPlug, client: VdeClient): void {
    if (!this.#closed && this.#giveOutPort(plug, client)) return;
    void plug.close();
  }

  /** Returns whether it was possible: the process may be out of memory or descriptors. */
  #giveOutPort(plug: SocketPlug, client: VdeClient): boolean {
    const { dataPath, pid, uid } = client;
    const dismiss = (): void => void this.#dismiss(dataPath);
    let lease: PortLease | undefined;
    try {
      lease = this.#ports.open(client, dismiss);
      const { port } = lease;
      const impaired: ImpairedPlug = new ImpairedPlug(plug, {
        // What it has handed over is not to be the way round.
        needed: () => this.#clients.get(dataPath)?.channel?.giveBack(),
        unneeded: () => this.#clients.get(dataPath)?.lastChannel?.invite(),
      });
      const joined = cable(impaired, port, {
        down: () => {
          if (!impaired.isOnlyCut) dismiss();
        },
      });
      const taps = new PlugCounters();
      const channels = { channel: undefined, lastChannel: undefined };
      this.#clients.set(dataPath, { plug: impaired, port, lease, cable: joined, pid, uid, taps, ...channels });
      return true;
    } catch {
      void lease?.port.close();
      lease?.ended();
      return false;
    }
  }

  async #dismiss(dataPath: string): Promise<void> {
    const client = this.#clients.get(dataPath);
    if (client === undefined) return;
    this.#clients.delete(dataPath);
    client.channel?.close();
    const closing = Promise.all([client.port.close(), client.plug.close()]);
    client.lease.ended();
    await closing;
  }

  #openChannel(fd: number, pid: number): void {
    if (!this.#mayOpenChannel(pid)) {
      native.closeDescriptor(fd);
      return;
    }
    const channel: HandoverChannel = new HandoverChannel(fd, {
      offered: (tap, address) => this.#take(tap, unixPath(address), channel),
      ended: () => this.#channels.delete(channel),
    });
    this.#channels.set(channel, pid);
  }

  /** A process has a channel for each of its ports, and that of a port that it just left may not have ended yet. */
  #mayOpenChannel(pid: number): boolean {
    const channels = [...this.#channels.values()].filter((other) => other === pid).length;
    const ports = [...this.#clients.values()].filter((client) => client.pid === pid).length;
    return channels < CHANNELS_PER_PORT * ports;
  }

  /** Moves the client's frames from and to its TAP. */
  #take(tap: ForeignTap, dataPath: string, channel: HandoverChannel): Line | undefined {
    const client = this.#clients.get(dataPath);
    if (client === undefined || client.uid !== process.geteuid?.()) return undefined;
    if (client.pid !== this.#channels.get(channel) || client.channel !== undefined) return undefined;
    client.lastChannel = channel;
    if (client.plug.isNeeded) return undefined;
    client.cable.releaseLine();
    const endCounting = client.taps.follow(tap.counters);
    const line = client.port.adopt(tap);
    if (line === undefined) {
      endCounting();
      client.cable.layLine();
      return undefined;
    }
    client.channel = channel;
    return { close: () => this.#giveBack(client, line, endCounting) };
  }

  #giveBack(client: Client, line: Line, endCounting: () => void): void {
    line.close();
    endCounting();
    client.channel = undefined;
    if (!this.#closed) client.cable.layLine();
  }
}
