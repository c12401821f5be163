/**
 * Mutated frames through a gateway, for as many as are asked for: it has to stay up, and to go on serving a guest that
 * behaves. Build first.
 *
 *     node scripts/soak-gateway.mjs [FRAMES [SEED]]      100,000 frames by default
 *
 * All of it is in a network namespace of its own, with a loopback interface and no way out: what the frames make the
 * gateway send stays there. Prints counters, and memory and descriptors before and after; exit status 1 when a check
 * failed. On another build with VDENS_NATIVE_DIR, such as that of `npm run sanitize`.
 */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';

const frames = Number(process.argv[2] ?? 100_000);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
/** Frames of one batch. */
const BATCH = 64;
/** Batches between two looks at whether it still serves. */
const LOOK_EVERY = 200;
const GROWTH_KIB = 96 * 1024;
const LEFT_DESCRIPTORS = 64;
const ANSWER_MS = 5000;

if (!(frames > 0) || !Number.isInteger(seed)) {
  console.error('usage: node scripts/soak-gateway.mjs [FRAMES [SEED]]');
  process.exit(2);
}
if (process.env.VDENS_SOAK_INSIDE === undefined) enterNamespace();

/** Runs this script once more, where nothing leads out. */
function enterNamespace() {
  const inside = `ip link set lo up && ip address add 192.0.2.1/32 dev lo && exec "$@"`;
  const argv = ['--user', '--map-root-user', '--net', 'sh', '-c', inside, 'sh', process.execPath, ...process.execArgv];
  const words = [import.meta.filename, `${frames}`, `${seed}`];
  const env = { ...process.env, VDENS_SOAK_INSIDE: '1' };
  const { status, error } = spawnSync('unshare', [...argv, ...words], { stdio: 'inherit', env });
  if (error !== undefined) console.error(`soak: cannot run unshare: ${error.message}`);
  process.exit(status ?? 1);
}

const others = Object.keys(networkInterfaces()).filter((name) => name !== 'lo');
if (others.length > 0) {
  console.error(`soak: there are interfaces besides lo (${others.join(', ')}): not here`);
  process.exit(2);
}

const { batchOf, MemoryPlug, cable, openPlug } = await import('../dist/src/index.js');

/** A generator of pseudo-random numbers from 0 to 1 (mulberry32), the same ones for the same seed. */
let state = seed;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (list) => list[below(list.length)];

const GUEST_MAC = [2, 0, 0, 0, 0, 1];
const GATEWAY_MAC = [0x52, 0x55, 10, 0, 2, 2];
const GUEST4 = [10, 0, 2, 15];
const GATEWAY4 = [10, 0, 2, 2];
const GUEST6 = [...new Array(15).fill(0)].with(0, 0xfd).concat(0x15);
const GATEWAY6 = [...new Array(15).fill(0)].with(0, 0xfd).concat(2);

const tcpServer = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.pipe(socket);
});
// Its connections are descriptors of this process, too.
tcpServer.maxConnections = 200;
await new Promise((resolve) => tcpServer.listen(7, '127.0.0.1', resolve));
const udpServer = createSocket('udp4');
udpServer.on('message', (payload, { address, port }) => udpServer.send(payload, port, address, () => undefined));
udpServer.on('error', () => undefined);
await new Promise((resolve) => udpServer.bind(7, '127.0.0.1', resolve));

const gateway = await openPlug('slirp://');
const [near, far] = MemoryPlug.pair();
cable(far, gateway);
const answers = [];
near.start((batch) => {
  for (let index = 0; index < batch.count; index++) {
    const frame = batch.frame(index);
    learn(frame);
    if (answers.length < 1000) answers.push(Buffer.from(frame));
  }
});

/** Sequence numbers that the gateway has shown, so that some of what follows is taken for part of a connection. */
const connections = [];
function learn(frame) {
  if (frame.length < 54 || frame[12] !== 8 || frame[13] !== 0 || frame[23] !== 6) return;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const start = 14 + 4 * (frame[14] & 15);
  if (start + 20 > frame.length) return;
  connections.push({
    port: view.getUint16(start + 2),
    sequence: view.getUint32(start + 8),
    ack: view.getUint32(start + 4) + 1,
  });
  if (connections.length > 64) connections.shift();
}

