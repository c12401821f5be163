/**
 * The addresses of peers that are known by name, looked up again and again: hosts move.
 *
 * A name that cannot be looked up keeps the addresses it had. Look-ups run in threads of Node.js of which there are few
 * (libuv has 4), and one without an answer holds its thread for as long as the resolver is patient; so only some run at
 * once, in the whole process, and each is given up in time and yet heard when it answers later.
 */
import dns from 'node:dns/promises';
import { VdensError } from '../errors.ts';
import { isMulticastIp, isUnspecifiedIp, parseIp } from '../net/ip.ts';

/** From one round of look-ups to the next. */
export const RESOLVE_INTERVAL_MS = 10_000;
/** How long a look-up may take until the name counts as one that cannot be looked up. */
const LOOK_UP_TIMEOUT_MS = 5000;
/** Look-ups that run at the same time in this process. */
const LOOK_UPS_AT_ONCE = 2;
/** How long failures are gathered, to be told together, while other look-ups are under way. */
const GATHER_MS = 1000;
/** Names in one message. */
const NAMES_SHOWN = 3;

/** Answers all addresses of one family that a name has, as text. Rejects with an error that has a `code`. */
export type LookUp = (host: string, family: 4 | 6) => Promise<readonly string[]>;

/** What the names are looked up with. */
export interface PeerNamesOptions {
  /** What errors begin with: the network they are for. */
  readonly label: string;
  readonly family: 4 | 6;
  /** @defaultValue {@link RESOLVE_INTERVAL_MS} */
  readonly intervalMs?: number | undefined;
  /** @defaultValue the system's resolver, `/etc/hosts` included */
  readonly lookUp?: LookUp | undefined;
}

/** Called later than the call that caused it. */
export interface PeerNamesEvents {
  /** Some name has other addresses than before. */
  changed(): void;
  /** Names cannot be looked up; said once of each until it can. */
  trouble(error: VdensError): void;
}

interface Name {
  readonly host: string;
  addresses: readonly Uint8Array[];
  /** Waits for its turn, or is being looked up. */
  isPending: boolean;
  /** It is to be looked up once more as soon as that is over. */
  isWantedAgain: boolean;
  /** Whether it is known by now that it can, or cannot, be looked up. */
  state: 'unknown' | 'found' | 'failed';
}

/** Keeps the addresses of a set of names. */
export class PeerNames {
  readonly #label: string;
  readonly #family: 4 | 6;
  readonly #lookUp: LookUp;
  readonly #events: PeerNamesEvents;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;
  #names = new Map<string, Name>();
  /** Names whose failure was not told yet, by its reason. */
  #failures = new Map<string, string[]>();
  #tellTimer: NodeJS.Timeout | undefined;
  #settled: (() => void)[] = [];
  #closed = false;

  constructor(options: PeerNamesOptions, events: PeerNamesEvents) {
    this.#label = options.label;
    this.#family = options.family;
    this.#lookUp = options.lookUp ?? systemLookUp;
    this.#events = events;
    this.#intervalMs = options.intervalMs ?? RESOLVE_INTERVAL_MS;
  }

