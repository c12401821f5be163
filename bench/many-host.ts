/**
 * Many namespaces of one process on one switch, every one pinging the next:
 *
 *     [eth0 10.96.0.1] … [eth0 10.96.0.100]    each plugged into a port of one switch
 *
 * `node many-host.js COUNT` prints a {@link ManyResult} as a line of JSON.
 */
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { cable, createSwitch, type Namespace, openNamespace } from '../src/index.ts';
import { peakMemoryMiB } from './harness.ts';

/** What the namespaces cost their process. */
export interface ManyResult {
  readonly count: number;
  /** Until all are open, addressed and plugged in, in milliseconds. */
  readonly setUpMs: number;
  /** Peak of the resident memory of this process, in MiB. */
  readonly peakMiB: number;
  /** Processor time of this process for one ping and its answer, in milliseconds. */
  readonly processorMsPerPing: number;
}

const count = Number(process.argv[2] ?? '10');
/** Namespaces that are opened at a time: each is a process that starts. */
const concurrency = 4;
/** All ping for 6 s. Processor time is taken in 3 of these, when all have started and none has ended. */
const pings = 30;
const intervalMs = 200;
const startMs = 2000;
const windowMs = 3000;

const start = performance.now();
const segment = createSwitch();
const namespaces: Namespace[] = [];
const indices = Array.from({ length: count }, (_, index) => index).values();
await Promise.all(
  Array.from({ length: concurrency }, async () => {
    for (const index of indices) {
      const namespace = await openNamespace({ interfaces: [{ name: 'eth0', addresses: [`${addressOf(index)}/16`] }] });
      cable(namespace.interfaces[0]!.plug, segment.port());
      namespaces[index] = namespace;
    }
  }),
);
const setUpMs = performance.now() - start;

await pingAll(1); // Addresses are resolved, and everything has run once.
const pinging = pingAll(pings);
await sleep(startMs);
const before = process.cpuUsage();
await sleep(windowMs);
const { user, system } = process.cpuUsage(before);
await pinging;
const processorMsPerPing = (user + system) / 1000 / (count * (windowMs / intervalMs));
const result: ManyResult = { count, setUpMs, peakMiB: peakMemoryMiB(process.pid), processorMsPerPing };
console.log(JSON.stringify(result));
await Promise.all(namespaces.map((namespace) => namespace.close()));
process.exit(0);

/** Every namespace pings the next one, all at once. Fails when more than a tenth is lost. */
async function pingAll(times: number): Promise<void> {
  const received = await Promise.all(
    namespaces.map(async (namespace, index) => {
      const argv = [
        'ping',
        '-q',
        '-c',
        `${times}`,
        '-i',
        `${intervalMs / 1000}`,
        '-W',
        '5',
        addressOf((index + 1) % count),
      ];
      const command = namespace.run(argv, { stdio: ['ignore', 'pipe', 'ignore'] });
      const [output] = await Promise.all([text(command.process.stdout!), command.exit]);
      return Number(/ (\d+) received/.exec(output)?.[1] ?? '0');
    }),
  );
  const total = received.reduce((sum, number) => sum + number, 0);
  if (total < count * times * 0.9) throw new Error(`${total} of ${count * times} pings came back`);
}

function addressOf(index: number): string {
  return `10.96.${index >> 7}.${(index & 127) + 1}`;
}
