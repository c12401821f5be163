/**
 * The peers of a network without multicast: who gets a copy of what is for everybody.
 *
 * They are named one by one and in a file. Names are looked up again and again, and the file is watched; what comes
 * out is a set of addresses, told whenever it is another one. One's own address is left out, so that the same list
 * serves all hosts.
 *
 * ```
 * peer=a  peer=b:5000  ──┐
 *                        ├──▶ names ──▶ addresses ──▶ without our own, sorted ──▶ changed
 * file ──────────────────┘      ▲
 *                          looked up every 10 s
 * ```
 */
import { networkInterfaces } from 'node:os';
import { VdensError } from '../errors.ts';
import { formatIp, IPV4_LENGTH, isLinkLocalIp, isLoopbackIp, parseIp } from '../net/ip.ts';
import { compareSocketAddresses, formatSocketAddress, type SocketAddress } from '../net/socket-address.ts';
import { broadcastAddresses, familyOf, literalAddress } from './host.ts';
import type { PeerName } from './overlay-options.ts';
import { PeerFile } from './peer-file.ts';
import { MAX_PEERS, parsePeerList } from './peer-name.ts';
import { type LookUp, PeerNames } from './peer-names.ts';

/** How long the start waits for names that are being looked up; they are told later then. */
const START_TIMEOUT_MS = 5000;

/** Who the peers are. */
export interface PeerListOptions {
  /** What errors begin with: the network they are for. */
  readonly label: string;
  readonly peers: readonly PeerName[];
  /** A file that names more of them, one per line. */
  readonly peerFile?: string | undefined;
  /** The port of those in the file that name none. */
  readonly defaultPort: number;
  /** The family of the network; addresses of the other one are of no use. */
  readonly family: 4 | 6;
  /** Our port: what leads there on this host is ourselves. Absent: nothing is. */
  readonly ownPort?: number | undefined;
  /** The address that our port is bound to. Absent: all of this host. */
  readonly ownAddress?: Uint8Array | undefined;
  /** Whether a name stands for one of its addresses alone: the one it had, else the resolver's first. */
  readonly onlyFirst?: boolean | undefined;
  /** The underlay's interface, which link-local addresses are on. */
  readonly interfaceIndex?: (() => number | undefined) | undefined;
  /** Ends the wait of the start for names; the list is closed then. */
  readonly startSignal?: AbortSignal | undefined;
  /** @defaultValue `RESOLVE_INTERVAL_MS` of peer-names.ts */
  readonly resolveIntervalMs?: number | undefined;
  /** @defaultValue the system's resolver */
  readonly lookUp?: LookUp | undefined;
}

/** What happens to them after the start; trouble also during it. */
export interface PeerListEvents {
  /** There are others now: all of them, sorted, each once. */
  changed(addresses: readonly SocketAddress[]): void;
  /** Why some are missing, or not kept current. Each reason is said once, until it is over. */
  trouble(error: VdensError): void;
}

/** The addresses of the peers, kept current from `start()` to `close()`. */
export class PeerList {
  readonly #options: PeerListOptions;
  readonly #events: PeerListEvents;
  readonly #names: PeerNames;
  readonly #file: PeerFile | undefined;
  #peers: readonly PeerName[];
  #addresses: readonly SocketAddress[] = [];
  /** What is wrong with the list itself, as far as it was told and is still so. */
  #complaints: ReadonlySet<string> = new Set();
  #isStarted = false;
  #closed = false;

