/**
 * One interface that learns its configuration: addresses, routes and MTU by DHCP and DHCPv6, put into the kernel by
 * rtnetlink; by router advertisements the kernel configures it itself, and we wait for that.
 */
import { formatIp, IPV4_LENGTH, IPV6_LENGTH, isLinkLocalIp, SMALLEST_IPV6_MTU } from '../../net/ip.ts';
import { formatPrefix, type IpPrefix, prefixContains } from '../../net/prefix.ts';
import { Alarm, type Clock } from '../../system/clock.ts';
import type { LearntRoute } from '../../system/route-message.ts';
import type { Rtnetlink } from '../../system/rtnetlink.ts';
import { ClientSocket } from './client-socket.ts';
import { Dhcp4Client } from './dhcp4-client.ts';
import type { Dhcp4Lease } from './dhcp4-lease.ts';
import { Dhcp6Client, type Dhcp6Information, type Dhcp6Lease } from './dhcp6-client.ts';
import type { NameSource } from './learnt-resolv-conf.ts';
import { LearntNames, type RouterAdvertisement } from './router-advertisement.ts';

/** How often the kernel is looked at while an address is expected of it, in milliseconds. */
const LOOK_MS = 20;
/** How long that goes on after an advertisement: duplicate address detection takes seconds (RFC 4862, 5.4). */
const MAX_LOOKS_MS = 10_000;
/** When routers are asked again: the kernel leaves them 4 s, as RFC 4861, 10 has it. */
const ROUTER_RETRY_MS = 1000;
/** Without an answer to that, addresses are asked for by DHCPv6 all the same (RFC 4862, 5.5.2). */
const NO_ROUTER_MS = 2000;

/** What is to be found out, and what is given already. */
export interface AutoInterfaceOptions {
  readonly name: string;
  /** Of its routes: of several ways to a destination that with the lowest is taken. */
  readonly metric: number;
  /** The packet socket inside, which the interface takes over. */
  readonly socket: number;
  /** Addresses that were given; of their family none is asked for by DHCP. */
  readonly addresses: readonly IpPrefix[];
  /** Whether the MTU was given, and is kept. */
  readonly keepsMtu: boolean;
  /** Whether an IPv4 gateway was given, and is kept. */
  readonly keepsGateway: boolean;
  readonly hostname: string | undefined;
}

/** What an interface works with. */
export interface AutoEnvironment {
  readonly rtnetlink: Rtnetlink;
  readonly clock: Clock;
  readonly random: () => number;
  /** Something is known that was not known before, or no longer: names, an address, an answer. */
  changed(): void;
  /** Something happened that people want to know, after the first configuration. */
  say(line: string): void;
}

/** What became of one family of addresses. */
interface Progress {
  /** It is not asked for. */
  isGiven: boolean;
  /** There is an address to use. */
  isUsable: boolean;
  /** Nothing more is expected soon. */
  isComplete: boolean;
}

