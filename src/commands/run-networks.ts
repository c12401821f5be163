/**
 * The longer half of `vdens`: a namespace plugged into networks, for as long as a command runs.
 *
 * One line on standard error says when a network goes and when it is back; SIGUSR1 prints the counters.
 * Keyboard signals are for the command alone, SIGTERM and SIGHUP are passed on to it.
 */

import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { ImpairedPlug } from '../impairment/impaired-plug.ts';
import { type LoadItem, ProcessControl } from '../inventory/serve-control.ts';
import { openPlug } from '../locator/open-plug.ts';
import { type Namespace, type NamespaceCommand, type NamespaceOptions, openNamespace } from '../namespace/namespace.ts';
import { IPV6_LENGTH, SMALLEST_IPV6_MTU } from '../net/ip.ts';
import type { IpPrefix } from '../net/prefix.ts';
import { cable } from '../plugs/cable.ts';
import { formatCounters } from '../plugs/counters.ts';
import type { Plug } from '../plugs/plug.ts';
import type { TapPlug } from '../plugs/tap.ts';
import { native } from '../system/native.ts';
import { writeErrorLineNow } from './standard-streams.ts';

const NAME = 'vdens';
/**
 * How long a network may be gone before the interface loses its carrier, in milliseconds: a segment that somebody else
 * takes over is back sooner, and the kernel needs a second to notice that a carrier is back (net/core/link_watch.c).
 */
const CARRIER_GRACE_MS = 300;
/** After so long a person on a terminal is told what is being waited for. */
const PATIENCE_MS = 1000;
/** How long letting go of everything may take before we leave it to the kernel. */
const CLOSE_TIMEOUT_MS = 3000;

/** How to run a command with networks. */
export interface RunOptions {
  /** Whether a network that goes away is opened again. */
  readonly reconnect: boolean;
  /** How long addresses may take that are learnt, in milliseconds. */
  readonly autoTimeoutMs: number | undefined;
  /** By which others find it, when it was given one. */
  readonly name: string | undefined;
}

/**
 * Makes the namespace, opens the networks (one for each interface, in order), runs the command.
 *
 * @returns the command's exit status
 * @throws VdensError when the namespace cannot be made, a network not be opened, or nobody gives an address
 */
export async function runNetworks(
  options: NamespaceOptions,
  networks: readonly string[],
  command: readonly string[],
  { reconnect, autoTimeoutMs, name }: RunOptions,
): Promise<number> {
  const start = watchStart();
  const plugs: Plug[] = [];
  let control: ProcessControl | undefined;
  let namespace: Namespace | undefined;
  try {
    namespace = await openNamespace(options);
    // That a name is taken is said before anything else happens.
    if (name !== undefined) control = await claimName(name);
    for (const network of networks) {
      start.signal.throwIfAborted();
      plugs.push(new ImpairedPlug(await openPlug(network, { reconnect, signal: start.signal })));
    }
    start.signal.throwIfAborted();
    const running = { command: undefined as NamespaceCommand | undefined };
    await fitInterfaces(namespace, options, plugs);
    const lines = namespace.interfaces.map(({ plug }, index) => ({ tap: plug, network: plugs[index]! }));
    for (const line of lines) {
      join(line, reconnect, {
        endCommand: () => running.command?.process.kill('SIGTERM'),
        isBack: () => void namespace?.reconfirm(line.tap.label),
      });
    }
    for (const [index, { mtu }] of (options.interfaces ?? []).entries()) warnOfMtu(lines[index]!, mtu ?? 0);
    passSignals(lines, (signal) => running.command?.process.kill(signal));
    if (autoTimeoutMs !== undefined) await configure(namespace, lines, autoTimeoutMs, start.signal);
    running.command = namespace.run(command, { stdio: 'inherit' });
    control ??= new ProcessControl({ command: NAME, prefix: NAME });
    control.add(describeNamespace(namespace, lines, command));
    // The command may not have got it.
    await hearSignals();
    start.end();
    if (start.signal.aborted) running.command.process.kill('SIGTERM');
    const status = await running.command.exit;
    return start.signal.aborted ? (start.signal.reason as number) : status;
  } catch (error) {
    // The helper may have been ended by the same one.
    await hearSignals();
    if (start.signal.aborted) return start.signal.reason as number;
    throw error;
  } finally {
    control?.close();
    await closeAll(namespace, plugs, autoTimeoutMs !== undefined);
    leaveLookUps();
  }
}

async function claimName(name: string): Promise<ProcessControl> {
  const control = new ProcessControl({ command: NAME, prefix: NAME, name });
  await control.ready;
  return control;
}

/** For those who look at it over the control socket. */
function describeNamespace(namespace: Namespace, lines: readonly Line[], command: readonly string[]): LoadItem {
  return async () => {
    const { NamespaceItem } = await import('../inventory/namespace-item.ts');
    return new NamespaceItem(namespace, lines, command);
  };
}

/**
 * Signals before there is a command: they end the start, and what was made for it (a socket in the directory of a
 * switch that does not answer, say) goes first. The reason of the abortion is the exit status.
 */
