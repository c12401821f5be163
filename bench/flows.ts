/**
 * Many TCP connections at once, all of which take what they get.
 *
 * `node flows.js serve PORT` sends without end to everybody who connects to 127.0.0.1; says `listening`.
 * `node flows.js take ADDRESS PORT COUNT SECONDS` connects COUNT times, and prints what each got in SECONDS, after a
 * second to settle, as a line of JSON: bytes per second.
 */
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const CONNECT_AT_ONCE = 50;
const SETTLE_MS = 1000;

const [mode = '', ...words] = process.argv.slice(2);

function serve(): void {
  const piece = Buffer.alloc(64 * 1024);
  const server = createServer((socket) => {
    const fill = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', fill);
    socket.on('error', () => socket.destroy());
    fill();
  });
  server.listen(Number(words[0]), '127.0.0.1', 4096, () => console.log('listening'));
}

async function take(): Promise<void> {
  const [address = '', port, count, seconds] = words;
  const taken = new Float64Array(Number(count));
  const sockets: Socket[] = [];
  const memory = Buffer.alloc(64 * 1024);
  const open = async (index: number): Promise<void> => {
    // One buffer for all: what comes is not looked at.
    const callback = (bytes: number): boolean => {
      taken[index] = (taken[index] ?? 0) + bytes;
      return true;
    };
    const socket = connect({ host: address, port: Number(port), onread: { buffer: memory, callback } });
    sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.on('error', reject);
    });
  };
  for (let first = 0; first < taken.length; first += CONNECT_AT_ONCE) {
    const indices = Array.from(
      { length: Math.min(CONNECT_AT_ONCE, taken.length - first) },
      (_, index) => first + index,
    );
    await Promise.all(indices.map(open));
  }
  await sleep(SETTLE_MS);
  const before = taken.slice();
  const start = performance.now();
  await sleep(Number(seconds) * 1000);
  const elapsed = (performance.now() - start) / 1000;
  console.log(JSON.stringify([...taken].map((bytes, index) => Math.round((bytes - (before[index] ?? 0)) / elapsed))));
  for (const socket of sockets) socket.destroy();
  process.exit(0);
}

if (mode === 'serve') serve();
else await take();
