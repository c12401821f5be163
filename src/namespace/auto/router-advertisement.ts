/**
 * Router advertisements as a host hears them (RFC 4861, 4.2; RFC 8106). Addresses and routes are the kernel's affair
 * (SLAAC); here is what it leaves to others.
 */
import { formatIp, isLinkLocalIp } from '../../net/ip.ts';
import { read16, read32 } from '../../wire/bytes.ts';
import { parseDomainNames } from '../../wire/domain-name.ts';

export const ICMPV6 = 58;
/** From farther away than the link a packet cannot have it (RFC 4861, 6.1.2). */
export const NEIGHBOUR_HOP_LIMIT = 255;

const ROUTER_ADVERTISEMENT = 134;
const HEADER_LENGTH = 16;
const FLAGS = 5;
const LIFETIME = 6;
const MANAGED = 0x80;
const OTHER = 0x40;

const PREFIX_INFORMATION = 3;
const AUTONOMOUS = 0x40;
const NAME_SERVERS = 25;
const SEARCH_DOMAINS = 31;

/** Name servers, and domains, of one advertisement; more are left out. */
const MAX_ENTRIES = 16;

/** Something that holds for so many seconds; 0 takes it back. */
export interface Lasting<T> {
  readonly value: T;
  readonly seconds: number;
}

export interface RouterAdvertisement {
  /** 16 bytes, link-local. */
  readonly router: Uint8Array;
  /** Whether it is a way out. */
  readonly isDefaultRouter: boolean;
  /** Addresses are to be had by DHCPv6. */
  readonly isManaged: boolean;
  /** Other things are to be had by DHCPv6. */
  readonly hasOther: boolean;
  /** The kernel makes an address of what it says. */
  readonly hasAutonomousPrefix: boolean;
  readonly nameServers: readonly Lasting<Uint8Array>[];
  readonly searchDomains: readonly Lasting<string>[];
}

/**
 * Reads an ICMPv6 message.
 *
 * @param router whom it came from
 * @returns undefined when it is no advertisement that a host may believe
 */
export function parseRouterAdvertisement(bytes: Uint8Array, router: Uint8Array): RouterAdvertisement | undefined {
  if (bytes.length < HEADER_LENGTH || bytes[0] !== ROUTER_ADVERTISEMENT || !isLinkLocalIp(router)) return undefined;
  const nameServers: Lasting<Uint8Array>[] = [];
  const searchDomains: Lasting<string>[] = [];
  let hasAutonomousPrefix = false;
  for (let at = HEADER_LENGTH; at < bytes.length; ) {
    const length = (bytes[at + 1] ?? 0) * 8;
    if (length === 0 || at + length > bytes.length) return undefined;
    const option = bytes.subarray(at, at + length);
    if (option[0] === PREFIX_INFORMATION && length === 32) {
      hasAutonomousPrefix ||= (option[3]! & AUTONOMOUS) !== 0 && read32(option, 4) > 0;
    } else if (option[0] === NAME_SERVERS && length >= 24) {
      for (let i = 8; i + 16 <= length; i += 16) add(nameServers, option.slice(i, i + 16), read32(option, 4));
    } else if (option[0] === SEARCH_DOMAINS && length >= 16) {
      for (const name of parseDomainNames(option.subarray(8))) add(searchDomains, name, read32(option, 4));
    }
    at += length;
  }
  return {
    router,
    isDefaultRouter: read16(bytes, LIFETIME) > 0,
    isManaged: (bytes[FLAGS]! & MANAGED) !== 0,
    hasOther: (bytes[FLAGS]! & OTHER) !== 0,
    hasAutonomousPrefix,
    nameServers,
    searchDomains,
  };
}

function add<T>(list: Lasting<T>[], value: T, seconds: number): void {
  if (list.length < MAX_ENTRIES) list.push({ value, seconds });
}

/** What routers said of names, until it is over or taken back (RFC 8106, 6.2). */
export class LearntNames {
  readonly #now: () => number;
  /** The moment at which each ends, by its text. */
  readonly #nameServers = new Map<string, { readonly address: Uint8Array; readonly end: number }>();
  readonly #searchDomains = new Map<string, number>();

  /** @param now milliseconds of a clock */
  constructor(now: () => number) {
    this.#now = now;
  }

  take({ nameServers, searchDomains }: RouterAdvertisement): void {
    const now = this.#now();
    for (const { value, seconds } of nameServers) {
      const key = formatIp(value);
      if (seconds === 0) this.#nameServers.delete(key);
      else if (this.#nameServers.has(key) || this.#nameServers.size < MAX_ENTRIES) {
        this.#nameServers.set(key, { address: value, end: now + seconds * 1000 });
      }
    }
    for (const { value, seconds } of searchDomains) {
      if (seconds === 0) this.#searchDomains.delete(value);
      else if (this.#searchDomains.has(value) || this.#searchDomains.size < MAX_ENTRIES) {
        this.#searchDomains.set(value, now + seconds * 1000);
      }
    }
    this.#forget(now);
  }

  get nameServers(): Uint8Array[] {
    return Array.from(this.#nameServers.values(), ({ address }) => address);
  }

  get searchDomains(): string[] {
    return [...this.#searchDomains.keys()];
  }

  /** Milliseconds until something of it ends; undefined when nothing does. */
  get endsAfter(): number | undefined {
    const ends = [...Array.from(this.#nameServers.values(), ({ end }) => end), ...this.#searchDomains.values()];
    return ends.length === 0 ? undefined : Math.max(0, Math.min(...ends) - this.#now());
  }

  /** Leaves out what is over. */
  expire(): void {
    this.#forget(this.#now());
  }

  #forget(now: number): void {
    for (const [key, { end }] of this.#nameServers) if (end <= now) this.#nameServers.delete(key);
    for (const [key, end] of this.#searchDomains) if (end <= now) this.#searchDomains.delete(key);
  }
}
