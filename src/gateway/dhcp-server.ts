/**
 * DHCP for IPv4 (RFC 2131), and BOOTP, for the guests of a gateway.
 *
 * It is the only server of its network and says so: an address of elsewhere, or of somebody else, is refused and not
 * passed over in silence (RFC 2131, 4.3.2), so that a machine that was in another network does not wait.
 */

import { printable } from '../errors.ts';
import { formatIp, isUnspecifiedIp } from '../net/ip.ts';
import { formatMac, isMulticastMac, MAC_LENGTH } from '../net/mac.ts';
import { prefixContains } from '../net/prefix.ts';
import { lastAddress, sameBytes } from '../net/subnet.ts';
import { read32, write32 } from '../wire/bytes.ts';
import {
  addressOption,
  BOOT_REPLY,
  BOOT_REQUEST,
  DHCP_ACK,
  DHCP_CLIENT_PORT,
  DHCP_DECLINE,
  DHCP_DISCOVER,
  DHCP_FILE_LENGTH,
  DHCP_INFORM,
  DHCP_NAK,
  DHCP_OFFER,
  DHCP_OPTION,
  DHCP_RELEASE,
  DHCP_REQUEST,
  DHCP_SERVER_PORT,
  type DhcpMessage,
  dhcpMessageType,
  dhcpOptionLength,
  emitDhcp,
  MIN_DHCP_MAX_BYTES,
  numberOption,
  numberValue,
  parseDhcp,
  textValue,
} from '../wire/dhcp.ts';
import { emitDomainNames } from '../wire/domain-name.ts';
import { type AddressSet, bytesKey } from './address-set.ts';
import type { GatewayConfig, GatewayIpv4 } from './gateway-config.ts';
import { BROADCAST_MAC, emitDatagram, type GuestDatagram } from './guest-frames.ts';
import type { HeardGuests } from './heard-guests.ts';
import { LeaseTable, OFFER_MS } from './lease-table.ts';
import type { ServiceDoors } from './service-doors.ts';

/** What clients are told, in seconds. */
const LEASE_SECONDS = 86_400;
const USUAL_MTU = 1500;
/** IPv4 and UDP headers. */
const HEADERS_BYTES = 28;
/** The fields before the options, the cookie, and the end. */
const FIXED_BYTES = 241;
const MAX_CLIENT_ID_BYTES = 255;
const UNSPECIFIED = new Uint8Array(4);
const BROADCAST = Uint8Array.of(255, 255, 255, 255);

type Options = Map<number, Uint8Array>;

/** What it is to be. */
export interface DhcpServerOptions {
  readonly config: GatewayConfig;
  readonly ipv4: GatewayIpv4;
  readonly mac: Uint8Array;
  /** Addresses of the gateway, which are not given out. */
  readonly own: AddressSet;
  /** Nor are those of guests that were heard. */
  readonly heard: HeardGuests;
  /** Asks everybody who has an address; what is answered is heard. */
  resolve(address: Uint8Array): void;
}

/** Gives guests their addresses. */
export class DhcpServer {
  readonly #config: GatewayConfig;
  readonly #ipv4: GatewayIpv4;
  readonly #mac: Uint8Array;
  readonly #own: AddressSet;
  readonly #heard: HeardGuests;
  readonly #resolve: (address: Uint8Array) => void;
  readonly #doors: ServiceDoors;
  readonly #leases: LeaseTable;

  constructor({ config, ipv4, mac, own, heard, resolve }: DhcpServerOptions, doors: ServiceDoors) {
    this.#config = config;
    this.#ipv4 = ipv4;
    this.#mac = mac;
    this.#own = own;
    this.#heard = heard;
    this.#resolve = resolve;
    this.#doors = doors;
    this.#leases = new LeaseTable(poolSize(ipv4), () => doors.now());
  }

