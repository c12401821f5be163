/**
 * The host's DNS resolvers as they are now: those of its resolv.conf (resolv.conf(5)), which VPNs, DHCP clients and
 * systemd-resolved replace while we run.
 *
 * Guests' queries are not read here or anywhere: the datapath passes their packets on, as they are, to the *current*
 * resolver. What it counts is reported to {@link Resolvers}, which leaves the current one for the next when it refuses;
 * a client that got no answer asks again, and reaches the next one then. One that is silent about guests' queries is
 * sent a query of our own, together with the others (resolver-probe.ts): it may be that names are slow. So are all of
 * a new file, and the first of the file before it is returned to.
 *
 * The file is often a link to one in /run that is replaced whole. So the directories of both are watched (inotify(7)),
 * and since there may be links between them, or no watches left, it is also looked at from time to time.
 */
import { type FSWatcher, constants as fs, watch } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import { IPV4_LENGTH, isLinkLocalIp, isMulticastIp, isUnspecifiedIp, parseIp } from '../net/ip.ts';
import { compareSocketAddresses, formatSocketAddress, type SocketAddress } from '../net/socket-address.ts';
import { findLink } from '../system/route-query.ts';
import { firstToAnswer, probeResolver, type ResolverProbe } from './resolver-probe.ts';

/** Where the system's own resolver looks. */
export const RESOLV_CONF = '/etc/resolv.conf';
const DNS_PORT = 53;
/** Of a name server's lines, the first that count, as for the system's own resolver (MAXNS in resolv.h). */
const MAX_RESOLVERS = 3;
/** Domains of a search list that count. */
const MAX_SEARCH_DOMAINS = 32;
/** What is read of a file. */
const MAX_FILE_BYTES = 65_536;
/** How often the file is looked at whatever is seen. */
const LOOK_INTERVAL_MS = 3000;
/** From the last change seen until the file is read. */
const GATHER_MS = 50;
/** A query that is unanswered for so long makes us ask the resolvers ourselves. */
const SILENCE_MS = 400;
/** How long until that is done again. */
const CHECK_PAUSE_MS = 2000;
/** Where nobody answers us: a guest that asks again after so long did not get an answer. */
const ANSWER_TIMEOUT_MS = 1000;
/** What was so long ago says nothing of now. */
const FORGET_MS = 30_000;
/** How long one that was left is left alone: guests that ask for errors do not make us turn faster. */
const TURN_PAUSE_MS = 2000;
/** How long until the first of the file is asked whether it answers again, at first and at last. */
const RETURN_MS = 60_000;
const MAX_RETURN_MS = 600_000;
/** How long the opening of a gateway waits for the first to answer. */
const START_WAIT_MS = 50;

/** The host itself: what the system's own resolver asks when no other is named. */
const OWN_RESOLVER: SocketAddress = { address: Uint8Array.of(127, 0, 0, 1), port: DNS_PORT };

const OWN_IPV6_RESOLVER: SocketAddress = { address: parseIp('::1'), port: DNS_PORT };

/** What a resolv.conf says. */
export interface ResolvConf {
  /** As written, `fe80::1%eth0` among them; at most three. */
  readonly nameServers: readonly string[];
  readonly searchDomains: readonly string[];
}

/** What happens to the resolvers. */
export interface ResolverEvents {
  /** Another resolver is the current one, or the search list is another. */
  changed(): void;
}

export interface ResolversOptions {
  /** @defaultValue `/etc/resolv.conf` */
  readonly path?: string;
  /** A clock that only goes on, in milliseconds. @defaultValue `performance.now` */
  readonly now?: () => number;
  /** @defaultValue a query over UDP */
  readonly probe?: ResolverProbe;
}

/** Which resolver is asked. */
export class Resolvers {
  readonly path: string;
  readonly #events: ResolverEvents;
  readonly #now: () => number;
  readonly #probe: ResolverProbe;
  readonly #watchers = new Map<string, FSWatcher>();
  #all: readonly SocketAddress[] = [OWN_RESOLVER];
  #searchDomains: readonly string[] = [];
  #index = 0;
  #turnedMs = Number.NEGATIVE_INFINITY;
  #unanswered = 0;
  #askedMs = 0;
  #reportedMs = 0;
  /** When each was left last. */
  #leftMs: (number | undefined)[] = [];
  #returnMs = 0;
  #returnPauseMs = RETURN_MS;
  /** The queries of our own that are under way. */
  #check: AbortController | undefined;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #nobodyAnswered = false;
  /** What is found out of the resolvers of a new file. */
  #choice: Promise<void> = Promise.resolve();
  #gather: NodeJS.Timeout | undefined;
  #interval: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #closed = false;

  constructor(events: ResolverEvents, options: ResolversOptions = {}) {
    const { path = RESOLV_CONF, now = () => performance.now(), probe = probeResolver } = options;
    this.path = path;
    this.#events = events;
    this.#now = now;
    this.#probe = probe;
  }

