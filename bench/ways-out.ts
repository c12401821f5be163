/**
 * Ways out of a namespace, beside each other: ours, the original `slirp://`, slirp4netns and pasta, each with a guest
 * behind it, on one test host with the servers.
 *
 *     [guest] ── gateway ── [the host: iperf3 -s, nginx, dnsmasq on 127.0.0.1; 192.0.2.1 on lo]
 *
 * All reach the loopback address of the host at 10.0.2.2, and its resolver at 10.0.2.3. No packet leaves the machine.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GATEWAY, GatewayLab, Guest, HOST } from '../test/fixtures/gateway-lab.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  type Owner,
  original,
  ours,
  waitFor,
} from '../test/interop/harness.ts';
import { type Bench, readFrom } from './harness.ts';

/** The kinds; a number is the MTU. */
export const wayKinds = [
  'ours',
  'original',
  'slirp4netns-1500',
  'slirp4netns-65520',
  'pasta-1500',
  'pasta-65520',
] as const;
export type WayKind = (typeof wayKinds)[number];

/** Commands that every way needs. */
export const wayCommands: readonly string[] = ['unshare', 'nsenter', 'ip'];

/** Where guests find the servers of the host. */
export const SERVER_ADDRESS: string = GATEWAY.v4;
/** Where guests of all ways find DNS. */
export const NAME_SERVER_ADDRESS = '10.0.2.3';

const READY_MS = 10_000;

/** A guest with a way out. */
export interface WayOut {
  /** The process that moves its packets. */
  readonly pid: number;
  /** Runs a command in the guest until `find` finds what it looks for in its output. */
  read<T>(command: readonly string[], find: (output: string) => T | undefined, timeoutMs: number): Promise<T>;
}

/** How {@link openWay} makes the way. */
export interface WayOptions {
  /** A delay between the guest and its gateway, each way, in milliseconds; for ours and the original. */
  readonly delayMs?: number;
}

/** The program of a kind, when it is there. */
export function programOf(bench: Bench, kind: WayKind): string | undefined {
  if (kind === 'ours') return bench.oursVdens;
  if (kind === 'original') return bench.originalVdens;
  return original(kind.replace(/-\d+$/, ''));
}

/** Opens a way out, with a guest behind it. */
export async function openWay(
  bench: Bench,
  owner: Owner,
  lab: GatewayLab,
  kind: WayKind,
  options: WayOptions = {},
): Promise<WayOut> {
  const program = programOf(bench, kind);
  if (program === undefined) throw new Error(`${kind} is not installed`);
  const mtu = Number(/\d+$/.exec(kind)?.[0]);
  const opened =
    kind === 'ours' || kind === 'original'
      ? await openVdens(owner, lab, program, kind, options)
      : await openForeign(owner, lab, program, kind.startsWith('pasta') ? pastaArguments(mtu) : slirpArguments(mtu));
  return {
    pid: opened.pid,
    read: async (command, find, timeoutMs) => await readFrom(owner, opened.guest.command(command), find, timeoutMs),
  };
}

interface Opened {
  readonly guest: Guest;
  readonly pid: number;
}

async function openVdens(
  owner: Owner,
  lab: GatewayLab,
  vdens: string,
  kind: 'ours' | 'original',
  { delayMs }: WayOptions,
): Promise<Opened> {
  if (delayMs === undefined) {
    const guest = await lab.guest('slirp://', { vdens });
    return { guest, pid: guest.vdens.pid };
  }
  const folder = makeTemporaryDirectory(owner);
  const [near, far] = [join(folder, 'near'), join(folder, 'far')];
  const line = join(import.meta.dirname, 'delay-line.js');
  const delaying = await lab.host.spawn([process.execPath, line, `switch://${near}`, `switch://${far}`, `${delayMs}`]);
  await delaying.waitForOutput(/^delaying$/m, READY_MS);
  const plug = kind === 'ours' ? ours('vde_plug') : (original('vde_plug') ?? 'vde_plug');
  const uplink = await lab.host.spawn([plug, 'slirp://', far]);
  const guest = await lab.guest(near, { vdens });
  await reach(guest, uplink);
  return { guest, pid: uplink.pid };
}

type ForeignArguments = (pid: number) => readonly string[];

function slirpArguments(mtu: number): ForeignArguments {
  return (pid) => ['--configure', '--mtu', `${mtu}`, `${pid}`, 'tap0'];
}

