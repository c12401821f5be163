/**
 * A DHCPv6 client (RFC 8415) for one address of an interface, or for information alone. What carries its messages and
 * what becomes of the address are others' affairs.
 *
 * ```
 *              advertise                 reply
 * SOLICITING ────────────▶ REQUESTING ─────────▶ BOUND ──T1──▶ RENEWING ──T2──▶ REBINDING
 *     ▲                                            ▲│               │ reply         │ reply
 *     │◀── not on this link, no such binding,      ││◀──────────────┴───────────────┘
 *     │    the last address ends ──────────────────┤│ the network is back
 *     └─────────────────────────────────────── CONFIRMING
 *
 * INFORMING ──reply──▶ INFORMED ──refresh time──▶ INFORMING
 * ```
 */

import { Alarm, type Clock } from '../../system/clock.ts';
import {
  DHCPV6_ADVERTISE,
  DHCPV6_CONFIRM,
  DHCPV6_INFORMATION_REQUEST,
  DHCPV6_OPTION,
  DHCPV6_REBIND,
  DHCPV6_RELEASE,
  DHCPV6_RENEW,
  DHCPV6_REPLY,
  DHCPV6_REQUEST,
  DHCPV6_SOLICIT,
  DHCPV6_STATUS,
  type Dhcpv6Association,
  type Dhcpv6Message,
  duidOfMac,
  emitDhcpv6,
  emptyDhcpv6,
  INFINITE_LIFETIME,
  parseDhcpv6,
} from '../../wire/dhcpv6.ts';

/** From one try to the next at first, doubled each time (RFC 8415, 7.6: SOL_TIMEOUT and its like). */
const FIRST_RETRY_MS = 1000;
/** RFC 8415, 7.6 has 3600 s; who waits for an address is served sooner by this. */
const LONGEST_RETRY_MS = 120_000;
/** RFC 8415, 7.6: REN_TIMEOUT and REB_TIMEOUT, when the lifetimes leave room for it. */
const RENEWAL_RETRY_MS = 10_000;
/** The least pause between requests for more time. */
const MIN_RENEWAL_PAUSE_MS = 1000;
/** How much of a pause is left to chance, to each side (RFC 8415, 15: RAND). */
const JITTER = 0.1;
/** Requests for what was advertised before somebody else is looked for (RFC 8415, 7.6: REQ_MAX_RC). */
const MAX_REQUESTS = 10;
/** Questions whether an address is good on this link before we go on with it. */
const MAX_CONFIRMS = 4;
/** RFC 8415, 7.6: IRT_DEFAULT and IRT_MINIMUM, in seconds. */
const REFRESH_SECONDS = 86_400;
const MIN_REFRESH_SECONDS = 600;
/** Shorter lifetimes count as so long, in seconds. */
const MIN_LIFETIME_SECONDS = 2;

const WANTED = [DHCPV6_OPTION.nameServers, DHCPV6_OPTION.searchDomains];
const WANTED_INFORMATION = [...WANTED, DHCPV6_OPTION.refreshTime];

type State =
  | 'idle'
  | 'soliciting'
  | 'requesting'
  | 'bound'
  | 'renewing'
  | 'rebinding'
  | 'confirming'
  | 'informing'
  | 'informed';

/** What to ask for, by the state. */
const MESSAGE_OF: Readonly<Partial<Record<State, number>>> = {
  soliciting: DHCPV6_SOLICIT,
  requesting: DHCPV6_REQUEST,
  renewing: DHCPV6_RENEW,
  rebinding: DHCPV6_REBIND,
  confirming: DHCPV6_CONFIRM,
  informing: DHCPV6_INFORMATION_REQUEST,
};

/** Name servers and domains that came with an answer. */
export interface Dhcp6Information {
  readonly nameServers: readonly Uint8Array[];
  readonly searchDomains: readonly string[];
}