  /** Reads the file; from here on changes are told. A file that is not there is one that says nothing. */
  async start(): Promise<void> {
    await this.#look();
    if (this.#closed) return;
    this.#interval = setInterval(() => void this.#look(), LOOK_INTERVAL_MS);
    await this.#choiceOrPause();
  }

  /** The one that is asked. */
  get current(): SocketAddress {
    return this.#all[this.#index] ?? OWN_RESOLVER;
  }

  /** All of them, in the file's order: at least one. */
  get all(): readonly SocketAddress[] {
    return this.#all;
  }

  get searchDomains(): readonly string[] {
    return this.#searchDomains;
  }

  /** So many queries left for the current resolver. */
  asked(count: number = 1): void {
    if (count <= 0) return;
    this.#forgetOld();
    const isRepeated = this.#unanswered > 0 && this.#now() - this.#askedMs >= ANSWER_TIMEOUT_MS;
    if (this.#unanswered === 0) this.#askedMs = this.#now();
    this.#unanswered += count;
    if (isRepeated && this.#nobodyAnswered) this.#turn();
  }

  /** The current resolver answered. */
  answered(): void {
    this.#unanswered = 0;
    this.#nobodyAnswered = false;
  }

  /** The current resolver could not be reached, or refused. */
  failed(): void {
    this.#turn();
  }

  /** Looks at the clock: to be called about twice a second. */
  tick(): void {
    const now = this.#now();
    if (this.#closed || this.#all.length < 2 || this.#check !== undefined) return;
    if (this.#isSilent(now)) {
      this.#checkedMs = now;
      void this.#choose(this.#index);
    } else if (this.#index !== 0 && now >= this.#returnMs) void this.#tryFirst(now);
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    this.#check?.abort();
    clearInterval(this.#interval);
    clearTimeout(this.#gather);
    this.#watchOnly([]);
  }

  #forgetOld(): void {
    const now = this.#now();
    if (now - this.#reportedMs >= FORGET_MS) this.answered();
    this.#reportedMs = now;
  }

  #isSilent(now: number): boolean {
    const isRecent = now - this.#reportedMs < FORGET_MS && now - this.#askedMs >= SILENCE_MS;
    return this.#unanswered > 0 && isRecent && now - this.#checkedMs >= CHECK_PAUSE_MS;
  }

  /** Goes on to the next one that was not just left, if there is one. */
  #turn(): void {
    const now = this.#now();
    const others = this.#all.slice(1).map((_, i) => (this.#index + 1 + i) % this.#all.length);
    const next = others.find((index) => now - (this.#leftMs[index] ?? Number.NEGATIVE_INFINITY) >= TURN_PAUSE_MS);
    if (next !== undefined) this.#turnTo(next);
  }

  #turnTo(index: number): void {
    if (index === this.#index) return;
    const now = this.#now();
    this.#leftMs[this.#index] = now;
    if (this.#index === 0) this.#leaveFirst(now);
    this.#use(index);
    this.#events.changed();
  }

  /** A first one that is left again soon after it was returned to is given longer. */
  #leaveFirst(now: number): void {
    if (now - this.#turnedMs >= RETURN_MS) this.#returnPauseMs = RETURN_MS;
    this.#planReturn(now);
  }

  #planReturn(now: number): void {
    this.#returnMs = now + this.#returnPauseMs;
    this.#returnPauseMs = Math.min(2 * this.#returnPauseMs, MAX_RETURN_MS);
  }

  #use(index: number): void {
    this.#check?.abort();
    this.#check = undefined;
    this.#index = index;
    this.#turnedMs = this.#now();
    this.answered();
  }

  /** Asks all, and takes one that answers: the one that is preferred, unless it is late. */
  async #choose(preferred: number): Promise<void> {
    await this.#probing(async (signal) => {
      const found = await firstToAnswer(this.#all, preferred, this.#probe, signal);
      if (signal.aborted) return;
      // Names that are slow are not the resolver's silence.
      if (found === preferred) this.answered();
      this.#nobodyAnswered = found === undefined;
      if (found !== undefined) this.#turnTo(found);
    });
  }

  async #tryFirst(now: number): Promise<void> {
    this.#planReturn(now);
    const [first] = this.#all;
    await this.#probing(async (signal) => {
      if (first !== undefined && (await this.#probe(first, signal)) && !signal.aborted) this.#turnTo(0);
    });
  }

  /** One check at a time: what was under way before does not count any more. */
  async #probing(check: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#check?.abort();
    const current = new AbortController();
    this.#check = current;
    await check(current.signal);
    // Those that did not answer yet are not waited for.
    current.abort();
    if (this.#check === current) this.#check = undefined;
  }

  /** Resolves when it is known who of a new file answers, or after a moment. */
  async #choiceOrPause(): Promise<void> {
    const pause = new AbortController();
    const { signal } = pause;
    await Promise.race([this.#choice, setTimeoutPromise(START_WAIT_MS, undefined, { signal }).catch(() => undefined)]);
    pause.abort();
  }

  #noticed(): void {
    if (this.#closed) return;
    this.#gather ??= setTimeout(() => {
      this.#gather = undefined;
      void this.#look();
    }, GATHER_MS);
  }

  async #look(): Promise<void> {
    if (this.#reading !== undefined) {
      await this.#reading;
      // What changed while it was read is read afterwards.
      return this.#noticed();
    }
    this.#reading = this.#read();
    try {
      await this.#reading;
    } finally {
      this.#reading = undefined;
    }
  }

  async #read(): Promise<void> {
    await this.#watchPlaces();
    const { nameServers, searchDomains } = parseResolvConf(await readText(this.path));
    const addresses = await Promise.all(nameServers.map(resolverAddress));
    if (!this.#closed) this.#take(addresses, searchDomains);
  }

  #take(addresses: readonly (SocketAddress | undefined)[], searchDomains: readonly string[]): void {
    const known = addresses.filter((address) => address !== undefined);
    const all = known.length === 0 ? [OWN_RESOLVER] : known;
    const isNewSearch = searchDomains.join(' ') !== this.#searchDomains.join(' ');
    const isNewList = textOf(all) !== textOf(this.#all);
    const before = this.current;
    this.#all = all;
    this.#searchDomains = searchDomains;
    if (isNewList) this.#begin();
    if (isNewSearch || compareSocketAddresses(before, this.current) !== 0) this.#events.changed();
  }

  /** A new file is a new chance for all that it names. */
  #begin(): void {
    this.#use(0);
    this.#turnedMs = Number.NEGATIVE_INFINITY;
    this.#checkedMs = Number.NEGATIVE_INFINITY;
    this.#leftMs = [];
    this.#returnPauseMs = RETURN_MS;
    if (this.#all.length > 1) this.#choice = this.#choose(0);
  }

  /** Watches the directory of the file, and of what it leads to. */
  async #watchPlaces(): Promise<void> {
    const target = await realpath(this.path).catch(() => this.path);
    if (!this.#closed) this.#watchOnly([dirname(this.path), dirname(target)]);
  }

  #watchOnly(directories: readonly string[]): void {
    for (const [directory, watcher] of this.#watchers) {
      if (directories.includes(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of directories) {
      if (!this.#watchers.has(directory)) this.#watch(directory);
    }
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, () => this.#noticed());
      watcher.on('error', () => undefined);
      this.#watchers.set(directory, watcher);
    } catch {
      // No such directory, no right to, or no watches left (fs.inotify.max_user_watches): it is looked at from time to time.
    }
  }
}

/** What a resolv.conf says, read as the system's own resolver reads it: keywords begin their lines, and the last search list counts. */
export function parseResolvConf(text: string): ResolvConf {
  const nameServers: string[] = [];
  let searchDomains: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trimEnd().split(/[ \t]+/);
    const [first] = values;
    if (keyword === 'nameserver' && first !== undefined && isResolver(first)) nameServers.push(first);
    if (keyword === 'search') searchDomains = values;
    if (keyword === 'domain' && first !== undefined) searchDomains = [first];
  }
  return {
    nameServers: nameServers.slice(0, MAX_RESOLVERS),
    searchDomains: searchDomains.filter(isDomain).slice(0, MAX_SEARCH_DOMAINS),
  };
}

/** A lone dot, the root, is how systemd-resolved writes that there is no domain to search. */
function isDomain(text: string): boolean {
  return text.length <= 253 && /^[\w-]{1,63}(?:\.[\w-]{1,63})*\.?$/.test(text);
}

function isResolver(text: string): boolean {
  const address = addressIn(withoutZone(text));
  return address !== undefined && !isMulticastIp(address);
}

function withoutZone(text: string): string {
  return text.includes(':') ? text.replace(/%.*$/, '') : text;
}

function addressIn(text: string): Uint8Array | undefined {
  try {
    return parseIp(text);
  } catch {
    return undefined;
  }
}

/** Where the resolver is; `undefined` while the interface of its zone is not there. */
async function resolverAddress(text: string): Promise<SocketAddress | undefined> {
  const address = addressIn(withoutZone(text));
  if (address === undefined) return undefined;
  // 0.0.0.0 is the host itself to the system's own resolver.
  if (isUnspecifiedIp(address)) return address.length === IPV4_LENGTH ? OWN_RESOLVER : OWN_IPV6_RESOLVER;
  const zone = text.includes(':') ? /%(.+)$/.exec(text)?.[1] : undefined;
  if (address.length === IPV4_LENGTH || !isLinkLocalIp(address)) return { address, port: DNS_PORT };
  const link = zone === undefined ? undefined : await linkOf(zone);
  return link === undefined ? undefined : { address, port: DNS_PORT, scope: link };
}

async function linkOf(zone: string): Promise<number | undefined> {
  try {
    return (await findLink(/^\d+$/.test(zone) ? Number(zone) : zone))?.index;
  } catch {
    return undefined;
  }
}

function textOf(addresses: readonly SocketAddress[]): string {
  return addresses.map((address) => formatSocketAddress(address)).join(' ');
}

/** Nothing, when it cannot be read; to read what is no regular file may take for ever. */
async function readText(path: string): Promise<string> {
  try {
    await using file = await open(path, fs.O_RDONLY | fs.O_NONBLOCK);
    const found = await file.stat();
    if (!found.isFile()) return '';
    const buffer = Buffer.alloc(MAX_FILE_BYTES);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  }
}