function sumOf(bytes, sum = 0) {
  let total = sum;
  for (let index = 0; index < bytes.length; index += 2) total += (bytes[index] << 8) | (bytes[index + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** The header of IPv4 or IPv6, and what it carries with its checksum right. */
function packet(isV6, protocol, payload, checksumAt) {
  const body = Buffer.from(payload);
  const [source, destination] = isV6
    ? [GUEST6, random() < 0.7 ? GATEWAY6 : GATEWAY6.with(15, below(8))]
    : [
        GUEST4,
        random() < 0.6
          ? GATEWAY4
          : pick([
              [10, 0, 2, 3],
              [192, 0, 2, 1],
              [10, 0, 2, 255],
              [224, 0, 0, 1],
            ]),
      ];
  if (checksumAt !== undefined && body.length > checksumAt + 1) {
    const pseudo = sumOf([...source, ...destination, 0, protocol, body.length >> 8, body.length & 255]);
    body.writeUInt16BE(~sumOf(body, protocol === 1 ? 0 : pseudo) & 0xffff, checksumAt);
  }
  if (isV6)
    return Buffer.concat([
      Buffer.from([0x60, 0, 0, 0, body.length >> 8, body.length & 255, protocol, 64, ...source, ...destination]),
      body,
    ]);
  const total = 20 + body.length;
  const fragment = random() < 0.15 ? [below(2) << 5, below(4)] : [0x40, 0];
  const header = Buffer.from([
    0x45,
    0,
    total >> 8,
    total & 255,
    below(256),
    below(256),
    ...fragment,
    64,
    protocol,
    0,
    0,
    ...source,
    ...destination,
  ]);
  header.writeUInt16BE(~sumOf(header) & 0xffff, 10);
  return Buffer.concat([header, body]);
}

function tcp() {
  const known = connections.length > 0 && random() < 0.7 ? pick(connections) : undefined;
  const payload = Buffer.alloc(random() < 0.5 ? 0 : below(1400), below(256));
  const options = random() < 0.3 ? Buffer.from([2, 4, below(256), below(256), 3, 3, below(20), 1]) : Buffer.alloc(0);
  const head = Buffer.alloc(20);
  head.writeUInt16BE(known?.port ?? 1024 + below(500), 0);
  head.writeUInt16BE(random() < 0.8 ? 7 : below(65_536), 2);
  head.writeUInt32BE(((known?.sequence ?? below(2 ** 32)) + (random() < 0.2 ? below(4000) - 2000 : 0)) >>> 0, 4);
  head.writeUInt32BE(((known?.ack ?? 0) + (random() < 0.2 ? below(4000) - 2000 : 0)) >>> 0, 8);
  head[12] = ((20 + options.length) / 4) << 4;
  head[13] = known === undefined ? 2 : pick([0x10, 0x10, 0x18, 0x11, 0x14, 0x12, below(256)]);
  head.writeUInt16BE(pick([0, 1, 1000, 65_535]), 14);
  return { protocol: 6, checksumAt: 16, bytes: Buffer.concat([head, options, payload]) };
}

function udp() {
  const payload = Buffer.alloc(below(1400), below(256));
  const head = Buffer.alloc(8);
  head.writeUInt16BE(1024 + below(2000), 0);
  head.writeUInt16BE(pick([7, 53, 67, 68, 69, 547, below(65_536)]), 2);
  head.writeUInt16BE(8 + payload.length, 4);
  return { protocol: 17, checksumAt: 6, bytes: Buffer.concat([head, payload]) };
}

function icmp(isV6) {
  const type = isV6 ? pick([128, 129, 1, 2, 3, 133, 134, 135, 136, below(256)]) : pick([8, 0, 3, 11, 5, below(256)]);
  const bytes = Buffer.concat([Buffer.from([type, below(16), 0, 0]), Buffer.alloc(4 + below(200), below(256))]);
  return { protocol: isV6 ? 58 : 1, checksumAt: 2, bytes };
}

function arp() {
  const bytes = [
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    pick([1, 2]),
    ...GUEST_MAC,
    ...GUEST4,
    ...new Array(6).fill(0),
    10,
    0,
    2,
    below(20),
  ];
  return Buffer.from([...new Array(6).fill(255), ...GUEST_MAC, 8, 6, ...bytes]);
}

/** A frame that makes sense, more or less. */
function sensible() {
  if (random() < 0.05) return arp();
  const isV6 = random() < 0.3;
  const { protocol, checksumAt, bytes } = pick([tcp, tcp, udp, icmp])(isV6);
  const type = isV6 ? [0x86, 0xdd] : [8, 0];
  return Buffer.concat([
    Buffer.from([...GATEWAY_MAC, ...GUEST_MAC, ...type]),
    packet(isV6, protocol, bytes, checksumAt),
  ]);
}

/** The same with something wrong: bytes that are others, an end that is missing, or one too many. */
function mutated() {
  let frame = sensible();
  const changes = random() < 0.4 ? 0 : 1 + below(4);
  for (let change = 0; change < changes; change++) {
    const at = random() < 0.8 ? below(Math.min(frame.length, 80)) : below(frame.length);
    const how = below(4);
    if (how < 2 && frame.length > 0) frame[at] = random() < 0.5 ? below(256) : frame[at] ^ (1 << below(8));
    else if (how === 2) frame = Buffer.from(frame.subarray(0, Math.max(14, at)));
    else frame = Buffer.concat([frame, Buffer.alloc(below(64), below(256))]);
  }
  return frame.length < 14 ? Buffer.concat([frame, Buffer.alloc(14)]) : frame;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const descriptors = () => readdirSync('/proc/self/fd').length;
const residentKib = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);

/** Whether a guest that behaves is served: an echo of the gateway, and a datagram to the host and back. */
async function isServed(mark) {
  answers.length = 0;
  const text = Buffer.from(`mark ${mark}`);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(40_000 + (mark % 20_000), 0);
  head.writeUInt16BE(7, 2);
  head.writeUInt16BE(8 + text.length, 4);
  const datagram = Buffer.concat([head, text]);
  const total = 20 + datagram.length;
  const header = Buffer.from([0x45, 0, total >> 8, total & 255, 0, 1, 0x40, 0, 64, 17, 0, 0, ...GUEST4, ...GATEWAY4]);
  header.writeUInt16BE(~sumOf(header) & 0xffff, 10);
  const frame = Buffer.concat([Buffer.from([...GATEWAY_MAC, ...GUEST_MAC, 8, 0]), header, datagram]);
  const deadline = performance.now() + ANSWER_MS;
  for (let next = 0; performance.now() < deadline; ) {
    if (performance.now() > next) {
      // What came before may have told it another address of ours.
      near.send(batchOf([gratuitousArp(), frame]));
      next = performance.now() + 500;
    }
    await turn();
    if (answers.some((answer) => answer.includes(text) && answer.length > 42 && answer[23] === 17)) return true;
  }
  return false;
}

function gratuitousArp() {
  const bytes = [0, 1, 8, 0, 6, 4, 0, 1, ...GUEST_MAC, ...GUEST4, 0, 0, 0, 0, 0, 0, ...GUEST4];
  return Buffer.from([...new Array(6).fill(255), ...GUEST_MAC, 8, 6, ...bytes]);
}

async function main() {
  if (!(await isServed(0))) return 'it does not serve a guest to begin with';
  for (let sent = 0; sent < 10_000 && sent < frames; sent += BATCH) await sendBatch();
  const before = residentKib();
  for (let sent = 0, batches = 0; sent < frames; sent += BATCH, batches++) {
    await sendBatch();
    if (batches % LOOK_EVERY === 0 && !(await isServed(1 + batches))) return `it stopped to serve after ${sent} frames`;
  }
  const grown = residentKib() - before;
  const flows = `${gateway.flows} flows, ${descriptors()} descriptors, ${Math.round(grown / 1024)} MiB more memory`;
  console.log(`soak: ${frames} frames, seed ${seed}: ${flows}; ${JSON.stringify(gateway.statistics)}`);
  if (grown > GROWTH_KIB) return `the memory grew by ${grown} KiB`;
  await gateway.close();
  tcpServer.close();
  udpServer.close();
  await turn();
  const left = descriptors();
  return left > LEFT_DESCRIPTORS ? `${left} descriptors are left` : undefined;
}

async function sendBatch() {
  near.send(batchOf(Array.from({ length: BATCH }, mutated)));
  await turn();
}

const failure = await main();
if (failure !== undefined) console.error(`soak: seed ${seed}: ${failure}`);
process.exit(failure === undefined ? 0 : 1);
