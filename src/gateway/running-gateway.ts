/**
 * A gateway that runs: what is in the datapath (gateway.ts), the services that guests ask for (services.ts), the host's
 * resolvers (resolvers.ts), the ports of the host that lead to guests (forwards.ts), and what connects them.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { ControlServer } from '../control/server.ts';
import { VdensError } from '../errors.ts';
import { IPV4_LENGTH } from '../net/ip.ts';
import { formatPrefix } from '../net/prefix.ts';
import { formatSocketAddress } from '../net/socket-address.ts';
import { firstAddress, sameBytes } from '../net/subnet.ts';
import { native } from '../system/native.ts';
import { describeForward, Forwards } from './forwards.ts';
import { Gateway, type RuleCounts } from './gateway.ts';
import type { GatewayConfig } from './gateway-config.ts';
import { Resolvers } from './resolvers.ts';
import { emitRules, gatewayRules, hostLoopbackAddresses, type Rule } from './rules.ts';
import { ServiceConnections } from './service-connections.ts';
import { GatewayServices } from './services.ts';

/** Connections, mappings and echos at a time; fewer when the process may not have so many descriptors. */
export const MAX_FLOWS = 100_000;
/** What the process keeps of its descriptors for everything else. */
const KEPT_DESCRIPTORS = 128;
/** How often services look at their clocks, and resolvers at what was counted. */
const TICK_MS = 500;
/** What lines for `verbose` begin with; the whole locator may be long. */
const LOG_PREFIX = 'slirp';

/** What else there is to know when a gateway is opened. */
export interface RunningGatewayOptions {
  /** Where the host's resolvers are named. @defaultValue `/etc/resolv.conf` */
  readonly resolvConf?: string;
  readonly signal?: AbortSignal | undefined;
  /** Takes a line for people who asked for `verbose`. @defaultValue to standard error */
  readonly log?: (line: string) => void;
}

/** Everything that a gateway consists of. */
export class RunningGateway {
  readonly gateway: Gateway;
  readonly forwards: Forwards;
  readonly resolvers: Resolvers;
  /** Something that people should know; each kind once. */
  trouble: (error: VdensError) => void = () => undefined;
  readonly #label: string;
  readonly #config: GatewayConfig;
  readonly #services: GatewayServices;
  readonly #connections = new ServiceConnections();
  readonly #log: (line: string) => void;
  readonly #told = new Set<string>();
  #rules: readonly Rule[] = [];
  /** What was counted when it was looked at last, by the places of the rules. */
  #counts: RuleCounts[] = [];
  /** The resolver that was told last. */
  #shownResolver = '';
  #tick: NodeJS.Timeout | undefined;
  #control: ControlServer | undefined;

