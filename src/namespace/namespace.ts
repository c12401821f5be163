/**
 * A private network, seen from outside: namespaces with interfaces in them, and commands that run there.
 *
 * The interfaces are TAPs whose other ends are plugs in this process; what they are plugged into is the
 * caller's affair. Everything is configured from here by rtnetlink: nothing has to be installed inside.
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { constants } from 'node:os';
import { VdensError } from '../errors.ts';
import { IPV4_LENGTH, parseIp } from '../net/ip.ts';
import { parseMac } from '../net/mac.ts';
import { type IpPrefix, parsePrefix } from '../net/prefix.ts';
import { TapPlug } from '../plugs/tap.ts';
import { MAX_INTERFACES } from '../system/launch-arguments.ts';
import { NamespaceHolder, type Opened, runInside } from '../system/launcher.ts';
import { native } from '../system/native.ts';
import { type ClosableTransport, descriptorTransport } from '../system/netlink-transport.ts';
import { configureInterfaces } from '../system/network-configuration.ts';
import { Rtnetlink } from '../system/rtnetlink.ts';
import type { AutoConfiguration, AutoOptions } from './auto/auto-configuration.ts';
import { commandCapabilities } from './capabilities.ts';
import { etcFiles } from './etc-files.ts';
import { killProcessesIn, networkNamespaceOf } from './leftovers.ts';

/** An interface to make. */
export interface InterfaceOptions {
  /** Its name inside, at most 15 bytes. */
  readonly name: string;
  /** Addresses with their prefix length, such as `10.0.0.1/24` or `fd00::1/64`. */
  readonly addresses?: readonly (string | IpPrefix)[];
  /** The MAC address; random when left out. */
  readonly mac?: string | Uint8Array | undefined;
  /** In bytes. @defaultValue 1500 */
  readonly mtu?: number | undefined;
  /** Whether to set it up. @defaultValue true when it has addresses, or when {@link NamespaceOptions.up} */
  readonly up?: boolean;
  /**
   * Whether it is to be configured by the servers of its network (DHCP, DHCPv6, router advertisements), which begins
   * with {@link Namespace.autoconfigure}.
   */
  readonly auto?: boolean;
}

/** What kind of namespace to make. */
export interface NamespaceOptions {
  readonly interfaces?: readonly InterfaceOptions[];
  /** Sets `lo` and every interface up. @defaultValue true when an interface has addresses, or is to learn them */
  readonly up?: boolean;
  /** Default gateways, at most one of each family. */
  readonly gateways?: readonly (string | Uint8Array)[];
  /** The host name inside, known in /etc/hosts too. */
  readonly hostname?: string | undefined;
  /** Name servers for /etc/resolv.conf; none of them makes it an empty file. @defaultValue the host's file */
  readonly nameServers?: readonly string[] | undefined;
  /** A file to see as /etc/resolv.conf. */
  readonly resolvConf?: string | undefined;
  /** Whether the user is uid 0 inside. */
  readonly root?: boolean;
  /** Whether commands get CAP_SYS_ADMIN besides the network capabilities. */
  readonly sysAdmin?: boolean;
}

/** An interface of a namespace. */
export interface NamespaceInterface {
  readonly name: string;
  /** Its end outside: what the namespace sends comes out of it. */
  readonly plug: TapPlug;
}

/** A command in a namespace. */
export interface NamespaceCommand {
  /** The process that supervises the command: its streams are the command's, its exit status too. */
  readonly process: ChildProcess;
  /** The command's exit status; 128+n when signal n ended it, 126 or 127 when it could not be run. */
  readonly exit: Promise<number>;
}

/** A private network. */
export class Namespace implements AsyncDisposable {
  readonly interfaces: readonly NamespaceInterface[];
  /** The interfaces, addresses and routes inside. */
  readonly rtnetlink: Rtnetlink;
  readonly #holder: NamespaceHolder;
  readonly #netlink: number;
  readonly #transport: ClosableTransport;
  /** What the kernel calls the interfaces, whatever name they are given inside. */
  #indexes: ReadonlyMap<string, number> = new Map();
  readonly #identity: string | undefined;
  readonly #capabilities: bigint;
  readonly #auto: Learning | undefined;
  #configuration: Promise<AutoConfiguration> | undefined;
  readonly #commands = new Set<NamespaceCommand>();
  #closing: Promise<void> | undefined;

