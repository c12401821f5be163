/**
 * A network over UDP while it is open: follows the underlay as it changes.
 *
 * ```
 * rtnetlink, a packet that could not leave, peers ──▶ look up interface and paths ──▶ join, targets, MTU, down or up
 * ```
 *
 * Sockets stay the same meanwhile, and so does what is known of the stations.
 */
import { VdensError } from '../errors.ts';
import { formatIp } from '../net/ip.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { RouteWatch } from '../system/route-watch.ts';
import { findPaths, fittingFrameBytes, indexOf, innerMtu, interfaceTo } from './path.ts';
import { PeerList, type PeerListOptions } from './peer-list.ts';
import { Tunnel, type TunnelOptions } from './tunnel.ts';
import { longestFrameBytes, TunnelPlug } from './tunnel-plug.ts';
import type { Underlay } from './underlay.ts';

/** How soon a packet that could not leave is told of again, in milliseconds. */
const UNREACHABLE_PAUSE_MS = 1000;
/** What a path is taken for while nobody can be reached. */
const USUAL_PATH_MTU = 1500;

/** What to open. */
export interface OverlayNetworkOptions {
  readonly label: string;
  readonly family: 4 | 6;
  readonly underlay: Underlay;
  readonly tunnel: TunnelOptions;
  readonly group?: SocketAddress | undefined;
  readonly peers?: PeerListOptions | undefined;
  readonly interfaceName?: string | undefined;
  /** Lets go of the underlay. */
  release(): void;
}

/** One network. */
export class OverlayNetwork {
  readonly #options: OverlayNetworkOptions;
  readonly #tunnel: Tunnel;
  readonly #peerList: PeerList | undefined;
  #peers: readonly SocketAddress[] = [];
  #plug: TunnelPlug | undefined;
  #watch: RouteWatch | undefined;
  /** Where the group was joined. */
  #joinedAt: number | undefined;
  /** Whether there is a way to the group. */
  #hasGroup = false;
  #interfaceIndex: number | undefined;
  #pathMtu = USUAL_PATH_MTU;
  /** Our addresses, as others see them. */
  #sources: ReadonlySet<string> = new Set();
  /** What came up before there was a plug to tell it. */
  readonly #troubles: VdensError[] = [];
  /** Reasons for which packets did not leave, as far as they were told. */
  readonly #told = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isStale = false;
  #isClosed = false;

