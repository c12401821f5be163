/**
 * Two private networks on one virtual Ethernet, pinging each other; every frame is shown as it passes.
 *
 *     npm start          (builds, then runs this: node dist/examples/two-namespaces.js)
 *
 * No root, nothing set up beforehand: each side is a network namespace of its own, with a TAP interface whose
 * other end is a plug in this process. Both plugs are ports of one switch; it is a hub, which sends every frame to
 * every port, so that at a third port this program sees what the two say. (With `createSwitch()` it would see what
 * is for everybody.) Both ends are real kernels: the ping runs in one namespace, and the kernel answers in the other.
 */
import { createInterface } from 'node:readline';
import { reportError } from '../src/commands/report-error.ts';
import { createSwitch, type FrameBatch, formatCounters, type Namespace, openNamespace } from '../src/index.ts';
import { formatMac } from '../src/net/mac.ts';
import { describeFrame, type FrameKind } from './describe-frame.ts';
import { pingCommand } from './ping-command.ts';

/** Three pings take two seconds; a machine that needs longer than this is stuck. */
const DEADLINE_MS = 20_000;

/** Interfaces get random addresses; these tell who sent a frame. */
const [ALICE, BOB] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'];

const PICTURE = `
  alice                     this process      bob
  ┌────────────────────┐   ┌──────────────┐   ┌────────────────────┐
  │ eth0   10.0.0.1/24 ├───┤ 1  switch  2 ├───┤ eth0   10.0.0.2/24 │
  └────────────────────┘   └──────3───────┘   └────────────────────┘
    a namespace              we look here       another one
`;

const NEXT = `Now you:
  ./bin/vdens                          a shell in a private network
  ./bin/vdens --root --up no           the same as root, with a loopback interface
  ./bin/vdens switch:///tmp/lan        a network with others: type it in two terminals
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
  await using alice = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.1/24'], mac: ALICE }] });
  await using bob = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.2/24'], mac: BOB }] });
  await using lan = createSwitch({ hub: true });
  lan.attach(alice.interfaces[0]!.plug);
  lan.attach(bob.interfaces[0]!.plug);
  lan.port().start(showAll);

  console.log(PICTURE);
  const status = await ping(alice, '10.0.0.2');

  console.log(`\n${seen['echo-request']} echo requests, ${seen['echo-reply']} answers.`);
  console.log(`alice's interface: ${formatCounters(alice.interfaces[0]!.plug.counters)}`);
  const isAnswered = status === 0 && seen['echo-reply'] > 0;
  console.log(isAnswered ? `\n${NEXT}` : '\nNobody answered. Please see: ./bin/vde doctor');
  return isAnswered ? 0 : 1;
}

function showAll(batch: FrameBatch): void {
  for (let index = 0; index < batch.count; index++) show(batch.frame(index));
}

function show(frame: Uint8Array): void {
  const { kind, text } = describeFrame(frame);
  const arrow = formatMac(frame.subarray(6, 12)) === ALICE ? 'alice ──▶ bob' : 'alice ◀── bob';
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