/** Addresses that are ours for a while. */
export interface Dhcp6Lease extends Dhcp6Information {
  /** 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
}

/** What a client works with. */
export interface Dhcp6Environment {
  readonly clock: Clock;
  /** 0 to below 1. */
  readonly random: () => number;
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** Sends a UDP payload to all servers of the link; may fail silently. */
  send(payload: Uint8Array): void;
  /** Addresses are ours, or others have taken their place: also after each renewal. */
  bound(lease: Dhcp6Lease): void;
  /** They are ours no longer, and the client starts over. */
  lost(reason: string): void;
  informed(information: Dhcp6Information): void;
}

/** The addresses, and what is known of their time. */
interface Held {
  readonly server: Uint8Array;
  readonly association: Dhcpv6Association;
  readonly since: number;
  /** Milliseconds from then; Infinity for one without an end. */
  readonly renewAfter: number;
  readonly rebindAfter: number;
  readonly expiresAfter: number;
}

export class Dhcp6Client {
  readonly #environment: Dhcp6Environment;
  readonly #duid: Uint8Array;
  readonly #association: number;
  readonly #retry: Alarm;
  readonly #next: Alarm;
  #state: State = 'idle';
  #transaction = 0;
  #startedAt = 0;
  #tries = 0;
  #chosen: { readonly server: Uint8Array; readonly association: Dhcpv6Association } | undefined;
  #held: Held | undefined;

  constructor(environment: Dhcp6Environment) {
    this.#environment = environment;
    this.#duid = duidOfMac(environment.mac);
    this.#association = environment.mac.subarray(2).reduce((sum, byte) => sum * 0x100 + byte, 0);
    this.#retry = new Alarm(environment.clock);
    this.#next = new Alarm(environment.clock);
  }

  /** Whether anything is being asked for, or held. */
  get isIdle(): boolean {
    return this.#state === 'idle';
  }

  /** Begins to ask for an address; whoever only informed itself does so from now on. */
  solicit(): void {
    if (this.#state !== 'idle' && this.#state !== 'informing' && this.#state !== 'informed') return;
    this.#next.cancel();
    this.#enter('soliciting');
  }

  /** Begins to ask for name servers and the like; no longer for an address, unless there is one. */
  inform(): void {
    if (this.#isWithoutAddress()) this.#enter('informing');
  }

  /** Asks for nothing more, unless there is an address. */
  stopAsking(): void {
    if (this.#isWithoutAddress()) this.close();
  }

  #isWithoutAddress(): boolean {
    return this.#state === 'idle' || this.#state === 'soliciting' || this.#state === 'requesting';
  }

  /** The network was away, and may be another now: asks whether the address is good there (RFC 8415, 18.2.3). */
  reconfirm(): void {
    if (this.#state === 'idle') return;
    this.#next.cancel();
    if (this.#state === 'informing' || this.#state === 'informed') this.#enter('informing');
    else this.#enter(this.#held === undefined ? 'soliciting' : 'confirming');
  }

  /** Takes a UDP payload that came to the client's port. */
  receive(payload: Uint8Array): void {
    const message = parseDhcpv6(payload);
    if (message === undefined || message.transaction !== this.#transaction) return;
    if (message.clientId === undefined || !isSame(message.clientId, this.#duid)) return;
    if (message.serverId === undefined) return;
    if (message.type === DHCPV6_ADVERTISE && this.#state === 'soliciting') this.#choose(message, message.serverId);
    else if (message.type === DHCPV6_REPLY) this.#takeReply(message, message.serverId);
  }

  /** Gives the addresses back, if there are any, and ends. The message may be lost: they end by themselves. */
  release(): void {
    const held = this.#held;
    if (held !== undefined) {
      this.#newTransaction();
      const message = this.#message(DHCPV6_RELEASE);
      this.#environment.send(
        emitDhcpv6({ ...message, serverId: held.server, associations: [held.association], requestedOptions: [] }),
      );
    }
    this.close();
  }

  /** Asks for nothing more. */
  close(): void {
    this.#state = 'idle';
    this.#retry.cancel();
    this.#next.cancel();
  }

  /** The first who offers an address is taken: to wait for a better one would keep the command waiting. */
  #choose(message: Dhcpv6Message, server: Uint8Array): void {
    const association = this.#usable(message);
    if (association === undefined) return;
    this.#chosen = { server, association };
    this.#enter('requesting');
  }

  /** Our association in an answer, when it has an address to use. */
  #usable(message: Dhcpv6Message): Dhcpv6Association | undefined {
    if (isRefusal(message)) return undefined;
    const association = message.associations.find(({ id }) => id === this.#association);
    if (association === undefined || isRefusal(association)) return undefined;
    const addresses = association.addresses.filter((one) => one.validLifetime > 0 && !isRefusal(one));
    return addresses.length === 0 ? undefined : { ...association, addresses };
  }

  #takeReply(message: Dhcpv6Message, server: Uint8Array): void {
    switch (this.#state) {
      case 'informing':
        this.#takeInformation(message);
        return;
      case 'soliciting':
        // Two messages instead of four (RFC 8415, 18.2.1).
        if (message.isRapid) this.#takeLease(message, server);
        return;
      case 'confirming':
        if (message.status?.code === DHCPV6_STATUS.notOnLink) this.#drop('it is not good on this link');
        else if (!isRefusal(message)) this.#resume();
        return;
      case 'requesting':
      case 'renewing':
      case 'rebinding':
        if (this.#usable(message) !== undefined) this.#takeLease(message, server);
        else if (message.associations.some(({ id }) => id === this.#association)) {
          this.#drop('the server does not let us keep it');
        }
        return;
    }
  }

  #takeInformation({ nameServers, searchDomains, refreshTime = REFRESH_SECONDS }: Dhcpv6Message): void {
    this.#state = 'informed';
    this.#retry.cancel();
    const seconds = Math.max(MIN_REFRESH_SECONDS, refreshTime);
    if (refreshTime !== INFINITE_LIFETIME) this.#next.set(seconds * 1000, () => this.#enter('informing'));
    this.#environment.informed({ nameServers, searchDomains });
  }

  #takeLease(message: Dhcpv6Message, server: Uint8Array): void {
    const association = this.#usable(message);
    if (association === undefined) return;
    this.#held = { server, association, since: this.#environment.clock.now(), ...timesOf(association) };
    this.#chosen = undefined;
    this.#settle();
    const addresses = association.addresses.map(({ address }) => address);
    this.#environment.bound({ addresses, nameServers: message.nameServers, searchDomains: message.searchDomains });
  }

  /** Is content with what we have until it has to be renewed. */
  #settle(): void {
    this.#state = 'bound';
    this.#retry.cancel();
    this.#awaitAge(this.#held?.renewAfter, () => {
      this.#awaitAge(this.#held?.rebindAfter, () => this.#rebind());
      this.#enter('renewing');
    });
  }

  #rebind(): void {
    this.#awaitAge(this.#held?.expiresAfter, () => this.#drop('it was not renewed in time'));
    this.#enter('rebinding');
  }

  /** Goes on with what we have, at the age that it has. */
  #resume(): void {
    const { since = 0, rebindAfter = 0, expiresAfter = 0 } = this.#held ?? {};
    const age = this.#environment.clock.now() - since;
    if (age >= expiresAfter) this.#drop('it was not renewed in time');
    else if (age >= rebindAfter) this.#rebind();
    else this.#settle();
  }

