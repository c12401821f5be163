/**
 * Two private networks on one virtual Ethernet, pinging each other; every frame is shown as it passes.
 *
 *     npm start          (builds, then runs this: node dist/examples/two-namespaces.js)
 *
 * No root, nothing set up beforehand: each side is a network namespace of its own, with a TAP interface whose
 * other end is a plug in this process. The cable between the two plugs is written out here ({@link forward}), to
 * look at what it carries; `cable()` of the library does the same without looking. Both ends are real kernels: the
 * ping runs in one namespace, and the kernel answers in the other.
 */
import { createInterface } from 'node:readline';
import { reportError } from '../src/commands/report-error.ts';
import { formatCounters, type Namespace, openNamespace, type Plug } from '../src/index.ts';
import { describeFrame, type FrameKind } from './describe-frame.ts';
import { pingCommand } from './ping-command.ts';

/** Three pings take two seconds; a machine that needs longer than this is stuck. */
const DEADLINE_MS = 20_000;

const PICTURE = `
  alice                                                bob
  ┌────────────────────┐                  ┌────────────────────┐
  │ eth0   10.0.0.1/24 ├── this process ──┤ eth0   10.0.0.2/24 │
  └────────────────────┘                  └────────────────────┘
    a namespace                                    another one
`;

const NEXT = `Now you:
  ./bin/vdens                          a shell in a private network
  ./bin/vdens --root --up no           the same as root, with a loopback interface
  ./bin/vdens --help                   everything else
  ./bin/vde doctor                     what this machine can do
  README.md                            how to join a switch, QEMU, another host`;

const seen: Record<FrameKind, number> = { arp: 0, 'echo-request': 0, 'echo-reply': 0, other: 0 };
const startedAt = performance.now();

try {
  process.exitCode = await run();
} catch (error) {
  await reportError('vdens', error);
  console.error('What this machine lacks, and what to do about it, says: ./bin/vde doctor');
  process.exitCode = 1;
}

async function run(): Promise<number> {
  await using alice = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.1/24'] }] });
  await using bob = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.2/24'] }] });
  const [aliceEnd, bobEnd] = [alice.interfaces[0]!.plug, bob.interfaces[0]!.plug];

  console.log(PICTURE);
  forward(aliceEnd, bobEnd, 'alice ──▶ bob');
  forward(bobEnd, aliceEnd, 'alice ◀── bob');
  const status = await ping(alice, '10.0.0.2');

  console.log(`\n${seen['echo-request']} echo requests, ${seen['echo-reply']} answers.`);
  console.log(`alice's interface: ${formatCounters(aliceEnd.counters)}`);
  const isAnswered = status === 0 && seen['echo-reply'] > 0;
  console.log(isAnswered ? `\n${NEXT}` : '\nNobody answered. Please see: ./bin/vde doctor');
  return isAnswered ? 0 : 1;
}

/** Half a cable: what comes out of one plug goes into the other, and on the screen. */
function forward(from: Plug, to: Plug, arrow: string): void {
  from.start(
    (batch) => {
      for (let index = 0; index < batch.count; index++) show(arrow, batch.frame(index));
      to.send(batch);
      if (to.busy) from.pause(); // Frames then wait in the kernel instead of being dropped here.
    },
    { drain: () => to.resume() },
  );
}

function show(arrow: string, frame: Uint8Array): void {
  const { kind, text } = describeFrame(frame);
  seen[kind]++;
  const time = `${(performance.now() - startedAt).toFixed(1)} ms`.padStart(10);
  const line = `${time}  ${arrow}  ${text}`;
  // What the kernels say of their own accord stays in the background.
  console.log(kind === 'other' && process.stdout.isTTY ? `\x1b[2m${line}\x1b[0m` : line);
}

/** Pings from inside, and shows what the command prints; answers its exit status. */
async function ping(from: Namespace, address: string): Promise<number> {
  const command = pingCommand(address);
  console.log(`alice$ ${command.join(' ')}`);
  const running = from.run(command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: running.process.stdout! });
  lines.on('line', (line) => console.log(line === '' ? '' : `alice: ${line}`));
  const timer = setTimeout(() => running.process.kill('SIGTERM'), DEADLINE_MS);
  const [status] = await Promise.all([running.exit, new Promise((resolve) => lines.once('close', resolve))]);
  clearTimeout(timer);
  return status;
}