function watchStart(): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const handlers = (['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'] as const).map((name) => {
    const handler = (): void => controller.abort(128 + constants.signals[name]);
    process.on(name, handler);
    return { name, handler };
  });
  return {
    signal: controller.signal,
    end: () => {
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}

/** Of a signal that has come, the handler hears in the next whole turn of the event loop. */
async function hearSignals(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Gives interfaces whose MTU was not chosen that of their network, where it has one; with IPv6 not less than that needs. */
async function fitInterfaces(namespace: Namespace, options: NamespaceOptions, plugs: readonly Plug[]): Promise<void> {
  for (const [index, { name }] of namespace.interfaces.entries()) {
    const plug = plugs[index];
    const wanted = options.interfaces?.[index];
    if (plug?.mtu === undefined || wanted?.mtu !== undefined) continue;
    const isTooSmall = plug.mtu < SMALLEST_IPV6_MTU && wanted?.addresses?.some(isIpv6) === true;
    await namespace.rtnetlink.setMtu(name, isTooSmall ? SMALLEST_IPV6_MTU : plug.mtu);
    if (!isTooSmall) continue;
    const why = `there is room for an MTU of ${plug.mtu}, and IPv6 needs ${SMALLEST_IPV6_MTU}, which ${name} has`;
    say(`${name}: ${plug.label}: ${why}. What is longer than ${plug.mtu} leaves in fragments`);
  }
}

function isIpv6(address: string | IpPrefix): boolean {
  return typeof address === 'string' ? address.includes(':') : address.address.length === IPV6_LENGTH;
}

/** An Ethernet header, and a VLAN tag that may be in it. */
const FRAME_OVERHEAD_BYTES = 18;

/** Says so when the network would drop what the interface may send. */
function warnOfMtu({ tap, network }: Line, mtu: number): void {
  const largest = network.maxFrameBytes - FRAME_OVERHEAD_BYTES;
  if (mtu <= largest) return;
  const lost = `${network.label} takes frames of up to ${network.maxFrameBytes} bytes and larger ones are dropped`;
  say(`${tap.label}: with an MTU of ${mtu}, ${lost}. Use --mtu ${largest} or less`);
}

interface Line {
  readonly tap: TapPlug;
  readonly network: Plug;
}

/** What follows from what happens to a network. */
interface LineEvents {
  endCommand(): void;
  isBack(): void;
}

function join({ tap, network }: Line, reconnect: boolean, { endCommand, isBack }: LineEvents): void {
  const name = `${tap.label}: ${network.label}`;
  const heals = reconnect && network.heals !== false;
  let carrierTimer: NodeJS.Timeout | undefined;
  let isReturning = true;
  cable(tap, network, {
    down: (plug, reason) => {
      if (plug === tap) {
        say(`${tap.label}: ${reason}`);
        return;
      }
      carrierTimer ??= setTimeout(() => tap.setCarrier(false), heals ? CARRIER_GRACE_MS : 0).unref();
      isReturning = network.hasBeenUp !== false;
      const awaited = heals ? '; waiting for it to come back' : reconnect ? '; it does not come back by itself' : '';
      say(`${name}: ${reason}${isReturning ? awaited : '; waiting for it'}`);
      // Without its stream the original ends, too.
      if (!reconnect && network.hasBeenUp !== false && network.label.startsWith('=')) endCommand();
    },
    up: () => {
      clearTimeout(carrierTimer);
      carrierTimer = undefined;
      tap.setCarrier(true);
      say(`${name}: is ${isReturning ? 'back' : 'up'}${network.isServedHere === true ? ', served from here now' : ''}`);
      isBack();
    },
    trouble: (_plug, error) => say(`${tap.label}: ${error.message}`),
  });
}

/** Waits until the servers of the networks have configured the interfaces; who watches a terminal sees that we wait. */
async function configure(
  namespace: Namespace,
  lines: readonly Line[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const names = lines.map(({ tap }) => tap.label).join(', ');
  const patience = setTimeout(() => {
    if (isatty(2)) say(`waiting for addresses on ${names}, ${timeoutMs / 1000} s at most`);
  }, PATIENCE_MS);
  const networks = Object.fromEntries(lines.map(({ tap, network }) => [tap.label, network.label]));
  try {
    await namespace.autoconfigure({ timeoutMs, signal, say, networks });
  } finally {
    clearTimeout(patience);
  }
}

function passSignals(lines: readonly Line[], pass: (signal: NodeJS.Signals) => void): void {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => pass(signal));
  process.on('SIGUSR1', () => {
    for (const { tap, network } of lines) {
      say(`${tap.label}: ${formatCounters(tap.counters)}`);
      say(`${network.label}: ${formatCounters(network.counters)}`);
      for (const line of network.report?.() ?? []) say(`${network.label}: ${line}`);
    }
  });
}

/** At its end, Node.js waits for names that are still looked up; a resolver without an answer is patient for long. */
function leaveLookUps(): void {
  process.once('exit', (status) => {
    if (process.getActiveResourcesInfo().includes('GetAddrInfoReqWrap')) native.endProcess(status);
  });
}

async function closeAll(namespace: Namespace | undefined, plugs: readonly Plug[], isLearning: boolean): Promise<void> {
  const timeout = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref());
  const closed = namespace?.close();
  // Its addresses are given back while it is plugged in.
  const ready = isLearning ? closed?.catch(() => undefined) : undefined;
  const close = async (): Promise<void> => {
    await ready;
    await Promise.allSettled(plugs.map((plug) => plug.close()));
  };
  await Promise.race([Promise.allSettled([closed, close()]), timeout]);
}

function say(line: string): void {
  writeErrorLineNow(`${NAME}: ${line}`);
}