  #drop(reason: string): void {
    const had = this.#held;
    const hadChosen = this.#chosen;
    this.#held = undefined;
    this.#chosen = undefined;
    this.#next.cancel();
    if (had !== undefined) this.#environment.lost(reason);
    // One that advertises and then refuses is not asked without a pause.
    if (had === undefined && hadChosen !== undefined) {
      this.#state = 'idle';
      this.#retry.set(this.#pause(1), () => this.#enter('soliciting'));
    } else {
      this.#enter('soliciting');
    }
  }

  /** Sets the next step at an age of what we have, in milliseconds. */
  #awaitAge(age: number | undefined, step: () => void): void {
    if (age === undefined || age === Infinity) this.#next.cancel();
    else this.#next.set((this.#held?.since ?? 0) + age - this.#environment.clock.now(), step);
  }

  #enter(state: State): void {
    this.#state = state;
    this.#tries = 0;
    this.#startedAt = this.#environment.clock.now();
    this.#newTransaction();
    this.#ask();
  }

  #newTransaction(): void {
    this.#transaction = Math.floor(this.#environment.random() * 0x1000000);
  }

  /** Sends what the state calls for, and comes back when there is no answer. */
  #ask(): void {
    if (this.#hasAskedEnough()) return;
    this.#tries += 1;
    this.#environment.send(emitDhcpv6(this.#question()));
    const isExtending = this.#state === 'renewing' || this.#state === 'rebinding';
    const pause = isExtending ? this.#renewalPause() : this.#pause(this.#tries);
    if (pause !== undefined) this.#retry.set(pause, () => this.#ask());
  }

  /** Whether nobody seems to answer; then something else is being done. */
  #hasAskedEnough(): boolean {
    if (this.#state === 'requesting' && this.#tries === MAX_REQUESTS) {
      this.#enter('soliciting');
      return true;
    }
    if (this.#state === 'confirming' && this.#tries === MAX_CONFIRMS) {
      this.#resume();
      return true;
    }
    return false;
  }

  #question(): Dhcpv6Message {
    const message = this.#message(MESSAGE_OF[this.#state] ?? DHCPV6_INFORMATION_REQUEST);
    switch (this.#state) {
      case 'soliciting':
        return { ...message, isRapid: true, associations: [this.#wish([])] };
      case 'requesting': {
        const { server, association } = this.#chosen ?? {};
        const asked = { ...message, associations: [this.#wish(association?.addresses ?? [])] };
        return server === undefined ? asked : { ...asked, serverId: server };
      }
      case 'renewing': {
        const asked = { ...message, associations: [this.#wish(this.#held?.association.addresses ?? [])] };
        return this.#held === undefined ? asked : { ...asked, serverId: this.#held.server };
      }
      case 'rebinding':
      case 'confirming':
        return { ...message, associations: [this.#wish(this.#held?.association.addresses ?? [])] };
      default:
        return { ...message, requestedOptions: WANTED_INFORMATION };
    }
  }

  #wish(addresses: Dhcpv6Association['addresses']): Dhcpv6Association {
    // Lifetimes of a question are a wish, and 0 is none (RFC 8415, 18.2).
    const wished = addresses.map(({ address }) => ({ address, preferredLifetime: 0, validLifetime: 0 }));
    return { id: this.#association, renewAfter: 0, rebindAfter: 0, addresses: wished };
  }

  #message(type: number): Dhcpv6Message {
    const hundredths = Math.floor((this.#environment.clock.now() - this.#startedAt) / 10);
    return {
      ...emptyDhcpv6(type, this.#transaction),
      clientId: this.#duid,
      elapsedTime: Math.min(0xffff, this.#tries <= 1 ? 0 : hundredths),
      requestedOptions: WANTED,
    };
  }

  #pause(tries: number): number {
    return this.#jittered(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 16)));
  }

  /** Undefined when the next step comes first. */
  #renewalPause(): number | undefined {
    const { since = 0, rebindAfter = 0, expiresAfter = 0 } = this.#held ?? {};
    const end = since + (this.#state === 'renewing' ? rebindAfter : expiresAfter);
    const half = (end - this.#environment.clock.now()) / 2;
    if (half < MIN_RENEWAL_PAUSE_MS) return undefined;
    return Math.min(half, this.#jittered(RENEWAL_RETRY_MS * 2 ** Math.min(this.#tries - 1, 6)));
  }

  #jittered(pause: number): number {
    return pause * (1 - JITTER + 2 * JITTER * this.#environment.random());
  }
}

function isRefusal({ status }: { readonly status?: { readonly code: number } }): boolean {
  return status !== undefined && status.code !== DHCPV6_STATUS.success;
}

/** When to renew what an association has (RFC 8415, 14.2, 21.4: T1 and T2 of 0 are left to us). */
function timesOf(association: Dhcpv6Association): Pick<Held, 'renewAfter' | 'rebindAfter' | 'expiresAfter'> {
  const valid = Math.max(...association.addresses.map(({ validLifetime }) => lifetime(validLifetime)));
  const preferred = Math.min(...association.addresses.map(({ preferredLifetime }) => lifetime(preferredLifetime)));
  const { renewAfter, rebindAfter } = association;
  const rebind = rebindAfter > 0 && rebindAfter < valid ? lifetime(rebindAfter) : preferred * 0.8;
  const renew = renewAfter > 0 && renewAfter <= rebind ? renewAfter : Math.min(preferred * 0.5, rebind);
  return { renewAfter: renew * 1000, rebindAfter: rebind * 1000, expiresAfter: valid * 1000 };
}

function lifetime(seconds: number): number {
  return seconds === INFINITE_LIFETIME ? Infinity : Math.max(seconds, MIN_LIFETIME_SECONDS);
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
