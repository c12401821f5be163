/**
 * ARP for IPv4 over Ethernet (RFC 826).
 */
import { read16, write16 } from './bytes.ts';

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;
/** Bytes of a packet. */
export const ARP_LENGTH = 28;

const HARDWARE = 0;
const PROTOCOL = 2;
const LENGTHS = 4;
const OPERATION = 6;
const SENDER_MAC = 8;
const SENDER_IP = 14;
const TARGET_MAC = 18;
const TARGET_IP = 24;

const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
/** 6 bytes of MAC address, 4 of IPv4 address. */
const ADDRESS_LENGTHS = 0x0604;

/** An ARP packet. */
export interface ArpPacket {
  /** {@link ARP_REQUEST} or {@link ARP_REPLY}. */
  readonly operation: number;
  /** 6 bytes. */
  readonly senderMac: Uint8Array;
  /** 4 bytes. */
  readonly senderIp: Uint8Array;
  /** 6 bytes; zero in a request. */
  readonly targetMac: Uint8Array;
  /** 4 bytes. */
  readonly targetIp: Uint8Array;
}

/** Reads the packet at `offset`; undefined when it is short, or not about IPv4 over Ethernet. */
export function parseArp(bytes: Uint8Array, offset = 0): ArpPacket | undefined {
  if (bytes.length < offset + ARP_LENGTH) return undefined;
  if (read16(bytes, offset + HARDWARE) !== HARDWARE_ETHERNET) return undefined;
  if (read16(bytes, offset + PROTOCOL) !== PROTOCOL_IPV4) return undefined;
  if (read16(bytes, offset + LENGTHS) !== ADDRESS_LENGTHS) return undefined;
  return {
    operation: read16(bytes, offset + OPERATION),
    senderMac: bytes.slice(offset + SENDER_MAC, offset + SENDER_IP),
    senderIp: bytes.slice(offset + SENDER_IP, offset + TARGET_MAC),
    targetMac: bytes.slice(offset + TARGET_MAC, offset + TARGET_IP),
    targetIp: bytes.slice(offset + TARGET_IP, offset + ARP_LENGTH),
  };
}

/** Makes a packet. */
export function emitArp(packet: ArpPacket): Uint8Array {
  const bytes = new Uint8Array(ARP_LENGTH);
  write16(bytes, HARDWARE, HARDWARE_ETHERNET);
  write16(bytes, PROTOCOL, PROTOCOL_IPV4);
  write16(bytes, LENGTHS, ADDRESS_LENGTHS);
  write16(bytes, OPERATION, packet.operation);
  bytes.set(packet.senderMac, SENDER_MAC);
  bytes.set(packet.senderIp, SENDER_IP);
  bytes.set(packet.targetMac, TARGET_MAC);
  bytes.set(packet.targetIp, TARGET_IP);
  return bytes;
}