  /** A datagram to port 67. */
  receive(datagram: GuestDatagram): void {
    const { router } = this.#ipv4;
    if (!sameBytes(datagram.destination, router.address) && !this.#isBroadcast(datagram.destination)) return;
    const message = parseDhcp(datagram.payload);
    // There is no relay in a network without routers.
    if (message?.operation !== BOOT_REQUEST || !isUnspecifiedIp(message.relayAddress)) return;
    switch (dhcpMessageType(message.options)) {
      case DHCP_DISCOVER:
        this.#discover(message);
        break;
      case DHCP_REQUEST:
        this.#request(message);
        break;
      case DHCP_DECLINE:
        this.#decline(message);
        break;
      case DHCP_RELEASE:
        this.#release(message);
        break;
      case DHCP_INFORM:
        this.#inform(message, datagram.source);
        break;
      case undefined:
        if (!message.options.has(DHCP_OPTION.messageType)) this.#bootp(message);
        break;
      default:
        break;
    }
  }

  #discover(message: DhcpMessage): void {
    const wanted = addressOption(message.options, DHCP_OPTION.requestedAddress);
    const owner = ownerOf(message);
    const isKnown = this.#leases.of(owner) !== undefined;
    const lease = this.#leases.take(
      owner,
      this.#doors.now() + OFFER_MS,
      this.#usableBy(message),
      wanted && this.#slotOf(wanted),
    );
    if (lease === undefined) {
      this.#doors.log(`DHCP: no address is free for ${formatMac(message.hardwareAddress)}`);
      return;
    }
    const address = this.#addressOf(lease.slot);
    // Should somebody have it who was silent until now, the answer is here before the client asks for it.
    if (!isKnown) this.#resolve(address);
    this.#reply(message, DHCP_OFFER, address, this.#leaseOptions());
  }

  #request(message: DhcpMessage): void {
    const server = addressOption(message.options, DHCP_OPTION.serverId);
    const owner = ownerOf(message);
    // The client decided for another server (RFC 2131, 4.3.2).
    if (server !== undefined && !sameBytes(server, this.#ipv4.router.address)) {
      this.#leases.release(owner);
      return;
    }
    const wanted = addressOption(message.options, DHCP_OPTION.requestedAddress) ?? message.clientAddress;
    if (isUnspecifiedIp(wanted)) return;
    const until = this.#doors.now() + LEASE_SECONDS * 1000;
    const slot = this.#slotOf(wanted);
    const lease = slot === undefined ? undefined : this.#leases.claim(owner, slot, until, this.#usableBy(message));
    if (lease === undefined) {
      this.#refuse(message, wanted);
      return;
    }
    this.#bound(message, wanted);
    this.#reply(message, DHCP_ACK, wanted, this.#leaseOptions());
  }

  #refuse(message: DhcpMessage, wanted: Uint8Array): void {
    const mac = formatMac(message.hardwareAddress);
    this.#doors.log(`DHCP: ${mac} asks for ${formatIp(wanted)}, which it cannot have`);
    const why = prefixContains(this.#ipv4.router, wanted) ? 'is not free' : 'is not of this network';
    this.#reply(
      message,
      DHCP_NAK,
      UNSPECIFIED,
      new Map([[DHCP_OPTION.message, textValue(`${formatIp(wanted)} ${why}`)]]),
    );
  }

  #decline(message: DhcpMessage): void {
    const declined = addressOption(message.options, DHCP_OPTION.requestedAddress);
    const owner = ownerOf(message);
    const lease = this.#leases.of(owner);
    if (declined === undefined || lease === undefined || lease.slot !== this.#slotOf(declined)) return;
    this.#doors.log(`DHCP: ${formatMac(message.hardwareAddress)} found somebody else at ${formatIp(declined)}`);
    this.#leases.decline(owner);
  }

  #release(message: DhcpMessage): void {
    const owner = ownerOf(message);
    if (this.#leases.of(owner)?.slot !== this.#slotOf(message.clientAddress)) return;
    this.#heard.forget(message.clientAddress, message.hardwareAddress);
    this.#leases.release(owner);
    this.#doors.log(`DHCP: ${formatMac(message.hardwareAddress)} gives ${formatIp(message.clientAddress)} back`);
  }

  /** A guest with an address of its own wants the rest (RFC 2131, 4.3.5). */
  #inform(message: DhcpMessage, source: Uint8Array): void {
    const clientAddress = isUnspecifiedIp(message.clientAddress) ? source : message.clientAddress;
    if (!prefixContains(this.#ipv4.router, clientAddress)) return;
    this.#reply({ ...message, clientAddress }, DHCP_ACK, UNSPECIFIED, this.#options());
  }

  /** A client that knows no leases keeps its address for ever (RFC 1534, 2). */
  #bootp(message: DhcpMessage): void {
    const lease = this.#leases.take(ownerOf(message), Number.POSITIVE_INFINITY, this.#usableBy(message));
    if (lease === undefined) return;
    const address = this.#addressOf(lease.slot);
    this.#bound(message, address);
    this.#send(message, address, this.#options(), false);
  }

  #bound(message: DhcpMessage, address: Uint8Array): void {
    const mac = message.hardwareAddress;
    const name = message.options.get(DHCP_OPTION.hostName);
    const called = name === undefined ? '' : ` (${printable(Buffer.from(name).toString())})`;
    this.#doors.log(`DHCP: ${formatIp(address)} is for ${formatMac(mac)}${called}`);
    if (mac.length === MAC_LENGTH && !isMulticastMac(mac)) this.#doors.learn(address, mac);
  }

  #reply(message: DhcpMessage, type: number, address: Uint8Array, options: Options): void {
    const all: Options = new Map([
      [DHCP_OPTION.messageType, Uint8Array.of(type)],
      [DHCP_OPTION.serverId, this.#ipv4.router.address],
      ...options,
    ]);
    this.#send(message, address, all, type === DHCP_NAK);
  }

  #send(message: DhcpMessage, address: Uint8Array, options: Options, isRefusal: boolean): void {
    const { router } = this.#ipv4;
    const file = isRefusal ? '' : (this.#config.bootFile ?? '');
    const isFileLong = Buffer.byteLength(file) >= DHCP_FILE_LENGTH;
    if (isFileLong) options.set(DHCP_OPTION.bootFile, textValue(file));
    const reply: DhcpMessage = {
      operation: BOOT_REPLY,
      hardwareType: message.hardwareType,
      hardwareAddress: message.hardwareAddress,
      hops: 0,
      transaction: message.transaction,
      seconds: 0,
      isBroadcast: message.isBroadcast,
      clientAddress: isRefusal ? UNSPECIFIED : message.clientAddress,
      yourAddress: address,
      serverAddress: isRefusal ? UNSPECIFIED : router.address,
      relayAddress: UNSPECIFIED,
      serverName: '',
      file: isFileLong ? '' : file,
      options: this.#fitting(options, message),
    };
    const path = { source: router.address, sourceMac: this.#mac, ...this.#destinationOf(reply, isRefusal) };
    const ports = { sourcePort: DHCP_SERVER_PORT, destinationPort: DHCP_CLIENT_PORT };
    this.#doors.send(emitDatagram(path, ports, emitDhcp(reply)));
  }

  /** Where the client can hear it (RFC 2131, 4.1). */
  #destinationOf(reply: DhcpMessage, isRefusal: boolean): { destination: Uint8Array; destinationMac: Uint8Array } {
    const { clientAddress, yourAddress, hardwareAddress } = reply;
    const hasAddress = !isUnspecifiedIp(clientAddress);
    const destination = hasAddress ? clientAddress : yourAddress;
    const isReachable =
      hardwareAddress.length === MAC_LENGTH &&
      !isMulticastMac(hardwareAddress) &&
      !isUnspecifiedIp(hardwareAddress) &&
      prefixContains(this.#ipv4.router, destination) &&
      !this.#own.has(destination);
    if (isRefusal || !isReachable || (reply.isBroadcast && !hasAddress)) {
      return { destination: BROADCAST, destinationMac: BROADCAST_MAC };
    }
    return { destination, destinationMac: hardwareAddress };
  }

  #leaseOptions(): Options {
    return this.#options(numberValue(LEASE_SECONDS, 4));
  }

  /** What guests are told, in the order in which it is worth the room. */
  #options(leaseTime?: Uint8Array): Options {
    const { isRestricted, hostName, domainName, tftpServerName, searchDomains, mtu } = this.#config;
    const { router, nameServer } = this.#ipv4;
    const options: Options = new Map([[DHCP_OPTION.subnetMask, maskOf(router.prefixLength)]]);
    if (!isRestricted) {
      options.set(DHCP_OPTION.router, router.address);
      options.set(DHCP_OPTION.nameServer, nameServer);
    }
    if (leaseTime !== undefined) options.set(DHCP_OPTION.leaseTime, leaseTime);
    if (hostName !== '') options.set(DHCP_OPTION.hostName, textValue(hostName));
    if (domainName !== undefined) options.set(DHCP_OPTION.domainName, textValue(domainName));
    if (tftpServerName !== undefined) options.set(DHCP_OPTION.tftpServerName, textValue(tftpServerName));
    if (mtu !== USUAL_MTU) options.set(DHCP_OPTION.mtu, numberValue(mtu, 2));
    const names = emitDomainNames(searchDomains);
    if (names.length > 0) options.set(DHCP_OPTION.searchDomains, names);
    return options;
  }

  /** Those for which the client has room (option 57). */
  #fitting(options: Options, message: DhcpMessage): Options {
    const asked = numberOption(message.options, DHCP_OPTION.maxMessageSize, 2) ?? 0;
    let room = Math.max(MIN_DHCP_MAX_BYTES, Math.min(asked, this.#config.mtu) - HEADERS_BYTES) - FIXED_BYTES;
    const fitting: Options = new Map();
    for (const [code, value] of options) {
      const length = dhcpOptionLength(value);
      if (length > room) {
        this.#doors.log(`DHCP: ${formatMac(message.hardwareAddress)} has no room for option ${code}`);
        continue;
      }
      room -= length;
      fitting.set(code, value);
    }
    return fitting;
  }

  #usableBy(message: DhcpMessage): (slot: number) => boolean {
    const owner = ownerOf(message);
    return (slot) => {
      const address = this.#addressOf(slot);
      if (this.#own.has(address)) return false;
      // A client with an identifier may come back with another interface: it was heard itself.
      return this.#leases.isTaken(owner, slot) || !this.#heard.isHeldByOther(address, message.hardwareAddress);
    };
  }

  #slotOf(address: Uint8Array): number | undefined {
    const slot = read32(address, 0) - read32(this.#ipv4.firstLease, 0);
    return slot >= 0 && slot < poolSize(this.#ipv4) ? slot : undefined;
  }

  #addressOf(slot: number): Uint8Array {
    const address = new Uint8Array(4);
    write32(address, 0, read32(this.#ipv4.firstLease, 0) + slot);
    return address;
  }

  #isBroadcast(address: Uint8Array): boolean {
    return sameBytes(address, BROADCAST) || read32(address, 0) === broadcastOf(this.#ipv4);
  }
}

/** What a client is known by: its identifier, or else its hardware address (RFC 2131, 4.2). */
function ownerOf({ options, hardwareType, hardwareAddress }: DhcpMessage): string {
  const id = options.get(DHCP_OPTION.clientId);
  if (id !== undefined && id.length >= 2 && id.length <= MAX_CLIENT_ID_BYTES) return `id ${bytesKey(id)}`;
  return `hardware ${hardwareType} ${bytesKey(hardwareAddress)}`;
}

function maskOf(prefixLength: number): Uint8Array {
  return numberValue(2 ** 32 - 2 ** (32 - prefixLength), 4);
}

/** The last address of the network, as a number. */
function broadcastOf({ router }: GatewayIpv4): number {
  return read32(lastAddress(router), 0);
}

/** Addresses from the first lease to the one before the broadcast address. */
function poolSize(ipv4: GatewayIpv4): number {
  if (!prefixContains(ipv4.router, ipv4.firstLease)) return 0;
  return Math.max(0, broadcastOf(ipv4) - read32(ipv4.firstLease, 0));
}
