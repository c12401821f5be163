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
import { formatIp, SMALLEST_IPV6_MTU } from '../net/ip.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { findLink } from '../system/route-query.ts';
import { RouteWatch } from '../system/route-watch.ts';
import { Membership } from './membership.ts';
import { findPaths, fittingFrameBytes, indexOf, innerMtu, interfaceTo } from './path.ts';
import { PeerList, type PeerListOptions } from './peer-list.ts';
import { Tunnel, type TunnelOptions } from './tunnel.ts';
import { longestFrameBytes, TunnelPlug } from './tunnel-plug.ts';
import type { Underlay } from './underlay.ts';

/** The first pause before it is looked again whether there is a way; doubled each time. */
const FIRST_LOOK_PAUSE_MS = 1000;
const LONGEST_LOOK_PAUSE_MS = 30_000;
/** How often paths are measured: beyond the first hop they change without a word. */
const MEASURE_INTERVAL_MS = 30_000;
/** How soon packets that could not leave, or not as they were given, are told of again, in milliseconds. */
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
  readonly #membership: Membership | undefined;
  /** The interface that leads to the group; none while there is no way. */
  #groupIndex: number | undefined;
  #interfaceIndex: number | undefined;
  #pathMtu = USUAL_PATH_MTU;
  /** Our addresses, as others see them. */
  #sources: ReadonlySet<string> = new Set();
  /** What came up before there was a plug to tell it. */
  readonly #troubles: VdensError[] = [];
  /** Reasons for which packets did not leave, as far as they were told since the way changed. */
  readonly #told = new Set<string>();
  #groupProblem: string | undefined;
  #unreachableTimer: NodeJS.Timeout | undefined;
  #refusedTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #lookPauseMs = FIRST_LOOK_PAUSE_MS;
  #measureTimer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isStale = false;
  #isClosed = false;

  private constructor(options: OverlayNetworkOptions) {
    this.#options = options;
    this.#tunnel = new Tunnel(options.label, options.underlay, options.tunnel, {
      tooLong: (bytes) => this.#tellTooLong(bytes),
      fragmented: (bytes) => this.#tellFragmented(bytes),
      unreachable: (errno) => this.#tellUnreachable(errno),
      refused: () => this.#lookAtPath(),
    });
    if (options.group !== undefined) this.#membership = new Membership(options.underlay, options.group.address);
    if (options.peers === undefined) return;
    const peers = { ...options.peers, interfaceIndex: () => this.#interfaceIndex };
    try {
      this.#peerList = new PeerList(peers, {
        changed: (addresses) => this.#takePeers(addresses),
        trouble: (error) => this.#pass(error),
      });
    } catch (error) {
      this.#tunnel.close();
      throw error;
    }
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
    this.#tellOfGroup(groupProblem);
    signal?.throwIfAborted();
    this.#peers = (await this.#peerList?.start()) ?? [];
    signal?.throwIfAborted();
    this.#setTargets();
    if (!this.#measure()) await this.#takeMtuOfInterface();
    signal?.throwIfAborted();
    const headerBytes = tunnel.header.length;
    this.#plug = new TunnelPlug({
      label,
      tunnel: this.#tunnel,
      maxFrameBytes: longestFrameBytes(headerBytes),
      mtu: innerMtu(this.#pathMtu, family, headerBytes),
      release: async () => this.#close(),
    });
    for (const error of this.#troubles.splice(0)) this.#plug.tell(error);
    this.#measureTimer = setInterval(() => this.#look(), MEASURE_INTERVAL_MS).unref();
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
    const { label, group } = this.#options;
    if (group === undefined || this.#isClosed) return;
    this.#groupIndex = undefined;
    const index = await interfaceTo(label, group.address, this.#interfaceIndex);
    if (this.#isClosed) return;
    this.#membership!.follow(index);
    this.#groupIndex = index;
  }

  #setTargets(): void {
    const { group } = this.#options;
    this.#tunnel.setTargets(group === undefined ? this.#peers : [group, ...this.#peers]);
  }

  /** Returns whether anybody can be reached. */
  #measure(): boolean {
    const { label, family, group, tunnel } = this.#options;
    const reachableGroup = this.#groupIndex === undefined ? undefined : group;
    const destinations = { group: reachableGroup, peers: this.#peers, interfaceIndex: this.#interfaceIndex };
    const paths = findPaths(label, destinations);
    if (paths === undefined) return false;
    if (this.#pathMtu !== paths.mtu) this.#tunnel.listenAgain('fragmented');
    this.#pathMtu = paths.mtu;
    this.#tunnel.setFit(fittingFrameBytes(this.#pathMtu, family, tunnel.header.length));
    if (![...paths.sources].every((source) => this.#sources.has(source))) {
      // Those who know us by an address that we have no longer would go on sending there.
      this.#tunnel.announce();
      this.#told.clear();
    }
    this.#sources = paths.sources;
    return true;
  }

  /** What the way can be at most, while there is no address to send from: an IPv6 one is tentative for a second. */
  async #takeMtuOfInterface(): Promise<void> {
    const index = this.#interfaceIndex ?? this.#groupIndex;
    const link = index === undefined ? undefined : await findLink(index);
    this.#pathMtu = link?.mtu ?? this.#pathMtu;
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
    let isWell = true;
    while (this.#isStale && !this.#isClosed) {
      this.#isStale = false;
      isWell = await this.#adapt().catch((error: unknown) => {
        this.#tellOfFailure(error);
        return false;
      });
    }
    this.#isLooking = false;
    this.#lookLater(isWell);
  }

  /** While there is no way, or it could not be asked for, nothing may tell of the change that mends it. */
  #lookLater(isWell: boolean): void {
    clearTimeout(this.#lookTimer);
    if (isWell) this.#lookPauseMs = FIRST_LOOK_PAUSE_MS;
    if (isWell || this.#isClosed) return;
    this.#lookTimer = setTimeout(() => this.#look(), this.#lookPauseMs).unref();
    this.#lookPauseMs = Math.min(2 * this.#lookPauseMs, LONGEST_LOOK_PAUSE_MS);
  }

  /** Returns whether there is a way. */
  async #adapt(): Promise<boolean> {
    this.#options.underlay.refresh();
    const interfaceProblem = await problemOf(this.#followInterface());
    if (interfaceProblem !== undefined) return this.#lose(interfaceProblem.message);
    this.#peerList?.refresh();
    const groupProblem = await problemOf(this.#followGroup());
    if (this.#isClosed) return true;
    if (this.#measure()) {
      // With peers, it is not all that there is.
      this.#tellOfGroup(groupProblem);
      if (this.#plug?.regain() === true) this.#tunnel.announce();
      return groupProblem === undefined;
    }
    if (groupProblem !== undefined) return this.#lose(groupProblem.message);
    return this.#peers.length === 0 || this.#lose(`no route leads to ${nameSome(this.#peers)}`);
  }

  #lose(reason: string): false {
    this.#told.clear();
    this.#plug?.lose(withoutLabel(this.#options.label, reason));
    return false;
  }

  #tellOfGroup(problem: VdensError | undefined): void {
    if (problem !== undefined && problem.message !== this.#groupProblem) this.#pass(problem);
    this.#groupProblem = problem?.message;
  }

  /** That it cannot be looked at the underlay says nothing of the underlay. */
  #tellOfFailure(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (this.#told.has(text)) return;
    this.#told.add(text);
    const message = `${this.#options.label}: cannot find out whether the way of its packets changed: ${withoutLabel(this.#options.label, text)}`;
    this.#pass(new VdensError('ERR_PATH', message, { cause: error }));
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
    const price = largest < SMALLEST_IPV6_MTU ? ', which leaves no room for IPv6' : '';
    const remedy = `Use --mtu ${largest}${price}`;
    this.#tell(`${label}: ${why}, and leave in fragments, which is slow. ${remedy}`, String(bytes));
  }

  /** Somebody on the way may have told the kernel that its packets are too large there. */
  #lookAtPath(): void {
    clearTimeout(this.#refusedTimer);
    this.#refusedTimer = setTimeout(() => this.#tunnel.listenAgain('refused'), UNREACHABLE_PAUSE_MS).unref();
    this.#look();
  }

  /** The way may be another one now; if it is not, something is in the way. */
  #tellUnreachable(errno: string): void {
    clearTimeout(this.#unreachableTimer);
    const listen = (): void => this.#tunnel.listenAgain('unreachable');
    this.#unreachableTimer = setTimeout(listen, UNREACHABLE_PAUSE_MS).unref();
    this.#look();
    const reason = REFUSALS.get(errno);
    if (reason === undefined || this.#told.has(errno)) return;
    this.#told.add(errno);
    this.#tell(`${this.#options.label}: packets are not let out (${errno}). ${reason}`, undefined, errno);
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
    clearTimeout(this.#unreachableTimer);
    clearTimeout(this.#refusedTimer);
    clearTimeout(this.#lookTimer);
    clearInterval(this.#measureTimer);
    this.#watch?.close();
    this.#peerList?.close();
    this.#tunnel.close();
    this.#membership?.end();
    this.#options.release();
  }
}

/** What to look at when the kernel refuses to send, by its name for that. */
const REFUSALS: ReadonlyMap<string, string> = new Map([
  ['EPERM', "Look at this host's firewall: nft list ruleset"],
  ['EACCES', 'A routing rule forbids it, or the address is one of broadcast. See: ip rule; ip route'],
]);

/** The error that a step ends with, when it says something of the network; what keeps us from asking is thrown. */
async function problemOf(step: Promise<void>): Promise<VdensError | undefined> {
  try {
    await step;
    return undefined;
  } catch (error) {
    if (error instanceof VdensError && error.code === 'ERR_NETWORK_OPEN') return error;
    throw error;
  }
}

function nameSome(peers: readonly SocketAddress[]): string {
  return `${peers.length > 1 ? 'any of its peers, such as ' : ''}${formatIp(peers[0]!.address)}`;
}

function withoutLabel(label: string, message: string): string {
  return message.startsWith(`${label}: `) ? message.slice(label.length + 2) : message;
}
