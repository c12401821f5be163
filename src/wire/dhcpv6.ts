/**
 * DHCPv6 (RFC 8415) between clients and servers, in both directions; no relays. Of the options, those of addresses
 * (IA_NA), resolvers (RFC 3646) and network boot (RFC 5970) are known, others are passed over.
 */
import { concatenate, read16, read32, write16, write32 } from './bytes.ts';
import { emitDomainNames, parseDomainNames } from './domain-name.ts';

export const DHCPV6_CLIENT_PORT = 546;
export const DHCPV6_SERVER_PORT = 547;

export const DHCPV6_SOLICIT = 1;
export const DHCPV6_ADVERTISE = 2;
export const DHCPV6_REQUEST = 3;
export const DHCPV6_CONFIRM = 4;
export const DHCPV6_RENEW = 5;
export const DHCPV6_REBIND = 6;
export const DHCPV6_REPLY = 7;
export const DHCPV6_RELEASE = 8;
export const DHCPV6_DECLINE = 9;
export const DHCPV6_INFORMATION_REQUEST = 11;

/** Status codes (RFC 8415, 21.13). */
export const DHCPV6_STATUS = {
  success: 0,
  unspecified: 1,
  noAddresses: 2,
  noBinding: 3,
  notOnLink: 4,
  useMulticast: 5,
} as const;

/** Codes of options (RFC 8415, 21; RFC 3646; RFC 5970), those that may be asked for among them. */
export const DHCPV6_OPTION = {
  clientId: 1,
  serverId: 2,
  association: 3,
  address: 5,
  requestedOptions: 6,
  preference: 7,
  elapsedTime: 8,
  status: 13,
  rapidCommit: 14,
  nameServers: 23,
  searchDomains: 24,
  refreshTime: 32,
  bootFileUrl: 59,
} as const;

/** A lifetime that does not end, in seconds. */
export const INFINITE_LIFETIME = 0xffffffff;

const HEADER_LENGTH = 4;
const OPTION_HEADER_LENGTH = 4;
const ADDRESS_LENGTH = 16;
const ASSOCIATION_HEADER_LENGTH = 12;
const ASSOCIATION_ADDRESS_LENGTH = 24;
const KNOWN_TYPES: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
/** Of one message; clients have one or two. */
const MAX_ASSOCIATIONS = 16;
/** Of one association, and name servers of one message. */
const MAX_ADDRESSES = 16;
/** Longer identifiers are no DUID (RFC 8415, 11.1: 128 bytes behind the type). */
const MAX_DUID_BYTES = 130;

/** What became of something. */
export interface Dhcpv6Status {
  /** One of {@link DHCPV6_STATUS}. */
  readonly code: number;
  /** For people. */
  readonly message: string;
}

/** An address in an association. */
export interface Dhcpv6Address {
  /** 16 bytes. */
  readonly address: Uint8Array;
  /** Seconds. */
  readonly preferredLifetime: number;
  /** Seconds; 0 takes the address away. */
  readonly validLifetime: number;
  readonly status?: Dhcpv6Status;
}

/** An identity association for non-temporary addresses, IA_NA: one interface of a client. */
export interface Dhcpv6Association {
  /** IAID, 32 bits, chosen by the client. */
  readonly id: number;
  /** T1: seconds until RENEW; 0 leaves it to the client. */
  readonly renewAfter: number;
  /** T2: seconds until REBIND; 0 leaves it to the client. */
  readonly rebindAfter: number;
  readonly addresses: readonly Dhcpv6Address[];
  readonly status?: Dhcpv6Status;
}

/** A message of either direction. */
export interface Dhcpv6Message {
  /** `DHCPV6_*`. */
  readonly type: number;
  /** 24 bits, chosen by the client. */
  readonly transaction: number;
  /** DUID of the client. */
  readonly clientId?: Uint8Array;
  /** DUID of the server. */
  readonly serverId?: Uint8Array;
  readonly associations: readonly Dhcpv6Association[];
  /** Codes of options that the client would like. */
  readonly requestedOptions: readonly number[];
  /** 0 to 255: the highest of several servers is taken. */
  readonly preference?: number;
  /** Since the client began, in hundredths of a second, 16 bits. */
  readonly elapsedTime?: number;
  readonly status?: Dhcpv6Status;
  /** Two messages instead of four. */
  readonly isRapid: boolean;
  /** 16 bytes each. */
  readonly nameServers: readonly Uint8Array[];
  readonly searchDomains: readonly string[];
  /** Seconds until information is asked for again. */
  readonly refreshTime?: number;
  readonly bootFileUrl?: string;
}

