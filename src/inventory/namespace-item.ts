/** A namespace of `vdens`, as others may look at it. */
import type { Namespace } from '../namespace/namespace.ts';
import { formatIp, isLinkLocalIp, isLoopbackIp, parseIp } from '../net/ip.ts';
import { formatMac } from '../net/mac.ts';
import { formatPrefix, type IpPrefix } from '../net/prefix.ts';
import type { Plug } from '../plugs/plug.ts';
import type { TapPlug } from '../plugs/tap.ts';
import type { InventoryItem, Link } from './inventory.ts';
import { linkStatus } from './link-status.ts';
import { impairable, peersOf } from './peers.ts';
import type { RateMeter } from './rates.ts';
import type { InterfaceStatus, NamespaceStatus } from './status.ts';

/** Destinations that lie in nobody's network (RFC 5737, RFC 3849): the way there is the default route. */
const ELSEWHERE = ['192.0.2.1', '2001:db8::1'].map(parseIp);

/** An interface and the network that it is plugged into. */
export interface PluggedInterface {
  readonly tap: TapPlug;
  readonly network: Plug;
}

export class NamespaceItem implements InventoryItem {
  readonly kind = 'namespace';
  readonly namespace: Namespace;
  readonly #interfaces: readonly PluggedInterface[];
  readonly #command: readonly string[];

  /** @param command that runs in it */
  constructor(namespace: Namespace, interfaces: readonly PluggedInterface[], command: readonly string[]) {
    this.namespace = namespace;
    this.#interfaces = interfaces;
    this.#command = command;
  }

  get isOver(): boolean {
    return this.namespace.isClosed;
  }

  links(): readonly Link[] {
    return this.#interfaces.map(({ tap, network }) => ({
      id: tap.label,
      network: network.label,
      plug: impairable(network),
      end: network,
      counters: tap.counters,
      isReversed: true,
      otherEnds: [network.counters],
      description: '',
    }));
  }

  /** The addresses of the interfaces whose networks are meant, IPv4 first. */
  async addressesAt(isMeant: (network: Plug) => boolean): Promise<readonly Uint8Array[]> {
    const indexes = this.#interfaces
      .filter(({ network }) => isMeant(network))
      .map(({ tap }) => this.namespace.indexOf(tap.label));
    const configured = await this.namespace.rtnetlink.configuredLinks();
    return configured
      .filter(({ link }) => indexes.includes(link.index))
      .flatMap(({ addresses }) => addresses.map(({ address }) => address));
  }

  async describe(rates: RateMeter): Promise<NamespaceStatus> {
    const { rtnetlink, pid } = this.namespace;
    const configured = await rtnetlink.configuredLinks();
    const gateways = await this.#gateways(configured.flatMap(({ addresses }) => addresses));
    const interfaces = this.links().map((link, position): InterfaceStatus => {
      const network = this.#interfaces[position]!.network;
      const index = this.namespace.indexOf(link.id);
      const found = configured.find((candidate) => candidate.link.index === index);
      const name = found?.link.name ?? link.id;
      return {
        name,
        mac: found === undefined ? '' : formatMac(found.link.mac),
        mtu: found?.link.mtu ?? 0,
        isUp: found?.link.isUp ?? false,
        hasCarrier: found?.link.hasCarrier ?? false,
        addresses: found?.addresses.map(formatPrefix) ?? [],
        link: linkStatus(link, rates),
        peers: peersOf(network),
        notes: [...fate(link.id, found?.link.name), ...(network.report?.() ?? [])],
        isServedHere: network.isServedHere === true,
      };
    });
    return { kind: 'namespace', pid, interfaces, gateways, command: this.#command };
  }

  /** Of the families in which packets could come from somewhere: what is asked for all namespaces is to be cheap. */
  async #gateways(own: readonly IpPrefix[]): Promise<readonly string[]> {
    const sources = own.filter(({ address }) => !isLoopbackIp(address) && !isLinkLocalIp(address));
    const families = ELSEWHERE.filter(({ length }) => sources.some(({ address }) => address.length === length));
    const routes = await Promise.all(families.map((address) => this.namespace.rtnetlink.findRoute(address)));
    return routes.flatMap((route) =>
      typeof route === 'string' || route.gateway === undefined ? [] : [formatIp(route.gateway)],
    );
  }
}

/** What became of an interface that was made as `name`, if that is not to be seen. */
function fate(name: string, now: string | undefined): readonly string[] {
  if (now === undefined) return [`the interface ${name} is gone`];
  return now === name ? [] : [`the interface ${name} was renamed ${now}`];
}
