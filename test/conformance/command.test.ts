/** The suite on a command that speaks the stream on its standard input and output. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CommandPlug } from '../../src/plugs/command.ts';
import type { FarEnd, Line, PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';
import { encodeStream, StreamDecoder } from './stream-framing.ts';

const bridge = join(import.meta.dirname, '..', 'fixtures', 'stdio-bridge.js');

/** Where the command connects, and the connection with the command's process id. */
async function listen(): Promise<{ path: string; connection: Promise<{ socket: Socket; pid: number }> }> {
  const directory = mkdtempSync(join(tmpdir(), 'vdens-test-'));
  const path = join(directory, 'bridge');
  const server = createServer();
  const connection = new Promise<{ socket: Socket; pid: number }>((resolve) => {
    server.once('connection', (socket) => {
      server.close();
      rmSync(directory, { recursive: true });
      socket.on('error', () => undefined);
      socket.once('data', (line) => resolve({ socket, pid: Number(line.toString()) }));
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, connection };
}

function farEnd(socket: Socket, pid: number): FarEnd {
  const decoder = new StreamDecoder();
  const arrived: Uint8Array[] = [];
  socket.on('data', (bytes) => {
    for (const frame of decoder.decode(bytes as Buffer)) arrived.push(frame);
  });
  return {
    take: () => arrived.splice(0),
    send: (frames) => void socket.write(encodeStream(frames)),
    stopReading: () => void process.kill(pid, 'SIGSTOP'),
    startReading: () => void process.kill(pid, 'SIGCONT'),
    leave: () => void socket.destroy(),
  };
}

async function open(t: TestContext): Promise<Line> {
  const { path, connection } = await listen();
  const plug = CommandPlug.open('cmd', [process.execPath, bridge, path]);
  t.after(() => plug.close());
  const { socket, pid } = await connection;
  const close = plug.close.bind(plug);
  plug.close = async () => {
    await close();
    socket.destroy();
  };
  return { plug, far: farEnd(socket, pid) };
}

const command: PlugKind = { name: 'cmd://', burst: 100, longestBytes: 9234, cycles: 8, open };

describePlug(command);