/** Reads a whole UDP payload; undefined when it is no message between client and server, or broken anywhere. */
export function parseDhcpv6(bytes: Uint8Array): Dhcpv6Message | undefined {
  const type = bytes[0];
  if (type === undefined || !KNOWN_TYPES.has(type) || bytes.length < HEADER_LENGTH) return undefined;
  const options = parseOptions(bytes.subarray(HEADER_LENGTH));
  if (options === undefined) return undefined;
  const message: Writable<Dhcpv6Message> = {
    ...emptyDhcpv6(type, read32(bytes, 0) & 0xffffff),
  };
  for (const option of options) if (!readOption(message, option)) return undefined;
  return message;
}

/** A message without options. */
export function emptyDhcpv6(type: number, transaction: number): Dhcpv6Message {
  return {
    type,
    transaction,
    associations: [],
    requestedOptions: [],
    isRapid: false,
    nameServers: [],
    searchDomains: [],
  };
}

/** Makes a message. */
export function emitDhcpv6(message: Dhcpv6Message): Uint8Array {
  const header = new Uint8Array(HEADER_LENGTH);
  write32(header, 0, message.transaction & 0xffffff);
  header[0] = message.type;
  const { clientId, serverId, preference, elapsedTime, refreshTime, bootFileUrl, status } = message;
  const { requestedOptions, nameServers, searchDomains } = message;
  const code = DHCPV6_OPTION;
  return concatenate(
    header,
    clientId === undefined ? NOTHING : emitOption(code.clientId, clientId),
    serverId === undefined ? NOTHING : emitOption(code.serverId, serverId),
    ...message.associations.map(emitAssociation),
    requestedOptions.length === 0 ? NOTHING : emitOption(code.requestedOptions, ...requestedOptions.map(number16)),
    preference === undefined ? NOTHING : emitOption(code.preference, Uint8Array.of(preference)),
    elapsedTime === undefined ? NOTHING : emitOption(code.elapsedTime, number16(elapsedTime)),
    message.isRapid ? emitOption(code.rapidCommit) : NOTHING,
    emitStatus(status),
    nameServers.length === 0 ? NOTHING : emitOption(code.nameServers, ...nameServers),
    searchDomains.length === 0 ? NOTHING : emitOption(code.searchDomains, emitDomainNames(searchDomains)),
    refreshTime === undefined ? NOTHING : emitOption(code.refreshTime, number32(refreshTime)),
    bootFileUrl === undefined ? NOTHING : emitOption(code.bootFileUrl, Buffer.from(bootFileUrl)),
  );
}

/** The identifier of who has this MAC address: DUID-LL (RFC 8415, 11.4). */
export function duidOfMac(mac: Uint8Array): Uint8Array {
  return concatenate(number16(3), number16(1), mac);
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

interface Option {
  readonly code: number;
  readonly value: Uint8Array;
}

const NOTHING = new Uint8Array();

function parseOptions(bytes: Uint8Array): Option[] | undefined {
  const options: Option[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length < at + OPTION_HEADER_LENGTH) return undefined;
    const length = read16(bytes, at + 2);
    const end = at + OPTION_HEADER_LENGTH + length;
    if (bytes.length < end) return undefined;
    options.push({ code: read16(bytes, at), value: bytes.slice(at + OPTION_HEADER_LENGTH, end) });
    at = end;
  }
  return options;
}

/** Puts an option into the message; false when it is broken. */
function readOption(message: Writable<Dhcpv6Message>, { code, value }: Option): boolean {
  switch (code) {
    case DHCPV6_OPTION.clientId:
      message.clientId = value;
      return isDuid(value);
    case DHCPV6_OPTION.serverId:
      message.serverId = value;
      return isDuid(value);
    case DHCPV6_OPTION.association: {
      const association = parseAssociation(value);
      if (association === undefined) return false;
      message.associations = [...message.associations, association];
      return message.associations.length <= MAX_ASSOCIATIONS;
    }
    case DHCPV6_OPTION.requestedOptions:
      message.requestedOptions = Array.from({ length: value.length >> 1 }, (_, i) => read16(value, i * 2));
      return value.length % 2 === 0;
    case DHCPV6_OPTION.preference:
      message.preference = value[0] ?? 0;
      return value.length === 1;
    case DHCPV6_OPTION.elapsedTime:
      if (value.length !== 2) return false;
      message.elapsedTime = read16(value, 0);
      return true;
    case DHCPV6_OPTION.status: {
      const status = parseStatus(value);
      if (status !== undefined) message.status = status;
      return status !== undefined;
    }
    case DHCPV6_OPTION.rapidCommit:
      message.isRapid = true;
      return true;
    case DHCPV6_OPTION.nameServers:
      message.nameServers = parseAddresses(value);
      return value.length % ADDRESS_LENGTH === 0;
    case DHCPV6_OPTION.searchDomains:
      message.searchDomains = parseDomainNames(value);
      return true;
    case DHCPV6_OPTION.refreshTime:
      if (value.length !== 4) return false;
      message.refreshTime = read32(value, 0);
      return true;
    case DHCPV6_OPTION.bootFileUrl:
      message.bootFileUrl = Buffer.from(value).toString();
      return true;
    default:
      return true;
  }
}