  /** From now on these are looked up; what is known of those that were there before stays known. */
  set(hosts: Iterable<string>): void {
    if (this.#closed) return;
    this.#timer ??= setInterval(() => this.#nextRound(), this.#intervalMs);
    const before = this.#names;
    this.#names = new Map();
    for (const host of hosts) {
      const known = before.get(host);
      const name = known ?? { host, addresses: [], isPending: false, isWantedAgain: false, state: 'unknown' as const };
      this.#names.set(host, name);
      if (known === undefined) this.#start(name);
    }
    this.#settle();
  }

  /** The addresses of a name, in the order of the resolver; none while it is not known, or when it is not of the set. */
  addressesOf(host: string): readonly Uint8Array[] {
    return this.#names.get(host)?.addresses ?? [];
  }

  /** Looks all of them up now. */
  refresh(): void {
    for (const name of this.#names.values()) this.#start(name);
  }

  /** Waits until each name was found or not, but not for long. */
  async settled(timeoutMs: number): Promise<void> {
    if (this.#isSettled()) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#settled.push(resolve);
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#tellTimer);
    this.#names.clear();
    this.#settle();
  }

  /** A look-up that takes longer than a round is not repeated for that. */
  #nextRound(): void {
    for (const name of this.#names.values()) if (!name.isPending) this.#start(name);
  }

  #start(name: Name): void {
    if (name.isPending) {
      name.isWantedAgain = true;
      return;
    }
    name.isPending = true;
    void inTurn(() => this.#lookUpNow(name)).then(() => {
      name.isPending = false;
      if (name.isWantedAgain && this.#isWanted(name)) {
        name.isWantedAgain = false;
        this.#start(name);
      } else if (![...this.#names.values()].some(({ isPending }) => isPending)) {
        this.#tellFailures();
      }
    });
  }

  /** Never rejects. */
  async #lookUpNow(name: Name): Promise<void> {
    if (!this.#isWanted(name)) return;
    const timer = setTimeout(() => this.#failed(name, 'ETIMEDOUT'), LOOK_UP_TIMEOUT_MS).unref();
    try {
      const found = usableAddresses(await this.#lookUp(name.host, this.#family), this.#family);
      if (found.length > 0) this.#found(name, found);
      else this.#failed(name, 'ENOTFOUND');
    } catch (error) {
      this.#failed(name, (error as NodeJS.ErrnoException).code ?? String(error));
    } finally {
      clearTimeout(timer);
    }
  }

  #found(name: Name, addresses: readonly Uint8Array[]): void {
    if (!this.#isWanted(name)) return;
    const isNew = keyOf(addresses) !== keyOf(name.addresses);
    name.addresses = addresses;
    name.state = 'found';
    this.#settle();
    if (isNew) this.#events.changed();
  }

  #failed(name: Name, reason: string): void {
    if (!this.#isWanted(name) || name.state === 'failed') return;
    name.state = 'failed';
    const hosts = this.#failures.get(reason) ?? [];
    hosts.push(name.host);
    this.#failures.set(reason, hosts);
    this.#tellTimer ??= setTimeout(() => this.#tellFailures(), GATHER_MS);
    this.#settle();
  }

  #tellFailures(): void {
    clearTimeout(this.#tellTimer);
    this.#tellTimer = undefined;
    const failures = this.#failures;
    this.#failures = new Map();
    for (const [reason, hosts] of failures) {
      // What was found after all meanwhile, or is not asked for any more, is no trouble.
      const failed = hosts.filter((host) => this.#names.get(host)?.state === 'failed');
      if (failed.length > 0) this.#events.trouble(this.#failure(reason, failed));
    }
  }

  #failure(reason: string, hosts: readonly string[]): VdensError {
    const shown = hosts.slice(0, NAMES_SHOWN).join(', ');
    const more = hosts.length > NAMES_SHOWN ? ` and ${hosts.length - NAMES_SHOWN} more` : '';
    const which = hosts.length === 1 ? `peer ${shown}` : `peers ${shown}${more}`;
    const message = `${this.#label}: cannot look up the ${which} (${reason}): ${meaningOf(reason, this.#family)}`;
    return new VdensError('ERR_NETWORK_OPEN', message, { value: hosts[0]!, errno: reason });
  }

  #isWanted(name: Name): boolean {
    return !this.#closed && this.#names.get(name.host) === name;
  }

  #isSettled(): boolean {
    return [...this.#names.values()].every(({ state }) => state !== 'unknown');
  }

  #settle(): void {
    if (this.#settled.length === 0 || !this.#isSettled()) return;
    const waiting = this.#settled;
    this.#settled = [];
    for (const resolve of waiting) resolve();
  }
}

async function systemLookUp(host: string, family: 4 | 6): Promise<readonly string[]> {
  const found = await dns.lookup(host, { all: true, family });
  return found.map(({ address }) => address);
}

/** Addresses that one host can have; a resolver that blocks names answers 0.0.0.0, for example. */
function usableAddresses(texts: readonly string[], family: 4 | 6): Uint8Array[] {
  // A zone is the number of an interface at best; which one is known better here.
  const addresses = texts.map((text) => parseIp(text.replace(/%.*/, '')));
  const length = family === 4 ? 4 : 16;
  return addresses.filter(
    (address) => address.length === length && !isUnspecifiedIp(address) && !isMulticastIp(address),
  );
}

function keyOf(addresses: readonly Uint8Array[]): string {
  return [...addresses].sort(Buffer.compare).join(' ');
}

function meaningOf(reason: string, family: 4 | 6): string {
  switch (reason) {
    case 'ENOTFOUND':
      return `no IPv${family} address of that name is known. Is it spelt right? It is tried again`;
    case 'ETIMEDOUT':
    case 'EAI_AGAIN':
      return 'no name server answers. It is tried again';
    default:
      return 'it is tried again';
  }
}

let running = 0;
const waiting: (() => void)[] = [];

/** Does the work, a look-up, when fewer than {@link LOOK_UPS_AT_ONCE} others are at theirs. */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running < LOOK_UPS_AT_ONCE) running++;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}
