/**
 * DHCP for IPv4, and BOOTP from which it came (RFC 951, 2131, 2132), in both directions.
 *
 * ```
 * off len                     off len
 *   0   1  op                  20   4  siaddr
 *   1   1  htype               24   4  giaddr
 *   2   1  hlen                28  16  chaddr
 *   3   1  hops                44  64  sname
 *   4   4  xid                108 128  file
 *   8   2  secs               236   4  magic cookie
 *  10   2  flags              240   *  options
 *  12   4  ciaddr
 *  16   4  yiaddr
 * ```
 */
import { concatenate, read16, read32, write16, write32 } from './bytes.ts';

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

export const BOOT_REQUEST = 1;
export const BOOT_REPLY = 2;

export const DHCP_DISCOVER = 1;
export const DHCP_OFFER = 2;
export const DHCP_REQUEST = 3;
export const DHCP_DECLINE = 4;
export const DHCP_ACK = 5;
export const DHCP_NAK = 6;
export const DHCP_RELEASE = 7;
export const DHCP_INFORM = 8;

/** Codes of options (RFC 2132; 119: RFC 3397), by the names of their specification. */
export const DHCP_OPTION = {
  subnetMask: 1,
  router: 3,
  nameServer: 6,
  hostName: 12,
  domainName: 15,
  mtu: 26,
  broadcastAddress: 28,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverId: 54,
  parameterList: 55,
  message: 56,
  maxMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientId: 61,
  tftpServerName: 66,
  bootFile: 67,
  userClass: 77,
  searchDomains: 119,
} as const;

/** The least message that everybody takes, in bytes of UDP payload (RFC 2131, 2: an IP packet of 576). */
export const MIN_DHCP_MAX_BYTES = 548;
/** The `file` field, in bytes with its zero. A longer name is option 67. */
export const DHCP_FILE_LENGTH = 128;

/** Shorter ones are dropped by old relays and clients (RFC 1542, 2.1). */
const BOOTP_LENGTH = 300;
const OPERATION = 0;
const HARDWARE_TYPE = 1;
const HARDWARE_LENGTH = 2;
const HOPS = 3;
const TRANSACTION = 4;
const SECONDS = 8;
const FLAGS = 10;
const CLIENT_ADDRESS = 12;
const YOUR_ADDRESS = 16;
const SERVER_ADDRESS = 20;
const RELAY_ADDRESS = 24;
const HARDWARE_ADDRESS = 28;
const SERVER_NAME = 44;
const FILE = 108;
const COOKIE = 236;
const OPTIONS = 240;

const MAX_HARDWARE_LENGTH = 16;
const FLAG_BROADCAST = 0x8000;
const MAGIC_COOKIE = 0x63825363;
const PAD = 0;
const END = 255;
const MAX_OPTION_PIECE = 255;
const OVERLOADS_FILE = 1;
const OVERLOADS_SERVER_NAME = 2;

/** A message of either direction. */
export interface DhcpMessage {
  /** {@link BOOT_REQUEST} or {@link BOOT_REPLY}. */
  readonly operation: number;
  /** 1 for Ethernet. */
  readonly hardwareType: number;
  /** `chaddr`: up to 16 bytes, 6 for Ethernet. */
  readonly hardwareAddress: Uint8Array;
  /** Relays passed. */
  readonly hops: number;
  /** `xid`, 32 bits, chosen by the client. */
  readonly transaction: number;
  /** Since the client began, 16 bits. */
  readonly seconds: number;
  /** The client cannot take unicast before it has its address. */
  readonly isBroadcast: boolean;
  /** `ciaddr`, 4 bytes: the address the client has and answers ARP for, or zero. */
  readonly clientAddress: Uint8Array;
  /** `yiaddr`, 4 bytes: the address the client is given. */
  readonly yourAddress: Uint8Array;
  /** `siaddr`, 4 bytes: where to boot from. */
  readonly serverAddress: Uint8Array;
  /** `giaddr`, 4 bytes. */
  readonly relayAddress: Uint8Array;
  /** `sname`; up to 63 bytes. */
  readonly serverName: string;
  /** `file`; up to 127 bytes. */
  readonly file: string;
  /** By code, in the order in which they are written; values may be longer than 255 bytes (RFC 3396). */
  readonly options: DhcpOptions;
}