function isDuid(value: Uint8Array): boolean {
  return value.length > 2 && value.length <= MAX_DUID_BYTES;
}

function parseAddresses(value: Uint8Array): Uint8Array[] {
  const count = Math.min(MAX_ADDRESSES, Math.floor(value.length / ADDRESS_LENGTH));
  return Array.from({ length: count }, (_, i) => value.slice(i * ADDRESS_LENGTH, (i + 1) * ADDRESS_LENGTH));
}

function parseAssociation(value: Uint8Array): Dhcpv6Association | undefined {
  if (value.length < ASSOCIATION_HEADER_LENGTH) return undefined;
  const options = parseOptions(value.subarray(ASSOCIATION_HEADER_LENGTH));
  if (options === undefined) return undefined;
  const addresses: Dhcpv6Address[] = [];
  for (const { code, value: inner } of options) {
    if (code !== DHCPV6_OPTION.address) continue;
    const address = parseAddress(inner);
    if (address === undefined || addresses.length === MAX_ADDRESSES) return undefined;
    addresses.push(address);
  }
  return {
    id: read32(value, 0),
    renewAfter: read32(value, 4),
    rebindAfter: read32(value, 8),
    addresses,
    ...statusIn(options),
  };
}

function parseAddress(value: Uint8Array): Dhcpv6Address | undefined {
  if (value.length < ASSOCIATION_ADDRESS_LENGTH) return undefined;
  const options = parseOptions(value.subarray(ASSOCIATION_ADDRESS_LENGTH));
  if (options === undefined) return undefined;
  return {
    address: value.slice(0, ADDRESS_LENGTH),
    preferredLifetime: read32(value, ADDRESS_LENGTH),
    validLifetime: read32(value, ADDRESS_LENGTH + 4),
    ...statusIn(options),
  };
}

function statusIn(options: readonly Option[]): { status?: Dhcpv6Status } {
  const option = options.find(({ code }) => code === DHCPV6_OPTION.status);
  const status = option === undefined ? undefined : parseStatus(option.value);
  return status === undefined ? {} : { status };
}

function parseStatus(value: Uint8Array): Dhcpv6Status | undefined {
  if (value.length < 2) return undefined;
  return { code: read16(value, 0), message: Buffer.from(value.subarray(2)).toString() };
}

function emitAssociation(association: Dhcpv6Association): Uint8Array {
  const header = new Uint8Array(ASSOCIATION_HEADER_LENGTH);
  write32(header, 0, association.id);
  write32(header, 4, association.renewAfter);
  write32(header, 8, association.rebindAfter);
  return emitOption(
    DHCPV6_OPTION.association,
    header,
    ...association.addresses.map(emitAddress),
    emitStatus(association.status),
  );
}

function emitAddress(address: Dhcpv6Address): Uint8Array {
  const lifetimes = new Uint8Array(8);
  write32(lifetimes, 0, address.preferredLifetime);
  write32(lifetimes, 4, address.validLifetime);
  return emitOption(DHCPV6_OPTION.address, address.address, lifetimes, emitStatus(address.status));
}

function emitStatus(status: Dhcpv6Status | undefined): Uint8Array {
  if (status === undefined) return NOTHING;
  return emitOption(DHCPV6_OPTION.status, number16(status.code), Buffer.from(status.message));
}

function emitOption(code: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const value = concatenate(...parts);
  return concatenate(number16(code), number16(value.length), value);
}

function number16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  write16(bytes, 0, value);
  return bytes;
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  write32(bytes, 0, value);
  return bytes;
}
