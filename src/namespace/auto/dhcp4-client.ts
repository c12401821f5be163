/**
 * A DHCP client (RFC 2131): asks for an address, keeps it, gives it back. What carries its messages and what becomes of
 * the address are others' affairs.
 *
 * ```
 *            offer               ack
 * SELECTING ───────▶ REQUESTING ──────▶ BOUND ──T1──▶ RENEWING ──T2──▶ REBINDING
 *     ▲                  │ nak            ▲│               │ ack           │ ack
 *     │◀─────────────────┘                ││◀──────────────┴───────────────┘
 *     │◀── nak, the lease ends ───────────┤│ the network is back
 *     │                                   │▼
 *     └────────────────── nak ─────── REBOOTING
 * ```
 */

import { Alarm, type Clock } from '../../system/clock.ts';
import {
  addressOption,
  BOOT_REPLY,
  BOOT_REQUEST,
  DHCP_ACK,
  DHCP_DISCOVER,
  DHCP_NAK,
  DHCP_OFFER,
  DHCP_OPTION,
  DHCP_RELEASE,
  DHCP_REQUEST,
  type DhcpMessage,
  dhcpMessageType,
  emitDhcp,
  numberValue,
  parseDhcp,
  textValue,
} from '../../wire/dhcp.ts';
import { CLASSLESS_ROUTES, type Dhcp4Lease, readLease } from './dhcp4-lease.ts';

/** The pause before a message is sent again, doubled each time; RFC 2131, 4.1 has 4 s for it, on slower networks. */
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 64_000;
/** How much of a pause is left to chance, to each side. */
const JITTER = 0.25;
/** Requests for an offer before another is looked for. */
const MAX_REQUESTS = 4;
/** Requests for what we had before we go on with it (RFC 2131, 3.2). */
const MAX_REBOOTS = 3;
/** The least pause between requests for more time. */
const MIN_RENEWAL_PAUSE_MS = 1000;
/** A message of ours is taken up to this length of UDP payload. */
const MAX_MESSAGE_BYTES = 1472;
const ETHERNET = 1;
const NO_ADDRESS = new Uint8Array(4);

/** RFC 3442: its routes before the router. */
const WANTED = Uint8Array.of(
  DHCP_OPTION.subnetMask,
  CLASSLESS_ROUTES,
  DHCP_OPTION.router,
  DHCP_OPTION.nameServer,
  DHCP_OPTION.domainName,
  DHCP_OPTION.searchDomains,
  DHCP_OPTION.mtu,
  DHCP_OPTION.leaseTime,
  DHCP_OPTION.renewalTime,
  DHCP_OPTION.rebindingTime,
);

type State = 'idle' | 'selecting' | 'requesting' | 'bound' | 'renewing' | 'rebinding' | 'rebooting';

/** Where a message goes: to everybody, or to the server whose MAC address is known, from the address we have. */
export interface Dhcp4Path {
  readonly source: Uint8Array;
  /** Absent: everybody. */
  readonly server?: { readonly address: Uint8Array; readonly mac: Uint8Array };
}

/** What a client works with. */
export interface Dhcp4Environment {
  readonly clock: Clock;
  /** 0 to below 1. */
  readonly random: () => number;
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** The host's name, told to the server. */
  readonly hostname?: string | undefined;
  /** Sends a UDP payload from the client's to the server's port; may fail silently. */
  send(payload: Uint8Array, path: Dhcp4Path): void;
  /** A lease is ours, or another has taken its place: also after each renewal. */
  bound(lease: Dhcp4Lease): void;
  /** It is ours no longer, and the client starts over. */
  lost(reason: string): void;
}

/** An offer that was taken, or a lease. */
interface Chosen {
  readonly address: Uint8Array;
  readonly server: Uint8Array;
}

export class Dhcp4Client {
  readonly #environment: Dhcp4Environment;
  readonly #retry: Alarm;
  readonly #next: Alarm;
  #state: State = 'idle';
  #transaction = 0;
  #startedAt = 0;
  #sentAt = 0;
  #tries = 0;
  #refusals = 0;
  #chosen: Chosen | undefined;
  #lease: Dhcp4Lease | undefined;
  /** When the request was sent that the lease counts from. */
  #leasedAt = 0;
  #serverMac: Uint8Array | undefined;

  constructor(environment: Dhcp4Environment) {
    this.#environment = environment;
    this.#retry = new Alarm(environment.clock);
    this.#next = new Alarm(environment.clock);
  }

  /** What is ours now. */
  get lease(): Dhcp4Lease | undefined {
    return this.#lease;
  }