/** Options of a message: code to value. */
export type DhcpOptions = ReadonlyMap<number, Uint8Array>;

/**
 * Reads a whole UDP payload; undefined when it is no BOOTP message. Options that do not fit are left out, with all that
 * follow them. BOOTP without the cookie of RFC 1497 has no options.
 */
export function parseDhcp(bytes: Uint8Array): DhcpMessage | undefined {
  if (bytes.length < COOKIE) return undefined;
  const operation = bytes[OPERATION]!;
  if (operation !== BOOT_REQUEST && operation !== BOOT_REPLY) return undefined;
  const hardwareLength = bytes[HARDWARE_LENGTH]!;
  if (hardwareLength > MAX_HARDWARE_LENGTH) return undefined;
  const { options, overload } = parseOptions(bytes);
  return {
    operation,
    hardwareType: bytes[HARDWARE_TYPE]!,
    hardwareAddress: bytes.slice(HARDWARE_ADDRESS, HARDWARE_ADDRESS + hardwareLength),
    hops: bytes[HOPS]!,
    transaction: read32(bytes, TRANSACTION),
    seconds: read16(bytes, SECONDS),
    isBroadcast: (read16(bytes, FLAGS) & FLAG_BROADCAST) !== 0,
    clientAddress: bytes.slice(CLIENT_ADDRESS, YOUR_ADDRESS),
    yourAddress: bytes.slice(YOUR_ADDRESS, SERVER_ADDRESS),
    serverAddress: bytes.slice(SERVER_ADDRESS, RELAY_ADDRESS),
    relayAddress: bytes.slice(RELAY_ADDRESS, HARDWARE_ADDRESS),
    serverName: (overload & OVERLOADS_SERVER_NAME) === 0 ? parseText(bytes.subarray(SERVER_NAME, FILE)) : '',
    file: (overload & OVERLOADS_FILE) === 0 ? parseText(bytes.subarray(FILE, COOKIE)) : '',
    options,
  };
}

/** Makes a message, padded to the 300 bytes of BOOTP. Texts that are too long for their fields are cut. */
export function emitDhcp(message: DhcpMessage): Uint8Array {
  const header = new Uint8Array(OPTIONS);
  header[OPERATION] = message.operation;
  header[HARDWARE_TYPE] = message.hardwareType;
  header[HARDWARE_LENGTH] = message.hardwareAddress.length;
  header[HOPS] = message.hops;
  write32(header, TRANSACTION, message.transaction);
  write16(header, SECONDS, message.seconds);
  write16(header, FLAGS, message.isBroadcast ? FLAG_BROADCAST : 0);
  header.set(message.clientAddress, CLIENT_ADDRESS);
  header.set(message.yourAddress, YOUR_ADDRESS);
  header.set(message.serverAddress, SERVER_ADDRESS);
  header.set(message.relayAddress, RELAY_ADDRESS);
  header.set(message.hardwareAddress, HARDWARE_ADDRESS);
  // The last byte of each stays zero: not everybody looks for the end of the field.
  header.set(Buffer.from(message.serverName).subarray(0, FILE - SERVER_NAME - 1), SERVER_NAME);
  header.set(Buffer.from(message.file).subarray(0, DHCP_FILE_LENGTH - 1), FILE);
  write32(header, COOKIE, MAGIC_COOKIE);
  const options = Array.from(message.options, ([code, value]) => emitOption(code, value));
  const written = concatenate(header, ...options, Uint8Array.of(END));
  return concatenate(written, new Uint8Array(Math.max(0, BOOTP_LENGTH - written.length)));
}