  private constructor(
    { holder, netlink }: { readonly holder: NamespaceHolder; readonly netlink: number },
    plugs: readonly TapPlug[],
    capabilities: bigint,
    auto: Learning | undefined,
  ) {
    this.interfaces = plugs.map((plug) => ({ name: plug.label, plug }));
    this.#transport = descriptorTransport(netlink);
    this.rtnetlink = new Rtnetlink(this.#transport);
    this.#holder = holder;
    this.#netlink = netlink;
    this.#identity = networkNamespaceOf(holder.pid);
    this.#capabilities = capabilities;
    this.#auto = auto;
  }

  /**
   * Makes a namespace with its interfaces, configured.
   *
   * @throws VdensError `ERR_NAMESPACE`, `ERR_TAP`, `ERR_NETLINK`, `ERR_ADDRESS`
   */
  static async open(options: NamespaceOptions = {}): Promise<Namespace> {
    const requested = options.interfaces ?? [];
    const configuration = readConfiguration(options);
    const learning = requested.filter(({ auto }) => auto === true);
    const opened = await NamespaceHolder.start({
      taps: requested.map(({ name }) => name),
      root: options.root ?? false,
      mounts: options.sysAdmin ?? false,
      hostname: options.hostname,
      etc: etcFiles({ ...options, learnsNames: learning.length > 0 }),
      listening: learning.map(({ name }) => name),
      sysctls: learningSettings(requested, configuration),
    });
    const plugs = opened.taps.map((fd, index) => new TapPlug(fd, requested[index]!.name));
    const auto = learning.length === 0 ? undefined : { options, configuration, opened };
    const namespace = new Namespace(opened, plugs, commandCapabilities(options.sysAdmin ?? false), auto);
    try {
      if (plugs.length > 0) namespace.#indexes = await indexesOf(namespace.rtnetlink);
      await configureInterfaces(namespace.rtnetlink, configuration);
    } catch (error) {
      await namespace.close();
      throw error;
    }
    return namespace;
  }

  /** The process by which others can join the namespaces (`nsenter -t PID`). */
  get pid(): number {
    return this.#holder.pid;
  }

  /** The ambient capabilities of its commands, as a bit mask. */
  get capabilities(): bigint {
    return this.#capabilities;
  }

  /** Whether it has been closed, or is about to be. */
  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * By what the kernel knows one of {@link interfaces}, also when it was renamed inside.
   *
   * @param name that it was made with
   */
  indexOf(name: string): number | undefined {
    return this.#indexes.get(name);
  }

  /** What the kernel calls its network namespace, such as `net:[4026532281]`. */
  get identity(): string | undefined {
    return this.#identity;
  }

  /**
   * Configures the interfaces that are to learn it (`auto`), once they are plugged in: resolves when each has an address
   * of either family, and what else is known within a moment. From then on leases are renewed until the namespace is
   * closed, and `/etc/resolv.conf` inside follows, unless it was given.
   *
   * @throws VdensError `ERR_NETWORK_TIMEOUT` when nobody answers in time, `ERR_NETLINK`
   */
  async autoconfigure(options: AutoOptions = {}): Promise<void> {
    if (this.#closing !== undefined) throw new VdensError('ERR_CLOSED', 'the namespace is closed');
    if (this.#auto === undefined || this.#configuration !== undefined) return;
    this.#configuration = prepareLearning(this.#auto, this.rtnetlink);
    await (await this.#configuration).start(options);
  }

  /** Says that the network of such an interface was away, and may be another now: what it has is confirmed, or changed. */
  async reconfirm(name: string): Promise<void> {
    (await this.#configuration)?.reconfirm(name);
  }

  /**
   * Runs a command inside, with the network capabilities as ambient capabilities. When it ends, or this
   * process does, what it left in the background is ended too.
   */
  run(command: readonly string[], options: SpawnOptions = {}): NamespaceCommand {
    if (this.#closing !== undefined) throw new VdensError('ERR_CLOSED', 'the namespace is closed');
    const child = runInside(this.pid, this.#capabilities, command, options);
    const exit = new Promise<number>((resolve, reject) => {
      child.on('error', (cause) => {
        reject(new VdensError('ERR_COMMAND', `cannot run '${command[0]}' (${cause.message})`, { cause }));
      });
      child.on('exit', (status, signal) => {
        // Ended by a signal itself, before there was a command or by force, it could not end what it supervised.
        if (signal !== null) this.#killLeftovers();
        resolve(status ?? 128 + constants.signals[signal ?? 'SIGKILL']);
      });
    });
    const running: NamespaceCommand = { process: child, exit };
    this.#commands.add(running);
    const forget = (): boolean => this.#commands.delete(running);
    exit.then(forget, forget);
    return running;
  }

  /** Ends the commands, removes the interfaces. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    const running = [...this.#commands];
    for (const command of running) command.process.kill('SIGTERM');
    const timer = setTimeout(() => this.#killLeftovers(), 1000);
    await Promise.allSettled(running.map(({ exit }) => exit));
    clearTimeout(timer);
    await this.#endLearning();
    await Promise.all(this.interfaces.map(({ plug }) => plug.close()));
    this.#transport.close();
    native.closeDescriptor(this.#netlink);
    await this.#holder.close();
  }

  /** While the interfaces are still plugged in: addresses are given back. */
  async #endLearning(): Promise<void> {
    const configuration = await this.#configuration?.catch(() => undefined);
    if (configuration !== undefined) {
      await configuration.release();
      configuration.close();
      return;
    }
    for (const fd of [...(this.#auto?.opened.listeners ?? []), ...(this.#auto?.opened.etcFiles ?? [])]) {
      native.closeDescriptor(fd);
    }
  }

  #killLeftovers(): void {
    if (this.#identity !== undefined) killProcessesIn(this.#identity, [this.pid]);
  }
}

/**
 * Makes a private network; see {@link Namespace.open}.
 *
 * ```ts
 * await using namespace = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.1/24'] }] });
 * const status = await namespace.run(['ip', 'address'], { stdio: 'inherit' }).exit;
 * ```
 */
export function openNamespace(options: NamespaceOptions = {}): Promise<Namespace> {
  return Namespace.open(options);
}

async function indexesOf(rtnetlink: Rtnetlink): Promise<ReadonlyMap<string, number>> {
  return new Map((await rtnetlink.links()).map(({ name, index }) => [name, index]));
}

/** IFNAMSIZ without the final NUL. */
const MAX_NAME_BYTES = 15;

/** The kernel would take '%' for a number of its own choice, and we would cut what is too long. */
function checkName(name: string): string {
  if (/^[^\s/:%\0]+$/.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES && !/^\.\.?$/.test(name)) return name;
  const message = `"${name}" is no name for an interface: 1 to ${MAX_NAME_BYTES} bytes, none of them a space, "/", ":" or "%". Write, for example, eth0`;
  throw new VdensError('ERR_TAP', message, { value: name });
}

function checkCount(count: number): void {
  if (count <= MAX_INTERFACES) return;
  const message = `${count} interfaces are more than one namespace can have, which is ${MAX_INTERFACES}. Connect some of the networks by a switch`;
  throw new VdensError('ERR_TAP', message, { value: String(count) });
}

type Configuration = Parameters<typeof configureInterfaces>[1];

/** What {@link Namespace.autoconfigure} works with, when there is something to learn. */
interface Learning {
  readonly options: NamespaceOptions;
  readonly configuration: Configuration;
  readonly opened: Opened;
}

/** Most namespaces are configured without it, so it is loaded here. */
async function prepareLearning(
  { options, configuration, opened }: Learning,
  rtnetlink: Rtnetlink,
): Promise<AutoConfiguration> {
  const [{ AutoConfiguration }, { LearntResolvConf }] = await Promise.all([
    import('./auto/auto-configuration.ts'),
    import('./auto/learnt-resolv-conf.ts'),
  ]);
  const interfaces = (options.interfaces ?? [])
    .map((request, number) => ({ request, number }))
    .filter(({ request }) => request.auto === true)
    .map(({ request, number }, index) => ({
      name: request.name,
      metric: FIRST_METRIC + number,
      socket: opened.listeners[index]!,
      addresses: configuration.interfaces?.[number]?.addresses ?? [],
      keepsMtu: request.mtu !== undefined,
      keepsGateway: configuration.gateways?.some((gateway) => gateway.length === IPV4_LENGTH) === true,
      hostname: options.hostname,
    }));
  const [file] = opened.etcFiles;
  return new AutoConfiguration(interfaces, rtnetlink, file === undefined ? undefined : new LearntResolvConf(file));
}

/** After routes that the command makes, as with other clients; of several interfaces the first comes first. */
const FIRST_METRIC = 1024;

/**
 * Settings of interfaces that learn their addresses of IPv6: those are usable at once, as given ones are, and hold for a
 * command that forwards packets, too.
 */
function learningSettings(interfaces: readonly InterfaceOptions[], { gateways = [] }: Configuration): Settings {
  const settings: Record<string, string> = {};
  for (const [number, { name, auto }] of interfaces.entries()) {
    if (auto !== true) continue;
    const folder = `ipv6/conf/${name}`;
    settings[`${folder}/accept_dad`] = '0';
    settings[`${folder}/accept_ra`] = '2';
    settings[`${folder}/ra_defrtr_metric`] = String(FIRST_METRIC + number);
    if (gateways.some((gateway) => gateway.length !== IPV4_LENGTH)) settings[`${folder}/accept_ra_defrtr`] = '0';
  }
  return settings;
}

type Settings = Readonly<Record<string, string>>;

/** One that learns all of its configuration is set up when it is plugged in: what the kernel then asks is heard. */
function isUpAtOnce(request: InterfaceOptions, options: NamespaceOptions): boolean {
  const hasAddresses = (request.addresses ?? []).length > 0;
  if (request.auto === true && !hasAddresses) return false;
  return request.up ?? options.up ?? hasAddresses;
}

function hasAuto({ interfaces = [] }: NamespaceOptions): boolean {
  return interfaces.some(({ auto }) => auto === true);
}

function readConfiguration(options: NamespaceOptions): Configuration {
  checkCount(options.interfaces?.length ?? 0);
  const interfaces = (options.interfaces ?? []).map((request) => ({
    name: checkName(request.name),
    mac: typeof request.mac === 'string' ? parseMac(request.mac) : request.mac,
    mtu: request.mtu,
    addresses: (request.addresses ?? []).map((text) => (typeof text === 'string' ? parsePrefix(text) : text)),
    up: isUpAtOnce(request, options),
  }));
  return {
    interfaces,
    loopbackUp: options.up ?? (hasAuto(options) || interfaces.some(({ addresses }) => addresses.length > 0)),
    gateways: (options.gateways ?? []).map((text) => (typeof text === 'string' ? parseIp(text) : text)),
  };
}
