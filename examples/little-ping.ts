/**
 * A little ping(8), for machines that have none: real echo requests out of a real kernel.
 *
 * `node little-ping.js ADDRESS` sends three echo requests (RFC 792), a second apart, and exits with 0 when at least
 * one was answered. It needs CAP_NET_RAW (raw(7)), which every command in a namespace of ours has.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatIp, parseIpv4 as parseIpv4Address } from '../src/net/ip.ts';
import { errnoName, native } from '../src/system/native.ts';
import { READABLE, Watch } from '../src/system/reactor.ts';
import { emitIcmpEcho, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, parseIcmpEcho } from '../src/wire/icmp.ts';
import { IP_PROTOCOL_ICMP, parseIpv4 } from '../src/wire/ipv4.ts';

const AF_INET = 2;
const SOCK_RAW = 3;
const REQUESTS = 3;
const INTERVAL_MS = 1000;
const DATA_BYTES = 56;

const target = parseIpv4Address(process.argv[2] ?? '127.0.0.1');
const identifier = process.pid & 0xffff;
const sentAt = new Map<number, number>();
let received = 0;

const socket = check(native.openSocket(AF_INET, SOCK_RAW, IP_PROTOCOL_ICMP), 'socket');
check(native.connectSocket(socket, socketAddress(target)), 'connect');
const watch = new Watch(socket, READABLE, readReply);

console.log(`PING ${formatIp(target)} ${DATA_BYTES} data bytes`);
for (let sequence = 1; sequence <= REQUESTS; sequence++) {
  const request = { type: ICMP_ECHO_REQUEST, identifier, sequence, data: new Uint8Array(DATA_BYTES) };
  sentAt.set(sequence, performance.now());
  const result = native.send(socket, emitIcmpEcho(request));
  if (result < 0) console.log(`seq ${sequence}: not sent (${errnoName(result)})`);
  // Like ping(8), do not wait after the last answer.
  for (let waited = 0; waited < INTERVAL_MS && !(sequence === REQUESTS && received === REQUESTS); waited += 50) {
    await sleep(50);
  }
}
watch.end();
native.closeDescriptor(socket);
console.log(`${REQUESTS} packets transmitted, ${received} received`);
process.exitCode = received > 0 ? 0 : 1;

/** A raw socket delivers whole packets, every ICMP message of the machine among them. */
function readReply(): void {
  const packet = new Uint8Array(2048);
  const length = native.receive(socket, packet);
  const ip = length > 0 ? parseIpv4(packet.subarray(0, length)) : undefined;
  const echo = ip === undefined ? undefined : parseIcmpEcho(packet, ip.payloadOffset, ip.payloadLength);
  if (ip === undefined || echo?.type !== ICMP_ECHO_REPLY || echo.identifier !== identifier) return;
  const sent = sentAt.get(echo.sequence);
  if (sent === undefined) return;
  received++;
  const time = (performance.now() - sent).toFixed(2);
  console.log(`${ip.payloadLength} bytes from ${formatIp(ip.source)}: seq=${echo.sequence} time=${time} ms`);
}

/** `struct sockaddr_in` (ip(7)): family in host order, port, address, padding. */
function socketAddress(address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  new Uint16Array(bytes.buffer, 0, 1)[0] = AF_INET;
  bytes.set(address, 4);
  return bytes;
}

function check(result: number, call: string): number {
  if (result >= 0) return result;
  console.error(`little-ping: ${call}: ${errnoName(result)}`);
  process.exit(2);
}