/** Bytes that an option takes in a message. */
export function dhcpOptionLength(value: Uint8Array): number {
  return value.length + 2 * Math.max(1, Math.ceil(value.length / MAX_OPTION_PIECE));
}

/** `DHCP_*` of option 53; undefined for BOOTP, or what has no sensible one. */
export function dhcpMessageType(options: DhcpOptions): number | undefined {
  return numberOption(options, DHCP_OPTION.messageType, 1);
}

/** The unsigned number in an option that has exactly this many bytes: 1, 2 or 4. */
export function numberOption(options: DhcpOptions, code: number, length: 1 | 2 | 4): number | undefined {
  const value = options.get(code);
  if (value?.length !== length) return undefined;
  return value.reduce((sum, byte) => sum * 0x100 + byte, 0);
}

/** An option's one address; undefined when there is none, or not one. */
export function addressOption(options: DhcpOptions, code: number): Uint8Array | undefined {
  const value = options.get(code);
  return value?.length === 4 ? value : undefined;
}

/** An option's addresses, 4 bytes each; a rest is left out. */
export function addressesOption(options: DhcpOptions, code: number): Uint8Array[] {
  const value = options.get(code) ?? new Uint8Array();
  return Array.from({ length: Math.floor(value.length / 4) }, (_, i) => value.slice(i * 4, i * 4 + 4));
}

/** An option's text, up to a zero; it comes from strangers and may hold any character. */
export function textOption(options: DhcpOptions, code: number): string | undefined {
  const value = options.get(code);
  return value === undefined ? undefined : parseText(value);
}

/** The value of an option that is a number of so many bytes. */
export function numberValue(value: number, length: 1 | 2 | 4): Uint8Array {
  const bytes = new Uint8Array(4);
  write32(bytes, 0, value);
  return bytes.slice(4 - length);
}

/** The value of an option that is text. */
export function textValue(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

/** Options of the message, then those in `file` and `sname` where option 52 says so (RFC 3396, 5: in this order). */
function parseOptions(bytes: Uint8Array): { options: Map<number, Uint8Array>; overload: number } {
  const pieces = new Map<number, Uint8Array[]>();
  if (bytes.length < OPTIONS || read32(bytes, COOKIE) !== MAGIC_COOKIE) return { options: new Map(), overload: 0 };
  gatherOptions(bytes.subarray(OPTIONS), pieces);
  const overload = pieces.get(DHCP_OPTION.overload)?.[0]?.[0] ?? 0;
  if ((overload & OVERLOADS_FILE) !== 0) gatherOptions(bytes.subarray(FILE, COOKIE), pieces);
  if ((overload & OVERLOADS_SERVER_NAME) !== 0) gatherOptions(bytes.subarray(SERVER_NAME, FILE), pieces);
  pieces.delete(DHCP_OPTION.overload);
  return { options: new Map(Array.from(pieces, ([code, values]) => [code, concatenate(...values)])), overload };
}

function gatherOptions(field: Uint8Array, pieces: Map<number, Uint8Array[]>): void {
  let at = 0;
  while (at < field.length) {
    const code = field[at]!;
    if (code === END) return;
    if (code === PAD) {
      at++;
      continue;
    }
    const length = field[at + 1];
    if (length === undefined || at + 2 + length > field.length) return;
    const values = pieces.get(code);
    const value = field.subarray(at + 2, at + 2 + length);
    if (values === undefined) pieces.set(code, [value]);
    else values.push(value);
    at += 2 + length;
  }
}

function emitOption(code: number, value: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < value.length; at += MAX_OPTION_PIECE) {
    const piece = value.subarray(at, at + MAX_OPTION_PIECE);
    pieces.push(Uint8Array.of(code, piece.length), piece);
  }
  return concatenate(...pieces);
}

function parseText(field: Uint8Array): string {
  const end = field.indexOf(0);
  return Buffer.from(end === -1 ? field : field.subarray(0, end)).toString();
}