function pastaArguments(mtu: number): ForeignArguments {
  const addresses = [
    '-a',
    '10.0.2.15',
    '-n',
    '255.255.255.0',
    '-g',
    SERVER_ADDRESS,
    '--dns-forward',
    NAME_SERVER_ADDRESS,
  ];
  // Without ports that it takes over: they would not go through its tap.
  const ports = ['-t', 'none', '-u', 'none', '-T', 'none', '-U', 'none'];
  const interfaces = ['-i', 'eth0', '-I', 'tap0', '-m', `${mtu}`];
  return (pid) => ['-f', '-q', '-4', '--config-net', ...addresses, ...ports, ...interfaces, `${pid}`];
}

/** A namespace that a program of others gives an interface. */
async function openForeign(owner: Owner, lab: GatewayLab, program: string, argv: ForeignArguments): Promise<Opened> {
  const script = 'ip link set lo up; echo "guest $$"; exec cat';
  const unshare = ['unshare', '--user', '--map-root-user', '--net', '--mount'];
  const holder = await lab.host.spawn([...unshare, 'sh', '-c', script]);
  const [, pid] = await holder.waitForOutput(/^guest (\d+)$/m, READY_MS);
  const guest = new Guest(owner, holder, Number(pid));
  const gateway = await lab.host.spawn([program, ...argv(Number(pid))]);
  await reach(guest, gateway);
  return { guest, pid: gateway.pid };
}

/** Waits until there is a way through the gateway. For a ping of its own address, pasta has no answer. */
async function reach(guest: Guest, gateway: BackgroundCommand): Promise<void> {
  const answers = async (): Promise<boolean> => {
    if (gateway.hasExited()) throw new Error(`the gateway ended: ${gateway.output().trim().split('\n').at(-1)}`);
    const { stdout } = await guest.run(['ping', '-c', '1', '-W', '1', HOST.v4]);
    return stdout.includes(' 1 received');
  };
  await waitFor(answers, READY_MS, 'the gateway to answer');
}

/** The servers that a row needs, on the host. */
export interface WayServers {
  readonly iperf?: boolean;
  readonly web?: boolean;
  readonly names?: boolean;
}

/** Makes the host, with servers. */
export async function openHost(owner: Owner, servers: WayServers): Promise<GatewayLab> {
  const lab = await GatewayLab.start(owner);
  lab.setNameServers('127.0.0.1');
  // Short connections use up ports faster than the kernel forgets them.
  await lab.host.must('echo 2048 65000 > /proc/sys/net/ipv4/ip_local_port_range');
  if (servers.iperf === true) await startIperf(lab);
  if (servers.web === true) await startWeb(owner, lab);
  if (servers.names === true) await startNames(lab);
  return lab;
}

async function startIperf(lab: GatewayLab): Promise<void> {
  const run = await lab.host.spawn(['iperf3', '--server', '--forceflush']);
  await run.waitForOutput(/Server listening/, READY_MS);
}

/** Port of the web server. */
export const WEB_PORT = 8080;

/** nginx, as one process, that answers without a file and closes. */
async function startWeb(owner: Owner, lab: GatewayLab): Promise<void> {
  const folder = makeTemporaryDirectory(owner);
  mkdirSync(join(folder, 'temporary'));
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/temporary;`,
  );
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `user root root; daemon off; master_process off; pid ${folder}/pid; error_log stderr crit; worker_rlimit_nofile 8192;
    events { worker_connections 4096; }
    http { access_log off; keepalive_timeout 0; ${paths.join(' ')}
      server { listen 127.0.0.1:${WEB_PORT} backlog=4096; location / { return 200 "as short as they come\\n"; } } }\n`,
  );
  await lab.host.spawn(['nginx', '-c', file, '-p', folder]);
  const isListening = async (): Promise<boolean> =>
    (await lab.host.must('cat /proc/net/tcp')).includes(`:${WEB_PORT.toString(16).toUpperCase()} `);
  await waitFor(isListening, READY_MS, 'nginx');
}

/** dnsmasq, which knows the answer to everything. */
async function startNames(lab: GatewayLab): Promise<void> {
  const what = ['--no-daemon', '--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--address=/#/192.0.2.7'];
  const where = ['--listen-address=127.0.0.1', '--bind-interfaces', '--port=53', '--cache-size=0'];
  const run = await lab.host.spawn(['dnsmasq', ...what, ...where]);
  await run.waitForOutput(/started/, READY_MS);
}

/** A file for dnsperf: names, each with a type. */
export function writeQueries(owner: Owner): string {
  const path = join(makeTemporaryDirectory(owner), 'queries');
  if (!existsSync(path)) {
    writeFileSync(path, Array.from({ length: 1000 }, (_, index) => `host${index}.example.test A\n`).join(''));
  }
  return path;
}