  /** Whether somebody offered an address, and did not confirm it yet. */
  get hasOffer(): boolean {
    return this.#state === 'requesting';
  }

  /** Begins to ask. */
  start(): void {
    this.#startedAt = this.#environment.clock.now();
    this.#enter('selecting');
  }

  /** The network was away, and may be another now: asks whether what we have is good there (RFC 2131, 4.4.2). */
  reconfirm(): void {
    if (this.#state === 'idle') return;
    this.#startedAt = this.#environment.clock.now();
    this.#next.cancel();
    this.#enter(this.#lease === undefined ? 'selecting' : 'rebooting');
  }

  /** Takes a UDP payload that came to the client's port, and the MAC address that it came from. */
  receive(payload: Uint8Array, mac: Uint8Array): void {
    const message = parseDhcp(payload);
    if (message === undefined || !this.#isForUs(message)) return;
    const server = addressOption(message.options, DHCP_OPTION.serverId);
    switch (dhcpMessageType(message.options)) {
      case DHCP_OFFER:
        if (this.#state === 'selecting' && server !== undefined && readLease(message) !== undefined) {
          this.#chosen = { address: message.yourAddress, server };
          this.#enter('requesting');
        }
        return;
      case DHCP_ACK:
        if (this.#isAwaited(server)) this.#accept(message, mac);
        return;
      case DHCP_NAK:
        if (this.#isAwaited(server)) this.#refuse();
        return;
    }
  }

  /** Gives the address back, if there is one, and ends. The message may be lost: the lease ends by itself. */
  release(): void {
    const lease = this.#lease;
    if (lease !== undefined && this.#serverMac !== undefined) {
      this.#newTransaction();
      this.#send(
        DHCP_RELEASE,
        { source: lease.address.address, server: { address: lease.server, mac: this.#serverMac } },
        lease.address.address,
        [[DHCP_OPTION.serverId, lease.server]],
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

  #isForUs(message: DhcpMessage): boolean {
    const { mac } = this.#environment;
    return (
      message.operation === BOOT_REPLY &&
      message.transaction === this.#transaction &&
      Buffer.compare(message.hardwareAddress, mac) === 0
    );
  }

  /** Whether an answer to a request is expected, from this server. */
  #isAwaited(server: Uint8Array | undefined): boolean {
    if (this.#state === 'requesting') return server !== undefined && isSame(server, this.#chosen?.server);
    return this.#state === 'renewing' || this.#state === 'rebinding' || this.#state === 'rebooting';
  }

  #accept(message: DhcpMessage, mac: Uint8Array): void {
    const lease = readLease(message);
    if (lease === undefined) return;
    this.#refusals = 0;
    this.#serverMac = mac;
    this.#lease = lease;
    this.#leasedAt = this.#sentAt;
    this.#settle();
    this.#environment.bound(lease);
  }

  /** Is content with the lease until it has to be renewed. */
  #settle(): void {
    this.#state = 'bound';
    this.#retry.cancel();
    this.#awaitAge(this.#lease?.renewAfter, () => this.#renew());
  }

  #refuse(): void {
    this.#drop('the server does not let us keep it');
    // A server that offers and then refuses is not asked without a pause.
    this.#refusals += 1;
    this.#state = 'selecting';
    this.#retry.cancel();
    this.#next.set(this.#refusals === 1 ? 0 : this.#pause(this.#refusals - 1), () => this.start());
  }

  #drop(reason: string): void {
    const had = this.#lease;
    this.#lease = undefined;
    this.#chosen = undefined;
    this.#serverMac = undefined;
    this.#next.cancel();
    if (had !== undefined) this.#environment.lost(reason);
  }

  #renew(): void {
    this.#startedAt = this.#environment.clock.now();
    this.#awaitAge(this.#lease?.rebindAfter, () => this.#rebind());
    this.#enter('renewing');
  }

  #rebind(): void {
    this.#awaitAge(this.#lease?.expiresAfter, () => this.#expire());
    this.#enter('rebinding');
  }

  #expire(): void {
    this.#drop('it was not renewed in time');
    this.start();
  }