  /** @throws VdensError `ERR_NATIVE` when there is no memory, or no descriptor */
  constructor(label: string, config: GatewayConfig, { resolvConf, log }: RunningGatewayOptions) {
    this.#label = label;
    this.#config = config;
    const print = log ?? ((line: string) => void process.stderr.write(`${LOG_PREFIX}: ${line}\n`));
    this.#log = config.isVerbose ? print : () => undefined;
    const mac = gatewayMac(config);
    const options = { mac, mtu: config.mtu, maxFlows: mostFlows() };
    this.gateway = new Gateway(label, options, {
      frame: (frame) => this.#services.receive(frame),
      connect: (token, address, port) => this.#connect(token, address, port),
      disconnect: (token) => this.#connections.end(token),
      resolve: (address) => this.#services.resolve(address),
      pingDenied: () => this.#tellPingDenied(),
      exhausted: (errno) => this.#tellExhausted(errno),
      ruleFailed: (rule) => this.#noteFailure(rule),
    });
    this.#services = new GatewayServices(config, mac, {
      send: (frame) => this.gateway.send(frame),
      learn: (address, guestMac) => this.gateway.learn(address, guestMac),
      now: () => performance.now(),
      log: (line) => this.#log(line),
    });
    const changed = (): void => this.#setRules();
    this.resolvers = new Resolvers({ changed }, resolvConf === undefined ? {} : { path: resolvConf });
    this.forwards = new Forwards(label, config, {
      listen: (fd, { protocol, guestAddress, guestPort }) =>
        this.gateway.forward(protocol === 'udp', fd, guestAddress, guestPort),
      unlisten: (id) => this.gateway.unforward(id),
    });
  }

  /**
   * From here on it answers, and its ports are open.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when a port is taken, or there can be no control socket
   */
  async start(): Promise<void> {
    const sides = [this.#config.ipv4, this.#config.ipv6].filter((side) => side !== undefined);
    const networks = sides.map(({ router }) => ({ ...router, address: firstAddress(router) }));
    this.gateway.configure(this.#services.ownAddresses, networks);
    await this.resolvers.start();
    this.#setRules();
    for (const { router } of sides) this.#log(`gateway ${formatPrefix(router)}, MTU ${this.#config.mtu}`);
    for (const forward of this.#config.portForwards) {
      this.#log(`forward ${describeForward(this.forwards.add(forward))}`);
    }
    const { controlPath } = this.#config;
    if (controlPath !== undefined) {
      const { serveForwards } = await import('./control.ts');
      this.#control = serveForwards(this.#label, controlPath, this.forwards);
    }
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
  }

  /** Where destinations lead now, in the order in which it counts. */
  get rules(): readonly Rule[] {
    return this.#rules;
  }

  /** Ends all connections, and resolves when the programs behind them have ended. Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#tick);
    this.#control?.close();
    this.#services.close();
    this.resolvers.close();
    this.forwards.close();
    this.gateway.close();
    await this.#connections.close();
  }

  #setRules(): void {
    const loopback = this.#config.isHostLoopbackDisabled ? hostLoopbackAddresses() : [];
    this.#rules = gatewayRules(this.#config, this.resolvers.current, loopback);
    this.#counts = [];
    this.gateway.setRules(emitRules(this.#rules));
    const resolver = formatSocketAddress(this.resolvers.current);
    if (resolver !== this.#shownResolver) this.#log(`DNS by ${resolver}`);
    this.#shownResolver = resolver;
  }

  #onTick(): void {
    this.#services.tick();
    this.#readCounts();
    this.resolvers.tick();
  }

  /** Tells what happened to guests' queries since it was looked at last. */
  #readCounts(): void {
    const before = this.#counts;
    const counts = this.gateway.ruleCounts(this.#rules.length);
    this.#counts = counts;
    const since = (what: keyof RuleCounts): number =>
      this.#rules.reduce((sum, { purpose, action }, index) => {
        if (purpose !== 'name-server' || action !== 'translate') return sum;
        return sum + (counts[index]?.[what] ?? 0) - (before[index]?.[what] ?? 0);
      }, 0);
    const [asked, answers, failures] = [since('asked'), since('answers'), since('failures')];
    if (answers > 0) this.resolvers.answered();
    else this.resolvers.asked(asked);
    if (failures > 0) this.resolvers.failed();
  }

  /**
   * A resolver that refuses is left at once; others are what guests hear about themselves. What was counted is looked
   * at because the failure may be of rules before: those of now begin with zero.
   */
  #noteFailure(index: number): void {
    if (this.#rules[index]?.purpose === 'name-server') this.#readCounts();
  }

  #connect(token: number, address: Uint8Array, port: number): void {
    const service = this.#config.serviceForwards.find(
      (forward) => forward.port === port && sameBytes(forward.address, address),
    );
    const fd = service === undefined ? -constants.errno.ECONNREFUSED : this.#connections.open(service, token);
    const isWanted = this.gateway.adopt(token, fd);
    if (!isWanted && fd >= 0) native.closeDescriptor(fd);
  }

  #tellPingDenied(): void {
    const message = `${this.#label}: this host does not let group ${process.getgid?.() ?? ''} send echo requests, so pings to other hosts are answered by "administratively prohibited". As root: sysctl -w net.ipv4.ping_group_range="0 2147483647"`;
    this.#tellOnce('ping', new VdensError('ERR_NETWORK_OPEN', message, { errno: 'EACCES', syscall: 'socket' }));
  }

  #tellExhausted(errno: string | undefined): void {
    const message =
      errno === undefined
        ? `${this.#label}: there are ${mostFlows()} connections, and new ones are refused. Are they all needed? More are possible with a higher limit of open files (ulimit -n), up to ${MAX_FLOWS}`
        : `${this.#label}: a connection was refused because there are no sockets left (${errno}). Raise the limit of open files: ulimit -n`;
    this.#tellOnce('exhausted', new VdensError('ERR_NETWORK_OPEN', message, errno === undefined ? {} : { errno }));
  }

  #tellOnce(what: string, error: VdensError): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    this.trouble(error);
  }
}

/** As the originals have it: 52:55 and the IPv4 address of the router; without IPv4, 52:56:00:00:00:02. */
function gatewayMac({ ipv4 }: GatewayConfig): Uint8Array {
  return ipv4 === undefined
    ? Uint8Array.of(0x52, 0x56, 0, 0, 0, 2)
    : Uint8Array.of(0x52, 0x55, ...ipv4.router.address.subarray(0, IPV4_LENGTH));
}

/** How many sockets the process can have for flows (proc(5), /proc/self/limits). */
function mostFlows(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? MAX_FLOWS);
  return Math.min(MAX_FLOWS, Math.max(1, soft - KEPT_DESCRIPTORS));
}
