/**
 * A gateway of the datapath: where its packets go, and what only JavaScript can do for it (native/gateway/gateway.h).
 */
import { VdensError } from '../errors.ts';
import { FrameBatch, MAX_FRAME_BYTES } from '../frames/batch.ts';
import { IPV4_LENGTH, IPV6_LENGTH } from '../net/ip.ts';
import type { IpPrefix } from '../net/prefix.ts';
import { errnoName, native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';

/** What a gateway counts, in the order of `enum gateway_counter`. */
const GATEWAY_COUNTERS = [
  /** TCP connections that were made. */
  'tcp-opened',
  /** TCP segments that were answered by RST, connections that could not be made among them. */
  'tcp-refused',
  'udp-opened',
  'echo-opened',
  /** Flows that had to go for another one. */
  'evicted',
  /** Flows for which there was no room, or no descriptor. */
  'exhausted',
  /** Packets whose lengths or header checksum are wrong. */
  'malformed',
  'bad-checksum',
  /** Packets from an address that is not one of the guests' network. */
  'bad-source',
  'fragments',
  'fragments-dropped',
  /** Packets to where guests may not go, and said so. */
  'refused',
  /** The same, without a word. */
  'dropped',
  /** Packets of a kind that is not passed on: other groups, source routes, ICMP that nobody asked for. */
  'unsupported',
  /** Segments that had to be sent to guests again. */
  'retransmitted',
  /** Segments of guests that came before their turn. */
  'out-of-order',
  /** ICMP errors that guests were told. */
  'errors-sent',
  /** Frames for guests that were lost because too many left at once. */
  'no-room',
] as const;

/** What a gateway counts. */
export type GatewayCounter = (typeof GATEWAY_COUNTERS)[number];

const CONNECT = 1;
const RESOLVE = 2;
const PING_DENIED = 3;
const EXHAUSTED = 4;
const RULE_FAILED = 5;
const DISCONNECT = 6;

const EVENT_WORDS = 9;
const EVENTS_AT_ONCE = 64;
const RULE_WORDS = 3;
/** How many frames are taken at a time. */
const FRAMES_AT_ONCE = 64;
const ARENA_BYTES = 4 * MAX_FRAME_BYTES;
const NETWORK_BYTES = 20;

/** What a gateway is made of. */
export interface GatewayOptions {
  /** Its own MAC address. */
  readonly mac: Uint8Array;
  /** The largest IP packet to the guests, in bytes. */
  readonly mtu: number;
  /** How many connections, mappings and echos there can be at a time. */
  readonly maxFlows: number;
}

/** What is asked of JavaScript. */
export interface GatewayEvents {
  /** A frame that is part of no flow. It is borrowed for the length of the call. */
  frame(frame: Uint8Array): void;
  /** A guest's connection that a program or a socket of the host is to answer; {@link Gateway.adopt} does. */
  connect(token: number, address: Uint8Array, port: number): void;
  /** A connection that {@link Gateway.adopt} answered is over; its descriptor is closed. */
  disconnect(token: number): void;
  /** Whose MAC address is that? {@link Gateway.learn} says it. */
  resolve(address: Uint8Array): void;
  /** The host does not let this user send echo requests. */
  pingDenied(): void;
  /** A flow was refused; `errno` is undefined when there are as many as there can be. */
  exhausted(errno: string | undefined): void;
  /** Where a rule leads, by its place among the rules, there was an error. */
  ruleFailed(rule: number, errno: string): void;
}

/** What happened where a rule leads. */
export interface RuleCounts {
  /** Packets that left, and connections that were asked for. */
  readonly asked: number;
  readonly answers: number;
  readonly failures: number;
}

/** One gateway. */
export class Gateway {
  readonly id: number;
  readonly #counters = new Float64Array(GATEWAY_COUNTERS.length);
  readonly #watch: Watch;
  readonly #events: GatewayEvents;
  readonly #words = new Int32Array(EVENT_WORDS * EVENTS_AT_ONCE);
  readonly #taken = new FrameBatch(new Uint8Array(ARENA_BYTES), FRAMES_AT_ONCE);
  #closed = false;

  /** @throws VdensError `ERR_NATIVE` when there is no memory, or no descriptor */
  constructor(label: string, { mac, mtu, maxFlows }: GatewayOptions, events: GatewayEvents) {
    const result = native.gatewayOpen(maxFlows, mac, mtu, this.#counters);
    if (result < 0) {
      const errno = errnoName(result);
      throw new VdensError('ERR_NATIVE', `${label}: cannot make a gateway (${errno}). See: ulimit -n`, { errno });
    }
    this.id = result;
    this.#events = events;
    try {
      this.#watch = new Watch(native.gatewayNotice(result), READABLE, () => this.#serve());
    } catch (error) {
      native.gatewayClose(result);
      throw error;
    }
  }

  /** What it counted, by name; absent is zero. */
  get counters(): Partial<Record<GatewayCounter, number>> {
    const entries = GATEWAY_COUNTERS.map((name, index) => [name, this.#counters[index] ?? 0] as const);
    return Object.fromEntries(entries.filter(([, count]) => count > 0));
  }

  /** How many connections, mappings and echos there are. */
  get flows(): number {
    return this.#closed ? 0 : native.gatewayFlows(this.id);
  }

  /** The addresses that answer for it, and the networks where guests are. */
  configure(own: readonly Uint8Array[], networks: readonly IpPrefix[]): void {
    const bytes = new Uint8Array(networks.length * NETWORK_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [index, { address, prefixLength }] of networks.entries()) {
      const isIpv4 = address.length === IPV4_LENGTH;
      bytes.set(mapped(address), index * NETWORK_BYTES);
      view.setUint32(index * NETWORK_BYTES + IPV6_LENGTH, prefixLength + (isIpv4 ? 96 : 0), true);
    }
    if (!this.#closed) native.gatewayConfigure(this.id, Buffer.concat(own.map(mapped)), bytes);
  }

  /** Where destinations lead, as `emitRules` writes them. Mappings that the rules before made are forgotten. */
  setRules(rules: Uint8Array): void {
    if (!this.#closed) native.gatewaySetRules(this.id, rules);
  }

  /** What happened where the first rules lead. */
  ruleCounts(rules: number): RuleCounts[] {
    const words = new Uint32Array(rules * RULE_WORDS);
    const count = this.#closed ? 0 : native.gatewayRuleCounts(this.id, new Int32Array(words.buffer));
    return Array.from({ length: count }, (_, index) => {
      const [asked = 0, answers = 0, failures = 0] = words.subarray(index * RULE_WORDS);
      return { asked, answers, failures };
    });
  }

  /** Sends a frame to the guests. */
  send(frame: Uint8Array): void {
    if (this.#closed) return;
    const batch = new FrameBatch(frame, 1);
    batch.push(0, frame.length);
    native.gatewaySend(this.id, batch.arena, batch.slots, 1);
  }

  /** A guest was heard at that MAC address. */
  learn(address: Uint8Array, mac: Uint8Array): void {
    if (!this.#closed) native.gatewayLearn(this.id, mapped(address), mac);
  }

  /**
   * Answers {@link GatewayEvents.connect} with a descriptor, which is the gateway's from then on, or with a negative
   * errno. Returns whether somebody still waited for it; otherwise it stays the caller's.
   */
  adopt(token: number, fd: number): boolean {
    return !this.#closed && native.gatewayAdopt(this.id, token, fd) === 0;
  }

  /**
   * What arrives at a socket of the host, one that listens or is bound for UDP, goes to a guest. The socket is the
   * gateway's from then on.
   *
   * @returns a number for it
   * @throws VdensError `ERR_NATIVE` when there are too many; the socket is still the caller's then
   */
  forward(isUdp: boolean, fd: number, guest: Uint8Array, port: number): number {
    const result = this.#closed ? -1 : native.gatewayForward(this.id, isUdp ? 1 : 0, fd, mapped(guest), port);
    if (result >= 0) return result;
    const errno = errnoName(result);
    throw new VdensError('ERR_NATIVE', `cannot forward one more port (${errno}). Remove one that is not needed`, {
      errno,
    });
  }

  /** Ends a forward, and closes its socket; connections that were accepted stay. */
  unforward(forward: number): void {
    if (!this.#closed) native.gatewayUnforward(this.id, forward);
  }

  /** Closes it and all its connections. Nothing may have borrowed it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.end();
    native.gatewayClose(this.id);
  }

  #serve(): void {
    const batch = this.#taken;
    batch.count = native.gatewayTake(this.id, batch.arena, batch.slots);
    for (let index = 0; index < batch.count; index++) this.#events.frame(batch.frame(index));
    const count = this.#closed ? 0 : native.gatewayEvents(this.id, this.#words);
    for (let index = 0; index < count; index++) this.#tell(this.#words.subarray(index * EVENT_WORDS));
    // What did not fit is not told again by itself.
    if (!this.#closed && (batch.count === FRAMES_AT_ONCE || count === EVENTS_AT_ONCE))
      setImmediate(() => this.#again());
  }

  #again(): void {
    if (!this.#closed) this.#serve();
  }

  #tell(words: Int32Array): void {
    const [kind = 0, token = 0, rule = 0, error = 0] = words;
    const bytes = new Uint8Array(words.buffer, words.byteOffset + 16, IPV6_LENGTH);
    const address = unmapped(bytes);
    if (kind === CONNECT) this.#events.connect(token, address, words[8] ?? 0);
    if (kind === RESOLVE) this.#events.resolve(address);
    if (kind === PING_DENIED) this.#events.pingDenied();
    if (kind === EXHAUSTED) this.#events.exhausted(error === 0 ? undefined : errnoName(-error));
    if (kind === DISCONNECT) this.#events.disconnect(token);
    if (kind === RULE_FAILED) this.#events.ruleFailed(rule, errnoName(-error));
  }
}

const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** The one form in which the datapath has addresses: 16 bytes (RFC 4291, 2.5.5.2). */
function mapped(address: Uint8Array): Uint8Array {
  return address.length === IPV4_LENGTH ? Buffer.concat([MAPPED_PREFIX, address]) : address;
}

/** A copy of the address, of 4 or 16 bytes. */
function unmapped(bytes: Uint8Array): Uint8Array {
  const isIpv4 = MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
  return bytes.slice(isIpv4 ? MAPPED_PREFIX.length : 0);
}