  /** Sets the next step at an age of the lease, in milliseconds. */
  #awaitAge(age: number | undefined, step: () => void): void {
    if (age === undefined || age === Infinity) this.#next.cancel();
    else this.#next.set(this.#leasedAt + age - this.#environment.clock.now(), step);
  }

  #enter(state: State): void {
    this.#state = state;
    this.#tries = 0;
    this.#newTransaction();
    this.#ask();
  }

  #newTransaction(): void {
    this.#transaction = Math.floor(this.#environment.random() * 0x100000000);
  }

  /** Sends what the state calls for, and comes back when there is no answer. */
  #ask(): void {
    if (this.#hasAskedEnough()) return;
    this.#tries += 1;
    this.#sentAt = this.#environment.clock.now();
    this.#sendRequest();
    const pause = this.#isExtending() ? this.#renewalPause() : this.#pause(this.#tries);
    if (pause !== undefined) this.#retry.set(pause, () => this.#ask());
  }

  /** Whether nobody seems to answer; then something else is being done. */
  #hasAskedEnough(): boolean {
    if (this.#state === 'requesting' && this.#tries === MAX_REQUESTS) {
      this.#enter('selecting');
      return true;
    }
    if (this.#state === 'rebooting' && this.#tries === MAX_REBOOTS) {
      this.#resume();
      return true;
    }
    return false;
  }

  /** Goes on with a lease that nobody confirmed, at the age that it has. */
  #resume(): void {
    const age = this.#environment.clock.now() - this.#leasedAt;
    const { rebindAfter = 0, expiresAfter = 0 } = this.#lease ?? {};
    if (age >= expiresAfter) this.#expire();
    else if (age >= rebindAfter) this.#rebind();
    else this.#settle();
  }

  #isExtending(): boolean {
    return this.#state === 'renewing' || this.#state === 'rebinding';
  }

  #sendRequest(): void {
    const address = this.#lease?.address.address ?? NO_ADDRESS;
    const server = this.#lease?.server;
    const mac = this.#serverMac;
    const everybody: Dhcp4Path = { source: NO_ADDRESS };
    switch (this.#state) {
      case 'selecting':
        this.#send(DHCP_DISCOVER, everybody, NO_ADDRESS, []);
        return;
      case 'requesting':
        this.#send(DHCP_REQUEST, everybody, NO_ADDRESS, [
          [DHCP_OPTION.requestedAddress, this.#chosen?.address ?? NO_ADDRESS],
          [DHCP_OPTION.serverId, this.#chosen?.server ?? NO_ADDRESS],
        ]);
        return;
      case 'rebooting':
        this.#send(DHCP_REQUEST, everybody, NO_ADDRESS, [[DHCP_OPTION.requestedAddress, address]]);
        return;
      case 'renewing':
        if (server === undefined || mac === undefined) return;
        this.#send(DHCP_REQUEST, { source: address, server: { address: server, mac } }, address, []);
        return;
      case 'rebinding':
        this.#send(DHCP_REQUEST, { source: address }, address, []);
        return;
      default:
        return;
    }
  }

  #send(
    type: number,
    path: Dhcp4Path,
    clientAddress: Uint8Array,
    more: readonly (readonly [number, Uint8Array])[],
  ): void {
    const { clock, mac, hostname } = this.#environment;
    const seconds = Math.min(0xffff, Math.floor((clock.now() - this.#startedAt) / 1000));
    const options = new Map<number, Uint8Array>([
      [DHCP_OPTION.messageType, Uint8Array.of(type)],
      [DHCP_OPTION.clientId, Uint8Array.of(ETHERNET, ...mac)],
      ...more,
    ]);
    if (type !== DHCP_RELEASE) {
      options.set(DHCP_OPTION.maxMessageSize, numberValue(MAX_MESSAGE_BYTES, 2));
      options.set(DHCP_OPTION.parameterList, WANTED);
      if (hostname !== undefined) options.set(DHCP_OPTION.hostName, textValue(hostname));
    }
    const message: DhcpMessage = {
      operation: BOOT_REQUEST,
      hardwareType: ETHERNET,
      hardwareAddress: mac,
      hops: 0,
      transaction: this.#transaction,
      seconds,
      isBroadcast: false,
      clientAddress,
      yourAddress: NO_ADDRESS,
      serverAddress: NO_ADDRESS,
      relayAddress: NO_ADDRESS,
      serverName: '',
      file: '',
      options,
    };
    this.#environment.send(emitDhcp(message), path);
  }

  #pause(tries: number): number {
    const pause = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 16));
    return pause * (1 - JITTER + 2 * JITTER * this.#environment.random());
  }

  /** Half of the time that is left until the next step; undefined when that is too little (RFC 2131, 4.4.5). */
  #renewalPause(): number | undefined {
    const { rebindAfter = 0, expiresAfter = 0 } = this.#lease ?? {};
    const end = this.#leasedAt + (this.#state === 'renewing' ? rebindAfter : expiresAfter);
    const pause = (end - this.#environment.clock.now()) / 2;
    return pause < MIN_RENEWAL_PAUSE_MS ? undefined : pause;
  }
}

function isSame(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
