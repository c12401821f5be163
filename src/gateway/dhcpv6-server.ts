/**
 * DHCPv6 for guests (RFC 8415, 18.3): resolvers and boot files for all, addresses for those who ask. Most have one
 * already, which they made themselves (SLAAC).
 */

import { formatIp, parseIp } from '../net/ip.ts';
import { formatMac } from '../net/mac.ts';
import { prefixContains } from '../net/prefix.ts';
import { firstAddress, sameBytes } from '../net/subnet.ts';
import { read32, write32 } from '../wire/bytes.ts';
import {
  DHCPV6_ADVERTISE,
  DHCPV6_CLIENT_PORT,
  DHCPV6_CONFIRM,
  DHCPV6_DECLINE,
  DHCPV6_INFORMATION_REQUEST,
  DHCPV6_OPTION,
  DHCPV6_REBIND,
  DHCPV6_RELEASE,
  DHCPV6_RENEW,
  DHCPV6_REPLY,
  DHCPV6_REQUEST,
  DHCPV6_SERVER_PORT,
  DHCPV6_SOLICIT,
  DHCPV6_STATUS,
  type Dhcpv6Association,
  type Dhcpv6Message,
  type Dhcpv6Status,
  duidOfMac,
  emitDhcpv6,
  emptyDhcpv6,
  parseDhcpv6,
} from '../wire/dhcpv6.ts';
import { type AddressSet, bytesKey } from './address-set.ts';
import type { GatewayConfig, GatewayIpv6 } from './gateway-config.ts';
import { ALL_DHCPV6_SERVERS, ROUTER_LINK_LOCAL, searchList } from './gateway-ipv6.ts';
import { emitDatagram, type GuestDatagram } from './guest-frames.ts';
import type { HeardGuests } from './heard-guests.ts';
import { type Lease, LeaseTable, OFFER_MS } from './lease-table.ts';
import type { ServiceDoors } from './service-doors.ts';

/** Of addresses, in seconds; as in router advertisements. */
const VALID_LIFETIME = 86_400;
const PREFERRED_LIFETIME = 14_400;
/** RFC 8415, 21.4: half, and four fifths of the preferred lifetime. */
const RENEW_AFTER = PREFERRED_LIFETIME / 2;
const REBIND_AFTER = (PREFERRED_LIFETIME * 4) / 5;
/** The part of an address behind the prefix where those that are given out begin: ::1000. */
const FIRST_HOST = 0x1000;
/** Addresses in the largest pool; a table of leases has fewer. */
const LARGEST_POOL = 65_536;

/** What it is to be. */
export interface Dhcpv6ServerOptions {
  readonly config: GatewayConfig;
  readonly ipv6: GatewayIpv6;
  readonly mac: Uint8Array;
  /** Addresses of the gateway, which are not given out. */
  readonly own: AddressSet;
  /** Nor are those of guests that were heard. */
  readonly heard: HeardGuests;
}

/** Answers DHCPv6 clients. */
export class Dhcpv6Server {
  readonly #config: GatewayConfig;
  readonly #ipv6: GatewayIpv6;
  readonly #mac: Uint8Array;
  readonly #serverId: Uint8Array;
  readonly #own: AddressSet;
  readonly #heard: HeardGuests;
  readonly #doors: ServiceDoors;
  readonly #leases: LeaseTable;

  constructor({ config, ipv6, mac, own, heard }: Dhcpv6ServerOptions, doors: ServiceDoors) {
    this.#config = config;
    this.#ipv6 = ipv6;
    this.#mac = mac;
    this.#serverId = duidOfMac(mac);
    this.#own = own;
    this.#heard = heard;
    this.#doors = doors;
    this.#leases = new LeaseTable(poolSize(ipv6), () => doors.now());
  }

  /** A datagram to port 547. */
  receive(datagram: GuestDatagram): void {
    // Clients speak to the group (RFC 8415, 18.3: those who do not are discarded, or told to).
    if (!sameBytes(datagram.destination, ALL_DHCPV6_SERVERS)) return;
    const message = parseDhcpv6(datagram.payload);
    if (message === undefined || !this.#isForUs(message)) return;
    const reply = this.#answer(message, datagram.sourceMac);
    if (reply !== undefined) this.#send(datagram, { ...reply, serverId: this.#serverId });
  }

  /** Whether the identifiers are as they have to be (RFC 8415, 16). */
  #isForUs({ type, clientId, serverId, associations }: Dhcpv6Message): boolean {
    const isOurs = serverId !== undefined && sameBytes(serverId, this.#serverId);
    switch (type) {
      case DHCPV6_SOLICIT:
      case DHCPV6_CONFIRM:
      case DHCPV6_REBIND:
        return clientId !== undefined && serverId === undefined;
      case DHCPV6_REQUEST:
      case DHCPV6_RENEW:
      case DHCPV6_RELEASE:
      case DHCPV6_DECLINE:
        return clientId !== undefined && isOurs;
      case DHCPV6_INFORMATION_REQUEST:
        return associations.length === 0 && (serverId === undefined || isOurs);
      default:
        return false;
    }
  }

  #answer(message: Dhcpv6Message, mac: Uint8Array): Dhcpv6Message | undefined {
    switch (message.type) {
      case DHCPV6_SOLICIT:
        return this.#solicited(message, mac);
      case DHCPV6_REQUEST:
        return this.#withAssociations(message, (association) => this.#bind(message, association, mac));
      case DHCPV6_RENEW:
      case DHCPV6_REBIND:
        return this.#withAssociations(message, (association) => this.#extend(message, association, mac));
      case DHCPV6_CONFIRM:
        return this.#confirm(message);
      case DHCPV6_RELEASE:
        return this.#giveBack(message, (owner) => this.#leases.release(owner));
      case DHCPV6_DECLINE:
        return this.#giveBack(message, (owner) => this.#leases.decline(owner));
      default:
        return this.#reply(message, DHCPV6_REPLY);
    }
  }

