/**
 * Interfaces of a namespace that are configured by whatever servers are on their networks, and the resolv.conf inside
 * that follows. The first configuration is waited for; afterwards leases are renewed until it is closed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../../errors.ts';
import { systemClock } from '../../system/clock.ts';
import type { Rtnetlink } from '../../system/rtnetlink.ts';
import { AutoInterface, type AutoInterfaceOptions } from './auto-interface.ts';
import { formatResolvConf, type LearntResolvConf } from './learnt-resolv-conf.ts';

/** How long an answer is waited for, in milliseconds, unless told otherwise. */
export const DEFAULT_TIMEOUT_MS = 15_000;
/** How long IPv6 is waited for when IPv4 is there: routers answer within half a second (RFC 4861, 6.2.6). */
const IPV6_WAIT_MS = 1000;
/** How long IPv4 is waited for when IPv6 is there: servers look for 2 or 3 s whether an address is taken. */
const IPV4_WAIT_MS = 4000;
/** How long messages that give addresses back have to leave. */
const RELEASE_MS = 20;

/** How to wait for the first configuration. */
export interface AutoOptions {
  /** In milliseconds. @defaultValue 15 s */
  readonly timeoutMs?: number;
  /** Ends the wait, which then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Told when addresses are lost and found again later. */
  readonly say?: (line: string) => void;
  /** What each interface is plugged into, by its name, for messages. */
  readonly networks?: Readonly<Record<string, string>>;
}

export class AutoConfiguration {
  readonly #interfaces: readonly AutoInterface[];
  readonly #resolvConf: LearntResolvConf | undefined;
  #say: (line: string) => void = () => undefined;
  #changed: () => void = () => undefined;

  /** @param resolvConf the file inside; absent when it is to say what was given */
  constructor(
    interfaces: readonly AutoInterfaceOptions[],
    rtnetlink: Rtnetlink,
    resolvConf: LearntResolvConf | undefined,
  ) {
    this.#resolvConf = resolvConf;
    this.#interfaces = interfaces.map(
      (options) =>
        new AutoInterface(options, {
          rtnetlink,
          clock: systemClock,
          random: Math.random,
          changed: () => this.#hearChange(),
          say: (line) => this.#say(line),
        }),
    );
  }

  /**
   * Sets the interfaces up and waits until each has an address.
   *
   * @throws VdensError `ERR_NETWORK_TIMEOUT` when an interface gets none in time, `ERR_NETLINK` when the kernel refuses
   */
  async start({ timeoutMs = DEFAULT_TIMEOUT_MS, signal, say, networks = {} }: AutoOptions = {}): Promise<void> {
    if (say !== undefined) this.#say = say;
    signal?.throwIfAborted();
    for (const one of this.#interfaces) await one.start();
    if (!(await this.#waitFor((one) => one.isConfigured, timeoutMs, signal))) throw this.#timeOut(timeoutMs, networks);
    await this.#waitFor((one) => one.hasIpv4, IPV4_WAIT_MS, signal);
    await this.#waitFor((one) => one.hasIpv6, IPV6_WAIT_MS, signal);
    for (const one of this.#interfaces) one.tellChanges();
  }

  /** The network of an interface was away, and may be another now. */
  reconfirm(name: string): void {
    this.#interfaces.find((one) => one.name === name)?.reconfirm();
  }

  /** Gives addresses back, as well as that can be done in a moment. */
  async release(): Promise<void> {
    for (const one of this.#interfaces) one.release();
    await sleep(RELEASE_MS);
  }

  close(): void {
    for (const one of this.#interfaces) one.close();
    this.#resolvConf?.close();
  }

  #hearChange(): void {
    this.#resolvConf?.write(formatResolvConf(this.#interfaces.map(({ names }) => names)));
    this.#changed();
  }

  /** Whether it came to hold for all interfaces in time. */
  async #waitFor(
    holds: (one: AutoInterface) => boolean,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    let end = (): void => undefined;
    const isDone = (): boolean => this.#interfaces.every(holds);
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#changed = () => {
      if (isDone()) end();
    };
    const timer = setTimeout(end, timeoutMs);
    signal?.addEventListener('abort', end);
    try {
      this.#changed();
      if (signal?.aborted !== true) await over;
      signal?.throwIfAborted();
      return isDone();
    } finally {
      this.#changed = () => undefined;
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    }
  }

  #timeOut(timeoutMs: number, networks: Readonly<Record<string, string>>): VdensError {
    const missing = this.#interfaces.filter((one) => !one.isConfigured);
    const found = missing.map((one) => {
      const network = networks[one.name] === undefined ? '' : `, ${networks[one.name]}`;
      return `${one.name}${network}: ${one.heard ?? 'nobody answered (DHCP, DHCPv6, router solicitations)'}`;
    });
    const seconds = timeoutMs / 1000;
    const name = missing[0]?.name ?? 'vde0';
    const remedy = `Start a server there, wait longer with --auto-timeout ${Math.ceil(seconds) * 2}, or give an address: --address ${name}=10.0.0.2/24`;
    const message = `no address after ${seconds} s on ${found.join('; ')}. ${remedy}`;
    return new VdensError('ERR_NETWORK_TIMEOUT', message, { value: name });
  }
}