  private constructor(options: OverlayNetworkOptions) {
    this.#options = options;
    this.#tunnel = new Tunnel(options.label, options.underlay, options.tunnel, {
      tooLong: (bytes) => this.#tellTooLong(bytes),
      fragmented: (bytes) => this.#tellFragmented(bytes),
      unreachable: (errno) => this.#tellUnreachable(errno),
    });
    if (options.peers === undefined) return;
    const peers = { ...options.peers, interfaceIndex: () => this.#interfaceIndex };
    this.#peerList = new PeerList(peers, {
      changed: (peers) => this.#takePeers(peers),
      trouble: (error) => this.#pass(error),
    });
  }

  /**
   * Opens it; what was given is closed when that fails.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when there is no way to the group, or no such interface
   */
  static async open(options: OverlayNetworkOptions, signal?: AbortSignal): Promise<TunnelPlug> {
    let network: OverlayNetwork;
    try {
      network = new OverlayNetwork(options);
    } catch (error) {
      options.release();
      throw error;
    }
    try {
      return await network.#open(signal);
    } catch (error) {
      network.#close();
      throw error;
    }
  }

  async #open(signal: AbortSignal | undefined): Promise<TunnelPlug> {
    const { label, family, tunnel } = this.#options;
    this.#watch = new RouteWatch(() => this.#look());
    await this.#followInterface();
    const groupProblem = await problemOf(this.#followGroup());
    if (groupProblem !== undefined && this.#peerList === undefined) throw groupProblem;
    if (groupProblem !== undefined) this.#tellOnce(groupProblem);
    signal?.throwIfAborted();
    this.#peers = (await this.#peerList?.start()) ?? [];
    signal?.throwIfAborted();
    this.#setTargets();
    this.#measure();
    const headerBytes = tunnel.header.length;
    this.#plug = new TunnelPlug({
      label,
      tunnel: this.#tunnel,
      maxFrameBytes: longestFrameBytes(headerBytes),
      mtu: innerMtu(this.#pathMtu, family, headerBytes),
      release: async () => this.#close(),
    });
    for (const error of this.#troubles.splice(0)) this.#plug.tell(error);
    return this.#plug;
  }

  /** The interface that was named, which may be another one than before. */
  async #followInterface(): Promise<void> {
    const { label, interfaceName, underlay } = this.#options;
    if (interfaceName === undefined) return;
    const index = await indexOf(label, interfaceName);
    if (index === this.#interfaceIndex || this.#isClosed) return;
    underlay.sendGroupsBy(index);
    underlay.sendBy(index);
    this.#interfaceIndex = index;
  }

  /** Joins the group at the interface that leads to it, which may be another one than before. */
  async #followGroup(): Promise<void> {
    const { label, group, underlay } = this.#options;
    if (group === undefined || this.#isClosed) return;
    this.#hasGroup = false;
    const index = await interfaceTo(label, group.address, this.#interfaceIndex);
    if (this.#isClosed) return;
    this.#hasGroup = true;
    if (index === this.#joinedAt) return;
    underlay.join(group.address, index);
    if (this.#joinedAt !== undefined) underlay.leave(group.address, this.#joinedAt);
    this.#joinedAt = index;
  }

  #setTargets(): void {
    const { group } = this.#options;
    this.#tunnel.setTargets(group === undefined ? this.#peers : [group, ...this.#peers]);
  }

  /** Returns whether anybody can be reached. */
  #measure(): boolean {
    const { label, family, group, tunnel } = this.#options;
    const reachableGroup = this.#hasGroup ? group : undefined;
    const paths = findPaths(label, {
      group: reachableGroup,
      peers: this.#peers,
      interfaceIndex: this.#interfaceIndex,
    });
    if (paths === undefined) return false;
    this.#pathMtu = paths.mtu;
    this.#tunnel.setFit(fittingFrameBytes(this.#pathMtu, family, tunnel.header.length));
    // Those who know us by an address that we have no longer would go on sending there.
    if (![...paths.sources].every((source) => this.#sources.has(source))) this.#tunnel.announce();
    this.#sources = paths.sources;
    return true;
  }

  #takePeers(peers: readonly SocketAddress[]): void {
    this.#peers = peers;
    this.#setTargets();
    this.#look();
  }

  /** Looks at the underlay, and once more when something changed meanwhile. */
  #look(): void {
    this.#isStale = true;
    if (!this.#isLooking) void this.#lookAgain();
  }

  async #lookAgain(): Promise<void> {
    this.#isLooking = true;
    while (this.#isStale && !this.#isClosed) {
      this.#isStale = false;
      try {
        await this.#adapt();
      } catch (error) {
        if (!(error instanceof VdensError)) throw error;
        this.#plug?.lose(withoutLabel(this.#options.label, error.message));
      }
    }
    this.#isLooking = false;
  }

  async #adapt(): Promise<void> {
    const before = this.#pathMtu;
    this.#options.underlay.refresh();
    this.#peerList?.refresh();
    await this.#followInterface();
    const groupProblem = await problemOf(this.#followGroup());
    if (this.#isClosed) return;
    const isReachable = this.#measure();
    if (this.#pathMtu !== before) this.#tunnel.listenAgain('fragmented');
    if (isReachable) {
      // With peers, it is not all that there is.
      if (groupProblem === undefined) this.#told.clear();
      else this.#tellOnce(groupProblem);
      if (this.#plug?.regain() === true) this.#tunnel.announce();
    } else if (groupProblem !== undefined) {
      throw groupProblem;
    } else if (this.#peers.length > 0) {
      this.#plug?.lose(`no route leads to ${nameSome(this.#peers)}`);
    }
  }

  #tellOnce(error: VdensError): void {
    if (this.#told.has(error.message)) return;
    this.#told.add(error.message);
    this.#pass(error);
  }

  #tellTooLong(bytes: number): void {
    const { label, family, tunnel } = this.#options;
    const largest = innerMtu(this.#pathMtu, family, tunnel.header.length);
    this.#tell(
      `${label}: frames of ${bytes} bytes are longer than a UDP packet can be, and are dropped. Use --mtu ${largest}`,
      String(bytes),
      'EMSGSIZE',
    );
  }

  #tellFragmented(bytes: number): void {
    const { label, family, tunnel } = this.#options;
    const fit = fittingFrameBytes(this.#pathMtu, family, tunnel.header.length);
    const largest = innerMtu(this.#pathMtu, family, tunnel.header.length);
    const why = `frames of ${bytes} bytes do not fit the path, which has room for ${fit}`;
    this.#tell(`${label}: ${why}, and leave in fragments, which is slow. Use --mtu ${largest}`, String(bytes));
  }

  /** The way may be another one now; if it is not, something is in the way. */
  #tellUnreachable(errno: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tunnel.listenAgain('unreachable'), UNREACHABLE_PAUSE_MS).unref();
    this.#look();
    if (this.#told.has(errno)) return;
    this.#told.add(errno);
    if (errno === 'EPERM' || errno === 'EACCES') {
      this.#tell(
        `${this.#options.label}: packets are not let out (${errno}). Look at this host's firewall: nft list ruleset`,
        undefined,
        errno,
      );
    }
  }

  #pass(error: VdensError): void {
    if (this.#plug === undefined) this.#troubles.push(error);
    else this.#plug.tell(error);
  }

  #tell(message: string, value?: string, errno?: string): void {
    const details = { ...(value === undefined ? {} : { value }), ...(errno === undefined ? {} : { errno }) };
    this.#pass(new VdensError('ERR_PATH', message, details));
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#watch?.close();
    this.#peerList?.close();
    this.#tunnel.close();
    const { group, underlay, release } = this.#options;
    if (group !== undefined && this.#joinedAt !== undefined) underlay.leave(group.address, this.#joinedAt);
    release();
  }
}

/** The error that a step ends with, if it is one for people. */
async function problemOf(step: Promise<void>): Promise<VdensError | undefined> {
  try {
    await step;
    return undefined;
  } catch (error) {
    if (error instanceof VdensError) return error;
    throw error;
  }
}

function nameSome(peers: readonly SocketAddress[]): string {
  return `${peers.length > 1 ? 'any of its peers, such as ' : ''}${formatIp(peers[0]!.address)}`;
}

function withoutLabel(label: string, message: string): string {
  return message.startsWith(`${label}: `) ? message.slice(label.length + 2) : message;
}
