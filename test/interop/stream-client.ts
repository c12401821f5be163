/**
 * A program that speaks the stream framing on its standard input and output, such as `vde_plug DIR`: what it writes
 * are the frames of the network, what is written to it goes there.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeStream, StreamDecoder } from '../conformance/stream-framing.ts';
import { type Owner, waitFor } from './harness.ts';

/** A running program. */
export interface StreamClient {
  readonly pid: number;
  /** The frames that came since the last call. */
  take(): Uint8Array[];
  /** Writes frames, all in one write. */
  send(frames: readonly Uint8Array[]): void;
  /** Writes bytes as they are. */
  write(bytes: Uint8Array): void;
  endInput(): void;
  /** What it printed on standard error. */
  errors(): string;
  kill(signal: NodeJS.Signals): void;
  hasExited(): boolean;
  waitForExit(timeoutMs?: number): Promise<void>;
}

/** Starts a program; it is killed when the owner is over. */
export async function startStreamClient(t: Owner, argv: readonly string[]): Promise<StreamClient> {
  const child = spawn(argv[0]!, argv.slice(1), { stdio: 'pipe', detached: true });
  const decoder = new StreamDecoder();
  const arrived: Uint8Array[] = [];
  let errors = '';
  let isOver = false;
  child.stdout.on('data', (bytes) => {
    for (const frame of decoder.decode(bytes)) arrived.push(frame);
  });
  child.stderr.on('data', (text) => {
    errors += text;
  });
  child.stdin.on('error', () => undefined); // It need not read.
  child.on('exit', () => {
    isOver = true;
  });
  t.after(async () => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
    for (let waited = 0; !isOver && waited < 2000; waited += 20) await sleep(20);
    for (const stream of child.stdio) stream?.destroy();
  });
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  return {
    pid: child.pid!,
    take: () => arrived.splice(0),
    send: (frames) => void child.stdin.write(encodeStream(frames)),
    write: (bytes) => void child.stdin.write(bytes),
    endInput: () => void child.stdin.end(),
    errors: () => errors,
    kill: (signal) => void child.kill(signal),
    hasExited: () => isOver,
    waitForExit: async (timeoutMs = 5000) =>
      void (await waitFor(() => isOver, timeoutMs, `the end of ${argv.join(' ')}`)),
  };
}