  #solicited(message: Dhcpv6Message, mac: Uint8Array): Dhcpv6Message {
    if (message.isRapid) {
      const bound = this.#withAssociations(message, (association) => this.#bind(message, association, mac));
      return { ...bound, isRapid: true };
    }
    const offered = (association: Dhcpv6Association): Dhcpv6Association =>
      this.#offer(message, association, this.#doors.now() + OFFER_MS, mac);
    return { ...this.#withAssociations(message, offered), type: DHCPV6_ADVERTISE };
  }

  #withAssociations(
    message: Dhcpv6Message,
    answer: (association: Dhcpv6Association) => Dhcpv6Association,
  ): Dhcpv6Message {
    return { ...this.#reply(message, DHCPV6_REPLY), associations: message.associations.map(answer) };
  }

  /** An address for an association, for some time. */
  #offer(message: Dhcpv6Message, association: Dhcpv6Association, until: number, mac: Uint8Array): Dhcpv6Association {
    const [wanted] = association.addresses.flatMap(({ address }) => this.#slotOf(address) ?? []);
    const owner = ownerOf(message, association);
    const lease = this.#leases.take(owner, until, this.#usableBy(owner, mac), wanted);
    if (lease !== undefined) return this.#describe(association, lease);
    const status = { code: DHCPV6_STATUS.noAddresses, message: 'no address is free' };
    return { id: association.id, renewAfter: 0, rebindAfter: 0, addresses: [], status };
  }

  #bind(message: Dhcpv6Message, association: Dhcpv6Association, mac: Uint8Array): Dhcpv6Association {
    const bound = this.#offer(message, association, this.#validUntil(), mac);
    for (const { address } of bound.addresses) {
      this.#doors.log(`DHCPv6: ${formatIp(address)} is for ${formatMac(mac)}`);
      this.#doors.learn(address, mac);
    }
    return bound;
  }

  /**
   * The client's own address for longer. One that is not known, because the gateway is a new one, is the client's as
   * long as it is free; others are taken away (RFC 8415, 18.3.4).
   */
  #extend(message: Dhcpv6Message, association: Dhcpv6Association, mac: Uint8Array): Dhcpv6Association {
    const owner = ownerOf(message, association);
    const [lease] = association.addresses.flatMap(({ address }) => {
      const slot = this.#slotOf(address);
      const claimed = slot === undefined ? undefined : this.#claim(owner, slot, mac);
      return claimed ?? [];
    });
    const over = association.addresses
      .filter(({ address }) => lease === undefined || this.#slotOf(address) !== lease.slot)
      .map(({ address }) => ({ address, preferredLifetime: 0, validLifetime: 0 }));
    if (lease !== undefined) {
      const extended = this.#describe(association, lease);
      return { ...extended, addresses: [...extended.addresses, ...over] };
    }
    const status = { code: DHCPV6_STATUS.noBinding, message: 'nothing is known of it' };
    return { id: association.id, renewAfter: 0, rebindAfter: 0, addresses: over, ...(over.length === 0 && { status }) };
  }

  #claim(owner: string, slot: number, mac: Uint8Array): Lease | undefined {
    return this.#leases.claim(owner, slot, this.#validUntil(), this.#usableBy(owner, mac));
  }

  /** Whether the client's addresses are of this network: it may have been carried elsewhere. */
  #confirm(message: Dhcpv6Message): Dhcpv6Message | undefined {
    const addresses = message.associations.flatMap((association) => association.addresses);
    // RFC 8415, 18.3.3.
    if (addresses.length === 0) return undefined;
    const areHere = addresses.every(({ address }) => prefixContains(this.#ipv6.router, address));
    const status = areHere
      ? { code: DHCPV6_STATUS.success, message: '' }
      : { code: DHCPV6_STATUS.notOnLink, message: 'an address is not of this network' };
    return { ...this.#bare(message), status };
  }

  #giveBack(message: Dhcpv6Message, forget: (owner: string) => void): Dhcpv6Message {
    const unknown: Dhcpv6Association[] = [];
    for (const association of message.associations) {
      const owner = ownerOf(message, association);
      const lease = this.#leases.of(owner);
      const isItsOwn = association.addresses.some(({ address }) => lease && this.#slotOf(address) === lease.slot);
      if (isItsOwn) forget(owner);
      else unknown.push(unknownAssociation(association));
    }
    return { ...this.#bare(message), associations: unknown, status: { code: DHCPV6_STATUS.success, message: '' } };
  }

  #bare(message: Dhcpv6Message): Dhcpv6Message {
    const { clientId } = message;
    return { ...emptyDhcpv6(DHCPV6_REPLY, message.transaction), ...(clientId && { clientId }) };
  }

  /** A message with what the client asked to be told. */
  #reply(message: Dhcpv6Message, type: number): Dhcpv6Message {
    const { requestedOptions } = message;
    const wants = (code: number): boolean => requestedOptions.length === 0 || requestedOptions.includes(code);
    const { isRestricted } = this.#config;
    const bootFileUrl = this.#bootFileUrl();
    return {
      ...this.#bare(message),
      type,
      nameServers: !isRestricted && wants(DHCPV6_OPTION.nameServers) ? [this.#ipv6.nameServer] : [],
      searchDomains: wants(DHCPV6_OPTION.searchDomains) ? searchList(this.#config) : [],
      ...(bootFileUrl !== undefined && wants(DHCPV6_OPTION.bootFileUrl) && { bootFileUrl }),
    };
  }

  /** RFC 5970, 3.1. */
  #bootFileUrl(): string | undefined {
    const { bootFile, tftpServerName } = this.#config;
    if (bootFile === undefined || bootFile.includes('://')) return bootFile;
    const server = tftpServerName === undefined ? this.#ipv6.router.address : ipv6Of(tftpServerName);
    const host = server === undefined ? tftpServerName : `[${formatIp(server)}]`;
    return `tftp://${host}/${encodeURI(bootFile.replace(/^\/+/, ''))}`;
  }

  #describe({ id }: Dhcpv6Association, lease: Lease): Dhcpv6Association {
    const address = this.#addressOf(lease.slot);
    const addresses = [{ address, preferredLifetime: PREFERRED_LIFETIME, validLifetime: VALID_LIFETIME }];
    return { id, renewAfter: RENEW_AFTER, rebindAfter: REBIND_AFTER, addresses };
  }

  #validUntil(): number {
    return this.#doors.now() + VALID_LIFETIME * 1000;
  }

  #usableBy(owner: string, mac: Uint8Array): (slot: number) => boolean {
    return (slot) => {
      const address = this.#addressOf(slot);
      if (this.#own.has(address)) return false;
      return this.#leases.isTaken(owner, slot) || !this.#heard.isHeldByOther(address, mac);
    };
  }

  #addressOf(slot: number): Uint8Array {
    const address = firstOfPool(this.#ipv6);
    write32(address, 12, read32(address, 12) + slot);
    return address;
  }

  #slotOf(address: Uint8Array): number | undefined {
    const first = firstOfPool(this.#ipv6);
    if (!sameBytes(address.subarray(0, 12), first.subarray(0, 12))) return undefined;
    const slot = read32(address, 12) - read32(first, 12);
    return slot >= 0 && slot < poolSize(this.#ipv6) ? slot : undefined;
  }

  #send(to: GuestDatagram, message: Dhcpv6Message): void {
    const path = {
      source: ROUTER_LINK_LOCAL,
      destination: to.source,
      sourceMac: this.#mac,
      destinationMac: to.sourceMac,
    };
    const ports = { sourcePort: DHCPV6_SERVER_PORT, destinationPort: DHCPV6_CLIENT_PORT };
    this.#doors.send(emitDatagram(path, ports, emitDhcpv6(message)));
  }
}

function unknownAssociation({ id }: Dhcpv6Association): Dhcpv6Association {
  const status: Dhcpv6Status = { code: DHCPV6_STATUS.noBinding, message: 'nothing is known of it' };
  return { id, renewAfter: 0, rebindAfter: 0, addresses: [], status };
}

/** One interface of a client. */
function ownerOf({ clientId }: Dhcpv6Message, { id }: Dhcpv6Association): string {
  return `${bytesKey(clientId ?? new Uint8Array())} ${id}`;
}

function ipv6Of(text: string): Uint8Array | undefined {
  try {
    const address = parseIp(text);
    return address.length === 16 ? address : undefined;
  } catch {
    return undefined;
  }
}

/** The prefix, zeros, and the first host. */
function firstOfPool({ router }: GatewayIpv6): Uint8Array {
  const address = firstAddress(router);
  write32(address, 12, read32(address, 12) + FIRST_HOST);
  return address;
}

/** As many as there are behind the prefix. */
function poolSize({ router }: GatewayIpv6): number {
  return Math.max(0, Math.min(LARGEST_POOL, 2 ** (128 - router.prefixLength) - FIRST_HOST));
}