  /** @throws VdensError `ERR_ADDRESS` when a peer is neither an address nor a name */
  constructor(options: PeerListOptions, events: PeerListEvents) {
    for (const { host } of options.peers) literalAddress(host);
    this.#options = options;
    this.#events = events;
    this.#peers = options.peers;
    this.#names = new PeerNames(
      { label: options.label, family: options.family, intervalMs: options.resolveIntervalMs, lookUp: options.lookUp },
      { changed: () => this.#evaluate(), trouble: events.trouble.bind(events) },
    );
    if (options.peerFile === undefined) return;
    this.#file = new PeerFile(options.label, options.peerFile, {
      changed: (text) => this.#readFile(text),
      trouble: events.trouble.bind(events),
    });
  }

  /** The peers that are known now. */
  get addresses(): readonly SocketAddress[] {
    return this.#addresses;
  }

  /**
   * Reads the file, and looks up what can be looked up; a name that cannot is trouble, and no failure.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when the file cannot be read; the list is closed then
   */
  async start(): Promise<readonly SocketAddress[]> {
    try {
      if (this.#file === undefined) this.#names.set(this.#hosts());
      else this.#readFile(await this.#file.start());
    } catch (error) {
      this.close();
      throw error;
    }
    const { startSignal } = this.#options;
    const close = (): void => this.close();
    if (startSignal?.aborted === true) close();
    startSignal?.addEventListener('abort', close);
    await this.#names.settled(START_TIMEOUT_MS);
    startSignal?.removeEventListener('abort', close);
    this.#evaluate();
    this.#isStarted = true;
    return this.#addresses;
  }

  /** Looks everything up again, after the routes or addresses of this host changed. */
  refresh(): void {
    if (this.#closed || !this.#isStarted) return;
    this.#names.refresh();
    this.#evaluate();
  }

  /** Nothing is told any more. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#names.close();
    this.#file?.close();
  }

  #readFile(text: string): void {
    if (this.#closed) return;
    const { label, peers, peerFile = '', defaultPort } = this.#options;
    const list = parsePeerList(text, defaultPort);
    this.#peers = [...peers, ...list.peers];
    for (const problem of list.problems) {
      const message = `${label}: ${peerFile}: ${problem}`;
      this.#events.trouble(new VdensError('ERR_ADDRESS', message, { value: peerFile }));
    }
    this.#names.set(this.#hosts());
    this.#evaluate();
  }

  /** The names among the peers. */
  #hosts(): Set<string> {
    const names = this.#peers.slice(0, MAX_PEERS).filter(({ host }) => literalAddress(host) === undefined);
    return new Set(names.map(({ host }) => host));
  }

  #evaluate(): void {
    if (this.#closed) return;
    const complaints = new Set<string>();
    const addresses = this.#currentAddresses(complaints);
    for (const complaint of complaints) {
      if (this.#complaints.has(complaint)) continue;
      this.#events.trouble(new VdensError('ERR_ADDRESS', `${this.#options.label}: ${complaint}`));
    }
    this.#complaints = complaints;
    const isSame = keyOf(addresses) === keyOf(this.#addresses);
    this.#addresses = addresses;
    if (!isSame && this.#isStarted) this.#events.changed(addresses);
  }

  #currentAddresses(complaints: Set<string>): SocketAddress[] {
    const isOwn = this.#ownAddresses();
    const broadcasts = broadcastAddresses();
    const found = new Map<string, SocketAddress>();
    const ourselves = new Set<PeerName>();
    for (const peer of this.#peers.slice(0, MAX_PEERS)) {
      for (const address of this.#addressesOf(peer, complaints)) {
        const text = formatIp(address.address);
        const subnet = broadcasts.get(text);
        if (subnet !== undefined) {
          complaints.add(`the peer ${text} is left out: it stands for all hosts of ${subnet}. Name them one by one`);
        } else if (peer.port === this.#options.ownPort && isOwn(address.address)) ourselves.add(peer);
        else found.set(formatSocketAddress(address), address);
      }
    }
    if (ourselves.size > 0 && ourselves.size === this.#peers.length) {
      complaints.add(
        this.#options.onlyFirst === true
          ? 'the other end is this very host, at its own port. Name another host, or another port'
          : 'all peers are this very host, at its own port, and none is another one. Name the others',
      );
    }
    if (this.#peers.length === 0 && this.#options.peerFile !== undefined) {
      complaints.add(`${this.#options.peerFile} names no peers. Write one on each line`);
    }
    if (this.#peers.length > MAX_PEERS || found.size > MAX_PEERS) {
      complaints.add(`there are more than ${MAX_PEERS} peers, and the rest is left out. Name fewer`);
    }
    // Cut before it is sorted: those named first stay.
    return [...found.values()].slice(0, MAX_PEERS).sort(compareSocketAddresses);
  }

  #addressesOf({ host, port }: PeerName, complaints: Set<string>): SocketAddress[] {
    const literal = literalAddress(host);
    if (literal === undefined) {
      const addresses = this.#chosenOf(this.#names.addressesOf(host)).map((address) =>
        this.#reachable(address, port, complaints),
      );
      return addresses.filter((address) => address !== undefined);
    }
    const { family } = this.#options;
    if (familyOf(literal) === family) {
      const address = this.#reachable(literal, port, complaints);
      return address === undefined ? [] : [address];
    }
    complaints.add(
      `the peer ${host} is left out: this network is one of IPv${family}. Name it by its IPv${family} address`,
    );
    return [];
  }

  /** Those of a name that count. */
  #chosenOf(addresses: readonly Uint8Array[]): readonly Uint8Array[] {
    if (this.#options.onlyFirst !== true) return addresses;
    const isInUse = (address: Uint8Array): boolean =>
      this.#addresses.some((known) => Buffer.compare(known.address, address) === 0);
    // Resolvers answer in another order each time.
    const chosen = addresses.find(isInUse) ?? addresses[0];
    return chosen === undefined ? [] : [chosen];
  }

  /** An address on the underlay; undefined when it is link-local and nobody said of which link. */
  #reachable(address: Uint8Array, port: number, complaints: Set<string>): SocketAddress | undefined {
    if (address.length === IPV4_LENGTH || !isLinkLocalIp(address)) return { address, port };
    const scope = this.#options.interfaceIndex?.();
    if (scope !== undefined) return { address, port, scope };
    complaints.add(`the peer ${formatIp(address)} is left out: it is link-local. Name the interface: if=eth0`);
    return undefined;
  }

  /** Which addresses lead to ourselves, at our port. */
  #ownAddresses(): (address: Uint8Array) => boolean {
    const { ownAddress } = this.#options;
    if (ownAddress !== undefined) {
      const text = formatIp(ownAddress);
      // A host's own name often means 127.0.1.1, which is of no use to a socket that is bound elsewhere.
      return (address) => formatIp(address) === text || (isLoopbackIp(address) && !isLoopbackIp(ownAddress));
    }
    const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    const own = new Set(all.map(({ address }) => formatIp(parseIp(address.replace(/%.*/, '')))));
    return (address) => own.has(formatIp(address)) || isLoopbackIp(address);
  }
}

function keyOf(addresses: readonly SocketAddress[]): string {
  return addresses.map((address) => formatSocketAddress(address)).join(' ');
}