export class AutoInterface {
  readonly name: string;
  readonly #options: AutoInterfaceOptions;
  readonly #environment: AutoEnvironment;
  readonly #ipv4: Progress;
  readonly #ipv6: Progress = { isGiven: false, isUsable: false, isComplete: false };
  readonly #advertised: LearntNames;
  readonly #expiry: Alarm;
  readonly #withoutRouter: Alarm;
  readonly #look: Alarm;
  #lookUntil = 0;
  #socket: ClientSocket | undefined;
  #mac: Uint8Array = new Uint8Array(6);
  #linkLocal: Uint8Array | undefined;
  #firstMtu = 0;
  #maxMtu = 0;
  #dhcp4: Dhcp4Client | undefined;
  #dhcp6: Dhcp6Client | undefined;
  #lease4: Dhcp4Lease | undefined;
  #lease6: Dhcp6Lease | undefined;
  #information: Dhcp6Information | undefined;
  #advertisement: RouterAdvertisement | undefined;
  #isManaged = false;
  /** Changes of the kernel's state, one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #wasConfigured = false;
  #closed = false;

  constructor(options: AutoInterfaceOptions, environment: AutoEnvironment) {
    this.name = options.name;
    this.#options = options;
    this.#environment = environment;
    const { clock } = environment;
    const hasIpv4 = options.addresses.some(({ address }) => address.length === IPV4_LENGTH);
    this.#ipv4 = { isGiven: hasIpv4, isUsable: false, isComplete: hasIpv4 };
    this.#advertised = new LearntNames(() => clock.now());
    this.#expiry = new Alarm(clock);
    this.#withoutRouter = new Alarm(clock);
    this.#look = new Alarm(clock);
  }

  /** Sets the interface up and begins to ask. The network is plugged in by now. */
  async start(): Promise<void> {
    const { rtnetlink, clock, random } = this.#environment;
    const { isUp } = await rtnetlink.link(this.name);
    await rtnetlink.setUp(this.name, true);
    const link = await rtnetlink.link(this.name);
    this.#mac = link.mac;
    this.#firstMtu = link.mtu;
    this.#maxMtu = link.maxMtu;
    if (this.#closed) return;
    this.#socket = new ClientSocket(this.#options.socket, link.index, {
      dhcp: (payload, mac) => this.#dhcp4?.receive(payload, mac),
      dhcpv6: (payload) => this.#dhcp6?.receive(payload),
      advertisement: (advertisement) => this.#hear(advertisement),
    });
    this.#dhcp6 = new Dhcp6Client({
      clock,
      random,
      mac: this.#mac,
      send: (payload) => void this.#sendDhcpv6(payload),
      bound: (lease) => this.#inTurn(() => this.#take6(lease)),
      lost: (reason) => this.#inTurn(() => this.#lose6(reason)),
      informed: (information) => {
        this.#information = information;
        this.#ipv6.isComplete ||= this.#ipv6.isUsable;
        this.#environment.changed();
      },
    });
    // What the kernel asked when it was set up, nobody may have heard.
    if (isUp) void this.#solicitRouters();
    if (link.mtu < SMALLEST_IPV6_MTU) this.#ipv6.isComplete = true;
    else this.#awaitRouter();
    if (this.#ipv4.isGiven) return;
    this.#dhcp4 = new Dhcp4Client({
      clock,
      random,
      mac: this.#mac,
      hostname: this.#options.hostname,
      send: (payload, path) => this.#socket?.sendDhcp(payload, path),
      bound: (lease) => this.#inTurn(() => this.#take4(lease)),
      lost: (reason) => this.#inTurn(() => this.#lose4(reason)),
    });
    this.#dhcp4.start();
  }

  /** Whether there is an address to use: learnt, or given. */
  get isConfigured(): boolean {
    return this.#options.addresses.length > 0 || this.#ipv4.isUsable || this.#ipv6.isUsable;
  }

  /** Whether nothing more of IPv4 is expected soon. */
  get hasIpv4(): boolean {
    return this.#ipv4.isComplete;
  }

  /** Whether nothing more of IPv6, and of DHCPv6, is expected soon. */
  get hasIpv6(): boolean {
    return this.#ipv6.isComplete;
  }

  /** What was heard so far, for who waits in vain; undefined when it was nothing. */
  get heard(): string | undefined {
    if (this.#dhcp4?.hasOffer === true) return 'a DHCP server offered an address and did not confirm it';
    if (this.#advertisement === undefined) return undefined;
    const router = formatIp(this.#advertisement.router);
    return this.#advertisement.isManaged
      ? `the router ${router} says that addresses are to be had by DHCPv6, and nobody gave one`
      : `the router ${router} is there, but gives no addresses`;
  }

  get names(): NameSource {
    const sources = [this.#lease4, this.#lease6, this.#information, this.#advertised];
    return {
      interfaceName: this.name,
      nameServers: sources.flatMap((source) => source?.nameServers ?? []),
      searchDomains: sources.flatMap((source) => source?.searchDomains ?? []),
    };
  }

  /** From now on what changes is told. */
  tellChanges(): void {
    this.#wasConfigured = true;
  }

  /** The network was away, and may be another now. */
  reconfirm(): void {
    this.#dhcp4?.reconfirm();
    this.#dhcp6?.reconfirm();
    void this.#solicitRouters();
  }

  /** Gives back what was leased: the messages are on their way when it returns. */
  release(): void {
    this.#dhcp4?.release();
    this.#dhcp6?.release();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dhcp4?.close();
    this.#dhcp6?.close();
    for (const alarm of [this.#expiry, this.#withoutRouter, this.#look]) alarm.cancel();
    this.#socket?.close();
  }

  #awaitRouter(): void {
    this.#withoutRouter.set(ROUTER_RETRY_MS, () => {
      void this.#solicitRouters();
      this.#withoutRouter.set(NO_ROUTER_MS, () => {
        void this.#solicitRouters();
        this.#dhcp6?.solicit();
      });
    });
  }

  #inTurn(change: () => Promise<void>): void {
    this.#turn = this.#turn.then(change).catch((error: unknown) => {
      if (!this.#closed) this.#environment.say(error instanceof Error ? error.message : String(error));
    });
  }

  async #take4(lease: Dhcp4Lease): Promise<void> {
    const { rtnetlink } = this.#environment;
    const last = this.#lease4;
    const isSameAddress = last !== undefined && formatPrefix(last.address) === formatPrefix(lease.address);
    if (!this.#options.keepsMtu) await this.#setMtu(lease.mtu);
    if (!isSameAddress) await rtnetlink.addAddress(this.name, lease.address);
    const routes = this.#routesOf(lease);
    const before = last === undefined ? [] : this.#routesOf(last);
    for (const route of before) if (!has(routes, route)) await rtnetlink.removeRoute(this.name, route);
    for (const route of routes) if (!has(before, route)) await rtnetlink.addRoute(this.name, route);
    if (!isSameAddress && last !== undefined) await rtnetlink.removeAddress(this.name, last.address);
    this.#lease4 = lease;
    this.#ipv4.isUsable = true;
    this.#ipv4.isComplete = true;
    if (!isSameAddress) this.#tell(`has the address ${formatPrefix(lease.address)} now`);
    this.#environment.changed();
  }

  async #lose4(reason: string): Promise<void> {
    const lease = this.#lease4;
    if (lease === undefined) return;
    const { rtnetlink } = this.#environment;
    this.#lease4 = undefined;
    this.#ipv4.isUsable = false;
    this.#tell(`lost the address ${formatPrefix(lease.address)}: ${reason}; asking again`);
    for (const route of this.#routesOf(lease)) await rtnetlink.removeRoute(this.name, route);
    await rtnetlink.removeAddress(this.name, lease.address);
    this.#environment.changed();
  }

  #routesOf({ routes, address }: Dhcp4Lease): LearntRoute[] {
    return routes
      .filter(({ destination }) => destination.prefixLength > 0 || !this.#options.keepsGateway)
      .map((route) => ({
        ...route,
        // Servers give addresses of /32, and a gateway besides.
        isNeighbour: route.gateway !== undefined && !prefixContains(address, route.gateway),
        metric: this.#options.metric,
        source: address.address,
      }));
  }

  /** What the server says, and not more than what the network has room for. */
  async #setMtu(told: number | undefined): Promise<void> {
    const { rtnetlink } = this.#environment;
    const most = this.#maxMtu === 0 ? this.#firstMtu : Math.min(this.#firstMtu, this.#maxMtu);
    const wanted = Math.min(told ?? most, most);
    if ((await rtnetlink.link(this.name)).mtu !== wanted) await rtnetlink.setMtu(this.name, wanted);
  }

  async #take6(lease: Dhcp6Lease): Promise<void> {
    const { rtnetlink } = this.#environment;
    const last = this.#lease6?.addresses ?? [];
    for (const address of lease.addresses) {
      if (!includes(last, address)) await rtnetlink.addAddress(this.name, hostPrefix(address));
    }
    for (const address of last) {
      if (!includes(lease.addresses, address)) await rtnetlink.removeAddress(this.name, hostPrefix(address));
    }
    if (this.#lease6 === undefined) this.#tell(`has the address ${lease.addresses.map(formatIp).join(', ')} now`);
    this.#lease6 = lease;
    this.#ipv6.isUsable = true;
    this.#ipv6.isComplete = true;
    this.#environment.changed();
  }

  async #lose6(reason: string): Promise<void> {
    const lease = this.#lease6;
    if (lease === undefined) return;
    this.#lease6 = undefined;
    this.#tell(`lost the address ${lease.addresses.map(formatIp).join(', ')}: ${reason}; asking again`);
    for (const address of lease.addresses) {
      await this.#environment.rtnetlink.removeAddress(this.name, hostPrefix(address));
    }
    this.#environment.changed();
  }

  #tell(what: string): void {
    if (this.#wasConfigured) this.#environment.say(`${this.name} ${what}`);
  }

  #hear(advertisement: RouterAdvertisement): void {
    this.#withoutRouter.cancel();
    this.#advertisement = advertisement;
    this.#advertised.take(advertisement);
    this.#awaitExpiry();
    // Of several routers, one that says so is enough.
    this.#isManaged ||= advertisement.isManaged;
    if (this.#isManaged) this.#dhcp6?.solicit();
    else if (advertisement.hasOther) this.#dhcp6?.inform();
    else if (this.#information === undefined) this.#dhcp6?.stopAsking();
    if (advertisement.hasAutonomousPrefix && !this.#ipv6.isUsable) {
      this.#lookUntil = this.#environment.clock.now() + MAX_LOOKS_MS;
      void this.#lookForAddress();
    } else if (!advertisement.isManaged && !advertisement.hasAutonomousPrefix) {
      this.#ipv6.isComplete = true;
    }
    this.#environment.changed();
  }

  /** Waits for the address that the kernel makes. */
  async #lookForAddress(): Promise<void> {
    if (this.#closed || this.#ipv6.isUsable) return;
    const addresses = await this.#environment.rtnetlink.usableAddresses(this.name).catch(() => []);
    const given = this.#options.addresses.map(formatPrefix);
    const isLearnt = (prefix: IpPrefix): boolean =>
      prefix.address.length === IPV6_LENGTH && !isLinkLocalIp(prefix.address) && !given.includes(formatPrefix(prefix));
    if (addresses.some(isLearnt)) {
      this.#ipv6.isUsable = true;
      // DHCPv6 has yet to say the rest.
      const { isManaged = false, hasOther = false } = this.#advertisement ?? {};
      this.#ipv6.isComplete ||= !isManaged && (!hasOther || this.#information !== undefined);
      this.#environment.changed();
    } else if (this.#environment.clock.now() < this.#lookUntil) {
      this.#look.set(LOOK_MS, () => void this.#lookForAddress());
    }
  }

  #awaitExpiry(): void {
    const after = this.#advertised.endsAfter;
    if (after === undefined) this.#expiry.cancel();
    else {
      this.#expiry.set(after, () => {
        this.#advertised.expire();
        this.#environment.changed();
        this.#awaitExpiry();
      });
    }
  }

  async #sendDhcpv6(payload: Uint8Array): Promise<void> {
    const source = await this.#findLinkLocal();
    if (source !== undefined) this.#socket?.sendDhcpv6(payload, source);
  }

  async #solicitRouters(): Promise<void> {
    const source = await this.#findLinkLocal();
    if (source !== undefined) this.#socket?.solicitRouters(source, this.#mac);
  }

  /** The kernel's link-local address, which it may not have yet. */
  async #findLinkLocal(): Promise<Uint8Array | undefined> {
    if (this.#linkLocal !== undefined || this.#closed) return this.#linkLocal;
    const addresses = await this.#environment.rtnetlink.usableAddresses(this.name).catch(() => []);
    this.#linkLocal = addresses.find(
      ({ address }) => address.length === IPV6_LENGTH && isLinkLocalIp(address),
    )?.address;
    return this.#linkLocal;
  }
}

/** Which others are on the link is what routers advertise (RFC 5942, 4). */
function hostPrefix(address: Uint8Array): IpPrefix {
  return { address, prefixLength: 128 };
}

function includes(list: readonly Uint8Array[], address: Uint8Array): boolean {
  return list.some((other) => Buffer.compare(other, address) === 0);
}

function has(routes: readonly LearntRoute[], route: LearntRoute): boolean {
  return routes.some((other) => keyOf(other) === keyOf(route));
}

function keyOf({ destination, gateway, source }: LearntRoute): string {
  return [destination.address, destination.prefixLength, gateway, source].join('/');
}
